//! The commits that are under way, in their order.

use std::collections::VecDeque;

use tokio::sync::oneshot;

use super::batch::Counts;
use crate::bus::{BusError, Cursor};

type Done = oneshot::Receiver<Result<Vec<Cursor>, BusError>>;

/// Commits handed to the bus and not decided.
#[derive(Debug, Default)]
pub(super) struct Flights(VecDeque<(Done, Counts)>);

impl Flights {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn push(&mut self, done: Done, counts: Counts) {
        self.0.push_back((done, counts));
    }

    /// What the oldest commit counts, once it is decided; never where none is under way. Cancelled, it has taken nothing.
    pub(super) async fn decided(&mut self) -> Result<Counts, BusError> {
        let Some((done, counts)) = self.0.front_mut() else { return std::future::pending().await };
        let (end, counts) = (done.await, *counts);
        self.0.pop_front();
        end.unwrap_or(Err(BusError::Closed)).map(|_| counts)
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }
}
