//! The SQL of the log: what is written and read, and how a row becomes a record. It knows no tasks and no groups.

use std::collections::BTreeMap;

use bytes::Bytes;
use futures::TryStreamExt;
use sqlx::{
    Arguments, AssertSqlSafe, Error, Row, SqliteConnection, SqliteExecutor,
    sqlite::{SqliteArguments, SqliteRow},
};

use super::{job::Clean, place, tide::Ends};
use crate::bus::{Headers, Outgoing, Record, Topic, TopicInfo};

/// A fetch stops behind this many bytes, so that large records make small batches.
const FETCH_BYTES: usize = 8 * 1024 * 1024;

/// Rows of one insert; few sizes, so that every statement stays prepared.
const CHUNKS: [usize; 4] = [256, 64, 8, 1];

/// A topic as the file knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Numbered {
    pub(super) info: TopicInfo,
    /// The number in the places of its records.
    pub(super) number: i64,
}

/// The topics of the file that this program knows.
pub(super) async fn topics(file: impl SqliteExecutor<'_>) -> Result<Vec<Numbered>, Error> {
    let rows = sqlx::query("SELECT number, name, partitions FROM topics ORDER BY number").fetch_all(file).await?;
    let mut topics = Vec::with_capacity(rows.len());
    for row in rows {
        // A topic of a later version is none of this one's business.
        if let Some(topic) = Topic::named(row.try_get(1)?) {
            topics.push(Numbered { info: TopicInfo { topic, partitions: row.try_get(2)? }, number: row.try_get(0)? });
        }
    }
    topics.sort_by_key(|numbered| numbered.info.topic);
    Ok(topics)
}

/// The first offset held and the next to be written, of every partition of these topics.
pub(super) async fn marks(
    file: &mut SqliteConnection,
    topics: &[Numbered],
) -> Result<BTreeMap<Topic, Vec<(i64, i64)>>, Error> {
    // The newest record of a partition is never deleted, so the log itself says where it ends.
    const MARKS: &str = "SELECT base, \
        (SELECT min(place) FROM log WHERE place >= base AND place < base + 1099511627776), \
        (SELECT max(place) FROM log WHERE place >= base AND place < base + 1099511627776) \
        FROM partitions WHERE base >= ? AND base < ? ORDER BY base";
    let mut all = BTreeMap::new();
    for numbered in topics {
        let rows = sqlx::query(MARKS)
            .bind(place::base(numbered.number, 0))
            .bind(place::base(numbered.number + 1, 0))
            .fetch_all(&mut *file)
            .await?;
        let marks = rows.iter().map(|row| {
            let first: Option<i64> = row.try_get(1)?;
            let last: Option<i64> = row.try_get(2)?;
            Ok((first.map_or(0, place::offset), last.map_or(0, |last| place::offset(last) + 1)))
        });
        all.insert(numbered.info.topic, marks.collect::<Result<Vec<_>, Error>>()?);
    }
    Ok(all)
}

/// The ends alone.
pub(super) fn ends(marks: &[(i64, i64)]) -> Ends {
    marks.iter().map(|(_, end)| *end).collect()
}

/// Appends records at the places given. The caller holds a transaction.
pub(super) async fn append(
    file: &mut SqliteConnection,
    timestamp_ms: i64,
    rows: &[(i64, &Outgoing)],
) -> Result<(), Error> {
    let mut rest = rows;
    while !rest.is_empty() {
        let size = CHUNKS.iter().copied().find(|size| *size <= rest.len()).unwrap_or(1);
        let (chunk, behind) = rest.split_at(size);
        rest = behind;
        let mut arguments = SqliteArguments::default();
        arguments.reserve(size * 5, 0);
        for (at, record) in chunk {
            bind(&mut arguments, *at)?;
            bind(&mut arguments, timestamp_ms)?;
            bind(&mut arguments, record.key.as_deref())?;
            bind(&mut arguments, headers_out(&record.headers)?)?;
            bind(&mut arguments, record.payload.as_deref())?;
        }
        let sql =
            values("INSERT INTO log (place, timestamp_ms, key, headers, payload) VALUES ", "(?,?,?,?,?)", size, "");
        sqlx::query_with(AssertSqlSafe(sql), arguments).execute(&mut *file).await?;
    }
    Ok(())
}

/// Saves the offsets of consumer groups. The caller holds a transaction.
pub(super) async fn save_offsets(
    file: &mut SqliteConnection,
    offsets: &BTreeMap<(String, i64), i64>,
) -> Result<(), Error> {
    let all: Vec<_> = offsets.iter().collect();
    let mut rest = all.as_slice();
    while !rest.is_empty() {
        let size = CHUNKS.iter().copied().find(|size| *size <= rest.len()).unwrap_or(1);
        let (chunk, behind) = rest.split_at(size);
        rest = behind;
        let mut arguments = SqliteArguments::default();
        for ((group, base), offset) in chunk {
            bind(&mut arguments, group.as_str())?;
            bind(&mut arguments, *base)?;
            bind(&mut arguments, *offset)?;
        }
        let sql = values(
            "INSERT INTO committed (member_group, base, next_offset) VALUES ",
            "(?,?,?)",
            size,
            " ON CONFLICT (member_group, base) DO UPDATE SET next_offset = excluded.next_offset",
        );
        sqlx::query_with(AssertSqlSafe(sql), arguments).execute(&mut *file).await?;
    }
    Ok(())
}

/// The committed offsets of a group in one topic, by partition.
pub(super) async fn committed(
    file: impl SqliteExecutor<'_>,
    group: &str,
    number: i64,
) -> Result<BTreeMap<i32, i64>, Error> {
    let rows = sqlx::query(
        "SELECT base, next_offset FROM committed WHERE member_group = ? AND base >= ? AND base < ? ORDER BY base",
    )
    .bind(group)
    .bind(place::base(number, 0))
    .bind(place::base(number + 1, 0))
    .fetch_all(file)
    .await?;
    rows.iter().map(|row| Ok((place::partition(row.try_get(0)?), row.try_get(1)?))).collect()
}

/// Deletes records by place. The caller holds a transaction.
pub(super) async fn forget(file: &mut SqliteConnection, places: &[i64]) -> Result<(), Error> {
    let mut rest = places;
    while !rest.is_empty() {
        let size = CHUNKS.iter().copied().find(|size| *size <= rest.len()).unwrap_or(1);
        let (chunk, behind) = rest.split_at(size);
        rest = behind;
        let mut arguments = SqliteArguments::default();
        for at in chunk {
            bind(&mut arguments, *at)?;
        }
        let sql = values("DELETE FROM log WHERE place IN (", "?", size, ")");
        sqlx::query_with(AssertSqlSafe(sql), arguments).execute(&mut *file).await?;
    }
    Ok(())
}

/// Says how far a compacted partition is clean. The caller holds a transaction.
pub(super) async fn save_clean(file: &mut SqliteConnection, clean: &Clean) -> Result<(), Error> {
    sqlx::query(
        "INSERT INTO compacted (base, clean_end, kept) VALUES (?, ?, ?) \
         ON CONFLICT (base) DO UPDATE SET clean_end = excluded.clean_end, kept = excluded.kept",
    )
    .bind(clean.base)
    .bind(clean.end)
    .bind(clean.kept)
    .execute(file)
    .await?;
    Ok(())
}

/// Enters the partitions of a new topic. The caller holds a transaction.
pub(super) async fn create_partitions(file: &mut SqliteConnection, number: i64, partitions: i32) -> Result<(), Error> {
    for partition in 0..partitions {
        sqlx::query("INSERT INTO partitions (base) VALUES (?)")
            .bind(place::base(number, partition))
            .execute(&mut *file)
            .await?;
    }
    Ok(())
}

/// Records of one partition in order, from one place to before another: at most `limit`, and few where they are large.
/// The answer's flag says whether everything up to `to` was read.
pub(super) async fn fetch(
    file: &mut SqliteConnection,
    topic: Topic,
    from: i64,
    to: i64,
    limit: usize,
    records: &mut Vec<Record>,
) -> Result<bool, Error> {
    // The connection's thread reads ahead of this one by a buffer of rows; rows that may be huge are asked for singly.
    let limit = if topic.max_record_bytes() > 1024 * 1024 { limit.min(8) } else { limit };
    let mut rows = sqlx::query(
        "SELECT place, timestamp_ms, key, headers, payload FROM log WHERE place >= ? AND place < ? ORDER BY place LIMIT ?",
    )
    .bind(from)
    .bind(to)
    .bind(i64::try_from(limit).unwrap_or(i64::MAX))
    .fetch(file);
    let (mut count, mut bytes) = (0, 0);
    while let Some(row) = rows.try_next().await? {
        let record = record(topic, &row)?;
        bytes += record.payload.as_ref().map_or(0, Bytes::len);
        records.push(record);
        count += 1;
        if bytes >= FETCH_BYTES {
            return Ok(false);
        }
    }
    Ok(count < limit)
}

fn record(topic: Topic, row: &SqliteRow) -> Result<Record, Error> {
    let at: i64 = row.try_get_unchecked(0)?;
    let bytes = |column: usize| -> Result<Option<Bytes>, Error> {
        Ok(row.try_get_unchecked::<Option<&[u8]>, _>(column)?.map(Bytes::copy_from_slice))
    };
    Ok(Record {
        topic,
        partition: place::partition(at),
        offset: place::offset(at),
        timestamp_ms: row.try_get_unchecked(1)?,
        key: bytes(2)?,
        headers: headers_in(bytes(3)?)?,
        payload: bytes(4)?,
    })
}

/// Headers in postcard: a count, then each name and value behind its length. None where there are none.
fn headers_out(headers: &Headers) -> Result<Option<Vec<u8>>, Error> {
    if headers.is_empty() {
        return Ok(None);
    }
    let plain: Vec<(&str, &[u8])> = headers.iter().map(|(name, value)| (name.as_ref(), value.as_ref())).collect();
    postcard::to_stdvec(&plain).map(Some).map_err(|error| Error::Encode(Box::new(error)))
}

fn headers_in(column: Option<Bytes>) -> Result<Headers, Error> {
    let Some(column) = column else { return Ok(Headers::new()) };
    let plain: Vec<(&str, &[u8])> = postcard::from_bytes(&column).map_err(|error| Error::Decode(Box::new(error)))?;
    Ok(plain.into_iter().map(|(name, value)| (name.to_owned().into(), column.slice_ref(value))).collect())
}

fn bind<'t, T>(arguments: &mut SqliteArguments, value: T) -> Result<(), Error>
where
    T: sqlx::Encode<'t, sqlx::Sqlite> + sqlx::Type<sqlx::Sqlite>,
{
    Arguments::add(arguments, value).map_err(Error::Encode)
}

fn values(head: &str, row: &str, count: usize, tail: &str) -> String {
    let mut sql = String::with_capacity(head.len() + (row.len() + 1) * count + tail.len());
    sql.push_str(head);
    for index in 0..count {
        if index > 0 {
            sql.push(',');
        }
        sql.push_str(row);
    }
    sql.push_str(tail);
    sql
}
