//! How far a person has seen their events, on whichever device: the furthest of their newest marks in
//! `conversations.inbox`.

use std::sync::Arc;

use auren_agents::{InboxAction, InboxRecord, Timestamp, events};
use axum::{Json, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;

use super::{Chat, pages::away};
use crate::{
    bus::{BusError, Cursor, Read, ReadFrom, ReadUntil, Record, Topic},
    gateway::Problem,
};

/// Most records of the log that are looked through, and how many of them first; each further step is twice as long.
const SCAN_MAX: i64 = 20_000;
const STEP_BACK: i64 = 1_000;

/// How far a person has seen their events.
#[derive(Debug, Default, Serialize, JsonSchema)]
pub(in crate::gateway) struct Seen {
    /// The last event seen. It is not there where nothing was marked, or long ago.
    #[serde(skip_serializing_if = "Option::is_none")]
    cursor: Option<String>,
    /// When it was marked.
    #[serde(skip_serializing_if = "Option::is_none")]
    at: Option<Timestamp>,
}

/// `GET /v1/conversations/seen`.
pub(super) async fn seen(State(chat): State<Arc<Chat>>, headers: HeaderMap) -> Result<Json<Seen>, Problem> {
    let person = chat.access.person(&headers).await?;
    let feed = &chat.feed;
    let partition = feed.partition(&person.user).await.map_err(away)?;
    let _permit = feed.reads.acquire().await.map_err(|_| away(BusError::Closed))?;
    let marks = feed.bus.watermarks(Topic::Inbox).await.map_err(away)?;
    let (first, end) = marks.get(&partition).copied().unwrap_or_default();
    let floor = first.max(end.saturating_sub(SCAN_MAX));
    let (mut low, mut step) = (end, STEP_BACK);
    while low > floor {
        low = floor.max(low.saturating_sub(step));
        step = step.saturating_mul(2);
        let (topic, from) = (Topic::Inbox, ReadFrom::Offset(low));
        let mut batches = feed.bus.read(Read { topic, partitions: vec![partition], from, until: ReadUntil::End });
        let mut furthest: Option<(Cursor, Timestamp)> = None;
        while let Some(batch) = batches.recv().await {
            for (place, at) in batch.map_err(away)?.iter().filter_map(|record| mark(record, person.user.as_str())) {
                // A tab that shows less may have marked later.
                if furthest.as_ref().is_none_or(|(known, _)| *known < place) {
                    furthest = Some((place, at));
                }
            }
        }
        if let Some((place, at)) = furthest {
            return Ok(Json(Seen { cursor: Some(place.to_string()), at: Some(at) }));
        }
    }
    Ok(Json(Seen::default()))
}

/// What a record marks as seen, where it is a mark of this person's.
fn mark(record: &Record, user: &str) -> Option<(Cursor, Timestamp)> {
    if record.key.as_deref() != Some(user.as_bytes()) {
        return None;
    }
    let inbox: InboxRecord = events::parse(record.payload.as_deref()?).ok()?;
    match inbox.action {
        InboxAction::Seen { cursor, .. } if inbox.user_id.as_str() == user => {
            Some((cursor.parse().ok()?, inbox.timestamp))
        }
        _ => None,
    }
}
