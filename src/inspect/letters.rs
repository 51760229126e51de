//! Dead letters: reading them, counting them, and sending what they hold again.

use std::{collections::BTreeMap, sync::Arc};

use auren_agents::UserId;
use schemars::JsonSchema;
use serde::Serialize;

use super::written;
use crate::{
    bus::{BusError, Cursor, Read, ReadFrom, ReadUntil, SharedBus, Topic, key_partition},
    lane::DeadLetter,
};

/// How far the clocks of two machines may differ.
const CLOCKS_MS: i64 = 60_000;

/// The topics whose records can become dead letters.
pub fn topics() -> impl Iterator<Item = Topic> {
    Topic::ALL.iter().copied().filter(|topic| topic.dead_letters().is_some())
}

/// Which dead letters are wanted.
#[derive(Debug, Clone, Default)]
pub struct Wanted {
    /// Of one of these classes; of any where empty.
    pub class: Vec<String>,
    /// Of this person.
    pub user: Option<UserId>,
    /// The one that stands here in the `.dlq` topic.
    pub at: Option<Cursor>,
}

impl Wanted {
    /// Whether this one is.
    #[must_use]
    pub fn is(&self, letter: &DeadLetter) -> bool {
        (self.class.is_empty() || self.class.contains(&letter.class))
            && self.user.as_ref().is_none_or(|user| letter.record.key.as_deref() == Some(user.as_str().as_bytes()))
            && self.at.is_none_or(|at| letter.cursor == at)
    }
}

/// What was counted of one topic, by class and group.
#[derive(Debug, Default)]
pub struct Counts(BTreeMap<(Topic, String, String), (u64, i64)>);

/// How many dead letters of one kind there are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Count {
    /// The topic whose records they were.
    pub topic: &'static str,
    /// The class of their cause.
    pub class: String,
    /// The consumer group that could not use them.
    pub group: String,
    /// How many.
    pub count: u64,
    /// When the newest was written.
    pub newest: String,
}

impl Counts {
    /// One more.
    pub fn add(&mut self, letter: &DeadLetter) {
        let kind = (letter.topic, letter.class.clone(), letter.group.clone());
        let (count, newest) = self.0.entry(kind).or_default();
        *count += 1;
        *newest = letter.record.timestamp_ms.max(*newest);
    }

    /// All, by topic and class.
    #[must_use]
    pub fn all(self) -> Vec<Count> {
        let shown = |((topic, class, group), (count, newest)): ((Topic, String, String), (u64, i64))| Count {
            topic: topic.name(),
            class,
            group,
            count,
            newest: written(newest),
        };
        self.0.into_iter().map(shown).collect()
    }
}

/// Reads the dead letters of a topic one by one, in the order in which they were written to each partition; returns how
/// many records of its `.dlq` topic are none of AUREN's.
///
/// # Errors
/// [`BusError`] where they cannot be read.
pub async fn each(
    bus: &SharedBus,
    topic: Topic,
    from: ReadFrom,
    mut take: impl FnMut(DeadLetter),
) -> Result<usize, BusError> {
    let Some(dlq) = topic.dead_letters() else { return Ok(0) };
    // Asking where a topic ends costs less than reading that it is empty, which most of these are.
    if bus.watermarks(dlq).await?.values().all(|(begin, end)| begin == end) {
        return Ok(0);
    }
    let mut batches = bus.read(Read { topic: dlq, partitions: Vec::new(), from, until: ReadUntil::End });
    let mut foreign = 0;
    while let Some(batch) = batches.recv().await {
        for record in batch? {
            match DeadLetter::of(record) {
                Some(letter) => take(letter),
                None => foreign += 1,
            }
        }
    }
    Ok(foreign)
}

/// The dead letter at this place; none where there is none.
///
/// # Errors
/// [`BusError`] where it cannot be read.
pub async fn at(bus: &SharedBus, topic: Topic, cursor: Cursor) -> Result<Option<DeadLetter>, BusError> {
    let Some(dlq) = topic.dead_letters() else { return Ok(None) };
    let marks = bus.watermarks(dlq).await?;
    if marks.get(&cursor.partition).is_none_or(|(begin, end)| !(*begin..*end).contains(&cursor.offset)) {
        return Ok(None);
    }
    let (partitions, from) = (vec![cursor.partition], ReadFrom::Offset(cursor.offset));
    let mut batches = bus.read(Read { topic: dlq, partitions, from, until: ReadUntil::End });
    let first = match batches.recv().await {
        Some(batch) => batch?.into_iter().next(),
        None => None,
    };
    let letter = first.filter(|record| record.cursor() == cursor).and_then(DeadLetter::of);
    Ok(letter.filter(|letter| letter.topic == topic))
}

/// Where the record of a dead letter was sent again already, of at most `most` records that were written to its partition
/// since it became one.
///
/// # Errors
/// [`BusError`] where the topic cannot be read.
pub async fn sent_again(bus: &SharedBus, letter: &DeadLetter, most: usize) -> Result<Option<Cursor>, BusError> {
    let partitions = match &letter.record.key {
        Some(key) => vec![key_partition(key, bus.partitions().await?)],
        None => Vec::new(),
    };
    let from = ReadFrom::Time(letter.record.timestamp_ms.saturating_sub(CLOCKS_MS));
    let mut batches = Arc::clone(bus).read(Read { topic: letter.topic, partitions, from, until: ReadUntil::End });
    let mut looked = 0;
    while looked < most
        && let Some(batch) = batches.recv().await
    {
        let batch = batch?;
        looked += batch.len();
        if let Some(found) = batch.iter().find(|record| letter.is_again(record)) {
            return Ok(Some(found.cursor()));
        }
    }
    Ok(None)
}
