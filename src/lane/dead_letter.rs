//! Dead letters: how one is written, and how one is read back and sent again.

use crate::{
    bus::{Cursor, Outgoing, Record, Topic},
    lane::Refusal,
};

/// What begins the name of every header that tells a dead letter's cause.
const PREFIX: &str = "auren-dlq-";
/// A header of a record that was sent again: where its dead letter stands.
const REPLAYED_FROM: &str = "auren-replayed-from";
/// The class of records that were moved to their user's partition: they have been worked there.
const MOVED: &str = "wrong_partition";

/// The dead letter of a record: as it came, with the cause in its headers. Only what is larger than even dead letters may
/// be is left where it stands, and the dead letter says where that is.
pub(super) fn dead_letter(record: &Record, group: &str, stage: &str, refusal: &Refusal) -> Option<Outgoing> {
    let topic: Topic = record.topic.dead_letters()?;
    let mut headers = record.headers.clone();
    for (name, value) in [
        ("topic", record.topic.name().to_owned()),
        ("partition", record.partition.to_string()),
        ("offset", record.offset.to_string()),
        ("timestamp", record.timestamp_ms.to_string()),
        ("group", group.to_owned()),
        ("stage", stage.to_owned()),
        ("class", refusal.class.to_owned()),
        ("error", refusal.to_string()),
    ] {
        headers.push((format!("{PREFIX}{name}").into(), value.into()));
    }
    let (key, payload) = (record.key.clone(), record.payload.clone());
    let mut letter = Outgoing { topic, partition: Some(record.partition), key, payload, headers };
    if letter.bytes() > topic.max_record_bytes() {
        letter.payload = None;
        letter.headers.drain(..record.headers.len());
    }
    Some(letter)
}

/// A dead letter, read back.
#[derive(Debug, Clone)]
pub struct DeadLetter {
    /// Where it stands in its `.dlq` topic.
    pub cursor: Cursor,
    /// The topic whose record it was.
    pub topic: Topic,
    /// Where the record stood there.
    pub stood: Cursor,
    /// The consumer group that could not use it.
    pub group: String,
    /// The class of its cause.
    pub class: String,
    /// The cause.
    pub error: String,
    /// The record as it came, with the headers of its cause.
    pub record: Record,
}

impl DeadLetter {
    /// Reads a record of a `.dlq` topic; none where it does not say what it was.
    #[must_use]
    pub fn of(record: Record) -> Option<Self> {
        // A record that died twice has these headers twice; the newest are last.
        let header = |name: &str| {
            let name = format!("{PREFIX}{name}");
            let (_, value) = record.headers.iter().rev().find(|(known, _)| *known == name)?;
            std::str::from_utf8(value).ok().map(ToOwned::to_owned)
        };
        Some(Self {
            cursor: record.cursor(),
            topic: Topic::named(&header("topic")?)?,
            stood: Cursor { partition: header("partition")?.parse().ok()?, offset: header("offset")?.parse().ok()? },
            group: header("group")?,
            class: header("class")?,
            error: header("error")?,
            record,
        })
    }

    /// Whether a record of the letter's topic is the one that was sent again for it.
    #[must_use]
    pub fn is_again(&self, record: &Record) -> bool {
        record.header(REPLAYED_FROM).is_some_and(|from| from == self.cursor.to_string())
    }

    /// The record, to be sent again to its own topic and its user's partition; none where that would be wrong: it was moved
    /// and has been worked, or its payload was too large to be kept.
    #[must_use]
    pub fn again(&self) -> Option<Outgoing> {
        if self.class == MOVED || self.record.payload.is_none() {
            return None;
        }
        let of_cause = |name: &str| name.starts_with(PREFIX) || name == REPLAYED_FROM;
        let mut headers: Vec<_> = self.record.headers.iter().filter(|(name, _)| !of_cause(name)).cloned().collect();
        headers.push((REPLAYED_FROM.into(), self.cursor.to_string().into()));
        Some(Outgoing {
            topic: self.topic,
            partition: None,
            key: self.record.key.clone(),
            payload: self.record.payload.clone(),
            headers,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record() -> Record {
        Record {
            topic: Topic::Triggers,
            partition: 4,
            offset: 7,
            timestamp_ms: 1,
            key: Some("u-1".into()),
            payload: Some("not json".into()),
            headers: vec![("traceparent".into(), "t".into())],
        }
    }

    fn letter(class: &'static str) -> Record {
        let refusal = Refusal::new(class, "record", "is not JSON (line 1, column 2)");
        let letter = dead_letter(&record(), "auren-converse", "converse", &refusal).unwrap();
        assert_eq!(letter.topic, Topic::TriggersDlq);
        Record { topic: letter.topic, key: letter.key, payload: letter.payload, headers: letter.headers, ..record() }
    }

    #[test]
    fn a_dead_letter_is_the_record_as_it_came_with_its_cause() {
        let read = DeadLetter::of(letter("broken_json")).unwrap();
        assert_eq!((read.topic, read.stood), (Topic::Triggers, Cursor { partition: 4, offset: 7 }));
        assert_eq!((read.group.as_str(), read.class.as_str()), ("auren-converse", "broken_json"));
        assert_eq!(read.error, "record: is not JSON (line 1, column 2)");
        assert_eq!((read.record.payload, read.record.key), (record().payload, record().key));
        assert!(DeadLetter::of(record()).is_none());
    }

    #[test]
    fn a_record_that_is_sent_again_is_itself_without_the_cause() {
        let again = DeadLetter::of(letter("broken_json")).unwrap().again().unwrap();
        assert_eq!((again.topic, again.partition, &again.payload), (Topic::Triggers, None, &record().payload));
        let names: Vec<_> = again.headers.iter().map(|(name, _)| name.as_ref()).collect();
        assert_eq!(names, ["traceparent", "auren-replayed-from"]);
        assert!(DeadLetter::of(letter("wrong_partition")).unwrap().again().is_none(), "it was moved and worked");
    }
}
