//! Times as exports write them.

use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, NaiveDateTime, NaiveTime, TimeZone as _};

use super::error::Problem;

/// How times are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Format {
    Auto,
    Seconds,
    Millis,
    /// A pattern of chrono's, and whether it has a time of day and an offset.
    Pattern(String),
}

/// A cell as read: a moment, or a day that still needs a time of day.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    Moment(DateTime<FixedOffset>),
    Day(NaiveDate),
}

impl When {
    /// The moment, where a day without a time means this time of day.
    pub(super) fn moment(self, at: NaiveTime, offset: FixedOffset) -> Result<DateTime<FixedOffset>, Problem> {
        let moment = match self {
            Self::Moment(moment) => moment,
            Self::Day(day) => local(day.and_time(at), offset)?,
        };
        if (1970..=2200).contains(&moment.year()) { Ok(moment) } else { Err(Problem::TimeRange) }
    }
}

/// Reads a trimmed cell.
pub(super) fn read(text: &str, format: &Format, offset: FixedOffset) -> Result<When, Problem> {
    match format {
        Format::Auto => auto(text, offset),
        Format::Seconds => epoch(text, 1000.0, offset),
        Format::Millis => epoch(text, 1.0, offset),
        Format::Pattern(pattern) => {
            if let Ok(moment) = DateTime::parse_from_str(text, pattern) {
                return Ok(When::Moment(moment));
            }
            if let Ok(moment) = NaiveDateTime::parse_from_str(text, pattern) {
                return local(moment, offset).map(When::Moment);
            }
            NaiveDate::parse_from_str(text, pattern).map(When::Day).map_err(|_| Problem::Time)
        }
    }
}

fn auto(text: &str, offset: FixedOffset) -> Result<When, Problem> {
    if text.len() > 64 {
        return Err(Problem::Time);
    }
    if let Ok(day) = text.parse::<NaiveDate>() {
        return Ok(When::Day(day));
    }
    if text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return match text.split('.').next().map_or(0, str::len) {
            9 | 10 => epoch(text, 1000.0, offset),
            12 | 13 => epoch(text, 1.0, offset),
            _ => Err(Problem::Time),
        };
    }
    for pattern in ["%Y-%m-%dT%H:%M:%S%.f%#z", "%Y-%m-%d %H:%M:%S%.f %#z", "%Y-%m-%dT%H:%M%#z", "%Y-%m-%d %H:%M %#z"] {
        if let Ok(moment) = DateTime::parse_from_str(text, pattern) {
            return Ok(When::Moment(moment));
        }
    }
    for pattern in ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%d %H:%M:%S%.f", "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M"] {
        if let Ok(moment) = NaiveDateTime::parse_from_str(text, pattern) {
            return local(moment, offset).map(When::Moment);
        }
    }
    Err(Problem::Time)
}

fn epoch(text: &str, to_millis: f64, offset: FixedOffset) -> Result<When, Problem> {
    let millis = (text.parse::<f64>().map_err(|_| Problem::Time)? * to_millis).round();
    if !(0.0..=7.3e12).contains(&millis) {
        return Err(Problem::TimeRange);
    }
    #[expect(clippy::cast_possible_truncation, reason = "whole, and within the years 1970 to 2200")]
    let moment = DateTime::from_timestamp_millis(millis as i64).ok_or(Problem::TimeRange)?;
    Ok(When::Moment(moment.with_timezone(&offset)))
}

fn local(moment: NaiveDateTime, offset: FixedOffset) -> Result<DateTime<FixedOffset>, Problem> {
    offset.from_local_datetime(&moment).single().ok_or(Problem::TimeRange)
}

/// Reads a time of day such as `08:00`.
pub(super) fn clock(text: &str) -> Option<NaiveTime> {
    ["%H:%M", "%H:%M:%S"].iter().find_map(|pattern| NaiveTime::parse_from_str(text, pattern).ok())
}

/// Whether a pattern is one that chrono knows.
pub(super) fn is_pattern(pattern: &str) -> bool {
    use chrono::format::{Item, StrftimeItems};
    pattern.contains('%') && !StrftimeItems::new(pattern).any(|item| matches!(item, Item::Error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn east(hours: i32) -> FixedOffset {
        FixedOffset::east_opt(hours * 3600).unwrap()
    }

    fn read_at(text: &str, format: &Format) -> Option<String> {
        let noon = clock("12:00").unwrap();
        Some(read(text, format, east(1)).ok()?.moment(noon, east(1)).ok()?.to_rfc3339())
    }

    #[test]
    fn usual_forms_are_understood() {
        for (text, moment) in [
            ("2023-01-31", "2023-01-31T12:00:00+01:00"),
            ("2023-01-31T07:30:00Z", "2023-01-31T07:30:00+00:00"),
            ("2023-01-31T07:30:00.250-05:00", "2023-01-31T07:30:00.250-05:00"),
            ("2023-01-31 07:30:00 -0500", "2023-01-31T07:30:00-05:00"),
            ("2023-01-31T07:30:00+0530", "2023-01-31T07:30:00+05:30"),
            ("2023-01-31 07:30:00", "2023-01-31T07:30:00+01:00"),
            ("2023-01-31T07:30", "2023-01-31T07:30:00+01:00"),
            ("2023-01-31 07:30", "2023-01-31T07:30:00+01:00"),
            ("1675146600", "2023-01-31T07:30:00+01:00"),
            ("1675146600.0", "2023-01-31T07:30:00+01:00"),
            ("1675146600000", "2023-01-31T07:30:00+01:00"),
        ] {
            assert_eq!(read_at(text, &Format::Auto).as_deref(), Some(moment), "{text}");
        }
    }

    #[test]
    fn a_pattern_decides_what_could_be_two_dates() {
        assert_eq!(read_at("03/04/2023", &Format::Auto), None);
        let days_first = Format::Pattern("%d/%m/%Y".to_owned());
        assert_eq!(read_at("03/04/2023", &days_first).as_deref(), Some("2023-04-03T12:00:00+01:00"));
        let with_time = Format::Pattern("%m/%d/%Y %I:%M %p".to_owned());
        assert_eq!(read_at("03/04/2023 9:05 PM", &with_time).as_deref(), Some("2023-03-04T21:05:00+01:00"));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        let texts = ["2023-02-30", "yesterday", "12", "1e10", "inf", "2023-01-31T25:00:00Z", "-5", "99999999999999999"];
        for text in texts.into_iter().chain(["1850-01-01", "2999-01-01", "262143-01-01", "+262142-12-31"]) {
            assert_eq!(read_at(text, &Format::Auto), None, "{text}");
        }
        assert_eq!(read_at("1e30", &Format::Seconds), None);
        assert_eq!(read_at("NaN", &Format::Millis), None);
    }

    #[test]
    fn patterns_are_checked() {
        assert!(is_pattern("%d.%m.%Y %H:%M"));
        assert!(!is_pattern("DD/MM/YYYY"));
        assert!(!is_pattern("%d/%Q"));
    }
}
