//! The file: its schema and version, and how connections to it are opened.
//!
//! Journal mode WAL lets readers and one writer work at the same time, over processes too. `synchronous=FULL` syncs the
//! WAL at every commit, before the commit is answered: with `NORMAL` a kill would lose nothing, but a power cut could
//! take back what was acknowledged. `NORMAL` measured no faster where it matters, because the writer commits whatever
//! has queued up as one transaction.

use std::{path::Path, time::Duration};

use sqlx::{
    ConnectOptions, Connection, Row, SqliteConnection, SqlitePool,
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePoolOptions, SqliteSynchronous},
};

use super::errors;
use crate::bus::BusError;

/// The schema this program writes. A file with a later one is refused.
const SCHEMA: i32 = 1;

/// Marks the file as ours (`AURN`), in SQLite's `application_id`.
const APPLICATION: i32 = 0x4155_524e;

/// How long a statement waits for another process's lock.
const BUSY_LIMIT: Duration = Duration::from_secs(10);

/// How many readers read at the same time.
const READERS: u32 = 4;

/// What the file holds. `log.place` is topic, partition and offset in one number (`place.rs`).
const TABLES: &[&str] = &[
    "CREATE TABLE topics (number INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, partitions INTEGER NOT NULL)",
    "CREATE TABLE partitions (base INTEGER PRIMARY KEY)",
    "CREATE TABLE log (place INTEGER PRIMARY KEY, timestamp_ms INTEGER NOT NULL, key BLOB, headers BLOB, payload BLOB)",
    "CREATE TABLE committed (member_group TEXT NOT NULL, base INTEGER NOT NULL, next_offset INTEGER NOT NULL, \
     PRIMARY KEY (member_group, base)) WITHOUT ROWID",
    // Each process that takes a group over counts its epoch up; a commit under an older epoch is fenced.
    "CREATE TABLE groups (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL) WITHOUT ROWID",
    // How far each compacted partition is compacted, and how many records are left below that.
    "CREATE TABLE compacted (base INTEGER PRIMARY KEY, clean_end INTEGER NOT NULL, kept INTEGER NOT NULL)",
];

/// Opens connections to one file.
#[derive(Debug, Clone)]
pub(super) struct Opener {
    options: SqliteConnectOptions,
}

impl Opener {
    pub(super) fn new(path: &Path, synchronous: SqliteSynchronous) -> Self {
        let options = SqliteConnectOptions::new()
            .filename(path)
            .create_if_missing(true)
            .page_size(8192)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(synchronous)
            .busy_timeout(BUSY_LIMIT)
            // Fewer, longer checkpoints: each rewrites the tail pages of every partition.
            .pragma("wal_autocheckpoint", "4000")
            .pragma("journal_size_limit", "67108864")
            .pragma("cache_size", "-16384")
            .pragma("temp_store", "memory")
            .row_buffer_size(64)
            .statement_cache_capacity(64)
            .disable_statement_logging();
        Self { options }
    }

    /// Opens the file for writing, creating it with its tables where it is new.
    pub(super) async fn writer(&self) -> Result<SqliteConnection, BusError> {
        let file = self.options.get_filename().to_owned();
        if file.is_dir() {
            return Err(refuse(&file, "this is a folder; name a file, such as auren.db, in it"));
        }
        let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty());
        if let Some(folder) = folder {
            std::fs::create_dir_all(folder)
                .map_err(|error| refuse(&file, &format!("its folder cannot be created: {error}")))?;
        }
        if std::fs::metadata(&file).is_ok_and(|found| found.len() > 0) {
            self.look(&file).await?;
        }
        let mut connection = self.connect().await.map_err(|error| errors::storage(&file, &error))?;
        match prepare(&mut connection).await {
            Ok(None) => Ok(connection),
            Ok(Some(why)) => Err(refuse(&file, &why)),
            Err(error) => Err(errors::storage(&file, &error)),
        }
    }

    /// Looks at a file that is there already, reading only: opening it for writing would change the journal mode of a
    /// file that is somebody else's.
    async fn look(&self, file: &Path) -> Result<(), BusError> {
        let options = SqliteConnectOptions::new().filename(file).read_only(true).busy_timeout(BUSY_LIMIT);
        let looked = async {
            let mut connection = options.connect().await?;
            let why = unfit(&mut connection).await?;
            connection.close().await?;
            Ok(why)
        };
        match looked.await {
            Ok(None) => Ok(()),
            Ok(Some(why)) => Err(refuse(file, &why)),
            Err(error) => Err(errors::storage(file, &error)),
        }
    }

    /// Opens the file again, which a writer has opened before.
    pub(super) async fn connect(&self) -> Result<SqliteConnection, sqlx::Error> {
        self.options.connect().await
    }

    /// A pool for reading.
    pub(super) fn readers(&self) -> SqlitePool {
        SqlitePoolOptions::new()
            .max_connections(READERS)
            .min_connections(1)
            .test_before_acquire(false)
            .idle_timeout(None)
            .max_lifetime(None)
            .connect_lazy_with(self.options.clone().create_if_missing(false).pragma("query_only", "1"))
    }
}

fn refuse(file: &Path, why: &str) -> BusError {
    BusError::Storage { file: file.display().to_string(), why: why.to_owned() }
}

/// Why the file is not one to use: somebody else's, or a later version's. Nothing is wrong with an empty one.
async fn unfit(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    let (version, application) = identity(connection).await?;
    if application == APPLICATION {
        return Ok((version > SCHEMA).then(|| {
            format!(
                "it was written by a newer AUREN (schema {version}, this one knows {SCHEMA}); use that one, or \
                     another path"
            )
        }));
    }
    let tables: i64 = sqlx::query("SELECT count(*) FROM sqlite_master").fetch_one(connection).await?.try_get(0)?;
    Ok((tables > 0 || application != 0)
        .then(|| "this SQLite file belongs to another program; name another path".to_owned()))
}

/// Creates the tables in a new file; says why where the file is not one to use.
async fn prepare(connection: &mut SqliteConnection) -> Result<Option<String>, sqlx::Error> {
    if identity(connection).await? == (SCHEMA, APPLICATION) {
        return Ok(None);
    }
    // Two processes may start on a new file at once: whoever waited for the lock finds the work done.
    let mut transaction = connection.begin_with("BEGIN IMMEDIATE").await?;
    if identity(&mut transaction).await? == (SCHEMA, APPLICATION) {
        transaction.rollback().await?;
        return Ok(None);
    }
    if let Some(why) = unfit(&mut transaction).await? {
        transaction.rollback().await?;
        return Ok(Some(why));
    }
    for table in TABLES {
        sqlx::query(*table).execute(&mut *transaction).await?;
    }
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA user_version = {SCHEMA}"))).execute(&mut *transaction).await?;
    sqlx::query(sqlx::AssertSqlSafe(format!("PRAGMA application_id = {APPLICATION}")))
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(None)
}

async fn identity(connection: &mut SqliteConnection) -> Result<(i32, i32), sqlx::Error> {
    let version = sqlx::query("PRAGMA user_version").fetch_one(&mut *connection).await?.try_get(0)?;
    let application = sqlx::query("PRAGMA application_id").fetch_one(&mut *connection).await?.try_get(0)?;
    Ok((version, application))
}
