//! Why a rule spoke or did not, in sentences with numbers. Metadata only: what it shows, an agent may see too.

use super::{
    compile::Compiled,
    engine::{Memory, Seen},
    expression::{Slot, Type, Values as _},
    noted::OfEvent,
    rules::{InForce, Rules},
    signal::Past,
    template::number,
};
use crate::seen::moment;

const HOUR_MS: i64 = 3_600_000;

/// How a rule stands at the newest event of its inputs; one that tells of an absence, when that was complete, or now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explained {
    /// When that was, in milliseconds since the epoch; none where none has come.
    pub at: Option<i64>,
    /// Whether what the rule looks for is there, whether or not it is time to say it.
    pub holds: bool,
    /// Why, in sentences.
    pub text: String,
}

impl Rules {
    /// Explains how a rule stands with a person; none where there is no such rule.
    #[must_use]
    pub fn explain(&self, memory: &Memory, id: &str) -> Option<Explained> {
        let known = self.named(id)?;
        let rule = &known.rule;
        let history = &memory.history;
        let Some(place) = rule.newest(history) else {
            let reads: Vec<_> = rule.inputs.values().map(|input| input.measure.as_str()).collect();
            let text = format!("Nothing of what it reads has come of this person ({}).", reads.join(", "));
            return Some(Explained { at: None, holds: false, text });
        };
        let event = &history.events()[place];
        let now = self.moment(known, memory, place);
        let past = Past { history, end: place + 1, now, offset: event.offset };
        let mut summaries = Vec::new();
        rule.look(past, &mut summaries);
        let event = OfEvent { event, stream: history.stream(event) };
        let mut seen = Seen { event, summaries: &summaries, severity: None };
        let holds = rule.when.flag(&seen) == Some(true);
        let severity = rule.severity.number(&seen).map(|severity| severity.clamp(0.0, 1.0));
        let mut slots = Vec::new();
        rule.when.slots(&mut slots);
        let values: Vec<String> =
            slots.iter().map(|slot| format!("{} {}", name(rule, *slot), value(&seen, *slot))).collect();
        seen.severity = severity;
        let when = if holds { "holds" } else { "does not hold" };
        let mut text = format!("Its condition {when}: {}; here {}.", rule.when_text, values.join(", "));
        if let Some(explanation) = &rule.explanation {
            text = format!("{} {text}", explanation.render(&seen));
        }
        let said = memory.said.iter().find(|said| said.rule == known.key);
        if let Some(said) = said {
            let at = moment(said.at, i32::from(past.offset) * 60).map(|at| at.to_string()).unwrap_or_default();
            let severity = number(said.severity);
            text.push_str(&format!(" It spoke last at {at}, with severity {severity}"));
            let since = past.now - said.at;
            text.push_str(&if since == 0 {
                format!("; that is this {}.", if rule.tells_of_absence() { "moment" } else { "event" })
            } else if since < rule.cooldown {
                format!(", and is silent for {} h after that.", rule.cooldown / HOUR_MS)
            } else if said.holds && holds {
                let remind = rule.remind.map_or(String::new(), |remind| format!(", or after {} h", remind / HOUR_MS));
                format!("; it goes on since, and is said again once it is worse by {}{remind}.", number(rule.worse))
            } else if said.holds {
                "; it has not been well since.".to_owned()
            } else {
                "; it has been well since, so that the next finding is news.".to_owned()
            });
        } else {
            text.push_str(" It has said nothing before.");
        }
        if holds && rule.quiet.is_some_and(|quiet| quiet.holds(past.now, past.offset)) {
            text.push_str(" These are its quiet hours: it waits for the next event after them.");
        }
        Some(Explained { at: Some(past.now), holds, text })
    }

    /// The moment as of which a rule is explained, where this is the place of the newest event of its inputs.
    fn moment(&self, known: &InForce, memory: &Memory, place: usize) -> i64 {
        let at = memory.history.events()[place].at;
        if !known.rule.tells_of_absence() {
            return at;
        }
        let said = memory.said.iter().find(|said| said.rule == known.key).map(|said| said.at);
        said.filter(|said| *said >= at).unwrap_or_else(|| memory.clock().max(at))
    }
}

/// The name of a variable as its rule writes it.
fn name(rule: &Compiled, slot: Slot) -> String {
    match slot {
        Slot::Event(field) => format!("event.{}", field.name()),
        Slot::Signal(index, aggregate) => format!("{}.{}", rule.signals[index].name, aggregate.name()),
        Slot::Severity => "severity".to_owned(),
    }
}

fn value(seen: &Seen<'_>, slot: Slot) -> String {
    let known = match super::expression::slot_type(slot) {
        Type::Number => seen.number(slot).map(number),
        Type::Text => seen.text(slot).map(|text| format!("\"{text}\"")),
        Type::Flag => seen.flag(slot).map(|flag| flag.to_string()),
    };
    format!("is {}", known.unwrap_or_else(|| "not known".to_owned()))
}
