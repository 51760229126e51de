//! Which guarantee is in force for a role, and why: a pure function of what was observed. `doctor`, `/readyz` and the
//! metrics say the same because they ask here.
//!
//! A guarantee is about what the role commits. A node that restores, or whose bus is away, commits nothing, so that its
//! guarantee stands; who waits for answers asks `/readyz`.

use std::{fmt, time::Duration};

use tokio::sync::watch;

use crate::{
    bus::{Copies, Facts, Keeping, SharedBus, Taken},
    config::Role,
};

/// How often the facts are gathered, and how soon again where the bus did not answer.
const LOOK: Duration = Duration::from_secs(60);
const LOOK_AGAIN: Duration = Duration::from_secs(5);

/// What holds for the effects of every acknowledged input of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, schemars::JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing can be promised.
    None,
    /// Nothing is lost; an effect may happen twice.
    AtLeastOnce,
    /// Nothing is lost, and no effect happens twice.
    ExactlyOnce,
}

impl Level {
    /// Every level, the weakest first.
    pub const ALL: &'static [Level] = &[Self::None, Self::AtLeastOnce, Self::ExactlyOnce];

    /// The level as metrics and JSON name it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::AtLeastOnce => "at_least_once",
            Self::ExactlyOnce => "exactly_once",
        }
    }
}

/// What a role has besides the bus.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Condition {
    /// Workers that restore saved states now.
    pub restoring: u64,
    /// Whether the store of snapshots answers; none where there is none.
    pub snapshots: Option<bool>,
}

/// The guarantee in force for a role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InForce {
    /// What holds.
    pub level: Level,
    /// What it rests on, or what is missing and what to do.
    pub reasons: Vec<String>,
    /// What may be known besides and takes nothing away.
    pub remarks: Vec<String>,
}

impl InForce {
    /// What follows from these facts for a role.
    #[must_use]
    pub fn of(role: Role, facts: &Facts, condition: Condition) -> Self {
        let Some(topic) = role.state_topic() else { return Self::of_the_history(facts) };
        let mut findings: Vec<(Level, String)> = Vec::new();
        if let Err(why) = &facts.partitions {
            findings.push((Level::None, why.clone()));
        }
        if let Err(why) = &facts.transactions {
            findings.push((Level::None, format!("the bus takes no transactions: {why}")));
        }
        findings.extend(facts.overrides.iter().map(|set| weaker(set.takes, &set.property)));
        let mut remarks = vec![on_disks(&facts.copies)];
        match facts.states.get(&topic) {
            Some(Keeping::Newest) => {}
            Some(Keeping::Forgets(policy)) => findings.push((
                Level::None,
                format!("{topic} forgets people (cleanup.policy = {policy}); set it to compact with kafka-configs.sh"),
            )),
            Some(Keeping::Unknown(why)) => remarks.push(format!("whether {topic} is compacted cannot be told: {why}")),
            // Which topics are missing is said already.
            None => {}
        }
        match condition.restoring {
            0 => {}
            1 => remarks.push("a worker restores saved states and works nothing meanwhile".to_owned()),
            count => remarks.push(format!("{count} workers restore saved states and work nothing meanwhile")),
        }
        if condition.snapshots == Some(false) {
            remarks.push(format!("Redis does not answer; states are read from {topic} and kept in memory"));
        }
        let level = findings.iter().map(|(level, _)| *level).min().unwrap_or(Level::ExactlyOnce);
        let mut reasons: Vec<_> = findings.into_iter().map(|(_, why)| why).collect();
        if reasons.is_empty() {
            let partitions = facts.partitions.as_ref().copied().unwrap_or_default();
            reasons.push(format!(
                "outputs, states and input offsets are one transaction, only what is committed is read, and all topics \
                 have {partitions} partitions"
            ));
        }
        Self { level, reasons, remarks }
    }

    /// What follows for a role that commits to a database and only reads the bus.
    fn of_the_history(facts: &Facts) -> Self {
        let missing = facts.partitions.as_ref().err().map(|why| (Level::None, why.clone()));
        let read = facts.overrides.iter().filter(|set| set.takes == Taken::Isolation);
        let read = read.map(|set| weaker(set.takes, &set.property));
        let findings: Vec<(Level, String)> = missing.into_iter().chain(read).collect();
        let level = findings.iter().map(|(level, _)| *level).min().unwrap_or(Level::ExactlyOnce);
        let mut reasons: Vec<_> = findings.into_iter().map(|(_, why)| why).collect();
        if reasons.is_empty() {
            reasons.push(
                "rows and offsets are one transaction of the database, and only what is committed is read".to_owned(),
            );
        }
        Self { level, reasons, remarks: Vec::new() }
    }

    /// Nothing is known of the bus yet.
    #[must_use]
    pub fn unknown() -> Self {
        let reasons = vec!["the bus has not answered yet".to_owned()];
        Self { level: Level::None, reasons, remarks: Vec::new() }
    }
}

impl fmt::Display for InForce {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.level.name().replace('_', " "))?;
        let mut all = self.reasons.iter().chain(&self.remarks);
        if let Some(first) = all.next() {
            f.write_str(first)?;
        }
        all.try_for_each(|next| write!(f, "; {next}"))
    }
}

fn weaker(takes: Taken, property: &str) -> (Level, String) {
    let (level, follows) = match takes {
        Taken::Isolation => (Level::AtLeastOnce, "records of aborted transactions are worked too"),
        Taken::Offsets => (Level::None, "offsets are committed before the records are worked, which loses them"),
        Taken::Togetherness => (Level::None, "a user's records of two topics may be with two workers"),
    };
    (level, format!("kafka.properties has {property}: {follows}; take it out"))
}

fn on_disks(copies: &Copies) -> String {
    match copies {
        Copies::File => "what is acknowledged is on this machine's disk alone".to_owned(),
        Copies::Brokers { replicas: 0 | 1, topic, .. } => {
            format!("what is acknowledged is on one broker's disk ({topic} has one replica)")
        }
        Copies::Brokers { replicas, sure: Some(1), topic } => format!(
            "what is acknowledged may be on one broker's disk ({topic} has {replicas} replicas, but \
             min.insync.replicas = 1)"
        ),
        Copies::Brokers { replicas, sure: Some(sure), .. } => {
            format!("what is acknowledged is on {sure} of {replicas} brokers' disks at least")
        }
        Copies::Brokers { replicas, sure: None, .. } => {
            format!("there are {replicas} replicas; min.insync.replicas cannot be told")
        }
    }
}

/// Gathers the facts now and then, for as long as somebody listens, and says it when a guarantee changes. What was known
/// stays known while the bus is away.
#[must_use]
pub fn watch(bus: SharedBus, roles: Vec<Role>) -> watch::Receiver<Option<Facts>> {
    let (known, heard) = watch::channel(None);
    tokio::spawn(async move {
        loop {
            let pause = match bus.facts().await {
                Ok(facts) => {
                    known.send_if_modified(|known| changed(known, facts, &roles));
                    LOOK
                }
                Err(error) => {
                    tracing::debug!(%error, "the bus does not tell what it can do");
                    LOOK_AGAIN
                }
            };
            tokio::select! {
                () = known.closed() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    });
    heard
}

fn changed(known: &mut Option<Facts>, facts: Facts, roles: &[Role]) -> bool {
    if known.as_ref() == Some(&facts) {
        return false;
    }
    for role in roles {
        let force = InForce::of(*role, &facts, Condition::default());
        if force.level == Level::ExactlyOnce {
            tracing::info!(role = role.name(), guarantee = %force, "guarantee in force");
        } else {
            tracing::warn!(role = role.name(), guarantee = %force, "guarantee in force");
        }
    }
    *known = Some(facts);
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::{Override, Topic};

    fn good() -> Facts {
        let states = [Topic::StateEnrich, Topic::StateDetect, Topic::StateConverse];
        Facts {
            partitions: Ok(12),
            transactions: Ok(()),
            overrides: Vec::new(),
            states: states.map(|topic| (topic, Keeping::Newest)).into(),
            copies: Copies::Brokers { replicas: 3, sure: Some(2), topic: "health.readings".to_owned() },
        }
    }

    /// What is said of the role `detect` with these facts.
    fn said(change: impl FnOnce(&mut Facts)) -> (Level, String) {
        let mut facts = good();
        change(&mut facts);
        let force = InForce::of(Role::Detect, &facts, Condition::default());
        (force.level, force.to_string())
    }

    fn set(property: &str, takes: Taken) -> Override {
        Override { property: property.to_owned(), takes }
    }

    #[test]
    fn everything_in_place_is_exactly_once_and_names_what_it_rests_on() {
        let (level, text) = said(|_| {});
        assert_eq!(level, Level::ExactlyOnce);
        assert_eq!(
            text,
            "exactly once: outputs, states and input offsets are one transaction, only what is committed is read, and \
             all topics have 12 partitions; what is acknowledged is on 2 of 3 brokers' disks at least"
        );
    }

    #[test]
    fn what_is_missing_takes_the_guarantee_and_is_named() {
        let (level, text) = said(|facts| facts.transactions = Err("not authorized".to_owned()));
        assert_eq!(level, Level::None);
        assert!(text.starts_with("none: the bus takes no transactions: not authorized; "), "{text}");
        let (level, text) = said(|facts| facts.partitions = Err("topic a does not exist".to_owned()));
        assert_eq!((level, text.contains("topic a does not exist")), (Level::None, true), "{text}");
        let forgets = |facts: &mut Facts| {
            facts.states.insert(Topic::StateDetect, Keeping::Forgets("compact,delete".to_owned()));
        };
        let (level, text) = said(forgets);
        assert_eq!(level, Level::None);
        assert!(text.contains("auren.state.detect forgets people (cleanup.policy = compact,delete)"), "{text}");
        // It is not this role's.
        let other = |facts: &mut Facts| {
            facts.states.insert(Topic::StateEnrich, Keeping::Forgets("delete".to_owned()));
        };
        assert_eq!(said(other).0, Level::ExactlyOnce);
    }

    #[test]
    fn a_history_rests_on_its_database_and_on_reading_what_is_committed() {
        let of = |facts: &Facts| InForce::of(Role::Project, facts, Condition::default());
        let mut facts = good();
        facts.transactions = Err("not authorized".to_owned());
        assert_eq!(of(&facts).level, Level::ExactlyOnce, "it writes nothing to the bus");
        facts.overrides = vec![set("isolation.level = read_uncommitted", Taken::Isolation)];
        assert_eq!(of(&facts).level, Level::AtLeastOnce);
        facts.partitions = Err("topic a does not exist".to_owned());
        assert_eq!(of(&facts).level, Level::None);
    }

    #[test]
    fn the_weakest_property_decides_and_all_are_named() {
        let isolation = set("isolation.level = read_uncommitted", Taken::Isolation);
        let (level, text) = said(|facts| facts.overrides = vec![isolation.clone()]);
        assert_eq!(level, Level::AtLeastOnce);
        assert!(text.starts_with("at least once: kafka.properties has isolation.level = read_uncommitted"), "{text}");
        let timer = set("enable.auto.commit = true", Taken::Offsets);
        let (level, text) = said(|facts| facts.overrides = vec![isolation, timer]);
        assert_eq!(level, Level::None);
        assert!(text.contains("isolation.level") && text.contains("enable.auto.commit"), "{text}");
    }

    #[test]
    fn how_many_disks_and_what_is_under_way_are_remarks() {
        let brokers = |replicas, sure| Copies::Brokers { replicas, sure, topic: "t".to_owned() };
        for (copies, says) in [
            (brokers(1, Some(1)), "on one broker's disk (t has one replica)"),
            (brokers(3, Some(1)), "may be on one broker's disk (t has 3 replicas, but min.insync.replicas = 1)"),
            (brokers(3, None), "there are 3 replicas; min.insync.replicas cannot be told"),
            (Copies::File, "on this machine's disk alone"),
        ] {
            let (level, text) = said(|facts| facts.copies = copies);
            assert!(level == Level::ExactlyOnce && text.contains(says), "{text}");
        }
        let unknown = |facts: &mut Facts| {
            facts.states.insert(Topic::StateDetect, Keeping::Unknown("not authorized".to_owned()));
        };
        let (level, text) = said(unknown);
        assert!(level == Level::ExactlyOnce && text.contains("cannot be told: not authorized"), "{text}");
        let condition = Condition { restoring: 2, snapshots: Some(false) };
        let force = InForce::of(Role::Detect, &good(), condition);
        assert_eq!(force.level, Level::ExactlyOnce);
        assert_eq!(
            force.remarks[1..],
            [
                "2 workers restore saved states and work nothing meanwhile",
                "Redis does not answer; states are read from auren.state.detect and kept in memory",
            ]
        );
        assert_eq!(InForce::unknown().to_string(), "none: the bus has not answered yet");
    }
}
