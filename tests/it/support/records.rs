//! Records that tests send: the two documents of the mission as they stand, triggers, messages, and readings.

use auren::wearable::{Measure, Row};
use auren_agents::{AgentId, EventId, InboxAction, InboxRecord, Text, Timestamp, UserId};
use serde_json::{Map, Value, json};

/// The mission's biometric event, as it stands.
pub fn mission_biometric() -> Value {
    serde_json::from_str(
        r#"{"event_id":"uuid","user_id":"user_hash","event_type":"hrv_measurement","token":"TOKENIZED_PHI","metadata":{"percentile_rank":0.15,"severity_score":0.85,"trend":"declining_3_days","statistical_summary":{"mean":48.3,"stddev":5.2},"timestamp_iso":"2024-01-01T10:00:00Z","source_device":"Apple Watch","measurement_context":"morning"},"timestamp":"2024-01-01T10:00:00Z"}"#,
    )
    .unwrap()
}

/// The mission's trigger, as it stands.
pub fn mission_trigger() -> Value {
    serde_json::from_str(
        r#"{"trigger_id":"uuid","user_id":"user_hash","trigger_type":"hrv_drop","severity":0.8,"context_window":["event1","event2"],"recommended_agents":["neuroscientist","coach"],"message":"HRV dropped 25% below baseline","timestamp":"2024-01-01T10:00:00Z"}"#,
    )
    .unwrap()
}

/// A trigger for these agents.
pub fn trigger(user: &str, id: &str, agents: &[&str]) -> Value {
    let mut trigger = mission_trigger();
    trigger["trigger_id"] = json!(id);
    trigger["user_id"] = json!(user);
    trigger["recommended_agents"] = json!(agents);
    trigger
}

fn inbox(user: &str, id: &str, minute: i64, action: InboxAction) -> InboxRecord {
    let noon = Timestamp::parse("2024-01-01T12:00:00+01:00").unwrap();
    InboxRecord {
        event_id: EventId::new(id).unwrap(),
        user_id: UserId::new(user).unwrap(),
        action,
        client_id: Some(Text::cut(format!("client-{id}"))),
        timestamp: Timestamp::from(noon.at() + chrono::TimeDelta::minutes(minute)),
    }
}

/// Somebody says something, so many minutes after noon.
pub fn message(user: &str, id: &str, minute: i64, text: &str, to: Option<&str>) -> InboxRecord {
    let to = to.map(|to| AgentId::new(to).unwrap());
    inbox(user, id, minute, InboxAction::Message { text: Text::cut(text), to, extra: Map::new() })
}

/// Somebody stops the answer of a turn.
pub fn stop(user: &str, id: &str, turn: u64) -> InboxRecord {
    inbox(user, id, 0, InboxAction::Stop { turn, extra: Map::new() })
}

/// One rMSSD of a night in January 2024.
pub fn night(user: &str, day: i64, value: f64) -> Row {
    let first = Timestamp::parse("2024-01-01T07:00:00+01:00").unwrap();
    let measure = Measure::Rmssd;
    Row {
        user: UserId::new(user).unwrap(),
        event_type: measure.event_type(),
        measure: measure.name().into(),
        value,
        unit: measure.unit().into(),
        at: Timestamp::from(first.at() + chrono::TimeDelta::days(day)),
        device: Text::cut("watch"),
        context: Text::cut(measure.context()),
    }
}
