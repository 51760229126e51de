//! What a configuration names: the bus, the keys, and the topics there must be.

use std::{path::Path, sync::Arc, time::Duration};

use super::HubError;
use crate::{
    bus::{BusError, SharedBus, Topic, TopicSpec, embedded::EmbeddedBus, kafka::KafkaBus},
    config::{BusKind, Config, ConfigError},
    lane::SnapshotSettings,
    phi::Keys,
};

/// The bus that the configuration names.
///
/// # Errors
/// [`BusError`] where it cannot be opened. A Kafka cluster is connected to when it is first used.
pub async fn connect(config: &Config) -> Result<SharedBus, BusError> {
    Ok(match config.bus.kind {
        BusKind::Embedded => Arc::new(EmbeddedBus::open(&config.embedded.file).await?),
        BusKind::Kafka => Arc::new(KafkaBus::new(config.kafka.settings())?),
    })
}

/// The keys that the configuration names: `phi.master_key` where it is set, else the key file, which is made where it does
/// not exist.
///
/// # Errors
/// [`HubError`] where there are none.
pub fn open_keys(config: &Config) -> Result<Keys, HubError> {
    let tenant = config.phi.tenant.as_str();
    match &config.phi.master_key {
        Some(key) => Keys::from_base64(tenant, key.reveal()).map_err(|error| {
            HubError::Config(ConfigError::Value { key: "phi.master_key", why: format!("cannot be used: {error}") })
        }),
        None => Ok(Keys::from_file(tenant, Path::new(&config.phi.key_file))?),
    }
}

/// Where states are mirrored, if the configuration names a Redis. It is connected to when it is first used.
///
/// # Errors
/// [`ConfigError`] where its address cannot be one.
pub fn snapshots(config: &Config) -> Result<Option<SnapshotSettings>, ConfigError> {
    let Some(url) = &config.redis.url else { return Ok(None) };
    let settings = SnapshotSettings {
        url: url.reveal().to_owned(),
        // Hubs that share a cluster under different prefixes have different states.
        prefix: format!("{}{}", config.redis.prefix, config.kafka.prefix),
        limit: Duration::from_millis(config.redis.timeout_ms),
        every: Duration::from_millis(config.redis.flush_ms),
    };
    settings
        .check()
        .map_err(|error| ConfigError::Value { key: "redis.url", why: format!("cannot be used: {error}") })?;
    Ok(Some(settings))
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
    bus.create_topics(&Topic::ALL.iter().map(spec).collect::<Vec<_>>()).await
}
