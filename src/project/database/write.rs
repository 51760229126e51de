//! How rows and the offsets behind them get into the tables, as one.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{AssertSqlSafe, Connection as _, postgres::PgTransaction};

use super::{
    Database, Offsets,
    columns::{TABLES, insert},
    failed, split,
};
use crate::{
    bus::{Record, Topic},
    project::{
        ProjectError,
        row::{Projected, logged_at},
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

impl Database {
    /// Writes what became of these records and moves the offsets behind them, all or nothing, and moves `known` with them.
    /// Records of one partition are in order, and none before the last batch's.
    ///
    /// A row that the database refuses for what is in it is kept as refused; the others are written.
    ///
    /// # Errors
    /// [`ProjectError::Stale`] where the offsets are not those that are known; [`ProjectError::Database`].
    pub async fn write(&mut self, known: &mut Offsets, records: &[Record]) -> Result<Written, ProjectError> {
        let batch: Vec<_> = records.iter().map(|record| (record.clone(), Projected::of(record))).collect();
        let mut all = Written::default();
        // Halves that are not written yet, the first at the end.
        let mut waiting = vec![batch];
        while let Some(mut batch) = waiting.pop() {
            let written = match tokio::time::timeout(WRITE_LIMIT, self.transaction(known, &batch)).await {
                Ok(written) => written,
                Err(_) => {
                    let why = format!("no answer within {} s", WRITE_LIMIT.as_secs());
                    return Err(ProjectError::Database { at: self.at.clone(), why });
                }
            };
            match written {
                Ok(Some((moved, written))) => {
                    known.extend(moved);
                    all.add(&written);
                }
                Ok(None) => return Err(ProjectError::Stale { at: self.at.clone() }),
                Err(error) => match data_fault(&error) {
                    Some(code) if batch.len() == 1 => {
                        let reason = format!("PostgreSQL cannot keep what is in it (SQLSTATE {code})");
                        batch[0].1 = Projected::Refused { class: "unstorable", reason };
                        waiting.push(batch);
                    }
                    Some(_) => {
                        let second = batch.split_off(batch.len() / 2);
                        waiting.extend([second, batch]);
                    }
                    None => return Err(failed(&self.at, &error)),
                },
            }
        }
        Ok(all)
    }

    /// One transaction; none where the offsets are others than expected.
    async fn transaction(
        &mut self,
        known: &Offsets,
        batch: &[(Record, Projected)],
    ) -> Result<Option<(Offsets, Written)>, sqlx::Error> {
        let mut moved = Offsets::new();
        for (record, _) in batch {
            moved.insert((record.topic, record.partition), record.offset + 1);
        }
        let mut transaction = self.connection.begin().await?;
        // The offsets first: they lock out every other writer of these partitions, and a stale one writes nothing.
        let (topics, partitions) = split(moved.keys().copied());
        let expected: Vec<i64> = moved.keys().map(|place| known.get(place).copied().unwrap_or_default()).collect();
        let next: Vec<i64> = moved.values().copied().collect();
        let moving = "UPDATE auren_offsets o SET next = n.next FROM UNNEST($1::text[], $2::int[], $3::bigint[], \
                      $4::bigint[]) AS n(topic, log_partition, expected, next) WHERE o.topic = n.topic AND \
                      o.log_partition = n.log_partition AND o.next = n.expected";
        let moving = sqlx::query(moving).bind(topics).bind(partitions).bind(expected).bind(next);
        if moving.execute(&mut *transaction).await?.rows_affected() != moved.len() as u64 {
            transaction.rollback().await?;
            return Ok(None);
        }
        let mut written = Written { transactions: 1, ..Written::default() };
        for table in &TABLES {
            let rows = batch.iter().filter(|(record, _)| record.topic == table.topic);
            let rows =
                rows.filter_map(|(_, projected)| if let Projected::Row(row) = projected { Some(&**row) } else { None });
            let rows = insert(&mut transaction, table, &rows.collect::<Vec<_>>()).await?;
            *written.rows.entry(table.topic).or_default() += rows;
        }
        refuse(&mut transaction, batch, &mut written).await?;
        let forgotten = batch.iter().filter_map(|(_, projected)| match projected {
            Projected::Forget(user) => Some(user.clone()),
            _ => None,
        });
        forget(&mut transaction, &forgotten.collect::<Vec<_>>()).await?;
        transaction.commit().await?;
        Ok(Some((moved, written)))
    }
}

async fn refuse(
    transaction: &mut PgTransaction<'_>,
    batch: &[(Record, Projected)],
    written: &mut Written,
) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO auren_refused VALUES ($1, $2, $3, $4::timestamptz, $5, $6)";
    for (record, projected) in batch {
        if let Projected::Refused { class, reason } = projected {
            let refused = sqlx::query(statement).bind(record.topic.name()).bind(record.partition).bind(record.offset);
            let refused = refused.bind(logged_at(record)).bind(class).bind(reason);
            refused.execute(&mut **transaction).await?;
            *written.refused.entry(record.topic).or_default() += 1;
        }
    }
    Ok(())
}

async fn forget(transaction: &mut PgTransaction<'_>, users: &[String]) -> Result<(), sqlx::Error> {
    if users.is_empty() {
        return Ok(());
    }
    let erased = "INSERT INTO auren_erased (user_id) SELECT DISTINCT UNNEST($1::text[]) ON CONFLICT DO NOTHING";
    sqlx::query(erased).bind(users).execute(&mut **transaction).await?;
    for table in &TABLES {
        let statement = format!("DELETE FROM {} WHERE user_id = ANY($1)", table.name);
        sqlx::query(AssertSqlSafe(statement)).bind(users).execute(&mut **transaction).await?;
    }
    Ok(())
}

/// The SQLSTATE of an error that is about what a row holds.
fn data_fault(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    code.starts_with("22").then(|| code.into_owned())
}
