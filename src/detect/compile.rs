//! From a rule as written to one that judges: every name, type, unit and bound is checked here, and all that is wrong is
//! said at once.

mod scope;
mod signals;

use std::collections::BTreeMap;

use auren_agents::{AgentId, TriggerType};
use serde_saphyr::Spanned;

pub(super) use self::scope::EventScope;
use self::scope::RuleScope;
use super::{
    expression::{Checked, Fault, Node, Scope, Type, compile},
    history::{COMPANY_MAX, COMPANY_MS, Kind},
    problem::{Place, Problem, Problems, meant},
    rule::{OnChange, Rule, Trial, minute, span},
    signal::Signal,
    template::Template,
};
use crate::wearable::Measure;

/// The longest that a rule may look back, wait or be silent.
pub(super) const SPAN_MAX: i64 = 62 * DAY_MS;
/// The most events that a window looks at, and how many where nothing is said.
pub(super) const MOST_MAX: u16 = 128;
pub(super) const MOST: u16 = 48;
/// The most kinds of streams that all rules read together.
const KINDS_MAX: usize = 64;
/// The most inputs and signals of a rule.
const PARTS_MAX: usize = 16;
const DAY_MS: i64 = 86_400_000;

/// A rule that judges.
#[derive(Debug, Clone)]
pub struct Compiled {
    /// Its name.
    pub id: String,
    /// Its version.
    pub version: u32,
    /// Who answers for it.
    pub owner: String,
    /// What it is about.
    pub title: String,
    /// Where it comes from.
    pub source: String,
    /// The type of its triggers.
    pub trigger: TriggerType,
    /// The agents to ask.
    pub agents: Vec<AgentId>,
    /// What becomes of its state when another version came before it.
    pub on_change: OnChange,
    /// What it must do.
    pub tests: Vec<Trial>,
    /// Its inputs by name: type, statistic, and whether events without one belong to it.
    pub(super) inputs: BTreeMap<String, Stream>,
    pub(super) kinds: u64,
    pub(super) signals: Vec<Signal>,
    pub(super) when: Node,
    pub(super) when_text: String,
    pub(super) clear: Option<Node>,
    pub(super) severity: Node,
    pub(super) message: Template,
    pub(super) explanation: Option<Template>,
    pub(super) cooldown: i64,
    pub(super) remind: Option<i64>,
    pub(super) worse: f64,
    pub(super) daily_cap: Option<u8>,
    pub(super) quiet: Option<Quiet>,
    pub(super) lateness: i64,
}

/// An input, compiled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stream {
    pub(super) event_type: String,
    pub(super) measure: String,
    pub(super) unnamed: bool,
    pub(super) kinds: u64,
}

/// Hours of silence, in minutes after the person's own midnight.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Quiet {
    pub(super) from: i64,
    pub(super) to: i64,
    pub(super) unless: f64,
}

/// The kinds of streams that rules read, gathered as rules are compiled.
#[derive(Debug, Default)]
pub(super) struct Kinds(pub(super) Vec<Kind>);

impl Kinds {
    fn bit(&mut self, event_type: &str, measure: &str) -> Option<u64> {
        let known = self.0.iter().position(|kind| kind.event_type == event_type && kind.measure == measure);
        let index = known.unwrap_or(self.0.len());
        if index == KINDS_MAX {
            return None;
        }
        if known.is_none() {
            let (event_type, measure) = (event_type.to_owned(), measure.to_owned());
            self.0.push(Kind { event_type, measure, reach: COMPANY_MS, depth: COMPANY_MAX, readers: Vec::new() });
        }
        Some(1 << index)
    }

    /// Keeps what a signal looks back on.
    fn keep(&mut self, bits: u64, reach: i64, depth: u16) {
        for (index, kind) in self.0.iter_mut().enumerate() {
            if bits & 1 << index != 0 {
                kind.reach = kind.reach.max(reach);
                kind.depth = kind.depth.max(depth);
            }
        }
    }
}

/// Compiles a rule; the streams it reads are added to `kinds`.
///
/// # Errors
/// Everything that is wrong with it.
pub(super) fn compiled(file: &str, rule: &Rule, kinds: &mut Kinds) -> Result<Compiled, Vec<Problem>> {
    let mut problems = Problems::new(file);
    identity(rule, &mut problems);
    let trigger = trigger(rule, &mut problems);
    let agents = agents(rule, &mut problems);
    let (inputs, lateness) = inputs(rule, kinds, &mut problems);
    let signals = signals::signals(rule, &inputs, kinds, &mut problems);
    // Without them every name would be unknown.
    if !problems.is_empty() {
        return Err(problems.found());
    }
    let scope = RuleScope { signals: &signals, severity: false };
    let when = expression(&rule.when, &scope, Type::Flag, &mut problems);
    let clear = rule.clear.as_ref().map(|clear| expression(clear, &scope, Type::Flag, &mut problems));
    let severity = expression(&rule.severity, &scope, Type::Number, &mut problems);
    if let Some(when) = &when {
        let mut slots = Vec::new();
        when.slots(&mut slots);
        if slots.is_empty() {
            let hint = "name `event` or a signal";
            problems.hint(rule.when.referenced, "this is the same for every event of everybody", hint);
        }
    }
    let scope = RuleScope { signals: &signals, severity: true };
    let message = template(&rule.message, &scope, &mut problems);
    let explanation = rule.explanation.as_ref().map(|text| template(text, &scope, &mut problems));
    let cooldown = spanned(rule.cooldown.as_ref(), &mut problems);
    let remind = spanned(rule.remind.as_ref(), &mut problems);
    if let (Some(cooldown), Some(remind), Some(place)) = (cooldown, remind, &rule.remind)
        && remind < cooldown
    {
        problems.hint(
            place.referenced,
            "it would be said again while it is silent",
            "make `remind` longer than `cooldown`",
        );
    }
    if let Some(worse) = rule.worse.as_ref().filter(|worse| !(0.0..=1.0).contains(&worse.value)) {
        problems.add(worse.referenced, "`worse` is a difference of two severities: from 0 to 1");
    }
    if let Some(cap) = rule.daily_cap.as_ref().filter(|cap| cap.value == 0) {
        problems.hint(cap.referenced, "a rule that may never speak", "take the rule out, or push it with --shadow");
    }
    let quiet = quiet(rule, &mut problems);
    let kind_bits = inputs.values().fold(0, |bits, input| bits | input.kinds);
    let ready = problems.is_empty();
    let (Some(trigger), Some(when), Some(severity), Some(message), true) = (trigger, when, severity, message, ready)
    else {
        return Err(problems.found());
    };
    Ok(Compiled {
        id: rule.id.value.clone(),
        version: rule.version.value,
        owner: rule.owner.value.clone(),
        title: rule.title.clone(),
        source: rule.source.value.clone(),
        trigger,
        agents,
        on_change: rule.on_change,
        tests: rule.tests.iter().map(|trial| trial.value.clone()).collect(),
        inputs,
        kinds: kind_bits,
        signals,
        when,
        when_text: rule.when.value.trim().to_owned(),
        clear: clear.flatten(),
        severity,
        message,
        explanation: explanation.flatten(),
        cooldown: cooldown.unwrap_or(0),
        remind,
        worse: rule.worse.as_ref().map_or(0.1, |worse| worse.value),
        daily_cap: rule.daily_cap.as_ref().map(|cap| cap.value),
        quiet,
        lateness,
    })
}

fn identity(rule: &Rule, problems: &mut Problems<'_>) {
    let fits = |text: &str| {
        (1..=64).contains(&text.len()) && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_'))
    };
    if !fits(&rule.id.value) {
        problems.add(rule.id.referenced, "an id is 1 to 64 of a-z, 0-9 and _");
    }
    if rule.version.value == 0 {
        problems.add(rule.version.referenced, "versions count from 1");
    }
    for (what, text) in [("an owner", &rule.owner), ("a source", &rule.source)] {
        if text.value.trim().is_empty() {
            problems.hint(
                text.referenced,
                format!("a rule has {what}"),
                "say who answers for it, and what it rests on",
            );
        }
    }
    let names = rule.inputs.iter().map(|(name, input)| (name, input.referenced));
    for (name, place) in names.chain(rule.signals.iter().map(|(name, signal)| (name, signal.referenced))) {
        if !fits(name) || name == "event" || name == "severity" {
            problems.add(
                place,
                format!("`{name}` cannot be a name: 1 to 64 of a-z, 0-9 and _, and neither event nor severity"),
            );
        }
    }
    for (what, count) in [("inputs", rule.inputs.len()), ("signals", rule.signals.len())] {
        if count > PARTS_MAX {
            problems.add(rule.id.referenced, format!("a rule has at most {PARTS_MAX} {what}"));
        }
    }
    if rule.inputs.is_empty() {
        problems.add(rule.id.referenced, "a rule has at least one input");
    }
}

fn trigger(rule: &Rule, problems: &mut Problems<'_>) -> Option<TriggerType> {
    let trigger = &rule.trigger;
    let known = super::library::TRIGGERS;
    if let Some(found) = known.iter().find(|known| known.as_str() == trigger.value) {
        return Some(found.clone());
    }
    let hint = meant(&trigger.value, "known:", known.iter().map(TriggerType::as_str));
    problems.hint(trigger.referenced, format!("there is no trigger type {}", trigger.value), hint);
    None
}

fn agents(rule: &Rule, problems: &mut Problems<'_>) -> Vec<AgentId> {
    let place = rule.agents.referenced;
    if !(1..=16).contains(&rule.agents.value.len()) {
        problems.add(place, "a trigger asks 1 to 16 agents");
    }
    let mut agents = Vec::new();
    for agent in &rule.agents.value {
        match AgentId::new(agent.as_str()) {
            Ok(agent) => agents.push(agent),
            Err(error) => problems.add(place, format!("the agent's name {agent} cannot be used: {error}")),
        }
    }
    agents
}

fn inputs(rule: &Rule, kinds: &mut Kinds, problems: &mut Problems<'_>) -> (BTreeMap<String, Stream>, i64) {
    let mut inputs = BTreeMap::new();
    let mut lateness = 0;
    for (name, input) in &rule.inputs {
        let input = &input.value;
        let (event_type, measure) = (&input.event_type, &input.measure);
        let Some(known) = Measure::named(&measure.value) else {
            let hint = meant(&measure.value, "known:", Measure::ALL.iter().map(|measure| measure.name()));
            problems.hint(measure.referenced, format!("there is no statistic {}", measure.value), hint);
            continue;
        };
        if known.event_type().as_str() != event_type.value {
            let what = format!("{} does not come as {}", measure.value, event_type.value);
            problems.hint(event_type.referenced, what, format!("it comes as {}", known.event_type().as_str()));
        }
        if let Some(unit) = input.unit.as_ref().filter(|unit| unit.value != known.unit()) {
            let what = format!("{} is in {}, not in {}", measure.value, known.unit(), unit.value);
            problems.hint(unit.referenced, what, "limits are written in the statistic's own unit");
        }
        lateness = lateness.max(spanned(input.lateness.as_ref(), problems).unwrap_or(0));
        let bits = [Some(measure.value.as_str()), input.unnamed.then_some("")];
        let bits = bits.iter().flatten().map(|measure| kinds.bit(&event_type.value, measure));
        match bits.collect::<Option<Vec<_>>>() {
            Some(bits) => {
                let stream = Stream {
                    event_type: event_type.value.clone(),
                    measure: measure.value.clone(),
                    unnamed: input.unnamed,
                    kinds: bits.into_iter().fold(0, |bits, bit| bits | bit),
                };
                inputs.insert(name.clone(), stream);
            }
            None => problems.add(measure.referenced, format!("all rules together read more than {KINDS_MAX} streams")),
        }
    }
    (inputs, lateness)
}

/// A span of time that is written out, in milliseconds.
fn spanned(text: Option<&Spanned<String>>, problems: &mut Problems<'_>) -> Option<i64> {
    let text = text?;
    match span(&text.value) {
        Some(span) if span <= SPAN_MAX => Some(span),
        Some(_) => {
            let hint = format!("at most {} d, so that what is remembered of a person is bounded", SPAN_MAX / DAY_MS);
            problems.hint(text.referenced, format!("{} is too long", text.value), hint);
            None
        }
        None => {
            problems.hint(text.referenced, format!("`{}` is no span of time", text.value), "such as 36h, 90m or 7d");
            None
        }
    }
}

fn quiet(rule: &Rule, problems: &mut Problems<'_>) -> Option<Quiet> {
    let spanned = rule.quiet_hours.as_ref()?;
    let quiet = &spanned.value;
    match (minute(&quiet.from), minute(&quiet.to)) {
        (Some(from), Some(to)) if from != to => Some(Quiet { from, to, unless: quiet.unless.unwrap_or(f64::INFINITY) }),
        _ => {
            problems.hint(spanned.referenced, "these are no quiet hours", "such as {from: \"22:00\", to: \"07:00\"}");
            None
        }
    }
}

/// An expression that gives what is wanted.
fn expression(text: &Spanned<String>, scope: &impl Scope, wanted: Type, problems: &mut Problems<'_>) -> Option<Node> {
    match compile(&text.value, scope) {
        Ok(Checked { node, gives }) if gives == wanted => Some(node),
        Ok(_) => {
            problems.add(text.referenced, format!("this must be {}", wanted.name()));
            None
        }
        Err(fault) => {
            faulty(text, fault, problems);
            None
        }
    }
}

fn template(text: &Spanned<String>, scope: &impl Scope, problems: &mut Problems<'_>) -> Option<Template> {
    Template::compile(&text.value, scope).map_err(|fault| faulty(text, fault, problems)).ok()
}

/// What is wrong within a text: its place in the file is known as far as the text stands on one line there.
fn faulty(text: &Spanned<String>, fault: Fault, problems: &mut Problems<'_>) {
    let place = Place::from(text.referenced);
    let before: String = text.value.chars().take(fault.at).collect();
    let near: String = text.value.chars().skip(fault.at.saturating_sub(12)).take(32).collect();
    let place = if before.contains('\n') { place } else { Place { column: place.column + fault.at as u64, ..place } };
    let near = near.trim().replace('\n', " ");
    problems.push(place, format!("{}, near `{near}`", fault.what), fault.hint);
}
