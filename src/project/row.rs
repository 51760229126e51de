//! A record as a row: what has a column of its own, and the rest as JSON.

use auren_agents::{BiometricEvent, ConversationEvent, MessageType, SystemEvent, Timestamp, TriggerEvent, events};
use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use crate::{
    bus::{Record, Topic},
    wire::FORGET,
};

/// The topics that become rows.
pub const TOPICS: [Topic; 4] = [Topic::Biometrics, Topic::Triggers, Topic::Events, Topic::System];

/// Records, and what becomes of each.
pub type Batch = Vec<(Record, Projected)>;

/// What becomes of a record.
#[derive(Debug, Clone, PartialEq)]
pub enum Projected {
    /// A row.
    Row(Box<Row>),
    /// No row, and why; never what the record holds.
    Refused {
        /// The class, as dead letters name it.
        class: &'static str,
        /// The field, and what is wrong with it.
        reason: String,
    },
    /// This person is to be forgotten.
    Forget(String),
}

/// A row. What its fields are called in each table says [`super::database`].
#[derive(Debug, Clone, PartialEq)]
pub struct Row {
    /// When it happened, in UTC, to the microsecond.
    pub at: String,
    /// When it was written to the log.
    pub logged_at: String,
    /// The partition.
    pub partition: i32,
    /// The offset.
    pub offset: i64,
    /// The event's own id.
    pub event_id: String,
    /// Whose it is.
    pub user_id: Option<String>,
    /// Its type.
    pub kind: String,
    /// What made it: a measure, a rule, an agent, a node.
    pub name: Option<String>,
    /// The rule's or agent's version.
    pub version: Option<String>,
    /// How much it matters.
    pub severity: Option<f64>,
    /// A biometric's rank.
    pub rank: Option<f64>,
    /// What it answers.
    pub cause: Option<String>,
    /// What kind of thing that is.
    pub cause_kind: Option<String>,
    /// The conversation it belongs to.
    pub conversation: Option<String>,
    /// The turn of the person's session.
    pub turn: Option<i64>,
    /// A token, a message, what was said.
    pub text: Option<String>,
    /// All other fields of the event.
    pub rest: Value,
}

/// What becomes of these records.
#[must_use]
pub fn projected(records: Vec<Record>) -> Batch {
    let with_row = |record: Record| {
        let projected = Projected::of(&record);
        (record, projected)
    };
    records.into_iter().map(with_row).collect()
}

impl Projected {
    /// What becomes of this record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        if record.payload.is_none()
            && record.header(FORGET).is_some()
            && let Some(user) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok())
        {
            return Self::Forget(user.to_owned());
        }
        let payload = record.payload.as_deref().unwrap_or_default();
        let row = match record.topic {
            Topic::Biometrics => events::parse(payload).map(|event| biometric(event, record, payload)),
            Topic::Triggers => events::parse(payload).map(|event| trigger(event, record, payload)),
            Topic::Events => events::parse(payload).map(|event| conversation(event, record, payload)),
            Topic::System => events::parse(payload).map(|event| system(event, record, payload)),
            _ => return Self::Refused { class: "other_topic", reason: format!("{} has no rows", record.topic) },
        };
        row.map_or_else(
            |rejected| Self::Refused { class: rejected.class.as_str(), reason: rejected.to_string() },
            |row| Self::Row(Box::new(row)),
        )
    }
}

fn biometric(event: BiometricEvent, record: &Record, payload: &[u8]) -> Row {
    let measure = event.metadata.extra.get("measure").and_then(Value::as_str).map(ToOwned::to_owned);
    Row {
        user_id: Some(event.user_id.to_string()),
        kind: event.event_type.to_string(),
        name: measure,
        severity: Some(event.metadata.severity_score.get()),
        rank: Some(event.metadata.percentile_rank.get()),
        text: Some(event.token.to_string()),
        ..blank(
            record,
            &event.timestamp,
            event.event_id.as_str(),
            payload,
            &["event_id", "user_id", "event_type", "token"],
        )
    }
}

fn trigger(event: TriggerEvent, record: &Record, payload: &[u8]) -> Row {
    const TYPED: &[&str] = &["trigger_id", "user_id", "trigger_type", "severity", "message"];
    Row {
        user_id: Some(event.user_id.to_string()),
        kind: event.trigger_type.to_string(),
        name: event.rule.as_ref().map(|rule| rule.id.to_string()),
        version: event.rule.as_ref().map(|rule| rule.version.to_string()),
        severity: Some(event.severity.get()),
        text: Some(event.message.to_string()),
        ..blank(record, &event.timestamp, event.trigger_id.as_str(), payload, TYPED)
    }
}

fn conversation(event: ConversationEvent, record: &Record, payload: &[u8]) -> Row {
    const TYPED: &[&str] = &["event_id", "user_id", "message_type", "specialist_id", "conversation_id", "content"];
    let kind = match event.message_type {
        MessageType::UserInput => "user_input",
        MessageType::SpecialistResponse => "specialist_response",
        MessageType::SystemMessage => "system_message",
    };
    let metadata = &event.metadata;
    Row {
        user_id: Some(event.user_id.to_string()),
        kind: kind.to_owned(),
        name: Some(event.specialist_id.to_string()),
        version: metadata.agent_version.as_ref().map(ToString::to_string),
        severity: metadata.severity.map(|severity| severity.get()),
        cause: Some(metadata.cause.to_string()),
        cause_kind: Some(metadata.cause_type.as_str().to_owned()),
        conversation: Some(event.conversation_id.to_string()),
        turn: Some(i64::try_from(metadata.turn).unwrap_or(i64::MAX)),
        text: Some(event.content.to_string()),
        ..blank(record, &event.timestamp, event.event_id.as_str(), payload, TYPED)
    }
}

fn system(event: SystemEvent, record: &Record, payload: &[u8]) -> Row {
    Row {
        user_id: event.user_id.as_ref().map(ToString::to_string),
        kind: event.event_type.to_string(),
        name: Some(event.node.to_string()),
        ..blank(
            record,
            &event.timestamp,
            event.event_id.as_str(),
            payload,
            &["event_id", "user_id", "event_type", "node"],
        )
    }
}

/// A row with what all have in common.
fn blank(record: &Record, at: &Timestamp, id: &str, payload: &[u8], typed: &[&str]) -> Row {
    // It was read as an event already, so it is an object.
    let mut rest: Map<String, Value> = serde_json::from_slice(payload).unwrap_or_default();
    rest.retain(|name, _| !typed.contains(&name.as_str()));
    Row {
        at: in_utc(at.at().to_utc()),
        logged_at: logged_at(record),
        partition: record.partition,
        offset: record.offset,
        event_id: id.to_owned(),
        user_id: None,
        kind: String::new(),
        name: None,
        version: None,
        severity: None,
        rank: None,
        cause: None,
        cause_kind: None,
        conversation: None,
        turn: None,
        text: None,
        rest: Value::Object(rest),
    }
}

/// When a record was written.
pub(super) fn logged_at(record: &Record) -> String {
    in_utc(DateTime::<Utc>::from_timestamp_millis(record.timestamp_ms).unwrap_or_default())
}

fn in_utc(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M:%S%.6fZ").to_string()
}
