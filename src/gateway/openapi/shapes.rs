//! How answers look that their routes put together field by field.

// They are never made: only their schemas are.
#![allow(dead_code)]

use auren_agents::EventId;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::{
    gateway::ops::{Check, Promise},
    intake::PlainReading,
    phi::detokenise::{Mask, Purpose, Told},
    project::database::Conversation,
};

/// What is wrong with a request (RFC 9457).
#[derive(JsonSchema)]
pub(super) struct Problem {
    /// `about:blank`: it is what its status says.
    r#type: String,
    /// The status in words.
    title: String,
    /// The status.
    status: u16,
    /// What is wrong, and what to do.
    detail: String,
}

/// Whether a node can work.
#[derive(JsonSchema)]
pub(super) struct Readiness {
    /// Whether all is as it must be.
    ready: bool,
    /// Each dependency.
    checks: Vec<Check>,
    /// The guarantee in force for each role.
    guarantees: Vec<Promise>,
}

/// One reading, or a list.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum Readings {
    One(PlainReading),
    List(Vec<PlainReading>),
}

/// What became of readings, in their order.
#[derive(JsonSchema)]
pub(super) struct ReadingsTaken {
    results: Vec<ReadingTaken>,
}

/// What became of a reading.
#[derive(Deserialize, JsonSchema)]
#[serde(untagged)]
pub(super) enum ReadingTaken {
    Taken {
        /// The event's id.
        event_id: EventId,
        /// Where it stands in `health.readings`.
        cursor: String,
    },
    Refused {
        /// Why it was not taken.
        error: String,
    },
}

/// What became of tokens, in their order.
#[derive(JsonSchema)]
pub(super) struct Detokenized {
    purpose: Purpose,
    mask: Mask,
    results: Vec<Opened>,
}

/// What became of a token.
#[derive(JsonSchema)]
#[serde(untagged)]
pub(super) enum Opened {
    Told(Told),
    Unopened {
        /// Why it was not opened, as a word.
        code: String,
        /// The same in words.
        error: String,
    },
}

/// What a WebSocket's address takes.
#[derive(JsonSchema)]
pub(super) struct SocketAsked {
    /// The place to go on behind, or `earliest`; without it comes what is new.
    after: Option<String>,
    /// A ticket instead of a token.
    ticket: Option<String>,
}

/// Stands for a token once.
#[derive(JsonSchema)]
pub(super) struct Ticket {
    ticket: String,
    /// How long it holds.
    expires_in_s: u64,
}

/// A page of conversations.
#[derive(JsonSchema)]
pub(super) struct Conversations {
    conversations: Vec<Conversation>,
    /// What the next page is asked for with; null at the end.
    next: Option<String>,
}

/// A page of triggers.
#[derive(JsonSchema)]
pub(super) struct Triggers {
    triggers: Vec<TriggerShown>,
    /// What the next page is asked for with; null at the end.
    next: Option<String>,
}

/// A trigger in the history.
#[derive(JsonSchema)]
pub(super) struct TriggerShown {
    event_id: String,
    /// When it happened.
    at: String,
    trigger_type: String,
    severity: Option<f64>,
    rule: Option<String>,
    rule_version: Option<i64>,
    message: Option<String>,
    /// The ids of the events that it rests on.
    context_window: Option<Vec<String>>,
    partition: i32,
    offset: i64,
}

/// A page of measurements.
#[derive(JsonSchema)]
pub(super) struct Biometrics {
    biometrics: Vec<BiometricShown>,
    /// What the next page is asked for with; null at the end.
    next: Option<String>,
}

/// A measurement in the history, without its token.
#[derive(JsonSchema)]
pub(super) struct BiometricShown {
    event_id: String,
    /// When it happened.
    at: String,
    event_type: String,
    metadata: Map<String, Value>,
    partition: i32,
    offset: i64,
}
