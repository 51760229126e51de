//! The one task that writes. Jobs queue up while a transaction is being synced, and whatever has queued up is the next
//! transaction: many publishers share one sync, and a lone one waits for nobody.
//!
//! Inside the transaction it is decided who gets which offset and whether a group member may still commit. Other processes
//! may write between two transactions; `data_version` tells, and then what is known is read anew.

use std::{
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sqlx::{Connection, Error, SqliteConnection};
use tokio::sync::{Notify, mpsc};

use super::{
    errors,
    file::Opener,
    job::{Answer, Job},
    known::{Known, Pending},
    log,
    tide::Tide,
};
use crate::{
    bus::{BusError, Cleanup},
    sqlite,
};

/// How many jobs may wait.
const QUEUE: usize = 64;

/// A transaction takes no further job behind this many records or bytes.
const MOST_RECORDS: usize = 4096;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// How often an idle writer looks whether another process has written.
const LOOK: Duration = Duration::from_millis(20);

pub(super) struct Writer {
    file: PathBuf,
    opener: Opener,
    connection: Option<SqliteConnection>,
    jobs: mpsc::Receiver<Job>,
    tide: Arc<Tide>,
    known: Known,
    /// Told when records went to a compacted topic.
    compactor: Arc<Notify>,
    /// Where the next record without a key goes.
    turn: i32,
}

impl Writer {
    /// A writer and its queue.
    pub(super) fn new(
        file: PathBuf,
        opener: Opener,
        connection: SqliteConnection,
        tide: Arc<Tide>,
        compactor: Arc<Notify>,
    ) -> (Self, mpsc::Sender<Job>) {
        let (sender, jobs) = mpsc::channel(QUEUE);
        let connection = Some(connection);
        (Self { file, opener, connection, jobs, tide, known: Known::default(), compactor, turn: 0 }, sender)
    }

    /// Reads what the file holds; the bus opens once that has worked.
    pub(super) async fn look(&mut self) -> Result<(), BusError> {
        let looked = async {
            let connection = opened(&mut self.connection, &self.opener).await?;
            self.known.refresh(connection, &self.tide).await
        };
        if let Err(error) = looked.await {
            self.give_up_connection().await;
            return Err(errors::storage(&self.file, &error));
        }
        Ok(())
    }

    /// Works until every sender of jobs is gone.
    pub(super) async fn run(mut self) {
        let mut troubled = false;
        loop {
            match tokio::time::timeout(LOOK, self.jobs.recv()).await {
                Ok(Some(job)) => {
                    let jobs = self.gather(job);
                    self.work(jobs).await;
                }
                Ok(None) => break,
                Err(_) => match self.look().await {
                    Ok(()) => troubled = false,
                    Err(error) if !troubled => {
                        tracing::warn!(%error, "the embedded bus cannot read its file, it keeps trying");
                        troubled = true;
                    }
                    Err(_) => {}
                },
            }
        }
        self.give_up_connection().await;
    }

    fn gather(&mut self, first: Job) -> Vec<Job> {
        let (mut records, mut bytes) = first.weight();
        let mut jobs = vec![first];
        while records < MOST_RECORDS && bytes < MOST_BYTES {
            let Ok(job) = self.jobs.try_recv() else { break };
            let weight = job.weight();
            records += weight.0;
            bytes += weight.1;
            jobs.push(job);
        }
        jobs
    }

    async fn work(&mut self, jobs: Vec<Job>) {
        let answers = if jobs.iter().all(|job| matches!(job, Job::Barrier { .. })) {
            Ok(jobs.iter().map(|_| Answer::Done).collect())
        } else {
            self.transact(&jobs).await
        };
        match answers {
            Ok(answers) => jobs.into_iter().zip(answers).for_each(|(job, answer)| job.answer(answer)),
            Err(error) => {
                tracing::warn!(why = sqlite::words(&error), "a transaction of the embedded bus failed");
                // What the failed transaction left in memory, and in the connection, is not to be trusted.
                self.known.version = None;
                self.give_up_connection().await;
                for job in jobs {
                    job.fail(&self.file, &error);
                }
            }
        }
    }

    async fn give_up_connection(&mut self) {
        if let Some(connection) = self.connection.take() {
            // Closing rolls an open transaction back; an error here has nobody to go to.
            let _ = connection.close().await;
        }
    }

    async fn transact(&mut self, jobs: &[Job]) -> Result<Vec<Answer>, Error> {
        let Self { connection, opener, known, tide, turn, .. } = self;
        let connection = opened(connection, opener).await?;
        let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
        known.refresh(&mut transaction, tide).await?;
        let mut pending = Pending::default();
        let mut answers = Vec::with_capacity(jobs.len());
        for job in jobs {
            answers.push(known.plan(job, &mut transaction, &mut pending, turn).await?);
        }
        // In order of place, so that each partition's tail page is visited once.
        pending.rows.sort_unstable_by_key(|(at, _)| *at);
        log::append(&mut transaction, now_ms(), &pending.rows).await?;
        log::save_offsets(&mut transaction, &pending.offsets).await?;
        transaction.commit().await?;

        for topic in &pending.touched {
            if let Some(ends) = known.ends.get(topic) {
                tide.raise(*topic, ends);
            }
        }
        if pending.touched.iter().any(|topic| topic.cleanup() == Cleanup::Compact) {
            self.compactor.notify_one();
        }
        Ok(answers)
    }
}

async fn opened<'c>(
    connection: &'c mut Option<SqliteConnection>,
    opener: &Opener,
) -> Result<&'c mut SqliteConnection, Error> {
    let open = match connection.take() {
        Some(open) => open,
        None => opener.connect().await?,
    };
    Ok(connection.insert(open))
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
