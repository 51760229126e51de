//! Which partitions Redis mirrors, how far, and what is under way to it.
//!
//! A partition is *mirrored* while Redis is known to hold every state below the mark that this worker wrote or found last;
//! otherwise it is *whole*, which means in memory. What Redis does not answer, or answers with another mark, is doubtful:
//! the partition is then written anew from the topic. Nothing here reads the log.

mod warming;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use auren_agents::UserId;
use bytes::Bytes;
use futures::future::join_all;
use tokio::sync::oneshot;

use super::{
    Wake,
    snapshots::{Change, Mark, SnapshotError, SnapshotSettings, Snapshots},
    state::Written,
};
use crate::bus::Topic;

pub(super) use warming::Warming;

/// Snapshots older than this are not trusted: Kafka may have dropped the tombstones that came after them.
const OLDEST: Duration = Duration::from_secs(12 * 60 * 60);
/// How long Redis is left alone after it failed: from the shortest, doubled up to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(60));

/// The snapshots of the partitions that a worker holds.
#[derive(Debug)]
pub(super) struct Mirror {
    snapshots: Snapshots,
    every: Duration,
    topic: Topic,
    mirrored: HashMap<i32, Part>,
    whole: BTreeSet<i32>,
    flight: Option<oneshot::Receiver<Vec<Flush>>>,
    /// When what was committed is written next.
    due: Option<Instant>,
    /// When a Redis that failed is tried again, and how long after that.
    retry: Instant,
    pause: Duration,
}

#[derive(Debug)]
struct Part {
    mark: Mark,
    waiting: BTreeSet<UserId>,
}

/// What Redis holds of a partition.
#[derive(Debug)]
pub(super) struct Held {
    pub(super) mark: Mark,
    /// Those who wait for something, and their states.
    pub(super) waiting: Vec<(UserId, Bytes)>,
    /// Those who wait for a time.
    pub(super) wakes: Vec<(UserId, Wake)>,
}

/// States on their way to Redis.
#[derive(Debug)]
pub(super) struct Flush {
    partition: i32,
    to: Mark,
    written: Vec<Written>,
    waiting: BTreeSet<UserId>,
    stands: Result<Mark, SnapshotError>,
}

/// What the mirror's owner is to do next.
#[derive(Debug)]
pub(super) enum Turn {
    /// A flush has ended.
    Flushed(Vec<Flush>),
    /// It is time to flush, and to try Redis again for what is whole.
    Due,
}

/// What came of a flush of one partition.
pub(super) enum Landed {
    /// Redis holds these.
    Written(Vec<Written>),
    /// The partition is not mirrored any more.
    Nowhere,
    /// Nobody knows what Redis holds.
    Doubtful(i32),
}

impl Mirror {
    /// Mirrors a state topic, and who waits for a time where anybody may.
    pub(super) fn new(settings: &SnapshotSettings, topic: Topic, wakes: bool) -> Self {
        Self {
            snapshots: Snapshots::open(settings, wakes),
            every: settings.every,
            topic,
            mirrored: HashMap::new(),
            whole: BTreeSet::new(),
            flight: None,
            due: None,
            retry: Instant::now(),
            pause: PAUSES.0,
        }
    }

    /// How many partitions are mirrored, and how many are not although they should be.
    pub(super) fn counts(&self) -> (usize, usize) {
        (self.mirrored.len(), self.whole.len())
    }

    pub(super) fn holds(&self, partition: i32) -> bool {
        self.mirrored.contains_key(&partition)
    }

    /// Takes partitions over from whoever had them; those are missing in the answer of which Redis holds nothing that can
    /// be used. `ends` are the first offset and the end of every partition of the topic.
    pub(super) async fn take(&mut self, partitions: &[i32], ends: &BTreeMap<i32, (i64, i64)>) -> BTreeMap<i32, Held> {
        let found = join_all(partitions.iter().map(|partition| self.look(*partition, ends.get(partition).copied())));
        let mut held = BTreeMap::new();
        for (partition, found) in partitions.iter().zip(found.await) {
            match found {
                Ok(Some(found)) => drop(held.insert(*partition, found)),
                Ok(None) => {}
                Err(error) => self.failed(&error),
            }
        }
        self.hold(&held);
        held
    }

    async fn look(&self, partition: i32, ends: Option<(i64, i64)>) -> Result<Option<Held>, SnapshotError> {
        let (mark, users) = self.snapshots.waiting(self.topic, partition).await?;
        let (Mark::Below { offset, at_ms }, Some((low, high))) = (mark, ends) else { return Ok(None) };
        let oldest = i64::try_from(OLDEST.as_millis()).unwrap_or(i64::MAX);
        if offset < low || offset > high || now_ms().saturating_sub(at_ms) > oldest {
            return Ok(None);
        }
        let found = self.snapshots.read(self.topic, partition, &users).await?;
        if !users.is_empty() && found.mark != mark || found.states.iter().any(Option::is_none) {
            return Ok(None);
        }
        let wakes = self.snapshots.wakes(self.topic, partition).await?;
        if self.snapshots.waiting(self.topic, partition).await?.0 != mark {
            return Ok(None);
        }
        let waiting = users.into_iter().zip(found.states.into_iter().flatten()).collect();
        Ok(Some(Held { mark, waiting, wakes }))
    }

    /// These are mirrored from now on.
    pub(super) fn hold(&mut self, held: &BTreeMap<i32, Held>) {
        for (partition, held) in held {
            let waiting = held.waiting.iter().map(|(user, _)| user.clone()).collect();
            self.whole.remove(partition);
            self.mirrored.insert(*partition, Part { mark: held.mark, waiting });
            self.pause = PAUSES.0;
            // What is in memory and not in Redis follows.
            self.due_soon();
        }
    }

    /// These are in memory from now on; Redis is tried again later.
    pub(super) fn keep(&mut self, partitions: &[i32]) {
        self.mirrored.retain(|partition, _| !partitions.contains(partition));
        self.whole.extend(partitions);
        self.due_soon();
    }

    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.mirrored.retain(|partition, _| !partitions.contains(partition));
        self.whole.retain(|partition| !partitions.contains(partition));
    }

    pub(super) fn clear(&mut self) {
        self.mirrored.clear();
        self.whole.clear();
        self.flight = None;
        self.due = None;
    }

    /// Begins to write partitions anew; none where Redis does not answer.
    pub(super) async fn warm(&mut self, partitions: &[i32]) -> Option<Warming> {
        if Instant::now() < self.retry {
            return None;
        }
        self.mirrored.retain(|partition, _| !partitions.contains(partition));
        let number = Mark::Warming(rand::random());
        let begun = partitions.iter().map(|partition| self.snapshots.begin(self.topic, *partition, number));
        match join_all(begun).await.into_iter().collect::<Result<Vec<()>, _>>() {
            Ok(_) => Some(Warming::new(self.snapshots.clone(), self.topic, number, partitions)),
            Err(error) => {
                self.failed(&error);
                None
            }
        }
    }

    /// The partitions to try again, where it is time.
    pub(super) fn retries(&self) -> Vec<i32> {
        if Instant::now() < self.retry { Vec::new() } else { self.whole.iter().copied().collect() }
    }

    /// Reads states of mirrored partitions. What Redis does not answer for is doubtful, with the users asked for.
    pub(super) async fn load(
        &mut self,
        wanted: BTreeMap<i32, Vec<UserId>>,
    ) -> (Vec<(UserId, Option<Bytes>)>, BTreeMap<i32, Vec<UserId>>) {
        let ask = wanted.iter().map(|(partition, users)| self.snapshots.read(self.topic, *partition, users));
        let answers = join_all(ask).await;
        let (mut loaded, mut doubtful) = (Vec::new(), BTreeMap::new());
        for ((partition, users), answer) in wanted.into_iter().zip(answers) {
            let expected = self.mirrored.get(&partition).map(|part| part.mark);
            match answer {
                Ok(found) if Some(found.mark) == expected => {
                    loaded.extend(users.into_iter().zip(found.states));
                    continue;
                }
                Ok(found) => self.differs(partition, found.mark),
                Err(error) => self.failed(&error),
            }
            doubtful.insert(partition, users);
        }
        (loaded, doubtful)
    }

    /// Whether Redis has a state that was written at this offset.
    pub(super) fn has(&self, partition: i32, offset: i64) -> bool {
        self.mirrored.get(&partition).is_some_and(|part| offset < part.mark.next())
    }

    /// Something was committed.
    pub(super) fn due_soon(&mut self) {
        self.due.get_or_insert_with(|| Instant::now() + self.every);
    }

    /// Waits for a flush to end, or until it is time for one. Cancelled, it has taken nothing.
    pub(super) async fn turn(&mut self) -> Turn {
        if let Some(flight) = &mut self.flight {
            let flushed = flight.await.unwrap_or_default();
            self.flight = None;
            return Turn::Flushed(flushed);
        }
        match self.due {
            Some(due) => tokio::time::sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
        self.due = None;
        if !self.whole.is_empty() {
            self.due = Some(self.retry.max(Instant::now() + self.every));
        }
        Turn::Due
    }

    /// The flush under way, once it has ended.
    pub(super) async fn settled(&mut self) -> Vec<Flush> {
        match self.flight.take() {
            Some(flight) => flight.await.unwrap_or_default(),
            None => Vec::new(),
        }
    }

    /// Sends states of mirrored partitions on their way.
    pub(super) fn flush(&mut self, lacking: BTreeMap<i32, Vec<Written>>) {
        if lacking.is_empty() || self.flight.is_some() {
            return;
        }
        let mut flushes = Vec::with_capacity(lacking.len());
        for (partition, written) in lacking {
            let Some(part) = self.mirrored.get(&partition) else { continue };
            let mut waiting = part.waiting.clone();
            let mut next = part.mark.next();
            for written in &written {
                next = next.max(written.offset + 1);
                if written.open {
                    waiting.insert(written.user.clone());
                } else {
                    waiting.remove(&written.user);
                }
            }
            let to = Mark::Below { offset: next, at_ms: now_ms() };
            let changed = (waiting != part.waiting).then(|| lines(&waiting));
            flushes.push((part.mark, changed, Flush { partition, to, written, waiting, stands: Ok(to) }));
        }
        let (snapshots, topic) = (self.snapshots.clone(), self.topic);
        let (ended, flight) = oneshot::channel();
        self.flight = Some(flight);
        actix::spawn(async move {
            let written = flushes.into_iter().map(|(from, changed, mut flush)| {
                let snapshots = snapshots.clone();
                async move {
                    let changes: Vec<_> = flush.written.iter().map(Change::of).collect();
                    let marks = (from, flush.to);
                    flush.stands = snapshots.write(topic, flush.partition, marks, &changes, changed.as_deref()).await;
                    flush
                }
            });
            // Whoever has forgotten the partitions meanwhile does not listen.
            let _ = ended.send(join_all(written).await);
        });
    }

    /// What came of the flush of one partition.
    pub(super) fn landed(&mut self, flush: Flush) -> Landed {
        let Some(part) = self.mirrored.get_mut(&flush.partition) else { return Landed::Nowhere };
        match flush.stands {
            Ok(mark) if mark == flush.to => {
                *part = Part { mark, waiting: flush.waiting };
                return Landed::Written(flush.written);
            }
            Ok(mark) => self.differs(flush.partition, mark),
            // It may arrive yet, and then overwrite what a later flush brings.
            Err(error) => self.failed(&error),
        }
        Landed::Doubtful(flush.partition)
    }

    fn differs(&self, partition: i32, found: Mark) {
        tracing::warn!(
            topic = %self.topic, partition, %found,
            "Redis does not hold what was written there; the partition is read from the topic"
        );
    }

    fn failed(&mut self, error: &SnapshotError) {
        if Instant::now() < self.retry {
            return;
        }
        tracing::warn!(
            topic = %self.topic, %error, again_in_ms = self.pause.as_millis(),
            "Redis failed; states are read from the topic and kept in memory until it answers"
        );
        self.leave_alone();
    }

    /// Redis is not tried again for a while.
    pub(super) fn leave_alone(&mut self) {
        self.retry = Instant::now() + self.pause;
        self.pause = (self.pause * 2).min(PAUSES.1);
    }
}

/// Users, a line each.
fn lines<'a>(users: impl IntoIterator<Item = &'a UserId>) -> String {
    users.into_iter().map(UserId::as_str).collect::<Vec<_>>().join("\n")
}

fn now_ms() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
