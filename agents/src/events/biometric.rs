//! What was measured: the token that stands for it, and metadata that may be seen.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Extra, open::open_enum};
use crate::{
    ids::{EventId, UserId},
    text::{Score, Text},
    time::Timestamp,
};

open_enum! {
    /// What kind of measurement an event stands for.
    BiometricType {
        /// Heart-rate variability or resting heart rate of a night.
        HrvMeasurement = "hrv_measurement",
        /// Systolic or diastolic pressure.
        BloodPressure = "blood_pressure",
        /// Glucose in blood or tissue.
        GlucoseReading = "glucose_reading",
        /// A night's sleep.
        SleepAnalysis = "sleep_analysis",
        /// A finished workout.
        WorkoutCompleted = "workout_completed",
        /// A meal.
        MealLogged = "meal_logged",
        /// How a person says they feel.
        MoodTracking = "mood_tracking",
        /// A stress score.
        StressIndicator = "stress_indicator",
        /// An alert raised by a device itself.
        BiometricAlert = "biometric_alert",
    }
}

/// One record of `health.biometrics`: a measurement as a token, with what may be known about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BiometricEvent {
    /// The event's own id.
    pub event_id: EventId,
    /// Whose measurement it is; also the record's key.
    pub user_id: UserId,
    /// What was measured.
    pub event_type: BiometricType,
    /// The sealed value. Only the sealed boundary can open it.
    pub token: Text<1024>,
    /// What is preserved about the value.
    pub metadata: BiometricMetadata,
    /// When it was measured.
    pub timestamp: Timestamp,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// What is preserved about a sealed value.
///
/// How much of it is there is the privacy profile's choice: `coarse` leaves out the summary and quantises the scores.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct BiometricMetadata {
    /// Rank of the value among the person's own recent values: 0 is the lowest, 1 the highest.
    pub percentile_rank: Score,
    /// How far the value is from the person's usual range, in the unwelcome direction: 0 is within it.
    pub severity_score: Score,
    /// A trend in words, such as `declining_3_days`.
    pub trend: Text<64>,
    /// Mean and spread of the person's recent values, in the measurement's unit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub statistical_summary: Option<StatisticalSummary>,
    /// When it was measured, as the device wrote it.
    pub timestamp_iso: Timestamp,
    /// The device.
    pub source_device: Text<128>,
    /// The circumstances, such as `morning`.
    pub measurement_context: Text<128>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Mean and standard deviation of a person's recent values.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StatisticalSummary {
    /// The mean, in the measurement's unit.
    pub mean: f64,
    /// The standard deviation, in the measurement's unit.
    #[schemars(range(min = 0.0))]
    pub stddev: f64,
}

/// A biometric event as an agent or a trigger remembers it: metadata only, no token.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Observation {
    /// The biometric event.
    pub event_id: EventId,
    /// What was measured.
    pub event_type: BiometricType,
    /// When.
    pub timestamp: Timestamp,
    /// The statistic behind the type, where it is known: `rmssd`, `resting_heart_rate`, `asleep`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub measure: Option<Text<32>>,
    /// As in [`BiometricMetadata`].
    pub percentile_rank: Score,
    /// As in [`BiometricMetadata`].
    pub severity_score: Score,
    /// As in [`BiometricMetadata`].
    pub trend: Text<64>,
}

impl Observation {
    /// What an agent may remember of a biometric event.
    #[must_use]
    pub fn of(event: &BiometricEvent) -> Self {
        let measure = event.metadata.extra.get("measure").and_then(|measure| measure.as_str());
        Self {
            event_id: event.event_id.clone(),
            event_type: event.event_type.clone(),
            timestamp: event.timestamp.clone(),
            measure: measure.and_then(|measure| Text::new(measure).ok()),
            percentile_rank: event.metadata.percentile_rank,
            severity_score: event.metadata.severity_score,
            trend: event.metadata.trend.clone(),
        }
    }
}
