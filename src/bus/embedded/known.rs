//! What the writer knows of the file, and what it makes of a job: places for records, or a refusal.
//!
//! It alone gives out offsets. What it knows holds as long as nobody else writes to the file.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sqlx::{Error, Row, SqliteConnection};

use super::{
    group::Pass,
    job::{Answer, Job},
    log::{self, Numbered},
    place,
    tide::{Ends, Tide},
};
use crate::bus::{BusError, Cleanup, Cursor, Outgoing, Topic, TopicInfo, TopicSpec, Transaction, key_partition};

/// What the writer knows of the file, as long as nobody else writes to it.
#[derive(Default)]
pub(super) struct Known {
    pub(super) version: Option<i64>,
    topics: Vec<Numbered>,
    pub(super) ends: BTreeMap<Topic, Ends>,
    /// The epoch of every group that was looked up.
    epochs: HashMap<String, i64>,
}

/// What one transaction writes besides what was written at once.
#[derive(Default)]
pub(super) struct Pending<'a> {
    pub(super) rows: Vec<(i64, &'a Outgoing)>,
    pub(super) offsets: BTreeMap<(String, i64), i64>,
    pub(super) touched: BTreeSet<Topic>,
}

impl Known {
    /// Reads topics and ends anew if another connection has written since they were read.
    pub(super) async fn refresh(&mut self, connection: &mut SqliteConnection, tide: &Tide) -> Result<(), Error> {
        let version: i64 = sqlx::query("PRAGMA data_version").fetch_one(&mut *connection).await?.try_get(0)?;
        if self.version == Some(version) {
            return Ok(());
        }
        self.version = None;
        self.epochs.clear();
        self.topics = log::topics(&mut *connection).await?;
        for (topic, marks) in log::marks(connection, &self.topics).await? {
            let ends = log::ends(&marks);
            tide.raise(topic, &ends);
            self.ends.insert(topic, ends);
        }
        self.version = Some(version);
        Ok(())
    }

    pub(super) async fn plan<'a>(
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
