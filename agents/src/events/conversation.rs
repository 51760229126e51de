//! What was said: by a person, by an agent, or by the hub itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extra;
use crate::{
    consult::{Finding, HandOff},
    ids::{AgentId, ConsultId, ConversationId, EventId, UserId},
    text::{Score, Text},
    time::Timestamp,
};

/// Who speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum MessageType {
    /// The person.
    UserInput,
    /// An agent.
    SpecialistResponse,
    /// The hub: an agent that is not there, a panel that stayed partial, ...
    SystemMessage,
}

/// One record of `conversations.events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationEvent {
    /// Derived from the cause, the agent and the step, so that a rerun writes the same id.
    pub event_id: EventId,
    /// The run of turns it belongs to.
    pub conversation_id: ConversationId,
    /// Whose conversation it is; also the record's key.
    pub user_id: UserId,
    /// The agent that speaks or should have spoken; `user` for the person, `auren` for the hub.
    pub specialist_id: AgentId,
    /// Who speaks.
    pub message_type: MessageType,
    /// What is said.
    pub content: Text<16384>,
    /// Why it is said, and on what it rests.
    pub metadata: ConversationMetadata,
    /// The time of the cause. When it was written is the Kafka record's own timestamp.
    pub timestamp: Timestamp,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

/// Why something was said, and on what it rests.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ConversationMetadata {
    /// The id of what it answers: a trigger's `trigger_id`, or a message's `event_id`.
    pub cause: EventId,
    /// What kind of thing the cause is.
    pub cause_type: CauseKind,
    /// The turn within the session, from 1. All that one cause brings about is one turn.
    pub turn: u64,
    /// The trigger's type, where a trigger is the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trigger_type: Option<Text<128>>,
    /// The trigger's severity, where a trigger is the cause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Score>,
    /// The question this answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub consult_id: Option<ConsultId>,
    /// The version of the agent that speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub agent_version: Option<Text<32>>,
    /// Where the speaker sat on the panel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub panel: Option<PanelSeat>,
    /// What the agent found.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<Finding>,
    /// How sure the agent is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<Score>,
    /// Why it says so.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<Text<512>>,
    /// Whom the agent asked to go on, whether or not they could be asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hand_off: Option<HandOff>,
    /// What the agent wants to be shown again next time.
    #[serde(default, skip_serializing_if = "is_blank")]
    pub note: Text<64>,
    /// What kind of system message it is: `unknown_agent`, `agent_failed`, `agent_late`, `agent_unavailable`,
    /// `agent_spent`, `handed_on`, `hand_off_circle`, ...
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<Text<64>>,
    /// The id that the person's own device gave the message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Text<128>>,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl ConversationMetadata {
    /// Metadata that names the cause, and nothing else yet.
    #[must_use]
    pub fn new(cause: EventId, cause_type: CauseKind, turn: u64) -> Self {
        Self {
            cause,
            cause_type,
            turn,
            trigger_type: None,
            severity: None,
            consult_id: None,
            agent_version: None,
            panel: None,
            findings: Vec::new(),
            confidence: None,
            reasons: Vec::new(),
            hand_off: None,
            note: Text::default(),
            code: None,
            client_id: None,
            extra: Extra::new(),
        }
    }
}

fn is_blank(note: &Text<64>) -> bool {
    note.is_empty()
}

/// What kind of thing made somebody speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CauseKind {
    /// A record of `triggers.detected`.
    Trigger,
    /// A person's message from `conversations.inbox`.
    Message,
}

impl CauseKind {
    /// The word on the wire.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trigger => "trigger",
            Self::Message => "message",
        }
    }
}

/// How the agents of a panel are asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum PanelMode {
    /// One after the other: each reads what those before it said.
    #[default]
    Ordered,
    /// All at once: nobody waits for another, and nobody reads another.
    Parallel,
    /// All at once, and whoever answers first is the only one that speaks.
    First,
}

impl PanelMode {
    /// Whether it is the usual one.
    #[must_use]
    pub fn is_ordered(&self) -> bool {
        *self == Self::Ordered
    }
}

/// Where a speaker sat on the panel, and whom it had heard before it spoke.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PanelSeat {
    /// The seat, from 1.
    pub seat: u32,
    /// How many seats the panel has so far; a hand-off adds one.
    pub seats: u32,
    /// How its agents are asked.
    #[serde(default, skip_serializing_if = "PanelMode::is_ordered")]
    pub mode: PanelMode,
    /// The events of this panel that the speaker had read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub read: Vec<EventId>,
    /// Who was asked so far and has no answer: with them the panel is a partial one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<AgentId>,
    /// Whether nobody else speaks to the cause, where that is not what the seats say: a panel that is asked at once is over
    /// with whoever answers last.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last: Option<bool>,
}

impl PanelSeat {
    /// Whether nobody else speaks to the cause.
    #[must_use]
    pub fn is_last(&self) -> bool {
        self.last.unwrap_or(self.seat >= self.seats)
    }
}
