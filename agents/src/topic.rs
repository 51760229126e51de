//! What a person's message is about. The words are data: nothing in them is followed as an instruction.

use crate::{reading::Sign, words::Words};

/// What a message is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Topic {
    Greeting,
    Thanks,
    Who,
    Privacy,
    Why,
    Plan,
    Progress,
    Illness,
    Sleep,
    Training,
    Stress,
    Variability,
    HeartRate,
    Tired,
    Glucose,
    Pressure,
    Food,
    Focus,
    Mood,
    Unknown,
}

/// In the order in which they win: the more telling a word, the earlier.
const TOPICS: &[(Topic, &str)] = &[
    (Topic::Privacy, "privacy*, my data*, who sees*, who can see*, data safe*, do you store*, share my*"),
    (Topic::Pressure, "blood pressure*, systolic*, diastolic*"),
    (Topic::Glucose, "glucose*, blood sugar*, sugar spike*, sugar"),
    (
        Topic::Illness,
        "getting sick*, getting ill*, am i sick*, am i ill*, feel sick*, feel ill*, coming down*, fever*, sore \
         throat*, unwell*, a cold, temperature*, inflammation*",
    ),
    (Topic::Variability, "hrv*, variability*, rmssd*, sdnn*"),
    (Topic::HeartRate, "heart rate*, heartrate*, pulse*, resting heart*, heart"),
    (Topic::Focus, "focus*, concentrat*, brain fog*, foggy*, attention*, think clearly*, productiv*, brain"),
    (
        Topic::Stress,
        "stress*, tense*, overwhelm*, pressure at work*, burnt out*, burned out*, worried*, anxious*, nervous*, \
         calm down*, relax*",
    ),
    (
        Topic::Training,
        "train*, workout*, work out*, gym*, run, running*, ran, jog*, walk*, hike*, hiking, ride, cycling*, bike*, \
         swim*, lift*, exercise*, race, marathon*, intervals*, sport*, rest day*",
    ),
    (
        Topic::Food,
        "eat*, meal*, food*, breakfast*, lunch*, dinner*, snack*, diet*, coffee*, alcohol*, wine*, beer*, drink*, \
         hungry*",
    ),
    (Topic::Sleep, "sleep*, slept*, insomnia*, awake*, woke*, bedtime*, bed, nap, night*, dream*"),
    (Topic::Tired, "tired*, exhaust*, fatigue*, no energy*, worn out*, drained*, sleepy*, energy*"),
    (Topic::Mood, "mood*, sad, feel down*, feeling down*, low today*, unhappy*, lonely*"),
    (
        Topic::Progress,
        "getting better*, any better*, improv*, progress*, did it help*, is it working*, back to normal*, recover*",
    ),
    (Topic::Plan, "plan*, what should i do*, what can i do*, what do i do*, what now*, advice*, recommend*, should i*"),
    (
        Topic::Why,
        "why*, what does this mean*, what does that mean*, explain*, how sure*, how come*, what happened*, the \
         reason*",
    ),
    (
        Topic::Who,
        "who are you*, what are you*, are you a doctor*, are you human*, are you real*, your name*, what can you \
         do*, help",
    ),
    (Topic::Thanks, "thank*, thx*, cheers*, appreciate*, great, ok, okay*, got it*, will do*, perfect*"),
    (Topic::Greeting, "hello*, hi, hey, good morning*, good evening*, good afternoon*, morning, evening"),
];

/// Words that ask for something to do.
const WHAT_TO_DO: &str =
    "should i*, can i*, what to do*, what do i do*, what can i do*, how do i*, how can i*, plan*, tips*, may i*";

impl Topic {
    pub(crate) fn of(words: &Words) -> Self {
        if words.is_empty() {
            return Self::Unknown;
        }
        TOPICS.iter().find(|(_, stems)| words.any(stems)).map_or(Self::Unknown, |(topic, _)| *topic)
    }

    /// Whether the message asks for something to do.
    pub(crate) fn asks_what_to_do(words: &Words) -> bool {
        words.any(WHAT_TO_DO)
    }

    /// The word in a note.
    pub(crate) fn word(self) -> &'static str {
        match self {
            Self::Greeting => "hello",
            Self::Thanks => "thanks",
            Self::Who => "who",
            Self::Privacy => "privacy",
            Self::Why => "why",
            Self::Plan => "plan",
            Self::Progress => "progress",
            Self::Illness => "illness",
            Self::Sleep => "sleep",
            Self::Training => "training",
            Self::Stress => "stress",
            Self::Variability => "hrv",
            Self::HeartRate => "heart_rate",
            Self::Tired => "tired",
            Self::Glucose => "glucose",
            Self::Pressure => "pressure",
            Self::Food => "food",
            Self::Focus => "focus",
            Self::Mood => "mood",
            Self::Unknown => "other",
        }
    }

    /// The sign a person asks about.
    pub(crate) fn sign(self) -> Option<Sign> {
        match self {
            Self::Sleep | Self::Tired => Some(Sign::SleepLength),
            Self::Training => Some(Sign::Load),
            Self::Stress => Some(Sign::Stress),
            Self::Variability => Some(Sign::Variability),
            Self::HeartRate => Some(Sign::RestingHeart),
            Self::Glucose => Some(Sign::Glucose),
            Self::Pressure => Some(Sign::Pressure),
            Self::Mood => Some(Sign::Mood),
            Self::Illness => Some(Sign::SkinTemperature),
            _ => None,
        }
    }
}
