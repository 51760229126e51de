//! The one task that writes. Jobs queue up while a transaction is being synced, and whatever has queued up is the next
//! transaction: many publishers share one sync, and a lone one waits for nobody.
//!
//! It alone knows how far each partition reaches, gives out offsets, and checks inside the transaction whether a group
//! member may still commit. Other processes may write between two transactions; `data_version` tells, and then what is
//! known is read anew.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sqlx::{Connection, Error, Row, SqliteConnection};
use tokio::sync::{Notify, mpsc, oneshot};

use super::{
    errors,
    file::Opener,
    group::Pass,
    log::{self, Numbered},
    place,
    tide::{Ends, Tide},
};
use crate::bus::{BusError, Cleanup, Cursor, Outgoing, Topic, TopicInfo, TopicSpec, Transaction, key_partition};

/// How many jobs may wait.
const QUEUE: usize = 64;

/// A transaction takes no further job behind this many records or bytes.
const MOST_RECORDS: usize = 4096;
const MOST_BYTES: usize = 16 * 1024 * 1024;

/// How often an idle writer looks whether another process has written.
const LOOK: Duration = Duration::from_millis(20);

/// Something to write.
pub(super) enum Job {
    Publish {
        records: Vec<Outgoing>,
        done: oneshot::Sender<Vec<Result<Cursor, BusError>>>,
    },
    Commit {
        pass: Pass,
        transaction: Transaction,
        done: oneshot::Sender<Result<Vec<Cursor>, BusError>>,
    },
    Create {
        specs: Vec<TopicSpec>,
        done: oneshot::Sender<Result<Vec<Topic>, BusError>>,
    },
    /// Takes a group over from whichever process had it; answered with the new epoch.
    Claim {
        group: String,
        done: oneshot::Sender<Result<i64, BusError>>,
    },
    /// Deletes superseded records of a compacted partition; the last step of a pass says how far it is clean.
    Compact {
        places: Vec<i64>,
        clean: Option<Clean>,
        done: oneshot::Sender<Result<(), BusError>>,
    },
    /// Answered when every job before it is decided.
    Barrier {
        done: oneshot::Sender<()>,
    },
}

/// How far a compacted partition is clean.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clean {
    pub(super) base: i64,
    pub(super) end: i64,
    pub(super) kept: i64,
}

/// What a job's sender hears once the transaction is committed.
enum Answer {
    Published(Vec<Result<Cursor, BusError>>),
    Committed(Result<Vec<Cursor>, BusError>),
    Created(Result<Vec<Topic>, BusError>),
    Claimed(i64),
    Done,
}

/// What the writer knows of the file, as long as nobody else writes to it.
#[derive(Default)]
struct Known {
    version: Option<i64>,
    topics: Vec<Numbered>,
    ends: BTreeMap<Topic, Ends>,
    /// The epoch of every group that was looked up.
    epochs: HashMap<String, i64>,
}

/// What one transaction writes besides what was written at once.
#[derive(Default)]
struct Pending<'a> {
    rows: Vec<(i64, &'a Outgoing)>,
    offsets: BTreeMap<(String, i64), i64>,
    touched: BTreeSet<Topic>,
}

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
            refresh(connection, &mut self.known, &self.tide).await
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
                tracing::warn!(why = errors::words(&error), "a transaction of the embedded bus failed");
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
        refresh(&mut transaction, known, tide).await?;
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

/// Reads topics and ends anew if another connection has written since they were read.
async fn refresh(connection: &mut SqliteConnection, known: &mut Known, tide: &Tide) -> Result<(), Error> {
    let version: i64 = sqlx::query("PRAGMA data_version").fetch_one(&mut *connection).await?.try_get(0)?;
    if known.version == Some(version) {
        return Ok(());
    }
    known.version = None;
    known.epochs.clear();
    known.topics = log::topics(&mut *connection).await?;
    for (topic, marks) in log::marks(connection, &known.topics).await? {
        let ends = log::ends(&marks);
        tide.raise(topic, &ends);
        known.ends.insert(topic, ends);
    }
    known.version = Some(version);
    Ok(())
}

impl Known {
    async fn plan<'a>(
        &mut self,
        job: &'a Job,
        file: &mut SqliteConnection,
        pending: &mut Pending<'a>,
        turn: &mut i32,
    ) -> Result<Answer, Error> {
        Ok(match job {
            Job::Publish { records, .. } => {
                let placed = records.iter().map(|record| self.append(record, pending, turn));
                Answer::Published(placed.collect())
            }
            Job::Commit { pass, transaction, .. } => {
                let epoch = self.epoch(&pass.group.name, file).await?;
                Answer::Committed(self.commit(pass, epoch, transaction, pending, turn))
            }
            Job::Create { specs, .. } => Answer::Created(self.create(specs, file, pending).await?),
            Job::Claim { group, .. } => {
                let epoch = sqlx::query(
                    "INSERT INTO groups (name, epoch) VALUES (?, 1) \
                     ON CONFLICT (name) DO UPDATE SET epoch = epoch + 1 RETURNING epoch",
                )
                .bind(group.as_str())
                .fetch_one(file)
                .await?
                .try_get(0)?;
                self.epochs.insert(group.clone(), epoch);
                Answer::Claimed(epoch)
            }
            Job::Compact { places, clean, .. } => {
                log::forget(file, places).await?;
                if let Some(clean) = clean {
                    log::save_clean(file, clean).await?;
                }
                Answer::Done
            }
            Job::Barrier { .. } => Answer::Done,
        })
    }

    /// Gives a record its place, unless the topic does not take it.
    fn append<'a>(
        &mut self,
        record: &'a Outgoing,
        pending: &mut Pending<'a>,
        turn: &mut i32,
    ) -> Result<Cursor, BusError> {
        let (base, end) = self.place(record, turn)?;
        let cursor = Cursor { partition: place::partition(base), offset: *end };
        pending.rows.push((base + *end, record));
        pending.touched.insert(record.topic);
        *end += 1;
        Ok(cursor)
    }

    fn place(&mut self, record: &Outgoing, turn: &mut i32) -> Result<(i64, &mut i64), BusError> {
        let topic = record.topic;
        let Some(Numbered { number, info }) = self.topics.iter().find(|known| known.info.topic == topic) else {
            return Err(BusError::TopicMissing { topic: topic.name().to_owned() });
        };
        let bytes = record.bytes();
        if bytes > topic.max_record_bytes() {
            return Err(BusError::TooLarge { topic: topic.name().to_owned(), bytes, max: topic.max_record_bytes() });
        }
        let refused =
            |why: &str| BusError::Refused { what: format!("a record for topic {topic}"), why: why.to_owned() };
        if record.key.is_none() && topic.cleanup() == Cleanup::Compact {
            return Err(refused("a compacted topic takes no record without a key"));
        }
        let partition = match (record.partition, &record.key) {
            (Some(partition), _) => partition,
            (None, Some(key)) => key_partition(key, info.partitions),
            (None, None) => {
                *turn = turn.wrapping_add(1);
                turn.rem_euclid(info.partitions)
            }
        };
        let ends = self.ends.get_mut(&topic);
        let end = usize::try_from(partition).ok().and_then(|index| ends?.get_mut(index));
        let end = end.ok_or_else(|| refused(&format!("there is no partition {partition}")))?;
        if *end >= place::OFFSETS {
            return Err(refused(&format!("partition {partition} has no offsets left")));
        }
        Ok((place::base(*number, partition), end))
    }

    fn commit<'a>(
        &mut self,
        pass: &Pass,
        epoch: Option<i64>,
        transaction: &'a Transaction,
        pending: &mut Pending<'a>,
        turn: &mut i32,
    ) -> Result<Vec<Cursor>, BusError> {
        pass.check(epoch, transaction)?;
        let not_committed =
            |error: &BusError| BusError::NotCommitted { member: pass.member.clone(), why: error.to_string() };
        let mut bases = Vec::with_capacity(transaction.offsets.len());
        for (topic, partition) in transaction.offsets.keys() {
            let known = self.topics.iter().find(|known| known.info.topic == *topic);
            let known = known.ok_or_else(|| BusError::TopicMissing { topic: topic.name().to_owned() });
            bases.push(place::base(known.map_err(|error| not_committed(&error))?.number, *partition));
        }
        // All or nothing: what was placed before the record that is not taken gets its place back.
        let rows = pending.rows.len();
        let mut cursors = Vec::with_capacity(transaction.outputs.len());
        for output in &transaction.outputs {
            match self.append(output, pending, turn) {
                Ok(cursor) => cursors.push(cursor),
                Err(error) => {
                    pending.rows.truncate(rows);
                    for (output, cursor) in transaction.outputs.iter().zip(&cursors).rev() {
                        self.take_back(output.topic, *cursor);
                    }
                    return Err(not_committed(&error));
                }
            }
        }
        for (base, offset) in bases.into_iter().zip(transaction.offsets.values()) {
            pending.offsets.insert((pass.group.name.clone(), base), *offset);
        }
        Ok(cursors)
    }

    fn take_back(&mut self, topic: Topic, cursor: Cursor) {
        let ends = self.ends.get_mut(&topic);
        if let Some(end) = usize::try_from(cursor.partition).ok().and_then(|index| ends?.get_mut(index)) {
            *end = cursor.offset;
        }
    }

    async fn epoch(&mut self, group: &str, file: &mut SqliteConnection) -> Result<Option<i64>, Error> {
        if let Some(epoch) = self.epochs.get(group) {
            return Ok(Some(*epoch));
        }
        let row = sqlx::query("SELECT epoch FROM groups WHERE name = ?").bind(group).fetch_optional(file).await?;
        let epoch = row.map(|row| row.try_get(0)).transpose()?;
        if let Some(epoch) = epoch {
            self.epochs.insert(group.to_owned(), epoch);
        }
        Ok(epoch)
    }

    async fn create(
        &mut self,
        specs: &[TopicSpec],
        file: &mut SqliteConnection,
        pending: &mut Pending<'_>,
    ) -> Result<Result<Vec<Topic>, BusError>, Error> {
        if let Some(wrong) = specs.iter().find(|spec| !(1..=place::MAX_PARTITIONS).contains(&spec.partitions)) {
            return Ok(Err(BusError::Refused {
                what: format!("creating topic {} with {} partitions", wrong.topic, wrong.partitions),
                why: format!("a topic has 1 to {} partitions", place::MAX_PARTITIONS),
            }));
        }
        let mut created = Vec::new();
        for spec in specs {
            if self.topics.iter().any(|known| known.info.topic == spec.topic) {
                continue;
            }
            let number: i64 = sqlx::query(
                "INSERT INTO topics (number, name, partitions) \
                     VALUES ((SELECT coalesce(max(number), 0) + 1 FROM topics), ?, ?) RETURNING number",
            )
            .bind(spec.topic.name())
            .bind(spec.partitions)
            .fetch_one(&mut *file)
            .await?
            .try_get(0)?;
            if number >= place::MAX_TOPICS {
                return Err(Error::Protocol("the file has no room for another topic".to_owned()));
            }
            log::create_partitions(file, number, spec.partitions).await?;
            let info = TopicInfo { topic: spec.topic, partitions: spec.partitions };
            self.topics.push(Numbered { info, number });
            self.ends.insert(spec.topic, vec![0; usize::try_from(spec.partitions).unwrap_or(0)]);
            pending.touched.insert(spec.topic);
            created.push(spec.topic);
        }
        Ok(Ok(created))
    }
}

impl Job {
    fn weight(&self) -> (usize, usize) {
        let records = match self {
            Self::Publish { records, .. } => records,
            Self::Commit { transaction, .. } => &transaction.outputs,
            Self::Compact { places, .. } => return (places.len(), 0),
            _ => return (1, 0),
        };
        (records.len(), records.iter().map(Outgoing::bytes).sum())
    }

    /// Whoever asked may have stopped waiting; what is written stays written.
    fn answer(self, answer: Answer) {
        match (self, answer) {
            (Self::Publish { done, .. }, Answer::Published(answer)) => drop(done.send(answer)),
            (Self::Commit { done, .. }, Answer::Committed(answer)) => drop(done.send(answer)),
            (Self::Create { done, .. }, Answer::Created(answer)) => drop(done.send(answer)),
            (Self::Claim { done, .. }, Answer::Claimed(epoch)) => drop(done.send(Ok(epoch))),
            (Self::Compact { done, .. }, _) => drop(done.send(Ok(()))),
            (Self::Barrier { done }, _) => drop(done.send(())),
            // Not reached: `plan` answers each kind in its own kind. The sender hears of a closed channel.
            _ => {}
        }
    }

    fn fail(self, file: &std::path::Path, error: &Error) {
        let storage = || errors::storage(file, error);
        match self {
            Self::Publish { records, done } => drop(done.send(records.iter().map(|_| Err(storage())).collect())),
            Self::Commit { pass, done, .. } => {
                let why = format!("the embedded bus at {}: {}", file.display(), errors::words(error));
                drop(done.send(Err(BusError::NotCommitted { member: pass.member, why })));
            }
            Self::Create { done, .. } => drop(done.send(Err(storage()))),
            Self::Claim { done, .. } => drop(done.send(Err(storage()))),
            Self::Compact { done, .. } => drop(done.send(Err(storage()))),
            // Nothing is half-decided: the transaction is over.
            Self::Barrier { done } => drop(done.send(())),
        }
    }
}

fn now_ms() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
