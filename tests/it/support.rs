//! How a test gets a bus of its own, and what tests say often.
//!
//! A [`Stage`] is an empty bus: a temporary file, or topics under a prefix that no other test uses. Everything a test
//! waits for has a deadline; nothing sleeps for a fixed time and hopes.

mod broker;
pub mod chatter;
mod ear;
pub mod far;
pub mod http;
mod line;
mod node;
mod player;
mod program;
pub mod proxy;
mod records;
mod river;
mod role;

use std::{
    future::Future,
    path::{Path, PathBuf},
    process::Command,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use auren::bus::{
    BusError, Outgoing, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic, TopicSpec,
    embedded::EmbeddedBus,
    kafka::{KafkaBus, KafkaSettings},
};
use bytes::Bytes;
use tokio::sync::mpsc;

pub use broker::{Broker, free_port};
pub use ear::Ear;
pub use line::Line;
pub use node::{Node, signal};
pub use player::{Door, Player, Script};
pub use program::Program;
pub use proxy::Proxy;
pub use records::{message, mission_biometric, mission_trigger, night, stop, trigger};
pub use river::{River, careless, data_set, event, on_system, sealed, settled, speakers};
pub use role::{Role, after, join};

/// A program of `tests/services`.
pub fn script(name: &str) -> Command {
    Command::new(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services").join(name))
}

/// How long anything may take before a test fails.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// An address in an environment variable, which tests/run sets.
pub fn service(variable: &str) -> String {
    std::env::var(variable).unwrap_or_else(|_| {
        panic!(
            "{variable} is not set: this test talks to a real service; use tests/run, or run \
             `eval \"$(tests/services/up)\"` first"
        )
    })
}

/// Which kind of bus a test runs on.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    Embedded,
    Kafka,
    KafkaOnZooKeeper,
}

/// An empty bus, and the way to open it once more.
pub struct Stage {
    pub bus: SharedBus,
    place: Place,
}

enum Place {
    File { folder: tempfile::TempDir },
    Kafka { settings: KafkaSettings },
}

impl Stage {
    pub async fn open(kind: Kind) -> Self {
        let place = match kind {
            Kind::Embedded => Place::File { folder: tempfile::tempdir().unwrap() },
            Kind::Kafka => Place::Kafka { settings: settings(service("AUREN_TEST_KAFKA")) },
            Kind::KafkaOnZooKeeper => Place::Kafka { settings: settings(service("AUREN_TEST_KAFKA_ZK")) },
        };
        Self { bus: place.open().await, place }
    }

    /// Topics of a program that a test started.
    pub fn of(bus: SharedBus, settings: KafkaSettings) -> Self {
        Self { bus, place: Place::Kafka { settings } }
    }

    /// The same log opened a second time, as another process opens it.
    pub async fn again(&self) -> SharedBus {
        self.place.open().await
    }

    /// The embedded bus's file.
    pub fn file(&self) -> PathBuf {
        match &self.place {
            Place::File { folder } => folder.path().join("auren.db"),
            Place::Kafka { .. } => panic!("Kafka has no file"),
        }
    }

    /// Every file that the bus has on this machine.
    pub fn files(&self) -> Vec<PathBuf> {
        match &self.place {
            Place::File { folder } => folder.path().read_dir().unwrap().map(|entry| entry.unwrap().path()).collect(),
            Place::Kafka { .. } => Vec::new(),
        }
    }

    /// Lets go of the bus and keeps its folder.
    pub fn into_folder(self) -> tempfile::TempDir {
        match self.place {
            Place::File { folder } => folder,
            Place::Kafka { .. } => panic!("Kafka has no folder"),
        }
    }

    /// Where Kafka is, and this test's prefix.
    pub fn settings(&self) -> &KafkaSettings {
        match &self.place {
            Place::File { .. } => panic!("the embedded bus has no settings"),
            Place::Kafka { settings } => settings,
        }
    }

    /// Creates topics of so many partitions.
    pub async fn create(&self, topics: &[Topic], partitions: i32) -> Vec<Topic> {
        self.bus.create_topics(&specs(topics, partitions)).await.unwrap()
    }

    /// Publishes records that must all be taken.
    pub async fn publish(&self, records: Vec<Outgoing>) {
        for answer in self.bus.publish(records).await {
            answer.unwrap();
        }
    }

    /// Everything committed in a topic, by partition and offset.
    pub async fn all(&self, topic: Topic) -> Vec<Record> {
        let read = Read { topic, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::End };
        let mut records = drain(self.bus.read(read)).await.unwrap();
        records.sort_by_key(Record::cursor);
        records
    }

    /// The payloads of a topic as text, by partition and offset.
    pub async fn texts(&self, topic: Topic) -> Vec<String> {
        self.all(topic).await.iter().map(text).collect()
    }
}

impl Place {
    async fn open(&self) -> SharedBus {
        match self {
            Self::File { folder } => Arc::new(EmbeddedBus::open(folder.path().join("auren.db")).await.unwrap()),
            Self::Kafka { settings } => Arc::new(KafkaBus::new(settings.clone()).unwrap()),
        }
    }
}

/// A name that no other test uses.
pub fn own_name() -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_millis();
    format!("t{since:x}-{}-{}.", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn settings(brokers: String) -> KafkaSettings {
    KafkaSettings { brokers, prefix: own_name(), ..KafkaSettings::default() }
}

pub fn specs(topics: &[Topic], partitions: i32) -> Vec<TopicSpec> {
    topics.iter().map(|topic| TopicSpec { topic: *topic, partitions, replication: 1 }).collect()
}

/// A record with this key and text.
pub fn keyed(topic: Topic, key: &str, text: &str) -> Outgoing {
    let key = Some(Bytes::copy_from_slice(key.as_bytes()));
    Outgoing { topic, partition: None, key, payload: Some(Bytes::copy_from_slice(text.as_bytes())), headers: vec![] }
}

/// A record for this partition.
pub fn placed(topic: Topic, partition: i32, text: &str) -> Outgoing {
    Outgoing { partition: Some(partition), ..keyed(topic, text, text) }
}

/// A record's payload as text.
pub fn text(record: &Record) -> String {
    String::from_utf8(record.payload.as_deref().unwrap_or_default().to_vec()).unwrap()
}

/// Everything a bounded read brings.
pub async fn drain(mut batches: mpsc::Receiver<Result<Vec<Record>, BusError>>) -> Result<Vec<Record>, BusError> {
    let mut records = Vec::new();
    while let Some(batch) = within(batches.recv()).await {
        records.extend(batch?);
    }
    Ok(records)
}

/// The result of something that must not take longer than the deadline.
pub async fn within<T>(future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_) => panic!("nothing happened for {DEADLINE:?}"),
    }
}

/// Asks again until the answer is yes.
pub async fn until<F: Future<Output = bool>>(what: &str, mut question: impl FnMut() -> F) {
    let limit = tokio::time::Instant::now() + DEADLINE;
    while !question().await {
        assert!(tokio::time::Instant::now() < limit, "not within {DEADLINE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Runs a test on a runtime like the hub's.
pub fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        match tokio::time::timeout(DEADLINE * 3, test).await {
            Ok(()) => {}
            Err(_) => panic!("the test hangs"),
        }
    });
}
