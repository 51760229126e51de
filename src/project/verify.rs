//! Compares rows with the log, event by event, in the order of the log and a batch at a time, so that it takes the same
//! memory for any history.

use std::collections::{BTreeMap, HashSet};

use serde_json::Value;

use super::{
    Database, ProjectError,
    row::{Projected, Row, TOPICS},
};
use crate::bus::{Cursor, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic};

/// What came of comparing one topic.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize)]
pub struct Compared {
    /// Committed records in the log, up to the database's offsets.
    pub records: u64,
    /// Of them, rows that say the same.
    pub equal: u64,
    /// Of them, records that are refused.
    pub refused: u64,
    /// Of them, records that ask to forget somebody, or that are an erased person's.
    pub forgotten: u64,
    /// Records without a row.
    pub missing: u64,
    /// Rows that say something else than their record.
    pub different: u64,
    /// Rows without a record, a second row of one included.
    pub extra: u64,
    /// Committed records behind the database's offsets.
    pub behind: u64,
    /// The first few faults: what, and where.
    pub faults: Vec<String>,
}

/// Most faults that are named one by one.
const NAMED: usize = 20;

impl Compared {
    /// How many differences there are.
    #[must_use]
    pub fn differences(&self) -> u64 {
        self.missing + self.different + self.extra
    }

    fn fault(&mut self, what: &str, topic: Topic, at: Cursor) {
        if self.faults.len() < NAMED {
            self.faults.push(format!("{what}: {topic} {at}"));
        }
    }
}

/// Compares the rows of every topic with what is committed there up to the database's offsets. Rows of records that the
/// log has forgotten cannot be compared.
///
/// # Errors
/// [`ProjectError`] where the log or the database does not answer; nothing was judged then.
pub async fn verify(bus: &SharedBus, database: &mut Database) -> Result<BTreeMap<Topic, Compared>, ProjectError> {
    let known = database.known_offsets().await?;
    let erased: HashSet<String> = database.erased().await?.into_iter().collect();
    let mut all = BTreeMap::new();
    for topic in TOPICS {
        let mut compared = Compared::default();
        let mut checked: BTreeMap<i32, i64> = BTreeMap::new();
        for (partition, (low, _)) in bus.watermarks(topic).await? {
            checked.insert(partition, low);
        }
        let mut batches =
            bus.read(Read { topic, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::End });
        while let Some(batch) = batches.recv().await {
            let mut by_partition: BTreeMap<i32, Vec<Record>> = BTreeMap::new();
            for record in batch? {
                let next = known.get(&(topic, record.partition)).copied().unwrap_or_default();
                if record.offset < next {
                    by_partition.entry(record.partition).or_default().push(record);
                } else {
                    compared.behind += 1;
                }
            }
            for (partition, records) in by_partition {
                let from = checked.get(&partition).copied().unwrap_or_default();
                let to = records.last().map_or(from, |record| record.offset + 1);
                compare(database, topic, partition, (from, to), &records, &erased, &mut compared).await?;
                checked.insert(partition, to);
            }
        }
        // What stands behind the last record.
        for (partition, from) in checked {
            let to = known.get(&(topic, partition)).copied().unwrap_or_default();
            compare(database, topic, partition, (from, to), &[], &erased, &mut compared).await?;
        }
        all.insert(topic, compared);
    }
    Ok(all)
}

async fn compare(
    database: &mut Database,
    topic: Topic,
    partition: i32,
    (from, to): (i64, i64),
    records: &[Record],
    erased: &HashSet<String>,
    compared: &mut Compared,
) -> Result<(), ProjectError> {
    let refused: HashSet<i64> = database.refused(topic, partition, from, to).await?.into_iter().collect();
    let mut rows = database.rows(topic, partition, from, to).await?.into_iter().peekable();
    for record in records {
        compared.records += 1;
        let at = record.cursor();
        while let Some(row) = rows.next_if(|row| row.offset < record.offset) {
            compared.extra += 1;
            compared.fault("a row without a record", topic, Cursor { partition, offset: row.offset });
        }
        let row = rows.next_if(|row| row.offset == record.offset);
        match (Projected::of(record), row) {
            (Projected::Row(due), Some(row)) if same(&due, &row) && !is_erased(&due, erased) => compared.equal += 1,
            (_, Some(_)) => {
                compared.different += 1;
                compared.fault("a row that says something else", topic, at);
            }
            (Projected::Forget(_), None) => compared.forgotten += 1,
            (Projected::Row(due), None) if is_erased(&due, erased) => compared.forgotten += 1,
            (_, None) if refused.contains(&record.offset) => compared.refused += 1,
            (_, None) => {
                compared.missing += 1;
                compared.fault("no row", topic, at);
            }
        }
    }
    for row in rows {
        compared.extra += 1;
        compared.fault("a row without a record", topic, Cursor { partition, offset: row.offset });
    }
    Ok(())
}

fn is_erased(row: &Row, erased: &HashSet<String>) -> bool {
    row.user_id.as_ref().is_some_and(|user| erased.contains(user))
}

/// Whether two rows say the same. `jsonb` writes numbers its own way.
fn same(due: &Row, row: &Row) -> bool {
    fn alike(one: &Value, other: &Value) -> bool {
        match (one, other) {
            (Value::Number(one), Value::Number(other)) => one == other || one.as_f64() == other.as_f64(),
            (Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().zip(other).all(|(one, other)| alike(one, other))
            }
            (Value::Object(one), Value::Object(other)) => {
                one.len() == other.len()
                    && one.iter().all(|(name, one)| other.get(name).is_some_and(|other| alike(one, other)))
            }
            (one, other) => one == other,
        }
    }
    alike(&due.rest, &row.rest) && Row { rest: Value::Null, ..due.clone() } == Row { rest: Value::Null, ..row.clone() }
}

/// What of the history a rebuild would lose, because the log has forgotten it: rows of each topic.
///
/// # Errors
/// [`ProjectError`].
pub async fn only_here(bus: &SharedBus, database: &mut Database) -> Result<BTreeMap<Topic, i64>, ProjectError> {
    let mut lost = BTreeMap::new();
    for topic in TOPICS {
        let mut rows = 0;
        for (partition, (low, _)) in bus.watermarks(topic).await? {
            rows += database.rows_below(topic, partition, low).await?;
        }
        lost.insert(topic, rows);
    }
    Ok(lost)
}
