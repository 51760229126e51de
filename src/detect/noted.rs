//! A biometric event as rules remember it: metadata only, and small, because it is saved with every change.

use auren_agents::{BiometricEvent, BiometricType, EventId, Observation, Score, Text};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::expression::{Field, Slot, Values};
use crate::seen::{BASELINE_FORMING, moment};

const HOUR_MS: i64 = 3_600_000;
/// Scores and deviations are kept to four digits.
const DIGITS: f64 = 1e4;

/// One event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Noted {
    /// When, in milliseconds since the epoch.
    pub at: i64,
    /// Its id.
    pub id: Id,
    /// The person's offset from UTC, in minutes.
    pub(super) offset: i16,
    /// The person's stream that it belongs to.
    pub(super) stream: u8,
    rank: u16,
    severity: u16,
    trend: Trend,
    week: Option<i32>,
    band: Box<str>,
    usual: Option<(f32, f32)>,
}

/// An event's id. Those that AUREN makes take sixteen bytes.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Id {
    /// Sixteen bytes that are written as a UUID is.
    Uuid([u8; 16]),
    /// Any other.
    Text(Box<str>),
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
enum Trend {
    Stable,
    Forming,
    Declining(u8),
    Rising(u8),
    Other(Box<str>),
}

/// One of a person's streams: what is measured, and in which circumstances.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// The type on the wire.
    pub event_type: Box<str>,
    /// The statistic; empty where nobody said.
    pub measure: Box<str>,
    /// The circumstances.
    pub context: Box<str>,
}

/// A moment on the person's own clock, in milliseconds since the epoch there.
pub(super) fn local(at: i64, offset: i16) -> i64 {
    at + i64::from(offset) * 60_000
}

impl Id {
    /// The id of that text.
    #[must_use]
    pub fn new(text: &str) -> Self {
        match Uuid::try_parse(text) {
            // Another way to write the same bytes would not come out as it went in.
            Ok(uuid) if uuid.hyphenated().to_string() == text => Self::Uuid(uuid.into_bytes()),
            _ => Self::Text(text.into()),
        }
    }

    /// Its text.
    #[must_use]
    pub fn text(&self) -> String {
        match self {
            Self::Uuid(bytes) => Uuid::from_bytes(*bytes).to_string(),
            Self::Text(text) => text.to_string(),
        }
    }
}

impl Noted {
    /// What is remembered of an event, and the stream that it belongs to.
    #[must_use]
    pub fn of(event: &BiometricEvent) -> (Self, Stream) {
        let metadata = &event.metadata;
        let word = |name: &str| metadata.extra.get(name).and_then(|word| word.as_str()).unwrap_or_default();
        let cut = |text: &str| Text::<32>::cut(text).into_string().into_boxed_str();
        let week = metadata.extra.get("week_deviation").and_then(serde_json::Value::as_f64);
        #[expect(clippy::cast_possible_truncation, reason = "seven digits are enough, and offsets are below a day")]
        let noted = Self {
            at: event.timestamp.millis(),
            id: Id::new(event.event_id.as_str()),
            offset: (event.timestamp.at().offset().local_minus_utc() / 60) as i16,
            stream: 0,
            rank: digits(metadata.percentile_rank.get()),
            severity: digits(metadata.severity_score.get()),
            trend: Trend::of(&metadata.trend),
            week: week.filter(|week| week.abs() < 1e4).map(|week| (week * DIGITS).round() as i32),
            band: cut(word("band")),
            usual: metadata.statistical_summary.map(|usual| (usual.mean as f32, usual.stddev as f32)),
        };
        let stream = Stream {
            event_type: event.event_type.as_str().into(),
            measure: cut(word("measure")),
            context: cut(&metadata.measurement_context),
        };
        (noted, stream)
    }

    /// As agents see it; none where what was saved is no longer a valid event.
    #[must_use]
    pub fn observation(&self, stream: &Stream) -> Option<Observation> {
        Some(Observation {
            event_id: EventId::new(self.id.text()).ok()?,
            event_type: BiometricType::try_from(stream.event_type.to_string()).ok()?,
            timestamp: moment(self.at, i32::from(self.offset) * 60)?,
            measure: (!stream.measure.is_empty()).then(|| Text::cut(&*stream.measure)),
            percentile_rank: Score::clamped(f64::from(self.rank) / DIGITS),
            severity_score: Score::clamped(f64::from(self.severity) / DIGITS),
            trend: Text::cut(self.trend.text()),
        })
    }

    /// The person's own hour of the day.
    fn hour(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "milliseconds of a day")]
        let hour = local(self.at, self.offset).rem_euclid(24 * HOUR_MS) as f64 / HOUR_MS as f64;
        hour
    }

    pub(super) fn number(&self, field: Field) -> Option<f64> {
        match field {
            Field::Severity => Some(f64::from(self.severity) / DIGITS),
            Field::Rank => Some(f64::from(self.rank) / DIGITS),
            Field::Week => self.week.map(|week| f64::from(week) / DIGITS),
            Field::Mean => self.usual.map(|usual| f64::from(usual.0)),
            Field::Sd => self.usual.map(|usual| f64::from(usual.1)),
            Field::Declining => Some(if let Trend::Declining(days) = self.trend { f64::from(days) } else { 0.0 }),
            Field::Rising => Some(if let Trend::Rising(days) = self.trend { f64::from(days) } else { 0.0 }),
            Field::Hour => Some(self.hour()),
            Field::Trend | Field::Band | Field::Measure | Field::Context | Field::Type => None,
        }
    }

    fn text<'a>(&'a self, stream: &'a Stream, field: Field) -> Option<&'a str> {
        match field {
            Field::Trend => Some(self.trend.word()),
            Field::Band => Some(&self.band),
            Field::Measure => Some(&stream.measure),
            Field::Context => Some(&stream.context),
            Field::Type => Some(&stream.event_type),
            _ => None,
        }
    }
}

impl Trend {
    fn of(text: &str) -> Self {
        let days = |word: &str| {
            let days: u8 = text.strip_prefix(word)?.strip_suffix("_days")?.parse().ok()?;
            (format!("{word}{days}_days") == text).then_some(days)
        };
        match text {
            "stable" => Self::Stable,
            BASELINE_FORMING => Self::Forming,
            _ => match (days("declining_"), days("rising_")) {
                (Some(days), _) => Self::Declining(days),
                (_, Some(days)) => Self::Rising(days),
                _ => Self::Other(text.into()),
            },
        }
    }

    /// Its direction, or what an outside producer called it.
    fn word(&self) -> &str {
        match self {
            Self::Stable => "stable",
            Self::Forming => BASELINE_FORMING,
            Self::Declining(_) => "declining",
            Self::Rising(_) => "rising",
            Self::Other(text) => text,
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Declining(days) => format!("declining_{days}_days"),
            Self::Rising(days) => format!("rising_{days}_days"),
            other => other.word().to_owned(),
        }
    }
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a score is from 0 to 1")]
fn digits(score: f64) -> u16 {
    (score * DIGITS).round() as u16
}

/// An event as a condition on it sees it.
pub(super) struct OfEvent<'a> {
    pub(super) event: &'a Noted,
    pub(super) stream: &'a Stream,
}

impl Values for OfEvent<'_> {
    fn number(&self, slot: Slot) -> Option<f64> {
        if let Slot::Event(field) = slot { self.event.number(field) } else { None }
    }

    fn text(&self, slot: Slot) -> Option<&str> {
        if let Slot::Event(field) = slot { self.event.text(self.stream, field) } else { None }
    }

    fn flag(&self, _: Slot) -> Option<bool> {
        None
    }
}
