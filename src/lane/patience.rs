//! How long a worker waits before it begins again, and when it gives up.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::bus::BusError;

/// The pause before a new life: from the shortest, doubled up to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(5));
/// A worker that is fenced so often within a minute, each time soon after it began, gives up: somebody else has its name.
const FENCED_LIMIT: usize = 3;
const FENCED_WITHIN: Duration = Duration::from_secs(60);

/// What a worker has been through.
#[derive(Debug)]
pub(super) struct Patience {
    next: Duration,
    fenced: VecDeque<Instant>,
    /// Whoever is not heard of for so long is fenced by those who take its partitions over, and needs no namesake for that.
    session: Duration,
}

/// How a life went.
#[derive(Debug, Clone, Copy)]
pub(super) struct Life {
    /// It committed something.
    pub(super) was_good: bool,
    pub(super) lasted: Duration,
}

impl Patience {
    pub(super) fn new(session: Duration) -> Self {
        Self { next: PAUSES.0, fenced: VecDeque::new(), session }
    }

    /// The pause after a life that ended with an error; none where it was the last. A life that committed something was
    /// a good one, and the pauses begin again.
    pub(super) fn pause(&mut self, error: &BusError, life: Life) -> Option<Duration> {
        if matches!(error, BusError::Fenced { .. }) && life.lasted < self.session {
            self.fenced.push_back(Instant::now());
            self.fenced.retain(|at| at.elapsed() < FENCED_WITHIN);
            if self.fenced.len() >= FENCED_LIMIT {
                return None;
            }
        }
        if life.was_good {
            self.next = PAUSES.0;
        }
        let pause = self.next;
        self.next = (pause * 2).min(PAUSES.1);
        Some(pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_until_a_life_was_good_and_the_third_fencing_is_the_last() {
        let session = Duration::from_secs(6);
        let mut patience = Patience::new(session);
        let life = |was_good, lasted| Life { was_good, lasted };
        let mut pause = |good| patience.pause(&BusError::Closed, life(good, session)).unwrap().as_millis();
        assert_eq!([pause(false), pause(false), pause(true), pause(false)], [100, 200, 100, 200]);
        assert_eq!((0..9).map(|_| pause(false)).last(), Some(5000));
        let fenced = BusError::Fenced { member: "m".to_owned() };
        // Stopped past its session, it is no worse than another node.
        assert!((0..9).all(|_| patience.pause(&fenced, life(false, session)).is_some()));
        let soon = life(true, session / 2);
        assert!(patience.pause(&fenced, soon).is_some() && patience.pause(&fenced, soon).is_some());
        assert_eq!(patience.pause(&fenced, soon), None);
    }
}
