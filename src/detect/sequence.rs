//! Sequences: steps one after the other within a time, the last of which is the event that is judged.

use super::signal::{Matching, Past};

/// Most events of a sequence's inputs that are looked at.
pub(super) const LOOK_BACK: usize = 64;

/// A sequence, compiled: a step that comes several times stands several times.
#[derive(Debug, Clone)]
pub(super) struct Sequence {
    pub(super) steps: Vec<Step>,
    pub(super) within: i64,
}

#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) of: Matching,
    /// Whether no other event of the sequence's inputs lies between it and the step before it.
    pub(super) next: bool,
    /// What must not lie between it and the step before it.
    pub(super) never: Vec<Matching>,
}

impl Sequence {
    /// All kinds that its steps read.
    pub(super) fn kinds(&self) -> u64 {
        let nevers = |step: &Step| step.never.iter().fold(0, |kinds, never| kinds | never.kinds);
        self.steps.iter().fold(0, |kinds, step| kinds | step.of.kinds | nevers(step))
    }

    /// The places of the steps, oldest first, where the sequence ends with the newest event; the latest ones there are.
    pub(super) fn places(&self, past: Past<'_>) -> Option<Vec<usize>> {
        let kinds = self.kinds();
        let events = past.events();
        let last = self.steps.last()?;
        let newest = events.last()?;
        // Most events are not how any sequence ends.
        if newest.at != past.now || !last.of.holds(past.history, newest) {
            return None;
        }
        let recent: Vec<usize> = (0..events.len())
            .rev()
            .take_while(|place| events[*place].at >= past.now - self.within)
            .filter(|place| past.history.bit(&events[*place]) & kinds != 0)
            .take(LOOK_BACK)
            .collect();
        let mut search = Search { sequence: self, past, recent, failed: vec![0; self.steps.len()] };
        let mut places = Vec::with_capacity(self.steps.len());
        search.before(self.steps.len() - 1, 0, &mut places).then_some(places)
    }
}

struct Search<'a> {
    sequence: &'a Sequence,
    past: Past<'a>,
    /// The places of the sequence's events, newest first.
    recent: Vec<usize>,
    /// For each step, at which of them it led nowhere.
    failed: Vec<u64>,
}

impl Search<'_> {
    /// With `step` at `recent[index]`, finds the steps before it; adds all places, oldest first.
    fn before(&mut self, step: usize, index: usize, places: &mut Vec<usize>) -> bool {
        if self.failed[step] & 1 << index != 0 {
            return false;
        }
        let found = step == 0 || self.earlier(step, index, places);
        if found {
            places.push(self.recent[index]);
        } else {
            self.failed[step] |= 1 << index;
        }
        found
    }

    fn earlier(&mut self, step: usize, index: usize, places: &mut Vec<usize>) -> bool {
        let sequence = self.sequence;
        let Step { next, never, .. } = &sequence.steps[step];
        let before = &sequence.steps[step - 1].of;
        for earlier in index + 1..self.recent.len() {
            let event = &self.past.events()[self.recent[earlier]];
            if before.holds(self.past.history, event) && self.before(step - 1, earlier, places) {
                return true;
            }
            if *next || never.iter().any(|never| never.holds(self.past.history, event)) {
                return false;
            }
        }
        false
    }
}
