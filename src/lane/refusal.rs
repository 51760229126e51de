//! Records that nobody can use, and why: what their envelope says, and what a session says.

use auren_agents::{Rejected, UserId};
use bytes::Bytes;

use crate::{
    bus::{Outgoing, Record, key_partition},
    wire::FORGET,
};

/// Why a record cannot be used. Neither field nor reason ever repeats what the record holds.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Refusal {
    /// The class that the dead letter is filed under.
    pub class: &'static str,
    /// The field at fault; `record` for the whole, `key` for its key.
    pub field: String,
    /// What is wrong.
    pub why: String,
}

impl Refusal {
    /// A refusal of a field.
    #[must_use]
    pub fn new(class: &'static str, field: &str, why: impl Into<String>) -> Self {
        Self { class, field: field.to_owned(), why: why.into() }
    }

    /// The class of records that were not tried, because their user is parked.
    pub(super) const PARKED: &'static str = "parked";

    /// Whether the record itself is at fault, so that every role that reads it finds the same. The others concern one
    /// role's session.
    #[must_use]
    pub(super) fn is_of_record(&self) -> bool {
        !matches!(self.class, "turn_failed" | "state_unreadable" | "state_unwritable" | Self::PARKED)
    }

    /// A record whose producer put it elsewhere than its user's records are.
    pub(super) fn misplaced(partition: i32, home: i32) -> Self {
        let why = format!(
            "is in partition {partition}, its user's is {home}: it was moved there; set the producer's partitioner to \
             murmur2 (librdkafka: partitioner=murmur2_random)"
        );
        Self::new("wrong_partition", "key", why)
    }

    /// A record whose payload is about somebody else than its key.
    #[must_use]
    pub fn other_user() -> Self {
        Self::new("key_mismatch", "user_id", "differs from the record's key; a record is keyed by its user")
    }
}

impl From<Rejected> for Refusal {
    fn from(rejected: Rejected) -> Self {
        Self { class: rejected.class.as_str(), field: rejected.field, why: rejected.why }
    }
}

/// What a record's envelope says, before anybody looks inside.
pub(super) enum Envelope {
    /// It is this user's, and at the right place.
    Good(UserId, Bytes),
    /// It asks to forget this user.
    Forget(UserId),
    /// It is good, but its producer put it into a partition that is not its user's.
    Misplaced { home: i32 },
    /// Nobody can use it.
    Bad(Refusal),
}

/// The user whose key this is.
pub(super) fn user_of(key: &[u8]) -> Option<UserId> {
    UserId::new(std::str::from_utf8(key).ok()?).ok()
}

/// Looks at key, size and partition of a record.
pub(super) fn envelope(record: &Record, partitions: i32) -> Envelope {
    let bad = |class, field, why: &str| Envelope::Bad(Refusal::new(class, field, why));
    let Some(key) = &record.key else {
        return bad("missing_key", "key", "is missing; a record is keyed by its user");
    };
    let Some(user) = user_of(key) else {
        return bad("bad_key", "key", "is no user's id: 1 to 128 bytes of UTF-8 without control characters");
    };
    let home = key_partition(key, partitions);
    let Some(payload) = &record.payload else {
        return match record.header(FORGET) {
            None => bad("no_payload", "record", "has no payload"),
            Some(_) if home == record.partition => Envelope::Forget(user),
            Some(_) => Envelope::Misplaced { home },
        };
    };
    let headers = record.headers.iter().map(|(name, value)| name.len() + value.len());
    let bytes = key.len() + payload.len() + headers.sum::<usize>();
    let (most, moves) = (record.topic.max_record_bytes(), if home == record.partition { 0 } else { MOVED_BYTES });
    if bytes + moves > most {
        return bad("too_large", "record", &format!("is {bytes} bytes long, at most {} are taken", most - moves));
    }
    if home == record.partition { Envelope::Good(user, payload.clone()) } else { Envelope::Misplaced { home } }
}

/// A header that says where a record stood before the hub put it right.
pub(super) const MOVED_FROM: &str = "auren-moved-from";
/// What it adds to a record at most.
const MOVED_BYTES: usize = 64;

/// The same record in the partition of its user.
///
/// Producers with another partitioner than Java's (librdkafka's default, for one) put most keys elsewhere. One node owns a
/// user, so such a record is not worked where it stands but moved, within the transaction that passes it.
pub(super) fn moved(record: &Record, home: i32) -> Outgoing {
    let mut headers = record.headers.clone();
    headers.push((MOVED_FROM.into(), record.cursor().to_string().into()));
    Outgoing {
        topic: record.topic,
        partition: Some(home),
        key: record.key.clone(),
        payload: record.payload.clone(),
        headers,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Topic;

    fn record(key: Option<&'static str>, payload: Option<&'static str>) -> Record {
        let partition = key.map_or(0, |key| key_partition(key.as_bytes(), 12));
        Record {
            topic: Topic::Triggers,
            partition,
            offset: 7,
            timestamp_ms: 1,
            key: key.map(Into::into),
            payload: payload.map(Into::into),
            headers: vec![("traceparent".into(), "t".into())],
        }
    }

    fn class(record: &Record) -> &'static str {
        match envelope(record, 12) {
            Envelope::Good(..) => "good",
            Envelope::Forget(_) => "forget",
            Envelope::Misplaced { .. } => "misplaced",
            Envelope::Bad(refusal) => refusal.class,
        }
    }

    #[test]
    fn an_envelope_is_judged_by_key_size_and_place() {
        assert_eq!(class(&record(Some("u-1"), Some("{}"))), "good");
        assert_eq!(class(&record(None, Some("{}"))), "missing_key");
        assert_eq!(class(&record(Some("a\nb"), Some("{}"))), "bad_key");
        assert_eq!(class(&record(Some("u-1"), None)), "no_payload");
        let mut forget = record(Some("u-1"), None);
        forget.headers.push((FORGET.into(), "1".into()));
        assert_eq!(class(&forget), "forget");
        let mut large = record(Some("u-1"), None);
        large.payload = Some(vec![b' '; 1024 * 1024 + 1].into());
        assert_eq!(class(&large), "too_large");
        let mut elsewhere = record(Some("u-1"), Some("{}"));
        elsewhere.partition = (elsewhere.partition + 1) % 12;
        assert_eq!(class(&elsewhere), "misplaced");
    }
}
