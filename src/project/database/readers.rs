//! Connections for whoever only reads: so many at most, each statement within a time, and none that could write.

use std::{
    fmt,
    ops::{Deref, DerefMut},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};

use sqlx::{Pool, Postgres, Sqlite, pool::PoolConnection};
use tokio::sync::OnceCell;

use super::{Database, Kind, postgres, sqlite, store::Store};
use crate::project::ProjectError;

/// A connection that nobody uses is closed after this time.
pub(super) const IDLE: Duration = Duration::from_secs(60);

/// Lends connections that only read.
#[derive(Debug, Clone)]
pub struct Readers {
    pool: Lender,
    at: String,
    most: u32,
    limit: Duration,
    /// Set once the tables have been seen.
    tables: Arc<OnceCell<()>>,
}

#[derive(Debug, Clone)]
enum Lender {
    Server(Pool<Postgres>),
    File(Pool<Sqlite>, PathBuf),
}

/// A connection of one's own, or a lent one.
pub(super) enum Connected<D: sqlx::Database> {
    Own(D::Connection),
    Lent(Lent<D>),
}

/// A lent connection. It goes back only where all that was asked has been answered: one on which somebody gave up waiting
/// may never answer again.
pub(super) struct Lent<D: sqlx::Database> {
    connection: PoolConnection<D>,
    answered: bool,
}

impl Readers {
    /// At most so many connections, and so much time for each answer. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ProjectError::Database`] where this is no address of a database.
    pub fn new(url: &str, most: u32, limit: Duration) -> Result<Self, ProjectError> {
        let (pool, at) = match Kind::of(url)? {
            Kind::Server(options, at) => (Lender::Server(postgres::lazy(*options, most, limit)), at),
            Kind::File(file, at) => (Lender::File(sqlite::lazy(&file, most, limit), file), at),
        };
        Ok(Self { pool, at, most, limit, tables: Arc::default() })
    }

    /// A connection, as soon as one is free. Whoever has been answered gives it back ([`Database::give_back`]).
    ///
    /// # Errors
    /// [`ProjectError::Database`] where none is to be had in time; as [`Database::look`] where the tables are not there or
    /// are newer.
    pub async fn reader(&self) -> Result<Database, ProjectError> {
        let at = self.at.clone();
        let store: Box<dyn Store> = match &self.pool {
            Lender::Server(pool) => {
                let connection = pool.acquire().await.map_err(|error| self.none(&error, postgres::failed))?;
                Box::new(postgres::Server { connection: Lent::of(connection), at })
            }
            Lender::File(pool, file) => {
                let connection = pool.acquire().await;
                let connection = connection.map_err(|error| match sqlite::is_missing(&error) {
                    true => ProjectError::NoTables { at: at.clone() },
                    false => self.none(&error, sqlite::failed),
                })?;
                Box::new(sqlite::File::with(Lent::of(connection), file, at))
            }
        };
        let mut database = Database(store);
        self.tables.get_or_try_init(|| database.check()).await?;
        Ok(database)
    }

    /// Why there is no connection.
    fn none(&self, error: &sqlx::Error, failed: fn(&str, &sqlx::Error) -> ProjectError) -> ProjectError {
        if !matches!(error, sqlx::Error::PoolTimedOut) {
            return failed(&self.at, error);
        }
        let limit_ms = self.limit.as_millis();
        let why = format!("no connection within {limit_ms} ms: it does not answer, or all are in use");
        ProjectError::Database { at: self.at.clone(), why }
    }

    /// Most connections.
    #[must_use]
    pub fn most(&self) -> u32 {
        self.most
    }

    /// How long an answer may take.
    #[must_use]
    pub fn limit(&self) -> Duration {
        self.limit
    }
}

impl<D: sqlx::Database> Lent<D> {
    fn of(connection: PoolConnection<D>) -> Connected<D> {
        Connected::Lent(Self { connection, answered: false })
    }
}

impl<D: sqlx::Database> Connected<D> {
    /// All that was asked has been answered.
    pub(super) fn give_back(self) {
        if let Self::Lent(mut lent) = self {
            lent.answered = true;
        }
    }
}

impl<D: sqlx::Database> Drop for Lent<D> {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.close_on_drop();
        }
    }
}

impl<D: sqlx::Database> fmt::Debug for Connected<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Own(_) => "Own",
            Self::Lent(_) => "Lent",
        })
    }
}

impl<D: sqlx::Database> Deref for Connected<D> {
    type Target = D::Connection;

    fn deref(&self) -> &D::Connection {
        match self {
            Self::Own(connection) => connection,
            Self::Lent(lent) => &lent.connection,
        }
    }
}

impl<D: sqlx::Database> DerefMut for Connected<D> {
    fn deref_mut(&mut self) -> &mut D::Connection {
        match self {
            Self::Own(connection) => connection,
            Self::Lent(lent) => &mut lent.connection,
        }
    }
}
