//! What a wearable says before anything is sealed: one row is one measured value in the clear.
//!
//! Rows come from [`crate::simulate`] and [`crate::import`] and go straight to the sealed boundary. A row never prints
//! its value.

use std::{borrow::Cow, fmt, ops::RangeInclusive};

use auren_agents::{BiometricType, Text, Timestamp, UserId};

/// One measured value of one person, in the clear.
#[derive(Clone, PartialEq)]
pub struct Row {
    /// Whose value it is.
    pub user: UserId,
    /// The kind of event it becomes.
    pub event_type: BiometricType,
    /// The statistic, such as `rmssd`: a name from [`Measure`], or a mapping's own of at most 32 bytes.
    pub measure: Cow<'static, str>,
    /// The value, in `unit`.
    pub value: f64,
    /// The unit, such as `ms`.
    pub unit: Cow<'static, str>,
    /// When it was measured, with the person's own offset from UTC.
    pub at: Timestamp,
    /// The device that measured it.
    pub device: Text<128>,
    /// The circumstances, such as `sleep`.
    pub context: Text<128>,
}

impl fmt::Debug for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Row")
            .field("user", &self.user.as_str())
            .field("event_type", &self.event_type.as_str())
            .field("measure", &self.measure)
            .field("unit", &self.unit)
            .field("at", &self.at.as_str())
            .field("device", &&*self.device)
            .field("context", &&*self.context)
            .finish_non_exhaustive()
    }
}

macro_rules! measures {
    ($($(#[$doc:meta])* $name:ident: $text:literal $unit:literal $event:ident $context:literal $range:expr;)*) => {
        /// The statistics this version knows by name.
        ///
        /// Two rows of a person at one moment are ordered as the measures are here.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Measure {
            $($(#[$doc])* $name,)*
        }

        impl Measure {
            /// Every measure, in order.
            pub const ALL: &'static [Measure] = &[$(Self::$name),*];

            /// The name in a row and in metadata.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// The unit its values are in.
            #[must_use]
            pub fn unit(self) -> &'static str {
                match self { $(Self::$name => $unit,)* }
            }

            /// The kind of event it becomes.
            #[must_use]
            pub fn event_type(self) -> BiometricType {
                match self { $(Self::$name => BiometricType::$event,)* }
            }

            /// The usual circumstances of measuring it.
            #[must_use]
            pub fn context(self) -> &'static str {
                match self { $(Self::$name => $context,)* }
            }

            /// What a living person's value can be, in its unit. Anything else is a device fault or a wrong unit.
            #[must_use]
            pub fn possible(self) -> RangeInclusive<f64> {
                match self { $(Self::$name => $range,)* }
            }
        }
    };
}

measures! {
    /// Root mean square of successive heart-beat differences over a night, in ms.
    Rmssd: "rmssd" "ms" HrvMeasurement "sleep" 2.0..=400.0;
    /// Standard deviation of heart-beat intervals over a night, in ms.
    Sdnn: "sdnn" "ms" HrvMeasurement "sleep" 2.0..=500.0;
    /// Resting heart rate of a day, in beats per minute.
    RestingHeartRate: "resting_heart_rate" "bpm" HrvMeasurement "sleep" 25.0..=160.0;
    /// Time asleep in a night, in minutes.
    Asleep: "asleep" "min" SleepAnalysis "sleep" 1.0..=1200.0;
    /// Time asleep as a share of the time in bed, in percent.
    SleepEfficiency: "sleep_efficiency" "percent" SleepAnalysis "sleep" 5.0..=100.0;
    /// Breaths per minute while asleep.
    BreathingRate: "breathing_rate" "per_min" StressIndicator "sleep" 4.0..=45.0;
    /// Skin temperature while asleep, in degrees Celsius.
    SkinTemperature: "skin_temperature" "celsius" StressIndicator "sleep" 20.0..=43.0;
    /// Systolic pressure, in mmHg.
    Systolic: "systolic" "mmHg" BloodPressure "morning" 50.0..=280.0;
    /// Diastolic pressure, in mmHg.
    Diastolic: "diastolic" "mmHg" BloodPressure "morning" 25.0..=180.0;
    /// Glucose, in mg/dL.
    Glucose: "glucose" "mg/dL" GlucoseReading "fasting" 20.0..=800.0;
    /// Load of one workout, in arbitrary units (minutes times perceived effort from 0 to 10).
    WorkoutLoad: "workout_load" "au" WorkoutCompleted "workout" 0.0..=5000.0;
    /// A device's stress score, from 0 to 100.
    StressScore: "stress_score" "score" StressIndicator "day" 0.0..=100.0;
    /// How a person says they feel, from 1 (bad) to 5 (good).
    Mood: "mood" "score" MoodTracking "evening" 1.0..=5.0;
    /// Steps of a day.
    Steps: "steps" "count" WorkoutCompleted "day" 0.0..=150_000.0;
    /// Energy spent on activity in a day, in kcal.
    Energy: "energy" "kcal" WorkoutCompleted "day" 0.0..=20_000.0;
}

impl Measure {
    /// The measure of this name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|measure| measure.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_does_not_print_its_value() {
        let row = Row {
            user: UserId::new("u-1").unwrap(),
            event_type: BiometricType::HrvMeasurement,
            measure: "rmssd".into(),
            value: 41.875,
            unit: "ms".into(),
            at: Timestamp::parse("2024-01-01T07:00:00Z").unwrap(),
            device: Text::cut("watch"),
            context: Text::cut("sleep"),
        };
        let shown = format!("{row:?}");
        assert!(shown.contains("rmssd") && !shown.contains("41"), "{shown}");
    }

    #[test]
    fn a_measure_is_found_by_its_name() {
        for &measure in Measure::ALL {
            assert_eq!(Measure::named(measure.name()), Some(measure));
            assert!(measure.name().len() <= 32);
        }
        assert_eq!(Measure::named("pulse"), None);
    }
}
