//! Records on the wire: JSON payloads keyed by user, with CloudEvents headers (binary mode).
//!
//! `ce_id` equals the event's id, and a `traceparent` that came with a cause goes on with its effects.

use auren_agents::{BiometricEvent, ConversationEvent, InboxRecord, SystemEvent, Timestamp, TriggerEvent, UserId};
use bytes::Bytes;
use serde::Serialize;

use crate::{
    bus::{Headers, Outgoing, Topic},
    intake::SealedReading,
};

/// The header that carries a W3C trace context.
pub const TRACEPARENT: &str = "traceparent";

/// The header that says when the log had the cause of a conversation event, in milliseconds since the epoch.
pub const CAUSE_WRITTEN: &str = "auren-cause-ms";

/// The header of a record without payload that asks every role to forget the person it is keyed by.
pub const FORGET: &str = "auren-forget";

/// A buffer that most records fit into, and room for the headers that they have.
const USUAL_BYTES: usize = 1536;
const USUAL_HEADERS: usize = 8;

/// A record that has a topic, an id and a key.
pub trait Wire: Serialize {
    /// Where it goes.
    const TOPIC: Topic;
    /// Its CloudEvents type.
    const TYPE: &'static str;
    /// Its own id.
    fn id(&self) -> &str;
    /// Whom it is about: the record's key. The hub's own events may be about nobody.
    fn key(&self) -> Option<&str>;
    /// When it happened.
    fn time(&self) -> &Timestamp;
}

macro_rules! wire {
    ($($name:ident: $topic:ident, $type:literal, $id:ident;)*) => {$(
        impl Wire for $name {
            const TOPIC: Topic = Topic::$topic;
            const TYPE: &'static str = $type;

            fn id(&self) -> &str {
                self.$id.as_str()
            }

            fn key(&self) -> Option<&str> {
                Some(self.user_id.as_str())
            }

            fn time(&self) -> &Timestamp {
                &self.timestamp
            }
        }
    )*};
}

wire! {
    SealedReading: Readings, "auren.health.reading.v1", event_id;
    BiometricEvent: Biometrics, "auren.health.biometric.v1", event_id;
    TriggerEvent: Triggers, "auren.trigger.v1", trigger_id;
    InboxRecord: Inbox, "auren.conversation.inbox.v1", event_id;
    ConversationEvent: Events, "auren.conversation.event.v1", event_id;
}

impl Wire for SystemEvent {
    const TOPIC: Topic = Topic::System;
    const TYPE: &'static str = "auren.system.event.v1";

    fn id(&self) -> &str {
        self.event_id.as_str()
    }

    fn key(&self) -> Option<&str> {
        self.user_id.as_ref().map(UserId::as_str)
    }

    fn time(&self) -> &Timestamp {
        &self.timestamp
    }
}

/// A record to be written, with its headers; its partition follows from its key.
#[must_use]
pub fn outgoing<E: Wire>(event: &E) -> Outgoing {
    // Payload, key and what headers say of it lie in one buffer.
    let mut held = Vec::with_capacity(USUAL_BYTES);
    serde_json::to_writer(&mut held, event).expect("the public records are plain data with text keys");
    let payload = held.len();
    let parts = [event.id(), event.time().as_str(), event.key().unwrap_or_default()];
    parts.iter().for_each(|part| held.extend_from_slice(part.as_bytes()));
    let mut rest = Bytes::from(held);
    let payload = rest.split_to(payload);
    let [id, time, key] = parts.map(|part| rest.split_to(part.len()));
    let mut headers = Headers::with_capacity(USUAL_HEADERS);
    headers.extend([
        ("ce_specversion".into(), Bytes::from_static(b"1.0")),
        ("ce_id".into(), id),
        ("ce_type".into(), Bytes::from_static(E::TYPE.as_bytes())),
        ("ce_source".into(), Bytes::from_static(b"/auren")),
        ("ce_time".into(), time),
        ("content-type".into(), Bytes::from_static(b"application/json")),
    ]);
    Outgoing { topic: E::TOPIC, partition: None, key: event.key().map(|_| key), payload: Some(payload), headers }
}

/// A record that is a part of this trace.
#[must_use]
pub fn traced(mut record: Outgoing, traceparent: Option<&str>) -> Outgoing {
    record.headers.extend(traceparent.map(|trace| (TRACEPARENT.into(), Bytes::copy_from_slice(trace.as_bytes()))));
    record
}

/// A record that says when the log had its cause.
#[must_use]
pub fn caused(mut record: Outgoing, written_ms: Option<i64>) -> Outgoing {
    record.headers.extend(written_ms.map(|ms| (CAUSE_WRITTEN.into(), ms.to_string().into())));
    record
}

/// Asks whoever reads the topic to forget a person.
#[must_use]
pub fn forget(topic: Topic, user: &UserId) -> Outgoing {
    let key = Bytes::copy_from_slice(user.as_str().as_bytes());
    let headers = vec![(FORGET.into(), Bytes::from_static(b"1"))];
    Outgoing { topic, partition: None, key: Some(key), payload: None, headers }
}

#[cfg(test)]
mod tests {
    use auren_agents::{EventId, Text};

    use super::*;

    #[test]
    fn a_record_is_keyed_by_user_and_its_cloud_event_has_its_id() {
        let event = SystemEvent {
            event_id: EventId::new("e-1").unwrap(),
            event_type: Text::cut("hub_started"),
            node: Text::cut("n"),
            user_id: None,
            detail: serde_json::Map::new(),
            timestamp: Timestamp::parse("2024-01-01T10:00:00Z").unwrap(),
            extra: serde_json::Map::new(),
        };
        let record = outgoing(&event);
        assert_eq!((record.topic, record.key), (Topic::System, None));
        let header = |name: &str| record.headers.iter().find(|(known, _)| known == name).map(|(_, value)| &value[..]);
        assert_eq!(header("ce_id"), Some(&b"e-1"[..]));
        assert_eq!(header("ce_time"), Some(&b"2024-01-01T10:00:00Z"[..]));
        assert_eq!(header("content-type"), Some(&b"application/json"[..]));
    }
}
