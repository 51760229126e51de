//! What a role's workers have done: counters that anybody may read at any time.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{
            AtomicU64,
            Ordering::{Acquire, Relaxed, Release},
        },
    },
};

use schemars::JsonSchema;
use serde::Serialize;

use super::batch::Counts;

/// Counters of one role on this node, over all its workers.
#[derive(Debug, Default)]
pub struct LaneStats {
    pub(super) records: AtomicU64,
    pub(super) outputs: AtomicU64,
    pub(super) dead_letters: AtomicU64,
    pub(super) moved: AtomicU64,
    pub(super) commits: AtomicU64,
    pub(super) rejoins: AtomicU64,
    pub(super) stalls: AtomicU64,
    pub(super) partitions: AtomicU64,
    pub(super) sessions: AtomicU64,
    pub(super) states: AtomicU64,
    pub(super) mirrored: AtomicU64,
    pub(super) unmirrored: AtomicU64,
    pub(super) open: AtomicU64,
    pub(super) unfinished: AtomicU64,
    pub(super) parked: AtomicU64,
    pub(super) restoring: AtomicU64,
    pub(super) working: AtomicU64,
    /// What is open, unfinished or being restored, in one number: of three, one might be looked at too soon and the next
    /// too late.
    pub(super) unsettled: AtomicU64,
    /// The workers by name.
    workers: Mutex<BTreeMap<String, WorkerSeen>>,
}

/// One worker, as others may look at it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct WorkerSeen {
    /// Its name in the group.
    pub member: String,
    /// Where its life stands.
    pub state: Standing,
    /// The partitions it holds.
    pub partitions: Vec<i32>,
    /// How long restoring the states of its newest partitions took.
    pub restored_ms: Option<u64>,
    /// When it committed last, in milliseconds since the epoch.
    pub last_commit_ms: Option<i64>,
}

/// Where a worker's life stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// It has no assignment: it is joining, or waits to begin again.
    Joining,
    /// It reads the saved states of what it was assigned.
    Restoring,
    /// It works what it was assigned, be it nothing.
    Working,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Totals {
    /// Records worked and committed.
    pub records: u64,
    /// Records written, states and dead letters not counted.
    pub outputs: u64,
    /// Dead letters written.
    pub dead_letters: u64,
    /// Records moved into their user's partition.
    pub moved: u64,
    /// Transactions committed.
    pub commits: u64,
    /// Times that a worker had to begin again.
    pub rejoins: u64,
    /// Times that nothing came to a worker although records waited.
    pub stalls: u64,
    /// Partitions held now.
    pub partitions: u64,
    /// Session actors in memory now.
    pub sessions: u64,
    /// Saved states in memory now: all of them, or those that Redis lacks.
    pub states: u64,
    /// Partitions whose states Redis holds now.
    pub mirrored: u64,
    /// Partitions whose states are all in memory although there is to be a Redis for them.
    pub unmirrored: u64,
    /// Sessions that wait for an agent now.
    pub open: u64,
    /// Batches worked and not yet committed now.
    pub unfinished: u64,
    /// Users parked now, because their turns kept failing.
    pub parked: u64,
    /// Workers that restore the states of their partitions now.
    pub restoring: u64,
    /// Workers that hold what they were assigned now.
    pub working: u64,
}

impl LaneStats {
    /// One more transaction, which held so much.
    pub(super) fn committed(&self, counts: Counts) {
        self.records.fetch_add(counts.records, Relaxed);
        self.outputs.fetch_add(counts.outputs, Relaxed);
        self.dead_letters.fetch_add(counts.dead_letters, Relaxed);
        self.moved.fetch_add(counts.moved, Relaxed);
        self.commits.fetch_add(1, Relaxed);
    }

    /// Changes what is seen of a worker.
    pub(super) fn see(&self, member: &str, change: impl FnOnce(&mut WorkerSeen)) {
        let mut workers = self.all_workers();
        if !workers.contains_key(member) {
            let (state, partitions) = (Standing::Joining, Vec::new());
            let seen =
                WorkerSeen { member: member.to_owned(), state, partitions, restored_ms: None, last_commit_ms: None };
            workers.insert(member.to_owned(), seen);
        }
        if let Some(seen) = workers.get_mut(member) {
            change(seen);
        }
    }

    /// The workers now, by name.
    #[must_use]
    pub fn workers(&self) -> Vec<WorkerSeen> {
        self.all_workers().values().cloned().collect()
    }

    /// What is seen is right even where a thread ended while it looked.
    fn all_workers(&self) -> MutexGuard<'_, BTreeMap<String, WorkerSeen>> {
        self.workers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether nobody waits for an agent, nothing worked waits for its commit, and no states are being restored. Whatever a
    /// commit brings with it is counted before others can see the commit on the bus.
    #[must_use]
    pub fn is_settled(&self) -> bool {
        self.unsettled.load(Acquire) == 0
    }

    /// The counters now.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            records: self.records.load(Relaxed),
            outputs: self.outputs.load(Relaxed),
            dead_letters: self.dead_letters.load(Relaxed),
            moved: self.moved.load(Relaxed),
            commits: self.commits.load(Relaxed),
            rejoins: self.rejoins.load(Relaxed),
            stalls: self.stalls.load(Relaxed),
            partitions: self.partitions.load(Relaxed),
            sessions: self.sessions.load(Relaxed),
            states: self.states.load(Relaxed),
            mirrored: self.mirrored.load(Relaxed),
            unmirrored: self.unmirrored.load(Relaxed),
            open: self.open.load(Relaxed),
            unfinished: self.unfinished.load(Relaxed),
            parked: self.parked.load(Relaxed),
            restoring: self.restoring.load(Relaxed),
            working: self.working.load(Relaxed),
        }
    }
}

/// One worker's share of a number that goes up and down: it is taken back when the worker forgets or ends.
#[derive(Debug)]
pub(super) struct Share {
    mine: u64,
}

impl Share {
    pub(super) fn new() -> Self {
        Self { mine: 0 }
    }

    pub(super) fn set(&mut self, total: &AtomicU64, now: usize) {
        let now = u64::try_from(now).unwrap_or(u64::MAX);
        if now >= self.mine {
            total.fetch_add(now - self.mine, Release);
        } else {
            total.fetch_sub(self.mine - now, Release);
        }
        self.mine = now;
    }
}
