//! What a trigger is about, in words and in signs.

use super::Sign;
use crate::events::TriggerType;

/// The thing in a few words.
pub(crate) fn what(trigger: &TriggerType) -> &'static str {
    match trigger {
        TriggerType::HrvDrop => "low heart-rate variability",
        TriggerType::BloodPressureSpike => "raised blood pressure",
        TriggerType::GlucoseSpike => "raised glucose",
        TriggerType::SleepDeprivation => "short sleep",
        TriggerType::Overtraining => "more load than recovery",
        TriggerType::StressEscalation => "rising stress",
        TriggerType::InflammationRisk => "signs of a body at work",
        TriggerType::CognitiveFatigue => "signs of a tired mind",
        TriggerType::Other(_) => "an unusual reading",
    }
}

/// Whether it is about nights.
pub(crate) fn is_nightly(trigger: &TriggerType) -> bool {
    matches!(trigger, TriggerType::HrvDrop | TriggerType::SleepDeprivation | TriggerType::InflammationRisk)
}

/// The signs a trigger of this type is about, the most telling first.
pub(super) fn signs(trigger: &TriggerType) -> &'static [Sign] {
    match trigger {
        TriggerType::HrvDrop => &[Sign::Variability],
        TriggerType::BloodPressureSpike => &[Sign::Pressure],
        TriggerType::GlucoseSpike => &[Sign::Glucose],
        TriggerType::SleepDeprivation => &[Sign::SleepLength, Sign::SleepQuality],
        TriggerType::Overtraining => &[Sign::Load, Sign::Variability, Sign::RestingHeart],
        TriggerType::StressEscalation => &[Sign::Stress],
        TriggerType::InflammationRisk => {
            &[Sign::SkinTemperature, Sign::RestingHeart, Sign::Breathing, Sign::Variability]
        }
        TriggerType::CognitiveFatigue => &[Sign::Mood, Sign::Stress, Sign::Variability, Sign::SleepLength],
        TriggerType::Other(_) => &[],
    }
}
