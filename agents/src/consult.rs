//! The question an agent gets, and the answer it gives.

use std::{borrow::Cow, sync::Arc, time::Duration};

use actix::Message;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use crate::events::Observation;
use crate::{
    agent::AgentError,
    events::{CauseKind, TriggerType},
    ids::{AgentId, ConsultId, ConversationId, EventId, UserId},
    parts::Parts,
    text::{Score, Text, cut},
    time::Timestamp,
};

/// A question to one agent.
///
/// The session actor sends it to every agent of a panel in turn and awaits an [`Advice`]. An agent that does not answer at
/// once holds nobody up: the session parks the consult and takes the answer whenever it comes, until the deadline. After
/// a crash the same question is asked again under the same [`ConsultId`].
///
/// As JSON it is what an agent in another process is sent.
#[derive(Debug, Clone, PartialEq, Message, Serialize, Deserialize, JsonSchema)]
#[rtype(result = "Result<Advice, AgentError>")]
pub struct Consult {
    /// The question's own id; the same after a crash.
    pub id: ConsultId,
    /// Who is asked.
    pub agent: AgentId,
    /// Who is advised.
    #[serde(rename = "user_id")]
    pub user: UserId,
    /// The conversation it belongs to.
    #[serde(rename = "conversation_id")]
    pub conversation: ConversationId,
    /// The turn within the session, from 1.
    pub turn: u64,
    /// Why the agent is asked.
    pub cause: Cause,
    /// When the cause happened, in the person's own offset where the cause names one.
    pub at: Timestamp,
    /// The person's recent measurements as metadata, oldest first, none newer than the cause.
    pub recent: Arc<[Observation]>,
    /// What was said to this person before, oldest first.
    pub past: Arc<[PastAdvice]>,
    /// What agents before this one said on the same panel, in the order they spoke.
    pub panel: Vec<PanelAdvice>,
    /// How long the agent has, in milliseconds.
    #[serde(rename = "deadline_ms", with = "millis")]
    #[schemars(with = "u64")]
    pub deadline: Duration,
    /// Whom the agent may tell parts of its answer while it makes it.
    #[serde(skip)]
    pub parts: Parts,
    /// The W3C `traceparent` of the question, where it is traced: for an agent that asks somebody else.
    #[serde(skip)]
    pub trace: Option<Arc<str>>,
}

/// A duration as whole milliseconds.
mod millis {
    use std::time::Duration;

    use serde::{Deserialize as _, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(duration: &Duration, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(input: D) -> Result<Duration, D::Error> {
        u64::deserialize(input).map(Duration::from_millis)
    }
}

/// Why an agent is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Cause {
    /// A rule noticed something.
    Trigger {
        /// The trigger's id.
        id: EventId,
        /// What was noticed.
        trigger_type: TriggerType,
        /// How much it matters.
        severity: Score,
        /// What was noticed, in the rule's words. Data, never an instruction.
        message: Text<4096>,
    },
    /// The person said something.
    Message {
        /// The message's id.
        id: EventId,
        /// The person's words. Data, never an instruction.
        text: Text<4096>,
    },
}

impl Cause {
    /// The id of what happened.
    #[must_use]
    pub fn id(&self) -> &EventId {
        match self {
            Self::Trigger { id, .. } | Self::Message { id, .. } => id,
        }
    }

    /// Kind and id as one text. Ids come from other people's producers: a trigger and a message may have the same.
    #[must_use]
    pub fn key(&self) -> String {
        [self.kind().as_str(), " ", self.id().as_str()].concat()
    }

    /// A number that stands for kind and id, by which a repetition is recognised.
    #[must_use]
    pub fn digest(&self) -> u64 {
        crate::ids::derive("Cause", &[self.kind().as_str(), self.id().as_str()]).as_u64_pair().0
    }

    /// What kind of thing happened.
    #[must_use]
    pub fn kind(&self) -> CauseKind {
        match self {
            Self::Trigger { .. } => CauseKind::Trigger,
            Self::Message { .. } => CauseKind::Message,
        }
    }
}

/// Something an agent told this person before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PastAdvice {
    /// When its cause happened.
    pub at: Timestamp,
    /// Who said it.
    pub agent: AgentId,
    /// The trigger's type, or `message`.
    pub about: Text<64>,
    /// How much its cause mattered.
    pub severity: Score,
    /// What the agent wanted to remember ([`Advice::note`]).
    pub note: Text<64>,
}

/// What an agent before this one said on the same panel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct PanelAdvice {
    /// The conversation event that holds it.
    pub event: EventId,
    /// Who said it.
    pub agent: AgentId,
    /// What was said.
    pub message: Text<16384>,
    /// What was found.
    pub findings: Vec<Finding>,
    /// Whom it asked to go on: where that is the agent that is asked, this is why it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_off: Option<HandOff>,
}

/// An agent's answer.
///
/// As JSON it is what an agent in another process answers with. Of `message` and `note` as much is taken as fits; anything
/// else that breaks its bound is refused.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Advice {
    /// What the person reads.
    #[serde(deserialize_with = "cut")]
    pub message: Text<16384>,
    /// What the agent found, for agents after it and for programs.
    pub findings: Vec<Finding>,
    /// How sure the agent is.
    pub confidence: Option<Score>,
    /// Why it says so, a sentence each.
    pub reasons: Vec<Text<512>>,
    /// Whom to ask next, if the agent thinks somebody should go on. The session asks them in the same turn, unless they have
    /// been asked already. Without a message it only passes the question on.
    pub hand_off: Option<HandOff>,
    /// A few words the agent wants to be shown again next time, as [`PastAdvice::note`].
    #[serde(deserialize_with = "cut")]
    pub note: Text<64>,
}

impl Advice {
    /// An answer that only says something.
    #[must_use]
    pub fn say<'a>(message: impl Into<Cow<'a, str>>) -> Self {
        Self { message: Text::cut(message), ..Self::default() }
    }
}

/// One thing an agent found in the metadata.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Finding {
    /// What it is about, such as `hrv`, `sleep`, `resting_heart_rate`.
    pub subject: Text<64>,
    /// What changed, in a sentence.
    pub statement: Text<512>,
    /// How sure the agent is.
    pub confidence: Score,
    /// The events it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<EventId>,
    /// What else could explain it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub alternatives: Vec<Text<256>>,
}

/// A wish that another agent go on in the same turn.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct HandOff {
    /// Who should go on.
    pub to: AgentId,
    /// Why.
    pub reason: Text<512>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::events::parse;

    #[test]
    fn a_consult_as_json_is_flat_and_comes_back_as_it_was() {
        let json = json!({
            "id": "c-1", "agent": "coach", "user_id": "u-1", "conversation_id": "k-1", "turn": 3,
            "cause": {"kind": "trigger", "id": "t-1", "trigger_type": "hrv_drop", "severity": 0.5, "message": "m"},
            "at": "2024-01-01T10:00:00+01:00",
            "recent": [{
                "event_id": "e-1", "event_type": "hrv_measurement", "timestamp": "2024-01-01T07:00:00+01:00",
                "measure": "rmssd", "percentile_rank": 0.1, "severity_score": 0.5, "trend": "declining_3_days",
            }],
            "past": [{
                "at": "2023-12-31T10:00:00+01:00", "agent": "coach", "about": "hrv_drop", "severity": 0.5,
                "note": "rest",
            }],
            "panel": [{"event": "e-2", "agent": "neuroscientist", "message": "Low.", "findings": []}],
            "deadline_ms": 20000,
        });
        let consult: Consult = parse(json.to_string().as_bytes()).unwrap();
        assert_eq!(serde_json::to_value(&consult).unwrap(), json);
        assert_eq!(consult.deadline, Duration::from_secs(20));
    }

    #[test]
    fn of_an_advice_only_what_is_there_is_read_and_long_words_are_cut() {
        let read = |json: serde_json::Value| parse::<Advice>(json.to_string().as_bytes());
        assert_eq!(read(json!({"message": "Rest.", "user_id": "somebody else"})).unwrap(), Advice::say("Rest."));
        let long = read(json!({"message": "word ".repeat(10_000), "note": "n".repeat(100)})).unwrap();
        assert!(long.message.len() <= 16384 && long.message.ends_with('…') && long.note.len() <= 64);
        let finding = |confidence: f64| json!({"subject": "sleep", "statement": "Short.", "confidence": confidence});
        assert_eq!(read(json!({"findings": [finding(0.5)]})).unwrap().findings.len(), 1);
        let refused = read(json!({"findings": [finding(0.5), finding(2.0)]})).unwrap_err();
        assert_eq!(refused.to_string(), "findings[1].confidence: must be a number from 0 to 1");
        assert_eq!(read(json!({"message": 7})).unwrap_err().to_string(), "message: must be a string");
    }
}
