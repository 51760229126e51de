//! What the neuroscientist answers when a person writes, and when care comes first.

use super::change;
use crate::{
    care::Care,
    consult::{Advice, Finding, HandOff},
    ids::AgentId,
    reading::{Direction, Explanation, Reading, Sign, list},
    text::{Score, Text},
    topic::Topic,
    voice::{Voice, fill, speak},
    words::Words,
};

/// Care before anything else.
pub(super) fn care(reading: &Reading<'_>, voice: &Voice, care: Care) -> Advice {
    let findings =
        care.sign().filter(|sign| reading.is_off(*sign)).map(|sign| finding(reading, sign)).into_iter().collect();
    Advice {
        message: Text::cut(care.words(reading, voice)),
        findings,
        reasons: vec![Text::cut("Something in this calls for care before advice.")],
        note: voice.note("care"),
        ..Advice::default()
    }
}

/// A person's question. The text is searched for its topic and for nothing else.
pub(super) fn message(reading: &Reading<'_>, voice: &Voice, text: &str) -> Advice {
    let words = Words::of(text);
    let topic = Topic::of(&words);
    let mut sentences = vec![knowledge(topic, voice).to_owned()];
    let mut findings = Vec::new();
    match topic {
        Topic::Greeting | Topic::Thanks | Topic::Who | Topic::Privacy => {}
        Topic::Why | Topic::Progress | Topic::Plan | Topic::Focus | Topic::Unknown => {
            sentences.push(overview(reading, voice));
            findings.extend(reading.all_off().into_iter().take(3).map(|sign| finding(reading, sign)));
        }
        _ => {
            let sign = topic.sign().filter(|sign| reading.knows(*sign)).or(topic.sign());
            if let Some(sign) = sign {
                sentences.push(of_sign(reading, voice, sign));
                if reading.is_off(sign) {
                    findings.push(finding(reading, sign));
                }
            }
            if let Some(reason) = reason(reading, voice, sign) {
                sentences.push(reason);
            }
        }
    }
    let to_coach = reading.consult.panel.is_empty()
        && !matches!(topic, Topic::Greeting | Topic::Thanks | Topic::Who | Topic::Privacy | Topic::Unknown)
        && (topic == Topic::Plan || Topic::asks_what_to_do(&words));
    if to_coach {
        sentences.push(voice.pick(TO_THE_COACH).to_owned());
    }
    let confidence = findings.first().map(|found: &Finding| found.confidence);
    Advice {
        message: Text::cut(speak(sentences)),
        findings,
        confidence,
        reasons: Vec::new(),
        hand_off: to_coach
            .then(|| AgentId::new("coach").ok())
            .flatten()
            .map(|to| HandOff { to, reason: Text::cut("The person asks what to do.") }),
        note: voice.note(&format!("asked {}", topic.word())),
    }
}

const TO_THE_COACH: &[&str; 3] = &[
    "What to do about it is the coach's part, so I pass this on.",
    "For the doing I hand you over to the coach.",
    "The coach is better at turning that into a plan, and takes over here.",
];

fn finding(reading: &Reading<'_>, sign: Sign) -> Finding {
    Finding {
        subject: Text::cut(sign.subject()),
        statement: Text::cut(change::statement(reading, sign)),
        confidence: Score::clamped(0.5),
        events: reading.events(sign),
        alternatives: Vec::new(),
    }
}

/// What the newest readings say about a sign.
pub(super) fn of_sign(reading: &Reading<'_>, voice: &Voice, sign: Sign) -> String {
    let side = match sign.unwelcome() {
        Direction::Low => "below",
        Direction::High => "above",
    };
    let when = reading.when(sign).unwrap_or_else(|| "lately".to_owned());
    let wordings: &[&str; 3] = if reading.is_off(sign) {
        &[
            "In your own readings, your {name} was {side} your usual range {when}.",
            "With you, the {name} lay {side} what is usual {when}.",
            "As for your readings, they show your {name} {side} your normal {when}.",
        ]
    } else if reading.knows(sign) {
        &[
            "Your newest {name} reading is within your usual range, which takes nothing away from how you feel.",
            "As far as I can see, your {name} is where it usually is; if it feels otherwise, that counts too.",
            "Your own {name} looks as usual in the newest reading.",
        ]
    } else {
        &[
            "I do not know your usual {name} well enough yet, so I can only speak in general.",
            "For your {name} I have too little to compare with so far, so please take this as general.",
            "What is usual for your {name} I cannot say yet, which is why I stay general here.",
        ]
    };
    fill(voice.pick(wordings), &[("name", sign.name()), ("side", side), ("when", &when)])
}

/// What else in the readings bears on the question.
fn reason(reading: &Reading<'_>, voice: &Voice, asked: Option<Sign>) -> Option<String> {
    let found = Explanation::all(reading, None)
        .into_iter()
        .find(|found| found.signs(reading).iter().any(|sign| Some(*sign) != asked))?;
    if found == Explanation::Fighting {
        let names: Vec<_> =
            found.signs(reading).into_iter().filter(|sign| Some(*sign) != asked).map(Sign::name).collect();
        let wording = voice.pick(&[
            "Your {signs} moved as well, and together that fits a body that may be fighting something.",
            "Taken with your {signs}, it looks as if your body may be fighting something.",
            "With your {signs} out of place too, your body may be fighting something; that is a hint and no more.",
        ]);
        return Some(fill(wording, &[("signs", &list(&names))]));
    }
    let wording = voice.pick(&[
        "Beside it I see {why}, which may well be part of the answer.",
        "Your readings also show {why}, and the two often go together.",
        "What may play in is {why}, to judge by the last days.",
    ]);
    Some(fill(wording, &[("why", found.name())]))
}

/// What stands out at present, and what it was noticed by.
fn overview(reading: &Reading<'_>, voice: &Voice) -> String {
    let off = reading.all_off();
    if off.is_empty() {
        let wordings: &[&str; 3] = if reading.consult.recent.is_empty() {
            &[
                "No recent readings of yours have reached me, so I cannot say more than that.",
                "I have nothing recent to look at, which leaves me with general answers for now.",
                "Your readings are missing for the last days, so there is nothing I could point to.",
            ]
        } else {
            &[
                "At the moment none of your recent readings lies outside your usual range.",
                "Right now your readings look like you on an ordinary day.",
                "As of the newest readings, nothing stands out.",
            ]
        };
        return voice.pick(wordings).to_owned();
    }
    let shown: Vec<Sign> = off.iter().copied().take(3).collect();
    let whens: Vec<_> = shown.iter().map(|sign| reading.when(*sign).unwrap_or_default()).collect();
    let named = if whens.windows(2).all(|pair| pair[0] == pair[1]) {
        // One time for all of them is said once.
        let names: Vec<_> = shown.iter().map(|sign| sign.name()).collect();
        format!("your {} {}", list(&names), whens[0])
    } else {
        let named: Vec<_> =
            shown.iter().zip(&whens).map(|(sign, when)| format!("your {} {when}", sign.name())).collect();
        list(&named.iter().map(String::as_str).collect::<Vec<_>>())
    };
    let wording = voice.pick(&[
        "What lies outside your usual range: {named}.",
        "What stands out against your own normal is {named}.",
        "I would point to {named}, outside what is usual for you.",
    ]);
    let said = fill(wording, &[("named", named.trim_end())]);
    let thread = Explanation::all(reading, None)
        .into_iter()
        .find(|found| off.iter().any(|sign| !found.signs(reading).contains(sign)));
    if let Some(found) = thread {
        let wording = voice.pick(&[
            "The likeliest thread through it is {why}, though I cannot be certain.",
            "Taken together it fits {why}, which is probable and not proven.",
            "My best guess at what ties it together is {why}.",
        ]);
        format!("{said} {}", fill(wording, &[("why", found.name())]))
    } else if let Some(last) = reading.history.last_trigger() {
        format!("{said} The last notice came {}.", reading.history.when(last))
    } else {
        said
    }
}

/// What there is to know about a topic, without anybody's readings.
fn knowledge(topic: Topic, voice: &Voice) -> &'static str {
    voice.pick(match topic {
        Topic::Greeting => &[
            "Hello. I explain what your readings say about your nights, your heart and your head; ask me about any of \
             them.",
            "Hello, good to hear from you. If a reading puzzles you, ask me what changed or why.",
            "Hello. Tell me what you would like to understand: sleep, stress, recovery, or a notice you got.",
        ],
        Topic::Thanks => &[
            "You are welcome. I keep an eye on the next readings.",
            "Gladly. Ask again whenever something looks odd.",
            "You are welcome; how you feel is worth telling me too.",
        ],
        Topic::Who => &[
            "I am the neuroscientist of this hub: a program that explains what changed in your readings and how sure \
             that is. I am no doctor and make no diagnosis.",
            "I explain readings: what moved, on which nights, and what else could explain it. I am a program and not a \
             clinician.",
            "I am a program that reads how your measurements compare with your own usual range and says what that may \
             mean. A clinician I am not.",
        ],
        Topic::Privacy => &[
            "I never see your measurements themselves, only how each compares with your own usual range; the values \
             stay sealed.",
            "What reaches me are ranks, severities and trends, never a measured value: those stay sealed where I \
             cannot open them.",
            "Your measured values are sealed and I hold no key; I only know whether something is usual for you or not.",
        ],
        Topic::Why => &[
            "You see a notice when several readings leave your own usual range, never because of anybody else's.",
            "A notice comes from a rule that compares your readings with your own recent ones.",
            "What you saw rests on a comparison with yourself: newer readings against your own usual range.",
        ],
        Topic::Plan => &[
            "I can tell you what the readings say, and from there what to do is a short step.",
            "First what there is to act on.",
            "Before any plan, a look at where you stand.",
        ],
        Topic::Progress => &[
            "Recovery shows over several nights, so I look at the direction more than at any single one.",
            "One good night is not yet recovery, just as one bad night is no setback.",
            "To judge progress I compare your newest readings with your own usual range.",
        ],
        Topic::Illness => &[
            "Before people feel ill, resting heart rate and skin temperature at night often rise while heart-rate \
             variability falls, but a late drink or a warm room does the same; if you feel ill, trust that over any \
             reading.",
            "A body that fights something tends to run warmer and faster at night. Readings can hint at it and never \
             settle it, so if you feel unwell, a clinician is the better address.",
            "I can see hints of it but not whether you are ill: warmer skin, a faster pulse and lower variability at \
             night would be the usual ones. How you feel counts for more.",
        ],
        Topic::Sleep => &[
            "Deep sleep comes early in the night and restores the body, while the dreams of the late hours sort \
             feelings and memories, so a short night costs you mostly the second.",
            "Two things bring sleep: how long you have been awake, and your inner clock; a regular hour for getting up \
             steadies both.",
            "A single poor night is made up for quickly; it is the run of them that slows attention and raises \
             tension.",
        ],
        Topic::Training => &[
            "Training is a stress your nervous system answers with recovery, and the answer usually shows in the night \
             after.",
            "Hard sessions lower variability and raise the resting pulse for a while; that is the work being done and \
             not a fault.",
            "What makes you fitter is the rest after the load, and your night readings show whether it is happening.",
        ],
        Topic::Stress => &[
            "Stress is your body getting ready for something; it does harm mainly when it does not come back down.",
            "A stress score reads the body and not the mind: excitement, heat or coffee can look like worry.",
            "The nervous system calms down more slowly than it revs up, so tension of the day is often still there at \
             night.",
        ],
        Topic::Variability => &[
            "Heart-rate variability is how unevenly your heart beats from one beat to the next; more of it at night \
             usually means the calming nerves are in charge.",
            "Variability falls with short sleep, hard training, alcohol, tension or a body fighting something, so it \
             tells you that something is there and rarely what.",
            "With heart-rate variability only the comparison with yourself counts; other people's values say nothing \
             about you.",
        ],
        Topic::HeartRate => &[
            "The resting heart rate at night rises when the body has work to do: digesting, repairing, fighting \
             something, or staying alert.",
            "A resting pulse a little above your own usual is most often a late meal, a drink, a warm room or a hard \
             day.",
            "Your resting heart rate is a slow and honest signal; what matters is whether it stays away from your \
             usual for several nights.",
        ],
        Topic::Tired => &[
            "Tiredness is most often a debt of sleep, and next to that a day that asked for more than it gave back.",
            "Feeling tired can come from short nights, from heavy load or from long tension, and the readings can help \
             to tell them apart. If it lasts for weeks, a clinician should look at it.",
            "Being tired and being sleepy are different: sleepy asks for sleep, tired often asks for light, movement \
             or a pause.",
        ],
        Topic::Glucose => &[
            "Glucose rises after eating and falls again as muscles take it up; a short night or a tense day makes the \
             rise higher.",
            "How high glucose goes depends on what you eat first, how fast, and whether you move afterwards.",
            "A single rise says little about you; what counts is whether the same meal keeps giving the same answer.",
        ],
        Topic::Pressure => &[
            "Blood pressure changes from minute to minute, with talking, rushing, cold or worry, so only calm readings \
             at the same hour can be compared.",
            "A blood pressure reading is a snapshot: sitting still for some minutes beforehand changes it more than \
             most people expect.",
            "Pressure follows sleep, tension and effort; it is the average of many calm readings that tells you \
             something, and that average is for a clinician to judge.",
        ],
        Topic::Food => &[
            "Late and heavy meals keep the heart busy at night, and alcohol does so even more; both are visible in \
             variability and pulse.",
            "What you eat late is digested while you sleep, which raises the night pulse and lightens the sleep.",
            "Late meals and alcohol keep the pulse up at night, and an afternoon coffee can still be at work at \
             bedtime.",
        ],
        Topic::Focus => &[
            "Attention is a recovered brain's luxury: it fades first after short nights and comes back first after \
             good ones.",
            "The brain holds its focus for a limited stretch, and short sleep or long tension makes that stretch \
             shorter.",
            "Fog in the head is most often a matter of sleep, tension or a day without pauses.",
        ],
        Topic::Mood => &[
            "Mood and sleep pull on each other; after short nights the brain weighs bad news more heavily than good.",
            "I am sorry it feels low. Mood follows sleep, light, movement and company, and it is worth telling \
             somebody, a clinician too if it stays.",
            "A low mood after poor nights is common and usually passes with them; if it does not lift, please talk to \
             somebody you trust or to a clinician.",
        ],
        Topic::Unknown => &[
            "I am not sure what you are asking; I can speak about sleep, stress, heart, focus and recovery, or about a \
             notice you got.",
            "That is outside what I understand. Ask me what changed in your readings, or why you got a notice.",
            "I did not quite catch the question, so here is what I can offer: what your readings say, and what may lie \
             behind them.",
        ],
    })
}
