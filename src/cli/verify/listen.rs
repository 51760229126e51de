//! Listens to the committed conversation events of a verification's own users, through whatever befalls the bus.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use auren::bus::{BusError, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic};
use tokio::sync::mpsc;

/// The pause before a read that ended with an error is begun again.
const AGAIN: Duration = Duration::from_millis(500);

/// Where each partition of `conversations.events` ended before anything was sent.
pub(super) type Begin = BTreeMap<i32, i64>;

/// What is heard: records of invented users, some of them more than once, or why a read had to begin again.
pub(super) type Heard = Result<Vec<Record>, BusError>;

/// Where the events end now.
pub(super) async fn begin(bus: &SharedBus) -> Result<Begin, BusError> {
    let marks = bus.watermarks(Topic::Events).await?;
    Ok(marks.into_iter().map(|(partition, (_, end))| (partition, end)).collect())
}

/// Listens from there on until the receiver is dropped.
pub(super) fn listen(bus: &SharedBus, begin: &Begin, mark: &str) -> mpsc::Receiver<Heard> {
    let (tell, heard) = mpsc::channel(16);
    let (bus, begin, mark) = (Arc::clone(bus), begin.clone(), mark.to_owned());
    tokio::spawn(async move {
        while !tell.is_closed() {
            let mut batches = bus.read(read(&begin, ReadUntil::Follow));
            while let Some(batch) = batches.recv().await {
                if tell.send(batch.map(|records| own(records, &mark))).await.is_err() {
                    return;
                }
            }
            tokio::time::sleep(AGAIN).await;
        }
    });
    heard
}

/// Everything that is committed by now, with what was open decided.
pub(super) async fn all(bus: &SharedBus, begin: &Begin, mark: &str) -> Heard {
    let mut batches = bus.read(read(begin, ReadUntil::End));
    let mut all = Vec::new();
    while let Some(batch) = batches.recv().await {
        all.extend(own(batch?, mark));
    }
    Ok(all)
}

fn read(begin: &Begin, until: ReadUntil) -> Read {
    Read { topic: Topic::Events, partitions: Vec::new(), from: ReadFrom::Offsets(begin.clone()), until }
}

fn own(mut records: Vec<Record>, mark: &str) -> Vec<Record> {
    records.retain(|record| record.key.as_ref().is_some_and(|key| key.starts_with(mark.as_bytes())));
    records
}
