//! One commit on Kafka: outputs, state and input offsets in a transaction, on two producers by turns.
//!
//! After a commit the coordinator is still writing its markers, and the next transaction of the same producer would
//! wait 20 ms for them; the other producer does not. And `commit_transaction` of the Rust client flushes in steps of
//! 100 ms, so the queue is emptied by polling before it is called.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use rdkafka::{
    ClientContext, Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
    error::KafkaError,
    message::{DeliveryResult, Message},
    producer::{BaseProducer, BaseRecord, Producer, ProducerContext},
    types::RDKafkaErrorCode,
};

use super::{KafkaSettings, errors, member::GroupConsumer, publisher::headers};
use crate::bus::{BusError, Cursor, Join, Transaction};

/// How long one poll for delivery reports waits.
const DELIVERY_POLL: Duration = Duration::from_micros(200);

/// Writes one transaction after the other.
pub(super) enum Committer {
    Transactional { producers: [BaseProducer<Deliveries>; 2], turn: usize },
    OffsetsOnly,
}

/// What a commit needs besides its producers.
pub(super) struct Writer {
    settings: Arc<KafkaSettings>,
    consumer: Arc<GroupConsumer>,
    member: String,
    /// The names of topics, prefixed once.
    topics: Vec<(crate::bus::Topic, String)>,
}

impl Writer {
    pub(super) fn new(settings: Arc<KafkaSettings>, consumer: Arc<GroupConsumer>, join: &Join) -> Self {
        let topics = crate::bus::Topic::ALL.iter().map(|topic| (*topic, settings.topic(*topic))).collect();
        Self { settings, consumer, member: join.member.clone(), topics }
    }

    fn topic(&self, topic: crate::bus::Topic) -> &str {
        self.topics.iter().find(|(known, _)| *known == topic).map_or("", |(_, name)| name)
    }

    fn offsets(&self, transaction: &Transaction) -> Result<TopicPartitionList, KafkaError> {
        let mut offsets = TopicPartitionList::with_capacity(transaction.offsets.len());
        for ((topic, partition), offset) in &transaction.offsets {
            offsets.add_partition_offset(self.topic(*topic), *partition, Offset::Offset(*offset))?;
        }
        Ok(offsets)
    }
}

/// Where the records of the open transaction went, by their index.
#[derive(Default)]
pub(super) struct Deliveries {
    places: Mutex<Places>,
}

#[derive(Default)]
struct Places {
    cursors: Vec<Cursor>,
    failure: Option<KafkaError>,
}

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, index: usize) {
        let mut places = self.places.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            Ok(message) => {
                if let Some(place) = places.cursors.get_mut(index) {
                    *place = Cursor { partition: message.partition(), offset: message.offset() };
                }
            }
            Err((error, _)) => places.failure = Some(error.clone()),
        }
    }
}

impl Committer {
    pub(super) fn transactional(settings: &KafkaSettings, join: &Join) -> Result<Self, BusError> {
        let producers = [producer(settings, join, 0)?, producer(settings, join, 1)?];
        Ok(Self::Transactional { producers, turn: 0 })
    }

    pub(super) fn offsets_only() -> Self {
        Self::OffsetsOnly
    }

    pub(super) fn commit(&mut self, writer: &Writer, transaction: &Transaction) -> Result<Vec<Cursor>, BusError> {
        let answer = match self {
            Self::Transactional { producers, turn } => {
                *turn ^= 1;
                transact(&producers[*turn], writer, transaction)
            }
            Self::OffsetsOnly => writer
                .offsets(transaction)
                .and_then(|offsets| writer.consumer.commit(&offsets, CommitMode::Sync))
                .map(|()| Vec::new()),
        };
        answer.map_err(|error| errors::not_committed(&writer.member, &error))
    }
}

fn producer(settings: &KafkaSettings, join: &Join, turn: usize) -> Result<BaseProducer<Deliveries>, BusError> {
    let id = format!("{}{}-{}-{turn}", settings.prefix, join.group, join.member);
    let timeout = settings.transaction_timeout.as_millis().to_string();
    let producer: BaseProducer<Deliveries> = settings
        .client(&[
            ("transactional.id", &id),
            ("transaction.timeout.ms", &timeout),
            ("partitioner", "murmur2_random"),
            ("compression.type", "lz4"),
            ("linger.ms", "1"),
            ("message.max.bytes", "9437184"),
            ("queue.buffering.max.messages", "1000000"),
            ("queue.buffering.max.kbytes", "262144"),
        ])
        .create_with_context(Deliveries::default())
        .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
    producer.init_transactions(settings.transaction_timeout * 2).map_err(|error| {
        if errors::is_fenced(&error) {
            BusError::Fenced { member: join.member.clone() }
        } else {
            errors::unreachable(&settings.brokers, &error)
        }
    })?;
    Ok(producer)
}

fn transact(
    producer: &BaseProducer<Deliveries>,
    writer: &Writer,
    transaction: &Transaction,
) -> Result<Vec<Cursor>, KafkaError> {
    let limit = writer.settings.transaction_timeout;
    let deadline = Instant::now() + limit;
    expect_deliveries(producer, transaction.outputs.len());
    producer.begin_transaction()?;
    for (index, output) in transaction.outputs.iter().enumerate() {
        let mut record = BaseRecord::<[u8], [u8], usize>::with_opaque_to(writer.topic(output.topic), index);
        record.partition = output.partition;
        record.key = output.key.as_deref();
        record.payload = output.payload.as_deref();
        if !output.headers.is_empty() {
            record = record.headers(headers(&output.headers));
        }
        while let Err((error, back)) = producer.send(record) {
            let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
            if !full || Instant::now() > deadline {
                return Err(error);
            }
            record = back;
            producer.poll(DELIVERY_POLL);
        }
    }
    while producer.in_flight_count() > 0 {
        if Instant::now() > deadline {
            return Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut));
        }
        producer.poll(DELIVERY_POLL);
    }
    let cursors = delivered(producer)?;
    if !transaction.offsets.is_empty() {
        let group =
            writer.consumer.group_metadata().ok_or(KafkaError::ConsumerCommit(RDKafkaErrorCode::UnknownGroup))?;
        producer.send_offsets_to_transaction(&writer.offsets(transaction)?, &group, limit)?;
    }
    producer.commit_transaction(limit)?;
    Ok(cursors)
}

fn expect_deliveries(producer: &BaseProducer<Deliveries>, count: usize) {
    let mut places = producer.context().places.lock().unwrap_or_else(PoisonError::into_inner);
    places.cursors.clear();
    places.cursors.resize(count, Cursor { partition: -1, offset: -1 });
    places.failure = None;
}

fn delivered(producer: &BaseProducer<Deliveries>) -> Result<Vec<Cursor>, KafkaError> {
    let mut places = producer.context().places.lock().unwrap_or_else(PoisonError::into_inner);
    match places.failure.take() {
        Some(error) => Err(error),
        None => Ok(std::mem::take(&mut places.cursors)),
    }
}
