//! When something came or went last on a connection, and which of both it was.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    time::{Duration, Instant},
};

/// The last moment at which something came or went.
#[derive(Debug)]
pub(super) struct Activity {
    begun: Instant,
    /// Milliseconds since then.
    last: AtomicU64,
    /// Whether it came.
    came: AtomicBool,
}

impl Activity {
    pub(super) fn new() -> Self {
        Self { begun: Instant::now(), last: AtomicU64::new(0), came: AtomicBool::new(false) }
    }

    /// Something came.
    pub(super) fn came(&self) {
        self.note(true);
    }

    /// Something went.
    pub(super) fn went(&self) {
        self.note(false);
    }

    fn note(&self, came: bool) {
        self.last.store(self.now(), Relaxed);
        self.came.store(came, Relaxed);
    }

    /// Whether something has come that nothing has gone behind yet.
    pub(super) fn is_unanswered(&self) -> bool {
        self.came.load(Relaxed)
    }

    /// Waits until nothing has come or gone for so long.
    pub(super) async fn idle_for(&self, limit: Duration) {
        loop {
            let quiet = Duration::from_millis(self.now().saturating_sub(self.last.load(Relaxed)));
            let Some(left) = limit.checked_sub(quiet).filter(|left| !left.is_zero()) else { return };
            tokio::time::sleep(left).await;
        }
    }

    fn now(&self) -> u64 {
        u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}
