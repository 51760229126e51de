//! Somebody who listens to the conversation while it happens.

use auren::bus::{Bus, BusError, Read, ReadFrom, ReadUntil, Record, Topic};
use auren_agents::ConversationEvent;
use tokio::sync::mpsc;

use super::{event, within};

/// What was said so far, and what will be.
pub struct Ear {
    batches: mpsc::Receiver<Result<Vec<Record>, BusError>>,
    pub heard: Vec<ConversationEvent>,
}

impl Ear {
    pub fn on(bus: &dyn Bus) -> Self {
        let read =
            Read { topic: Topic::Events, partitions: vec![], from: ReadFrom::Earliest, until: ReadUntil::Follow };
        Self { batches: bus.read(read), heard: Vec::new() }
    }

    /// Listens until so many events have been heard, and answers with all of them.
    pub async fn hears(&mut self, count: usize) -> &[ConversationEvent] {
        self.until(|heard| heard.len() >= count).await
    }

    /// Listens until what was heard is enough.
    pub async fn until(&mut self, enough: impl Fn(&[ConversationEvent]) -> bool) -> &[ConversationEvent] {
        while !enough(&self.heard) {
            let batch = within(self.batches.recv()).await.expect("a follower does not end").unwrap();
            self.heard.extend(batch.iter().map(event));
        }
        &self.heard
    }
}
