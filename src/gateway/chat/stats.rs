//! What chat has done on this node, counted as it happens and read when somebody asks.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use prometheus_client::metrics::histogram::Histogram;

use super::protocol::Close;

/// Bounds of what is timed, in seconds.
const BOUNDS: [f64; 14] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];

/// Counters of chat.
#[derive(Debug)]
pub(crate) struct Stats {
    open: AtomicU64,
    received: AtomicU64,
    received_bytes: AtomicU64,
    sent_bytes: AtomicU64,
    events: AtomicU64,
    deltas: AtomicU64,
    log_reads: AtomicU64,
    handed: [AtomicU64; Tier::ALL.len()],
    closed: Mutex<BTreeMap<Close, u64>>,
    refused: Mutex<BTreeMap<&'static str, u64>>,
    /// From the log's having a cause to a frame of its event.
    pub(crate) told_since: Histogram,
    /// From a client's message to its acknowledgement.
    pub(crate) acknowledged: Histogram,
    /// From a client's coming back to its having all that it missed.
    pub(crate) resumed: Histogram,
}

/// Where what a client is handed comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Tier {
    /// The newest events of the person, in memory.
    Ring,
    /// The newest events of the partition, in memory.
    Tail,
    /// The log.
    Log,
}

/// The counters at one moment.
#[derive(Debug, Clone, Default)]
pub(crate) struct Count {
    /// Sockets and event streams that are open.
    pub(crate) open: u64,
    pub(crate) received: u64,
    pub(crate) received_bytes: u64,
    pub(crate) sent_bytes: u64,
    pub(crate) events: u64,
    pub(crate) deltas: u64,
    pub(crate) log_reads: u64,
    /// By tier, as [`Tier::ALL`] has them.
    pub(crate) handed: [u64; Tier::ALL.len()],
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

impl Tier {
    /// Every tier.
    pub(crate) const ALL: [Self; 3] = [Self::Ring, Self::Tail, Self::Log];

    /// As a label says it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ring => "ring",
            Self::Tail => "tail",
            Self::Log => "log",
        }
    }
}

impl Default for Stats {
    fn default() -> Self {
        let count = AtomicU64::default;
        let times = || Histogram::new(BOUNDS);
        Self {
            open: count(),
            received: count(),
            received_bytes: count(),
            sent_bytes: count(),
            events: count(),
            deltas: count(),
            log_reads: count(),
            handed: Default::default(),
            closed: Mutex::default(),
            refused: Mutex::default(),
            told_since: times(),
            acknowledged: times(),
            resumed: times(),
        }
    }
}

impl Stats {
    pub(super) fn open(self: &Arc<Self>) -> Open {
        self.open.fetch_add(1, Relaxed);
        Open(Arc::clone(self))
    }

    /// A frame of a client, of so many bytes.
    pub(super) fn received(&self, bytes: usize) {
        self.received.fetch_add(1, Relaxed);
        self.received_bytes.fetch_add(bytes as u64, Relaxed);
    }

    /// A frame to a client, of so many bytes.
    pub(super) fn sent(&self, bytes: usize) {
        self.sent_bytes.fetch_add(bytes as u64, Relaxed);
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

    /// So many events from there.
    pub(super) fn handed(&self, tier: Tier, events: usize) {
        self.handed[tier as usize].fetch_add(events as u64, Relaxed);
    }

    /// An event whose cause the log had then, in milliseconds since the epoch.
    pub(super) fn told_since(&self, caused_ms: i64) {
        let caused = u64::try_from(caused_ms).map_or(Duration::ZERO, Duration::from_millis);
        // Another machine's clock may be ahead.
        let took = SystemTime::now().duration_since(UNIX_EPOCH + caused).unwrap_or_default();
        self.told_since.observe(took.as_secs_f64());
    }

    pub(super) fn acknowledged(&self, took: Duration) {
        self.acknowledged.observe(took.as_secs_f64());
    }

    pub(super) fn resumed(&self, took: Duration) {
        self.resumed.observe(took.as_secs_f64());
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
            received_bytes: self.received_bytes.load(Relaxed),
            sent_bytes: self.sent_bytes.load(Relaxed),
            events: self.events.load(Relaxed),
            deltas: self.deltas.load(Relaxed),
            log_reads: self.log_reads.load(Relaxed),
            refused: refused.iter().map(|(code, times)| (*code, *times)).collect(),
            handed: Tier::ALL.map(|tier| self.handed[tier as usize].load(Relaxed)),
            closed: Close::ALL.iter().map(|why| (why.code(), closed.get(why).copied().unwrap_or(0))).collect(),
        }
    }
}
