//! What the neuroscientist says about the reason of a change, and how sure it is of it.

use super::change;
use crate::{
    consult::Finding,
    events::TriggerType,
    reading::{Direction, Explanation, Reading, Sign, days_in_words, list},
    text::{Score, Text},
    voice::{Voice, fill},
};

type Wordings = [&'static str; 3];

pub(super) const SECOND: &Wordings = &[
    "One day like that is noise; two are worth a closer look.",
    "The first could have been chance, a second makes chance a weaker answer.",
    "Twice is not a pattern yet, but it is no longer a single odd reading.",
];
pub(super) const LATER: &Wordings = &[
    "By now I would call it a pattern rather than chance.",
    "It has lasted long enough that an odd night or a bad sensor no longer explains it well.",
    "With this many in so short a time, something steady is behind it.",
];
pub(super) const OTHER_THAN_LAST_TIME: &Wordings = &[
    "Last time {then} was the best explanation, and the newest readings no longer show it.",
    "Before, I would have put it down to {then}; that does not hold this time.",
    "What has changed is the likely reason: {then} is out of the picture now.",
];
pub(super) const TURNING: &Wordings = &[
    "The newest trend points the right way, though, so the worst of it may be behind you.",
    "What is new is the direction: it has begun to come back towards your normal.",
    "It is moving back towards your range, only not there yet.",
];
pub(super) const SEE_A_CLINICIAN: &Wordings = &[
    "As it keeps coming back, please contact a clinician and show them these readings.",
    "It has gone on long enough that a clinician should hear of it, even if you feel well.",
    "Please have a clinician look at this; something that stays deserves more than a wearable.",
];
pub(super) const AT_NIGHT: &Wordings = &[
    "None of this needs you awake now.",
    "It can all wait until morning.",
    "Nothing here has to be settled at this hour.",
];

/// Where the main sign is heading.
pub(super) fn trend(reading: &Reading<'_>, voice: &Voice, sign: Sign) -> Option<String> {
    let trend = reading.trend(sign);
    if trend.recovering(sign) {
        return Some(voice.pick(TURNING).to_owned());
    }
    let days = trend.worsening(sign)?.map_or("several days".to_owned(), days_in_words);
    let way = match sign.unwelcome() {
        Direction::Low => "down",
        Direction::High => "up",
    };
    let wording = voice.pick(&[
        "It did not come out of nowhere: the trend has been going {way} for {days}.",
        "It has been on its way {way} for {days}, so this is the end of a slope rather than a sudden step.",
        "The trend has pointed {way} for {days}, which makes a single faulty reading unlikely.",
    ]);
    Some(fill(wording, &[("way", way), ("days", &days)]))
}

/// What the other readings offer as a reason.
pub(super) fn because(
    reading: &Reading<'_>,
    voice: &Voice,
    trigger: &TriggerType,
    main: Option<Sign>,
    explanations: &[Explanation],
) -> String {
    let Some(likeliest) = explanations.first() else { return unexplained(reading, voice, main) };
    let signs: Vec<_> = likeliest
        .signs(reading)
        .into_iter()
        .filter(|sign| Some(*sign) != main || *trigger == TriggerType::InflammationRisk)
        .map(Sign::name)
        .collect();
    let when = likeliest.signs(reading).first().and_then(|sign| reading.when(*sign)).unwrap_or_default();
    let mut said = fill(
        voice.pick(explained(*likeliest, trigger)),
        &[("signs", &list(&signs)), ("when", &when), ("be", if signs.len() > 1 { "are" } else { "is" })],
    );
    if *likeliest == Explanation::Fighting && main != Some(Sign::Variability) && reading.is_off(Sign::Variability) {
        let down = voice.pick(&[
            ", and your heart-rate variability is down at the same time.",
            ", while your heart-rate variability has dropped.",
            ", and lower heart-rate variability fits with that.",
        ]);
        said = format!("{}{down}", said.trim_end_matches('.'));
    }
    if let Some(second) = explanations.get(1) {
        let also = voice.pick(&[
            "; {other} may add to it.",
            ", with {other} as a second candidate.",
            ", and {other} may play in.",
        ]);
        said = format!("{}{}", said.trim_end_matches('.'), fill(also, &[("other", second.name())]));
    }
    said
}

fn explained(explanation: Explanation, trigger: &TriggerType) -> &'static Wordings {
    match (explanation, trigger) {
        (Explanation::Fighting, TriggerType::InflammationRisk) => &[
            "It is your {signs} that stood out, and together that often means the body is fighting something, \
             sometimes before you feel it.",
            "What makes me look twice is the combination, your {signs} at the same time: it fits a body that is \
             fighting something off.",
            "That your {signs} moved together suggests your body may be fighting something rather than merely being \
             tired.",
        ],
        (Explanation::Fighting, _) => &[
            "Your {signs} {be} up as well, and together that often means the body is fighting something, sometimes \
             before you feel it.",
            "What makes me look twice is that your {signs} {be} raised too: that combination fits a body that is \
             fighting something off.",
            "That your {signs} moved up alongside suggests your body may be fighting something rather than merely \
             being tired.",
        ],
        (
            Explanation::ShortSleep,
            TriggerType::BloodPressureSpike
            | TriggerType::GlucoseSpike
            | TriggerType::StressEscalation
            | TriggerType::InflammationRisk,
        ) => &[
            "Your sleep was short {when}, and after such a night the body runs tenser and handles sugar and stress \
             less well.",
            "A short night may have its hand in it: you slept less than usual {when}, and that shows in more than \
             tiredness.",
            "I would not read it without the short sleep {when}, which is known to push readings like this upwards.",
        ],
        (Explanation::ShortSleep, _) => &[
            "The most likely reason is plain: you slept less than usual {when}, and short sleep alone can do this.",
            "Your sleep was short {when}, and that is enough to account for much of what I see.",
            "I would look at sleep first, because it was shorter than your normal {when} and this often follows.",
        ],
        (Explanation::BrokenSleep, _) => &[
            "You were in bed long enough, but your sleep was in pieces {when}, and broken sleep restores less than its \
             length suggests.",
            "Your sleep was more restless than usual {when}, which is a fair explanation on its own.",
            "What stands out beside it is restless sleep {when}; the body recovers poorly when it keeps surfacing.",
        ],
        (Explanation::HardTraining, TriggerType::GlucoseSpike | TriggerType::BloodPressureSpike) => &[
            "Your training load was high {when}, and hard effort can push such a reading up for a while.",
            "There was a lot of training {when}; the hormones of a hard session can show up in exactly this way.",
            "I would keep the training {when} in mind, since a body that has just worked hard often reads higher.",
        ],
        (Explanation::HardTraining, _) => &[
            "Your training load was high {when}, and a body in the middle of its repairs often looks just like this.",
            "There was more training than usual {when}, so this may simply be the price of hard work, to be paid with \
             rest.",
            "The likeliest reason is the load {when}: after hard training the nervous system takes its time to settle.",
        ],
        (Explanation::Strain, _) => &[
            "Your stress score was up too {when}, and a day that does not let go tends to carry over into the body.",
            "The stress you carried {when} is the most likely reason I can see.",
            "It goes together with raised stress {when}; tension and this reading often travel as a pair.",
        ],
    }
}

/// No reason in sight: say what speaks against the usual ones, or that little was seen.
fn unexplained(reading: &Reading<'_>, voice: &Voice, main: Option<Sign>) -> String {
    const ASKED: [Sign; 5] = [Sign::SleepLength, Sign::SkinTemperature, Sign::RestingHeart, Sign::Load, Sign::Stress];
    let usual: Vec<_> = ASKED
        .into_iter()
        .filter(|sign| Some(*sign) != main && reading.is_usual(*sign))
        .map(Sign::name)
        .take(3)
        .collect();
    let moved: Vec<_> =
        reading.all_off().into_iter().filter(|sign| Some(*sign) != main).map(Sign::name).take(2).collect();
    if !moved.is_empty() {
        let wording = voice.pick(&[
            "Your {moved} moved along with it, which makes chance less likely but does not name a reason.",
            "It does not come alone: your {moved} moved too.",
            "That your {moved} left the usual range as well tells me it is real, if not why.",
        ]);
        return fill(wording, &[("moved", &list(&moved))]);
    }
    if usual.is_empty() {
        let wordings: &Wordings = if main.is_none() {
            &[
                "I know it only from the notice, as none of your recent readings has reached me.",
                "The readings behind it have not reached me, so I pass on what the rule saw and no more.",
                "I have only the rule's word for it, without your recent readings beside it.",
            ]
        } else {
            &[
                "I have no other fresh readings beside it, so I can describe the change but not the reason.",
                "Without recent sleep, training or stress readings next to it I would only be guessing at the reason.",
                "No other recent reading stands beside it, which leaves the reason open.",
            ]
        };
        return voice.pick(wordings).to_owned();
    }
    let wording = voice.pick(&[
        "Your {usual} {be} where they usually are, so the common reasons do not fit well.",
        "I looked for a reason and did not find one: your {usual} {be} as usual.",
        "The obvious suspects are quiet, with your {usual} in the usual range.",
    ]);
    let wording = if usual.len() == 1 {
        wording.replace("where they usually are", "where it usually is")
    } else {
        wording.to_owned()
    };
    fill(&wording, &[("usual", &list(&usual)), ("be", if usual.len() > 1 { "are" } else { "is" })])
}

/// How sure it is, and what can look the same.
pub(super) fn sureness(voice: &Voice, trigger: &TriggerType, confidence: Score, explained: bool) -> String {
    let lookalikes = change::lookalikes(trigger);
    // Two of them, another two on another day.
    let others = match voice.pick(&["first", "middle", "last"]) {
        "first" => [lookalikes[0], lookalikes[1]],
        "middle" => [lookalikes[1], lookalikes[2]],
        _ => [lookalikes[2], lookalikes[0]],
    };
    let wording = match (confidence.get(), explained) {
        (sure, _) if sure < 0.45 => voice.pick(&[
            "I would hold this loosely, because {others} can look the same.",
            "I am not very sure of it yet: {others} would give a similar picture.",
            "Take it as a first hint only; {others} can produce it too.",
        ]),
        (sure, true) if sure >= 0.7 => voice.pick(&[
            "I am quite sure of the change and fairly sure of the reason, though {others} could still play a part.",
            "The signs agree with each other, so I am fairly confident, even if {others} cannot be ruled out.",
            "That reading of it fits well; what I cannot exclude from here is {others}.",
        ]),
        (_, true) => voice.pick(&[
            "I am fairly sure of the change and less sure of the reason; {others} could look the same.",
            "The change is clear to me, the reason only probable, since {others} leave the same trace.",
            "I would call this likely and not more, as {others} can imitate it.",
        ]),
        (_, false) => voice.pick(&[
            "The change itself looks real to me; {others} would be worth a thought.",
            "Candidates that I cannot see from here are {others}.",
            "You may know better than I do whether {others} came into it.",
        ]),
    };
    fill(wording, &[("others", &others.join(" or "))])
}

/// An explanation as a finding, for the agents after this one.
pub(super) fn finding(reading: &Reading<'_>, explanation: Explanation) -> Finding {
    let signs = explanation.signs(reading);
    let names: Vec<_> = signs.iter().map(|sign| sign.name()).collect();
    let when = signs.first().and_then(|sign| reading.when(*sign)).map(|when| format!(" {when}")).unwrap_or_default();
    let confidence = match explanation {
        Explanation::Fighting if signs.len() >= 3 => 0.65,
        Explanation::ShortSleep | Explanation::HardTraining => 0.6,
        Explanation::Fighting => 0.5,
        Explanation::BrokenSleep | Explanation::Strain => 0.45,
    };
    Finding {
        subject: Text::cut(explanation.subject()),
        statement: Text::cut(format!("{}: {}{when}.", explained_by(explanation), list(&names))),
        confidence: Score::clamped(confidence),
        events: signs.iter().flat_map(|sign| reading.events(*sign)).take(16).collect(),
        alternatives: Vec::new(),
    }
}

fn explained_by(explanation: Explanation) -> &'static str {
    match explanation {
        Explanation::Fighting => "The body may be fighting something",
        Explanation::ShortSleep => "Short sleep may explain it",
        Explanation::BrokenSleep => "Broken sleep may explain it",
        Explanation::HardTraining => "A high training load may explain it",
        Explanation::Strain => "A stressful stretch may explain it",
    }
}
