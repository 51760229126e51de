//! The commits that are under way, in their order.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::{batch::Counts, state::Written};
use crate::{
    bus::{BusError, Cursor},
    trace::Step,
};

type Done = oneshot::Receiver<Result<Vec<Cursor>, BusError>>;

/// Commits handed to the bus and not decided.
#[derive(Debug, Default)]
pub(super) struct Flights(VecDeque<Flight>);

#[derive(Debug)]
struct Flight {
    done: Done,
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
        self.0.push_back(Flight { done, counts, states, steps });
    }

    /// What the oldest commit counts and which states it wrote, once it is decided; never where none is under way.
    /// Cancelled, it has taken nothing.
    pub(super) async fn decided(&mut self) -> Result<(Counts, Vec<Written>), BusError> {
        let Some(flight) = self.0.front_mut() else { return std::future::pending().await };
        let end = (&mut flight.done).await;
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
