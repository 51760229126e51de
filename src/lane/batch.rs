//! One transaction in the making: what a batch of stimuli has brought about so far.

use std::collections::BTreeMap;

use auren_agents::UserId;

use super::{
    Effects,
    state::{States, Written},
};
use crate::{
    bus::{Outgoing, Topic, Transaction},
    trace::Trace,
    wire::{TRACEPARENT, forget},
};

/// Outputs, touched users and input offsets that belong together.
#[derive(Debug, Default)]
pub(super) struct Batch {
    outputs: Vec<Outgoing>,
    offsets: BTreeMap<(Topic, i32), i64>,
    /// Whose state has changed, in the order in which it first did.
    touched: Vec<UserId>,
    /// How many stimuli it has taken.
    pub(super) stimuli: usize,
    pub(super) counts: Counts,
    /// The traces of what is in it, where there are any.
    pub(super) traces: Vec<Trace>,
}

/// How much a batch holds, for the counters.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Counts {
    pub(super) records: u64,
    pub(super) outputs: u64,
    pub(super) dead_letters: u64,
    pub(super) moved: u64,
}

impl Batch {
    /// With room for as much as this one holds.
    pub(super) fn like(other: &Self) -> Self {
        let users = other.touched.len();
        let outputs = Vec::with_capacity(other.outputs.len() + users);
        Self { outputs, touched: Vec::with_capacity(users), ..Self::default() }
    }

    /// Takes over what a stimulus of a user brought about; the cause's trace goes on with every output.
    pub(super) fn take(
        &mut self,
        user: &UserId,
        partition: i32,
        trace: Option<&str>,
        effects: Effects,
        states: &mut States,
    ) {
        let late = effects.trace.as_ref().map(Trace::header);
        let trace = trace.or(late.as_deref());
        self.traces.extend(effects.trace);
        for mut output in effects.outputs {
            output.partition = Some(partition);
            if let Some(trace) = trace {
                output.headers.push((TRACEPARENT.into(), trace.to_owned().into()));
            }
            self.outputs.push(output);
            self.counts.outputs += 1;
        }
        states.waits_until(user, partition, effects.wake);
        if let Some(state) = effects.state {
            let first = states.worked(user.clone(), partition, state, effects.open);
            self.touch(user, first);
        }
    }

    /// A user is forgotten, and whoever comes behind is told.
    pub(super) fn forget(&mut self, user: &UserId, partition: i32, states: &mut States, tell: Option<Topic>) {
        let first = states.gone(user.clone(), partition);
        self.touch(user, first);
        self.outputs.extend(tell.map(|topic| Outgoing { partition: Some(partition), ..forget(topic, user) }));
    }

    fn touch(&mut self, user: &UserId, first: bool) {
        if first {
            self.touched.push(user.clone());
        }
    }

    pub(super) fn dead_letter(&mut self, letter: Outgoing) {
        self.outputs.push(letter);
        self.counts.dead_letters += 1;
    }

    pub(super) fn moved(&mut self, record: Outgoing) {
        self.outputs.push(record);
        self.counts.moved += 1;
    }

    /// An input partition has been worked up to here.
    pub(super) fn worked(&mut self, topic: Topic, partition: i32, next: i64) {
        self.offsets.insert((topic, partition), next);
    }

    /// Adds offsets that have not moved: the group's generation then fences a commit without a record, too.
    pub(super) fn guard(&mut self, positions: impl Iterator<Item = ((Topic, i32), i64)>) {
        for (place, next) in positions {
            self.offsets.entry(place).or_insert(next);
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.outputs.is_empty() && self.offsets.is_empty() && self.touched.is_empty()
    }

    /// The transaction: the newest state of every touched user goes behind the outputs. With it come the states as they
    /// are written, where somebody mirrors them.
    pub(super) fn transaction(self, states: &mut States) -> (Transaction, Vec<Written>) {
        let mut outputs = self.outputs;
        outputs.extend(self.touched.iter().filter_map(|user| states.record(user)));
        let written = if states.are_mirrored() {
            self.touched.iter().filter_map(|user| states.being_written(user)).collect()
        } else {
            Vec::new()
        };
        (Transaction { outputs, offsets: self.offsets }, written)
    }
}
