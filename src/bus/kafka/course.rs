//! One pass over partitions of a topic: from where it begins to where each of them ends, or on and on.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use rdkafka::{Message, Offset, TopicPartitionList, consumer::Consumer, error::KafkaError};

use super::{errors, reader};
use crate::bus::{BusError, Record, Topic};

/// A pass to the end that hears nothing for so long is given up: whoever waits for it would wait for ever.
const SILENCE_LIMIT: Duration = Duration::from_secs(30);

/// What one partition is read of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Span {
    /// The first offset.
    pub(super) from: i64,
    /// The offset to stop before; none where it is followed.
    pub(super) to: Option<i64>,
}

/// A pass under way.
pub(super) struct Course<'a> {
    consumer: &'a reader::Alone,
    topic: Topic,
    name: &'a str,
    /// What is not read to its end yet.
    open: BTreeMap<i32, Option<i64>>,
    /// For how long it has been listened to and nothing came.
    silent: Duration,
}

/// What a poll brought.
pub(super) enum Step {
    Record(Record),
    /// Something that is no record of this pass.
    Other,
    /// Nothing, in the time given.
    Quiet,
}

impl<'a> Course<'a> {
    pub(super) fn begin(
        consumer: &'a reader::Alone,
        topic: Topic,
        name: &'a str,
        spans: &BTreeMap<i32, Span>,
    ) -> Result<Self, BusError> {
        let mut begin = TopicPartitionList::new();
        let mut open = BTreeMap::new();
        for (partition, span) in spans {
            if span.to.is_some_and(|to| span.from >= to) {
                continue;
            }
            open.insert(*partition, span.to);
            begin
                .add_partition_offset(name, *partition, Offset::Offset(span.from))
                .map_err(|error| errors::refused(&format!("reading {name}[{partition}]"), &error))?;
        }
        consumer.assign(&begin).map_err(|error| errors::refused(&format!("reading {name}"), &error))?;
        Ok(Self { consumer, topic, name, open, silent: Duration::ZERO })
    }

    pub(super) fn is_over(&self) -> bool {
        self.open.is_empty()
    }

    pub(super) fn step(&mut self, wait: Duration) -> Result<Step, BusError> {
        let began = Instant::now();
        let step = self.polled(wait)?;
        if !matches!(step, Step::Quiet) {
            self.silent = Duration::ZERO;
            return Ok(step);
        }
        self.silent += began.elapsed();
        if self.silent > SILENCE_LIMIT
            && let Some((partition, Some(to))) = self.open.iter().next()
        {
            let silent = SILENCE_LIMIT.as_secs();
            return Err(BusError::Refused {
                what: format!("reading {}[{partition}] up to offset {to}", self.name),
                why: format!("nothing has come for {silent} s; does the partition have a leader?"),
            });
        }
        Ok(step)
    }

    fn polled(&mut self, wait: Duration) -> Result<Step, BusError> {
        match self.consumer.poll(wait) {
            None => Ok(Step::Quiet),
            Some(Ok(message)) => {
                let (partition, offset) = (message.partition(), message.offset());
                let Some(to) = self.open.get(&partition).copied() else { return Ok(Step::Other) };
                if to.is_some_and(|to| offset + 1 >= to) {
                    self.open.remove(&partition);
                }
                if to.is_some_and(|to| offset >= to) {
                    // Written since the pass began.
                    return Ok(Step::Other);
                }
                Ok(Step::Record(reader::record(self.topic, &message)))
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                // What stands between here and the end is markers of transactions, or was aborted.
                if self.open.get(&partition).is_some_and(Option::is_some) {
                    self.open.remove(&partition);
                }
                Ok(Step::Other)
            }
            Some(Err(error)) if error.rdkafka_error_code().is_some_and(errors::passes) => Ok(Step::Quiet),
            Some(Err(error)) => Err(errors::refused(&format!("reading {}", self.name), &error)),
        }
    }
}
