//! What else in the readings could explain a change.

use super::{Reading, Sign};
use crate::{consult::Finding, events::TriggerType};

/// Something that explains a change in the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Explanation {
    /// Several signs point to the body fighting something.
    Fighting,
    /// Nights that were too short.
    ShortSleep,
    /// Nights long enough but broken.
    BrokenSleep,
    /// More load than usual.
    HardTraining,
    /// Days that were too tense.
    Strain,
}

/// The signs that move when a body fights something.
const DEFENCE: [Sign; 3] = [Sign::RestingHeart, Sign::SkinTemperature, Sign::Breathing];

impl Explanation {
    const ALL: [Explanation; 5] =
        [Self::Fighting, Self::ShortSleep, Self::HardTraining, Self::BrokenSleep, Self::Strain];

    /// What the readings offer besides what the trigger itself is about, the likeliest first.
    pub(crate) fn all(reading: &Reading<'_>, trigger: Option<&TriggerType>) -> Vec<Self> {
        Self::ALL
            .into_iter()
            .filter(|explanation| trigger.is_none_or(|trigger| !explanation.is_the_trigger(trigger)))
            .filter(|explanation| explanation.holds(reading))
            .collect()
    }

    fn is_the_trigger(self, trigger: &TriggerType) -> bool {
        matches!(
            (self, trigger),
            (Self::ShortSleep | Self::BrokenSleep, TriggerType::SleepDeprivation)
                | (Self::HardTraining, TriggerType::Overtraining)
                | (Self::Strain, TriggerType::StressEscalation)
        )
    }

    fn holds(self, reading: &Reading<'_>) -> bool {
        match self {
            Self::Fighting => {
                let warm = reading.is_off(Sign::SkinTemperature);
                // A hard day raises the heart rate and lowers the variability too, but it does not warm the skin.
                let otherwise_clear = warm || !reading.explains(Sign::Load);
                match Self::defence(reading).len() {
                    0 => false,
                    1 => warm && reading.is_off(Sign::Variability),
                    _ => otherwise_clear,
                }
            }
            Self::ShortSleep => reading.explains(Sign::SleepLength),
            Self::BrokenSleep => reading.is_off(Sign::SleepQuality) && !reading.explains(Sign::SleepLength),
            Self::HardTraining => reading.explains(Sign::Load),
            Self::Strain => reading.is_off(Sign::Stress),
        }
    }

    /// Whether it was looked for and not found. What was not read refutes nothing.
    pub(crate) fn is_refuted(self, reading: &Reading<'_>) -> bool {
        let looked_for = match self {
            Self::Fighting => reading.knows(Sign::RestingHeart) && reading.knows(Sign::SkinTemperature),
            Self::ShortSleep => reading.knows(Sign::SleepLength),
            Self::BrokenSleep => reading.knows(Sign::SleepQuality),
            Self::HardTraining => reading.knows(Sign::Load),
            Self::Strain => reading.knows(Sign::Stress),
        };
        looked_for && !self.holds(reading)
    }

    /// The signs of defence that are off.
    pub(crate) fn defence(reading: &Reading<'_>) -> Vec<Sign> {
        DEFENCE.into_iter().filter(|sign| reading.is_off(*sign)).collect()
    }

    /// The signs it rests on.
    pub(crate) fn signs(self, reading: &Reading<'_>) -> Vec<Sign> {
        match self {
            Self::Fighting => Self::defence(reading),
            Self::ShortSleep => vec![Sign::SleepLength],
            Self::BrokenSleep => vec![Sign::SleepQuality],
            Self::HardTraining => vec![Sign::Load],
            Self::Strain => vec![Sign::Stress],
        }
    }

    /// The word in a finding and in a note.
    pub(crate) fn subject(self) -> &'static str {
        match self {
            Self::Fighting => "possible_illness",
            Self::ShortSleep => "sleep",
            Self::BrokenSleep => "sleep_quality",
            Self::HardTraining => "training_load",
            Self::Strain => "stress",
        }
    }

    /// The explanation that a note remembers.
    pub(crate) fn noted(note: &str) -> Option<Self> {
        let word = note.split(';').next()?.trim();
        Self::ALL.into_iter().find(|explanation| explanation.subject() == word)
    }

    /// The name in a sentence.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Fighting => "a body that may be fighting something",
            Self::ShortSleep => "short sleep",
            Self::BrokenSleep => "broken sleep",
            Self::HardTraining => "a high training load",
            Self::Strain => "a stressful stretch",
        }
    }

    /// What somebody else's finding points to: by its subject, or by its words where the subject says nothing.
    pub(crate) fn found(finding: &Finding) -> Option<Self> {
        let by_subject = Self::in_words(&finding.subject);
        let measured = Sign::ALL.iter().any(|sign| sign.subject() == &*finding.subject);
        if by_subject.is_some() || measured { by_subject } else { Self::in_words(&finding.statement) }
    }

    fn in_words(words: &str) -> Option<Self> {
        let words = words.to_lowercase();
        let any = |stems: &[&str]| stems.iter().any(|stem| words.contains(stem));
        if any(&["illness", "immune", "fighting", "defence", "inflammation"]) {
            Some(Self::Fighting)
        } else if any(&["sleep_quality", "broken sleep", "restless"]) {
            Some(Self::BrokenSleep)
        } else if any(&["sleep"]) {
            Some(Self::ShortSleep)
        } else if any(&["load", "training", "workout"]) {
            Some(Self::HardTraining)
        } else if any(&["stress"]) {
            Some(Self::Strain)
        } else {
            None
        }
    }
}
