//! How far topics reach.

use schemars::JsonSchema;
use serde::Serialize;

use crate::bus::{BusError, SharedBus};

/// A topic that exists.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct TopicSeen {
    /// Its name, before any prefix.
    pub topic: &'static str,
    /// Offsets held. On Kafka the markers of transactions are among them.
    pub records: i64,
    /// Its partitions, in order.
    pub partitions: Vec<PartitionSeen>,
}

/// How far a partition reaches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PartitionSeen {
    /// The partition.
    pub partition: i32,
    /// The first offset that is still held.
    pub begin: i64,
    /// The next offset to be written.
    pub end: i64,
}

/// The topics that exist, in the order of the river.
///
/// # Errors
/// [`BusError`] where the bus does not answer.
pub async fn topics(bus: &SharedBus) -> Result<Vec<TopicSeen>, BusError> {
    let mut infos = bus.topics().await?;
    infos.sort_by_key(|info| info.topic);
    let mut seen = Vec::with_capacity(infos.len());
    for info in infos {
        let marks = bus.watermarks(info.topic).await?;
        let partitions: Vec<_> =
            marks.into_iter().map(|(partition, (begin, end))| PartitionSeen { partition, begin, end }).collect();
        let records = partitions.iter().map(|seen| seen.end - seen.begin).sum();
        seen.push(TopicSeen { topic: info.topic.name(), records, partitions });
    }
    Ok(seen)
}
