//! What the projector of this node has done and how it is, for anybody who looks.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use super::{
    ProjectError,
    database::{Offsets, Written},
    row::TOPICS,
};
use crate::bus::Topic;

/// Where a projector stands.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Standing {
    /// It has not reached the database yet.
    #[default]
    Beginning,
    /// It writes.
    Working,
    /// Another projector writes; this one takes over when that one ends.
    StandingBy,
    /// The database or the log does not do what it is asked; it is tried again.
    Failing,
}

/// What became of one topic.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TopicTotals {
    /// Rows written. Records of people who were erased are none.
    pub rows: u64,
    /// Records that are no rows.
    pub refused: u64,
    /// Offsets up to the newest record that is not written; none where it is not known, as for one that stands by. On
    /// Kafka the markers of transactions count too, but none where no record waits.
    pub behind: Option<u64>,
}

/// A projector's figures at one moment.
#[derive(Debug, Clone, Default)]
pub struct ProjectTotals {
    /// How it is.
    pub standing: Standing,
    /// The database in words; empty until it was reached.
    pub database: String,
    /// By topic, every one that becomes rows.
    pub topics: BTreeMap<Topic, TopicTotals>,
    /// Transactions committed.
    pub transactions: u64,
    /// Times that it had to begin again.
    pub failures: u64,
    /// The last of them, and when.
    pub last_error: Option<(Instant, String)>,
}

impl ProjectTotals {
    /// How far all of it is behind, as [`TopicTotals::behind`] counts; none where that is not known of every topic.
    #[must_use]
    pub fn behind(&self) -> Option<u64> {
        TOPICS.iter().map(|topic| self.topics.get(topic)?.behind).sum()
    }
}

/// The figures of this node's projector, which begin at zero when the node starts.
#[derive(Debug, Default)]
pub struct ProjectStats(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    totals: ProjectTotals,
    /// The next offsets; none while another projector moves them, or nobody knows them yet.
    known: Option<Offsets>,
}

impl ProjectStats {
    /// The figures now.
    #[must_use]
    pub fn totals(&self) -> ProjectTotals {
        let mut totals = self.inner().totals.clone();
        for topic in TOPICS {
            totals.topics.entry(topic).or_default();
        }
        totals
    }

    pub(super) fn stands_by(&self, database: &str) {
        let mut inner = self.inner();
        inner.known = None;
        inner.totals.standing = Standing::StandingBy;
        database.clone_into(&mut inner.totals.database);
        for topic in inner.totals.topics.values_mut() {
            topic.behind = None;
        }
    }

    pub(super) fn works(&self, database: &str, known: &Offsets) {
        let mut inner = self.inner();
        inner.known = Some(known.clone());
        inner.totals.standing = Standing::Working;
        database.clone_into(&mut inner.totals.database);
    }

    pub(super) fn wrote(&self, written: &Written, known: &Offsets) {
        let mut inner = self.inner();
        inner.known = Some(known.clone());
        inner.totals.transactions += written.transactions;
        for (topic, rows) in &written.rows {
            inner.totals.topics.entry(*topic).or_default().rows += rows;
        }
        for (topic, refused) in &written.refused {
            inner.totals.topics.entry(*topic).or_default().refused += refused;
        }
    }

    pub(super) fn failed(&self, error: &ProjectError) {
        let mut inner = self.inner();
        inner.totals.standing = Standing::Failing;
        inner.totals.failures += 1;
        inner.totals.last_error = Some((Instant::now(), error.to_string()));
    }

    /// The next offsets, where they are known.
    pub(super) fn known(&self) -> Option<Offsets> {
        self.inner().known.clone()
    }

    pub(super) fn is_behind(&self, topic: Topic, behind: u64) {
        let mut inner = self.inner();
        // It may have begun to stand by since it was asked.
        if inner.known.is_some() {
            inner.totals.topics.entry(topic).or_default().behind = Some(behind);
        }
    }

    /// Nothing is left half done where somebody panicked: every change is whole.
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_behind_is_told_only_by_whoever_moves_the_offsets() {
        let stats = ProjectStats::default();
        stats.is_behind(Topic::Events, 3);
        assert_eq!(stats.totals().behind(), None);
        stats.works("postgres a:1/b", &Offsets::new());
        for topic in TOPICS {
            assert_eq!(stats.totals().behind(), None, "{topic} is not known yet");
            stats.is_behind(topic, 3);
        }
        assert_eq!(stats.totals().behind(), Some(12));
        // It falls further behind while the database is away.
        stats.failed(&ProjectError::NoEvent("e".to_owned()));
        stats.is_behind(Topic::Events, 5);
        assert_eq!((stats.totals().behind(), stats.totals().standing), (Some(14), Standing::Failing));
        stats.stands_by("postgres a:1/b");
        stats.is_behind(Topic::Events, 5);
        assert_eq!((stats.totals().behind(), stats.totals().failures), (None, 1));
    }
}
