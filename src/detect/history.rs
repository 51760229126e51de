//! What is remembered of a person's biometric events: metadata of the last days, small enough to be saved with every event.

use serde::{Deserialize, Serialize};

use crate::seen::Seen;

/// What rules may look back on, and how long what only accompanies them is kept.
const RULE_DAYS: i64 = 8;
const COMPANY_DAYS: i64 = 2;
/// Most events kept.
const SEEN_MAX: usize = 40;
const DAY_MS: i64 = 86_400_000;

/// A person's last days, in order of time.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct History {
    seen: Vec<Seen>,
}

impl History {
    /// Enters an event; false where it is there already.
    pub(super) fn add(&mut self, seen: Seen, is_judged: impl Fn(&Seen) -> bool) -> bool {
        if self.seen.iter().any(|known| known.event == seen.event) {
            return false;
        }
        let place = self.seen.partition_point(|known| known.at <= seen.at);
        self.seen.insert(place, seen);
        let newest = self.seen.last().map_or(0, |seen| seen.at);
        self.seen.retain(|seen| {
            let days = if is_judged(seen) { RULE_DAYS } else { COMPANY_DAYS };
            seen.at > newest - days * DAY_MS
        });
        if self.seen.len() > SEEN_MAX {
            // What only accompanies goes first.
            let index = self.seen.iter().position(|seen| !is_judged(seen)).unwrap_or(0);
            self.seen.remove(index);
        }
        true
    }

    /// Everything up to a moment, oldest first.
    pub fn until(&self, at: i64) -> impl DoubleEndedIterator<Item = &Seen> {
        self.seen.iter().filter(move |seen| seen.at <= at)
    }
}
