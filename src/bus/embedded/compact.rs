//! Compaction: of a compacted topic's records, only the newest of each key is kept.
//!
//! A pass takes up what was written since the last one, learns the newest offset of every key in it, and deletes what
//! that supersedes, in small transactions between everybody else's. A partition is taken up when at least as much was
//! written as is kept, so the work stays in proportion and the partition under twice its smallest size. Offsets stay as
//! they are, and the newest record of a partition is never deleted. Freed pages are used again by the file.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use bytes::Bytes;
use sqlx::{Error, Row, SqliteConnection, SqlitePool};
use tokio::{
    sync::{Notify, mpsc, oneshot},
    time::sleep,
};

use super::{
    job::{Clean, Job},
    log::{self, Numbered},
    place,
};
use crate::{bus::Cleanup, sqlite};

/// A partition with fewer new records than this is left alone.
const LEAST: i64 = 1000;

/// A pass takes up at most so many new records, which bounds its memory.
const MOST: i64 = 65_536;

/// Records looked at in one read.
const PAGE: i64 = 2048;

/// Records deleted in one transaction.
const STEP: usize = 512;

/// The pause between two rounds.
const PAUSE: Duration = Duration::from_secs(1);

/// A tombstone is kept this long, so that whoever follows the topic sees it.
const TOMBSTONE_MS: i64 = 24 * 60 * 60 * 1000;

pub(super) struct Compactor {
    pub(super) readers: SqlitePool,
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) written: Arc<Notify>,
}

impl Compactor {
    /// Works until the bus is gone. Only a process that writes to compacted topics compacts them.
    pub(super) async fn run(self) {
        loop {
            self.written.notified().await;
            sleep(PAUSE).await;
            match self.round().await {
                Ok(true) => {}
                Ok(false) => return,
                Err(error) => {
                    tracing::warn!(why = sqlite::words(&error), "compaction failed, it is tried again later");
                }
            }
        }
    }

    /// Passes over every compacted partition that is due; false where the bus is gone.
    pub(super) async fn round(&self) -> Result<bool, Error> {
        let topics = log::topics(&self.readers).await?;
        for numbered in topics.iter().filter(|known| known.info.topic.cleanup() == Cleanup::Compact) {
            let mut connection = self.readers.acquire().await?;
            let marks = log::marks(&mut connection, &[*numbered]).await?;
            drop(connection);
            let marks = marks.get(&numbered.info.topic).map_or(&[][..], Vec::as_slice);
            for (partition, (_, end)) in marks.iter().enumerate() {
                let Ok(partition) = i32::try_from(partition) else { continue };
                if !self.partition(numbered, partition, *end).await? {
                    return Ok(false);
                }
            }
        }
        Ok(true)
    }

    async fn partition(&self, numbered: &Numbered, partition: i32, end: i64) -> Result<bool, Error> {
        let base = place::base(numbered.number, partition);
        loop {
            let mut connection = self.readers.acquire().await?;
            let mut clean = clean(&mut connection, base).await?;
            if end - clean.end < clean.kept.max(LEAST) {
                return Ok(true);
            }
            let until = end.min(clean.end + MOST);
            let (newest, mut old) = newest(&mut connection, &clean, until).await?;
            let fresh = i64::try_from(newest.len()).unwrap_or(i64::MAX);
            let superseded = superseded(&mut connection, &clean, &newest, end).await?;
            drop(connection);
            let gone = i64::try_from(superseded.len()).unwrap_or(i64::MAX);
            old.extend(superseded);
            clean = Clean { base, end: until, kept: clean.kept - gone + fresh };
            if !self.delete(&old, clean).await? {
                return Ok(false);
            }
        }
    }

    async fn delete(&self, places: &[i64], clean: Clean) -> Result<bool, Error> {
        let mut steps: Vec<&[i64]> = places.chunks(STEP).collect();
        if steps.is_empty() {
            steps.push(&[]);
        }
        let last = steps.len() - 1;
        for (index, step) in steps.into_iter().enumerate() {
            let (done, answer) = oneshot::channel();
            let clean = (index == last).then_some(clean);
            if self.jobs.send(Job::Compact { places: step.to_vec(), clean, done }).await.is_err() {
                return Ok(false);
            }
            match answer.await {
                Ok(Ok(())) => {}
                Ok(Err(error)) => return Err(Error::Protocol(error.to_string())),
                Err(_) => return Ok(false),
            }
        }
        Ok(true)
    }
}

async fn clean(file: &mut SqliteConnection, base: i64) -> Result<Clean, Error> {
    let row =
        sqlx::query("SELECT clean_end, kept FROM compacted WHERE base = ?").bind(base).fetch_optional(file).await?;
    Ok(match row {
        Some(row) => Clean { base, end: row.try_get(0)?, kept: row.try_get(1)? },
        None => Clean { base, end: 0, kept: 0 },
    })
}

/// The newest offset of every key in what is not clean, and the places that are superseded within it.
async fn newest(
    file: &mut SqliteConnection,
    clean: &Clean,
    until: i64,
) -> Result<(HashMap<Bytes, i64>, Vec<i64>), Error> {
    let mut newest = HashMap::new();
    let mut old = Vec::new();
    let mut position = clean.end;
    while position < until {
        let rows = page(file, clean.base, position, until).await?;
        let Some(last) = rows.last() else { break };
        position = place::offset(last.place) + 1;
        for row in rows {
            let Some(key) = row.key else { continue };
            if let Some(before) = newest.insert(key, row.place) {
                old.push(before);
            }
        }
    }
    Ok((newest, old))
}

/// The places in the clean part that are superseded, and its tombstones that everybody has had time to see.
async fn superseded(
    file: &mut SqliteConnection,
    clean: &Clean,
    newest: &HashMap<Bytes, i64>,
    end: i64,
) -> Result<Vec<i64>, Error> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    let seen = i64::try_from(now).unwrap_or(i64::MAX) - TOMBSTONE_MS;
    let mut old = Vec::new();
    let mut position = 0;
    while position < clean.end {
        let rows = page(file, clean.base, position, clean.end).await?;
        let Some(last) = rows.last() else { break };
        position = place::offset(last.place) + 1;
        for row in rows {
            let superseded = row.key.is_some_and(|key| newest.contains_key(&key));
            let forgotten = row.tombstone && row.timestamp_ms < seen && place::offset(row.place) + 1 < end;
            if superseded || forgotten {
                old.push(row.place);
            }
        }
    }
    Ok(old)
}

struct Line {
    place: i64,
    timestamp_ms: i64,
    key: Option<Bytes>,
    tombstone: bool,
}

/// Keys without payloads: SQLite reads past neither, because the key stands before the payload.
async fn page(file: &mut SqliteConnection, base: i64, from: i64, to: i64) -> Result<Vec<Line>, Error> {
    let rows = sqlx::query(
        "SELECT place, timestamp_ms, key, payload IS NULL FROM log WHERE place >= ? AND place < ? ORDER BY place LIMIT ?",
    )
    .bind(base + from)
    .bind(base + to)
    .bind(PAGE)
    .fetch_all(file)
    .await?;
    let line = |row: &sqlx::sqlite::SqliteRow| {
        Ok(Line {
            place: row.try_get(0)?,
            timestamp_ms: row.try_get(1)?,
            key: row.try_get::<Option<&[u8]>, _>(2)?.map(Bytes::copy_from_slice),
            tombstone: row.try_get(3)?,
        })
    };
    rows.iter().map(line).collect()
}
