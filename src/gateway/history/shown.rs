//! What is shown of a row. A token is not: who may open one finds it in the topics.

use serde_json::{Value, json};

use crate::project::row::Row;

/// A measurement: when, what it was, and what its metadata say.
pub(super) fn biometric(row: &Row) -> Value {
    json!({
        "event_id": row.event_id,
        "at": at(row),
        "event_type": row.kind,
        "metadata": row.rest["metadata"],
        "partition": row.partition,
        "offset": row.offset,
    })
}

/// A trigger: what was noticed, by which rule, and the ids of what it rests on.
pub(super) fn trigger(row: &Row) -> Value {
    json!({
        "event_id": row.event_id,
        "at": at(row),
        "trigger_type": row.kind,
        "severity": row.severity,
        "rule": row.name,
        "rule_version": row.version,
        "message": row.text,
        "context_window": row.rest["context_window"],
        "partition": row.partition,
        "offset": row.offset,
    })
}

/// When it happened, with the offset from UTC that it was written with.
fn at(row: &Row) -> &str {
    row.rest["timestamp"].as_str().unwrap_or(&row.at)
}
