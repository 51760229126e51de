//! How far each partition reaches: the in-memory copy of every log end, and the wake-up of whoever waits for more.
//!
//! The writer raises it after each commit and before it answers, and when another process has written. A reader waits
//! on the one topic it reads. No wake-up can be missed: what is waited on is the ends themselves.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use tokio::sync::watch;

use crate::bus::Topic;

/// The next offset of every partition of a topic, by partition; empty where the topic does not exist.
pub(super) type Ends = Vec<i64>;

/// The ends of all topics.
#[derive(Debug, Default)]
pub(super) struct Tide {
    topics: Mutex<BTreeMap<Topic, watch::Sender<Ends>>>,
}

impl Tide {
    pub(super) fn new() -> Self {
        Self::default()
    }

    fn of<T>(&self, topic: Topic, then: impl FnOnce(&watch::Sender<Ends>) -> T) -> T {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        then(topics.entry(topic).or_insert_with(|| watch::Sender::new(Ends::new())))
    }

    /// Follows one topic.
    pub(super) fn follow(&self, topic: Topic) -> watch::Receiver<Ends> {
        self.of(topic, watch::Sender::subscribe)
    }

    /// Takes new ends of a topic over, and wakes its readers if they differ.
    pub(super) fn raise(&self, topic: Topic, new: &Ends) {
        self.of(topic, |ends| {
            ends.send_if_modified(|ends| {
                let differs = ends != new;
                if differs {
                    ends.clone_from(new);
                }
                differs
            });
        });
    }
}
