//! The keyring in a database. SQLite and PostgreSQL take the same statements, so there is one body for both.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use async_trait::async_trait;
use sqlx::{
    AssertSqlSafe, Row as _,
    postgres::{PgPool, PgPoolOptions, PgRow},
    sqlite::{SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteRow, SqliteSynchronous},
};

use super::{KeptKey, Store};
use crate::{
    phi::{
        KeyError,
        audit::{Checkpoint, Entry},
    },
    sqlite,
};

/// How long a statement waits for a connection or another process's lock.
const BUSY_LIMIT: Duration = Duration::from_secs(10);
/// The pause before a file that SQLite did not wait for is tried again.
const LOCKED_PAUSE: Duration = Duration::from_millis(20);
/// Connections to a database that several nodes share.
const CONNECTIONS: u32 = 4;

/// The tables. A key that was destroyed keeps its row, so that none is made for the person again.
const TABLES: [&str; 5] = [
    "CREATE TABLE IF NOT EXISTS auren_keyrings (tenant TEXT PRIMARY KEY, id BYTES NOT NULL)",
    "CREATE TABLE IF NOT EXISTS auren_data_keys (tenant TEXT NOT NULL, owner TEXT NOT NULL, reference BYTES NOT NULL, \
     wrapped TEXT, sealed BIGINT NOT NULL DEFAULT 0, PRIMARY KEY (tenant, owner))",
    "CREATE TABLE IF NOT EXISTS auren_audit (tenant TEXT NOT NULL, seq BIGINT NOT NULL, body TEXT NOT NULL, \
     hash BYTES NOT NULL, PRIMARY KEY (tenant, seq))",
    "CREATE TABLE IF NOT EXISTS auren_checkpoints (tenant TEXT NOT NULL, seq BIGINT NOT NULL, hash BYTES NOT NULL, \
     signature BYTES NOT NULL, PRIMARY KEY (tenant, seq))",
    "CREATE TABLE IF NOT EXISTS auren_uses (tenant TEXT NOT NULL, span TEXT NOT NULL, who TEXT NOT NULL, \
     used BIGINT NOT NULL, PRIMARY KEY (tenant, span, who))",
];

/// A keyring in a file of its own.
#[derive(Debug)]
pub struct SqliteStore {
    pool: SqlitePool,
    tenant: String,
    at: String,
}

/// A keyring in PostgreSQL, which several nodes share.
#[derive(Debug)]
pub struct PostgresStore {
    pool: PgPool,
    tenant: String,
    at: String,
}

impl SqliteStore {
    /// Opens a tenant's keyring in a file, which is made where it does not exist.
    ///
    /// # Errors
    /// [`KeyError::Keyring`] where the file cannot be used.
    pub async fn open(file: &Path, tenant: &str) -> Result<Self, KeyError> {
        let at = file.display().to_string();
        if let Some(folder) = file.parent().filter(|folder| !folder.as_os_str().is_empty()) {
            std::fs::create_dir_all(folder)
                .map_err(|error| KeyError::Keyring { keyring: at.clone(), why: error.to_string() })?;
        }
        // What is deleted or replaced is overwritten.
        let options = SqliteConnectOptions::new()
            .filename(file)
            .create_if_missing(true)
            .journal_mode(SqliteJournalMode::Wal)
            .synchronous(SqliteSynchronous::Full)
            .pragma("secure_delete", "on")
            .busy_timeout(BUSY_LIMIT);
        let pool = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(options);
        let limit = Instant::now() + BUSY_LIMIT;
        for table in TABLES {
            // Of several that begin with a new file at once SQLite turns some away without having waited.
            while let Err(error) = sqlx::query(AssertSqlSafe(table.replace("BYTES", "BLOB"))).execute(&pool).await {
                if !sqlite::is_locked(&error) || Instant::now() > limit {
                    return Err(failed(&at, &error));
                }
                tokio::time::sleep(LOCKED_PAUSE).await;
            }
        }
        Ok(Self { pool, tenant: tenant.to_owned(), at })
    }

    /// Carries everything into the file and empties the log beside it, where a destroyed key stood until now.
    async fn empty_log(&self) -> Result<(), KeyError> {
        if !self.done(sqlite::empty_log(&self.pool).await)? {
            tracing::warn!(
                keyring = self.at,
                "a destroyed key stays in the keyring's log until it is emptied: another process uses it; erase again"
            );
        }
        Ok(())
    }
}

impl PostgresStore {
    /// PostgreSQL's log is its administrator's: SECURITY.md says what stays there.
    async fn empty_log(&self) -> Result<(), KeyError> {
        Ok(())
    }

    /// Opens a tenant's keyring in a database, whose tables are made where they do not exist.
    ///
    /// # Errors
    /// [`KeyError::Keyring`] where the database does not answer, or does not let this user make tables.
    pub async fn open(url: &str, tenant: &str) -> Result<Self, KeyError> {
        let named = |error: &sqlx::Error| failed("postgres", error);
        let options: sqlx::postgres::PgConnectOptions = url.parse().map_err(|error| named(&error))?;
        // Never the address as it was given: a password may stand in it.
        let at = format!(
            "postgres {}:{}/{}",
            options.get_host(),
            options.get_port(),
            options.get_database().unwrap_or_default()
        );
        let pool =
            PgPoolOptions::new().max_connections(CONNECTIONS).acquire_timeout(BUSY_LIMIT).connect_lazy_with(options);
        let mut making = pool.begin().await.map_err(|error| failed(&at, &error))?;
        // Two nodes that make a table at once would fail one of them, `IF NOT EXISTS` or not.
        let tables = TABLES.map(|table| AssertSqlSafe(table.replace("BYTES", "BYTEA")));
        let lock = sqlx::query("SELECT pg_advisory_xact_lock(4711020)").execute(&mut *making).await;
        lock.map_err(|error| failed(&at, &error))?;
        for table in tables {
            sqlx::query(table).execute(&mut *making).await.map_err(|error| failed(&at, &error))?;
        }
        making.commit().await.map_err(|error| failed(&at, &error))?;
        Ok(Self { pool, tenant: tenant.to_owned(), at })
    }
}

/// What the database said. Its messages name tables and columns; statements carry their values apart.
fn failed(at: &str, error: &sqlx::Error) -> KeyError {
    let why = match error {
        sqlx::Error::Database(error) => error.message().to_owned(),
        other => other.to_string(),
    };
    KeyError::Keyring { keyring: at.to_owned(), why }
}

macro_rules! store {
    ($store:ident, $row:ty) => {
        #[async_trait]
        impl Store for $store {
            fn describe(&self) -> String {
                self.at.clone()
            }

            async fn id(&self, new: &[u8]) -> Result<Vec<u8>, KeyError> {
                let insert = "INSERT INTO auren_keyrings (tenant, id) VALUES ($1, $2) ON CONFLICT DO NOTHING";
                self.done(sqlx::query(insert).bind(&self.tenant).bind(new).execute(&self.pool).await)?;
                let select = sqlx::query("SELECT id FROM auren_keyrings WHERE tenant = $1").bind(&self.tenant);
                self.done(select.fetch_one(&self.pool).await.and_then(|row| row.try_get(0)))
            }

            async fn key(&self, owner: &str) -> Result<Option<KeptKey>, KeyError> {
                let select = "SELECT reference, wrapped FROM auren_data_keys WHERE tenant = $1 AND owner = $2";
                let row = sqlx::query(select).bind(&self.tenant).bind(owner).fetch_optional(&self.pool).await;
                self.done(row.and_then(|row| row.as_ref().map(|row| Self::kept(row, 0)).transpose()))
            }

            async fn insert(&self, owner: &str, key: &KeptKey) -> Result<(), KeyError> {
                let insert = "INSERT INTO auren_data_keys (tenant, owner, reference, wrapped) VALUES ($1, $2, $3, $4) \
                              ON CONFLICT DO NOTHING";
                let insert = sqlx::query(insert).bind(&self.tenant).bind(owner);
                let insert = insert.bind(&key.reference).bind(&key.wrapped);
                self.done(insert.execute(&self.pool).await).map(drop)
            }

            async fn reserve(&self, owner: &str, seals: i64, most: i64) -> Result<bool, KeyError> {
                let update = "UPDATE auren_data_keys SET sealed = sealed + $3 \
                              WHERE tenant = $1 AND owner = $2 AND wrapped IS NOT NULL AND sealed <= $4";
                let update = sqlx::query(update).bind(&self.tenant).bind(owner).bind(seals).bind(most - seals);
                Ok(self.done(update.execute(&self.pool).await)?.rows_affected() == 1)
            }

            async fn destroy(&self, owner: &str, reference: &[u8]) -> Result<bool, KeyError> {
                let never = KeptKey { reference: reference.to_owned(), wrapped: None };
                self.insert(owner, &never).await?;
                let update = "UPDATE auren_data_keys SET wrapped = NULL \
                              WHERE tenant = $1 AND owner = $2 AND wrapped IS NOT NULL";
                let update = sqlx::query(update).bind(&self.tenant).bind(owner);
                let destroyed = self.done(update.execute(&self.pool).await)?.rows_affected() == 1;
                self.empty_log().await?;
                Ok(destroyed)
            }

            async fn replace(&self, owner: &str, expected: &str, wrapped: &str) -> Result<bool, KeyError> {
                let update = "UPDATE auren_data_keys SET wrapped = $4 WHERE tenant = $1 AND owner = $2 AND wrapped = $3";
                let update = sqlx::query(update).bind(&self.tenant).bind(owner).bind(expected).bind(wrapped);
                Ok(self.done(update.execute(&self.pool).await)?.rows_affected() == 1)
            }

            async fn owners(&self, after: &str, most: i64) -> Result<Vec<(String, KeptKey)>, KeyError> {
                let select = "SELECT owner, reference, wrapped FROM auren_data_keys WHERE tenant = $1 AND owner > $2 \
                              ORDER BY owner LIMIT $3";
                let select = sqlx::query(select).bind(&self.tenant).bind(after).bind(most);
                let rows = self.done(select.fetch_all(&self.pool).await)?;
                self.done(rows.iter().map(|row| Ok((row.try_get(0)?, Self::kept(row, 1)?))).collect())
            }

            async fn head(&self) -> Result<Option<Entry>, KeyError> {
                let select = "SELECT seq, body, hash FROM auren_audit WHERE tenant = $1 ORDER BY seq DESC LIMIT 1";
                let row = sqlx::query(select).bind(&self.tenant).fetch_optional(&self.pool).await;
                self.done(row.and_then(|row| row.as_ref().map(Self::entry).transpose()))
            }

            async fn append(&self, entry: &Entry) -> Result<bool, KeyError> {
                let insert = "INSERT INTO auren_audit (tenant, seq, body, hash) VALUES ($1, $2, $3, $4) \
                              ON CONFLICT DO NOTHING";
                let insert = sqlx::query(insert).bind(&self.tenant).bind(entry.seq).bind(&entry.body).bind(&entry.hash);
                Ok(self.done(insert.execute(&self.pool).await)?.rows_affected() == 1)
            }

            async fn entries(&self, after: i64, most: i64) -> Result<Vec<Entry>, KeyError> {
                let select = "SELECT seq, body, hash FROM auren_audit WHERE tenant = $1 AND seq > $2 ORDER BY seq LIMIT $3";
                let select = sqlx::query(select).bind(&self.tenant).bind(after).bind(most);
                let rows = self.done(select.fetch_all(&self.pool).await)?;
                self.done(rows.iter().map(Self::entry).collect())
            }

            async fn sign(&self, checkpoint: &Checkpoint) -> Result<(), KeyError> {
                let insert = "INSERT INTO auren_checkpoints (tenant, seq, hash, signature) VALUES ($1, $2, $3, $4) \
                              ON CONFLICT DO NOTHING";
                let insert = sqlx::query(insert).bind(&self.tenant).bind(checkpoint.seq);
                let insert = insert.bind(&checkpoint.hash).bind(&checkpoint.signature);
                self.done(insert.execute(&self.pool).await).map(drop)
            }

            async fn checkpoints(&self) -> Result<Vec<Checkpoint>, KeyError> {
                let select = "SELECT seq, hash, signature FROM auren_checkpoints WHERE tenant = $1 ORDER BY seq";
                let rows = self.done(sqlx::query(select).bind(&self.tenant).fetch_all(&self.pool).await)?;
                let checkpoint = |row: &$row| {
                    Ok(Checkpoint { seq: row.try_get(0)?, hash: row.try_get(1)?, signature: row.try_get(2)? })
                };
                self.done(rows.iter().map(checkpoint).collect())
            }

            async fn count(&self, window: &str, who: &str, more: i64) -> Result<i64, KeyError> {
                let count = "INSERT INTO auren_uses (tenant, span, who, used) VALUES ($1, $2, $3, $4) \
                             ON CONFLICT (tenant, span, who) DO UPDATE SET used = auren_uses.used + excluded.used \
                             RETURNING used";
                let count = sqlx::query(count).bind(&self.tenant).bind(window).bind(who).bind(more);
                self.done(count.fetch_one(&self.pool).await.and_then(|row| row.try_get(0)))
            }

            async fn forget_uses(&self, before: &str) -> Result<(), KeyError> {
                let delete = "DELETE FROM auren_uses WHERE tenant = $1 AND span < $2";
                let delete = sqlx::query(delete).bind(&self.tenant).bind(before);
                self.done(delete.execute(&self.pool).await).map(drop)
            }
        }

        impl $store {
            fn done<T>(&self, answer: Result<T, sqlx::Error>) -> Result<T, KeyError> {
                answer.map_err(|error| failed(&self.at, &error))
            }

            fn kept(row: &$row, first: usize) -> Result<KeptKey, sqlx::Error> {
                Ok(KeptKey { reference: row.try_get(first)?, wrapped: row.try_get(first + 1)? })
            }

            fn entry(row: &$row) -> Result<Entry, sqlx::Error> {
                Ok(Entry { seq: row.try_get(0)?, body: row.try_get(1)?, hash: row.try_get(2)? })
            }
        }
    };
}

store!(SqliteStore, SqliteRow);
store!(PostgresStore, PgRow);

#[cfg(test)]
mod tests {
    use futures::future::join_all;

    use super::*;

    #[tokio::test]
    async fn several_that_begin_with_a_new_file_at_once_all_have_it() {
        for _ in 0..20 {
            let folder = tempfile::tempdir().unwrap();
            let file = folder.path().join("keyring.db");
            let opened = join_all((0..8).map(|_| SqliteStore::open(&file, "t"))).await;
            opened.into_iter().for_each(|store| drop(store.unwrap()));
        }
    }

    #[tokio::test]
    async fn a_log_that_somebody_reads_is_not_emptied_and_that_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("keyring.db");
        let store = SqliteStore::open(&file, "t").await.unwrap();
        sqlx::query("PRAGMA busy_timeout = 1").execute(&store.pool).await.unwrap();
        let other = SqlitePool::connect(file.to_str().unwrap()).await.unwrap();
        let mut reading = other.begin().await.unwrap();
        sqlx::query("SELECT * FROM auren_data_keys").fetch_all(&mut *reading).await.unwrap();
        assert!(store.destroy("u-1", b"reference").await.is_ok(), "it is destroyed all the same");
        assert!(!sqlite::empty_log(&store.pool).await.unwrap());
        reading.rollback().await.unwrap();
        assert!(sqlite::empty_log(&store.pool).await.unwrap());
    }
}
