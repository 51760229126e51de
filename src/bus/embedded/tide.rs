//! How far each partition reaches: the in-memory copy of every log end, and the wake-up of whoever waits for more.
//!
//! The writer raises it after each commit and before it answers, and when another process has written. A reader waits
//! on the one topic it reads. No wake-up can be missed: what is waited on is the ends themselves.

use std::collections::BTreeMap;

use tokio::sync::watch;

use crate::bus::Topic;

/// The next offset of every partition of a topic, by partition; empty where the topic does not exist.
pub(super) type Ends = Vec<i64>;

/// The ends of all topics.
#[derive(Debug)]
pub(super) struct Tide {
    topics: BTreeMap<Topic, watch::Sender<Ends>>,
}

impl Tide {
    pub(super) fn new() -> Self {
        Self { topics: Topic::ALL.iter().map(|topic| (*topic, watch::Sender::new(Ends::new()))).collect() }
    }

    /// Follows one topic.
    pub(super) fn follow(&self, topic: Topic) -> watch::Receiver<Ends> {
        match self.topics.get(&topic) {
            Some(ends) => ends.subscribe(),
            // Not reached: every topic is in `Topic::ALL`. A closed receiver reads as a topic that does not exist.
            None => watch::channel(Ends::new()).1,
        }
    }

    /// Takes new ends of a topic over, and wakes its readers if they differ.
    pub(super) fn raise(&self, topic: Topic, new: &Ends) {
        if let Some(ends) = self.topics.get(&topic) {
            ends.send_if_modified(|ends| {
                let differs = ends != new;
                if differs {
                    ends.clone_from(new);
                }
                differs
            });
        }
    }
}
