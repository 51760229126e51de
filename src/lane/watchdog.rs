//! Notices a worker that holds partitions, to whom nothing comes although records wait, and ends its life so that it joins
//! again. It stands beside the life and sees of it only the [`Pulse`]; whether records wait it asks the bus.

use std::{
    cell::{Cell, RefCell},
    time::{Duration, Instant},
};

use super::{behind::behind, stats::Standing};
use crate::{
    bus::{BusError, SharedBus},
    config::Role,
};

/// How often it feels the pulse within its patience.
const LOOKS: u32 = 4;

/// What a life shows of itself. Worker and watchdog are on one thread.
#[derive(Debug)]
pub(super) struct Pulse {
    beats: Cell<u64>,
    standing: Cell<Standing>,
    /// Whether the worker waits for something to come. Working what came may take long: keys or states may be away.
    waiting: Cell<bool>,
    under_way: Cell<usize>,
    held: RefCell<Vec<i32>>,
}

impl Pulse {
    pub(super) fn new() -> Self {
        let held = RefCell::default();
        let (standing, waiting) = (Cell::new(Standing::Joining), Cell::new(true));
        Self { beats: Cell::new(0), standing, waiting, under_way: Cell::new(0), held }
    }

    /// Something came, was worked or was decided. What the worker does of its own accord is no beat.
    pub(super) fn beat(&self) {
        self.beats.set(self.beats.get().wrapping_add(1));
    }

    pub(super) fn stand(&self, standing: Standing, held: &[i32]) {
        self.standing.set(standing);
        *self.held.borrow_mut() = held.to_vec();
    }

    pub(super) fn waits(&self, waits: bool) {
        self.waiting.set(waits);
    }

    /// So many commits are under way. They have limits of their own, and nothing need come meanwhile.
    pub(super) fn under_way(&self, commits: usize) {
        self.under_way.set(commits);
    }

    /// Whether records that wait would have to come.
    fn may_work(&self) -> bool {
        let may = self.waiting.get() && self.standing.get() == Standing::Working;
        may && self.under_way.get() == 0 && !self.held.borrow().is_empty()
    }
}

/// Since when nothing has been seen.
#[derive(Debug)]
struct Watch {
    patience: Duration,
    beats: u64,
    since: Instant,
}

impl Watch {
    fn begin(patience: Duration, now: Instant) -> Self {
        Self { patience, beats: 0, since: now }
    }

    /// Whether nothing has come for so long that it is time to ask whether records wait.
    fn is_due(&mut self, pulse: &Pulse, now: Instant) -> bool {
        if !self.is_quiet(pulse) {
            (self.beats, self.since) = (pulse.beats.get(), now);
            return false;
        }
        if now.duration_since(self.since) < self.patience {
            return false;
        }
        self.since = now;
        true
    }

    fn is_quiet(&self, pulse: &Pulse) -> bool {
        pulse.may_work() && self.beats == pulse.beats.get()
    }
}

/// Ends when the life that shows this pulse is stalled, with what waits for it.
pub(super) async fn stalled(bus: &SharedBus, role: Role, member: &str, pulse: &Pulse, patience: Duration) -> BusError {
    let mut watch = Watch::begin(patience, Instant::now());
    loop {
        tokio::time::sleep(patience / LOOKS).await;
        if !watch.is_due(pulse, Instant::now()) {
            continue;
        }
        // A bus that does not answer has nothing that waits; whoever is away says so elsewhere.
        let Ok(Ok(Some(error))) = tokio::time::timeout(patience, waits(bus, role, member, pulse, patience)).await
        else {
            continue;
        };
        if watch.is_quiet(pulse) {
            return error;
        }
    }
}

async fn waits(
    bus: &SharedBus,
    role: Role,
    member: &str,
    pulse: &Pulse,
    patience: Duration,
) -> Result<Option<BusError>, BusError> {
    for topic in role.inputs() {
        for (partition, (offset, newest)) in behind(bus, role.group(), *topic).await? {
            if pulse.held.borrow().contains(&partition) {
                return Ok(Some(BusError::Stalled {
                    member: member.to_owned(),
                    place: format!("{topic}[{partition}]"),
                    offset,
                    lag: newest - offset + 1,
                    seconds: patience.as_secs(),
                }));
            }
        }
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Duration = Duration::from_secs(30);

    #[test]
    fn only_a_life_that_could_work_and_shows_nothing_is_asked_after() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let (pulse, mut watch) = (Pulse::new(), Watch::begin(PATIENCE, begin));
        assert!(!watch.is_due(&pulse, at(100)), "it holds nothing");
        pulse.stand(Standing::Restoring, &[0]);
        assert!(!watch.is_due(&pulse, at(200)), "it restores");
        pulse.stand(Standing::Working, &[]);
        assert!(!watch.is_due(&pulse, at(300)), "nothing was assigned to it");
        pulse.stand(Standing::Working, &[0, 3]);
        assert!(!watch.is_due(&pulse, at(329)));
        assert!(watch.is_due(&pulse, at(330)));
        assert!(!watch.is_due(&pulse, at(331)), "it has just been asked after");
        assert!(watch.is_due(&pulse, at(360)));
        pulse.beat();
        assert!(!watch.is_quiet(&pulse) && !watch.is_due(&pulse, at(391)), "something came");
        pulse.waits(false);
        assert!(!watch.is_due(&pulse, at(430)), "what came is being worked");
        pulse.waits(true);
        pulse.under_way(1);
        assert!(!watch.is_due(&pulse, at(500)), "a commit is under way");
        pulse.under_way(0);
        assert!(!watch.is_due(&pulse, at(529)), "the quiet began behind the commit");
        assert!(watch.is_due(&pulse, at(530)));
    }
}
