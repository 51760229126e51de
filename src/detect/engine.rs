//! The engine: an event enters a person's history, and the rules that it concerns are judged, each at its time.
//!
//! Time is event time, and each person has their own. A rule whose inputs allow no lateness is judged at once, as of the
//! newest event of its inputs. One that allows some is judged in the order of event time, ties by event id, once the
//! person's newest event is older by that much, so that the order of arrival within it changes nothing. What comes later
//! than that is remembered, counted, and judged with the next event; nothing that was said is taken back.

use std::sync::atomic::Ordering::Relaxed;

use auren_agents::Observation;
use serde::{Deserialize, Serialize};

use super::{
    compile::{Compiled, Quiet},
    expression::{Field, Slot, Values},
    history::{Added, History, UNREAD},
    noted::{Id, Noted, OfEvent, Stream},
    rule::OnChange,
    rules::Rules,
    signal::{Past, Shape, Summary},
};

/// The version of the saved memory.
const VERSION: u8 = 2;
const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = 60_000;
/// A trigger carries at most so many events that it rests on, and at most so many others of those days.
const WINDOW_MAX: usize = 16;
const COMPANY_MAX: usize = 12;

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

/// What a rule said last.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Said {
    pub(super) rule: Box<str>,
    pub(super) version: u32,
    pub(super) at: i64,
    pub(super) severity: f64,
    /// Whether what it found has not been well since.
    pub(super) holds: bool,
    /// The local day on which it spoke last, and how often on that day.
    day: i32,
    today: u8,
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

impl Quiet {
    /// Whether the person's own time lies within.
    pub(super) fn holds(&self, at: i64, offset: i16) -> bool {
        let minute = (at / MINUTE_MS + i64::from(offset)).rem_euclid(24 * 60);
        if self.from < self.to {
            (self.from..self.to).contains(&minute)
        } else {
            minute >= self.from || minute < self.to
        }
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

    /// Time has passed without an event: what is absent by now is said.
    pub fn tick(&self, memory: &mut Memory, now: i64, found: &mut Vec<Finding>) {
        self.adopt(memory);
        let end = memory.history.events().len();
        let mut judge = Judge { rules: self, memory, found, summaries: Vec::new() };
        for rule in &self.absences {
            judge.absence(*rule, end, now);
        }
    }

    /// Makes a memory one of these rules: rules that have gone are forgotten, and those of another version do what they say.
    fn adopt(&self, memory: &mut Memory) {
        if memory.rules == self.number {
            return;
        }
        memory.rules = self.number;
        memory.history.resolve(&self.kinds);
        memory.said.retain_mut(|said| {
            let Some(known) = self.named(&said.rule) else { return false };
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
        let InForceRule { rule, shadow, counter } = InForceRule::of(self.rules, number);
        let past = Past { history, end, now, offset };
        let Some(event) = past.events().last() else { return };
        rule.look(past, &mut self.summaries);
        let event = OfEvent { event, stream: history.stream(event) };
        let mut seen = Seen { event, summaries: &self.summaries, severity: None };
        let index = said.iter().position(|said| *said.rule == *rule.id);
        if rule.when.flag(&seen) != Some(true) {
            if let Some(said) = index.map(|index| &mut said[index])
                && now > said.at
                && rule.clear.as_ref().is_none_or(|clear| clear.flag(&seen) == Some(true))
            {
                said.holds = false;
            }
            return;
        }
        let severity = rule.severity.number(&seen).unwrap_or(0.5).clamp(0.0, 1.0);
        let day = i32::try_from((now + i64::from(offset) * MINUTE_MS).div_euclid(DAY_MS)).unwrap_or(i32::MAX);
        let news = match index.map(|index| &said[index]) {
            None => true,
            // It came late, or another stream at the same moment: nothing is said twice of one moment.
            Some(said) if now <= said.at => return,
            Some(said) => {
                let since = now - said.at;
                let again = rule.remind.is_some_and(|remind| since >= remind);
                !said.holds || severity >= said.severity + rule.worse || again
            }
        };
        let quiet = rule.quiet.is_some_and(|quiet| severity < quiet.unless && quiet.holds(now, offset));
        let capped = index
            .is_some_and(|index| said[index].day == day && rule.daily_cap.is_some_and(|cap| said[index].today >= cap));
        if news && (quiet || capped) {
            // It waits for the next event after these hours, and is said then if it is still so.
            return;
        }
        let cool = index.is_none_or(|index| now - said[index].at >= rule.cooldown);
        if !(news && cool) {
            if let Some(index) = index {
                said[index].holds = true;
            }
            return;
        }
        match index.map(|index| &mut said[index]) {
            Some(said) => {
                said.today = if said.day == day { said.today.saturating_add(1) } else { 1 };
                (said.at, said.severity, said.holds, said.day) = (now, severity, true, day);
            }
            None => said.push(Said {
                rule: rule.id.as_str().into(),
                version: rule.version,
                at: now,
                severity,
                holds: true,
                day,
                today: 1,
            }),
        }
        counter.fetch_add(1, Relaxed);
        if shadow {
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
            evidence: history.evidence(window, now, COMPANY_MAX),
        });
    }
}

struct InForceRule<'a> {
    rule: &'a Compiled,
    shadow: bool,
    counter: &'a std::sync::atomic::AtomicU64,
}

impl<'a> InForceRule<'a> {
    fn of(rules: &'a Rules, number: u32) -> Self {
        let known = &rules.all[number as usize];
        Self { rule: &known.rule, shadow: known.shadow, counter: &known.found }
    }
}

/// The name of a variable as its rule writes it.
pub(super) fn name(rule: &Compiled, slot: Slot) -> String {
    let of = |known: &[(&'static str, Field)], field: Field| {
        known.iter().find(|(_, known)| *known == field).map_or("", |(name, _)| *name)
    };
    match slot {
        Slot::Event(field) => format!("event.{}", of(Field::ALL, field)),
        Slot::Signal(index, aggregate) => {
            let known = super::expression::Aggregate::ALL.iter().find(|(_, known)| *known == aggregate);
            format!("{}.{}", rule.signals[index].name, known.map_or("", |(name, _)| *name))
        }
        Slot::Severity => "severity".to_owned(),
    }
}
