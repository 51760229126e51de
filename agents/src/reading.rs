//! What a consult's metadata says about a body, in terms that both built-in experts share.
//!
//! It turns ranks, severities and trends into signs that are off or as usual, finds what else could explain a change,
//! and counts how often the same thing came up before. It knows no wording beyond the names of things, and no clock but
//! the consult's own.

mod explanation;
mod history;
mod moment;
mod notice;
mod sign;
mod trend;

pub(crate) use explanation::Explanation;
pub(crate) use history::{History, Repeat};
pub(crate) use moment::{DayPart, Moment, list};
pub(crate) use notice::{is_nightly, what};
pub(crate) use sign::{Direction, Sign};
pub(crate) use trend::{Trend, days_in_words};

use chrono::NaiveDate;

use crate::{
    consult::{Consult, Observation},
    events::TriggerType,
    ids::EventId,
    text::Score,
    time::Timestamp,
};

/// How many hours back a reading still says something about now.
const FRESH_HOURS: i64 = 48;
/// How many days back a reading is named at all: within them a weekday's name means one day only.
const NAMED_DAYS: i64 = 5;
/// From this severity on a reading counts as outside the person's usual range.
const OFF_SEVERITY: f64 = 0.25;
/// The unwelcome tenth of a person's own readings counts too, once there is any severity at all.
const OFF_RANK: f64 = 0.9;
/// A workout or a night in this outer part of the person's own readings explains other changes, severity or not.
const EXPLAINS_RANK: f64 = 0.8;

/// How much a cause matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Band {
    /// Worth a word.
    Mild,
    /// Plain to see.
    Clear,
    /// Far from usual.
    Strong,
}

impl Band {
    pub(crate) fn of(severity: Score) -> Self {
        match severity.get() {
            weak if weak < 0.4 => Self::Mild,
            middling if middling < 0.7 => Self::Clear,
            _ => Self::Strong,
        }
    }

    /// The word before "below" or "above".
    pub(crate) fn how(self) -> &'static str {
        match self {
            Self::Mild => "slightly",
            Self::Clear => "clearly",
            Self::Strong => "far",
        }
    }

    /// The word before a comparative.
    pub(crate) fn much(self) -> &'static str {
        match self {
            Self::Mild => "a little",
            Self::Clear => "clearly",
            Self::Strong => "much",
        }
    }
}

/// A consult as an expert reads it.
#[derive(Debug)]
pub(crate) struct Reading<'a> {
    pub(crate) consult: &'a Consult,
    pub(crate) moment: Moment,
    pub(crate) history: History<'a>,
    signs: Vec<(Sign, &'a Observation)>,
}

impl<'a> Reading<'a> {
    pub(crate) fn of(consult: &'a Consult) -> Self {
        let moment = Moment::of(&consult.at);
        let mut signs: Vec<_> = consult
            .recent
            .iter()
            .filter(|seen| (0..24 * 7).contains(&moment.hours_since(&seen.timestamp)))
            .filter_map(|seen| Some((Sign::of(seen)?, seen)))
            .collect();
        signs.sort_by_key(|(_, seen)| seen.timestamp.millis());
        Self { consult, moment, history: History::of(consult, moment), signs }
    }

    /// The readings of the newest day that has any of this sign, if that day is recent enough to speak of now.
    fn newest(&self, sign: Sign) -> Vec<&'a Observation> {
        let of_sign = || self.signs.iter().filter(move |(other, _)| *other == sign).map(|(_, seen)| *seen);
        let Some(last) = of_sign().next_back() else { return Vec::new() };
        if self.moment.hours_since(&last.timestamp) > FRESH_HOURS {
            return Vec::new();
        }
        let day = self.date(sign, last);
        of_sign().filter(|seen| self.date(sign, seen) == day).collect()
    }

    /// Whether anything is known about the sign now.
    pub(crate) fn knows(&self, sign: Sign) -> bool {
        !self.newest(sign).is_empty()
    }

    /// Whether the sign is outside the person's usual range now.
    pub(crate) fn is_off(&self, sign: Sign) -> bool {
        self.newest(sign).iter().any(|seen| off(sign, seen))
    }

    /// Whether the sign is known and within the person's usual range now.
    pub(crate) fn is_usual(&self, sign: Sign) -> bool {
        self.knows(sign) && !self.is_off(sign)
    }

    /// Whether the sign lies far enough out to explain other changes.
    fn explains(&self, sign: Sign) -> bool {
        self.newest(sign).iter().any(|seen| off(sign, seen) || sign.unwelcome_rank(seen) >= EXPLAINS_RANK)
    }

    /// The worst severity of the sign now.
    pub(crate) fn severity(&self, sign: Sign) -> f64 {
        self.newest(sign).iter().map(|seen| seen.severity_score.get()).fold(0.0, f64::max)
    }

    /// The trend of the newest reading.
    pub(crate) fn trend(&self, sign: Sign) -> Trend {
        self.newest(sign).last().map_or(Trend::Unknown, |seen| Trend::parse(&seen.trend))
    }

    /// The days or nights, oldest first, on which the sign lay outside the usual range (or far out, where none did).
    pub(crate) fn off_dates(&self, sign: Sign) -> Vec<NaiveDate> {
        let dates = |counts: &dyn Fn(&Observation) -> bool| {
            let mut dates: Vec<_> = self
                .signs
                .iter()
                .filter(|(other, seen)| *other == sign && self.named(seen) && counts(seen))
                .map(|(_, seen)| self.date(sign, seen))
                .collect();
            dates.dedup();
            dates
        };
        let dates_off = dates(&|seen| off(sign, seen));
        if dates_off.is_empty() { dates(&|seen| sign.unwelcome_rank(seen) >= EXPLAINS_RANK) } else { dates_off }
    }

    /// Whether the sign was off after a moment in the past; `None` where it was not read since.
    pub(crate) fn off_since(&self, sign: Sign, then: &Timestamp) -> Option<bool> {
        let newest = self.newest(sign);
        let since: Vec<_> = newest.iter().filter(|seen| seen.timestamp > *then).collect();
        (!since.is_empty()).then(|| since.iter().any(|seen| off(sign, seen)))
    }

    /// "on Tuesday and Wednesday nights", or nothing where the sign was not seen off.
    pub(crate) fn when(&self, sign: Sign) -> Option<String> {
        let dates = self.off_dates(sign);
        (!dates.is_empty()).then(|| moment::on(&dates[dates.len().saturating_sub(3)..], sign.is_nightly()))
    }

    /// The events behind a sign that is off.
    pub(crate) fn events(&self, sign: Sign) -> Vec<EventId> {
        let seen: Vec<_> = self
            .signs
            .iter()
            .filter(|(other, seen)| *other == sign && self.named(seen))
            .map(|(_, seen)| *seen)
            .collect();
        let mut events: Vec<_> = seen.iter().filter(|seen| off(sign, seen)).map(|seen| seen.event_id.clone()).collect();
        if events.is_empty() {
            events.extend(seen.last().map(|seen| seen.event_id.clone()));
        }
        events.truncate(16);
        events
    }

    /// The signs that are off now, worst first.
    pub(crate) fn all_off(&self) -> Vec<Sign> {
        let mut signs: Vec<_> = Sign::ALL.iter().copied().filter(|sign| self.is_off(*sign)).collect();
        signs.sort_by(|a, b| self.severity(*b).total_cmp(&self.severity(*a)));
        signs
    }

    /// The sign a trigger is about: the first of its usual ones that is off, or else known.
    pub(crate) fn main_sign(&self, trigger: &TriggerType) -> Option<Sign> {
        let usual = notice::signs(trigger);
        let first = |holds: &dyn Fn(Sign) -> bool| usual.iter().copied().find(|sign| holds(*sign));
        first(&|sign| self.is_off(sign))
            .or_else(|| first(&|sign| self.knows(sign)))
            .or_else(|| if usual.is_empty() { self.all_off().first().copied() } else { None })
    }

    fn date(&self, sign: Sign, seen: &Observation) -> NaiveDate {
        if sign.is_nightly() { self.moment.night_of(&seen.timestamp) } else { self.moment.date_of(&seen.timestamp) }
    }

    fn named(&self, seen: &Observation) -> bool {
        self.moment.hours_since(&seen.timestamp) <= NAMED_DAYS * 24
    }
}

fn off(sign: Sign, seen: &Observation) -> bool {
    let severity = seen.severity_score.get();
    severity >= OFF_SEVERITY || (severity > 0.0 && sign.unwelcome_rank(seen) >= OFF_RANK)
}
