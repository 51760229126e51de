//! Whether everything on the bus has been worked: for demonstrations and tests, which must know when to look.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use futures::future::try_join_all;

use crate::{
    bus::{BusError, SharedBus},
    config::Role,
    lane::{LaneStats, behind},
};

/// The pause between two looks.
const LOOK: Duration = Duration::from_millis(20);

/// Waits for one role after the other, in the order of the river: once a role has worked all its inputs and nothing more
/// comes in above it, it stays so.
pub(super) async fn settled(bus: &SharedBus, stats: &BTreeMap<Role, Arc<LaneStats>>) -> Result<(), BusError> {
    for (role, stats) in stats {
        loop {
            // In this order: what a commit brings with it is counted before the commit is seen, and who holds no partitions
            // has nothing to count.
            if worked(bus, *role).await? && stats.is_settled() && stats.totals().partitions > 0 {
                break;
            }
            tokio::time::sleep(LOOK).await;
        }
    }
    Ok(())
}

async fn worked(bus: &SharedBus, role: Role) -> Result<bool, BusError> {
    let topics = role.inputs().iter().map(|topic| behind(bus, role.group(), *topic));
    Ok(try_join_all(topics).await?.iter().all(BTreeMap::is_empty))
}
