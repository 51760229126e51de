//! When something happened: an RFC 3339 time that keeps its own text and its own offset.

use std::{borrow::Cow, fmt};

use chrono::{DateTime, FixedOffset, SecondsFormat, Utc};
use compact_str::CompactString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize, Serializer};

use crate::text::Unfit;

/// A moment as somebody wrote it.
///
/// The text is kept, so that a record comes out as it went in, and so is the offset, so that an agent knows whether it
/// was morning where the person was. Comparison is by the moment.
#[derive(Debug, Clone, Deserialize)]
#[serde(try_from = "CompactString")]
pub struct Timestamp {
    text: CompactString,
    at: DateTime<FixedOffset>,
}

impl Timestamp {
    /// Takes RFC 3339 text with an offset.
    ///
    /// # Errors
    /// [`Unfit::Time`] where it is not such a time.
    pub fn parse<'a>(text: impl Into<Cow<'a, str>>) -> Result<Self, Unfit> {
        Self::try_from(CompactString::from(text.into()))
    }

    /// This moment, in UTC, to the millisecond.
    #[must_use]
    pub fn now() -> Self {
        Self::from(Utc::now())
    }

    /// The moment, with the offset it was written with.
    #[must_use]
    pub fn at(&self) -> DateTime<FixedOffset> {
        self.at
    }

    /// Milliseconds since the epoch, as Kafka counts.
    #[must_use]
    pub fn millis(&self) -> i64 {
        self.at.timestamp_millis()
    }

    /// The text as it was written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }
}

impl From<DateTime<Utc>> for Timestamp {
    fn from(at: DateTime<Utc>) -> Self {
        Self { text: at.to_rfc3339_opts(SecondsFormat::Millis, true).into(), at: at.fixed_offset() }
    }
}

impl From<DateTime<FixedOffset>> for Timestamp {
    fn from(at: DateTime<FixedOffset>) -> Self {
        Self { text: at.to_rfc3339_opts(SecondsFormat::AutoSi, true).into(), at }
    }
}

impl TryFrom<CompactString> for Timestamp {
    type Error = Unfit;

    fn try_from(text: CompactString) -> Result<Self, Unfit> {
        let at = DateTime::parse_from_rfc3339(&text).map_err(|_| Unfit::Time)?;
        Ok(Self { text, at })
    }
}

impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&self.text)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl PartialEq for Timestamp {
    fn eq(&self, other: &Self) -> bool {
        self.at == other.at
    }
}

impl Eq for Timestamp {}

impl PartialOrd for Timestamp {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Timestamp {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.at.cmp(&other.at)
    }
}

impl JsonSchema for Timestamp {
    fn schema_name() -> Cow<'static, str> {
        "Timestamp".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "date-time" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_keeps_its_text_and_its_offset() {
        let time = Timestamp::parse("2024-01-01T10:00:00.000+02:00").unwrap();
        assert_eq!(time.as_str(), "2024-01-01T10:00:00.000+02:00");
        assert_eq!(time.at().to_string(), "2024-01-01 10:00:00 +02:00");
        assert_eq!(time, Timestamp::parse("2024-01-01T08:00:00Z").unwrap());
    }

    #[test]
    fn a_time_without_an_offset_is_refused() {
        assert_eq!(Timestamp::parse("2024-01-01T10:00:00"), Err(Unfit::Time));
        assert_eq!(Timestamp::parse("yesterday"), Err(Unfit::Time));
    }
}
