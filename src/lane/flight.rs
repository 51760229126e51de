//! The commits that are under way, in their order.

use std::{collections::VecDeque, time::Duration};

use tokio::{
    sync::oneshot,
    time::{Instant, timeout_at},
};

use super::{batch::Counts, state::Written};
use crate::{
    bus::{BusError, Cursor},
    trace::Step,
};

/// A commit of which nothing is heard for so long is given up. The bus has limits of its own; but the call that adds offsets to a
/// transaction was seen not to keep its own where a broker had frozen, for as long as the idle connection was kept.
const LIMIT: Duration = Duration::from_secs(30);

type Done = oneshot::Receiver<Result<Vec<Cursor>, BusError>>;

/// Commits handed to the bus and not decided.
#[derive(Debug, Default)]
pub(super) struct Flights(VecDeque<Flight>);

#[derive(Debug)]
struct Flight {
    done: Done,
    begun: Instant,
    counts: Counts,
    /// The states of the commit, its last records, where somebody wants to know when they are written.
    states: Vec<Written>,
    /// The commit as the traces of its records tell of it.
    steps: Vec<Step>,
}

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, done: Done, counts: Counts, states: Vec<Written>, steps: Vec<Step>) {
        self.0.push_back(Flight { done, begun: Instant::now(), counts, states, steps });
    }

    /// What the oldest commit counts and which states it wrote, once it is decided; never where none is under way.
    /// Cancelled, it has taken nothing.
    pub(super) async fn decided(&mut self, member: &str) -> Result<(Counts, Vec<Written>), BusError> {
        let Some(flight) = self.0.front_mut() else { return std::future::pending().await };
        let silent = |_| {
            let why = format!("nothing was heard of it for {} s", LIMIT.as_secs());
            Ok(Err(BusError::NotCommitted { member: member.to_owned(), why }))
        };
        let end = timeout_at(flight.begun + LIMIT, &mut flight.done).await.unwrap_or_else(silent);
        let Some(mut flight) = self.0.pop_front() else { return Err(BusError::Closed) };
        let cursors = end.unwrap_or(Err(BusError::Closed)).inspect_err(|_| {
            flight.steps.iter_mut().for_each(|step| step.failed("it is not known to be committed"));
        })?;
        let states = cursors.len().saturating_sub(flight.states.len());
        for (written, cursor) in flight.states.iter_mut().zip(&cursors[states..]) {
            written.offset = cursor.offset;
        }
        Ok((flight.counts, flight.states))
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_commit_of_which_nothing_is_heard_is_given_up_and_one_that_is_late_is_not() {
        let mut flights = Flights::default();
        for answered in [true, false] {
            let (answer, done) = oneshot::channel();
            flights.push(done, Counts::default(), Vec::new(), Vec::new());
            flights.0[0].begun -= LIMIT;
            if answered {
                answer.send(Ok(Vec::new())).unwrap();
                flights.decided("m").await.unwrap();
            } else {
                let error = flights.decided("m").await.unwrap_err();
                assert!(error.to_string().contains("nothing was heard of it for 30 s"), "{error}");
            }
            assert_eq!(flights.len(), 0);
        }
    }
}
