//! One commit on Kafka: outputs, state and input offsets in a transaction, on two producers by turns.
//!
//! After a commit the coordinator is still writing its markers, and the next transaction of the same producer would
//! wait 20 ms for them; the other producer does not. And `commit_transaction` of the Rust client flushes in steps of
//! 100 ms, so the queue is emptied by polling before it is called.

use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    Offset, TopicPartitionList,
    consumer::{CommitMode, Consumer},
    error::KafkaError,
    producer::{BaseProducer, Producer, PurgeConfig},
    types::RDKafkaErrorCode,
};

use super::{
    ASK_LIMIT, KafkaSettings, MESSAGE_MAX,
    deliveries::{Deliveries, HAND_OVER, LINGER, REQUEST},
    errors,
    member::{GroupConsumer, Held},
    probe::Probe,
    publisher::record,
};
use crate::bus::{BusError, Cursor, Guarantee, Join, Outgoing, Topic, Transaction};

/// How long to wait where no delivery report is there. The client's own wait would burn the processor that the broker
/// beside it needs: it counts in whole milliseconds, and none is too many.
const DELIVERY_PAUSE: Duration = Duration::from_micros(100);

/// Records that are handed over between two looks at the clock.
const BETWEEN_LOOKS: usize = 32;

/// How long a failed transaction may take to be taken back. What is left open then, the brokers abort.
const ABORT_LIMIT: Duration = Duration::from_secs(5);

/// Writes one transaction after the other.
pub(super) enum Committer {
    Transactional { producers: [BaseProducer<Deliveries>; 2], turn: usize },
    OffsetsOnly,
}

/// What a commit needs besides its producers.
pub(super) struct Writer {
    settings: Arc<KafkaSettings>,
    probe: Arc<Probe>,
    consumer: Arc<GroupConsumer>,
    join: Join,
    /// The names of topics, prefixed once.
    topics: Vec<(Topic, String)>,
}

impl Writer {
    pub(super) fn new(
        settings: Arc<KafkaSettings>,
        probe: Arc<Probe>,
        consumer: Arc<GroupConsumer>,
        join: &Join,
    ) -> Self {
        let topics = Topic::ALL.iter().map(|topic| (*topic, settings.topic(*topic))).collect();
        Self { settings, probe, consumer, join: join.clone(), topics }
    }

    /// What the member holds, if this is a commit that it may make and that the topics take. A record that is refused
    /// only by the brokers would cost the transaction its timeout.
    fn check(&self, transaction: &Transaction) -> Result<Option<Arc<Held>>, BusError> {
        let refused = |why| self.refused(why);
        if self.join.guarantee == Guarantee::AtLeastOnce && !transaction.outputs.is_empty() {
            return Err(refused("it carries outputs, and this membership commits offsets only".to_owned()));
        }
        let mut known = Vec::new();
        for output in &transaction.outputs {
            if !known.contains(&output.topic) {
                self.takes(output.topic)?;
                known.push(output.topic);
            }
            let (bytes, max) = (output.bytes(), output.topic.max_record_bytes());
            if bytes > max {
                let large = BusError::TooLarge { topic: self.topic(output.topic).to_owned(), bytes, max };
                return Err(refused(large.to_string()));
            }
        }
        if transaction.offsets.is_empty() {
            return Ok(None);
        }
        let held = self.consumer.context().held();
        for (topic, partition) in transaction.offsets.keys() {
            if !self.join.topics.contains(topic) {
                return Err(refused(format!("the group does not read {topic}")));
            }
            if !held.as_ref().is_some_and(|held| held.partitions.contains(partition)) {
                // A member that was fenced hears of the loss before it is told why.
                let fatal = self.consumer.client().fatal_error().map(|(code, _)| KafkaError::MessageProduction(code));
                return Err(match fatal {
                    Some(error) => errors::not_committed(&self.join.member, &error),
                    None => refused(format!("partition {partition} was handed over")),
                });
            }
        }
        Ok(held)
    }

    /// Whether a commit may write to a topic, and why not.
    fn takes(&self, topic: Topic) -> Result<(), BusError> {
        if matches!(topic, Topic::Configured(_)) {
            return Err(self.refused(format!("{topic} is beside the river, and no commit writes to it")));
        }
        if !self.probe.has_seen(topic) {
            self.probe.topics()?;
        }
        if !self.probe.has_seen(topic) {
            let missing = BusError::TopicMissing { topic: self.topic(topic).to_owned() };
            return Err(self.refused(missing.to_string()));
        }
        Ok(())
    }

    fn refused(&self, why: String) -> BusError {
        BusError::NotCommitted { member: self.join.member.clone(), why }
    }

    fn topic(&self, topic: Topic) -> &str {
        self.topics.iter().find(|(known, _)| *known == topic).map_or("", |(_, name)| name)
    }

    fn offsets(&self, transaction: &Transaction) -> Result<TopicPartitionList, KafkaError> {
        let mut offsets = TopicPartitionList::with_capacity(transaction.offsets.len());
        for ((topic, partition), offset) in &transaction.offsets {
            offsets.add_partition_offset(self.topic(*topic), *partition, Offset::Offset(*offset))?;
        }
        // Whose they are, for whoever takes them over (`heir`).
        offsets.elements().iter_mut().for_each(|element| element.set_metadata(&self.join.member));
        Ok(offsets)
    }
}

impl Committer {
    pub(super) fn transactional(settings: &KafkaSettings, join: &Join) -> Result<Self, BusError> {
        let request = REQUEST.to_string();
        let open = |turn| producer(settings, join, turn, &request, settings.transaction_timeout * 2);
        Ok(Self::Transactional { producers: [open(0)?, open(1)?], turn: 0 })
    }

    pub(super) fn offsets_only() -> Self {
        Self::OffsetsOnly
    }

    pub(super) fn commit(&mut self, writer: &Writer, transaction: &Transaction) -> Result<Vec<Cursor>, BusError> {
        let held = writer.check(transaction)?;
        let answer = match self {
            Self::Transactional { producers, turn } => {
                *turn ^= 1;
                transact(&producers[*turn], writer, transaction, held.as_deref())
            }
            Self::OffsetsOnly if transaction.offsets.is_empty() => Ok(Vec::new()),
            Self::OffsetsOnly => writer
                .offsets(transaction)
                .and_then(|offsets| writer.consumer.commit(&offsets, CommitMode::Sync))
                .map(|()| Vec::new()),
        };
        answer.map_err(|error| errors::not_committed(&writer.join.member, &self.cause(error)))
    }
}

impl Committer {
    /// What really happened: a fenced producer says of its records only that they were thrown away.
    fn cause(&self, error: KafkaError) -> KafkaError {
        let fatal = match self {
            Self::Transactional { producers, turn } => producers[*turn].client().fatal_error(),
            Self::OffsetsOnly => None,
        };
        fatal.map_or(error, |(code, _)| KafkaError::MessageProduction(code))
    }
}

/// A producer of one transaction after the other, whose requests take so many records. What its name has open is aborted
/// first, which may take so long.
pub(super) fn producer(
    settings: &KafkaSettings,
    join: &Join,
    turn: usize,
    request: &str,
    limit: Duration,
) -> Result<BaseProducer<Deliveries>, BusError> {
    let id = format!("{}{}-{}-{turn}", settings.prefix, join.group, join.member);
    let timeout = settings.transaction_timeout.as_millis().to_string();
    let producer: BaseProducer<Deliveries> = settings
        .client(&[
            ("transactional.id", &id),
            ("transaction.timeout.ms", &timeout),
            ("partitioner", "murmur2_random"),
            ("compression.type", "lz4"),
            ("linger.ms", &LINGER.as_millis().to_string()),
            ("batch.num.messages", request),
            ("message.max.bytes", MESSAGE_MAX),
            ("queue.buffering.max.messages", "1000000"),
            ("queue.buffering.max.kbytes", "262144"),
        ])
        .create_with_context(Deliveries::default())
        .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
    // Once a broker is known; a coordinator that is asked for before that is asked for again only half a second later.
    producer
        .client()
        .fetch_metadata(Some(&settings.topic(Topic::Events)), ASK_LIMIT)
        .map_err(|error| errors::unreachable(&settings.brokers, &error))?;
    producer.init_transactions(limit).map_err(|error| {
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
    held: Option<&Held>,
) -> Result<Vec<Cursor>, KafkaError> {
    let limit = writer.settings.transaction_timeout;
    let began = Instant::now();
    producer.begin_transaction()?;
    let written = write(producer, writer, transaction, held, began + limit);
    let cursors = written.inspect_err(|error| take_back(producer, error))?;
    let written_us = began.elapsed().as_micros();
    producer.commit_transaction(limit).inspect_err(|error| {
        // Any other error may hide a commit that still happens.
        if matches!(error, KafkaError::Transaction(inner) if inner.txn_requires_abort()) {
            take_back(producer, error);
        }
    })?;
    tracing::trace!(records = cursors.len(), written_us, committed_us = began.elapsed().as_micros(), "commit");
    Ok(cursors)
}

fn write(
    producer: &BaseProducer<Deliveries>,
    writer: &Writer,
    transaction: &Transaction,
    held: Option<&Held>,
    deadline: Instant,
) -> Result<Vec<Cursor>, KafkaError> {
    send(producer, writer, &transaction.outputs, deadline)?;
    while producer.in_flight_count() > 0 {
        if Instant::now() > deadline {
            return Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut));
        }
        hear(producer);
    }
    let cursors = producer.context().taken()?;
    tracing::trace!(delivered_left_us = deadline.saturating_duration_since(Instant::now()).as_micros(), "delivered");
    if let Some(held) = held {
        let left = deadline.saturating_duration_since(Instant::now());
        producer.send_offsets_to_transaction(&writer.offsets(transaction)?, &held.metadata, left)?;
    }
    Ok(cursors)
}

/// Hands the records to the client, as it can take them.
fn send(
    producer: &BaseProducer<Deliveries>,
    writer: &Writer,
    outputs: &[Outgoing],
    deadline: Instant,
) -> Result<(), KafkaError> {
    let deliveries = producer.context();
    let mut rows = deliveries.expect(outputs);
    while !rows.is_sent() {
        let Some(request) = deliveries.next(&mut rows) else {
            if Instant::now() > deadline {
                return Err(KafkaError::MessageProduction(RDKafkaErrorCode::MessageTimedOut));
            }
            hear(producer);
            continue;
        };
        let began = Instant::now();
        let (indices, mut handed) = (rows.of(&request), 0);
        for chunk in indices.chunks(BETWEEN_LOOKS) {
            for index in chunk {
                let output = &outputs[*index];
                let mut record = record(writer.topic(output.topic), output, *index);
                while let Err((error, back)) = producer.send(record) {
                    let full = error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull);
                    if !full || Instant::now() > deadline {
                        return Err(error);
                    }
                    record = back;
                    hear(producer);
                }
            }
            handed += chunk.len();
            // What came after the client has sent the request would make its thread spin until that is answered.
            if began.elapsed() > HAND_OVER {
                break;
            }
        }
        let left = indices.len() - handed;
        deliveries.back(&mut rows, &request, left);
    }
    Ok(())
}

/// Aborts what is known not to be committed, so that nobody waits for it to time out. The producer is not used again.
fn take_back(producer: &BaseProducer<Deliveries>, error: &KafkaError) {
    if errors::is_fenced(error) || matches!(error, KafkaError::Transaction(inner) if inner.is_fatal()) {
        return;
    }
    producer.purge(PurgeConfig::default().queue().inflight());
    let limit = Instant::now() + ABORT_LIMIT;
    while producer.in_flight_count() > 0 && Instant::now() < limit {
        hear(producer);
    }
    if let Err(error) = producer.abort_transaction(ABORT_LIMIT) {
        tracing::warn!(%error, "a transaction could not be taken back, the brokers do it when it times out");
    }
}

/// Takes the delivery reports that are there, or waits a little.
pub(super) fn hear(producer: &BaseProducer<Deliveries>) {
    let before = producer.in_flight_count();
    producer.poll(Duration::ZERO);
    if producer.in_flight_count() >= before {
        thread::sleep(DELIVERY_PAUSE);
    }
}
