//! Sending events. An event is checked as its readers will check it, so that none is sent that nobody can use.

use std::sync::Arc;

use auren_agents::{BiometricEvent, ConversationEvent, InboxRecord, TriggerEvent, events};
use serde::de::DeserializeOwned;
use tokio::sync::{Semaphore, SemaphorePermit};

use crate::{
    bus::{BusError, Cursor, Outgoing, SharedBus, kafka::KafkaBus, kafka::KafkaSettings},
    client::ClientError,
    intake::SealedReading,
    wire::{self, Wire},
};

/// How many records may wait for their acknowledgement at once, where nothing else is said.
const IN_FLIGHT: u32 = 10_000;

/// Sends events, each to its topic, keyed by its user.
///
/// A send returns once the bus has acknowledged the record, with its place in the log. For throughput, send many at
/// once: clones share one bound of records in flight, and past it a send waits for room. Events of one user keep their
/// order where one send follows the other, or within one [`EventProducer::send_all`].
///
/// ```
/// # use std::sync::Arc;
/// # use auren::{bus::{SharedBus, embedded::EmbeddedBus}, client::{EventProducer, TopicManager}};
/// # use auren_agents::{BiometricEvent, TriggerEvent, events};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let bus: SharedBus = Arc::new(EmbeddedBus::open(folder.path().join("auren.db")).await?);
/// # TopicManager::new(Arc::clone(&bus)).create_topics(1, 1).await?;
/// let producer = EventProducer::new(bus);
/// let event: BiometricEvent = events::parse(
///     br#"{"event_id":"e-1","user_id":"user_hash","event_type":"hrv_measurement","token":"TOKENIZED_PHI",
///          "metadata":{"percentile_rank":0.15,"severity_score":0.85,"trend":"declining_3_days",
///                      "timestamp_iso":"2024-01-01T10:00:00Z","source_device":"watch","measurement_context":"morning"},
///          "timestamp":"2024-01-01T10:00:00Z"}"#,
/// )?;
/// assert_eq!(producer.send_biometric_event(&event).await?.to_string(), "0:0");
///
/// // Many at once: one answer for each, in order.
/// let answers = producer.send_all(&[event.clone(), event.clone()]).await;
/// assert_eq!(answers.last().unwrap().as_ref().unwrap().to_string(), "0:2");
///
/// // Nothing is sent that readers would refuse, and the error names the field.
/// let broken = TriggerEvent { recommended_agents: Vec::new(), ..events::parse(br#"{"trigger_id":"t-1",
///     "user_id":"user_hash","trigger_type":"hrv_drop","severity":0.8,"context_window":[],
///     "recommended_agents":["coach"],"message":"","timestamp":"2024-01-01T10:00:00Z"}"#)? };
/// let error = producer.send_trigger_event(&broken).await.unwrap_err();
/// assert_eq!(error.to_string(), "the event was not sent: recommended_agents: must not be empty");
///
/// producer.flush().await;
/// producer.close().await;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct EventProducer {
    bus: SharedBus,
    room: Arc<Semaphore>,
    in_flight: u32,
}

impl EventProducer {
    /// A producer on a bus, with at most 10,000 records in flight.
    #[must_use]
    pub fn new(bus: SharedBus) -> Self {
        Self::with_in_flight(bus, IN_FLIGHT)
    }

    /// A producer on a bus, with a bound of its own on the records in flight, at least 1.
    #[must_use]
    pub fn with_in_flight(bus: SharedBus, in_flight: u32) -> Self {
        let in_flight = in_flight.max(1);
        Self { bus, room: Arc::new(Semaphore::new(in_flight as usize)), in_flight }
    }

    /// A producer on a Kafka cluster. It connects when it is first used.
    ///
    /// # Errors
    /// A property that librdkafka does not know, or a value it does not take.
    pub fn kafka(settings: KafkaSettings) -> Result<Self, BusError> {
        Ok(Self::new(Arc::new(KafkaBus::new(settings)?)))
    }

    /// Sends a biometric event to `health.biometrics`.
    ///
    /// # Errors
    /// The event breaks a bound, or the bus did not take it.
    pub async fn send_biometric_event(&self, event: &BiometricEvent) -> Result<Cursor, ClientError> {
        self.send(checked(event)?).await
    }

    /// Sends a trigger to `triggers.detected`.
    ///
    /// # Errors
    /// The event breaks a bound (such as an empty `recommended_agents`), or the bus did not take it.
    pub async fn send_trigger_event(&self, event: &TriggerEvent) -> Result<Cursor, ClientError> {
        self.send(checked(event)?).await
    }

    /// Sends a conversation event to `conversations.events`. It is shown to the user, and no agent acts on it.
    ///
    /// # Errors
    /// The event breaks a bound, or the bus did not take it.
    pub async fn send_conversation_event(&self, event: &ConversationEvent) -> Result<Cursor, ClientError> {
        self.send(checked(event)?).await
    }

    /// Sends what a person does to `conversations.inbox`; [`crate::client::message`] makes a message.
    ///
    /// # Errors
    /// The record breaks a bound, or the bus did not take it.
    pub async fn send_inbox_record(&self, record: &InboxRecord) -> Result<Cursor, ClientError> {
        self.send(checked(record)?).await
    }

    /// Sends a sealed reading to `health.readings`.
    ///
    /// # Errors
    /// The bus did not take it.
    pub async fn send_sealed_reading(&self, reading: &SealedReading) -> Result<Cursor, ClientError> {
        self.send(wire::outgoing(reading)).await
    }

    /// Sends many events of one kind together; one answer for each, in order. A bad one does not hold the others up.
    pub async fn send_all<E: Wire + DeserializeOwned>(&self, events: &[E]) -> Vec<Result<Cursor, ClientError>> {
        let mut answers = Vec::with_capacity(events.len());
        for part in events.chunks(self.in_flight as usize) {
            let checked: Vec<_> = part.iter().map(checked).collect();
            let mut sent = self.publish(checked.iter().filter_map(|one| one.as_ref().ok().cloned()).collect()).await;
            sent.reverse();
            // One answer came for each record that went.
            answers.extend(checked.into_iter().map(|one| {
                one.map_err(ClientError::from).and_then(|_| sent.pop().unwrap_or(Err(ClientError::Closed)))
            }));
        }
        answers
    }

    /// Waits until everything that this producer and its clones were sending when it was called is acknowledged or has
    /// failed. A send that was dropped midway is not waited for: its record may or may not be written.
    pub async fn flush(&self) {
        // All the room there is, is free only when nothing is in flight. A closed producer has flushed.
        let _ = self.room.acquire_many(self.in_flight).await;
    }

    /// Flushes, and lets go of the bus. Clones cannot send any more.
    pub async fn close(self) {
        self.flush().await;
        self.room.close();
    }

    async fn send(&self, record: Outgoing) -> Result<Cursor, ClientError> {
        self.publish(vec![record]).await.pop().unwrap_or(Err(ClientError::Closed))
    }

    async fn publish(&self, records: Vec<Outgoing>) -> Vec<Result<Cursor, ClientError>> {
        let count = records.len();
        let Some(_room) = self.room_for(count).await else {
            return (0..count).map(|_| Err(ClientError::Closed)).collect();
        };
        self.bus.publish(records).await.into_iter().map(|answer| answer.map_err(ClientError::from)).collect()
    }

    async fn room_for(&self, count: usize) -> Option<SemaphorePermit<'_>> {
        let count = u32::try_from(count).unwrap_or(u32::MAX).min(self.in_flight);
        self.room.acquire_many(count).await.ok()
    }
}

/// The record of an event that readers will take.
fn checked<E: Wire + DeserializeOwned>(event: &E) -> Result<Outgoing, auren_agents::Rejected> {
    let record = wire::outgoing(event);
    // The bounds are kept in one place, where records are read.
    events::parse::<E>(record.payload.as_deref().unwrap_or_default())?;
    Ok(record)
}
