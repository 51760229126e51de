//! The role `project`: one task that reads four topics and writes rows, and begins again at the database's offsets
//! whenever anything goes wrong. The rest of the river does not wait for it.

use std::{
    collections::BTreeMap,
    sync::Arc,
    time::{Duration, Instant},
};

use tokio::{
    sync::{mpsc, watch},
    task::JoinSet,
};

use super::{
    Database, ProjectError, ProjectStats,
    database::{Offsets, behind, places},
    row::{Batch, TOPICS, projected},
};
use crate::bus::{BusError, Read, ReadFrom, ReadUntil, Record, SharedBus};

/// The pause before a new life: from the shortest, doubled up to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// How often one that stands by looks whether it is needed.
const STAND_BY: Duration = Duration::from_secs(1);
/// What keeps failing is said this often.
const SAID: Duration = Duration::from_secs(30);
/// How often it is looked how far the history is behind, and, while nothing comes, whether the database is still there.
const LOOK: Duration = Duration::from_secs(5);

/// How a node projects.
#[derive(Debug, Clone)]
pub struct ProjectSettings {
    /// The database.
    pub url: String,
    /// Most records of one transaction.
    pub max_batch: usize,
    /// TimescaleDB compresses rows after so many days; never where 0.
    pub compress_after_days: u32,
    /// TimescaleDB drops rows after so many days; never where 0.
    pub keep_days: u32,
}

/// Projects until told to stop. A transaction that is under way then is undone or done as a whole, so nobody waits for it.
/// How it does is in `stats`.
pub async fn run(bus: SharedBus, settings: ProjectSettings, stats: Arc<ProjectStats>, mut stop: watch::Receiver<bool>) {
    let working = async {
        let mut pause = PAUSES.0;
        let mut said: Option<Instant> = None;
        loop {
            let before = stats.totals().transactions;
            let Err(error) = live(&bus, &settings, &stats).await;
            stats.failed(&error);
            if stats.totals().transactions > before {
                (pause, said) = (PAUSES.0, None);
            }
            if said.is_none_or(|at| at.elapsed() >= SAID) {
                said = Some(Instant::now());
                tracing::warn!(%error, "the history does not go on; it is tried again, and the river goes on meanwhile");
            }
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(PAUSES.1);
        }
    };
    tokio::select! {
        _ = stop.wait_for(|stop| *stop) => {}
        () = working => {}
        () = measure(&bus, &stats) => {}
    }
}

/// Looks now and then how far the history is behind, also while the database is away.
async fn measure(bus: &SharedBus, stats: &ProjectStats) {
    loop {
        if let Some(known) = stats.known() {
            for topic in TOPICS {
                match behind(&**bus, topic, &known).await {
                    Ok(behind) => stats.is_behind(topic, behind),
                    // What was known stays known; the lanes and the readers say it aloud.
                    Err(error) => tracing::debug!(%error, "how far the history is behind cannot be told"),
                }
            }
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// One life, which only an error ends.
async fn live(
    bus: &SharedBus,
    settings: &ProjectSettings,
    stats: &ProjectStats,
) -> Result<std::convert::Infallible, ProjectError> {
    let mut database = Database::open(&settings.url).await?;
    if !database.claim().await? {
        stats.stands_by(database.describe());
        tracing::info!(database = database.describe(), "another projector is at work; this one stands by");
        while !database.claim().await? {
            tokio::time::sleep(STAND_BY).await;
        }
    }
    database.keep(settings.compress_after_days, settings.keep_days).await?;
    let mut known = database.offsets(&places(bus.partitions().await?)).await?;
    check(bus, &database, &known).await?;
    let (batches, inlet) = mpsc::channel(1);
    // They end with this life.
    let mut tasks = JoinSet::new();
    for topic in TOPICS {
        let of = known.iter().filter(|((of, _), _)| *of == topic);
        let offsets: BTreeMap<i32, i64> = of.map(|((_, partition), next)| (*partition, *next)).collect();
        let from = ReadFrom::Offsets(offsets);
        let mut reading = bus.read(Read { topic, partitions: Vec::new(), from, until: ReadUntil::Follow });
        let batches = batches.clone();
        tasks.spawn(async move {
            while let Some(batch) = reading.recv().await {
                if batches.send(batch).await.is_err() {
                    return;
                }
            }
        });
    }
    drop(batches);
    let (made, mut batches) = mpsc::channel(1);
    tasks.spawn(make_rows(inlet, made, settings.max_batch));
    let timescale = database.has_timescale().await?;
    stats.works(database.describe(), &known);
    tracing::info!(database = database.describe(), timescale, "the history goes on");
    loop {
        let Ok(next) = tokio::time::timeout(LOOK, batches.recv()).await else {
            // Nothing comes. A database that went away or was emptied meanwhile would not be noticed otherwise.
            database.still_at(&known).await?;
            continue;
        };
        let written = database.write(&mut known, next.ok_or(BusError::Closed)??).await?;
        stats.wrote(&written, &known);
    }
}

/// Makes rows of records, while the database writes those before them: as many at once as have come meanwhile, up to `most`.
pub async fn make_rows(
    mut records: mpsc::Receiver<Result<Vec<Record>, BusError>>,
    batches: mpsc::Sender<Result<Batch, BusError>>,
    most: usize,
) {
    let mut rest = Vec::new();
    // Where nobody takes a batch any more, none is made.
    while let Ok(room) = batches.reserve().await {
        match take(&mut records, std::mem::take(&mut rest), most).await {
            Ok(Some(mut batch)) => {
                rest = batch.split_off(batch.len().min(most));
                let made = tokio::task::spawn_blocking(move || projected(batch)).await;
                room.send(made.map_err(|_| BusError::Closed));
            }
            Ok(None) => return,
            Err(error) => return room.send(Err(error)),
        }
    }
}

/// The records that are there, up to about as many; none where no more come.
async fn take(
    records: &mut mpsc::Receiver<Result<Vec<Record>, BusError>>,
    mut taken: Vec<Record>,
    most: usize,
) -> Result<Option<Vec<Record>>, BusError> {
    if taken.is_empty() {
        let Some(first) = records.recv().await else { return Ok(None) };
        taken = first?;
    }
    while taken.len() < most
        && let Ok(more) = records.try_recv()
    {
        taken.extend(more?);
    }
    Ok(Some(taken))
}

/// Offsets that the log has never had are another log's.
async fn check(bus: &SharedBus, database: &Database, known: &Offsets) -> Result<(), ProjectError> {
    for topic in TOPICS {
        let marks = bus.watermarks(topic).await?;
        for (partition, (_, end)) in marks {
            let next = known.get(&(topic, partition)).copied().unwrap_or_default();
            if next > end {
                let (at, topic) = (database.describe().to_owned(), topic.name());
                return Err(ProjectError::Ahead { at, topic, partition, next, end });
            }
        }
    }
    Ok(())
}
