//! Whether everything on the bus has been worked: for demonstrations and tests, which must know when to look.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use crate::{
    bus::{BusError, Read, ReadFrom, ReadUntil, SharedBus, Topic},
    config::Role,
    lane::LaneStats,
};

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for one role after the other, in the order of the river: once a role has worked all its inputs and nothing more
/// comes in above it, it stays so.
pub(super) async fn settled(bus: &SharedBus, stats: &BTreeMap<Role, Arc<LaneStats>>) -> Result<(), BusError> {
    for (role, stats) in stats {
        loop {
            let totals = stats.totals();
            if totals.open == 0 && totals.unfinished == 0 && totals.partitions > 0 && worked(bus, *role).await? {
                // A stimulus may have come between the two looks.
                let after = stats.totals();
                if after.open == 0 && after.unfinished == 0 {
                    break;
                }
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

async fn worked(bus: &SharedBus, role: Role) -> Result<bool, BusError> {
    for topic in role.inputs() {
        let committed = bus.committed(role.group(), *topic).await?;
        for (partition, (low, high)) in bus.watermarks(*topic).await? {
            let next = committed.get(&partition).copied().unwrap_or(low);
            // Kafka's own markers take offsets too, so only reading tells whether a record is left.
            if next < high && left(bus, *topic, partition, next).await? {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

async fn left(bus: &SharedBus, topic: Topic, partition: i32, next: i64) -> Result<bool, BusError> {
    let read = Read { topic, partitions: vec![partition], from: ReadFrom::Offset(next), until: ReadUntil::End };
    match bus.read(read).recv().await {
        Some(batch) => batch.map(|records| !records.is_empty()),
        None => Ok(false),
    }
}
