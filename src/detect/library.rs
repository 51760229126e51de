//! The rules that AUREN ships: one file each in `config/rules`, compiled into the binary.

use auren_agents::TriggerType;

use super::rules::RuleText;

/// The trigger types that rules may have.
pub(super) const TRIGGERS: &[TriggerType] = &[
    TriggerType::HrvDrop,
    TriggerType::BloodPressureSpike,
    TriggerType::GlucoseSpike,
    TriggerType::SleepDeprivation,
    TriggerType::Overtraining,
    TriggerType::StressEscalation,
    TriggerType::InflammationRisk,
    TriggerType::CognitiveFatigue,
];

macro_rules! shipped {
    ($($name:literal)*) => {
        /// The shipped rules' files and texts.
        const SHIPPED: &[(&str, &str)] =
            &[$((concat!("config/rules/", $name, ".yaml"), include_str!(concat!("../../config/rules/", $name, ".yaml")))),*];
    };
}

shipped! {
    "hrv_week_below_baseline"
    "short_nights_in_a_row"
    "resting_signs_together"
    "load_without_recovery"
    "stress_rising"
    "tired_mind"
    "glucose_above_range"
    "pressure_above_range"
    "pressure_far_above_range"
}

/// The rules that AUREN ships.
#[must_use]
pub fn shipped() -> Vec<RuleText> {
    let rule =
        |(file, text): &(&str, &str)| RuleText { file: (*file).to_owned(), text: (*text).to_owned(), shadow: false };
    SHIPPED.iter().map(rule).collect()
}
