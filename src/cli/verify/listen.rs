//! Listens to the committed conversation events of a verification's own users, through whatever befalls the bus.

use std::{sync::Arc, time::Duration};

use auren::bus::{BusError, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic};
use tokio::sync::mpsc;

/// The pause before a read that ended with an error is begun again.
const AGAIN: Duration = Duration::from_millis(500);
/// Clocks of this machine and of the hub's may differ by this much.
const CLOCKS_MS: i64 = 60_000;

/// What is heard: records of invented users, some of them more than once, or why a read had to begin again.
pub(super) type Heard = Result<Vec<Record>, BusError>;

/// Listens from this time on until the receiver is dropped.
pub(super) fn listen(bus: &SharedBus, began_ms: i64, mark: &str) -> mpsc::Receiver<Heard> {
    let (tell, heard) = mpsc::channel(16);
    let (bus, mark) = (Arc::clone(bus), mark.to_owned());
    tokio::spawn(async move {
        while !tell.is_closed() {
            let mut batches = bus.read(read(began_ms, ReadUntil::Follow));
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
pub(super) async fn all(bus: &SharedBus, began_ms: i64, mark: &str) -> Heard {
    let mut batches = bus.read(read(began_ms, ReadUntil::End));
    let mut all = Vec::new();
    while let Some(batch) = batches.recv().await {
        all.extend(own(batch?, mark));
    }
    Ok(all)
}

fn read(began_ms: i64, until: ReadUntil) -> Read {
    Read { topic: Topic::Events, partitions: Vec::new(), from: ReadFrom::Time(began_ms - CLOCKS_MS), until }
}

fn own(mut records: Vec<Record>, mark: &str) -> Vec<Record> {
    records.retain(|record| record.key.as_ref().is_some_and(|key| key.starts_with(mark.as_bytes())));
    records
}
