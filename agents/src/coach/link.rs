//! Where a plan comes from: what the panel before the coach found, or else what the coach reads itself.

use super::plan::Plan;
use crate::{
    consult::PanelAdvice,
    events::TriggerType,
    reading::{Explanation, Reading, what},
    voice::{Voice, fill},
};

/// What explains a change, and whether it was the panel that found it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) what: Explanation,
    pub(super) told: bool,
}

/// What explains the change. A body that may be fighting something outweighs whatever else was found.
pub(super) fn why(reading: &Reading<'_>, trigger: Option<&TriggerType>) -> Option<Why> {
    let own = Explanation::all(reading, trigger);
    let mut found: Vec<_> = reading
        .consult
        .panel
        .iter()
        .flat_map(|said| &said.findings)
        .filter_map(|finding| Some((Explanation::found(finding)?, finding.confidence.get())))
        .collect();
    found.sort_by(|a, b| b.1.total_cmp(&a.1));
    let told = |what| Why { what, told: true };
    let read = |what| Why { what, told: false };
    let fighting = Explanation::Fighting;
    if found.iter().any(|(what, _)| *what == fighting) {
        Some(told(fighting))
    } else if own.contains(&fighting) {
        Some(read(fighting))
    } else {
        found.first().map(|(what, _)| told(*what)).or_else(|| own.first().map(|what| read(*what)))
    }
}

/// How the plan follows from it.
pub(super) fn words(
    reading: &Reading<'_>,
    voice: &Voice,
    trigger: &TriggerType,
    plan: Plan,
    why: Option<Why>,
    stays: bool,
) -> String {
    // Nobody is quoted for what they did not find.
    let panel = reading.consult.panel.last().map(speaker).filter(|_| why.is_none_or(|why| why.told));
    let why = why.map(|why| why.what);
    let wordings: &[&str; 3] = match (&panel, why) {
        (Some(_), Some(why)) if stays && plan.answers(why) => &[
            "{who} still sees {why}, which supports it.",
            "What {who} found points the same way: {why}.",
            "{who} names {why} once more, so the direction is right.",
        ],
        (Some(_), None) if stays => &[
            "{who} has no better reason to offer yet, so we stay cautious.",
            "As {who} still leaves the reason open, patience is part of it.",
            "Nothing that {who} found speaks for changing course.",
        ],
        (Some(_), Some(why)) if plan.answers(why) => &[
            "{who} points to {why}, so the plan is {plan}.",
            "Going by what {who} found, I would answer {why} with {plan}.",
            "With {why} among the findings of {who}, {plan} comes first.",
        ],
        (Some(_), Some(_)) => &[
            "{who} also sees {why}, so {remedy} belongs next to {plan}.",
            "Since {who} found {why} beside it, I would pair {plan} with {remedy}.",
            "Take {remedy} along with {plan}, because {who} noticed {why} as well.",
        ],
        (Some(_), None) => &[
            "{who} sees the change but no clear reason, so the plan is a cautious one: {plan}.",
            "As {who} leaves the reason open, I would start with something that is never wrong here, {plan}.",
            "Without a clear reason from {who}, {plan} is the sensible first step.",
        ],
        (None, Some(why)) if plan.answers(why) => &[
            "Your readings point to {why}, so the plan is {plan}.",
            "In your readings I see {why}, and I would answer that with {plan}.",
            "With {why} in your readings, {plan} comes first.",
        ],
        (None, Some(_)) => &[
            "Your readings also show {why}, so {remedy} belongs next to {plan}.",
            "Since {why} shows in your readings too, I would pair {plan} with {remedy}.",
            "Take {remedy} along with {plan}, because your readings show {why} as well.",
        ],
        (None, None) => &[
            "A rule noticed {what}, and the sensible answer to that is {plan}.",
            "With {what} and no clear reason for it, I would begin with {plan}.",
            "What was noticed is {what}; nothing to worry over, but enough for {plan}.",
        ],
    };
    let remedy = why.map_or("an easy day", remedy);
    fill(
        voice.pick(wordings),
        &[
            ("who", panel.unwrap_or_default()),
            ("why", why.map(reason).unwrap_or_default()),
            ("plan", plan.name()),
            ("remedy", remedy),
            ("what", what(trigger)),
        ],
    )
}

/// What explains the change, as the coach says it to the person.
fn reason(why: Explanation) -> &'static str {
    match why {
        Explanation::Fighting => "signs that your body may be fighting something",
        other => other.name(),
    }
}

fn remedy(why: Explanation) -> &'static str {
    match why {
        Explanation::Fighting => "plain rest",
        Explanation::ShortSleep => "an early bedtime",
        Explanation::BrokenSleep => "a cool, quiet bedroom",
        Explanation::HardTraining => "a day without hard training",
        Explanation::Strain => "a slow evening",
    }
}

/// Who spoke before. Others than the neuroscientist are not named: an id is not always a name.
fn speaker(said: &PanelAdvice) -> &'static str {
    if said.agent.as_str() == "neuroscientist" { "the neuroscientist" } else { "the colleague before me" }
}
