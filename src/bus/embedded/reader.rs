//! Reads without a group: for `tail`, for restoring state, for history. SQLite shows committed records only.

use std::{collections::BTreeSet, sync::Arc};

use sqlx::{Error, Row, SqliteConnection};
use tokio::sync::mpsc;

use super::{
    Hub, errors,
    fetch::{Fetcher, Strand},
    log::{self, Numbered},
    place,
    tide::Ends,
};
use crate::bus::{BusError, Read, ReadFrom, ReadUntil, Record};

/// Most records of one batch.
const BATCH: usize = 1000;

type Batches = mpsc::Sender<Result<Vec<Record>, BusError>>;

pub(super) fn spawn(hub: &Arc<Hub>, read: Read) -> mpsc::Receiver<Result<Vec<Record>, BusError>> {
    let (batches, receiver) = mpsc::channel(2);
    // Taken now, so that what is published after this call is read, whenever the task begins.
    let now = hub.tide.follow(read.topic).borrow().clone();
    let reading = Arc::clone(hub);
    hub.runtime.spawn(async move {
        let closed = batches.clone();
        tokio::select! {
            // The reader's owner went away.
            () = closed.closed() => {}
            end = run(&reading, &read, &now, &batches) => {
                if let Err(error) = end {
                    let _ = batches.send(Err(error)).await;
                }
            }
        }
    });
    receiver
}

async fn run(hub: &Hub, read: &Read, now: &Ends, batches: &Batches) -> Result<(), BusError> {
    let strands = begin(hub, read, now).await?;
    let mut fetcher = Fetcher::new(&hub.tide, strands);
    loop {
        let records = fetcher.fetch(&hub.readers, BATCH).await.map_err(|error| errors::storage(&hub.file, &error))?;
        if records.is_empty() {
            if fetcher.finished() {
                return Ok(());
            }
            if read.until == ReadUntil::Follow {
                fetcher.more().await;
            }
        } else if batches.send(Ok(records)).await.is_err() {
            return Ok(());
        }
    }
}

/// Where each partition of the read begins and stops.
async fn begin(hub: &Hub, read: &Read, now: &Ends) -> Result<Vec<Strand>, BusError> {
    let numbered = hub.topic(read.topic).await?;
    let partitions: BTreeSet<i32> = if read.partitions.is_empty() {
        (0..numbered.info.partitions).collect()
    } else {
        read.partitions.iter().copied().collect()
    };
    if let Some(missing) = partitions.iter().find(|partition| !(0..numbered.info.partitions).contains(partition)) {
        return Err(BusError::Refused {
            what: format!("reading {}[{missing}]", read.topic),
            why: format!("the topic has {} partitions", numbered.info.partitions),
        });
    }
    strands(hub, read, now, numbered, &partitions).await.map_err(|error| errors::storage(&hub.file, &error))
}

async fn strands(
    hub: &Hub,
    read: &Read,
    now: &Ends,
    numbered: Numbered,
    partitions: &BTreeSet<i32>,
) -> Result<Vec<Strand>, Error> {
    let mut connection = hub.readers.acquire().await?;
    let marks = log::marks(&mut connection, &[numbered]).await?.remove(&read.topic).unwrap_or_default();
    let mut strands = Vec::with_capacity(partitions.len());
    for partition in partitions {
        let index = usize::try_from(*partition).unwrap_or(0);
        let (low, high) = marks.get(index).copied().unwrap_or((0, 0));
        let base = place::base(numbered.number, *partition);
        let position = match &read.from {
            ReadFrom::Earliest => low,
            ReadFrom::Latest => now.get(index).copied().unwrap_or(high),
            ReadFrom::Offset(offset) => (*offset).clamp(low, high),
            ReadFrom::Offsets(offsets) => offsets.get(partition).copied().unwrap_or(low).clamp(low, high),
            ReadFrom::Last(count) => last(&mut connection, base, *count, low, high).await?,
            ReadFrom::Time(millis) => at_time(&mut connection, base, *millis, low, high).await?,
        };
        let stop = (read.until == ReadUntil::End).then_some(high);
        strands.push(Strand { topic: read.topic, base, position, stop });
    }
    Ok(strands)
}

/// The offset of the last record but `count - 1`.
async fn last(file: &mut SqliteConnection, base: i64, count: i64, low: i64, high: i64) -> Result<i64, Error> {
    if count <= 0 {
        return Ok(high);
    }
    let row = sqlx::query("SELECT place FROM log WHERE place >= ? AND place < ? ORDER BY place DESC LIMIT 1 OFFSET ?")
        .bind(base + low)
        .bind(base + high)
        .bind(count - 1)
        .fetch_optional(file)
        .await?;
    row.map_or(Ok(low), |row| row.try_get(0).map(place::offset))
}

/// The first offset with this timestamp or a later one, by halving: exact as long as the clock has not been set back.
async fn at_time(file: &mut SqliteConnection, base: i64, millis: i64, low: i64, high: i64) -> Result<i64, Error> {
    let (mut older, mut newer) = (low, high);
    while older < newer {
        let middle = older + (newer - older) / 2;
        let row =
            sqlx::query("SELECT place, timestamp_ms FROM log WHERE place >= ? AND place < ? ORDER BY place LIMIT 1")
                .bind(base + middle)
                .bind(base + newer)
                .fetch_optional(&mut *file)
                .await?;
        match row {
            Some(row) if row.try_get::<i64, _>(1)? < millis => older = place::offset(row.try_get(0)?) + 1,
            // New enough, or a gap up to what is new enough.
            _ => newer = middle,
        }
    }
    Ok(newer)
}
