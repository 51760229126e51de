//! The plans the coach knows, what each is for, and which one a cause calls for.

use crate::{
    events::TriggerType,
    reading::{Explanation, Sign},
};

/// A plan for today and the next days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Plan {
    EarlyNight,
    EasyDays,
    Rest,
    WindDown,
    EaseOff,
    CalmMeasure,
    WalkAfterMeals,
    SpareAttention,
    Watch,
}

impl Plan {
    const ALL: [Plan; 9] = [
        Self::EarlyNight,
        Self::EasyDays,
        Self::Rest,
        Self::WindDown,
        Self::EaseOff,
        Self::CalmMeasure,
        Self::WalkAfterMeals,
        Self::SpareAttention,
        Self::Watch,
    ];

    /// The plan that a trigger calls for, given what explains it.
    pub(super) fn after(trigger: &TriggerType, why: Option<Explanation>) -> Self {
        if why == Some(Explanation::Fighting) {
            return Self::Rest;
        }
        match trigger {
            TriggerType::HrvDrop => why.map_or(Self::EaseOff, Self::against),
            TriggerType::BloodPressureSpike => Self::CalmMeasure,
            TriggerType::GlucoseSpike => Self::WalkAfterMeals,
            TriggerType::SleepDeprivation => Self::EarlyNight,
            TriggerType::Overtraining => Self::EasyDays,
            TriggerType::StressEscalation => Self::WindDown,
            TriggerType::InflammationRisk => Self::Rest,
            TriggerType::CognitiveFatigue => match why {
                Some(Explanation::ShortSleep | Explanation::BrokenSleep) => Self::EarlyNight,
                _ => Self::SpareAttention,
            },
            TriggerType::Other(_) => why.map_or(Self::Watch, Self::against),
        }
    }

    /// The plan against what explains a change.
    pub(super) fn against(why: Explanation) -> Self {
        match why {
            Explanation::Fighting => Self::Rest,
            Explanation::ShortSleep | Explanation::BrokenSleep => Self::EarlyNight,
            Explanation::HardTraining => Self::EasyDays,
            Explanation::Strain => Self::WindDown,
        }
    }

    /// Whether the plan is an answer to what explains the change.
    pub(super) fn answers(self, why: Explanation) -> bool {
        self == Self::against(why)
    }

    /// The plan by name, as the object of a sentence.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::EarlyNight => "an earlier night",
            Self::EasyDays => "easier training",
            Self::Rest => "proper rest",
            Self::WindDown => "winding down on purpose",
            Self::EaseOff => "taking some pressure off",
            Self::CalmMeasure => "calm and regular measuring",
            Self::WalkAfterMeals => "moving a little after meals",
            Self::SpareAttention => "sparing your attention",
            Self::Watch => "watching how it develops",
        }
    }

    /// The sign that shows whether it works.
    pub(super) fn sign(self) -> Option<Sign> {
        match self {
            Self::EarlyNight | Self::SpareAttention => Some(Sign::SleepLength),
            Self::EasyDays => Some(Sign::Load),
            Self::Rest => Some(Sign::RestingHeart),
            Self::WindDown => Some(Sign::Stress),
            Self::EaseOff => Some(Sign::Variability),
            Self::CalmMeasure => Some(Sign::Pressure),
            Self::WalkAfterMeals => Some(Sign::Glucose),
            Self::Watch => None,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::EarlyNight => "early_night",
            Self::EasyDays => "easy_days",
            Self::Rest => "rest",
            Self::WindDown => "wind_down",
            Self::EaseOff => "ease_off",
            Self::CalmMeasure => "calm_measure",
            Self::WalkAfterMeals => "walk_after_meals",
            Self::SpareAttention => "spare_attention",
            Self::Watch => "watch",
        }
    }

    /// What the coach remembers.
    pub(super) fn note(self) -> String {
        format!("plan {}", self.word())
    }

    /// The plan that a note remembers.
    pub(super) fn noted(note: &str) -> Option<Self> {
        let word = note.strip_prefix("plan ")?.split(';').next()?.trim();
        Self::ALL.into_iter().find(|plan| plan.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_brings_its_plan_back() {
        for plan in Plan::ALL {
            assert_eq!(Plan::noted(&format!("{}; wording 2", plan.note())), Some(plan));
        }
        assert_eq!(Plan::noted("asked sleep"), None);
    }
}
