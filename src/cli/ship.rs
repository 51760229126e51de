//! Measured values taken in by batches, in order: what `simulate` and `import` have in common.

use std::collections::{BTreeMap, HashSet};

use anyhow::Context as _;
use auren::{
    intake::{self, Intake, Refused},
    wearable::Row,
};
use auren_agents::{Timestamp, UserId};
use indicatif::HumanCount;

/// Most readings that are published together.
const BATCH: usize = 1000;

/// Takes in what is loaded.
pub(super) struct Ship {
    intake: Intake,
    actor: &'static str,
    batch: Vec<Row>,
    published: u64,
}

impl Ship {
    /// `actor` is who the audit names.
    pub(super) fn new(intake: Intake, actor: &'static str) -> Self {
        Self { intake, actor, batch: Vec::with_capacity(BATCH), published: 0 }
    }

    /// Takes a value along, if it can be one.
    pub(super) fn load(&mut self, row: &Row) -> Result<(), Refused> {
        intake::check(row)?;
        self.batch.push(row.clone());
        Ok(())
    }

    /// Whether it should go now.
    pub(super) fn is_full(&self) -> bool {
        self.batch.len() >= BATCH
    }

    /// Publishes what was taken along, and enters into the survey what is in the log then. What is refused for itself, as
    /// a reading of somebody who was erased, is returned in words, and the others go.
    pub(super) async fn go(&mut self, survey: &mut Survey) -> anyhow::Result<Vec<String>> {
        let batch = std::mem::replace(&mut self.batch, Vec::with_capacity(BATCH));
        let mut refused = Vec::new();
        let answers = self.intake.take(self.actor, &batch).await;
        for (row, answer) in batch.iter().zip(answers) {
            match answer {
                Err(untaken) if untaken.is_of_the_reading() => refused.push(left_out(row, &untaken)),
                answer => {
                    answer
                        .with_context(|| format!("{} readings are published, the next was refused", self.published))?;
                    survey.add(row);
                    self.published += 1;
                }
            }
        }
        Ok(refused)
    }

    /// How many readings are in the log.
    pub(super) fn published(&self) -> u64 {
        self.published
    }

    /// The bus in words.
    pub(super) fn whereto(&self) -> String {
        self.intake.whereto()
    }
}

/// Which reading was refused, and why: never its value.
pub(super) fn left_out(row: &Row, why: &dyn std::fmt::Display) -> String {
    format!("{} of {} at {}: {why}", row.measure, row.user, row.at)
}

/// Whose, what and when, of many readings.
#[derive(Default)]
pub(super) struct Survey {
    users: HashSet<UserId>,
    measures: BTreeMap<String, u64>,
    period: Option<(Timestamp, Timestamp)>,
    count: u64,
}

impl Survey {
    pub(super) fn add(&mut self, row: &Row) {
        if !self.users.contains(&row.user) {
            self.users.insert(row.user.clone());
        }
        match self.measures.get_mut(&*row.measure) {
            Some(count) => *count += 1,
            None => drop(self.measures.insert(row.measure.to_string(), 1)),
        }
        match &mut self.period {
            None => self.period = Some((row.at.clone(), row.at.clone())),
            Some((first, _)) if row.at < *first => *first = row.at.clone(),
            Some((_, last)) if row.at > *last => *last = row.at.clone(),
            Some(_) => {}
        }
        self.count += 1;
    }

    pub(super) fn count(&self) -> u64 {
        self.count
    }

    /// Such as `1,204 readings of 3 people (2024-01-01 to 2024-02-29)`.
    pub(super) fn summary(&self) -> String {
        let people = self.users.len() as u64;
        let plural = |count: u64, one: &str, many: &str| {
            format!("{} {}", HumanCount(count), if count == 1 { one } else { many })
        };
        let readings = plural(self.count, "reading", "readings");
        let people = plural(people, "person", "people");
        let date = |time: &Timestamp| time.at().date_naive();
        match &self.period {
            Some((first, last)) => format!("{readings} of {people} ({} to {})", date(first), date(last)),
            None => readings,
        }
    }

    /// Such as `asleep 60, rmssd 58`.
    pub(super) fn measures(&self) -> String {
        let each = self.measures.iter().map(|(measure, count)| format!("{measure} {}", HumanCount(*count)));
        each.collect::<Vec<_>>().join(", ")
    }
}
