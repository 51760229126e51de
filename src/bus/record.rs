//! A record as it was read, a record to be written, and a place in the log.

use std::{borrow::Cow, fmt, str::FromStr};

use bytes::Bytes;

use super::Topic;

/// Header names and values, in order.
pub type Headers = Vec<(Cow<'static, str>, Bytes)>;

/// Names of headers that nearly every record has.
const USUAL_NAMES: [&str; 8] =
    ["ce_specversion", "ce_id", "ce_type", "ce_source", "ce_time", "content-type", "traceparent", "auren-cause-ms"];

/// A header's name; the usual ones need no memory of their own.
pub(super) fn header_name(name: &str) -> Cow<'static, str> {
    let usual = USUAL_NAMES.iter().find(|usual| **usual == name);
    usual.map_or_else(|| Cow::Owned(name.to_owned()), |usual| Cow::Borrowed(*usual))
}

/// A record as it was read.
#[derive(Debug, Clone)]
pub struct Record {
    /// Its topic.
    pub topic: Topic,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// When it was written, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Its key, if it has one.
    pub key: Option<Bytes>,
    /// Its payload; none is a tombstone.
    pub payload: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
}

impl Record {
    /// Where it stands.
    #[must_use]
    pub fn cursor(&self) -> Cursor {
        Cursor { partition: self.partition, offset: self.offset }
    }

    /// The value of a header, where it is text.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let (_, value) = self.headers.iter().find(|(header, _)| header == name)?;
        std::str::from_utf8(value).ok()
    }
}

/// A record to be written.
#[derive(Debug, Clone)]
pub struct Outgoing {
    /// Its topic.
    pub topic: Topic,
    /// Its partition; by the key's hash where none is set.
    pub partition: Option<i32>,
    /// Its key, if it has one.
    pub key: Option<Bytes>,
    /// Its payload; none is a tombstone.
    pub payload: Option<Bytes>,
    /// Its headers.
    pub headers: Headers,
}

impl Outgoing {
    /// Its size in bytes as a topic's limit counts it: payload, key and headers.
    #[must_use]
    pub fn bytes(&self) -> usize {
        let held = |bytes: &Option<Bytes>| bytes.as_ref().map_or(0, Bytes::len);
        let headers = self.headers.iter().map(|(name, value)| name.len() + value.len());
        held(&self.payload) + held(&self.key) + headers.sum::<usize>()
    }
}

/// A place in the log: `partition:offset`. A chat frame's id is one, in `conversations.events`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Cursor {
    /// The partition.
    pub partition: i32,
    /// The offset within it.
    pub offset: i64,
}

impl fmt::Display for Cursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.partition, self.offset)
    }
}

/// Text that is no cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a cursor is `partition:offset`, such as 3:120")]
pub struct NoCursor;

impl FromStr for Cursor {
    type Err = NoCursor;

    fn from_str(text: &str) -> Result<Self, NoCursor> {
        let (partition, offset) = text.split_once(':').ok_or(NoCursor)?;
        let cursor =
            Self { partition: partition.parse().map_err(|_| NoCursor)?, offset: offset.parse().map_err(|_| NoCursor)? };
        if cursor.partition < 0 || cursor.offset < 0 { Err(NoCursor) } else { Ok(cursor) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_is_read_as_it_is_written() {
        for cursor in [Cursor { partition: 0, offset: 0 }, Cursor { partition: 11, offset: i64::MAX }] {
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for text in ["", "3", "3:", ":3", "a:1", "-1:4", "1:-4", "1:2:3", "3 :4", "2147483648:0"] {
            assert_eq!(text.parse::<Cursor>(), Err(NoCursor), "{text}");
        }
    }

    #[test]
    fn a_record_weighs_its_payload_its_key_and_its_headers() {
        let record = Outgoing {
            topic: Topic::Events,
            partition: None,
            key: Some(Bytes::from_static(b"key")),
            payload: Some(Bytes::from_static(b"payload")),
            headers: vec![("name".into(), Bytes::from_static(b"value"))],
        };
        assert_eq!(record.bytes(), 3 + 7 + 4 + 5);
        assert_eq!(Outgoing { key: None, payload: None, headers: vec![], ..record }.bytes(), 0);
    }
}
