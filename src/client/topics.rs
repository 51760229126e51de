//! The topics: creating, listing and checking them. It never deletes one.

use crate::{
    bus::{BusError, SharedBus, Topic, TopicInfo, TopicSpec, kafka::KafkaBus, kafka::KafkaSettings},
    client::ClientError,
};

/// Creates, lists and checks the topics of the river.
///
/// ```
/// # use std::sync::Arc;
/// # use auren::{bus::{SharedBus, Topic, embedded::EmbeddedBus}, client::TopicManager};
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let folder = tempfile::tempdir()?;
/// # let bus: SharedBus = Arc::new(EmbeddedBus::open(folder.path().join("auren.db")).await?);
/// let topics = TopicManager::new(bus);
/// let created = topics.create_topics(6, 1).await?;
/// assert!(created.contains(&Topic::Triggers));
/// assert!(topics.create_topics(6, 1).await?.is_empty(), "they are there already");
/// assert!(topics.list_topics().await?.iter().all(|info| info.partitions == 6));
/// topics.close();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct TopicManager {
    bus: SharedBus,
    /// Beside the river.
    further: Vec<Topic>,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicCheck {
    /// The partition count that every topic should have: the one asked for, or the one that most topics have.
    pub partitions: i32,
    /// Every topic of the river, in its order.
    pub topics: Vec<TopicReport>,
}

/// What a check found of one topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TopicReport {
    /// The topic.
    pub topic: Topic,
    /// How it is.
    pub state: TopicState,
}

/// How a topic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TopicState {
    /// It exists with the partition count of the others.
    Good,
    /// It does not exist.
    Missing,
    /// It has another partition count, so its records of a user are in another partition than the user's other records.
    Differs {
        /// The count it has.
        partitions: i32,
    },
}

impl TopicCheck {
    /// Whether the river can flow.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.topics.iter().all(|report| report.state == TopicState::Good)
    }
}

impl TopicManager {
    /// A manager of a bus's topics.
    #[must_use]
    pub fn new(bus: SharedBus) -> Self {
        Self { bus, further: Vec::new() }
    }

    /// A manager of these topics, too, which lie beside the river: they may have any number of partitions.
    #[must_use]
    pub fn with(mut self, topics: Vec<Topic>) -> Self {
        self.further.extend(topics);
        self
    }

    /// A manager of a Kafka cluster's topics. It connects when it is first used.
    ///
    /// # Errors
    /// A property that librdkafka does not know, or a value it does not take.
    pub fn kafka(settings: KafkaSettings) -> Result<Self, BusError> {
        Ok(Self::new(std::sync::Arc::new(KafkaBus::new(settings)?)))
    }

    /// Creates every topic of the river that does not exist, and returns those it created, in the river's order.
    ///
    /// # Errors
    /// [`ClientError::PartitionsDiffer`] where a topic exists with another partition count: then nothing is created.
    pub async fn create_topics(&self, partitions: i32, replication: i32) -> Result<Vec<Topic>, ClientError> {
        let existing = self.bus.topics().await?;
        let river = |info: &&TopicInfo| Topic::RIVER.contains(&info.topic);
        if let Some(other) = existing.iter().filter(river).find(|info| info.partitions != partitions) {
            let (topic, exists) = (other.topic, other.partitions);
            return Err(ClientError::PartitionsDiffer { topic, exists, asked: partitions });
        }
        let topics = Topic::RIVER.iter().chain(&self.further);
        let specs: Vec<_> = topics.map(|&topic| TopicSpec { topic, partitions, replication }).collect();
        let mut created = self.bus.create_topics(&specs).await?;
        created.sort();
        Ok(created)
    }

    /// The topics of the river that exist, in its order.
    ///
    /// # Errors
    /// The bus cannot be asked.
    pub async fn list_topics(&self) -> Result<Vec<TopicInfo>, ClientError> {
        let mut topics = self.bus.topics().await?;
        topics.sort_by_key(|info| info.topic);
        Ok(topics)
    }

    /// Checks that every topic of the river exists and that all have one partition count: `partitions`, or without it
    /// the count that most of them have.
    ///
    /// # Errors
    /// The bus cannot be asked. What is wrong with a topic is not an error but in the report.
    pub async fn check(&self, partitions: Option<i32>) -> Result<TopicCheck, ClientError> {
        let existing = self.list_topics().await?;
        let votes = |count: i32| existing.iter().filter(|info| info.partitions == count).count();
        let usual = existing.iter().map(|info| info.partitions).max_by_key(|&count| (votes(count), count));
        let partitions = partitions.or(usual).unwrap_or_default();
        let report = |topic: Topic| match existing.iter().find(|info| info.topic == topic) {
            None => TopicReport { topic, state: TopicState::Missing },
            Some(info) if info.partitions == partitions || self.further.contains(&topic) => {
                TopicReport { topic, state: TopicState::Good }
            }
            Some(info) => TopicReport { topic, state: TopicState::Differs { partitions: info.partitions } },
        };
        Ok(TopicCheck { partitions, topics: Topic::RIVER.iter().chain(&self.further).copied().map(report).collect() })
    }

    /// Lets go of the bus. Dropping the manager does the same.
    pub fn close(self) {}
}
