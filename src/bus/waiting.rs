//! Whether records wait behind an offset: records, not offsets. Kafka's own markers and what was aborted take offsets
//! too, so only reading tells.

use std::collections::BTreeMap;

use super::{Bus, BusError, Read, ReadFrom, ReadUntil, Topic};

/// The partitions of a topic in which a committed record waits for whoever reads next at these offsets (the oldest record
/// held where none is given): that offset, and the newest record's.
pub(crate) async fn waiting(
    bus: &dyn Bus,
    topic: Topic,
    marks: &BTreeMap<i32, (i64, i64)>,
    next: impl Fn(i32) -> Option<i64>,
) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
    let open = marks.iter().filter_map(|(partition, (low, high))| {
        let next = next(*partition).unwrap_or_default().max(*low);
        (next < *high).then_some((*partition, next))
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
