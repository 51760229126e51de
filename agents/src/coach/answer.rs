//! What the coach answers when a person writes. The text is searched for its topic and for nothing else.

use super::{filled, finding, follow::Follow, link, plan::Plan, steps};
use crate::{
    consult::{Advice, HandOff},
    ids::AgentId,
    reading::{Explanation, Reading, Sign},
    text::{Score, Text},
    topic::Topic,
    voice::{Voice, fill, speak},
    words::Words,
};

pub(super) fn message(reading: &Reading<'_>, voice: &Voice, text: &str) -> Advice {
    let words = Words::of(text);
    let topic = Topic::of(&words);
    let why = link::why(reading, None).map(|why| why.what);
    if let Some(small) = small_talk(topic) {
        return talk(voice, topic, voice.pick(small).to_owned());
    }
    match topic {
        Topic::Plan => plan_again(reading, voice, why),
        Topic::Progress => progress(reading, voice, why),
        Topic::Why => explain(reading, voice, topic),
        Topic::Variability | Topic::HeartRate if !Topic::asks_what_to_do(&words) => explain(reading, voice, topic),
        _ => plan_for(reading, voice, topic, why),
    }
}

fn talk(voice: &Voice, topic: Topic, words: String) -> Advice {
    Advice {
        message: Text::cut(speak([words])),
        note: voice.note(&format!("asked {}", topic.word())),
        ..Advice::default()
    }
}

/// A plan for what was asked about.
fn plan_for(reading: &Reading<'_>, voice: &Voice, topic: Topic, why: Option<Explanation>) -> Advice {
    let ill = why == Some(Explanation::Fighting) || topic == Topic::Illness;
    let low = reading.is_off(Sign::Variability) || reading.is_off(Sign::RestingHeart);
    let plan = match (topic, why) {
        _ if ill => Plan::Rest,
        (Topic::Training, Some(why)) => Plan::against(why),
        (Topic::Training, None) if low => Plan::EaseOff,
        // Nothing speaks against training: there is no plan to change.
        (Topic::Training, None) => return go(reading, voice, topic),
        (Topic::Sleep, _) => Plan::EarlyNight,
        (Topic::Stress, _) => Plan::WindDown,
        (Topic::Food, _) if !reading.is_off(Sign::Glucose) => return talk(voice, topic, voice.pick(FOOD).to_owned()),
        (Topic::Glucose | Topic::Food, _) => Plan::WalkAfterMeals,
        (Topic::Pressure, _) => Plan::CalmMeasure,
        (Topic::Focus, _) => Plan::SpareAttention,
        (Topic::Variability | Topic::HeartRate, None) if !low => {
            return talk(voice, topic, voice.pick(HABITS).to_owned());
        }
        (Topic::Mood, _) => return talk(voice, topic, mood(reading, voice)),
        (Topic::Tired, why) => why.map_or(Plan::EarlyNight, Plan::against),
        (_, why) => why.map_or(if low { Plan::EaseOff } else { Plan::Watch }, Plan::against),
    };
    let lead = match topic {
        Topic::Training => training(voice, plan, why).to_owned(),
        Topic::Illness => voice
            .pick(&[
                "If you feel ill, that decides it, whatever the readings say.",
                "With that feeling I plan no training; better a day too many at rest than one too few.",
                "Feeling unwell comes before every plan, so let us keep it to rest.",
            ])
            .to_owned(),
        _ => lead(voice, plan, why),
    };
    let stage = Follow::of(reading).map_or(0, |follow| follow.stage(reading, plan));
    let mut sentences = vec![
        lead,
        filled(reading, voice.pick(steps::of(plan, stage))),
        filled(reading, voice.pick(steps::ahead(plan))),
    ];
    if ill {
        sentences.push(
            voice
                .pick(&[
                    "If it gets worse or does not pass in a few days, please contact a clinician.",
                    "Please contact a clinician if you feel properly ill or it drags on.",
                    "A clinician is the right address if it becomes more than a passing thing.",
                ])
                .to_owned(),
        );
    }
    Advice {
        message: Text::cut(speak(sentences)),
        findings: vec![finding(reading, plan)],
        confidence: Some(Score::clamped(if why.is_some() { 0.6 } else { 0.4 })),
        reasons: why.map(|why| Text::cut(format!("The readings point to {}.", why.name()))).into_iter().collect(),
        hand_off: None,
        note: voice.note(&plan.note()),
    }
}

const HABITS: &[&str; 3] = &[
    "What moves it over weeks is unspectacular: the same bedtime, easy movement on most days, little alcohol, early \
     dinners. Pick the one you are furthest from and keep it until the end of next week.",
    "I would not chase the reading itself. Sleep at regular hours, train easily more often than hard, and give each \
     day a real pause; the reading follows slowly.",
    "Begin with the evening: an early, light dinner, no alcohol, and lights out at the same hour every day. After a \
     week, look at the trend and not at single nights.",
];

const FOOD: &[&str; 3] = &[
    "Eat at regular hours, plants and protein first, the larger meal by day and the lighter one in the evening. Leave \
     some time between dinner and bed, and keep coffee out of the second half of the day.",
    "Keep it plain: vegetables, something with protein, a modest portion of starch, eaten slowly and followed by a \
     short walk. Late and heavy meals and alcohol cost you the most at night, so that is where a change pays first.",
    "Around training eat enough, in the evening eat early, and let water be the usual drink. If you want to change one \
     thing only, move dinner forward and see what your nights say to it.",
];

fn lead(voice: &Voice, plan: Plan, why: Option<Explanation>) -> String {
    let wordings: &[&str; 3] = match why {
        Some(why) if plan.answers(why) => &[
            "Your readings show {why}, so I would begin with {plan}.",
            "Going by your readings there is {why} behind it, and {plan} is what helps with that.",
            "Since {why} shows in your last days, {plan} comes first.",
        ],
        Some(_) => &[
            "I would go for {plan}, and keep in mind that your readings also show {why}.",
            "My suggestion is {plan}; {why} shows in your readings too, so be patient with yourself.",
            "Let us try {plan}, gently, because your last days also show {why}.",
        ],
        None => &[
            "What I would try is {plan}.",
            "Let us begin with {plan}.",
            "My suggestion is {plan}, kept small enough to really happen.",
        ],
    };
    fill(voice.pick(wordings), &[("why", why.map(Explanation::name).unwrap_or_default()), ("plan", plan.name())])
}

/// Whether to train, when something speaks against training as usual.
fn training(voice: &Voice, plan: Plan, why: Option<Explanation>) -> &'static str {
    voice.pick(match (plan, why) {
        (Plan::Rest, _) => &[
            "I would not train now: several of your signals look as if your body were fighting something.",
            "Better not; going by your nights, your body may be busy fighting something.",
            "My answer is no for the moment, because your body may be fighting something.",
        ],
        (_, Some(Explanation::ShortSleep | Explanation::BrokenSleep)) => &[
            "Something easy is fine, but after such sleep a hard session takes more than it gives.",
            "Move, but keep it gentle: your sleep was not good enough to build on.",
            "Easy yes, hard no; the missing sleep comes first.",
        ],
        (_, Some(Explanation::HardTraining)) => &[
            "You have done plenty lately, so the best training now is recovery.",
            "Only easy movement: the work of the last days still has to sink in.",
            "I would leave the hard session, since your load is already high.",
        ],
        (_, Some(_)) => &[
            "Easy movement will do you good, but hard training would only add to the tension.",
            "Yes to moving, no to chasing numbers while you are this tense.",
            "Keep it light and outdoors; your stress is load enough.",
        ],
        _ => &[
            "Easy movement is fine, but I would leave intensity for a day with better night readings.",
            "Go gently: your night readings are not quite where they usually are.",
            "Light training yes, hard training not now, going by your night.",
        ],
    })
}

/// Nothing speaks against training.
fn go(reading: &Reading<'_>, voice: &Voice, topic: Topic) -> Advice {
    let seen =
        reading.knows(Sign::Variability) || reading.knows(Sign::RestingHeart) || reading.knows(Sign::SleepLength);
    let wordings: &[&str; 3] = if seen {
        &[
            "Nothing in your readings speaks against it, so train as you planned and begin gently. Stop while it still \
             feels good, and keep an easy day after a hard one.",
            "Your nights look as usual, which is a fair green light. Warm up well, leave something in reserve, and eat \
             and sleep on it properly.",
            "Yes, as far as your readings go. Let the first stretch decide: if it feels heavier than it should, make \
             it an easy session.",
        ]
    } else {
        &[
            "I have no recent nights of yours to go by, so let your body decide: if the warm-up feels heavy, keep it \
             easy. Leave a day between hard sessions.",
            "Without fresh readings I would take the middle road: an easy session, at a pace you could chat at, and \
             more only if it feels light.",
            "Nothing recent has reached me, so go by how you woke up. Rested, you can train as planned; otherwise take \
             a walk and try again another day.",
        ]
    };
    talk(voice, topic, voice.pick(wordings).to_owned())
}

fn mood(reading: &Reading<'_>, voice: &Voice) -> String {
    filled(
        reading,
        voice.pick(&[
            "I am sorry it feels that way. Keep {today} small: daylight, a walk, a proper meal, and one person you \
             like to talk to. If it stays or gets heavier, please talk to a clinician too.",
            "Thank you for telling me. Choose one thing for {today} that usually does you good, do it without \
             ambition, and tell somebody close how you are. If it does not lift, a clinician can help.",
            "That sounds hard. Go outside once while it is light, call somebody, and go to bed early {tonight}; if it \
             does not pass, please speak to a clinician.",
        ]),
    )
}

/// What the plan is: the one that stands, or a new one.
fn plan_again(reading: &Reading<'_>, voice: &Voice, why: Option<Explanation>) -> Advice {
    let Some(follow) = Follow::of(reading) else { return plan_for(reading, voice, Topic::Plan, why) };
    let plan = if why == Some(Explanation::Fighting) { Plan::Rest } else { follow.plan() };
    let lead = if plan == follow.plan() {
        let wording = voice.pick(&[
            "The plan since {when} is {plan}, and it still holds.",
            "You have one from {when}: {plan}. I would stay with it.",
            "What we settled {when} was {plan}, so let us go on with that.",
        ]);
        fill(wording, &[("when", &follow.when(reading)), ("plan", plan.name())])
    } else {
        follow.words(reading, voice, plan)
    };
    let step = filled(reading, voice.pick(steps::of(plan, follow.stage(reading, plan))));
    let ahead = filled(reading, voice.pick(steps::ahead(plan)));
    Advice {
        message: Text::cut(speak([lead, step, ahead])),
        findings: vec![finding(reading, plan)],
        confidence: Some(Score::clamped(0.5)),
        note: voice.note(&plan.note()),
        ..Advice::default()
    }
}

fn progress(reading: &Reading<'_>, voice: &Voice, why: Option<Explanation>) -> Advice {
    let Some(follow) = Follow::of(reading) else { return plan_for(reading, voice, Topic::Progress, why) };
    let plan = if why == Some(Explanation::Fighting) { Plan::Rest } else { follow.plan() };
    let lead = follow.words(reading, voice, plan);
    let ahead = filled(reading, voice.pick(steps::ahead(plan)));
    Advice {
        message: Text::cut(speak([lead, ahead])),
        findings: vec![finding(reading, plan)],
        confidence: Some(Score::clamped(0.5)),
        note: voice.note(&plan.note()),
        ..Advice::default()
    }
}

/// A question for a reason goes to the neuroscientist, unless the neuroscientist has just spoken.
fn explain(reading: &Reading<'_>, voice: &Voice, topic: Topic) -> Advice {
    let words = voice.pick(&[
        "Reasons are the neuroscientist's part; when you know what is behind it, I make the plan.",
        "For the why I would ask the neuroscientist, and for the what-now I am here.",
        "The neuroscientist explains that better than I do. Come back to me for what to do about it.",
    ]);
    let mut advice = talk(voice, topic, words.to_owned());
    if reading.consult.panel.is_empty() {
        advice.hand_off = AgentId::new("neuroscientist")
            .ok()
            .map(|to| HandOff { to, reason: Text::cut("The person asks for the reason.") });
    }
    advice
}

fn small_talk(topic: Topic) -> Option<&'static [&'static str; 3]> {
    Some(match topic {
        Topic::Greeting => &[
            "Hello. Tell me what is on your mind: training, food, sleep, or what to do about a notice.",
            "Hello, good to hear from you. Shall we look at a plan for the next days?",
            "Hello. If you are tired, tense or unsure whether to train, ask me.",
        ],
        Topic::Thanks => &[
            "You are welcome. Tell me how it goes.",
            "Gladly; small steps count, and I like to hear about them.",
            "You are welcome. If the plan does not fit your day, say so and we change it.",
        ],
        Topic::Who => &[
            "I am the coach of this hub: a program that turns what your readings say into a plan for the next days. I \
             am not a clinician.",
            "I make plans: what to do now, what over the next days, and what to leave. A program, and no substitute \
             for a clinician.",
            "I am a program for the practical side of it: sleep, training, meals, pauses. What is medical belongs with \
             a clinician.",
        ],
        Topic::Privacy => &[
            "I never see a measured value, only whether a reading is usual for you; the values stay sealed.",
            "All I get is how a reading compares with your own normal, and what we said before. The values themselves \
             are sealed.",
            "Your measurements are sealed and I cannot open them; I plan with ranks and trends alone.",
        ],
        Topic::Unknown => &[
            "I am not sure what you need; ask me about training, meals, sleep, stress, or what to do about a notice.",
            "That is not something I can plan for. What I can do is help with rest, movement, food and pauses.",
            "I did not quite get that. Do you want a plan for sleep, for training, or for a tense day?",
        ],
        _ => return None,
    })
}
