//! What people do: say something, stop an answer, see one.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Extra;
use crate::{
    ids::{AgentId, EventId, UserId},
    text::Text,
    time::Timestamp,
};

/// One record of `conversations.inbox`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct InboxRecord {
    /// Derived from the user and the client's id where there is one, so that a resend is harmless.
    pub event_id: EventId,
    /// Who did it; also the record's key.
    pub user_id: UserId,
    /// What was done.
    #[serde(flatten)]
    pub action: InboxAction,
    /// The id that the person's own device gave it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub client_id: Option<Text<128>>,
    /// When.
    pub timestamp: Timestamp,
}

/// What a person did.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum InboxAction {
    /// Said something.
    Message {
        /// What was said.
        text: Text<4096>,
        /// The agent it is meant for, if one was named.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        to: Option<AgentId>,
        /// Fields this version does not know.
        #[serde(flatten)]
        extra: Extra,
    },
    /// Asked an answer to stop.
    Stop {
        /// The turn to stop.
        turn: u64,
        /// Fields this version does not know.
        #[serde(flatten)]
        extra: Extra,
    },
    /// Saw everything up to a place in the log.
    Seen {
        /// `partition:offset` in `conversations.events`.
        cursor: Text<48>,
        /// Fields this version does not know.
        #[serde(flatten)]
        extra: Extra,
    },
}
