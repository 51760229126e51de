//! What chat has done on this node, counted as it happens and read when somebody asks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

use super::protocol::Close;

/// Counters of chat.
#[derive(Debug, Default)]
pub(crate) struct Stats {
    open: AtomicU64,
    received: AtomicU64,
    events: AtomicU64,
    deltas: AtomicU64,
    log_reads: AtomicU64,
    closed: Mutex<BTreeMap<Close, u64>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count {
    /// Sockets and event streams that are open.
    pub(crate) open: u64,
    pub(crate) received: u64,
    pub(crate) events: u64,
    pub(crate) deltas: u64,
    pub(crate) log_reads: u64,
    /// By close code.
    pub(crate) closed: Vec<(u16, u64)>,
    /// By the code of the error.
    pub(crate) refused: Vec<(&'static str, u64)>,
}

/// A socket or an event stream, counted until it is dropped.
#[derive(Debug)]
pub(super) struct Open(Arc<Stats>);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Relaxed);
    }
}

impl Stats {
    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Relaxed);
        Open(Arc::clone(self))
    }

    pub(super) fn received(&self) {
        self.received.fetch_add(1, Relaxed);
    }

    pub(super) fn event(&self) {
        self.events.fetch_add(1, Relaxed);
    }

    pub(super) fn delta(&self) {
        self.deltas.fetch_add(1, Relaxed);
    }

    pub(super) fn log_read(&self) {
        self.log_reads.fetch_add(1, Relaxed);
    }

    pub(super) fn closed(&self, why: Close) {
        *self.closed.lock().expect("nobody panics while counting").entry(why).or_default() += 1;
    }

    pub(super) fn refused(&self, code: &'static str) {
        *self.refused.lock().expect("nobody panics while counting").entry(code).or_default() += 1;
    }

    pub(crate) fn count(&self) -> Count {
        let refused = self.refused.lock().expect("nobody panics while counting");
        let closed = self.closed.lock().expect("nobody panics while counting");
        Count {
            open: self.open.load(Relaxed),
            received: self.received.load(Relaxed),
            events: self.events.load(Relaxed),
            deltas: self.deltas.load(Relaxed),
            log_reads: self.log_reads.load(Relaxed),
            refused: refused.iter().map(|(code, times)| (*code, *times)).collect(),
            closed: Close::ALL.iter().map(|why| (why.code(), closed.get(why).copied().unwrap_or(0))).collect(),
        }
    }
}
