//! The newest records of a partition, whosoever they are: for people who come back soon, to this node or from another one.
//! Many may come at once, as when a node has died, and none of them makes the log be read.

use std::collections::VecDeque;

use crate::{bus::Record, wire::TRACEPARENT};

/// What a record takes besides its key and payload, about.
const RECORD_BYTES: usize = 256;

/// A record, and the memory that it holds.
#[derive(Debug)]
struct Kept {
    record: Record,
    bytes: usize,
}

/// The end of a partition.
#[derive(Debug)]
pub(super) struct Tail {
    records: VecDeque<Kept>,
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
        let kept = Kept::of(record);
        self.bytes += kept.bytes;
        self.records.push_back(kept);
        while self.bytes > self.most
            && let Some(oldest) = self.records.pop_front()
        {
            self.bytes -= oldest.bytes;
            self.from = oldest.record.offset + 1;
        }
    }

    /// Takes what lies before the place where it began. Where it does not reach back to there any more, there would be a hole.
    pub(super) fn prepend(&mut self, before: &[Record], begun: i64) {
        if self.from != begun {
            return;
        }
        for record in before.iter().rev().filter(|record| record.offset < begun) {
            let kept = Kept::of(record);
            if self.bytes + kept.bytes > self.most {
                return;
            }
            self.bytes += kept.bytes;
            self.from = record.offset;
            self.records.push_front(kept);
        }
    }

    /// Everything of this key from an offset on; none where it does not reach back so far.
    pub(super) fn of(&self, key: &[u8], next: i64) -> Option<Vec<Record>> {
        if next < self.from {
            return None;
        }
        let first = self.records.partition_point(|kept| kept.record.offset < next);
        let behind = self.records.range(first..).map(|kept| &kept.record);
        let own = behind.filter(|record| record.key.as_deref() == Some(key));
        Some(own.cloned().collect())
    }
}

impl Kept {
    /// What of a record is looked at later. Its parts may lie in one piece of memory with all of its headers, so those count
    /// as well.
    fn of(record: &Record) -> Self {
        let headers = record.headers.iter().filter(|(name, _)| name == TRACEPARENT).cloned().collect();
        let values = record.headers.iter().map(|(_, value)| value).chain(&record.key).chain(&record.payload);
        let bytes = RECORD_BYTES + values.map(bytes::Bytes::len).sum::<usize>();
        let (key, payload) = (record.key.clone(), record.payload.clone());
        Self { record: Record { topic: record.topic, key, payload, headers, ..*record }, bytes }
    }
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
        tail.prepend(&[record(3, "a"), record(5, "b"), record(8, "a"), record(12, "a")], 10);
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
        tail.prepend(&[record(5, "b")], 6);
        assert_eq!(offsets(&tail, "b", 5), None);
    }

    #[test]
    fn what_lies_before_it_leaves_no_hole() {
        let mut tail = Tail::new(10, 3 * (RECORD_BYTES + 101));
        let large = Record { payload: Some(vec![0; 150].into()), ..record(10, "a") };
        tail.push(&large);
        let before = [record(8, "a"), record(9, "a")];
        // One that has given up what it began with has room for a small one, and is not filled.
        tail.push(&record(11, "a"));
        tail.push(&record(12, "a"));
        tail.prepend(&[Record { payload: None, ..record(9, "a") }], 10);
        assert_eq!((offsets(&tail, "a", 9), offsets(&tail, "a", 11)), (None, Some(vec![11, 12])));
        // What has come meanwhile is no hole.
        let mut tail = Tail::new(10, 10_000);
        tail.push(&record(10, "a"));
        tail.prepend(&before, 10);
        assert_eq!(offsets(&tail, "a", 8), Some(vec![8, 9, 10]));
    }

    #[test]
    fn headers_that_share_its_memory_count() {
        let headers = vec![("x-large".into(), vec![0; 1000].into())];
        let mut tail = Tail::new(0, 2 * (RECORD_BYTES + 101) + 1000);
        tail.push(&Record { headers, ..record(0, "a") });
        tail.push(&record(1, "a"));
        assert_eq!(offsets(&tail, "a", 0), Some(vec![0, 1]));
        tail.push(&record(2, "a"));
        assert_eq!((offsets(&tail, "a", 0), offsets(&tail, "a", 1)), (None, Some(vec![1, 2])));
        // And are given back.
        tail.push(&record(3, "a"));
        assert_eq!(offsets(&tail, "a", 1), Some(vec![1, 2, 3]));
    }
}
