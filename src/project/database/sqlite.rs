//! The history in a file, for one node: beside the embedded bus, whose writer it must not keep waiting.
//!
//! The lock of whoever projects is one of the operating system, on a file beside it, so that it ends with its process.

use std::{
    ffi::OsString,
    fs,
    path::{Path, PathBuf},
    time::Duration,
};

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, ConnectOptions as _, Connection as _, Row as _, SqlSafeStr as _, Sqlite, SqlitePool,
    migrate::{MigrateError, Migration, MigrationType, Migrator},
    sqlite::{
        SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteRow, SqliteSynchronous, SqliteTransaction,
    },
};

use super::{
    NEWEST, Offsets,
    columns::{FIELDS, TABLES, Table, insert, read, selected, table_of},
    dialect::Dialect,
    pages::{Conversation, Order, Place, Wanted},
    read::{Held, reading},
    readers::{Connected, IDLE},
    store::Store,
    write::{Move, Put, Refusal, Writing, fill},
};
use crate::{
    bus::{Record, Topic},
    project::{
        ProjectError,
        row::{Projected, Row},
    },
    sqlite,
};

/// How long a statement waits for another process's lock.
const BUSY_LIMIT: Duration = Duration::from_secs(10);
/// How often the tables are tried to be made, and the pause in between.
const MAKE_ATTEMPTS: u32 = 10;
const MAKE_PAUSE: Duration = Duration::from_millis(100);
const HISTORY: &str = include_str!("../migrations/sqlite.sql");

/// A connection to a file.
#[derive(Debug)]
pub(super) struct File {
    pub(super) connection: Connected<Sqlite>,
    pub(super) at: String,
    file: PathBuf,
    /// Locked where this one projects.
    claimed: Option<fs::File>,
}

impl File {
    /// Opens a file that is made where it does not exist.
    pub(super) async fn connect(file: &Path, at: String) -> Result<Self, ProjectError> {
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            fs::create_dir_all(folder).map_err(|error| ProjectError::Database {
                at: at.clone(),
                why: format!("its folder cannot be created: {error}"),
            })?;
        }
        // It can be made again from the log, so a power cut may take the last transactions; a kill takes nothing.
        let options = options(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Normal)
            // Rows of people who were erased are overwritten; in the log beside the file by `empty_log`.
            .pragma("secure_delete", "on");
        Self::of(options, file, at).await
    }

    /// Opens a file that is there.
    pub(super) async fn look(file: &Path, at: String) -> Result<Self, ProjectError> {
        if !file.exists() {
            return Err(ProjectError::NoTables { at });
        }
        Self::of(options(file), file, at).await
    }

    async fn of(options: SqliteConnectOptions, file: &Path, at: String) -> Result<Self, ProjectError> {
        let connection = options.connect().await.map_err(|error| failed(&at, &error))?;
        Ok(Self::with(Connected::Own(connection), file, at))
    }

    /// One with this connection.
    pub(super) fn with(connection: Connected<Sqlite>, file: &Path, at: String) -> Self {
        Self { connection, at, file: file.to_owned(), claimed: None }
    }

    fn failed(&self, error: &sqlx::Error) -> ProjectError {
        failed(&self.at, error)
    }

    /// Carries everything into the file and empties the log beside it, where rows stand until then that were deleted.
    async fn empty_log(&mut self) {
        let why = match sqlite::empty_log(&mut *self.connection).await {
            Ok(true) => return,
            Ok(false) => "another process reads it".to_owned(),
            Err(error) => sqlite::words(&error),
        };
        tracing::warn!(
            database = self.at,
            why,
            "rows of somebody who was erased stay in the log of the history's file until it is emptied; erase again"
        );
    }

    /// The file whose lock says who projects.
    fn lock_file(&self) -> PathBuf {
        let mut name = OsString::from(&self.file);
        name.push(".lock");
        name.into()
    }

    fn lock_fault(&self, error: &std::io::Error) -> ProjectError {
        let why = format!("{} cannot be locked: {error}", self.lock_file().display());
        ProjectError::Database { at: self.at.clone(), why }
    }
}

fn options(file: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new().filename(file).busy_timeout(BUSY_LIMIT).disable_statement_logging()
}

/// Connections that only read, opened when they are first used.
pub(super) fn lazy(file: &Path, most: u32, limit: Duration) -> SqlitePool {
    let pool = SqlitePoolOptions::new().max_connections(most).acquire_timeout(limit).idle_timeout(IDLE);
    pool.connect_lazy_with(options(file).pragma("query_only", "1"))
}

/// Whether there is no file.
pub(super) fn is_missing(error: &sqlx::Error) -> bool {
    error.as_database_error().and_then(|error| error.code()).is_some_and(|code| code == "14")
}

pub(super) fn failed(at: &str, error: &sqlx::Error) -> ProjectError {
    ProjectError::Database { at: at.to_owned(), why: sqlite::words(error) }
}

impl Dialect for File {
    const HAS_TABLES: &'static str = "SELECT count(*) FROM sqlite_master WHERE name = 'auren_migrations'";
    // Times are text, which begins with a digit.
    const EVER: (&'static str, &'static str) = ("''", "'~'");
    type List = String;

    fn time_as_text(column: &str) -> String {
        column.to_owned()
    }

    fn text_as_time(text: &str) -> String {
        text.to_owned()
    }

    fn text_as_json(text: &str) -> String {
        text.to_owned()
    }

    fn json_as_text(column: &str) -> String {
        column.to_owned()
    }

    fn null(_: &str) -> String {
        "NULL".to_owned()
    }

    fn distinct(column: &str, which: &str) -> String {
        format!("json_group_array(DISTINCT {column}) FILTER (WHERE {which})")
    }

    fn among(column: &str, parameter: &str) -> String {
        format!("{column} IN (SELECT value FROM json_each({parameter}))")
    }

    fn list(ids: &[String]) -> String {
        serde_json::Value::from(ids).to_string()
    }
}

reading!(File, SqliteRow);

#[async_trait]
impl Store for File {
    fn describe(&self) -> &str {
        &self.at
    }

    async fn make(&mut self) -> Result<(), ProjectError> {
        let history = Migration::new(NEWEST, "history".into(), MigrationType::Simple, HISTORY.into_sql_str(), false);
        let mut migrator = Migrator::with_migrations(vec![history]);
        migrator.dangerous_set_table_name("auren_migrations");
        let mut attempts = 0;
        loop {
            attempts += 1;
            match migrator.run_direct(None, &mut *self.connection, false).await {
                Ok(()) => return Ok(()),
                Err(MigrateError::VersionMissing(version)) => {
                    return Err(ProjectError::Future { at: self.at.clone(), version });
                }
                // Another process may be making the same tables: migrations of SQLite know no lock.
                Err(_) if attempts < MAKE_ATTEMPTS => tokio::time::sleep(MAKE_PAUSE).await,
                Err(error) => return Err(ProjectError::Database { at: self.at.clone(), why: error.to_string() }),
            }
        }
    }

    async fn claim(&mut self) -> Result<bool, ProjectError> {
        if self.claimed.is_some() {
            return Ok(true);
        }
        let file = fs::OpenOptions::new().create(true).append(true).open(self.lock_file());
        let file = file.map_err(|error| self.lock_fault(&error))?;
        match file.try_lock() {
            Ok(()) => self.claimed = Some(file),
            Err(fs::TryLockError::WouldBlock) => {}
            Err(fs::TryLockError::Error(error)) => return Err(self.lock_fault(&error)),
        }
        Ok(self.claimed.is_some())
    }

    async fn is_claimed(&mut self) -> Result<bool, ProjectError> {
        let file = match fs::File::open(self.lock_file()) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            file => file.map_err(|error| self.lock_fault(&error))?,
        };
        match file.try_lock_shared() {
            Ok(()) => Ok(false),
            Err(fs::TryLockError::WouldBlock) => Ok(true),
            Err(fs::TryLockError::Error(error)) => Err(self.lock_fault(&error)),
        }
    }

    async fn begin(&mut self, places: &[(Topic, i32)]) -> Result<(), ProjectError> {
        for (topic, partition) in places {
            let begin = sqlx::query("INSERT INTO auren_offsets VALUES ($1, $2, 0) ON CONFLICT DO NOTHING");
            let begun = begin.bind(topic.name()).bind(partition).execute(&mut *self.connection).await;
            begun.map_err(|error| self.failed(&error))?;
        }
        Ok(())
    }

    async fn put(&mut self, moves: &[Move], batch: &[(Record, Projected)]) -> Result<Put, ProjectError> {
        let done = async {
            // At once for writing: two that read first and write then would wait for each other in vain.
            let mut transaction: SqliteTransaction<'_> = self.connection.begin_with("BEGIN IMMEDIATE").await?;
            let written = fill(&mut transaction, moves, batch).await?;
            if written.is_some() { transaction.commit().await } else { transaction.rollback().await }?;
            Ok(written)
        };
        let written = done.await.map_err(|error| self.failed(&error))?;
        if written.is_some() && batch.iter().any(|(_, projected)| matches!(projected, Projected::Forget(_))) {
            self.empty_log().await;
        }
        Ok(written.map_or(Put::Stale, Put::Written))
    }

    async fn empty(&mut self) -> Result<(), ProjectError> {
        let deletes = TABLES.iter().map(|table| format!("DELETE FROM {};", table.name)).collect::<String>();
        let all =
            format!("BEGIN IMMEDIATE; UPDATE auren_offsets SET next = 0; {deletes} DELETE FROM auren_refused; COMMIT");
        self.run(&all).await
    }

    async fn server(&mut self) -> Result<(String, Option<i64>), ProjectError> {
        let row = sqlx::query("SELECT sqlite_version()").fetch_one(&mut *self.connection).await;
        let version: Result<String, _> = row.and_then(|row| row.try_get(0));
        version.map(|version| (format!("SQLite {version}"), None)).map_err(|error| self.failed(&error))
    }

    fn give_back(self: Box<Self>) {
        self.connection.give_back();
    }
}

#[async_trait]
impl Writing for SqliteTransaction<'_> {
    async fn move_offsets(&mut self, moves: &[Move]) -> Result<u64, sqlx::Error> {
        let mut moved = 0;
        for Move { topic, partition, from, to } in moves {
            let moving = "UPDATE auren_offsets SET next = $4 WHERE topic = $1 AND log_partition = $2 AND next = $3";
            let moving = sqlx::query(moving).bind(topic.name()).bind(partition).bind(from).bind(to);
            moved += moving.execute(&mut **self).await?.rows_affected();
        }
        Ok(moved)
    }

    async fn insert(&mut self, table: &Table, rows: &[&Row]) -> Result<u64, sqlx::Error> {
        let named = FIELDS.iter().enumerate().map(|(at, (name, _))| format!("${} AS {name}", at + 1));
        let source = format!("(SELECT {}) AS r", named.collect::<Vec<_>>().join(", "));
        let statement = insert::<File>(table, &source);
        let mut inserted = 0;
        for row in rows {
            inserted += sqlx::query(AssertSqlSafe(statement.clone()))
                .bind(&row.at)
                .bind(&row.logged_at)
                .bind(row.partition)
                .bind(row.offset)
                .bind(&row.event_id)
                .bind(&row.user_id)
                .bind(&row.kind)
                .bind(&row.name)
                .bind(&row.version)
                .bind(row.severity)
                .bind(row.rank)
                .bind(&row.cause)
                .bind(&row.cause_kind)
                .bind(&row.conversation)
                .bind(row.turn)
                .bind(&row.text)
                .bind(row.rest.to_string())
                .execute(&mut **self)
                .await?
                .rows_affected();
        }
        Ok(inserted)
    }

    async fn refuse(&mut self, refusal: &Refusal<'_>) -> Result<(), sqlx::Error> {
        let Refusal { record, logged_at, class, reason } = refusal;
        let statement = "INSERT INTO auren_refused VALUES ($1, $2, $3, $4, $5, $6)";
        let refused = sqlx::query(statement).bind(record.topic.name()).bind(record.partition).bind(record.offset);
        refused.bind(logged_at).bind(*class).bind(*reason).execute(&mut **self).await.map(drop)
    }

    async fn forget(&mut self, users: &[String]) -> Result<(), sqlx::Error> {
        let users = File::list(users);
        // `WHERE true` tells the conflict's ON from a join's.
        let erased =
            "INSERT INTO auren_erased (user_id) SELECT value FROM json_each($1) WHERE true ON CONFLICT DO NOTHING";
        sqlx::query(erased).bind(&users).execute(&mut **self).await?;
        for table in &TABLES {
            let statement = format!("DELETE FROM {} WHERE {}", table.name, File::among("user_id", "$1"));
            sqlx::query(AssertSqlSafe(statement)).bind(&users).execute(&mut **self).await?;
        }
        Ok(())
    }
}
