//! How much may come of a client, in frames or in bytes.

use tokio::time::Instant;

/// How much may come.
pub(super) struct Pace {
    per_second: f64,
    left: f64,
    at: Instant,
}

impl Pace {
    /// So much a second; twice as much may come at once.
    pub(super) fn new(per_second: u32) -> Self {
        let per_second = f64::from(per_second);
        Self { per_second, left: per_second * 2.0, at: Instant::now() }
    }

    /// Whether so much may pass.
    pub(super) fn take(&mut self, much: u32) -> bool {
        let gained = self.at.elapsed().as_secs_f64() * self.per_second;
        self.at = Instant::now();
        self.left = (self.left + gained).min(self.per_second * 2.0);
        let much = f64::from(much);
        if self.left < much {
            return false;
        }
        self.left -= much;
        true
    }
}
