//! What a group has not worked: records, not offsets. Kafka's own markers and what was aborted take offsets too, so only
//! reading tells whether somebody's record waits.

use std::collections::BTreeMap;

use futures::try_join;

use crate::bus::{BusError, Read, ReadFrom, ReadUntil, SharedBus, Topic};

/// The partitions of a topic in which a committed record waits for a group: the next offset it would read, and the newest
/// record's.
pub(crate) async fn behind(bus: &SharedBus, group: &str, topic: Topic) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
    let (committed, marks) = try_join!(bus.committed(group, topic), bus.watermarks(topic))?;
    let open = marks.into_iter().filter_map(|(partition, (low, high))| {
        let next = committed.get(&partition).copied().unwrap_or(low);
        (next < high).then_some((partition, next))
    });
    let open: BTreeMap<i32, i64> = open.collect();
    let mut waiting = BTreeMap::new();
    if open.is_empty() {
        return Ok(waiting);
    }
    let partitions = open.keys().copied().collect();
    let mut last = bus.read(Read { topic, partitions, from: ReadFrom::Last(1), until: ReadUntil::End });
    while let Some(batch) = last.recv().await {
        for record in batch? {
            if let Some(next) = open.get(&record.partition).filter(|next| record.offset >= **next) {
                waiting.insert(record.partition, (*next, record.offset));
            }
        }
    }
    Ok(waiting)
}
