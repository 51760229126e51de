//! The client that only asks: which topics there are, and how far they reach. Its calls block.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rdkafka::{
    consumer::{BaseConsumer, Consumer},
    metadata::Metadata,
};

use super::{
    ASK_LIMIT, KafkaSettings,
    aside::Aside,
    errors::{self, Quiet},
    facts, holders,
};
use crate::bus::{BusError, Holder, Topic, TopicInfo};

/// Events of the client that are looked at for why nobody answers.
const EVENTS: usize = 1000;

/// Asks the brokers. It sees uncommitted records: where the log ends is asked of it.
pub(super) struct Probe {
    settings: Arc<KafkaSettings>,
    consumer: Aside<BaseConsumer<Quiet>>,
    /// The topics that were there.
    seen: Mutex<BTreeSet<Topic>>,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

impl Probe {
    pub(super) fn new(settings: Arc<KafkaSettings>) -> Result<Self, BusError> {
        let group = format!("{}auren-probe", settings.prefix);
        let consumer: BaseConsumer<Quiet> = settings
            .client(&[("group.id", &group), ("isolation.level", "read_uncommitted")])
            .create_with_context(Quiet::default())
            .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
        let consumer = Aside::new(&settings, consumer);
        Ok(Self { settings, consumer, seen: Mutex::default() })
    }

    fn metadata(&self) -> Result<Metadata, BusError> {
        self.consumer.fetch_metadata(None, ASK_LIMIT).map_err(|error| {
            // What went wrong on the way is among the client's events.
            (0..EVENTS).take_while(|_| self.consumer.poll(Duration::ZERO).is_some()).for_each(drop);
            self.consumer.context().unreachable(&self.settings.brokers, &error)
        })
    }

    /// The topics that exist.
    pub(super) fn topics(&self) -> Result<Vec<TopicInfo>, BusError> {
        Ok(self.look()?.into_iter().map(|(info, _)| info).collect())
    }

    /// The topics that exist, and whether every partition of each has a leader.
    pub(super) fn look(&self) -> Result<Vec<(TopicInfo, bool)>, BusError> {
        let metadata = self.metadata()?;
        let known = metadata.topics().iter().filter_map(|topic| {
            let partitions = i32::try_from(topic.partitions().len()).ok().filter(|count| *count > 0)?;
            let led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
            Some((TopicInfo { topic: self.settings.named(topic.name())?, partitions }, led))
        });
        let mut found: Vec<_> = known.collect();
        found.sort_by_key(|(info, _)| info.topic);
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).extend(found.iter().map(|(info, _)| info.topic));
        Ok(found)
    }

    /// Every topic that a commit is written to, by its name on the brokers, and the fewest replicas of its partitions.
    pub(super) fn replicas(&self) -> Result<Vec<(String, i32)>, BusError> {
        let metadata = self.metadata()?;
        let counted = metadata.topics().iter().filter(|topic| facts::counts(&self.settings, topic.name()));
        let replicas = counted.filter_map(|topic| {
            let fewest = topic.partitions().iter().map(|partition| partition.replicas().len()).min()?;
            Some((topic.name().to_owned(), i32::try_from(fewest).ok()?))
        });
        Ok(replicas.collect())
    }

    /// The members of a group, in the order of their names.
    pub(super) fn holders(&self, group: &str) -> Result<Vec<Holder>, BusError> {
        let list = self.consumer.fetch_group_list(Some(group), ASK_LIMIT);
        let list = list.map_err(|error| errors::refused(&format!("the members of group {group}"), &error))?;
        let members = list.groups().iter().filter(|known| known.name() == group).flat_map(|known| known.members());
        let mut holders: Vec<_> = members.map(holders::holder).collect();
        holders.sort_by(|one, other| one.member.cmp(&other.member));
        Ok(holders)
    }

    /// Whether a topic has ever been there. Nothing is written to one that was not: the client would wait
    /// for it to appear, and some brokers would create it.
    pub(super) fn has_seen(&self, topic: Topic) -> bool {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).contains(&topic)
    }

    /// The partitions of a topic; all of them where none are named.
    pub(super) fn partitions(&self, topic: Topic, named: &[i32]) -> Result<Vec<i32>, BusError> {
        let infos = self.topics()?;
        let info = infos.iter().find(|info| info.topic == topic);
        let info = info.ok_or_else(|| BusError::TopicMissing { topic: self.settings.topic(topic) })?;
        if let Some(missing) = named.iter().find(|partition| !(0..info.partitions).contains(partition)) {
            return Err(BusError::Refused {
                what: format!("reading {}[{missing}]", self.settings.topic(topic)),
                why: format!("the topic has {} partitions", info.partitions),
            });
        }
        let mut partitions = if named.is_empty() { (0..info.partitions).collect() } else { named.to_vec() };
        partitions.sort_unstable();
        partitions.dedup();
        Ok(partitions)
    }

    /// First offset held and next offset to be written, open transactions included.
    pub(super) fn watermarks(&self, topic: Topic, partition: i32) -> Result<(i64, i64), BusError> {
        watermarks(&self.consumer, &self.settings.topic(topic), partition)
    }
}

/// First offset held of a partition, and its end as this client sees it: where it reads committed records only, the beginning
/// of the first open transaction.
pub(super) fn watermarks(consumer: &BaseConsumer<Quiet>, name: &str, partition: i32) -> Result<(i64, i64), BusError> {
    errors::insist(|| consumer.fetch_watermarks(name, partition, ASK_LIMIT))
        .map_err(|error| errors::refused(&format!("the end of {name}[{partition}]"), &error))
}
