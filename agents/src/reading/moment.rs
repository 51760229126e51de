//! The moment of a consult where the person is: part of the day, weekdays, nights.

use chrono::{DateTime, Datelike, Days, FixedOffset, NaiveDate, Timelike, Weekday};

use crate::time::Timestamp;

/// Before this hour a night's reading belongs to the night that began the evening before.
const NIGHT_BELONGS_UNTIL: u32 = 18;

/// The part of the day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum DayPart {
    Morning,
    Afternoon,
    Evening,
    Night,
}

/// When a consult's cause happened, at the person's own offset.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Moment {
    at: DateTime<FixedOffset>,
}

impl Moment {
    pub(crate) fn of(at: &Timestamp) -> Self {
        Self { at: at.at() }
    }

    pub(crate) fn part(self) -> DayPart {
        match self.at.hour() {
            5..12 => DayPart::Morning,
            12..18 => DayPart::Afternoon,
            18..23 => DayPart::Evening,
            _ => DayPart::Night,
        }
    }

    /// The day that the person is living: what happens after midnight and before dawn still belongs to the evening.
    pub(crate) fn day(self) -> NaiveDate {
        let date = self.at.date_naive();
        if self.at.hour() < 5 { back(date, 1) } else { date }
    }

    /// A number that grows by one from day to day.
    pub(crate) fn day_number(self) -> i64 {
        i64::from(self.day().num_days_from_ce())
    }

    /// The weekday so many days ahead.
    pub(crate) fn weekday_ahead(self, days: u64) -> &'static str {
        weekday(self.day().checked_add_days(Days::new(days)).unwrap_or(self.day()))
    }

    /// The stretch of time that can still be planned, as a noun.
    pub(crate) fn today(self) -> &'static str {
        match self.part() {
            DayPart::Morning => "today",
            DayPart::Afternoon => "the rest of today",
            DayPart::Evening => "tomorrow",
            DayPart::Night => self.weekday_ahead(1),
        }
    }

    /// The next evening.
    pub(crate) fn tonight(self) -> String {
        match self.part() {
            DayPart::Morning | DayPart::Afternoon | DayPart::Evening => "tonight".to_owned(),
            DayPart::Night => format!("{} evening", self.weekday_ahead(1)),
        }
    }

    /// The weekday on which a plan of a few days ends.
    pub(crate) fn until(self) -> &'static str {
        match self.part() {
            DayPart::Morning | DayPart::Afternoon => self.weekday_ahead(2),
            DayPart::Evening | DayPart::Night => self.weekday_ahead(3),
        }
    }

    /// Whole hours that have passed since then; negative where it is yet to come.
    pub(crate) fn hours_since(self, then: &Timestamp) -> i64 {
        (self.at.timestamp_millis() - then.millis()).div_euclid(3_600_000)
    }

    /// The day of a reading.
    pub(crate) fn date_of(self, then: &Timestamp) -> NaiveDate {
        self.local(then).date_naive()
    }

    /// The day of something that was said: what was said after midnight belongs to the evening before.
    pub(crate) fn day_of(self, then: &Timestamp) -> NaiveDate {
        Moment { at: self.local(then) }.day()
    }

    /// The evening on which the night of a reading began.
    pub(crate) fn night_of(self, then: &Timestamp) -> NaiveDate {
        let local = self.local(then);
        let date = local.date_naive();
        if local.hour() < NIGHT_BELONGS_UNTIL { back(date, 1) } else { date }
    }

    /// A time at its own offset, or at the person's where it was written in UTC.
    fn local(self, then: &Timestamp) -> DateTime<FixedOffset> {
        let own = then.at();
        let offset = if own.offset().local_minus_utc() == 0 { *self.at.offset() } else { *own.offset() };
        own.with_timezone(&offset)
    }
}

fn back(date: NaiveDate, days: u64) -> NaiveDate {
    date.checked_sub_days(Days::new(days)).unwrap_or(date)
}

/// "on Tuesday and Wednesday nights".
pub(super) fn on(dates: &[NaiveDate], nights: bool) -> String {
    let names: Vec<_> = dates.iter().map(|date| weekday(*date)).collect();
    let night = match (nights, names.len()) {
        (false, _) => "",
        (true, 1) => " night",
        (true, _) => " nights",
    };
    format!("on {}{night}", list(&names))
}

/// "a, b and c".
pub(crate) fn list(items: &[&str]) -> String {
    match items {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [front @ .., last] => format!("{} and {last}", front.join(", ")),
    }
}

pub(super) fn weekday(date: NaiveDate) -> &'static str {
    match date.weekday() {
        Weekday::Mon => "Monday",
        Weekday::Tue => "Tuesday",
        Weekday::Wed => "Wednesday",
        Weekday::Thu => "Thursday",
        Weekday::Fri => "Friday",
        Weekday::Sat => "Saturday",
        Weekday::Sun => "Sunday",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    #[test]
    fn a_night_is_named_after_the_evening_it_began() {
        let now = Moment::of(&time("2024-05-16T07:00:00+02:00"));
        assert_eq!(on(&[now.night_of(&time("2024-05-16T06:40:00+02:00"))], true), "on Wednesday night");
        assert_eq!(on(&[now.night_of(&time("2024-05-15T23:40:00+02:00"))], true), "on Wednesday night");
        assert_eq!(weekday(now.date_of(&time("2024-05-15T22:30:00Z"))), "Thursday");
    }

    #[test]
    fn after_midnight_it_is_still_the_same_day_to_somebody_awake() {
        let now = Moment::of(&time("2024-05-16T02:00:00+02:00"));
        assert_eq!((now.part(), weekday(now.day())), (DayPart::Night, "Wednesday"));
        assert_eq!(now.weekday_ahead(1), "Thursday");
    }
}
