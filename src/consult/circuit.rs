//! When nobody is let through to an agent any more, and who tries whether it is back. It has no clock of its own.

use std::time::{Duration, Instant};

use super::CircuitState;

/// One agent's circuit.
#[derive(Debug)]
pub(super) struct Circuit {
    failures: u32,
    state: State,
}

#[derive(Debug)]
enum State {
    Closed,
    Open {
        until: Instant,
    },
    /// One question is on its way to try.
    Probing,
}

/// What the end of a question did to the circuit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Change {
    None,
    Opened,
    Closed,
}

/// Whether a question may go, and as what.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Pass {
    /// Like any other.
    Free,
    /// It tries whether the agent is back.
    Probe,
    /// It may not.
    Refused,
}

impl Circuit {
    pub(super) fn new() -> Self {
        Self { failures: 0, state: State::Closed }
    }

    pub(super) fn state(&self) -> CircuitState {
        match self.state {
            State::Closed => CircuitState::Closed,
            State::Open { .. } => CircuitState::Open,
            State::Probing => CircuitState::HalfOpen,
        }
    }

    /// Lets a question through, or not.
    pub(super) fn pass(&mut self, now: impl FnOnce() -> Instant) -> Pass {
        match self.state {
            // Most of the time nobody need look at a clock.
            State::Closed => Pass::Free,
            State::Open { until } if now() >= until => {
                self.state = State::Probing;
                Pass::Probe
            }
            State::Open { .. } | State::Probing => Pass::Refused,
        }
    }

    /// The agent answered: it is there, whatever was thought of it.
    pub(super) fn answered(&mut self) -> Change {
        self.failures = 0;
        match std::mem::replace(&mut self.state, State::Closed) {
            State::Closed => Change::None,
            State::Open { .. } | State::Probing => Change::Closed,
        }
    }

    /// A question had no answer. What set out before the circuit opened changes nothing any more.
    pub(super) fn failed(&mut self, probe: bool, most: u32, pause: Duration, now: Instant) -> Change {
        let opens = match self.state {
            State::Closed => {
                self.failures += 1;
                self.failures >= most
            }
            State::Probing => probe,
            State::Open { .. } => false,
        };
        if !opens {
            return Change::None;
        }
        self.state = State::Open { until: now + pause };
        Change::Opened
    }

    /// Nobody waits for a question any more, so that it tells nothing: the next one tries instead.
    pub(super) fn abandoned(&mut self, probe: bool, now: Instant) {
        if probe && matches!(self.state, State::Probing) {
            self.state = State::Open { until: now };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(10);

    fn opened(now: Instant) -> Circuit {
        let mut circuit = Circuit::new();
        assert_eq!(
            [(); 3].map(|()| circuit.failed(false, 3, PAUSE, now)),
            [Change::None, Change::None, Change::Opened]
        );
        circuit
    }

    #[test]
    fn failures_in_a_row_open_it_and_one_answer_begins_the_row_again() {
        let now = Instant::now();
        let mut circuit = Circuit::new();
        for _ in 0..5 {
            circuit.failed(false, 3, PAUSE, now);
            circuit.failed(false, 3, PAUSE, now);
            assert_eq!(circuit.answered(), Change::None);
        }
        assert_eq!(circuit.pass(|| now), Pass::Free);
        assert_eq!(opened(now).pass(|| now), Pass::Refused);
    }

    #[test]
    fn after_the_pause_one_question_tries_and_decides() {
        let now = Instant::now();
        let mut circuit = opened(now);
        let later = now + PAUSE;
        assert_eq!([circuit.pass(|| later), circuit.pass(|| later)], [Pass::Probe, Pass::Refused]);
        assert_eq!(circuit.failed(false, 3, PAUSE, later), Change::None, "it set out before");
        assert_eq!(circuit.failed(true, 3, PAUSE, later), Change::Opened);
        assert_eq!(circuit.pass(|| later), Pass::Refused);
        let last = later + PAUSE;
        assert_eq!(circuit.pass(|| last), Pass::Probe);
        assert_eq!((circuit.answered(), circuit.pass(|| last)), (Change::Closed, Pass::Free));
        assert_eq!(circuit.failed(false, 3, PAUSE, last), Change::None, "the row begins again");
    }

    #[test]
    fn a_probe_that_nobody_waits_for_leaves_the_try_to_the_next() {
        let now = Instant::now();
        let mut circuit = opened(now);
        let later = now + PAUSE;
        assert_eq!(circuit.pass(|| later), Pass::Probe);
        circuit.abandoned(true, later);
        assert_eq!(circuit.state(), CircuitState::Open);
        assert_eq!(circuit.pass(|| later), Pass::Probe);
    }
}
