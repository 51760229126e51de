//! The newest records of a partition, whosoever they are: for people who come back soon, to this node or from another one.
//! Many may come at once, as when a node has died, and none of them makes the log be read.

use std::collections::VecDeque;

use crate::{bus::Record, wire::TRACEPARENT};

/// What a record takes besides its key and payload, about.
const RECORD_BYTES: usize = 256;

/// The end of a partition.
#[derive(Debug)]
pub(super) struct Tail {
    records: VecDeque<Record>,
    /// Every record from this offset on that has been seen is here.
    from: i64,
    bytes: usize,
    most: usize,
}

impl Tail {
    /// The end of a partition from this offset on; it takes so many bytes.
    pub(super) fn new(from: i64, most: usize) -> Self {
        Self { records: VecDeque::new(), from, bytes: 0, most }
    }

    /// Begins anew: what lies before this offset is not kept any more.
    pub(super) fn restart(&mut self, from: i64) {
        *self = Self::new(from, self.most);
    }

    /// Takes the next record.
    pub(super) fn push(&mut self, record: &Record) {
        self.bytes += bytes(record);
        self.records.push_back(kept(record));
        while self.bytes > self.most
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= bytes(&oldest);
            self.from = oldest.offset + 1;
        }
    }

    /// Takes what lies right before it.
    pub(super) fn prepend(&mut self, before: &[Record]) {
        let begin = self.from;
        for record in before.iter().rev().filter(|record| record.offset < begin) {
            if self.bytes + bytes(record) > self.most {
                return;
            }
            self.bytes += bytes(record);
            self.from = record.offset;
            self.records.push_front(kept(record));
        }
    }

    /// Everything of this key from an offset on; none where it does not reach back so far.
    pub(super) fn of(&self, key: &[u8], next: i64) -> Option<Vec<Record>> {
        if next < self.from {
            return None;
        }
        let first = self.records.partition_point(|record| record.offset < next);
        let own = self.records.range(first..).filter(|record| record.key.as_deref() == Some(key));
        Some(own.cloned().collect())
    }
}

/// What of a record is looked at later.
fn kept(record: &Record) -> Record {
    let headers = record.headers.iter().filter(|(name, _)| name == TRACEPARENT).cloned().collect();
    Record { topic: record.topic, key: record.key.clone(), payload: record.payload.clone(), headers, ..*record }
}

fn bytes(record: &Record) -> usize {
    let length = |bytes: &Option<bytes::Bytes>| bytes.as_ref().map_or(0, bytes::Bytes::len);
    RECORD_BYTES + length(&record.key) + length(&record.payload)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::Topic;

    fn record(offset: i64, key: &'static str) -> Record {
        let (key, payload) = (Some(key.as_bytes().into()), Some(vec![0; 100].into()));
        Record { topic: Topic::Events, partition: 0, offset, timestamp_ms: 0, key, payload, headers: Vec::new() }
    }

    fn offsets(tail: &Tail, key: &str, next: i64) -> Option<Vec<i64>> {
        Some(tail.of(key.as_bytes(), next)?.iter().map(|record| record.offset).collect())
    }

    #[test]
    fn it_has_everything_from_somewhere_on_or_says_that_it_has_not() {
        let mut tail = Tail::new(10, 10 * (RECORD_BYTES + 101));
        assert_eq!((offsets(&tail, "a", 9), offsets(&tail, "a", 10)), (None, Some(vec![])));
        // What was written before it began, with holes where markers are.
        tail.prepend(&[record(3, "a"), record(5, "b"), record(8, "a"), record(12, "a")]);
        assert_eq!(offsets(&tail, "a", 2), None);
        assert_eq!(offsets(&tail, "a", 3), Some(vec![3, 8]));
        for offset in 12..17 {
            tail.push(&record(offset, if offset % 2 == 0 { "a" } else { "b" }));
        }
        assert_eq!(offsets(&tail, "b", 4), Some(vec![5, 13, 15]));
        // It never takes more than its bytes, and gives up the oldest.
        for offset in 17..21 {
            tail.push(&record(offset, "a"));
        }
        assert_eq!((offsets(&tail, "b", 5), offsets(&tail, "b", 9)), (None, Some(vec![13, 15])));
        tail.prepend(&[record(5, "b")]);
        assert_eq!(offsets(&tail, "b", 5), None);
    }
}
