//! The coach: turns what was found into a plan for today and the next days, and comes back to it.
//!
//! It needs no key and no network, answers at once, and reads only what a [`Consult`] brings: above all what the agents
//! before it on the panel found, and the plan it gave before, which it finds in its own note. It gives no dose of
//! anything and plans no training where the body may be fighting something.

mod answer;
mod follow;
mod link;
mod plan;
mod steps;

use self::{follow::Follow, link::Why, plan::Plan};
use crate::{
    agent::{Agent, AgentCard, AgentError},
    care::{Care, keeps_coming},
    consult::{Advice, Cause, Consult, Finding},
    events::TriggerType,
    reading::{DayPart, Reading, Repeat},
    text::{Score, Text},
    voice::{Voice, fill, speak},
};

/// Makes plans.
#[derive(Debug, Default, Clone, Copy)]
pub struct Coach;

impl Agent for Coach {
    fn card(&self) -> AgentCard {
        AgentCard::new(
            "coach",
            env!("CARGO_PKG_VERSION"),
            "Makes a plan for today and the next days out of what was found, and follows up on it.",
        )
        .topics([
            "train", "training", "workout", "exercise", "gym", "run", "running", "ride", "swim", "walk", "walking",
            "rest", "plan", "eat", "eating", "meal", "food", "coffee", "alcohol", "tired", "energy", "bedtime", "nap",
            "routine",
        ])
    }

    async fn consult(&self, consult: Consult) -> Result<Advice, AgentError> {
        let reading = Reading::of(&consult);
        let voice = Voice::of(&reading);
        Ok(match (&consult.cause, Care::of(&reading)) {
            (_, Some(care)) => care.advice(&reading, &voice),
            (Cause::Message { text, .. }, None) => answer::message(&reading, &voice, text),
            (Cause::Trigger { trigger_type, .. }, None) => planned(&reading, &voice, trigger_type),
        })
    }
}

/// The plan that a trigger calls for.
fn planned(reading: &Reading<'_>, voice: &Voice, trigger: &TriggerType) -> Advice {
    let why = link::why(reading, Some(trigger));
    let plan = Plan::after(trigger, why.map(|why| why.what));
    let repeat = reading.history.repeat();
    let follow = Follow::of(reading);
    let stage = follow.as_ref().map_or(0, |follow| follow.stage(reading, plan));

    let mut sentences = Vec::new();
    sentences.extend(follow.as_ref().map(|follow| follow.words(reading, voice, plan)));
    let stays = follow.as_ref().is_some_and(|follow| follow.plan() == plan);
    if !stays || !reading.consult.panel.is_empty() {
        sentences.push(link::words(reading, voice, trigger, plan, why, stays));
    }
    sentences.push(filled(reading, voice.pick(steps::of(plan, stage))));
    sentences.push(filled(reading, voice.pick(steps::ahead(plan))));
    sentences.push(closing(reading, voice, trigger, plan, repeat));

    Advice {
        message: Text::cut(speak(sentences)),
        findings: vec![finding(reading, plan)],
        confidence: Some(Score::clamped(if why.is_some() { 0.6 } else { 0.45 })),
        reasons: reasons(plan, why, follow.as_ref()),
        hand_off: None,
        note: voice.note(&plan.note()),
    }
}

fn closing(reading: &Reading<'_>, voice: &Voice, trigger: &TriggerType, plan: Plan, repeat: Repeat) -> String {
    let part = reading.moment.part();
    let wordings: &[&str; 3] = if keeps_coming(trigger, repeat) {
        &[
            "As this keeps coming back, please also make an appointment with a clinician.",
            "Beside the plan, a clinician should look at it by now; please contact one this week.",
            "The plan does not replace a clinician, and after this long it is time to contact one.",
        ]
    } else if part == DayPart::Night {
        &[
            "For now, put the screen away; lying quietly in the dark is rest too, even awake.",
            "At this hour the only task is to lie down again and let the screen go dark.",
            "Right now there is nothing to do but dim the light and leave the rest to the morning.",
        ]
    } else if plan == Plan::Rest {
        &[
            "If you begin to feel ill or it lasts beyond {until}, please contact a clinician.",
            "Should you feel worse rather than better by {until}, a clinician is the next step.",
            "How you feel outranks the plan: if you feel properly unwell, contact a clinician.",
        ]
    } else if part == DayPart::Evening {
        &[
            "For this evening, something quiet and low light will do.",
            "This evening itself can stay plain: warm light, nothing urgent.",
            "The rest of this evening is yours; let it be a slow one.",
        ]
    } else {
        &[
            "Tell me tomorrow how it went.",
            "A word from you on how it felt will make the next plan better.",
            "If it does not fit your day, tell me and we find another way.",
        ]
    };
    filled(reading, voice.pick(wordings))
}

/// Fills in the days a plan speaks of.
fn filled(reading: &Reading<'_>, wording: &str) -> String {
    let moment = reading.moment;
    fill(wording, &[("today", moment.today()), ("tonight", &moment.tonight()), ("until", moment.until())])
}

fn finding(reading: &Reading<'_>, plan: Plan) -> Finding {
    Finding {
        subject: Text::cut("plan"),
        statement: Text::cut(format!("The plan until {} is {}.", reading.moment.until(), plan.name())),
        confidence: Score::clamped(0.5),
        events: plan.sign().map(|sign| reading.events(sign)).unwrap_or_default(),
        alternatives: Vec::new(),
    }
}

fn reasons(plan: Plan, why: Option<Why>, follow: Option<&Follow<'_>>) -> Vec<Text<512>> {
    let mut reasons = Vec::new();
    if let Some(why) = why {
        let who = if why.told { "The panel before the coach points" } else { "The readings point" };
        reasons.push(Text::cut(format!("{who} to {}.", why.what.name())));
    }
    if let Some(follow) = follow {
        reasons.push(Text::cut(format!("The plan before was {}.", follow.plan().name())));
    }
    reasons.push(Text::cut(format!("The plan that fits is {}.", plan.name())));
    reasons
}
