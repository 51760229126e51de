//! What can be read off a body: the signs behind event types and measures.

use crate::{consult::Observation, events::BiometricType};

/// Which way a sign moves when it is unwelcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Direction {
    Low,
    High,
}

/// One thing that can be read off a body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sign {
    Variability,
    RestingHeart,
    SkinTemperature,
    Breathing,
    SleepLength,
    SleepQuality,
    Load,
    Stress,
    Pressure,
    Glucose,
    Mood,
    Activity,
    Alert,
}

impl Sign {
    pub(crate) const ALL: &'static [Sign] = &[
        Self::Variability,
        Self::RestingHeart,
        Self::SkinTemperature,
        Self::Breathing,
        Self::SleepLength,
        Self::SleepQuality,
        Self::Load,
        Self::Stress,
        Self::Pressure,
        Self::Glucose,
        Self::Mood,
        Self::Activity,
        Self::Alert,
    ];

    /// The sign of an observation: by its measure, or by its type where the measure is missing or new.
    pub(crate) fn of(seen: &Observation) -> Option<Self> {
        let by_measure = match seen.measure.as_deref() {
            Some("rmssd" | "sdnn") => Some(Self::Variability),
            Some("resting_heart_rate") => Some(Self::RestingHeart),
            Some("asleep") => Some(Self::SleepLength),
            Some("sleep_efficiency") => Some(Self::SleepQuality),
            Some("breathing_rate") => Some(Self::Breathing),
            Some("skin_temperature") => Some(Self::SkinTemperature),
            Some("systolic" | "diastolic") => Some(Self::Pressure),
            Some("glucose") => Some(Self::Glucose),
            Some("workout_load") => Some(Self::Load),
            Some("stress_score") => Some(Self::Stress),
            Some("mood") => Some(Self::Mood),
            Some("steps" | "energy") => Some(Self::Activity),
            _ => None,
        };
        by_measure.or(match seen.event_type {
            BiometricType::HrvMeasurement => Some(Self::Variability),
            BiometricType::BloodPressure => Some(Self::Pressure),
            BiometricType::GlucoseReading => Some(Self::Glucose),
            BiometricType::SleepAnalysis => Some(Self::SleepLength),
            BiometricType::WorkoutCompleted => Some(Self::Load),
            BiometricType::MoodTracking => Some(Self::Mood),
            BiometricType::StressIndicator => Some(Self::Stress),
            BiometricType::BiometricAlert => Some(Self::Alert),
            BiometricType::MealLogged | BiometricType::Other(_) => None,
        })
    }

    /// The word in a finding.
    pub(crate) fn subject(self) -> &'static str {
        match self {
            Self::Variability => "hrv",
            Self::RestingHeart => "resting_heart_rate",
            Self::SkinTemperature => "skin_temperature",
            Self::Breathing => "breathing_rate",
            Self::SleepLength => "sleep",
            Self::SleepQuality => "sleep_quality",
            Self::Load => "training_load",
            Self::Stress => "stress",
            Self::Pressure => "blood_pressure",
            Self::Glucose => "glucose",
            Self::Mood => "mood",
            Self::Activity => "activity",
            Self::Alert => "device_alert",
        }
    }

    /// The name in a sentence, after "your".
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Variability => "heart-rate variability",
            Self::RestingHeart => "resting heart rate",
            Self::SkinTemperature => "skin temperature",
            Self::Breathing => "breathing rate",
            Self::SleepLength => "sleep time",
            Self::SleepQuality => "sleep quality",
            Self::Load => "training load",
            Self::Stress => "stress score",
            Self::Pressure => "blood pressure",
            Self::Glucose => "glucose",
            Self::Mood => "mood",
            Self::Activity => "daily movement",
            Self::Alert => "device's own alert",
        }
    }

    pub(crate) fn unwelcome(self) -> Direction {
        match self {
            Self::Variability | Self::SleepLength | Self::SleepQuality | Self::Mood | Self::Activity => Direction::Low,
            Self::RestingHeart
            | Self::SkinTemperature
            | Self::Breathing
            | Self::Load
            | Self::Stress
            | Self::Pressure
            | Self::Glucose
            | Self::Alert => Direction::High,
        }
    }

    /// Whether it is a reading of a night.
    pub(crate) fn is_nightly(self) -> bool {
        matches!(
            self,
            Self::Variability
                | Self::RestingHeart
                | Self::SkinTemperature
                | Self::Breathing
                | Self::SleepLength
                | Self::SleepQuality
        )
    }

    /// The rank of a reading counted in the unwelcome direction: 1 is the least welcome.
    pub(crate) fn unwelcome_rank(self, seen: &Observation) -> f64 {
        match self.unwelcome() {
            Direction::Low => 1.0 - seen.percentile_rank.get(),
            Direction::High => seen.percentile_rank.get(),
        }
    }
}
