//! How far a role's consumer group is behind, and who works in it.

use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    bus::{BusError, Holder, SharedBus},
    config::Role,
};

/// The group of a role on lanes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct GroupSeen {
    /// The role.
    pub role: &'static str,
    /// Its group, before any prefix.
    pub group: &'static str,
    /// Whether it has ever committed.
    pub begun: bool,
    /// Offsets that it has not worked. On Kafka the markers of transactions are among them, so that an idle hub may show a
    /// few.
    pub behind: i64,
    /// Who works in it, on any node; none where the bus does not tell.
    pub holders: Option<Vec<Holder>>,
    /// Each partition of each topic that it reads.
    pub partitions: Vec<LagSeen>,
}

/// How far a group is in one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct LagSeen {
    /// The topic.
    pub topic: &'static str,
    /// The partition.
    pub partition: i32,
    /// The next offset that it will work; none where it has never committed.
    pub committed: Option<i64>,
    /// The next offset to be written.
    pub end: i64,
    /// Offsets between the two.
    pub behind: i64,
}

/// How far a role is behind.
///
/// # Errors
/// [`BusError`] where the bus does not answer.
pub async fn group(bus: &SharedBus, role: Role) -> Result<GroupSeen, BusError> {
    let mut partitions = Vec::new();
    for topic in role.inputs() {
        let committed = bus.committed(role.group(), *topic).await?;
        for (partition, (low, end)) in bus.watermarks(*topic).await? {
            let committed = committed.get(&partition).copied();
            let behind = (end - committed.unwrap_or(low)).max(0);
            partitions.push(LagSeen { topic: topic.name(), partition, committed, end, behind });
        }
    }
    Ok(GroupSeen {
        role: role.name(),
        group: role.group(),
        begun: partitions.iter().any(|lag| lag.committed.is_some()),
        behind: partitions.iter().map(|lag| lag.behind).sum(),
        holders: bus.holders(role.group()).await.ok(),
        partitions,
    })
}
