//! A dialogue as it stands in a file, the consult it makes, and what is expected of the answer.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use auren_agents::{
    Advice, Agent, AgentId, Cause, Coach, Consult, ConsultId, ConversationId, EventId, Finding, Neuroscientist,
    Observation, PanelAdvice, Parts, PastAdvice, Score, Text, Timestamp, TriggerType, UserId, events::BiometricType,
};
use serde::Deserialize;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct File {
    pub(crate) case: Vec<Case>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) agent: String,
    #[serde(default = "morning")]
    pub(crate) at: String,
    /// The person. Another person may read another wording.
    #[serde(default = "somebody")]
    pub(crate) user: String,
    pub(crate) trigger: Option<String>,
    #[serde(default = "clear")]
    pub(crate) severity: f64,
    /// What the person wrote, where no trigger is the cause.
    pub(crate) says: Option<String>,
    #[serde(default)]
    pub(crate) recent: Vec<Seen>,
    #[serde(default)]
    pub(crate) past: Vec<Said>,
    #[serde(default)]
    pub(crate) panel: Vec<Spoke>,
    /// Whether the neuroscientist answers the same question first, and is on the panel.
    #[serde(default)]
    pub(crate) after_neuroscientist: bool,
    pub(crate) expect: Expect,
}

fn morning() -> String {
    "2024-05-16T07:10:00+02:00".to_owned()
}

fn somebody() -> String {
    "somebody".to_owned()
}

fn clear() -> f64 {
    0.55
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Seen {
    #[serde(rename = "type")]
    kind: String,
    measure: Option<String>,
    at: String,
    rank: f64,
    severity: f64,
    #[serde(default)]
    trend: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Said {
    at: String,
    agent: String,
    about: String,
    #[serde(default = "clear")]
    severity: f64,
    #[serde(default)]
    note: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Spoke {
    agent: String,
    message: String,
    #[serde(default)]
    findings: Vec<Finding>,
}

/// What the answer must be. Words are compared in lower case.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Expect {
    /// Each of these.
    #[serde(default)]
    all: Vec<String>,
    /// At least one of each of these lists.
    #[serde(default)]
    any: Vec<Vec<String>>,
    /// None of these.
    #[serde(default)]
    none: Vec<String>,
    /// The first words of the answer hold one of these.
    #[serde(default)]
    first: Vec<String>,
    min_findings: Option<usize>,
    max_findings: Option<usize>,
    subjects: Option<Vec<String>>,
    note: Option<String>,
    hand_off: Option<String>,
    max_sentences: Option<usize>,
    min_confidence: Option<f64>,
    max_confidence: Option<f64>,
}

impl Case {
    pub(crate) fn consult(&self, person: &str) -> Consult {
        let time = |text: &str| Timestamp::parse(text).unwrap();
        let id = |text: &str| EventId::derived(&[&self.name, text]);
        let cause = match (&self.trigger, &self.says) {
            (Some(trigger), None) => Cause::Trigger {
                id: id("cause"),
                trigger_type: TriggerType::try_from(trigger.clone()).unwrap(),
                severity: Score::new(self.severity).unwrap(),
                message: Text::new("A rule noticed something.").unwrap(),
            },
            (None, Some(says)) => Cause::Message { id: id("cause"), text: Text::new(says.clone()).unwrap() },
            _ => panic!("{}: a case has either a trigger or words", self.name),
        };
        let seen = |(number, seen): (usize, &Seen)| Observation {
            event_id: id(&number.to_string()),
            event_type: BiometricType::try_from(seen.kind.clone()).unwrap(),
            timestamp: time(&seen.at),
            measure: seen.measure.clone().map(|measure| Text::new(measure).unwrap()),
            percentile_rank: Score::new(seen.rank).unwrap(),
            severity_score: Score::new(seen.severity).unwrap(),
            trend: Text::new(seen.trend.clone()).unwrap(),
        };
        let said = |said: &Said| PastAdvice {
            at: time(&said.at),
            agent: AgentId::new(said.agent.clone()).unwrap(),
            about: Text::new(said.about.clone()).unwrap(),
            severity: Score::new(said.severity).unwrap(),
            note: Text::new(said.note.clone()).unwrap(),
        };
        let spoke = |spoke: &Spoke| PanelAdvice {
            event: id(&spoke.agent),
            agent: AgentId::new(spoke.agent.clone()).unwrap(),
            message: Text::new(spoke.message.clone()).unwrap(),
            findings: spoke.findings.clone(),
        };
        let mut consult = Consult {
            id: ConsultId::derived(&[&self.name]),
            agent: AgentId::new(self.agent.clone()).unwrap(),
            user: UserId::new(person).unwrap(),
            conversation: ConversationId::derived(&["conversation"]),
            turn: 1,
            cause,
            at: time(&self.at),
            recent: self.recent.iter().enumerate().map(seen).collect(),
            past: self.past.iter().map(said).collect(),
            panel: self.panel.iter().map(spoke).collect(),
            deadline: Duration::from_secs(10),
            parts: Parts::default(),
        };
        if self.after_neuroscientist {
            let own = consult.agent.clone();
            consult.agent = AgentId::new("neuroscientist").unwrap();
            let advice = ask(consult.clone());
            consult.panel.push(seat(&consult.agent, &advice));
            consult.agent = own;
        }
        consult
    }

    /// What the agent says to this person.
    pub(crate) fn answer(&self, person: &str) -> Advice {
        ask(self.consult(person))
    }
}

/// An answer as those who speak later on the panel see it.
pub(crate) fn seat(agent: &AgentId, advice: &Advice) -> PanelAdvice {
    PanelAdvice {
        event: EventId::derived(&["spoke", agent.as_str()]),
        agent: agent.clone(),
        message: advice.message.clone(),
        findings: advice.findings.clone(),
    }
}

/// Asks the agent that the consult names. It has to answer at once.
pub(crate) fn ask(consult: Consult) -> Advice {
    match consult.agent.as_str() {
        "neuroscientist" => at_once(Neuroscientist.consult(consult)),
        "coach" => at_once(Coach.consult(consult)),
        other => panic!("there is no agent {other}"),
    }
    .unwrap()
}

fn at_once<T>(answer: impl Future<Output = T>) -> T {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the agent does not answer at once"),
    }
}

impl Expect {
    pub(crate) fn faults(&self, advice: &Advice) -> Vec<String> {
        let said = advice.message.to_lowercase();
        let holds = |words: &String| said.contains(&words.to_lowercase());
        let mut faults = Vec::new();
        let mut check = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        for words in &self.all {
            check(holds(words), format!("lacks {words:?}"));
        }
        for choice in &self.any {
            check(choice.iter().any(holds), format!("has none of {choice:?}"));
        }
        for words in &self.none {
            check(!holds(words), format!("must not say {words:?}"));
        }
        let beginning: String = said.chars().take(140).collect();
        let first = self.first.is_empty() || self.first.iter().any(|words| beginning.contains(&words.to_lowercase()));
        check(first, format!("does not begin with one of {:?}", self.first));
        let found = advice.findings.len();
        check(self.min_findings.is_none_or(|least| found >= least), format!("has {found} findings"));
        check(self.max_findings.is_none_or(|most| found <= most), format!("has {found} findings"));
        if let Some(subjects) = &self.subjects {
            let got: Vec<_> = advice.findings.iter().map(|finding| finding.subject.to_string()).collect();
            check(got == *subjects, format!("found {got:?} and not {subjects:?}"));
        }
        check(
            self.note.as_ref().is_none_or(|note| advice.note.starts_with(note)),
            format!("notes {:?}", &*advice.note),
        );
        let handed = advice.hand_off.as_ref().map(|hand_off| hand_off.to.as_str().to_owned()).unwrap_or_default();
        check(self.hand_off.as_ref().is_none_or(|to| handed == *to), format!("hands off to {handed:?}"));
        let sentences = sentences(&advice.message).len();
        check(self.max_sentences.is_none_or(|most| sentences <= most), format!("has {sentences} sentences"));
        let sure = advice.confidence.map_or(0.0, Score::get);
        check(self.min_confidence.is_none_or(|least| sure >= least), format!("is sure to {sure}"));
        check(self.max_confidence.is_none_or(|most| sure <= most), format!("is sure to {sure}"));
        faults
    }
}

/// The sentences of an answer.
pub(crate) fn sentences(message: &str) -> Vec<&str> {
    message.split_inclusive(['.', '?', '!']).map(str::trim).filter(|sentence| !sentence.is_empty()).collect()
}
