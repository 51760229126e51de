//! What an operator may see of a record: where it stands, whose it is, what kind of thing it is. Not what somebody wrote
//! or was told, no token, and not how a measurement compares with its person's past; that is its *content*.

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};

use super::{show, written};
use crate::bus::{Record, Topic};

/// The longest text that is shown of a field.
const TEXT_MAX: usize = 200;
/// The largest payload whose content is shown.
const CONTENT_MAX: usize = 64 * 1024;

/// A record without its content.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct Trace {
    /// Its topic.
    pub topic: &'static str,
    /// Where it stands there: `partition:offset`.
    pub cursor: String,
    /// When it was written.
    pub written: String,
    /// Whose it is; of a rule, the rule's id. None where it has no key, or one that is no id.
    pub key: Option<String>,
    /// Its own id, where it has one.
    pub id: Option<String>,
    /// What kind of thing it is: a trigger's or an event's type, who speaks, the class of a dead letter.
    pub kind: Option<String>,
    /// When it happened.
    pub at: Option<String>,
    /// The size of its payload; none where it has none, which takes back what its key stands for.
    pub bytes: Option<usize>,
    /// More that is known of it, by name.
    pub about: Map<String, Value>,
    /// All that it holds, where that was asked for and may be seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content: Option<Value>,
}

impl Trace {
    /// What may be seen of a record.
    #[must_use]
    pub fn of(record: &Record) -> Self {
        let value = record.payload.as_deref().and_then(|payload| serde_json::from_slice::<Value>(payload).ok());
        let value = value.unwrap_or_default();
        let (kind, ids, names) = fields(record.topic);
        let header = record.header("auren-dlq-class");
        let kind =
            header.filter(|_| record.topic.is_dead_letters()).or_else(|| value.get(kind).and_then(Value::as_str));
        let mut about = Map::new();
        for path in names {
            let found = path.split('.').try_fold(&value, |value, name| value.get(name));
            if let Some(found) = found.and_then(plain) {
                about.insert(name(path), found);
            }
        }
        for (name, header) in HEADERS {
            if let Some(value) = record.header(header) {
                about.insert((*name).to_owned(), short(value).into());
            }
        }
        Self {
            topic: record.topic.name(),
            cursor: record.cursor().to_string(),
            written: written(record.timestamp_ms),
            key: key(record),
            id: value.get(ids).and_then(Value::as_str).map(short),
            kind: kind.map(short),
            at: value.get("timestamp").and_then(Value::as_str).map(short),
            bytes: record.payload.as_ref().map(|payload| payload.len()),
            about,
            content: None,
        }
    }

    /// The same with the record's content.
    #[must_use]
    pub fn with_content(record: &Record) -> Self {
        Self { content: Some(content(record)), ..Self::of(record) }
    }
}

/// What a record holds; of a large one only its size.
#[must_use]
pub fn content(record: &Record) -> Value {
    match record.payload.as_ref().map(|payload| payload.len()) {
        Some(bytes) if bytes > CONTENT_MAX => serde_json::json!({ "too_large": bytes }),
        _ => show::json(record)["value"].take(),
    }
}

/// Whose a record is.
#[must_use]
pub fn key(record: &Record) -> Option<String> {
    let key = std::str::from_utf8(record.key.as_deref()?).ok()?;
    auren_agents::UserId::new(key).ok().map(|id| id.as_str().to_owned())
}

/// Headers that tell of a record.
const HEADERS: &[(&str, &str)] = &[
    ("error", "auren-dlq-error"),
    ("group", "auren-dlq-group"),
    ("mode", "auren-mode"),
    ("moved_from", "auren-moved-from"),
    ("sent_again_from", "auren-replayed-from"),
];

/// The field that says what kind of thing a record of a topic is, the one that is its id, and the others that may be seen.
fn fields(topic: Topic) -> (&'static str, &'static str, &'static [&'static str]) {
    match topic {
        Topic::Readings | Topic::ReadingsDlq => ("event_type", "event_id", &["source_device"]),
        Topic::Biometrics | Topic::BiometricsDlq => {
            ("event_type", "event_id", &["metadata.measure", "metadata.source_device"])
        }
        Topic::Triggers | Topic::TriggersDlq => {
            ("trigger_type", "trigger_id", &["severity", "rule.id", "rule.version", "recommended_agents"])
        }
        Topic::Inbox | Topic::InboxDlq => ("kind", "event_id", &["to", "turn", "client_id"]),
        Topic::Events => (
            "message_type",
            "event_id",
            &[
                "specialist_id",
                "metadata.turn",
                "metadata.cause",
                "metadata.cause_type",
                "metadata.trigger_type",
                "metadata.code",
                "metadata.agent_version",
            ],
        ),
        Topic::System => ("event_type", "event_id", &["node"]),
        Topic::Configured(_) => ("agent", "id", &["cause.kind", "deadline_ms"]),
        Topic::Rules | Topic::StateEnrich | Topic::StateDetect | Topic::StateConverse => ("", "", &[]),
    }
}

/// What a field is called: `turn` for `metadata.turn`, `rule` for `rule.id`.
fn name(path: &str) -> String {
    path.trim_start_matches("metadata.").trim_end_matches(".id").replace('.', "_")
}

/// A value that is short by nature: a word, a number, a list of words.
fn plain(value: &Value) -> Option<Value> {
    match value {
        Value::String(text) => Some(short(text).into()),
        Value::Number(_) | Value::Bool(_) => Some(value.clone()),
        Value::Array(list) => {
            let words: Vec<_> = list.iter().filter_map(Value::as_str).take(16).map(short).collect();
            Some(words.join(", ").into())
        }
        Value::Null | Value::Object(_) => None,
    }
}

/// Text without controls, and not longer than a field should be.
fn short(text: &str) -> String {
    text.chars().filter(|letter| !letter.is_control()).take(TEXT_MAX).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn record(topic: Topic, payload: &Value) -> Record {
        Record {
            topic,
            partition: 3,
            offset: 17,
            timestamp_ms: 0,
            key: Some("u-1".into()),
            payload: Some(payload.to_string().into()),
            headers: vec![("auren-dlq-class".into(), "broken_json".into())],
        }
    }

    #[test]
    fn what_somebody_wrote_or_was_told_is_seen_in_no_topic() {
        let payload = json!({
            "event_id": "e", "trigger_id": "t", "user_id": "u-1", "event_type": "hrv_measurement", "kind": "message",
            "trigger_type": "hrv_drop", "message_type": "specialist_response", "specialist_id": "coach",
            "text": "secret", "content": "secret", "message": "secret", "token": "secret", "detail": { "a": "secret" },
            "evidence": [{ "a": "secret" }], "severity": 0.5, "timestamp": "2024-01-01T10:00:00Z",
            "metadata": {
                "measure": "rmssd", "trend": "secret", "percentile_rank": "secret", "severity_score": "secret",
                "statistical_summary": { "mean": "secret" }, "measurement_context": "secret", "reasons": ["secret"],
                "findings": [{ "a": "secret" }], "cause": "c",
            },
        });
        for topic in Topic::ALL {
            let trace = Trace::of(&record(*topic, &payload));
            let told = serde_json::to_string(&trace).unwrap();
            assert!(!told.contains("secret"), "{topic}: {told}");
            assert_eq!((trace.cursor.as_str(), trace.key.as_deref()), ("3:17", Some("u-1")));
            let shown = Trace::with_content(&record(*topic, &payload));
            assert_eq!(shown.content, Some(payload.clone()));
        }
        let trace = Trace::of(&record(Topic::Triggers, &payload));
        assert_eq!((trace.kind.as_deref(), trace.id.as_deref()), (Some("hrv_drop"), Some("t")));
        assert_eq!(trace.about["severity"], 0.5);
        assert_eq!(Trace::of(&record(Topic::Events, &payload)).about["cause"], "c");
        assert_eq!(Trace::of(&record(Topic::TriggersDlq, &payload)).kind.as_deref(), Some("broken_json"));
    }

    #[test]
    fn whatever_is_in_a_record_it_has_a_trace() {
        for payload in [json!([]), json!("text"), json!({ "trigger_type": 7, "severity": {} }), json!(null)] {
            let trace = Trace::of(&record(Topic::Triggers, &payload));
            assert_eq!((trace.kind, trace.about.len()), (None, 0));
        }
        let large = record(Topic::Triggers, &json!("x".repeat(CONTENT_MAX)));
        assert_eq!(content(&large), json!({ "too_large": CONTENT_MAX + 2 }));
        let nobody = Record { key: Some(vec![0xff].into()), payload: None, ..large };
        assert_eq!((Trace::of(&nobody).key, Trace::of(&nobody).bytes), (None, None));
    }
}
