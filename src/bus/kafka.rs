//! The bus contract on a real Apache Kafka, through librdkafka. Nothing outside this folder names rdkafka.
//!
//! [`KafkaBus`] answers questions and publishes; `probe` is the client it asks with, `facts` what it finds out of the cluster. `member` is a group member with its
//! poll thread and its commit thread, which writes by `transaction`; `reader` reads without a group, `course` by `course`.
//! All of rdkafka's transaction and commit calls block, so each has a thread of its own and speaks to the rest of AUREN
//! through bounded channels.

mod aside;
mod course;
mod deliveries;
mod errors;
mod facts;
mod heir;
mod holders;
mod member;
mod passthrough;
mod probe;
mod publisher;
mod reader;
mod transaction;

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Arc, OnceLock},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use rdkafka::{
    ClientConfig, Offset, TopicPartitionList,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer},
    types::RDKafkaErrorCode,
};
use tokio::sync::mpsc;

use self::{aside::Aside, probe::Probe, publisher::Publisher};
pub use self::{aside::clients_ended, passthrough::Passthrough};
use super::{
    Bus, BusError, Cleanup, Cursor, Facts, Holder, Join, Member, Outgoing, Read, Record, Topic, TopicInfo, TopicSpec,
};

/// How long one question to the brokers may take.
const ASK_LIMIT: Duration = Duration::from_secs(10);

/// What the brokers count on top of a record's own bytes: lengths, the head of its batch, headers' overhead.
const BATCH_OVERHEAD: usize = 64 * 1024;

/// The largest message a producer takes: the largest record of any topic, and room for what the brokers count on top.
const MESSAGE_MAX: &str = "9437184";

/// A batch takes no further record behind this many bytes.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// Where the brokers are and how to speak to them.
#[derive(Clone)]
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

/// Without what the properties are set to: a password may be among them.
impl fmt::Debug for KafkaSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KafkaSettings")
            .field("brokers", &self.brokers)
            .field("prefix", &self.prefix)
            .field("properties", &self.properties.keys())
            .finish_non_exhaustive()
    }
}

impl KafkaSettings {
    fn client(&self, own: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        // What goes wrong comes back as an error where it matters; librdkafka's own lines would say it many times over.
        config.set_log_level(RDKafkaLogLevel::Critical);
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", "auren");
        // The client's own pause between two tries to connect grows to ten seconds, by which a broker that is back would be
        // found too late.
        config.set("reconnect.backoff.max.ms", "1000");
        for (name, value) in own {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    fn speaks_tls(&self) -> bool {
        let protocol = self.properties.get("security.protocol");
        protocol.is_some_and(|protocol| protocol.to_ascii_lowercase().contains("ssl"))
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

impl KafkaBus {
    /// A bus on the cluster that the settings name. It connects when it is first used.
    ///
    /// # Errors
    /// A property that librdkafka does not know, a value it does not take, a group protocol that cannot be worked with, or
    /// TLS where this was built without it (feature `kafka-tls`).
    pub fn new(settings: KafkaSettings) -> Result<Self, BusError> {
        if let Some(protocol) = settings.properties.get("group.protocol").filter(|protocol| *protocol != "classic") {
            return Err(BusError::Refused {
                what: format!("group.protocol = {protocol} in kafka.properties"),
                // The new protocol turns whoever comes back away until the broker has given the old one up.
                why: "a member that comes back under its name must take over at once, as it does in classic groups; \
                      take it out"
                    .to_owned(),
            });
        }
        if settings.speaks_tls() && !cfg!(feature = "kafka-tls") {
            return Err(BusError::Refused {
                what: "TLS to Kafka".to_owned(),
                why: "this program was built without it; build it with `--features kafka-tls`, which needs OpenSSL's \
                      headers (Debian: libssl-dev pkg-config)"
                    .to_owned(),
            });
        }
        let settings = Arc::new(settings);
        let probe = Arc::new(Probe::new(Arc::clone(&settings))?);
        Ok(Self { settings, probe, publisher: OnceLock::new() })
    }

    async fn ask<T: Send + 'static>(
        &self,
        question: impl FnOnce(&Probe) -> Result<T, BusError> + Send + 'static,
    ) -> Result<T, BusError> {
        let probe = Arc::clone(&self.probe);
        tokio::task::spawn_blocking(move || question(&probe)).await.map_err(|_| BusError::Closed)?
    }

    fn publisher(&self) -> Result<Arc<Publisher>, BusError> {
        if let Some(publisher) = self.publisher.get() {
            return Ok(Arc::clone(publisher));
        }
        let publisher = Arc::new(Publisher::new(Arc::clone(&self.settings), Arc::clone(&self.probe))?);
        Ok(Arc::clone(self.publisher.get_or_init(|| publisher)))
    }
}

#[async_trait]
impl Bus for KafkaBus {
    fn describe(&self) -> String {
        format!("kafka {}", self.settings.brokers)
    }

    fn full_name(&self, topic: Topic) -> String {
        self.settings.topic(topic)
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, BusError> {
        self.ask(Probe::topics).await
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<Topic>, BusError> {
        let (settings, specs) = (Arc::clone(&self.settings), specs.to_vec());
        let runtime = tokio::runtime::Handle::current();
        self.ask(move |probe| {
            let existing = probe.topics()?;
            let missing: Vec<_> =
                specs.iter().filter(|spec| !existing.iter().any(|info| info.topic == spec.topic)).collect();
            let created =
                if missing.is_empty() { Vec::new() } else { runtime.block_on(create(&settings, &missing))? };
            settled(probe, &specs)?;
            Ok(created)
        })
        .await
    }

    async fn publish(&self, records: Vec<Outgoing>) -> Vec<Result<Cursor, BusError>> {
        let publisher = match self.publisher() {
            Ok(publisher) => publisher,
            Err(error) => return records.iter().map(|_| Err(error.clone())).collect(),
        };
        if records.iter().any(|record| !self.probe.has_seen(record.topic))
            && let Err(error) = self.ask(Probe::topics).await
        {
            return records.iter().map(|_| Err(error.clone())).collect();
        }
        publisher.publish(records).await
    }

    async fn watermarks(&self, topic: Topic) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
        self.ask(move |probe| {
            let partitions = probe.partitions(topic, &[])?;
            partitions.into_iter().map(|p| Ok((p, probe.watermarks(topic, p)?))).collect()
        })
        .await
    }

    async fn decided(&self, topic: Topic) -> Result<BTreeMap<i32, i64>, BusError> {
        let settings = Arc::clone(&self.settings);
        self.ask(move |probe| {
            // Of a client that sees no open transaction the end is where the first of them begins.
            let group = format!("{}auren-reader", settings.prefix);
            let consumer = settings
                .client(&[("group.id", &group), ("isolation.level", "read_committed")])
                .create_with_context(errors::Quiet::default())
                .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
            let consumer: Aside<BaseConsumer<errors::Quiet>> = Aside::new(&settings, consumer);
            let name = settings.topic(topic);
            // Without the topic's leaders at hand the client looks for them once a second.
            consumer
                .fetch_metadata(Some(&name), ASK_LIMIT)
                .map_err(|error| errors::unreachable(&settings.brokers, &error))?;
            let end = |partition| Ok((partition, probe::watermarks(&consumer, &name, partition)?.1));
            probe.partitions(topic, &[])?.into_iter().map(end).collect()
        })
        .await
    }

    async fn committed(&self, group: &str, topic: Topic) -> Result<BTreeMap<i32, i64>, BusError> {
        let settings = Arc::clone(&self.settings);
        let group = format!("{}{group}", settings.prefix);
        self.ask(move |probe| {
            let name = settings.topic(topic);
            let consumer: BaseConsumer<errors::Quiet> = settings
                .client(&[("group.id", &group)])
                .create_with_context(errors::Quiet::default())
                .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
            let consumer = Aside::new(&settings, consumer);
            let mut asked = TopicPartitionList::new();
            for partition in probe.partitions(topic, &[])? {
                asked.add_partition(&name, partition);
            }
            let refused = |error| errors::refused(&format!("the committed offsets of group {group}"), &error);
            let offsets = consumer.committed_offsets(asked, ASK_LIMIT).map_err(refused)?;
            let mut committed = BTreeMap::new();
            for element in offsets.elements() {
                element.error().map_err(refused)?;
                if let Offset::Offset(offset) = element.offset() {
                    committed.insert(element.partition(), offset);
                }
            }
            Ok(committed)
        })
        .await
    }

    async fn holders(&self, group: &str) -> Result<Vec<Holder>, BusError> {
        let group = format!("{}{group}", self.settings.prefix);
        self.ask(move |probe| probe.holders(&group)).await
    }

    async fn facts(&self) -> Result<Facts, BusError> {
        let settings = Arc::clone(&self.settings);
        let runtime = tokio::runtime::Handle::current();
        self.ask(move |probe| facts::gather(&settings, probe, &runtime)).await
    }

    fn read(&self, read: Read) -> mpsc::Receiver<Result<Vec<Record>, BusError>> {
        reader::spawn(Arc::clone(&self.settings), Arc::clone(&self.probe), read)
    }

    fn join(&self, join: Join) -> Result<Member, BusError> {
        member::spawn(Arc::clone(&self.settings), Arc::clone(&self.probe), join)
    }
}

async fn create(settings: &KafkaSettings, missing: &[&TopicSpec]) -> Result<Vec<Topic>, BusError> {
    let admin: AdminClient<errors::Quiet> = settings
        .client(&[])
        .create_with_context(errors::Quiet::default())
        .map_err(|error| errors::refused("the Kafka client's configuration", &error))?;
    let names: Vec<_> = missing.iter().map(|spec| settings.topic(spec.topic)).collect();
    let sizes: Vec<_> =
        missing.iter().map(|spec| (spec.topic.max_record_bytes() + BATCH_OVERHEAD).to_string()).collect();
    let new = missing.iter().zip(names.iter().zip(&sizes)).map(|(spec, (name, size))| {
        let topic = NewTopic::new(name, spec.partitions, TopicReplication::Fixed(spec.replication))
            .set("max.message.bytes", size);
        match spec.topic.cleanup() {
            Cleanup::Delete => topic,
            Cleanup::Compact => topic.set("cleanup.policy", "compact"),
        }
    });
    let new: Vec<_> = new.collect();
    let results = admin
        .create_topics(&new, &AdminOptions::new().operation_timeout(Some(ASK_LIMIT)))
        .await
        .map_err(|error| errors::unreachable(&settings.brokers, &error))?;
    let mut created = Vec::new();
    for (spec, result) in missing.iter().zip(results) {
        match result {
            Ok(_) => created.push(spec.topic),
            Err((_, RDKafkaErrorCode::TopicAlreadyExists)) => {}
            Err((name, code)) => {
                return Err(BusError::Refused { what: format!("creating topic {name}"), why: code.to_string() });
            }
        }
    }
    Ok(created)
}

/// Waits until the brokers have told each other of new topics: until then a reader would find them missing.
fn settled(probe: &Probe, specs: &[TopicSpec]) -> Result<(), BusError> {
    let limit = Instant::now() + ASK_LIMIT;
    loop {
        let known = probe.look()?;
        let ready = |spec: &&TopicSpec| known.iter().any(|(info, led)| info.topic == spec.topic && *led);
        let Some(missing) = specs.iter().find(|spec| !ready(spec)) else {
            return Ok(());
        };
        if Instant::now() > limit {
            return Err(BusError::Refused {
                what: format!("creating topic {}", missing.topic),
                why: "its partitions have no leader yet; are enough brokers up?".to_owned(),
            });
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}
