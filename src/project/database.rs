//! The tables: how they are made, how rows and offsets get into them as one, and how rows come out again.
//!
//! Everything goes over one connection, because the lock that says who projects belongs to it.

use std::{collections::BTreeMap, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Row as _, SqlSafeStr as _,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    postgres::{PgConnectOptions, PgRow, PgTransaction},
};

use super::{
    ProjectError,
    row::{Projected, Row, TOPICS},
};
use crate::bus::{Record, Topic};

/// How long opening a connection may take.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
/// How long one transaction may take. A database that went away silently is noticed by it.
const WRITE_LIMIT: Duration = Duration::from_secs(60);
/// The lock of whoever projects.
const LOCK: i64 = 4_711_021;
/// The lock of whoever makes the tables.
const MAKING: i64 = 4_711_022;

const HISTORY: &str = include_str!("migrations/0001_history.sql");
const PLAIN: &str = include_str!("migrations/plain.sql");
const TIMESCALE: &str = include_str!("migrations/timescale.sql");

/// What a table calls a row's fields.
struct Table {
    topic: Topic,
    name: &'static str,
    /// Fields of [`ARRAYS`] and the columns they go into.
    columns: &'static [(&'static str, &'static str)],
}

/// The fields of a row, in the order in which they are bound, with their types in the statement.
const ARRAYS: [(&str, &str); 17] = [
    ("at", "text"),
    ("logged_at", "text"),
    ("log_partition", "int"),
    ("log_offset", "bigint"),
    ("event_id", "text"),
    ("user_id", "text"),
    ("kind", "text"),
    ("name", "text"),
    ("version", "text"),
    ("severity", "float8"),
    ("rank", "float8"),
    ("cause", "text"),
    ("cause_kind", "text"),
    ("conversation", "text"),
    ("turn", "bigint"),
    ("body", "text"),
    ("rest", "text"),
];

/// Columns that all tables have under one name.
const SHARED: [&str; 7] = ["at", "logged_at", "log_partition", "log_offset", "event_id", "user_id", "rest"];

const TABLES: [Table; 4] = [
    Table {
        topic: Topic::Biometrics,
        name: "auren_biometrics",
        columns: &[
            ("kind", "event_type"),
            ("name", "measure"),
            ("severity", "severity"),
            ("rank", "percentile_rank"),
            ("body", "token"),
        ],
    },
    Table {
        topic: Topic::Triggers,
        name: "auren_triggers",
        columns: &[
            ("kind", "trigger_type"),
            ("name", "rule_id"),
            ("version", "rule_version"),
            ("severity", "severity"),
            ("body", "message"),
        ],
    },
    Table {
        topic: Topic::Events,
        name: "auren_conversation_events",
        columns: &[
            ("kind", "message_type"),
            ("name", "specialist_id"),
            ("version", "agent_version"),
            ("severity", "severity"),
            ("cause", "cause_id"),
            ("cause_kind", "cause_type"),
            ("conversation", "conversation_id"),
            ("turn", "turn"),
            ("body", "content"),
        ],
    },
    Table { topic: Topic::System, name: "auren_system_events", columns: &[("kind", "event_type"), ("name", "node")] },
];

/// The next offsets, by topic and partition.
pub type Offsets = BTreeMap<(Topic, i32), i64>;

/// A connection to the history.
#[derive(Debug)]
pub struct Database {
    connection: PgConnection,
    at: String,
}

/// How much of a topic there is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct Held {
    /// Rows.
    pub rows: i64,
    /// Records that are no rows.
    pub refused: i64,
}

impl Database {
    /// Connects, and makes or checks the tables.
    ///
    /// # Errors
    /// [`ProjectError::Database`] where it does not answer, [`ProjectError::Future`] where its tables are newer.
    pub async fn open(url: &str) -> Result<Self, ProjectError> {
        // Never the address as it was given: a password may stand in it.
        let options: PgConnectOptions = url.parse().map_err(|error| failed("project.url", &error))?;
        // A server that hears nothing of a dead projector lets go of its lock.
        let options = options.application_name("auren-project").options([
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
        ]);
        let at = format!(
            "postgres {}:{}/{}",
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_default()
        );
        let connecting = PgConnection::connect_with(&options);
        let connection = match tokio::time::timeout(CONNECT_LIMIT, connecting).await {
            Ok(connection) => connection.map_err(|error| failed(&at, &error))?,
            Err(_) => {
                let why = format!("no connection within {} s", CONNECT_LIMIT.as_secs());
                return Err(ProjectError::Database { at, why });
            }
        };
        let mut database = Self { connection, at };
        database.migrate().await?;
        Ok(database)
    }

    /// The database in words.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.at
    }

    /// Makes what is missing. Whoever comes at the same time waits, because making one thing twice fails, `IF NOT EXISTS`
    /// or not.
    async fn migrate(&mut self) -> Result<(), ProjectError> {
        self.run(&format!("SELECT pg_advisory_lock({MAKING})")).await?;
        self.make().await?;
        self.run(&format!("SELECT pg_advisory_unlock({MAKING})")).await
    }

    async fn make(&mut self) -> Result<(), ProjectError> {
        let history = Migration::new(1, "history".into(), MigrationType::Simple, HISTORY.into_sql_str(), false);
        let mut migrator = Migrator::with_migrations(vec![history]);
        migrator.dangerous_set_table_name("auren_migrations");
        migrator.run_direct(None, &mut self.connection, false).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) => ProjectError::Future { at: self.at.clone(), version },
            error => ProjectError::Database { at: self.at.clone(), why: error.to_string() },
        })?;
        // Views differ with the extension, and may change with it being added: they hold nothing of their own.
        if self.views_stand().await? {
            return Ok(());
        }
        if self.has_timescale().await? {
            self.run("DROP VIEW IF EXISTS auren_user_days, auren_rule_hours").await?;
            // A continuous aggregate cannot be made within a transaction, so each statement goes alone.
            for statement in TIMESCALE.split("\n\n").filter(|statement| !statement.trim().is_empty()) {
                self.run(statement).await?;
            }
            Ok(())
        } else {
            self.run(PLAIN).await
        }
    }

    /// Whether TimescaleDB is there.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn has_timescale(&mut self) -> Result<bool, ProjectError> {
        let asked = "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'";
        Ok(self.number(asked).await? > 0)
    }

    async fn views_stand(&mut self) -> Result<bool, ProjectError> {
        let has_timescale = self.has_timescale().await?;
        let asked = if has_timescale {
            "SELECT count(*) FROM timescaledb_information.continuous_aggregates WHERE view_name = 'auren_rule_hours'"
        } else {
            "SELECT count(to_regclass('auren_rule_hours'))"
        };
        Ok(self.number(asked).await? > 0)
    }

    /// Sets what TimescaleDB does by itself: after how many days rows are compressed, and dropped; never where 0. Without
    /// the extension nothing happens by itself.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn keep(&mut self, compress_after_days: u32, keep_days: u32) -> Result<(), ProjectError> {
        if !self.has_timescale().await? {
            return Ok(());
        }
        for table in ["auren_biometrics", "auren_conversation_events"] {
            self.run(&format!("SELECT remove_compression_policy('{table}', if_exists => true)")).await?;
            if compress_after_days > 0 {
                let days = compress_after_days;
                self.run(&format!("SELECT add_compression_policy('{table}', interval '{days} days')")).await?;
            }
        }
        for table in ["auren_biometrics", "auren_triggers", "auren_conversation_events"] {
            self.run(&format!("SELECT remove_retention_policy('{table}', if_exists => true)")).await?;
            if keep_days > 0 {
                self.run(&format!("SELECT add_retention_policy('{table}', interval '{keep_days} days')")).await?;
            }
        }
        Ok(())
    }

    /// Takes the lock of whoever projects; `false` where somebody else has it.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn claim(&mut self) -> Result<bool, ProjectError> {
        let asked = sqlx::query("SELECT pg_try_advisory_lock($1)").bind(LOCK).fetch_one(&mut self.connection).await;
        asked.and_then(|row| row.try_get(0)).map_err(|error| failed(&self.at, &error))
    }

    /// The next offset of every partition of these, which begin at 0 where they are new.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn offsets(&mut self, places: &[(Topic, i32)]) -> Result<Offsets, ProjectError> {
        let (topics, partitions) = split(places.iter().copied());
        let begin = "INSERT INTO auren_offsets SELECT topic, log_partition, 0 FROM UNNEST($1::text[], $2::int[]) AS \
                     t(topic, log_partition) ON CONFLICT DO NOTHING";
        let begun = sqlx::query(begin).bind(topics).bind(partitions).execute(&mut self.connection).await;
        begun.map_err(|error| failed(&self.at, &error))?;
        self.known_offsets().await
    }

    /// The next offsets that are known.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn known_offsets(&mut self) -> Result<Offsets, ProjectError> {
        let asked = sqlx::query("SELECT topic, log_partition, next FROM auren_offsets");
        let rows = asked.fetch_all(&mut self.connection).await.map_err(|error| failed(&self.at, &error))?;
        let read = |row: &PgRow| -> Result<Option<_>, sqlx::Error> {
            let topic = Topic::named(row.try_get(0)?);
            Ok(topic.map(|topic| row.try_get(1).and_then(|partition| Ok(((topic, partition), row.try_get(2)?)))))
        };
        let read = rows.iter().filter_map(|row| read(row).transpose()).flatten();
        read.collect::<Result<Offsets, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// Writes what became of these records and moves the offsets behind them, all or nothing, and moves `known` with them.
    /// Records of one partition are in order, and none before the last batch's.
    ///
    /// A row that the database refuses for what is in it is kept as refused; the others are written.
    ///
    /// # Errors
    /// [`ProjectError::Stale`] where the offsets are not those that are known; [`ProjectError::Database`].
    pub async fn write(&mut self, known: &mut Offsets, records: &[Record]) -> Result<(), ProjectError> {
        let mut next: Vec<(Record, Projected)> =
            records.iter().map(|record| (record.clone(), Projected::of(record))).collect();
        // Halves that are not written yet, the first at the end.
        let mut waiting = vec![std::mem::take(&mut next)];
        while let Some(mut batch) = waiting.pop() {
            let written = match tokio::time::timeout(WRITE_LIMIT, self.transaction(known, &batch)).await {
                Ok(written) => written,
                Err(_) => {
                    let why = format!("no answer within {} s", WRITE_LIMIT.as_secs());
                    return Err(ProjectError::Database { at: self.at.clone(), why });
                }
            };
            match written {
                Ok(Some(moved)) => known.extend(moved),
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
        Ok(())
    }

    /// One transaction; none where the offsets are others than expected.
    async fn transaction(
        &mut self,
        known: &Offsets,
        batch: &[(Record, Projected)],
    ) -> Result<Option<Offsets>, sqlx::Error> {
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
        for table in &TABLES {
            let rows = batch.iter().filter(|(record, _)| record.topic == table.topic);
            let rows =
                rows.filter_map(|(_, projected)| if let Projected::Row(row) = projected { Some(&**row) } else { None });
            insert(&mut transaction, table, &rows.collect::<Vec<_>>()).await?;
        }
        refuse(&mut transaction, batch).await?;
        let forgotten = batch.iter().filter_map(|(_, projected)| match projected {
            Projected::Forget(user) => Some(user.clone()),
            _ => None,
        });
        forget(&mut transaction, &forgotten.collect::<Vec<_>>()).await?;
        transaction.commit().await?;
        Ok(Some(moved))
    }

    /// The rows of a partition from one offset up to another, in their order.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn rows(&mut self, topic: Topic, partition: i32, from: i64, to: i64) -> Result<Vec<Row>, ProjectError> {
        let Some(table) = TABLES.iter().find(|table| table.topic == topic) else { return Ok(Vec::new()) };
        let asked = format!(
            "SELECT {} FROM {} WHERE log_partition = $1 AND log_offset >= $2 AND log_offset < $3 ORDER BY log_offset",
            selected(table),
            table.name
        );
        let asked = sqlx::query(AssertSqlSafe(asked)).bind(partition).bind(from).bind(to);
        let rows = asked.fetch_all(&mut self.connection).await.map_err(|error| failed(&self.at, &error))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// The rows of these ids, with their topics.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn named(&mut self, topic: Topic, ids: &[String]) -> Result<Vec<Row>, ProjectError> {
        let Some(table) = TABLES.iter().find(|table| table.topic == topic) else { return Ok(Vec::new()) };
        let asked = format!("SELECT {} FROM {} WHERE event_id = ANY($1)", selected(table), table.name);
        let asked = sqlx::query(AssertSqlSafe(asked)).bind(ids.to_vec());
        let rows = asked.fetch_all(&mut self.connection).await.map_err(|error| failed(&self.at, &error))?;
        rows.iter().map(read).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// The offsets of a partition's refused records in a span.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn refused(
        &mut self,
        topic: Topic,
        partition: i32,
        from: i64,
        to: i64,
    ) -> Result<Vec<i64>, ProjectError> {
        let asked = "SELECT log_offset FROM auren_refused WHERE topic = $1 AND log_partition = $2 AND log_offset >= $3 \
                     AND log_offset < $4 ORDER BY log_offset";
        let asked = sqlx::query(asked).bind(topic.name()).bind(partition).bind(from).bind(to);
        let rows = asked.fetch_all(&mut self.connection).await.map_err(|error| failed(&self.at, &error))?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// The people who have been erased.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn erased(&mut self) -> Result<Vec<String>, ProjectError> {
        let asked = sqlx::query("SELECT user_id FROM auren_erased");
        let rows = asked.fetch_all(&mut self.connection).await.map_err(|error| failed(&self.at, &error))?;
        rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// How much of a topic there is.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn held(&mut self, topic: Topic) -> Result<Held, ProjectError> {
        let Some(table) = TABLES.iter().find(|table| table.topic == topic) else {
            return Ok(Held { rows: 0, refused: 0 });
        };
        let rows = self.number(&format!("SELECT count(*) FROM {}", table.name)).await?;
        let refused = format!("SELECT count(*) FROM auren_refused WHERE topic = '{}'", topic.name());
        Ok(Held { rows, refused: self.number(&refused).await? })
    }

    /// Rows of a partition below an offset.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn rows_below(&mut self, topic: Topic, partition: i32, offset: i64) -> Result<i64, ProjectError> {
        let Some(table) = TABLES.iter().find(|table| table.topic == topic) else { return Ok(0) };
        let asked = "SELECT count(*) FROM";
        let table = table.name;
        self.number(&format!("{asked} {table} WHERE log_partition = {partition} AND log_offset < {offset}")).await
    }

    /// Takes all rows away and begins again at the oldest records held. Who has been erased stays erased.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn empty(&mut self) -> Result<(), ProjectError> {
        // One transaction, as several statements of one request are.
        self.run(
            "BEGIN; UPDATE auren_offsets SET next = 0; TRUNCATE auren_biometrics, auren_triggers, \
             auren_conversation_events, auren_system_events, auren_refused; COMMIT",
        )
        .await
    }

    async fn run(&mut self, statements: &str) -> Result<(), ProjectError> {
        let ran = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut self.connection).await;
        ran.map(drop).map_err(|error| failed(&self.at, &error))
    }

    async fn number(&mut self, asked: &str) -> Result<i64, ProjectError> {
        let row = sqlx::query(AssertSqlSafe(asked.to_owned())).fetch_one(&mut self.connection).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| failed(&self.at, &error))
    }
}

async fn insert(transaction: &mut PgTransaction<'_>, table: &Table, rows: &[&Row]) -> Result<(), sqlx::Error> {
    if rows.is_empty() {
        return Ok(());
    }
    let typed = ARRAYS.iter().enumerate().map(|(at, (_, kind))| format!("${}::{kind}[]", at + 1));
    let names = ARRAYS.map(|(name, _)| name).join(", ");
    let taken: Vec<&str> = SHARED.into_iter().chain(table.columns.iter().map(|(field, _)| *field)).collect();
    let taken = taken.into_iter().map(|field| match field {
        "at" | "logged_at" => format!("{field}::timestamptz"),
        "rest" => "rest::jsonb".to_owned(),
        field => field.to_owned(),
    });
    let columns = SHARED.into_iter().chain(table.columns.iter().map(|(_, column)| *column));
    let statement = format!(
        "INSERT INTO {} ({}) SELECT {} FROM UNNEST({}) AS r({names}) WHERE NOT EXISTS (SELECT FROM auren_erased e WHERE \
         e.user_id = r.user_id)",
        table.name,
        columns.collect::<Vec<_>>().join(", "),
        taken.collect::<Vec<_>>().join(", "),
        typed.collect::<Vec<_>>().join(", ")
    );
    fn all<'a, T>(rows: &[&'a Row], field: impl Fn(&'a Row) -> T) -> Vec<T> {
        rows.iter().map(|row| field(row)).collect()
    }
    sqlx::query(AssertSqlSafe(statement))
        .bind(all(rows, |row| row.at.as_str()))
        .bind(all(rows, |row| row.logged_at.as_str()))
        .bind(all(rows, |row| row.partition))
        .bind(all(rows, |row| row.offset))
        .bind(all(rows, |row| row.event_id.as_str()))
        .bind(all(rows, |row| row.user_id.as_deref()))
        .bind(all(rows, |row| row.kind.as_str()))
        .bind(all(rows, |row| row.name.as_deref()))
        .bind(all(rows, |row| row.version.as_deref()))
        .bind(all(rows, |row| row.severity))
        .bind(all(rows, |row| row.rank))
        .bind(all(rows, |row| row.cause.as_deref()))
        .bind(all(rows, |row| row.cause_kind.as_deref()))
        .bind(all(rows, |row| row.conversation.as_deref()))
        .bind(all(rows, |row| row.turn))
        .bind(all(rows, |row| row.text.as_deref()))
        .bind(all(rows, |row| row.rest.to_string()))
        .execute(&mut **transaction)
        .await
        .map(drop)
}

async fn refuse(transaction: &mut PgTransaction<'_>, batch: &[(Record, Projected)]) -> Result<(), sqlx::Error> {
    let statement = "INSERT INTO auren_refused VALUES ($1, $2, $3, $4::timestamptz, $5, $6)";
    for (record, projected) in batch {
        if let Projected::Refused { class, reason } = projected {
            let refused = sqlx::query(statement).bind(record.topic.name()).bind(record.partition).bind(record.offset);
            let refused = refused.bind(super::row::logged_at(record)).bind(class).bind(reason);
            refused.execute(&mut **transaction).await?;
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

/// The fields of a row in the order of [`ARRAYS`], as a table has them.
fn selected(table: &Table) -> String {
    let field = |(field, kind): &(&str, &str)| {
        let column = table.columns.iter().find(|(name, _)| name == field).map(|(_, column)| *column);
        match (*field, column) {
            ("at" | "logged_at", _) => {
                format!("to_char({field} AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"')")
            }
            ("rest", _) => "rest::text".to_owned(),
            (shared, _) if SHARED.contains(&shared) => shared.to_owned(),
            (_, Some(column)) => column.to_owned(),
            (_, None) => format!("NULL::{kind}"),
        }
    };
    ARRAYS.iter().map(field).collect::<Vec<_>>().join(", ")
}

fn read(row: &PgRow) -> Result<Row, sqlx::Error> {
    let rest: String = row.try_get(16)?;
    Ok(Row {
        at: row.try_get(0)?,
        logged_at: row.try_get(1)?,
        partition: row.try_get(2)?,
        offset: row.try_get(3)?,
        event_id: row.try_get(4)?,
        user_id: row.try_get(5)?,
        kind: row.try_get(6)?,
        name: row.try_get(7)?,
        version: row.try_get(8)?,
        severity: row.try_get(9)?,
        rank: row.try_get(10)?,
        cause: row.try_get(11)?,
        cause_kind: row.try_get(12)?,
        conversation: row.try_get(13)?,
        turn: row.try_get(14)?,
        text: row.try_get(15)?,
        rest: serde_json::from_str(&rest).map_err(|error| sqlx::Error::Decode(error.into()))?,
    })
}

fn split(places: impl Iterator<Item = (Topic, i32)>) -> (Vec<&'static str>, Vec<i32>) {
    places.map(|(topic, partition)| (topic.name(), partition)).unzip()
}

/// The SQLSTATE of an error that is about what a row holds.
fn data_fault(error: &sqlx::Error) -> Option<String> {
    let code = error.as_database_error()?.code()?;
    code.starts_with("22").then(|| code.into_owned())
}

/// What the database said. Details are left out: they may repeat what a row holds.
fn failed(at: &str, error: &sqlx::Error) -> ProjectError {
    let why = match error.as_database_error() {
        // Messages of this class repeat what could not be read.
        Some(database) if database.code().is_some_and(|code| code.starts_with("22")) => {
            format!("a value was refused (SQLSTATE {})", database.code().unwrap_or_default())
        }
        Some(database) => database.message().to_owned(),
        None => error.to_string(),
    };
    ProjectError::Database { at: at.to_owned(), why }
}

/// The partitions of every topic that becomes rows.
pub(super) fn places(partitions: i32) -> Vec<(Topic, i32)> {
    TOPICS.iter().flat_map(|topic| (0..partitions).map(|partition| (*topic, partition))).collect()
}
