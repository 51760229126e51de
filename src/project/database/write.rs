//! How rows and the offsets behind them get into the tables, as one.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;

use super::{
    Database, Offsets,
    columns::{TABLES, Table},
};
use crate::{
    bus::{Record, Topic},
    project::{
        ProjectError,
        row::{Batch, Projected, Row, logged_at},
    },
};

/// How long one transaction may take. A database that went away silently is noticed by it.
const WRITE_LIMIT: Duration = Duration::from_secs(60);

/// What one write came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Written {
    /// Rows, by topic. Records of people who were erased are none.
    pub rows: BTreeMap<Topic, u64>,
    /// Records that are no rows, by topic.
    pub refused: BTreeMap<Topic, u64>,
    /// Transactions.
    pub transactions: u64,
}

impl Written {
    /// Both together.
    pub fn add(&mut self, more: &Self) {
        for (here, there) in [(&mut self.rows, &more.rows), (&mut self.refused, &more.refused)] {
            for (topic, count) in there {
                *here.entry(*topic).or_default() += count;
            }
        }
        self.transactions += more.transactions;
    }
}

/// A partition's next offset, and where it is expected to be before.
#[derive(Debug, Clone, Copy)]
pub struct Move {
    /// The topic.
    pub topic: Topic,
    /// The partition.
    pub partition: i32,
    /// The offset that is expected.
    pub from: i64,
    /// The next one.
    pub to: i64,
}

/// What came of one transaction.
#[derive(Debug)]
pub enum Put {
    /// It is committed.
    Written(Written),
    /// The offsets are others than expected, and nothing was written.
    Stale,
    /// Nothing was written: the database cannot keep what is in a row, and says why.
    Unstorable(String),
}

impl Database {
    /// Writes what becomes of these records and moves the offsets behind them, all or nothing, and moves `known` with them.
    /// Records of one partition are in order, and none before the last batch's.
    ///
    /// A row that the database refuses for what is in it is kept as refused; the others are written.
    ///
    /// # Errors
    /// [`ProjectError::Stale`] where the offsets are not those that are known; [`ProjectError::Database`].
    pub async fn write(&mut self, known: &mut Offsets, batch: Batch) -> Result<Written, ProjectError> {
        let mut all = Written::default();
        // Halves that are not written yet, the first at the end.
        let mut waiting = vec![batch];
        while let Some(mut batch) = waiting.pop() {
            let moves = moves(known, &batch);
            let Ok(put) = tokio::time::timeout(WRITE_LIMIT, self.put(&moves, &batch)).await else {
                let why = format!("no answer within {} s", WRITE_LIMIT.as_secs());
                return Err(ProjectError::Database { at: self.describe().to_owned(), why });
            };
            match put? {
                Put::Written(written) => {
                    known.extend(moves.iter().map(|moved| ((moved.topic, moved.partition), moved.to)));
                    all.add(&written);
                }
                Put::Stale => return Err(ProjectError::Stale { at: self.describe().to_owned() }),
                Put::Unstorable(reason) if batch.len() == 1 => {
                    batch[0].1 = Projected::Refused { class: "unstorable", reason };
                    waiting.push(batch);
                }
                Put::Unstorable(_) => {
                    let second = batch.split_off(batch.len() / 2);
                    waiting.extend([second, batch]);
                }
            }
        }
        Ok(all)
    }
}

fn moves(known: &Offsets, batch: &[(Record, Projected)]) -> Vec<Move> {
    let ends: Offsets = batch.iter().map(|(record, _)| ((record.topic, record.partition), record.offset + 1)).collect();
    let from = |place| known.get(place).copied().unwrap_or_default();
    ends.iter().map(|(place, to)| Move { topic: place.0, partition: place.1, from: from(place), to: *to }).collect()
}

/// A record that is no row.
pub(super) struct Refusal<'a> {
    pub(super) record: &'a Record,
    pub(super) logged_at: String,
    pub(super) class: &'a str,
    pub(super) reason: &'a str,
}

/// What is done within a transaction.
#[async_trait]
pub(super) trait Writing: Send {
    /// Moves the offsets that are where they are expected; how many.
    async fn move_offsets(&mut self, moves: &[Move]) -> Result<u64, sqlx::Error>;
    /// Inserts the rows that are no erased person's; returns how many.
    async fn insert(&mut self, table: &Table, rows: &[&Row]) -> Result<u64, sqlx::Error>;
    async fn refuse(&mut self, refusal: &Refusal<'_>) -> Result<(), sqlx::Error>;
    /// Notes that these people are erased, and deletes their rows.
    async fn forget(&mut self, users: &[String]) -> Result<(), sqlx::Error>;
}

/// All that one transaction does; none where the offsets are others than expected.
pub(super) async fn fill(
    transaction: &mut impl Writing,
    moves: &[Move],
    batch: &[(Record, Projected)],
) -> Result<Option<Written>, sqlx::Error> {
    // The offsets first: they lock out every other writer of these partitions, and a stale one writes nothing.
    if transaction.move_offsets(moves).await? != moves.len() as u64 {
        return Ok(None);
    }
    let mut written = Written { transactions: 1, ..Written::default() };
    for table in &TABLES {
        let of_table = batch.iter().filter(|(record, _)| record.topic == table.topic);
        let rows: Vec<&Row> = of_table
            .filter_map(|(_, projected)| if let Projected::Row(row) = projected { Some(&**row) } else { None })
            .collect();
        let count = if rows.is_empty() { 0 } else { transaction.insert(table, &rows).await? };
        *written.rows.entry(table.topic).or_default() += count;
    }
    let mut users = Vec::new();
    for (record, projected) in batch {
        match projected {
            Projected::Refused { class, reason } => {
                transaction.refuse(&Refusal { record, logged_at: logged_at(record), class, reason }).await?;
                *written.refused.entry(record.topic).or_default() += 1;
            }
            Projected::Forget(user) => users.push(user.clone()),
            Projected::Row(_) => {}
        }
    }
    if !users.is_empty() {
        transaction.forget(&users).await?;
    }
    Ok(Some(written))
}
