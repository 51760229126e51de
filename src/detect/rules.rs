//! The rules in force, all at once: compiled, and which of them each stream concerns.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

use auren_agents::{EventId, TriggerEvent};
use uuid::Uuid;

use super::{
    compile::{Compiled, Kinds, compiled},
    history::Kind,
    problem::Problem,
    rule::Rule,
};

/// The most rules of one node.
const RULES_MAX: usize = 4096;

/// A rule's text, where it stands, and whether it speaks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuleText {
    /// The file or record it stands in.
    pub file: String,
    /// The YAML.
    pub text: String,
    /// Whether what it finds is only logged.
    pub shadow: bool,
}

/// A rule in force.
#[derive(Debug)]
pub struct InForce {
    /// The rule.
    pub rule: Compiled,
    /// Whether what it finds is only logged.
    pub shadow: bool,
    /// What it said is remembered under this name: what a rule finds in the shadow was not said.
    pub(super) key: Box<str>,
    /// How often it spoke on this node, or would have spoken.
    pub(super) spoken: Arc<AtomicU64>,
}

/// The rules in force.
#[derive(Debug)]
pub struct Rules {
    /// A number that no other set of this process has.
    pub(super) number: u64,
    pub(super) all: Vec<InForce>,
    pub(super) kinds: Vec<Kind>,
    /// The allowed latenesses that are not zero, shortest first.
    pub(super) latenesses: Vec<i64>,
    /// The kinds of streams that rules of each of them read, a bit each.
    pub(super) patient: Vec<u64>,
    /// The rules that tell of an absence.
    pub(super) absences: Vec<u32>,
    /// A number that follows from the rules that time alone can make speak.
    pub(super) timing: u64,
    /// Events that came out of order, on this node.
    pub(super) late: AtomicU64,
}

static NUMBER: AtomicU64 = AtomicU64::new(1);

impl InForce {
    /// How often it spoke since it is in force on this node; in the shadow, how often it would have spoken. What is worked
    /// again is counted again.
    #[must_use]
    pub fn spoken(&self) -> u64 {
        self.spoken.load(Relaxed)
    }

    /// Whether it said this.
    #[must_use]
    pub fn said(&self, trigger: &TriggerEvent) -> bool {
        trigger.rule.as_ref().is_some_and(|rule| *rule.id == *self.rule.id)
    }
}

impl Rules {
    /// Compiles rules.
    ///
    /// # Errors
    /// Everything that is wrong with any of them.
    pub fn compile(texts: &[RuleText]) -> Result<Self, Vec<Problem>> {
        let mut kinds = Kinds::default();
        let (mut all, mut problems) = (Vec::<InForce>::new(), Vec::new());
        for RuleText { file, text, shadow } in texts {
            let rule = Rule::parse(file, text).map_err(|problem| vec![problem]);
            match rule.and_then(|rule| compiled(file, &rule, &mut kinds)) {
                Ok(rule) if all.iter().any(|known| known.rule.id == rule.id) => {
                    problems.push(Problem::whole(file, format!("there are two rules with the id {}", rule.id)));
                }
                Ok(rule) => {
                    // No id has this sign.
                    let key = format!("{}{}", if *shadow { "~" } else { "" }, rule.id).into();
                    all.push(InForce { rule, shadow: *shadow, key, spoken: Arc::default() });
                }
                Err(found) => problems.extend(found),
            }
        }
        if all.len() > RULES_MAX {
            problems.push(Problem::whole("rules", format!("there are more than {RULES_MAX} rules")));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let mut latenesses: Vec<i64> = all.iter().map(|rule| rule.rule.lateness).filter(|span| *span > 0).collect();
        latenesses.sort_unstable();
        latenesses.dedup();
        let of = |lateness: &i64| {
            let patient = all.iter().filter(|known| known.rule.lateness == *lateness);
            patient.fold(0, |kinds, known| kinds | known.rule.kinds)
        };
        let patient = latenesses.iter().map(of).collect();
        let (mut absences, mut timely) = (Vec::new(), String::new());
        for ((number, known), written) in (0..).zip(&all).zip(texts) {
            if known.rule.tells_of_absence() {
                absences.push(number);
            }
            if known.rule.tells_of_absence() || known.rule.lateness > 0 {
                timely.push_str(&known.key);
                timely.push_str(&written.text);
            }
            for (index, kind) in kinds.0.iter_mut().enumerate() {
                if known.rule.kinds & 1 << index != 0 {
                    kind.readers.push(number);
                }
            }
        }
        let number = NUMBER.fetch_add(1, Relaxed);
        let timing =
            Uuid::try_parse(EventId::derived(&["timing", &timely]).as_str()).unwrap_or_default().as_u64_pair().0;
        let late = AtomicU64::new(0);
        Ok(Self { number, all, kinds: kinds.0, latenesses, patient, absences, timing, late })
    }

    /// Goes on counting where a set that was in force before ends, for every rule that stays as it is.
    pub(super) fn count_on(&mut self, before: &Self) {
        for known in &mut self.all {
            let same = |old: &&InForce| old.key == known.key && old.rule.version == known.rule.version;
            if let Some(old) = before.all.iter().find(same) {
                known.spoken = Arc::clone(&old.spoken);
            }
        }
    }

    /// The rules, in order.
    #[must_use]
    pub fn in_force(&self) -> &[InForce] {
        &self.all
    }

    /// The rule of this id.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<&InForce> {
        self.all.iter().find(|known| known.rule.id == id)
    }

    /// How many events came out of order so far.
    #[must_use]
    pub fn late(&self) -> u64 {
        self.late.load(Relaxed)
    }
}
