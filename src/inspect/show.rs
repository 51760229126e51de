//! How a record looks: a line for people, an object for programs, and what an operator may see of it.
//!
//! What a record holds came from somebody: control characters are taken out before they reach a terminal.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Value, json};

use super::written;
use crate::bus::{Record, Topic};

/// The most characters of a record's text in a line.
const TEXT_MAX: usize = 200;

/// A record as one line: when it happened, whose it is, what it is, its text.
#[must_use]
pub fn line(record: &Record) -> String {
    let value = record.payload.as_deref().map(serde_json::from_slice::<Value>);
    let key = record.key.as_deref().map_or("-".into(), String::from_utf8_lossy);
    let (time, kind, text) = match &value {
        None => (None, "deleted".to_owned(), String::new()),
        Some(Err(_)) => {
            (None, "bytes".to_owned(), format!("{} bytes", record.payload.as_ref().map_or(0, |all| all.len())))
        }
        Some(Ok(value)) => {
            let (kind, text) = describe(record, value);
            (value["timestamp"].as_str().map(ToOwned::to_owned), kind, text)
        }
    };
    // A dead letter is as it came, so its cause is what matters.
    let text = match record.header("auren-dlq-error") {
        Some(cause) if record.topic.is_dead_letters() => format!("{cause} {text}"),
        _ => text,
    };
    let time = time.unwrap_or_else(|| written(record.timestamp_ms));
    let shown = [time.as_str(), &key, &kind, &text].map(plain);
    shown.join("  ").trim_end().to_owned()
}

/// A record with all that is known of it.
#[must_use]
pub fn json(record: &Record) -> Value {
    let mut headers = Map::new();
    for (name, value) in &record.headers {
        headers.entry(name.clone().into_owned()).or_insert_with(|| text(value));
    }
    let value = record
        .payload
        .as_deref()
        .map_or(Value::Null, |payload| serde_json::from_slice(payload).unwrap_or_else(|_| text(payload)));
    json!({
        "topic": record.topic.name(),
        "partition": record.partition,
        "offset": record.offset,
        "cursor": record.cursor().to_string(),
        "timestamp": written(record.timestamp_ms),
        "key": record.key.as_deref().map(text),
        "headers": headers,
        "value": value,
    })
}

/// What a record is, and what it says.
fn describe(record: &Record, value: &Value) -> (String, String) {
    let field = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
    let number = |value: &Value| value.as_f64().map_or_else(|| "?".to_owned(), |number| format!("{number:.2}"));
    match record.topic {
        Topic::Readings | Topic::ReadingsDlq => {
            let (device, context) = (field("source_device"), field("measurement_context"));
            (field("event_type"), format!("sealed, {device}, {context}"))
        }
        Topic::Biometrics | Topic::BiometricsDlq => {
            let metadata = &value["metadata"];
            let of = |name: &str| metadata[name].as_str().unwrap_or_default().to_owned();
            let measure = metadata["measure"].as_str().map(|measure| format!("{measure}, ")).unwrap_or_default();
            let (rank, severity) = (number(&metadata["percentile_rank"]), number(&metadata["severity_score"]));
            let text = format!("{measure}rank {rank}, severity {severity}, {}, {}", of("trend"), of("source_device"));
            (field("event_type"), text)
        }
        Topic::Triggers | Topic::TriggersDlq => {
            let agents = value["recommended_agents"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let agents = agents.collect::<Vec<_>>().join(", ");
            let text = format!("severity {}: {} (for {agents})", number(&value["severity"]), field("message"));
            (field("trigger_type"), text)
        }
        Topic::Inbox | Topic::InboxDlq => {
            let text = match value["kind"].as_str() {
                Some("message") => match value["to"].as_str() {
                    Some(to) => format!("to {to}: {}", field("text")),
                    None => field("text"),
                },
                Some("stop") => format!("turn {}", value["turn"]),
                _ => field("cursor"),
            };
            (field("kind"), text)
        }
        Topic::Events => (field("specialist_id"), field("content")),
        Topic::System => {
            let detail = value.get("detail").map(Value::to_string).unwrap_or_default();
            (field("event_type"), format!("{} {detail}", field("node")))
        }
        Topic::Rules => {
            let mode = record.header("auren-mode").unwrap_or("taken back");
            (mode.to_owned(), format!("{} bytes", record.payload.as_ref().map_or(0, |all| all.len())))
        }
        Topic::StateEnrich | Topic::StateDetect | Topic::StateConverse => {
            ("state".to_owned(), format!("{} bytes", record.payload.as_ref().map_or(0, |all| all.len())))
        }
        Topic::Configured(_) => (field("agent"), field("message")),
    }
}

/// Text as text, anything else as base64.
fn text(bytes: &[u8]) -> Value {
    match std::str::from_utf8(bytes) {
        Ok(text) => text.into(),
        Err(_) => json!({ "base64": STANDARD.encode(bytes) }),
    }
}

/// Text without line breaks and other controls, and not longer than a line should be.
fn plain(text: &str) -> String {
    let clean = text.chars().map(|letter| if letter.is_control() { ' ' } else { letter });
    let mut short: String = clean.clone().take(TEXT_MAX).collect();
    if clean.count() > TEXT_MAX {
        short.pop();
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;

    fn record(topic: Topic, payload: &str) -> Record {
        Record {
            topic,
            partition: 3,
            offset: 17,
            timestamp_ms: 1_704_103_200_000,
            key: Some(Bytes::from_static(b"u-1")),
            payload: Some(Bytes::copy_from_slice(payload.as_bytes())),
            headers: Vec::new(),
        }
    }

    fn check(topic: Topic, payload: &str, expected: &str) {
        assert_eq!(line(&record(topic, payload)), expected);
    }

    #[test]
    fn a_line_says_when_whose_what_and_the_text() {
        check(
            Topic::Triggers,
            r#"{"trigger_type":"hrv_drop","severity":0.8,"message":"HRV dropped","recommended_agents":["neuroscientist","coach"],"timestamp":"2024-01-01T11:00:00+01:00"}"#,
            "2024-01-01T11:00:00+01:00  u-1  hrv_drop  severity 0.80: HRV dropped (for neuroscientist, coach)",
        );
        check(
            Topic::Events,
            r#"{"specialist_id":"coach","content":"Rest.\nToday.","timestamp":"2024-01-01T10:00:00Z"}"#,
            "2024-01-01T10:00:00Z  u-1  coach  Rest. Today.",
        );
        check(
            Topic::Biometrics,
            r#"{"event_type":"hrv_measurement","timestamp":"2024-01-01T10:00:00Z","metadata":{"percentile_rank":0.15,"severity_score":1,"trend":"stable","source_device":"watch","measure":"rmssd"}}"#,
            "2024-01-01T10:00:00Z  u-1  hrv_measurement  rmssd, rank 0.15, severity 1.00, stable, watch",
        );
    }

    #[test]
    fn whatever_is_in_a_record_a_line_is_a_line() {
        check(Topic::Events, "not json", "2024-01-01T10:00:00.000Z  u-1  bytes  8 bytes");
        check(Topic::Events, "[]", "2024-01-01T10:00:00.000Z  u-1");
        let escape = line(&record(Topic::Events, r#"{"specialist_id":"a","content":"\u001b[2Jx"}"#));
        assert!(escape.ends_with("a   [2Jx"), "{escape}");
        let long = line(&record(Topic::Events, &format!(r#"{{"specialist_id":"a","content":"{}"}}"#, "ä".repeat(900))));
        assert!(long.ends_with('…') && long.chars().count() < 250);
        let gone = Record { payload: None, ..record(Topic::StateDetect, "") };
        assert_eq!(line(&gone), "2024-01-01T10:00:00.000Z  u-1  deleted");
    }

    #[test]
    fn bytes_that_are_no_text_are_base64() {
        let record = Record { payload: Some(Bytes::from_static(&[0xff, 0])), ..record(Topic::StateDetect, "") };
        assert_eq!(json(&record)["value"], json!({ "base64": "/wA=" }));
    }
}
