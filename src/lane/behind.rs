//! What a group has not worked.

use std::collections::BTreeMap;

use futures::try_join;

use crate::bus::{BusError, SharedBus, Topic, waiting};

/// The partitions of a topic in which a committed record waits for a group: the next offset it would read, and the newest
/// record's.
pub(crate) async fn behind(bus: &SharedBus, group: &str, topic: Topic) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
    let (committed, marks) = try_join!(bus.committed(group, topic), bus.watermarks(topic))?;
    waiting(&**bus, topic, &marks, |partition| committed.get(&partition).copied()).await
}
