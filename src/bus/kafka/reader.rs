//! Reads committed records without a group.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rdkafka::{
    Message, Offset, TopicPartitionList,
    consumer::{BaseConsumer, Consumer},
    error::KafkaError,
    message::{BorrowedMessage, Headers as _},
};
use tokio::sync::mpsc;

use super::{ASK_LIMIT, KafkaSettings, Probe, errors};
use crate::bus::{BusError, Read, ReadFrom, ReadUntil, Record, Topic};

/// Most records of one batch.
const BATCH: usize = 1000;

type Batches = mpsc::Sender<Result<Vec<Record>, BusError>>;

pub(super) fn spawn(
    settings: Arc<KafkaSettings>,
    probe: Arc<Probe>,
    read: Read,
) -> mpsc::Receiver<Result<Vec<Record>, BusError>> {
    let (batches, receiver) = mpsc::channel(2);
    let name = format!("auren-read-{}", read.topic);
    let failed = batches.clone();
    let spawned = thread::Builder::new().name(name).spawn(move || {
        if let Err(error) = run(&settings, &probe, &read, &batches) {
            // A reader that went away needs no error.
            let _ = batches.blocking_send(Err(error));
        }
    });
    if let Err(error) = spawned {
        let _ = failed.try_send(Err(BusError::Refused { what: "a reader thread".into(), why: error.to_string() }));
    }
    receiver
}

fn run(settings: &KafkaSettings, probe: &Probe, read: &Read, batches: &Batches) -> Result<(), BusError> {
    let topic = settings.topic(read.topic);
    let mut open = probe.partitions(settings, read.topic, &read.partitions)?;
    let consumer: BaseConsumer = settings
        .client(&[
            ("group.id", "auren-reader"),
            ("enable.auto.commit", "false"),
            ("isolation.level", "read_committed"),
            ("enable.partition.eof", "true"),
            ("auto.offset.reset", "earliest"),
            ("queued.max.messages.kbytes", "16384"),
        ])
        .create()
        .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
    let mut begin = TopicPartitionList::new();
    for partition in &open {
        let (low, high) = probe.watermarks(settings, read.topic, *partition)?;
        if read.until == ReadUntil::End {
            settle(settings, &consumer, &topic, *partition, high)?;
        }
        let offset = match read.from {
            ReadFrom::Earliest => Offset::Beginning,
            ReadFrom::Latest => Offset::Offset(high),
            ReadFrom::Offset(offset) => Offset::Offset(offset.clamp(low, high)),
            ReadFrom::Last(count) => Offset::Offset((high - count).max(low)),
            ReadFrom::Time(millis) => at_time(&consumer, &topic, *partition, millis, high)?,
        };
        begin
            .add_partition_offset(&topic, *partition, offset)
            .map_err(|error| errors::refused(&format!("reading {topic}[{partition}]"), &error))?;
    }
    consumer.assign(&begin).map_err(|error| errors::refused(&format!("reading {topic}"), &error))?;

    let mut batch = Vec::new();
    loop {
        let wait = if batch.is_empty() { Duration::from_millis(100) } else { Duration::ZERO };
        let quiet = match consumer.poll(wait) {
            Some(Ok(message)) => {
                batch.push(record(read.topic, &message));
                false
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => {
                if read.until == ReadUntil::End {
                    open.retain(|still| *still != partition);
                }
                open.is_empty()
            }
            Some(Err(error)) if error.rdkafka_error_code().is_some_and(passes) => true,
            Some(Err(error)) => return Err(errors::refused(&format!("reading {topic}"), &error)),
            None => true,
        };
        if (quiet || batch.len() >= BATCH) && !batch.is_empty() {
            if batches.blocking_send(Ok(std::mem::take(&mut batch))).is_err() {
                return Ok(());
            }
        }
        if batches.is_closed() || open.is_empty() && batch.is_empty() {
            return Ok(());
        }
    }
}

/// Waits until every transaction that had written below `high` is decided, so that a committed read reaches it.
fn settle(
    settings: &KafkaSettings,
    consumer: &BaseConsumer,
    topic: &str,
    partition: i32,
    high: i64,
) -> Result<(), BusError> {
    let limit = Instant::now() + settings.transaction_timeout * 2 + ASK_LIMIT;
    loop {
        let (_, stable) = consumer
            .fetch_watermarks(topic, partition, ASK_LIMIT)
            .map_err(|error| errors::refused(&format!("the end of {topic}[{partition}]"), &error))?;
        if stable >= high {
            return Ok(());
        }
        if Instant::now() > limit {
            return Err(BusError::Refused {
                what: format!("reading {topic}[{partition}] to its end"),
                why: format!("an open transaction holds offset {stable}; does a producer with a long timeout hang?"),
            });
        }
        thread::sleep(Duration::from_millis(20));
    }
}

fn at_time(consumer: &BaseConsumer, topic: &str, partition: i32, millis: i64, high: i64) -> Result<Offset, BusError> {
    let refused =
        |error: &KafkaError| errors::refused(&format!("the offset for a time in {topic}[{partition}]"), error);
    let mut asked = TopicPartitionList::new();
    asked.add_partition_offset(topic, partition, Offset::Offset(millis)).map_err(|error| refused(&error))?;
    let found = consumer.offsets_for_times(asked, ASK_LIMIT).map_err(|error| refused(&error))?;
    Ok(match found.find_partition(topic, partition).map(|element| element.offset()) {
        Some(Offset::Offset(offset)) => Offset::Offset(offset),
        // Nothing that new yet.
        _ => Offset::Offset(high),
    })
}

/// Errors that librdkafka recovers from by itself; it reports them so that they can be logged.
pub(super) fn passes(code: rdkafka::types::RDKafkaErrorCode) -> bool {
    use rdkafka::types::RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::BrokerTransportFailure
            | Code::AllBrokersDown
            | Code::Resolve
            | Code::OperationTimedOut
            | Code::RequestTimedOut
            | Code::NotCoordinator
            | Code::CoordinatorNotAvailable
            | Code::CoordinatorLoadInProgress
            | Code::LeaderNotAvailable
            | Code::NotLeaderForPartition
            | Code::NetworkException
    )
}

pub(super) fn record(topic: Topic, message: &BorrowedMessage<'_>) -> Record {
    let headers = message.headers().map_or_else(Vec::new, |headers| {
        headers
            .iter()
            .map(|header| {
                let value = header.value.map_or_else(Bytes::new, Bytes::copy_from_slice);
                (header.key.to_owned().into(), value)
            })
            .collect()
    });
    Record {
        topic,
        partition: message.partition(),
        offset: message.offset(),
        timestamp_ms: message.timestamp().to_millis().unwrap_or(0),
        key: message.key().map(Bytes::copy_from_slice),
        payload: message.payload().map(Bytes::copy_from_slice),
        headers,
    }
}
