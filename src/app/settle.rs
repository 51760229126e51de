//! Whether everything on the bus has been worked: for demonstrations and tests, which must know when to look.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::{future::try_join_all, try_join};

use crate::{
    bus::{BusError, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic},
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
    let topics = role.inputs().iter().map(|topic| read_through(bus, role.group(), *topic));
    Ok(try_join_all(topics).await?.into_iter().all(|read| read))
}

async fn read_through(bus: &SharedBus, group: &str, topic: Topic) -> Result<bool, BusError> {
    let (committed, marks) = try_join!(bus.committed(group, topic), bus.watermarks(topic))?;
    let behind = marks.into_iter().filter_map(|(partition, (low, high))| {
        let next = committed.get(&partition).copied().unwrap_or(low);
        (next < high).then_some((partition, next))
    });
    let behind: BTreeMap<i32, i64> = behind.collect();
    if behind.is_empty() {
        return Ok(true);
    }
    // Kafka's own markers take offsets too, so only reading tells whether a record is left.
    let partitions = behind.keys().copied().collect();
    let mut last = bus.read(Read { topic, partitions, from: ReadFrom::Last(1), until: ReadUntil::End });
    while let Some(batch) = last.recv().await {
        let left = |record: &Record| behind.get(&record.partition).is_some_and(|next| record.offset >= *next);
        if batch?.iter().any(left) {
            return Ok(false);
        }
    }
    Ok(true)
}
