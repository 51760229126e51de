//! What a configuration names: the bus, the keys, and the topics there must be.

use std::{path::Path, sync::Arc, time::Duration};

use super::HubError;
use crate::{
    bus::{BusError, SharedBus, Topic, TopicSpec, embedded::EmbeddedBus, kafka::KafkaBus},
    config::{BusKind, Config, ConfigError, KeyProvider, Role, Secret},
    consult::Agents,
    lane::{Papers, SnapshotSettings},
    phi::{
        KeyError, Keys,
        master::{Local, Master, Vault, VaultSettings},
        store::{PostgresStore, SqliteStore, Store},
    },
    project::ProjectSettings,
    provisional::RelaySettings,
};

/// The bus that the configuration names.
///
/// # Errors
/// [`BusError`] where it cannot be opened. A Kafka cluster is connected to when it is first used.
pub async fn connect(config: &Config) -> Result<SharedBus, BusError> {
    // A bus sees those topics whose names are known when it is opened.
    let _ = config.agents.topics();
    Ok(match config.bus.kind {
        BusKind::Embedded => Arc::new(EmbeddedBus::open(&config.embedded.file).await?),
        BusKind::Kafka => Arc::new(KafkaBus::new(config.kafka.settings())?),
    })
}

/// The keys that the configuration names: a master key, and the keyring whose data keys it wraps.
///
/// # Errors
/// [`HubError`] where one of the two cannot be opened.
pub async fn open_keys(config: &Config) -> Result<Keys, HubError> {
    let phi = &config.phi;
    let store: Box<dyn Store> = match &phi.keyring_url {
        Some(url) => Box::new(PostgresStore::open(url.reveal(), &phi.tenant).await?),
        None => Box::new(SqliteStore::open(&phi.keyring_file, &phi.tenant).await?),
    };
    Ok(Keys::open(&phi.tenant, open_master(config)?, store, phi.minimum_master_version).await?)
}

/// Looks whether the master key's text in the configuration can be used, and opens nothing.
///
/// # Errors
/// [`HubError::Config`] where it cannot.
pub fn check_master(config: &Config) -> Result<(), HubError> {
    config.phi.master_key.as_ref().map_or(Ok(()), |_| open_master(config).map(drop))
}

fn open_master(config: &Config) -> Result<Box<dyn Master>, HubError> {
    let phi = &config.phi;
    let text = phi.master_key.as_ref();
    Ok(match (phi.provider, text) {
        (KeyProvider::Vault, _) => {
            let vault = config.vault.clone();
            let named = |text: String| (!text.is_empty()).then_some(text);
            Box::new(Vault::new(VaultSettings {
                address: vault.address,
                mount: vault.mount,
                key: vault.key,
                token: vault.token.map(|token| token.reveal().to_owned()).unwrap_or_default(),
                namespace: named(vault.namespace),
                ca_file: named(vault.ca_file),
            })?)
        }
        (_, Some(text)) => Box::new(Local::parse(text.reveal()).map_err(|error: KeyError| ConfigError::Value {
            key: "phi.master_key",
            why: format!("cannot be used: {error}"),
        })?),
        (KeyProvider::File, None) => Box::new(Local::from_file_or_new(&phi.key_file)?),
        (KeyProvider::Secret, None) => Box::new(Local::from_file(&phi.key_file)?),
    })
}

/// These agents and those that the configuration names. They are connected to when they are first asked; those that are asked
/// over topics are asked on this bus, or on the configured one.
///
/// # Errors
/// [`HubError::Config`] where one cannot be asked as it is configured, or one of its files cannot be read;
/// [`HubError::Bus`] where there is no bus to ask over.
pub async fn with_configured(config: &Config, mut agents: Agents, bus: Option<&SharedBus>) -> Result<Agents, HubError> {
    if !config.agents.kafka.is_empty() {
        let bus = match bus {
            Some(bus) => Arc::clone(bus),
            None => connect(config).await?,
        };
        for (name, agent) in &config.agents.kafka {
            agents = agents.with_kafka(agent.settings(name), Arc::clone(&bus));
        }
    }
    for (name, agent) in &config.agents.http {
        let wrong = |why: String| ConfigError::Value { key: "agents.http", why: format!("of {name}: {why}") };
        let token = secret("token_file", agent.token.as_ref(), agent.token_file.as_deref()).map_err(wrong)?;
        agents = agents.with_http(agent.settings(name, token)).map_err(|error| wrong(error.to_string()))?;
    }
    for (name, agent) in &config.agents.a2a {
        let wrong = |why: String| ConfigError::Value { key: "agents.a2a", why: format!("of {name}: {why}") };
        let token = secret("token_file", agent.token.as_ref(), agent.token_file.as_deref()).map_err(wrong)?;
        agents = agents.with_a2a(agent.a2a(name, token)).map_err(|error| wrong(error.to_string()))?;
    }
    for (name, agent) in &config.agents.llm {
        let wrong = |why: String| ConfigError::Value { key: "agents.llm", why: format!("of {name}: {why}") };
        let key = secret("api_key_file", agent.api_key.as_ref(), agent.api_key_file.as_deref()).map_err(wrong)?;
        let persona = agent.persona_file.as_deref().map(|file| text("persona_file", file)).transpose();
        let settings = agent.settings(name, key, persona.map_err(wrong)?.unwrap_or_default());
        agents = agents.with_llm(settings).map_err(|error| wrong(error.to_string()))?;
    }
    for (key, name, of) in config.agents.shadows() {
        let wrong = |why: String| ConfigError::Value { key, why: format!("of {name}: {why}") };
        agents = agents.shadowing(name, of).map_err(wrong)?;
    }
    Ok(agents)
}

/// A secret that stands in the configuration, or in a file.
fn secret(key: &str, value: Option<&Secret>, file: Option<&Path>) -> Result<Option<String>, String> {
    match value {
        Some(value) => Ok(Some(value.reveal().to_owned())),
        None => file.map(|file| text(key, file)).transpose(),
    }
}

fn text(key: &str, file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file);
    let text = text.map_err(|error| format!("{key} {} cannot be read: {error}", file.display()))?;
    match text.trim() {
        "" => Err(format!("{key} {} is empty", file.display())),
        text => Ok(text.to_owned()),
    }
}

/// Where states are mirrored, if the configuration names a Redis. It is connected to when it is first used.
///
/// # Errors
/// [`ConfigError`] where its address cannot be one.
pub fn snapshots(config: &Config) -> Result<Option<SnapshotSettings>, ConfigError> {
    let Some(url) = &config.redis.url else { return Ok(None) };
    // Hubs that share a cluster under different prefixes have different states.
    let prefix = format!("{}{}", config.redis.prefix, config.kafka.prefix);
    let [limit, every] = [config.redis.timeout_ms, config.redis.flush_ms].map(Duration::from_millis);
    let wrong = |key: &'static str, why: String| ConfigError::Value { key, why };
    let read = |key: &'static str, file: &Path| {
        if file.as_os_str().is_empty() {
            return Ok(None);
        }
        let read = std::fs::read(file).map(Some);
        read.map_err(|error| wrong(key, format!("{} cannot be read: {error}", file.display())))
    };
    let certificate = read("redis.certificate_file", &config.redis.certificate_file)?;
    let papers = Papers {
        authority: read("redis.ca_file", &config.redis.ca_file)?,
        own: certificate.zip(read("redis.key_file", &config.redis.key_file)?),
    };
    SnapshotSettings::new(url.reveal(), papers, prefix, limit, every)
        .map(Some)
        .map_err(|error| wrong("redis.url", format!("cannot be used: {error}")))
}

/// How its sockets hear what sessions of other nodes say, where there is a Redis for it.
pub(super) fn relay(config: &Config, snapshots: &SnapshotSettings) -> RelaySettings {
    let (redis, prefix, limit) = snapshots.parts();
    RelaySettings::new(redis, prefix, limit, config.node.roles.contains(&Role::Converse))
}

/// How the node projects, where it does.
pub(super) fn project(config: &Config) -> Option<ProjectSettings> {
    let url = config.history().filter(|_| config.node.roles.contains(&Role::Project))?;
    Some(ProjectSettings {
        url: url.reveal().to_owned(),
        max_batch: config.project.max_batch,
        compress_after_days: config.project.compress_after_days,
        keep_days: config.project.keep_days,
    })
}

/// Creates the topics that are missing; returns those it created.
///
/// # Errors
/// [`BusError`] where the bus refuses one.
pub async fn create_topics(bus: &SharedBus, config: &Config) -> Result<Vec<Topic>, BusError> {
    let existing = bus.topics().await?;
    // Topics that are there already decide the partition count, or a user would be in two places.
    let partitions = existing.first().map_or(config.topics.partitions, |topic| topic.partitions);
    let spec = |topic: &Topic| TopicSpec { topic: *topic, partitions, replication: config.topics.replication };
    let further = config.agents.topics();
    bus.create_topics(&Topic::ALL.iter().chain(&further).map(spec).collect::<Vec<_>>()).await
}

/// That the topics are there that agents are asked over.
pub(super) async fn topics_of_agents(bus: &SharedBus, config: &Config) -> Result<(), BusError> {
    let wanted = config.agents.topics();
    if wanted.is_empty() || !config.node.roles.contains(&Role::Converse) {
        return Ok(());
    }
    let there = bus.topics().await?;
    let missing = wanted.into_iter().find(|topic| !there.iter().any(|info| info.topic == *topic));
    missing.map_or(Ok(()), |topic| Err(BusError::TopicMissing { topic: bus.full_name(topic) }))
}
