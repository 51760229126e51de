//! What every command is given, and how it gets at the bus and the keys.

use std::{
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering::Relaxed},
};

use auren::{
    app::{connect, create_topics, open_keys},
    bus::{BusError, SharedBus, Topic},
    config::{BusKind, Config},
    intake::Intake,
};

use auren_agents::{AgentId, UserId};

use super::{Console, Interrupt};

/// What every command is given.
pub(crate) struct Context {
    /// The configuration, checked.
    pub(crate) config: Config,
    /// Where it writes.
    pub(crate) console: Console,
    /// Whether somebody wants it to end.
    pub(crate) interrupt: Interrupt,
}

/// The configuration of a hub that runs beside a node and touches none of what the node has: no HTTP server, no Redis, no
/// database, and a bus of its own, in a temporary folder (returned) or under a prefix that begins with this name.
pub(crate) fn aside(config: &Config, name: &str) -> (Config, Option<PathBuf>) {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let (now, process) = (chrono::Utc::now().timestamp_millis(), std::process::id());
    let number = format!("{now}-{process}-{}", COUNT.fetch_add(1, Relaxed));
    let mut config = config.clone();
    config.http.address.clear();
    config.redis.url = None;
    config.project.url = None;
    let folder = match config.bus.kind {
        BusKind::Embedded => {
            let folder = std::env::temp_dir().join(format!("auren-{name}-{number}"));
            config.embedded.file = folder.join("auren.db");
            Some(folder)
        }
        BusKind::Kafka => {
            config.kafka.prefix = format!("{}{name}-{number}.", config.kafka.prefix);
            None
        }
    };
    (config, folder)
}

/// Removes what stood aside. What cannot be removed is in the temporary folder, which the system clears anyway.
pub(crate) fn remove(folder: Option<PathBuf>) {
    if let Some(folder) = folder {
        let _ = std::fs::remove_dir_all(folder);
    }
}

/// The configured bus, ready to be used: on the embedded bus missing topics are created, as nobody else uses it; on
/// Kafka they are whoever's runs the cluster, and a missing one is an error that says what to do.
pub(crate) async fn open_bus(config: &Config) -> anyhow::Result<SharedBus> {
    let bus = connect(config).await?;
    if config.bus.kind == BusKind::Embedded {
        create_topics(&bus, config).await?;
    }
    Ok(bus)
}

/// The configured bus, with a topic that exists. On Kafka a producer would wait long for one that does not, and then
/// say that the brokers are away.
pub(crate) async fn open_topic(config: &Config, topic: Topic) -> anyhow::Result<SharedBus> {
    let bus = open_bus(config).await?;
    if config.bus.kind == BusKind::Kafka && !bus.topics().await?.iter().any(|info| info.topic == topic) {
        return Err(BusError::TopicMissing { topic: format!("{}{topic}", config.kafka.prefix) }.into());
    }
    Ok(bus)
}

/// The configured way in for readings.
pub(super) async fn open_intake(config: &Config) -> anyhow::Result<Intake> {
    let keys = open_keys(config).await?;
    Ok(Intake::new(open_topic(config, Topic::Readings).await?, keys))
}

/// A person's id, as a flag takes it.
pub(super) fn user(text: &str) -> Result<UserId, String> {
    UserId::new(text).map_err(|unfit| unfit.to_string())
}

/// An agent's name, as a flag takes it.
pub(super) fn agent(text: &str) -> Result<AgentId, String> {
    AgentId::new(text).map_err(|unfit| unfit.to_string())
}

#[cfg(test)]
pub(crate) mod tests {
    use auren::config::Source;

    use super::*;
    use crate::cli::console::captured::Captured;

    /// A context in a folder of its own, with two partitions.
    pub(crate) struct Bench {
        pub(crate) context: Context,
        pub(crate) captured: Captured,
        pub(crate) folder: tempfile::TempDir,
    }

    pub(crate) fn bench() -> Bench {
        let folder = tempfile::tempdir().unwrap();
        let mut config = auren::config::load(&Source::default()).unwrap();
        config.embedded.file = folder.path().join("auren.db");
        config.phi.key_file = folder.path().join("master.key");
        config.phi.keyring_file = folder.path().join("keyring.db");
        config.topics.partitions = 2;
        let (console, captured) = Captured::console();
        Bench { context: Context { config, console, interrupt: Interrupt::never() }, captured, folder }
    }

    #[tokio::test]
    async fn an_embedded_bus_that_was_begun_with_another_count_goes_on_with_it() {
        let mut bench = bench();
        open_bus(&bench.context.config).await.unwrap();
        bench.context.config.topics.partitions = 3;
        let bus = open_bus(&bench.context.config).await.unwrap();
        assert_eq!(bus.partitions().await.unwrap(), 2);
    }

    #[tokio::test]
    async fn a_master_key_wins_over_the_file_and_a_bad_one_is_not_repeated() {
        let bench = bench();
        let mut config = bench.context.config;
        config.phi.master_key = Some("c2hvcnQ=".to_owned().into());
        let error = open_keys(&config).await.unwrap_err().to_string();
        assert!(error.starts_with("configuration: phi.master_key cannot be used: a master key is 32 bytes"), "{error}");
        assert!(!error.contains("c2hvcnQ"));
    }
}
