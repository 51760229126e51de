//! A biometric event as `converse` remembers it (`detect/noted.rs` as rules do): metadata only, and small, because it is saved with every change.

use auren_agents::{BiometricEvent, BiometricType, EventId, Observation, Score, Text, Timestamp};
use chrono::{DateTime, FixedOffset};
use serde::{Deserialize, Serialize};

/// The trend of a value that there is too little past for.
pub const BASELINE_FORMING: &str = "baseline_forming";

/// One biometric event as it is remembered.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Seen {
    /// Its id.
    pub event: String,
    /// Its type on the wire.
    pub event_type: String,
    /// The statistic; empty where nobody said.
    pub measure: String,
    /// When, in milliseconds since the epoch, and the person's offset from UTC in seconds.
    pub at: i64,
    /// See `at`.
    pub offset: i32,
    /// As in the metadata.
    pub rank: f32,
    /// As in the metadata.
    pub severity: f32,
    /// As in the metadata.
    pub trend: String,
    /// How far the week is off, where the metadata says it.
    pub week: Option<f32>,
    /// `short` or `very_short` for a night's sleep, where the metadata says it.
    pub band: String,
}

impl Seen {
    /// What is remembered of an event.
    #[must_use]
    #[expect(clippy::cast_possible_truncation, reason = "a deviation has few digits")]
    pub fn of(event: &BiometricEvent) -> Self {
        let metadata = &event.metadata;
        let word = |name: &str| metadata.extra.get(name).and_then(|word| word.as_str()).unwrap_or_default();
        let cut = |name: &str| Text::<32>::cut(word(name)).into_string();
        let week = metadata.extra.get("week_deviation").and_then(serde_json::Value::as_f64);
        Self {
            event: event.event_id.as_str().to_owned(),
            event_type: event.event_type.as_str().to_owned(),
            measure: cut("measure"),
            at: event.timestamp.millis(),
            offset: event.timestamp.at().offset().local_minus_utc(),
            rank: saved_score(metadata.percentile_rank),
            severity: saved_score(metadata.severity_score),
            trend: metadata.trend.to_string(),
            week: week.filter(|week| week.is_finite()).map(|week| week as f32),
            band: cut("band"),
        }
    }

    /// As agents see it; none where what was saved is no longer a valid event.
    #[must_use]
    pub fn observation(&self) -> Option<Observation> {
        Some(Observation {
            event_id: EventId::new(self.event.as_str()).ok()?,
            event_type: BiometricType::try_from(self.event_type.clone()).ok()?,
            timestamp: moment(self.at, self.offset)?,
            measure: (!self.measure.is_empty()).then(|| Text::cut(self.measure.as_str())),
            percentile_rank: four_digits(self.rank),
            severity_score: four_digits(self.severity),
            trend: Text::cut(self.trend.as_str()),
        })
    }
}

/// A score as it is saved.
#[must_use]
#[expect(clippy::cast_possible_truncation, reason = "scores have four digits")]
pub fn saved_score(score: Score) -> f32 {
    score.get() as f32
}

/// A score as it was before it was saved: 0.15 as it was written, not as the nearest `f32`.
#[must_use]
pub fn four_digits(score: f32) -> Score {
    Score::clamped((f64::from(score) * 1e4).round() / 1e4)
}

/// A moment with an offset, as it was saved.
#[must_use]
pub fn moment(at: i64, offset: i32) -> Option<Timestamp> {
    Some(Timestamp::from(DateTime::from_timestamp_millis(at)?.with_timezone(&FixedOffset::east_opt(offset)?)))
}
