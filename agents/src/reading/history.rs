//! What was said to the person before, as far as it bears on the present consult.

use chrono::NaiveDate;

use super::{Moment, moment::weekday, trend::number};
use crate::consult::{Cause, Consult, PastAdvice};

/// How many days back the same thing counts as coming again.
const AGAIN_DAYS: i64 = 7;

/// How often the present cause came up before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Repeat {
    /// Not in the last days.
    First,
    /// Earlier on the same day.
    SameDay,
    /// On another day: the how-manieth day it is, and whether the days follow on each other.
    Again { times: u32, in_a_row: bool },
}

impl Repeat {
    /// "two nights in a row", "three times within a week".
    pub(crate) fn in_words(self, nightly: bool) -> String {
        match self {
            Self::First | Self::SameDay => "again".to_owned(),
            Self::Again { times, in_a_row: true } => {
                format!("{} {} in a row", number(times), if nightly { "nights" } else { "days" })
            }
            Self::Again { times: 2, .. } => "twice within a week".to_owned(),
            Self::Again { times, .. } => format!("{} times within a week", number(times)),
        }
    }
}

/// What was said before.
#[derive(Debug)]
pub(crate) struct History<'a> {
    consult: &'a Consult,
    moment: Moment,
}

impl<'a> History<'a> {
    pub(super) fn of(consult: &'a Consult, moment: Moment) -> Self {
        Self { consult, moment }
    }

    /// How often this trigger came up in the last days, whoever spoke about it.
    pub(crate) fn repeat(&self) -> Repeat {
        let Cause::Trigger { trigger_type, .. } = &self.consult.cause else { return Repeat::First };
        let about = trigger_type.as_str();
        let today = self.moment.day();
        let mut days: Vec<NaiveDate> = self
            .past()
            .filter(|past| &*past.about == about)
            .map(|past| self.moment.day_of(&past.at))
            .filter(|day| (0..AGAIN_DAYS).contains(&(today - *day).num_days()))
            .collect();
        days.sort_unstable();
        days.dedup();
        if days.last() == Some(&today) {
            return Repeat::SameDay;
        }
        if days.is_empty() {
            return Repeat::First;
        }
        let mut in_a_row = 1;
        while days.iter().rev().nth(in_a_row - 1).is_some_and(|day| (today - *day).num_days() == in_a_row as i64) {
            in_a_row += 1;
        }
        match u32::try_from(if in_a_row > 1 { in_a_row } else { days.len() + 1 }) {
            Ok(times) => Repeat::Again { times, in_a_row: in_a_row > 1 },
            Err(_) => Repeat::First,
        }
    }

    /// How often the agent already spoke today about the same kind of cause.
    pub(crate) fn spoken_today(&self) -> usize {
        let about = match &self.consult.cause {
            Cause::Trigger { trigger_type, .. } => trigger_type.as_str(),
            Cause::Message { .. } => "message",
        };
        let today = self.moment.day();
        self.own().filter(|past| &*past.about == about && self.moment.day_of(&past.at) == today).count()
    }

    /// What the agent itself said in the last days, newest first.
    pub(crate) fn own(&self) -> impl Iterator<Item = &'a PastAdvice> {
        let agent = &self.consult.agent;
        let mut own: Vec<_> = self.past().filter(|past| past.agent == *agent && self.days_since(past) < 8).collect();
        own.sort_by_key(|past| std::cmp::Reverse(past.at.millis()));
        own.into_iter()
    }

    /// The last trigger anybody spoke about in the last days.
    pub(crate) fn last_trigger(&self) -> Option<&'a PastAdvice> {
        self.past()
            .filter(|past| &*past.about != "message" && self.days_since(past) < 8)
            .max_by_key(|past| past.at.millis())
    }

    /// How many of the person's days lie between then and now.
    pub(crate) fn days_since(&self, past: &PastAdvice) -> i64 {
        (self.moment.day() - self.moment.day_of(&past.at)).num_days()
    }

    /// "earlier today", "yesterday", "on Monday".
    pub(crate) fn when(&self, past: &PastAdvice) -> String {
        match self.days_since(past) {
            0 => "earlier today".to_owned(),
            1 => "yesterday".to_owned(),
            2..7 => format!("on {}", weekday(self.moment.day_of(&past.at))),
            _ => "last week".to_owned(),
        }
    }

    fn past(&self) -> impl Iterator<Item = &'a PastAdvice> {
        let (moment, consult) = (self.moment, self.consult);
        consult.past.iter().filter(move |past| moment.hours_since(&past.at) >= 0)
    }
}
