//! The engine: an event enters a person's history, and the rules that it concerns are judged, each at its time.
//!
//! Time is event time, and each person has their own. A rule whose inputs allow no lateness is judged at once, as of the
//! newest event of its inputs. One that allows some is judged in the order of event time, ties by event id, once the
//! person's newest event is older by that much, so that the order of arrival within it changes nothing. An event that comes
//! out of order is counted; one that comes later than allowed is remembered, and judged with the next one. Nothing that was
//! said is taken back.

use std::sync::atomic::Ordering::Relaxed;

use auren_agents::Observation;
use serde::{Deserialize, Serialize};

use super::{
    compile::Compiled,
    expression::{Slot, Values},
    history::{Added, History, UNREAD},
    noted::{Id, Noted, OfEvent, Stream},
    rule::OnChange,
    rules::Rules,
    said::Said,
    signal::{Past, Shape, Summary},
};

/// The version of the saved memory.
const VERSION: u8 = 2;
/// A trigger carries at most so many events that it rests on.
const WINDOW_MAX: usize = 16;

/// What is remembered of a person: their last days, and what was said of them.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Memory {
    pub(super) history: History,
    pub(super) said: Vec<Said>,
    /// Up to which time everything has been judged, for each allowed lateness.
    judged: Vec<(i64, i64)>,
    /// The rules that it was last used with.
    #[serde(skip)]
    rules: u64,
}

/// Something that a rule has to say.
#[derive(Debug, Clone, PartialEq)]
pub struct Finding {
    /// The rule's number among those in force.
    pub(super) rule: u32,
    /// The moment it is about, and the person's offset from UTC in minutes then.
    pub at: i64,
    pub(super) offset: i16,
    /// The event at which it was found.
    pub event: Id,
    /// How much it matters, from 0 to 1.
    pub severity: f64,
    /// What is said.
    pub message: String,
    /// The newest of the events that it rests on, oldest first.
    pub(super) window: Vec<Id>,
    /// Those events and what accompanied them, as agents see them.
    pub(super) evidence: Vec<Observation>,
}

/// The values of a rule's own expressions.
pub(super) struct Seen<'a> {
    pub(super) event: OfEvent<'a>,
    pub(super) summaries: &'a [Summary],
    pub(super) severity: Option<f64>,
}

impl Values for Seen<'_> {
    fn number(&self, slot: Slot) -> Option<f64> {
        match slot {
            Slot::Event(_) => self.event.number(slot),
            Slot::Signal(index, aggregate) => self.summaries[index].number(aggregate),
            Slot::Severity => self.severity,
        }
    }

    fn text(&self, slot: Slot) -> Option<&str> {
        self.event.text(slot)
    }

    fn flag(&self, slot: Slot) -> Option<bool> {
        match slot {
            Slot::Signal(index, _) => Some(self.summaries[index].flag()),
            Slot::Event(_) | Slot::Severity => None,
        }
    }
}

impl Memory {
    /// What is written of it after every change; none where it cannot be written.
    #[must_use]
    pub fn saved(&self) -> Option<Vec<u8>> {
        postcard::to_extend(self, vec![VERSION]).ok()
    }

    /// As it was saved.
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn read(saved: &[u8]) -> Result<Self, &'static str> {
        match saved.split_first() {
            Some((&VERSION, saved)) => postcard::from_bytes(saved).map_err(|_| "is damaged"),
            _ => Err("was saved by another version of AUREN"),
        }
    }
}

impl Compiled {
    /// Whether time alone can make it speak.
    pub(super) fn tells_of_absence(&self) -> bool {
        self.signals.iter().any(|signal| matches!(signal.shape, Shape::Absence { .. }))
    }

    /// The place of the newest event that belongs to one of its inputs.
    pub(super) fn newest(&self, history: &History) -> Option<usize> {
        history.events().iter().rposition(|event| history.bit(event) & self.kinds != 0)
    }

    /// What its signals say of a past.
    pub(super) fn look(&self, past: Past<'_>, summaries: &mut Vec<Summary>) {
        summaries.clear();
        summaries.extend(self.signals.iter().map(|signal| signal.summary(past)));
    }

    /// The places of the events that it rests on: those its signals match, or the event itself.
    pub(super) fn places(&self, past: Past<'_>) -> Vec<usize> {
        let mut places: Vec<usize> = self.signals.iter().flat_map(|signal| signal.places(past)).collect();
        if places.is_empty() {
            places.extend(past.end.checked_sub(1));
        }
        places.sort_unstable();
        places.dedup();
        places
    }
}

impl Rules {
    /// Enters an event and judges what it concerns; what there is to say is added to `found`. False where there is nothing
    /// to write.
    pub fn work(&self, memory: &mut Memory, noted: Noted, stream: &Stream, found: &mut Vec<Finding>) -> bool {
        self.adopt(memory);
        let (at, before) = (noted.at, found.len());
        // Before the event is entered, which may let what was awaited be forgotten.
        Judge { rules: self, memory, found, summaries: Vec::new() }.absences(at);
        let judged = memory.judged.iter().map(|(_, judged)| *judged).min().unwrap_or(i64::MAX);
        let kind = match memory.history.add(noted, stream, &self.kinds, judged) {
            Added::New(kind) => kind,
            // What was absent until it came is said all the same.
            Added::Known => return found.len() > before,
            Added::TooOld => {
                self.late.fetch_add(1, Relaxed);
                return found.len() > before;
            }
        };
        let mut judge = Judge { rules: self, memory, found, summaries: Vec::new() };
        if kind != UNREAD {
            judge.at_once(kind, at);
        }
        for index in 0..self.latenesses.len() {
            judge.in_order(index);
        }
        true
    }

    /// Time has passed without an event: what is absent by now is said. No role calls it yet; a node finds an absence with
    /// the person's next event.
    pub fn tick(&self, memory: &mut Memory, now: i64, found: &mut Vec<Finding>) {
        self.adopt(memory);
        let end = memory.history.events().len();
        // An event that a lateness allows may still come.
        Judge { rules: self, memory, found, summaries: Vec::new() }.late_absences(0, end, now);
    }

    /// Makes a memory one of these rules: rules that have gone are forgotten, and those of another version do what they say.
    fn adopt(&self, memory: &mut Memory) {
        if memory.rules == self.number {
            return;
        }
        memory.rules = self.number;
        memory.history.resolve(&self.kinds);
        memory.said.retain_mut(|said| {
            let Some(known) = self.all.iter().find(|known| known.key == said.rule) else { return false };
            let changed = known.rule.version != said.version;
            said.version = known.rule.version;
            match known.rule.on_change {
                OnChange::Reset => !changed,
                OnChange::Migrate => {
                    said.holds &= !changed;
                    true
                }
                OnChange::Keep => true,
            }
        });
        let judged = std::mem::take(&mut memory.judged);
        let of = |lateness: i64| judged.iter().find(|(known, _)| *known == lateness).map(|(_, judged)| *judged);
        // A lateness that is new begins with what is known already.
        let newest = memory.history.events().last().map_or(i64::MIN, |event| event.at + 1);
        memory.judged = self.latenesses.iter().map(|lateness| (*lateness, of(*lateness).unwrap_or(newest))).collect();
    }
}

struct Judge<'a> {
    rules: &'a Rules,
    memory: &'a mut Memory,
    found: &'a mut Vec<Finding>,
    summaries: Vec<Summary>,
}

impl Judge<'_> {
    /// Judges the rules without lateness, each as of the newest event of its inputs.
    fn at_once(&mut self, kind: u8, at: i64) {
        let rules = self.rules;
        let history = &self.memory.history;
        let mut newer = history.events().iter().rev().take_while(|event| event.at > at);
        if newer.any(|event| history.kind(event) == kind) {
            rules.late.fetch_add(1, Relaxed);
        }
        for number in &rules.kinds[usize::from(kind)].readers {
            let rule = &rules.all[*number as usize].rule;
            if rule.lateness > 0 {
                continue;
            }
            let Some(place) = rule.newest(&self.memory.history) else { continue };
            let event = &self.memory.history.events()[place];
            let (now, offset) = (event.at, event.offset);
            self.judge(*number, place + 1, now, offset);
        }
    }

    /// Judges, in order of event time, what has become old enough for rules of a lateness.
    fn in_order(&mut self, index: usize) {
        let rules = self.rules;
        let (lateness, judged) = self.memory.judged[index];
        let Some(newest) = self.memory.history.events().last().map(|event| event.at) else { return };
        let release = newest - lateness;
        if release <= judged {
            return;
        }
        let place = |history: &History, at: i64| history.events().partition_point(|event| event.at < at);
        let places = place(&self.memory.history, judged)..place(&self.memory.history, release);
        for place in places {
            let event = &self.memory.history.events()[place];
            let (now, offset, kind) = (event.at, event.offset, self.memory.history.kind(event));
            self.late_absences(lateness, place, now);
            if kind == UNREAD {
                continue;
            }
            for number in &rules.kinds[usize::from(kind)].readers {
                if rules.all[*number as usize].rule.lateness == lateness {
                    self.judge(*number, place + 1, now, offset);
                }
            }
        }
        let end = place(&self.memory.history, release);
        self.late_absences(lateness, end, release - 1);
        self.memory.judged[index].1 = release;
    }

    fn late_absences(&mut self, lateness: i64, end: usize, now: i64) {
        let rules = self.rules;
        for number in &rules.absences {
            if rules.all[*number as usize].rule.lateness == lateness {
                self.absence(*number, end, now);
            }
        }
    }

    /// Judges what was absent until an event came that is the newest.
    fn absences(&mut self, at: i64) {
        let events = self.memory.history.events();
        if !self.rules.absences.is_empty() && events.last().is_some_and(|last| last.at <= at) {
            let end = events.len();
            self.late_absences(0, end, at);
        }
    }

    /// Judges an absence at the moment at which it was complete, if that has come by `now`.
    fn absence(&mut self, number: u32, end: usize, now: i64) {
        let rule = &self.rules.all[number as usize].rule;
        let history = &self.memory.history;
        let Some(offset) = end.checked_sub(1).map(|last| history.events()[last].offset) else { return };
        let past = Past { history, end, now, offset };
        let due = rule.signals.iter().filter_map(|signal| signal.due(past)).filter(|due| *due <= now).min();
        let Some(due) = due else { return };
        let end = history.events()[..end].partition_point(|event| event.at <= due);
        self.judge(number, end, due, offset);
    }

    /// Judges a rule at a moment, with the events before `end` as the past.
    fn judge(&mut self, number: u32, end: usize, now: i64, offset: i16) {
        let Memory { history, said, .. } = &mut *self.memory;
        let known = &self.rules.all[number as usize];
        let rule = &known.rule;
        let past = Past { history, end, now, offset };
        let Some(event) = past.events().last() else { return };
        rule.look(past, &mut self.summaries);
        let event = OfEvent { event, stream: history.stream(event) };
        let mut seen = Seen { event, summaries: &self.summaries, severity: None };
        if rule.when.flag(&seen) != Some(true) {
            if let Some(said) = said.iter_mut().find(|said| said.rule == known.key)
                && now > said.at
                && rule.clear.as_ref().is_none_or(|clear| clear.flag(&seen) == Some(true))
            {
                said.holds = false;
            }
            return;
        }
        let severity = rule.severity.number(&seen).filter(|severity| !severity.is_nan()).unwrap_or(0.5).clamp(0.0, 1.0);
        if !known.speaks(said, severity, now, offset) {
            return;
        }
        known.spoken.fetch_add(1, Relaxed);
        if known.shadow {
            tracing::info!(rule = %rule.id, version = rule.version, "a rule in the shadow would have spoken");
            return;
        }
        seen.severity = Some(severity);
        let places = rule.places(past);
        let window = &places[places.len().saturating_sub(WINDOW_MAX)..];
        self.found.push(Finding {
            rule: number,
            at: now,
            offset,
            event: seen.event.event.id.clone(),
            severity,
            message: rule.message.render(&seen),
            window: window.iter().map(|place| history.events()[*place].id.clone()).collect(),
            evidence: history.evidence(window, now),
        });
    }
}
