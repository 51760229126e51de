//! Judges a history: what was lost, doubled, out of order, and how long nothing came. It knows neither bus nor clock.
//!
//! An input that was acknowledged must bring about each of its effects, once, after those of the user's earlier inputs.
//! One that was not acknowledged may have effects or none, but none twice either.

use std::collections::{BTreeMap, HashMap, HashSet};

use auren::bus::Cursor;
use auren_agents::{EventId, UserId, events::CauseKind};
use serde::Serialize;

use super::history::{Acked, History, Seen, Sent};

/// The hub's answer to a whole input at once, where too much of that user's is open already.
const BUSY: &str = "busy";

/// A stall is at least this long, and at least so many times what an answer usually takes, up to the longer one.
const STALL_MS: (i64, i64) = (250, 1000);
const STALL_TIMES: i64 = 10;

/// Something that must not be.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "fault", rename_all = "snake_case")]
pub(super) enum Fault {
    /// An acknowledged input without all of its effects.
    Lost { input: EventId, user: UserId, topic: String, place: String, missing: Vec<u32> },
    /// One effect in two records.
    Duplicated { input: EventId, user: UserId, seat: u32, first: String, again: String },
    /// An effect that stands before one that is due earlier.
    OutOfOrder { input: EventId, user: UserId, place: String, behind: String },
    /// A user whose turns are not 1, 2, 3, …: the hub's memory of it was behind the log, or ahead of it.
    Forgotten { user: UserId, turn: u64, due: u64 },
    /// An event of a user that follows from nothing that was sent.
    Unasked { cause: EventId, user: UserId, place: String },
}

/// Durations in milliseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub(super) struct Spread {
    pub(super) count: usize,
    pub(super) p50_ms: i64,
    pub(super) p99_ms: i64,
    pub(super) max_ms: i64,
}

/// What a history comes to.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(super) struct Verdict {
    pub(super) sent: usize,
    pub(super) acked: usize,
    /// Conversation events of the inputs, each counted once.
    pub(super) effects: usize,
    /// Effects in which the hub speaks in an agent's place: late, failed, unknown, busy.
    pub(super) replaced: usize,
    pub(super) lost: usize,
    pub(super) duplicated: usize,
    pub(super) out_of_order: usize,
    pub(super) forgotten: usize,
    pub(super) unasked: usize,
    /// From sending an input to its first effect.
    pub(super) answers: Spread,
    /// What counts as a stall.
    pub(super) stall_from_ms: i64,
    /// In each partition, from the first unanswered input to the next answer, where that took unusually long.
    pub(super) stalls: Spread,
    #[serde(skip)]
    pub(super) faults: Vec<Fault>,
}

impl Verdict {
    pub(super) fn is_good(&self) -> bool {
        self.faults.is_empty()
    }
}

/// An input with all that is known of it.
struct Case<'a> {
    sent: &'a Sent,
    acked: Option<&'a Acked>,
    /// The first record of each seat.
    effects: BTreeMap<u32, &'a Seen>,
}

impl Case<'_> {
    fn missing(&self) -> Vec<u32> {
        if self.effects.values().any(|seen| seen.code.as_deref() == Some(BUSY)) {
            return Vec::new();
        }
        self.sent.seats.iter().filter(|seat| !self.effects.contains_key(seat)).copied().collect()
    }

    fn answered_ms(&self) -> Option<i64> {
        self.effects.values().map(|seen| seen.at_ms).min()
    }
}

/// Judges what is there so far.
pub(super) fn judge(history: &History) -> Verdict {
    let mut faults = Vec::new();
    let cases = cases(history, &mut faults);
    for case in &cases {
        let Some(acked) = case.acked else { continue };
        let missing = case.missing();
        if !missing.is_empty() {
            faults.push(Fault::Lost {
                input: case.sent.input.clone(),
                user: case.sent.user.clone(),
                topic: acked.topic.to_string(),
                place: Cursor { partition: acked.partition, offset: acked.offset }.to_string(),
                missing,
            });
        }
    }
    let mut users: BTreeMap<&UserId, Vec<&Case<'_>>> = BTreeMap::new();
    for case in &cases {
        users.entry(&case.sent.user).or_default().push(case);
    }
    for (user, cases) in &mut users {
        cases.sort_by_key(|case| case.sent.number);
        // Of two topics nobody knows which record came first: each has its own order.
        for kind in [CauseKind::Trigger, CauseKind::Message] {
            order(cases.iter().filter(|case| case.sent.kind == kind), &mut faults);
        }
        turns(user, cases, &mut faults);
    }
    let answers = cases.iter().filter_map(|case| Some(case.answered_ms()? - case.sent.at_ms)).collect();
    let answers = Spread::of(answers);
    let stall_from_ms = (answers.p50_ms * STALL_TIMES).clamp(STALL_MS.0, STALL_MS.1);
    let effects = || cases.iter().flat_map(|case| case.effects.values());
    let count = |which: fn(&Fault) -> bool| faults.iter().filter(|fault| which(fault)).count();
    Verdict {
        sent: cases.len(),
        acked: cases.iter().filter(|case| case.acked.is_some()).count(),
        effects: effects().count(),
        replaced: effects().filter(|seen| seen.code.is_some()).count(),
        lost: count(|fault| matches!(fault, Fault::Lost { .. })),
        duplicated: count(|fault| matches!(fault, Fault::Duplicated { .. })),
        out_of_order: count(|fault| matches!(fault, Fault::OutOfOrder { .. })),
        forgotten: count(|fault| matches!(fault, Fault::Forgotten { .. })),
        unasked: count(|fault| matches!(fault, Fault::Unasked { .. })),
        answers,
        stall_from_ms,
        stalls: Spread::of(stalls(&cases, stall_from_ms)),
        faults,
    }
}

/// The inputs, each with its effects; what comes twice or from nowhere is a fault.
fn cases<'a>(history: &'a History, faults: &mut Vec<Fault>) -> Vec<Case<'a>> {
    let mut acked: HashMap<&EventId, &Acked> = HashMap::new();
    for one in &history.acked {
        acked.entry(&one.input).or_insert(one);
    }
    let mut cases: Vec<Case<'a>> = history
        .sent
        .iter()
        .map(|sent| Case { sent, acked: acked.get(&sent.input).copied(), effects: BTreeMap::new() })
        .collect();
    let places: HashMap<&EventId, usize> = history.sent.iter().map(|sent| &sent.input).zip(0..).collect();
    let mut known = HashSet::new();
    let mut seen: Vec<&Seen> = history.seen.iter().collect();
    // As they stand in the log: a reader that had to begin again may have heard them in another order.
    seen.sort_by_key(|seen| seen.cursor());
    for seen in seen {
        if !known.insert(seen.cursor()) {
            // The same record, read again.
            continue;
        }
        let case = places.get(&seen.cause).and_then(|index| cases.get_mut(*index));
        let Some(case) = case.filter(|case| case.sent.user == seen.user) else {
            let place = seen.cursor().to_string();
            faults.push(Fault::Unasked { cause: seen.cause.clone(), user: seen.user.clone(), place });
            continue;
        };
        if let Some(first) = case.effects.get(&seen.seat) {
            faults.push(Fault::Duplicated {
                input: seen.cause.clone(),
                user: seen.user.clone(),
                seat: seen.seat,
                first: first.cursor().to_string(),
                again: seen.cursor().to_string(),
            });
            continue;
        }
        case.effects.insert(seen.seat, seen);
    }
    cases
}

/// One user's inputs of one topic, by number: each must be answered behind the one before it, and its seats in their
/// order.
fn order<'a>(cases: impl Iterator<Item = &'a &'a Case<'a>>, faults: &mut Vec<Fault>) {
    let mut last: Option<Cursor> = None;
    for case in cases {
        let mut before = last;
        for (index, seen) in case.effects.values().enumerate() {
            let here = seen.cursor();
            // In another partition nothing stands behind anything.
            if let Some(before) = before
                && (here.partition != before.partition || here < before)
            {
                let (place, behind) = (here.to_string(), before.to_string());
                let (input, user) = (case.sent.input.clone(), case.sent.user.clone());
                faults.push(Fault::OutOfOrder { input, user, place, behind });
            }
            before = before.max(Some(here));
            if index == 0 {
                // An agent that takes long may answer behind a later input's first answer.
                last = last.max(Some(here));
            }
        }
    }
}

/// One user's turns: each answered input has one of its own, and none is left out.
fn turns(user: &UserId, cases: &[&Case<'_>], faults: &mut Vec<Fault>) {
    let mut turns: Vec<u64> = Vec::new();
    for case in cases {
        let mut of_case: Vec<u64> = case.effects.values().map(|seen| seen.turn).collect();
        of_case.sort_unstable();
        of_case.dedup();
        turns.extend(of_case);
    }
    turns.sort_unstable();
    let wrong = (1..).zip(turns).find(|(due, turn)| due != turn);
    if let Some((due, turn)) = wrong {
        faults.push(Fault::Forgotten { user: user.clone(), turn, due });
    }
}

/// How long nothing came although something was due, in each partition.
fn stalls(cases: &[Case<'_>], from_ms: i64) -> Vec<i64> {
    let mut partitions: BTreeMap<i32, Vec<(i64, i64)>> = BTreeMap::new();
    for case in cases {
        let partition = case.effects.values().next().map(|seen| seen.partition);
        if let (Some(partition), Some(answered)) = (partition, case.answered_ms()) {
            partitions.entry(partition).or_default().push((answered, case.sent.at_ms));
        }
    }
    let mut stalls = Vec::new();
    for mut times in partitions.into_values() {
        times.sort_unstable();
        // For each answer, when the oldest of the inputs was sent that are answered then or later.
        let mut oldest: Vec<i64> = times.iter().map(|(_, sent)| *sent).collect();
        for index in (1..oldest.len()).rev() {
            oldest[index - 1] = oldest[index - 1].min(oldest[index]);
        }
        let mut last = i64::MIN;
        for ((answered, _), oldest) in times.into_iter().zip(oldest) {
            let silent = answered - oldest.max(last);
            if silent >= from_ms {
                stalls.push(silent);
            }
            last = answered;
        }
    }
    stalls
}

impl Spread {
    fn of(mut values: Vec<i64>) -> Self {
        values.sort_unstable();
        // The nearest rank.
        let at = |percent: usize| {
            let rank = (values.len() * percent).div_ceil(100);
            values.get(rank.saturating_sub(1)).copied().unwrap_or_default()
        };
        Self { count: values.len(), p50_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }
}

#[cfg(test)]
mod tests;
