//! The engine: an event enters a person's history, and the rules that it concerns are judged, each at its time.
//!
//! Time is event time, and each person has their own. A rule whose inputs allow no lateness is judged at once, as of the
//! newest event of its inputs. One that allows some is judged in the order of event time, ties by event id, once the
//! person's clock is past by that much, so that the order of arrival within it changes nothing. An event that comes
//! out of order is counted; one that comes later than allowed is remembered, and judged with the next one. Nothing that was
//! said is taken back.
//!
//! Time goes on without events, too. A person's *clock* is at their newest event, but never ahead of when that was written,
//! and goes on from there as the wall clock does. So a device whose clock is fast brings nothing forward, and a past that
//! comes all at once is no silence: it is as long as the clock says since then. What is absent is found when that clock says
//! so, and so is what waits for a lateness; the moment that a finding is about is that of its events, or when the absence
//! was complete. Nothing here asks what time it is: it comes with records, and with being woken.

mod clock;

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
const VERSION: u8 = 3;
/// A trigger carries at most so many events that it rests on.
const WINDOW_MAX: usize = 16;

/// What is remembered of a person: their last days, and what was said of them.
#[derive(Debug, Default, Clone, Serialize, Deserialize)]
pub struct Memory {
    pub(super) history: History,
    pub(super) said: Vec<Said>,
    /// Up to which time everything has been judged, for each allowed lateness.
    judged: Vec<(i64, i64)>,
    /// The person's own clock, and by how much the wall clock is ahead of it. Both are 0 where no rule minds time.
    clock: i64,
    behind: i64,
    /// When there is something to find by time alone, on the wall clock.
    wake: Option<i64>,
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

    /// The person's own clock; 0 where no rule minds time.
    pub(super) fn clock(&self) -> i64 {
        self.clock
    }

    /// When there is something to find if nothing comes until then, on the wall clock.
    #[must_use]
    pub fn wake(&self) -> Option<i64> {
        self.wake
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
    /// Enters an event that was written at a time of the wall clock, and judges what it concerns; what there is to say is
    /// added to `found`. False where there is nothing to write.
    pub fn work(
        &self,
        memory: &mut Memory,
        noted: Noted,
        stream: &Stream,
        written: i64,
        found: &mut Vec<Finding>,
    ) -> bool {
        let (at, before, wake) = (noted.at, found.len(), memory.wake);
        self.adopt(memory);
        let late = self.mind_time() && self.judge(memory, found).come(at, written);
        let judged = memory.judged.iter().map(|(_, judged)| *judged).min().unwrap_or(i64::MAX);
        let added = memory.history.add(noted, stream, &self.kinds, judged);
        match added {
            Added::New(kind) if kind != UNREAD => self.judge(memory, found).at_once(kind, at),
            Added::New(_) | Added::Known => {}
            Added::TooOld => drop(self.late.fetch_add(1, Relaxed)),
        }
        if self.mind_time() {
            let mut judge = self.judge(memory, found);
            if late {
                judge.absences(i64::MIN);
            }
            judge.set_wake();
        }
        // What was absent until it came is said all the same.
        matches!(added, Added::New(_)) || found.len() > before || memory.wake != wake
    }

    /// Time has passed without an event, up to this moment of the wall clock: what is to be found by then is said. False
    /// where there is nothing to write.
    pub fn tick(&self, memory: &mut Memory, now: i64, found: &mut Vec<Finding>) -> bool {
        let (wake, before) = (memory.wake, found.len());
        self.adopt(memory);
        // Of somebody whose clock is not known nothing is, until an event comes.
        if self.mind_time() && memory.clock > 0 {
            let passed = memory.clock.max(now - memory.behind);
            let mut judge = self.judge(memory, found);
            judge.pass(passed);
            judge.set_wake();
        }
        found.len() > before || memory.wake != wake
    }

    /// Whether time alone can make any of them speak.
    fn mind_time(&self) -> bool {
        !self.absences.is_empty() || !self.latenesses.is_empty()
    }

    fn judge<'a>(&'a self, memory: &'a mut Memory, found: &'a mut Vec<Finding>) -> Judge<'a> {
        Judge { rules: self, memory, found, summaries: Vec::new() }
    }

    /// Makes a memory one of these rules: rules that have gone are forgotten, and those of another version do what they say.
    fn adopt(&self, memory: &mut Memory) {
        if memory.rules == self.number {
            return;
        }
        memory.rules = self.number;
        if !self.mind_time() {
            (memory.clock, memory.behind, memory.wake) = (0, 0, None);
        }
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
            let (mut now, offset) = (event.at, event.offset);
            // A clock that is fast would take for absent what may still come.
            if !rules.absences.is_empty() && rule.tells_of_absence() {
                now = now.min(self.memory.clock);
            }
            self.judge(*number, place + 1, now, offset);
        }
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
