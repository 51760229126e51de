//! The bus contract on a real Apache Kafka, through librdkafka. Nothing outside this folder names rdkafka.
//!
//! [`KafkaBus`] answers questions and publishes; [`member`] is a group member with its poll thread and its commit
//! thread; [`reader`] reads without a group. All of rdkafka's transaction and commit calls block, so each has a thread
//! of its own and speaks to the rest of AUREN through bounded channels.

mod errors;
mod member;
mod publisher;
mod reader;
mod transaction;

use std::{
    collections::BTreeMap,
    sync::{Arc, OnceLock},
    time::Duration,
};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    consumer::{BaseConsumer, Consumer},
};
use tokio::sync::mpsc;

use self::publisher::Publisher;
use super::{Bus, BusError, Cleanup, Cursor, Join, Member, Outgoing, Read, Record, Topic, TopicInfo, TopicSpec};

/// How long one question to the brokers may take.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// Where the brokers are and how to speak to them.
#[derive(Debug, Clone)]
pub struct KafkaSettings {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// Stands before every topic, group and transactional id, so that several hubs can share a cluster.
    pub prefix: String,
    /// A transaction left open by a dead node blocks its partitions this long.
    pub transaction_timeout: Duration,
    /// A node that is not heard of for so long loses its partitions.
    pub session_timeout: Duration,
    /// More librdkafka properties, such as `security.protocol`; they win over AUREN's own.
    pub properties: BTreeMap<String, String>,
}

impl Default for KafkaSettings {
    fn default() -> Self {
        Self {
            brokers: "127.0.0.1:9092".to_owned(),
            prefix: String::new(),
            transaction_timeout: Duration::from_secs(10),
            session_timeout: Duration::from_secs(6),
            properties: BTreeMap::new(),
        }
    }
}

impl KafkaSettings {
    fn client(&self, own: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", "auren");
        for (name, value) in own {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    fn topic(&self, topic: Topic) -> String {
        format!("{}{}", self.prefix, topic.name())
    }

    fn named(&self, name: &str) -> Option<Topic> {
        Topic::named(name.strip_prefix(&self.prefix)?)
    }
}

/// A Kafka cluster as a bus.
#[derive(Debug)]
pub struct KafkaBus {
    settings: Arc<KafkaSettings>,
    /// Sees uncommitted records: where the log ends is asked of this one.
    probe: Arc<Probe>,
    publisher: OnceLock<Arc<Publisher>>,
}

/// A client that only asks: metadata, watermarks, offsets.
pub(super) struct Probe {
    consumer: BaseConsumer,
}

impl std::fmt::Debug for Probe {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Probe")
    }
}

impl KafkaBus {
    /// A bus on the cluster that the settings name. It connects when it is first used.
    ///
    /// # Errors
    /// A property that librdkafka does not know, or a value it does not take.
    pub fn new(settings: KafkaSettings) -> Result<Self, BusError> {
        let consumer: BaseConsumer = settings
            .client(&[("group.id", "auren-probe"), ("isolation.level", "read_uncommitted")])
            .create()
            .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
        Ok(Self { settings: Arc::new(settings), probe: Arc::new(Probe { consumer }), publisher: OnceLock::new() })
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Probe, &KafkaSettings) -> Result<T, BusError> + Send + 'static,
    ) -> Result<T, BusError> {
        let (probe, settings) = (Arc::clone(&self.probe), Arc::clone(&self.settings));
        tokio::task::spawn_blocking(move || question(&probe, &settings)).await.map_err(|_| BusError::Closed)?
    }

    fn publisher(&self) -> Result<Arc<Publisher>, BusError> {
        if let Some(publisher) = self.publisher.get() {
            return Ok(Arc::clone(publisher));
        }
        let publisher = Arc::new(Publisher::new(Arc::clone(&self.settings))?);
        Ok(Arc::clone(self.publisher.get_or_init(|| publisher)))
    }
}

impl Probe {
    fn topics(&self, settings: &KafkaSettings) -> Result<Vec<TopicInfo>, BusError> {
        let metadata = self
            .consumer
            .fetch_metadata(None, ASK_LIMIT)
            .map_err(|error| errors::unreachable(&settings.brokers, &error))?;
        let mut found: Vec<_> = metadata
            .topics()
            .iter()
            .filter_map(|topic| {
                let partitions = i32::try_from(topic.partitions().len()).ok()?;
                Some(TopicInfo { topic: settings.named(topic.name())?, partitions })
            })
            .filter(|info| info.partitions > 0)
            .collect();
        found.sort_by_key(|info| info.topic);
        Ok(found)
    }

    /// The partitions of a topic; all of them where none are named.
    fn partitions(&self, settings: &KafkaSettings, topic: Topic, named: &[i32]) -> Result<Vec<i32>, BusError> {
        if !named.is_empty() {
            return Ok(named.to_vec());
        }
        let infos = self.topics(settings)?;
        let info = infos.iter().find(|info| info.topic == topic);
        let info = info.ok_or_else(|| BusError::TopicMissing { topic: settings.topic(topic) })?;
        Ok((0..info.partitions).collect())
    }

    /// First offset held and next offset to be written, open transactions included.
    fn watermarks(&self, settings: &KafkaSettings, topic: Topic, partition: i32) -> Result<(i64, i64), BusError> {
        self.consumer
            .fetch_watermarks(&settings.topic(topic), partition, ASK_LIMIT)
            .map_err(|error| errors::refused(&format!("the end of {}[{partition}]", settings.topic(topic)), &error))
    }
}

#[async_trait]
impl Bus for KafkaBus {
    fn describe(&self) -> String {
        format!("kafka {}", self.settings.brokers)
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, BusError> {
        self.ask(Probe::topics).await
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<Topic>, BusError> {
        let existing = self.topics().await?;
        let missing: Vec<_> =
            specs.iter().filter(|spec| !existing.iter().any(|info| info.topic == spec.topic)).collect();
        let admin: AdminClient<DefaultClientContext> = self
            .settings
            .client(&[])
            .create()
            .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
        let names: Vec<_> = missing.iter().map(|spec| self.settings.topic(spec.topic)).collect();
        let sizes: Vec<_> = missing.iter().map(|spec| spec.topic.max_record_bytes().to_string()).collect();
        let new: Vec<_> = missing
            .iter()
            .zip(names.iter().zip(&sizes))
            .map(|(spec, (name, size))| {
                let topic = NewTopic::new(name, spec.partitions, TopicReplication::Fixed(spec.replication))
                    .set("max.message.bytes", size);
                match spec.topic.cleanup() {
                    Cleanup::Delete => topic,
                    Cleanup::Compact => topic.set("cleanup.policy", "compact"),
                }
            })
            .collect();
        if new.is_empty() {
            return Ok(Vec::new());
        }
        let results = admin
            .create_topics(&new, &AdminOptions::new().operation_timeout(Some(ASK_LIMIT)))
            .await
            .map_err(|error| errors::unreachable(&self.settings.brokers, &error))?;
        let mut created = Vec::new();
        for (spec, result) in missing.iter().zip(results) {
            match result {
                Ok(_) => created.push(spec.topic),
                Err((_, rdkafka::types::RDKafkaErrorCode::TopicAlreadyExists)) => {}
                Err((name, code)) => {
                    return Err(BusError::Refused { what: format!("creating topic {name}"), why: code.to_string() });
                }
            }
        }
        Ok(created)
    }

    async fn publish(&self, records: Vec<Outgoing>) -> Vec<Result<Cursor, BusError>> {
        match self.publisher() {
            Ok(publisher) => publisher.publish(records).await,
            Err(error) => records.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    async fn watermarks(&self, topic: Topic) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
        self.ask(move |probe, settings| {
            let partitions = probe.partitions(settings, topic, &[])?;
            partitions.into_iter().map(|p| Ok((p, probe.watermarks(settings, topic, p)?))).collect()
        })
        .await
    }

    async fn committed(&self, group: &str, topic: Topic) -> Result<BTreeMap<i32, i64>, BusError> {
        let group = format!("{}{group}", self.settings.prefix);
        self.ask(move |probe, settings| {
            let name = settings.topic(topic);
            let consumer: BaseConsumer = settings
                .client(&[("group.id", &group)])
                .create()
                .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
            let mut asked = TopicPartitionList::new();
            for partition in probe.partitions(settings, topic, &[])? {
                asked.add_partition(&name, partition);
            }
            let offsets = consumer
                .committed_offsets(asked, ASK_LIMIT)
                .map_err(|error| errors::refused(&format!("the committed offsets of group {group}"), &error))?;
            let offsets = offsets.elements().into_iter().filter_map(|element| match element.offset() {
                Offset::Offset(offset) => Some((element.partition(), offset)),
                _ => None,
            });
            Ok(offsets.collect())
        })
        .await
    }

    fn read(&self, read: Read) -> mpsc::Receiver<Result<Vec<Record>, BusError>> {
        reader::spawn(Arc::clone(&self.settings), Arc::clone(&self.probe), read)
    }

    fn join(&self, join: Join) -> Result<Member, BusError> {
        member::spawn(Arc::clone(&self.settings), join)
    }
}
