//! Batches from many partitions: in offset order within each, by turns between them.

use futures::future;
use sqlx::{Error, SqlitePool};
use tokio::sync::watch;

use super::{
    log, place,
    tide::{Ends, Tide},
};
use crate::bus::{Record, Topic};

/// One partition being read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strand {
    pub(super) topic: Topic,
    /// The place of its offset 0.
    pub(super) base: i64,
    /// The next offset to read.
    pub(super) position: i64,
    /// The offset to stop before; none follows the partition.
    pub(super) stop: Option<i64>,
}

/// Reads partitions from their positions on.
#[derive(Debug)]
pub(super) struct Fetcher {
    strands: Vec<Strand>,
    follows: Vec<(Topic, watch::Receiver<Ends>)>,
    /// Which strand is served first.
    turn: usize,
}

impl Fetcher {
    pub(super) fn new(tide: &Tide, strands: Vec<Strand>) -> Self {
        let mut topics: Vec<_> = strands.iter().map(|strand| strand.topic).collect();
        topics.sort_unstable();
        topics.dedup();
        let follows = topics.into_iter().map(|topic| (topic, tide.follow(topic))).collect();
        Self { strands, follows, turn: 0 }
    }

    /// Whether every strand with a stop has reached it; never where one follows.
    pub(super) fn finished(&self) -> bool {
        self.strands.iter().all(|strand| strand.stop.is_some_and(|stop| strand.position >= stop))
    }

    /// At most `limit` records that are there now; none where there is nothing to read.
    pub(super) async fn fetch(&mut self, readers: &SqlitePool, limit: usize) -> Result<Vec<Record>, Error> {
        let waiting = self.waiting();
        let mut records = Vec::new();
        if waiting.is_empty() {
            return Ok(records);
        }
        let mut connection = readers.acquire().await?;
        for (served, (index, end)) in waiting.iter().enumerate() {
            let left = limit.saturating_sub(records.len());
            if left == 0 {
                break;
            }
            let share = (left / (waiting.len() - served)).max(1);
            let strand = &mut self.strands[*index];
            let before = records.len();
            let (from, to) = (strand.base + strand.position, strand.base + end);
            let whole = log::fetch(&mut connection, strand.topic, from, to, share, &mut records).await?;
            strand.position = if whole {
                // A compacted partition may end in a gap.
                *end
            } else {
                records[before..].last().map_or(strand.position, |record| record.offset + 1)
            };
            self.turn = index + 1;
        }
        Ok(records)
    }

    /// Waits until a followed topic has grown since the last fetch.
    pub(super) async fn more(&mut self) {
        let grown = self.follows.iter_mut().map(|(_, ends)| Box::pin(ends.changed()));
        if grown.len() == 0 || future::select_all(grown).await.0.is_err() {
            // The bus is gone, or there is nothing to follow.
            future::pending::<()>().await;
        }
    }

    /// The strands that have something to read, with where they end, the one whose turn it is first.
    fn waiting(&mut self) -> Vec<(usize, i64)> {
        let ends: Vec<(Topic, Ends)> =
            self.follows.iter_mut().map(|(topic, ends)| (*topic, ends.borrow_and_update().clone())).collect();
        let count = self.strands.len();
        let end = |strand: &Strand| {
            let known = || {
                let (_, ends) = ends.iter().find(|(topic, _)| *topic == strand.topic)?;
                ends.get(usize::try_from(place::partition(strand.base)).ok()?).copied()
            };
            strand.stop.or_else(known).unwrap_or(0)
        };
        (0..count)
            .map(|step| (self.turn + step) % count)
            .map(|index| (index, end(&self.strands[index])))
            .filter(|(index, end)| self.strands[*index].position < *end)
            .collect()
    }
}
