//! Partitions on their way into Redis: all of their states, from a reading of the topic, before anybody may rely on them.

use std::collections::BTreeMap;

use auren_agents::UserId;
use bytes::Bytes;
use futures::future::join_all;

use super::{Held, lines, now_ms};
use crate::{
    bus::Topic,
    lane::{
        Wake,
        snapshots::{Change, Mark, SnapshotError, Snapshots},
        state::Written,
    },
};

/// Partitions that are being written anew, from a reading of the topic.
#[derive(Debug)]
pub(in crate::lane) struct Warming {
    snapshots: Snapshots,
    topic: Topic,
    number: Mark,
    parts: BTreeMap<i32, Growing>,
}

#[derive(Debug, Default)]
struct Growing {
    next: i64,
    waiting: BTreeMap<UserId, Bytes>,
    wakes: BTreeMap<UserId, Wake>,
}

impl Warming {
    /// These partitions, with nothing written of them yet.
    pub(super) fn new(snapshots: Snapshots, topic: Topic, number: Mark, partitions: &[i32]) -> Self {
        let parts = partitions.iter().map(|partition| (*partition, Growing::default())).collect();
        Self { snapshots, topic, number, parts }
    }

    /// Writes the next states of the topic; false where it cannot go on.
    pub(in crate::lane) async fn take(&mut self, written: Vec<Written>) -> bool {
        let mut by_part: BTreeMap<i32, Vec<Written>> = BTreeMap::new();
        for written in written {
            by_part.entry(written.partition).or_default().push(written);
        }
        for (partition, written) in &by_part {
            let growing = self.parts.entry(*partition).or_default();
            for written in written {
                growing.next = written.offset + 1;
                match written.wake {
                    Some(wake) => drop(growing.wakes.insert(written.user.clone(), wake)),
                    None => drop(growing.wakes.remove(&written.user)),
                }
                match &written.state {
                    Some(state) if written.open => drop(growing.waiting.insert(written.user.clone(), state.clone())),
                    _ => drop(growing.waiting.remove(&written.user)),
                }
            }
        }
        let (marks, warming) = ((self.number, self.number), &*self);
        let writes = by_part.iter().map(|(partition, written)| async move {
            // The newest of a user stands last and wins; within one call a field is set or deleted, not both.
            let newest: BTreeMap<_, _> = written.iter().map(|written| (&written.user, written)).collect();
            let changes: Vec<_> = newest.into_values().map(Change::of).collect();
            warming.snapshots.write(warming.topic, *partition, marks, &changes, None).await
        });
        join_all(writes).await.into_iter().all(|stands| warming.stands(stands, warming.number))
    }

    /// Sets the marks: from here on the partitions are mirrored.
    pub(in crate::lane) async fn finish(self) -> Option<BTreeMap<i32, Held>> {
        let mut held = BTreeMap::new();
        for (partition, growing) in &self.parts {
            let mark = Mark::Below { offset: growing.next, at_ms: now_ms() };
            let waiting = lines(growing.waiting.keys());
            let stands = self.snapshots.write(self.topic, *partition, (self.number, mark), &[], Some(&waiting)).await;
            if !self.stands(stands, mark) {
                return None;
            }
            let waiting = growing.waiting.clone().into_iter().collect();
            let wakes = growing.wakes.clone().into_iter().collect();
            held.insert(*partition, Held { mark, waiting, wakes });
        }
        Some(held)
    }

    fn stands(&self, stands: Result<Mark, SnapshotError>, wanted: Mark) -> bool {
        match stands {
            Ok(mark) if mark == wanted => true,
            Ok(found) => {
                tracing::warn!(topic = %self.topic, %found, "somebody else writes these snapshots; states stay in memory");
                false
            }
            Err(error) => {
                tracing::warn!(topic = %self.topic, %error, "Redis failed while it was written; states stay in memory");
                false
            }
        }
    }
}
