//! The library for Kafka users: create the topics, send events, and be told of events, without running a hub.
//!
//! Three nouns over one [`crate::bus::Bus`], so the same program runs on a real Apache Kafka and on the embedded bus:
//! 1. [`TopicManager`] creates, lists and checks the topics;
//! 2. [`EventProducer`] sends events and answers with their place in the log once the bus has acknowledged them;
//! 3. [`EventConsumer`] calls a handler for every biometric event, trigger and conversation event of a consumer group.
//!
//! ```
//! use std::sync::Arc;
//!
//! use auren::{
//!     bus::{Begin, SharedBus, embedded::EmbeddedBus},
//!     client::{EventConsumer, EventProducer, TopicManager},
//! };
//! use auren_agents::{TriggerEvent, events};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let folder = tempfile::tempdir()?;
//! # let file = folder.path().join("auren.db");
//! // On Kafka: `KafkaBus::new(KafkaSettings { brokers: "127.0.0.1:9092".into(), ..KafkaSettings::default() })?`.
//! let bus: SharedBus = Arc::new(EmbeddedBus::open(&file).await?);
//!
//! let topics = TopicManager::new(Arc::clone(&bus));
//! topics.create_topics(12, 1).await?;
//! assert!(topics.check(Some(12)).await?.is_good());
//!
//! let (told, mut heard) = tokio::sync::mpsc::unbounded_channel();
//! let consumer = EventConsumer::new(Arc::clone(&bus), "my-dashboard")
//!     .begin(Begin::Earliest)
//!     .on_trigger(move |received| {
//!         let told = told.clone();
//!         async move {
//!             told.send(format!("{}: {}", received.event.user_id, received.event.message))?;
//!             Ok(())
//!         }
//!     })
//!     .start()?;
//!
//! let producer = EventProducer::new(bus);
//! let trigger: TriggerEvent = events::parse(
//!     br#"{"trigger_id":"t-1","user_id":"user_hash","trigger_type":"hrv_drop","severity":0.8,
//!          "context_window":["event1","event2"],"recommended_agents":["neuroscientist","coach"],
//!          "message":"HRV dropped 25% below baseline","timestamp":"2024-01-01T10:00:00Z"}"#,
//! )?;
//! let cursor = producer.send_trigger_event(&trigger).await?;
//! assert_eq!(cursor.offset, 0);
//! producer.close().await;
//!
//! assert_eq!(heard.recv().await.as_deref(), Some("user_hash: HRV dropped 25% below baseline"));
//! consumer.stop().await?;
//! # Ok(())
//! # }
//! ```

mod consumer;
mod error;
mod message;
mod producer;
mod topics;

pub use consumer::{Consuming, EventConsumer, Received, RejectedRecord};
pub use error::{ClientError, HandlerError};
pub use message::message;
pub use producer::EventProducer;
pub use topics::{TopicCheck, TopicManager, TopicReport, TopicState};

#[cfg(test)]
mod tests;
