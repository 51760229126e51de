//! Writes records outside any transaction: idempotent, acknowledged by all replicas, one answer per record.

use std::{sync::Arc, time::Duration};

use rdkafka::{
    ClientContext,
    error::KafkaError,
    message::{DeliveryResult, OwnedHeaders},
    producer::{BaseRecord, ProducerContext, ThreadedProducer},
    types::RDKafkaErrorCode,
    util::IntoOpaque,
};
use tokio::sync::oneshot;

use super::{KafkaSettings, MESSAGE_MAX, aside::Aside, errors, probe::Probe};
use crate::bus::{BusError, Cursor, Headers, Outgoing};

/// How long to wait before a full queue is tried again.
const FULL_PAUSE: Duration = Duration::from_millis(5);

pub(super) struct Publisher {
    settings: Arc<KafkaSettings>,
    probe: Arc<Probe>,
    producer: Aside<ThreadedProducer<Deliveries>>,
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Publisher")
    }
}

/// Tells each record's publisher where the record went.
struct Deliveries;

type Delivered = oneshot::Sender<Result<Cursor, KafkaError>>;

impl ClientContext for Deliveries {
    fn error(&self, error: KafkaError, reason: &str) {
        // What it means for a record is that record's answer.
        tracing::debug!(%error, reason, "kafka producer");
    }
}

impl ProducerContext for Deliveries {
    type DeliveryOpaque = Box<Delivered>;

    fn delivery(&self, result: &DeliveryResult<'_>, delivered: Box<Delivered>) {
        let answer = match result {
            Ok(message) => errors::placed(message),
            Err((error, _)) => Err(error.clone()),
        };
        // Whoever published may have stopped waiting.
        let _ = delivered.send(answer);
    }
}

impl Publisher {
    pub(super) fn new(settings: Arc<KafkaSettings>, probe: Arc<Probe>) -> Result<Self, BusError> {
        let producer: ThreadedProducer<_> = settings
            .client(&[
                // librdkafka's own default differs from every Java client's.
                ("partitioner", "murmur2_random"),
                ("enable.idempotence", "true"),
                ("acks", "all"),
                ("compression.type", "lz4"),
                ("linger.ms", "2"),
                ("message.timeout.ms", "30000"),
                ("message.max.bytes", MESSAGE_MAX),
            ])
            .create_with_context(Deliveries)
            .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
        let producer = Aside::new(&settings, producer);
        Ok(Self { settings, probe, producer })
    }

    pub(super) async fn publish(&self, records: Vec<Outgoing>) -> Vec<Result<Cursor, BusError>> {
        let mut waiting = Vec::with_capacity(records.len());
        for record in &records {
            waiting.push(self.send(record).await);
        }
        let mut answers = Vec::with_capacity(records.len());
        for (record, waiting) in records.iter().zip(waiting) {
            answers.push(match waiting {
                Err(error) => Err(error),
                Ok(waiting) => match waiting.await {
                    Ok(Ok(cursor)) => Ok(cursor),
                    Ok(Err(error)) => Err(self.refused(record, &error)),
                    Err(_) => Err(BusError::Closed),
                },
            });
        }
        answers
    }

    async fn send(&self, outgoing: &Outgoing) -> Result<oneshot::Receiver<Result<Cursor, KafkaError>>, BusError> {
        let topic = self.settings.topic(outgoing.topic);
        if !self.probe.has_seen(outgoing.topic) {
            return Err(BusError::TopicMissing { topic });
        }
        let (bytes, max) = (outgoing.bytes(), outgoing.topic.max_record_bytes());
        if bytes > max {
            return Err(BusError::TooLarge { topic, bytes, max });
        }
        let (delivered, waiting) = oneshot::channel();
        let mut record = record(&topic, outgoing, Box::new(delivered));
        loop {
            match self.producer.send(record) {
                Ok(()) => return Ok(waiting),
                Err((KafkaError::MessageProduction(RDKafkaErrorCode::QueueFull), back)) => {
                    record = back;
                    tokio::time::sleep(FULL_PAUSE).await;
                }
                Err((error, _)) => return Err(self.refused(outgoing, &error)),
            }
        }
    }

    fn refused(&self, record: &Outgoing, error: &KafkaError) -> BusError {
        let topic = self.settings.topic(record.topic);
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                BusError::TopicMissing { topic }
            }
            Some(RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize) => {
                BusError::TooLarge { topic, bytes: record.bytes(), max: record.topic.max_record_bytes() }
            }
            Some(errors::NOWHERE) => BusError::Refused {
                what: format!("a record for topic {topic}"),
                why: "it was acknowledged without a place in the log, so it may or may not be there; send it again under \
                      the same id"
                    .to_owned(),
            },
            Some(RDKafkaErrorCode::MessageTimedOut | RDKafkaErrorCode::AllBrokersDown) => {
                errors::unreachable(&self.settings.brokers, error)
            }
            _ => errors::refused(&format!("a record for topic {topic}"), error),
        }
    }
}

/// A record as the client takes it, for the topic of this full name.
pub(super) fn record<'a, O: IntoOpaque>(
    topic: &'a str,
    outgoing: &'a Outgoing,
    opaque: O,
) -> BaseRecord<'a, [u8], [u8], O> {
    let mut record = BaseRecord::with_opaque_to(topic, opaque);
    record.partition = outgoing.partition;
    record.key = outgoing.key.as_deref();
    record.payload = outgoing.payload.as_deref();
    if outgoing.headers.is_empty() { record } else { record.headers(headers(&outgoing.headers)) }
}

fn headers(headers: &Headers) -> OwnedHeaders {
    headers.iter().fold(OwnedHeaders::new_with_capacity(headers.len()), |all, (name, value)| {
        all.insert(rdkafka::message::Header { key: name, value: Some(value.as_ref()) })
    })
}
