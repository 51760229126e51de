//! Who is let through to an agent, and what became of it: one for each agent of a node, shared by all its desks.
//!
//! The circuit is the node's and not a thread's: what fails an agent (a service behind it, a bug) fails all its clones,
//! one thread learns it for the others, and one question tries for all of them. The bound on open questions holds for
//! the node for the same reason.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use auren_agents::AgentId;

use super::{
    AgentHealth, CircuitState, ConsultSettings, Costs,
    circuit::{Change, Circuit, Pass},
    health::AgentTotals,
};

/// One agent's reception.
#[derive(Debug)]
pub(super) struct Reception {
    pub(super) agent: AgentId,
    pub(super) settings: Arc<ConsultSettings>,
    standing: Mutex<Standing>,
}

#[derive(Debug)]
struct Standing {
    circuit: Circuit,
    open: usize,
    totals: AgentTotals,
}

/// How a question ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Answered,
    Refused,
    Unavailable,
    Failed,
    Late,
    Spent,
}

impl Reception {
    pub(super) fn new(agent: AgentId, settings: Arc<ConsultSettings>) -> Self {
        let standing = Standing { circuit: Circuit::new(), open: 0, totals: AgentTotals::default() };
        Self { agent, settings, standing: Mutex::new(standing) }
    }

    /// Counts are right even where a thread ended while it counted.
    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Lets a question through; none where the circuit is open or too many are on their way.
    pub(super) fn admit(self: &Arc<Self>) -> Option<Admission> {
        let mut standing = self.standing();
        if standing.open >= self.settings.max_open {
            standing.totals.busy += 1;
            return None;
        }
        let pass = standing.circuit.pass(Instant::now);
        if pass == Pass::Refused {
            standing.totals.turned_away += 1;
            return None;
        }
        standing.open += 1;
        standing.totals.asked += 1;
        Some(Admission { reception: Arc::clone(self), probe: pass == Pass::Probe, ended: false })
    }

    pub(super) fn started_again(&self) {
        self.standing().totals.restarts += 1;
    }

    pub(super) fn health(&self) -> AgentHealth {
        let standing = self.standing();
        AgentHealth {
            agent: self.agent.clone(),
            circuit: standing.circuit.state(),
            open: standing.open,
            totals: standing.totals,
            dropped: None,
            costs: Costs::default(),
        }
    }
}

/// One question that was let through. Dropped without an end, nobody waits for it any more.
#[derive(Debug)]
pub(super) struct Admission {
    pub(super) reception: Arc<Reception>,
    probe: bool,
    ended: bool,
}

impl Admission {
    /// Whether one more attempt may be made: not on a circuit that is open or being tried.
    pub(super) fn may_retry(&self) -> bool {
        self.reception.standing().circuit.state() == CircuitState::Closed
    }

    /// One more attempt is made.
    pub(super) fn retried(&self) {
        self.reception.standing().totals.retried += 1;
    }

    /// The question has ended.
    pub(super) fn end(mut self, end: End) {
        self.ended = true;
        let Reception { agent, settings, .. } = &*self.reception;
        let change = {
            let mut standing = self.reception.standing();
            standing.open -= 1;
            let totals = &mut standing.totals;
            *match end {
                End::Answered => &mut totals.answered,
                End::Refused => &mut totals.refused,
                End::Unavailable => &mut totals.unavailable,
                End::Failed => &mut totals.failed,
                End::Late => &mut totals.late,
                End::Spent => &mut totals.spent,
            } += 1;
            match end {
                // Who refuses a question is there.
                End::Answered | End::Refused => standing.circuit.answered(),
                End::Unavailable | End::Failed | End::Late => standing.circuit.failed(
                    self.probe,
                    settings.circuit_failures,
                    settings.circuit_pause,
                    Instant::now(),
                ),
                // Nobody was asked, so that it tells nothing.
                End::Spent => {
                    standing.circuit.abandoned(self.probe, Instant::now());
                    Change::None
                }
            }
        };
        match change {
            Change::None => {}
            Change::Opened => tracing::warn!(
                %agent, pause_ms = settings.circuit_pause.as_millis(),
                "an agent's circuit is open; its questions are answered as not available until one gets through"
            ),
            Change::Closed => tracing::info!(%agent, "an agent answers again; its circuit is closed"),
        }
    }
}

impl Drop for Admission {
    fn drop(&mut self) {
        if !self.ended {
            let mut standing = self.reception.standing();
            standing.open -= 1;
            standing.totals.abandoned += 1;
            standing.circuit.abandoned(self.probe, Instant::now());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn reception() -> Arc<Reception> {
        let settings = ConsultSettings {
            attempts: 3,
            retry_pause: Duration::from_millis(1),
            max_open: 2,
            circuit_failures: 1,
            circuit_pause: Duration::from_secs(3600),
        };
        Arc::new(Reception::new(AgentId::new("a").unwrap(), Arc::new(settings)))
    }

    #[test]
    fn so_many_questions_may_be_open_and_each_is_counted_to_its_end() {
        let reception = reception();
        let (first, second) = (reception.admit().unwrap(), reception.admit().unwrap());
        assert!(reception.admit().is_none());
        drop(first);
        second.end(End::Answered);
        reception.admit().unwrap().end(End::Refused);
        let health = reception.health();
        assert_eq!((health.open, health.circuit), (0, CircuitState::Closed));
        let counted =
            AgentTotals { asked: 3, answered: 1, refused: 1, abandoned: 1, busy: 1, ..AgentTotals::default() };
        assert_eq!(health.totals, counted);
    }

    #[test]
    fn an_open_circuit_turns_questions_away_and_ends_attempts_that_are_under_way() {
        let reception = reception();
        let under_way = reception.admit().unwrap();
        assert!(under_way.may_retry());
        reception.admit().unwrap().end(End::Late);
        assert!(!under_way.may_retry());
        assert!(reception.admit().is_none());
        let totals = reception.health().totals;
        assert_eq!((totals.late, totals.turned_away, totals.busy), (1, 1, 0));
        under_way.end(End::Answered);
        assert!(reception.admit().is_some(), "it answered after all");
    }
}
