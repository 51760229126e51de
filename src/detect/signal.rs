//! What a rule sees in a person's past: windows, sequences and absences, as pure functions of the history up to a moment.

use super::{
    expression::{Aggregate, Field, Node},
    history::History,
    noted::{Noted, OfEvent, local},
    sequence::Sequence,
};

const DAY_MS: i64 = 86_400_000;

/// The past up to a moment.
#[derive(Clone, Copy)]
pub(super) struct Past<'a> {
    pub(super) history: &'a History,
    /// The events before this place are the past.
    pub(super) end: usize,
    /// The moment, and the person's offset from UTC in minutes.
    pub(super) now: i64,
    pub(super) offset: i16,
}

impl<'a> Past<'a> {
    pub(super) fn events(self) -> &'a [Noted] {
        &self.history.events()[..self.end]
    }
}

/// A window, a sequence or an absence, compiled.
#[derive(Debug, Clone)]
pub(super) struct Signal {
    pub(super) name: String,
    pub(super) shape: Shape,
}

#[derive(Debug, Clone)]
pub(super) enum Shape {
    Window { of: Matching, window: Window, value: Field, most: u16 },
    Sequence(Sequence),
    Absence { of: Matching, after: Option<Matching>, span: i64 },
}

/// Events of an input that a condition holds for.
#[derive(Debug, Clone)]
pub(super) struct Matching {
    /// The kinds, a bit each.
    pub(super) kinds: u64,
    pub(super) condition: Option<Node>,
}

/// Which events a window holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Window {
    Last(i64),
    Newest(u16),
    Nights(u16),
    Tumbling(i64),
    Session(i64),
}

/// What a signal says.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Summary {
    count: u32,
    seen: u32,
    run: u32,
    sum: f64,
    min: f64,
    max: f64,
    newest: f64,
    oldest: f64,
    /// How many of those that match have the value.
    valued: u32,
    /// Milliseconds since the newest that matches.
    since: Option<i64>,
    flag: bool,
}

impl Matching {
    pub(super) fn holds(&self, history: &History, event: &Noted) -> bool {
        self.kinds & history.bit(event) != 0 && self.matches(history, event)
    }

    fn matches(&self, history: &History, event: &Noted) -> bool {
        let Some(condition) = &self.condition else { return true };
        condition.flag(&OfEvent { event, stream: history.stream(event) }) == Some(true)
    }
}

/// The person's own night that a moment belongs to: it ends at noon.
fn night(at: i64, offset: i16) -> i64 {
    (local(at, offset) + DAY_MS / 2).div_euclid(DAY_MS)
}

impl Signal {
    /// What it says of a past.
    pub(super) fn summary(&self, past: Past<'_>) -> Summary {
        match &self.shape {
            Shape::Window { of, window, value, most } => {
                let mut summary = Summary::default();
                let mut unbroken = true;
                let mut last_night = None;
                walk(past, of.kinds, *window, *most, |place, own_night| {
                    let event = &past.events()[place];
                    // A night without an event ends a run of nights.
                    if let (Window::Nights(_), Some(later)) = (window, last_night) {
                        unbroken &= later - own_night <= 1;
                    }
                    last_night = Some(own_night);
                    let matches = of.matches(past.history, event);
                    summary.add(event, matches, *value, past.now);
                    unbroken &= matches;
                    summary.run += u32::from(unbroken);
                });
                summary
            }
            Shape::Sequence(sequence) => Summary { flag: sequence.places(past).is_some(), ..Summary::default() },
            Shape::Absence { span, .. } => {
                let since = self.anchor(past).map(|anchor| past.now - anchor);
                Summary { flag: since.is_some_and(|since| since >= *span), since, ..Summary::default() }
            }
        }
    }

    /// The places of the events that match, oldest first.
    pub(super) fn places(&self, past: Past<'_>) -> Vec<usize> {
        match &self.shape {
            Shape::Window { of, window, most, .. } => {
                let mut places = Vec::new();
                walk(past, of.kinds, *window, *most, |place, _| {
                    if of.matches(past.history, &past.events()[place]) {
                        places.push(place);
                    }
                });
                places.reverse();
                places
            }
            Shape::Sequence(sequence) => sequence.places(past).unwrap_or_default(),
            Shape::Absence { of, after, .. } => {
                let anchor = after.as_ref().unwrap_or(of);
                past.events().iter().rposition(|event| anchor.holds(past.history, event)).into_iter().collect()
            }
        }
    }

    /// When an absence would be found, if nothing comes; none where it is no absence or nothing is awaited.
    pub(super) fn due(&self, past: Past<'_>) -> Option<i64> {
        let Shape::Absence { span, .. } = &self.shape else { return None };
        Some(self.anchor(past)? + span)
    }

    /// When that began whose absence is told; none where nothing is awaited.
    fn anchor(&self, past: Past<'_>) -> Option<i64> {
        let Shape::Absence { of, after, .. } = &self.shape else { return None };
        let events = past.events();
        match after {
            None => events.iter().rev().find(|event| of.holds(past.history, event)).map(|event| event.at),
            Some(after) => {
                let place = events.iter().rposition(|event| after.holds(past.history, event))?;
                let came = events[place + 1..].iter().any(|event| of.holds(past.history, event));
                (!came).then(|| events[place].at)
            }
        }
    }
}

/// Visits the places of a window's events, newest first, with the night of each.
fn walk(past: Past<'_>, kinds: u64, window: Window, most: u16, mut visit: impl FnMut(usize, i64)) {
    let tonight = night(past.now, past.offset);
    let mut left = most;
    let mut later = past.now;
    let mut last_night = i64::MAX;
    for (place, event) in past.events().iter().enumerate().rev() {
        if past.history.bit(event) & kinds == 0 {
            continue;
        }
        let mut own_night = 0;
        match window {
            Window::Last(span) => {
                if event.at <= past.now - span {
                    return;
                }
            }
            Window::Newest(count) => {
                if most - left == count {
                    return;
                }
            }
            Window::Nights(count) => {
                own_night = night(event.at, event.offset);
                if tonight - own_night >= i64::from(count) {
                    return;
                }
                // A night that was reported twice is one night, and its newest report counts.
                if own_night >= last_night {
                    continue;
                }
                last_night = own_night;
            }
            Window::Tumbling(every) => {
                let begun = local(past.now, past.offset).div_euclid(every) * every;
                let at = local(event.at, event.offset);
                if at >= begun {
                    continue;
                }
                if at < begun - every {
                    return;
                }
            }
            Window::Session(gap) => {
                if later - event.at >= gap {
                    return;
                }
                later = event.at;
            }
        }
        if left == 0 {
            return;
        }
        left -= 1;
        visit(place, own_night);
    }
}

impl Summary {
    fn add(&mut self, event: &Noted, matches: bool, value: Field, now: i64) {
        self.seen += 1;
        if !matches {
            return;
        }
        self.count += 1;
        self.since.get_or_insert(now - event.at);
        let Some(value) = event.number(value) else { return };
        if self.valued == 0 {
            (self.newest, self.min, self.max) = (value, value, value);
        }
        self.valued += 1;
        self.sum += value;
        self.min = self.min.min(value);
        self.max = self.max.max(value);
        self.oldest = value;
    }

    pub(super) fn number(&self, aggregate: Aggregate) -> Option<f64> {
        let valued = |value: f64| (self.valued > 0).then_some(value);
        match aggregate {
            Aggregate::Count => Some(f64::from(self.count)),
            Aggregate::Seen => Some(f64::from(self.seen)),
            Aggregate::Share => (self.seen > 0).then(|| f64::from(self.count) / f64::from(self.seen)),
            Aggregate::Run => Some(f64::from(self.run)),
            Aggregate::Mean => valued(self.sum / f64::from(self.valued.max(1))),
            Aggregate::Min => valued(self.min),
            Aggregate::Max => valued(self.max),
            Aggregate::Sum => Some(self.sum),
            Aggregate::Newest => valued(self.newest),
            Aggregate::Oldest => valued(self.oldest),
            Aggregate::Rise => valued(self.newest - self.oldest),
            #[expect(clippy::cast_precision_loss, reason = "milliseconds of some weeks")]
            Aggregate::Hours => self.since.map(|since| since as f64 / 3.6e6),
            Aggregate::Found | Aggregate::Absent => None,
        }
    }

    pub(super) fn flag(&self) -> bool {
        self.flag
    }
}
