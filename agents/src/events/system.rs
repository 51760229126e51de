//! What the hub itself did: a lane moved, a rule was reloaded, a user was erased.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Extra;
use crate::{
    ids::{EventId, UserId},
    text::Text,
    time::Timestamp,
};

/// One record of `system.events`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SystemEvent {
    /// The event's own id.
    pub event_id: EventId,
    /// What happened, such as `hub_started`.
    pub event_type: Text<64>,
    /// The node it happened on.
    pub node: Text<128>,
    /// Whom it is about, if anybody.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user_id: Option<UserId>,
    /// More about it. Never a measurement.
    #[serde(default, skip_serializing_if = "Extra::is_empty")]
    pub detail: Extra,
    /// When it happened.
    pub timestamp: Timestamp,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: Extra,
}

impl SystemEvent {
    /// What has just happened on a node; `about` tells it from others of its kind at the same moment. Its detail is a JSON
    /// object.
    #[must_use]
    pub fn now(what: &str, about: &str, node: &str, detail: Value) -> Self {
        let timestamp = Timestamp::now();
        Self {
            event_id: EventId::derived(&[what, about, timestamp.as_str()]),
            event_type: Text::cut(what),
            node: Text::cut(node),
            user_id: None,
            detail: match detail {
                Value::Object(detail) => detail,
                _ => Extra::new(),
            },
            timestamp,
            extra: Extra::new(),
        }
    }
}
