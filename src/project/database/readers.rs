//! Connections for whoever only reads: so many at most, each statement within a time, and none that could write.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
    time::Duration,
};

use sqlx::{PgConnection, PgPool, Postgres, pool::PoolConnection, postgres::PgPoolOptions};
use tokio::sync::OnceCell;

use super::{Database, failed, options};
use crate::project::ProjectError;

/// A connection that nobody uses is closed after this time.
const IDLE: Duration = Duration::from_secs(60);

/// Lends connections that only read.
#[derive(Debug, Clone)]
pub struct Readers {
    pool: PgPool,
    at: String,
    most: u32,
    limit: Duration,
    /// Set once the tables have been seen.
    tables: Arc<OnceCell<()>>,
}

/// A connection of one's own, or a lent one.
#[derive(Debug)]
pub(super) enum Connected {
    Own(PgConnection),
    Lent(Lent),
}

/// A lent connection. It goes back only where all that was asked has been answered: one on which somebody gave up waiting
/// may never answer again.
#[derive(Debug)]
pub(super) struct Lent {
    connection: PoolConnection<Postgres>,
    answered: bool,
}

impl Readers {
    /// At most so many connections, and so much time for each answer. Nothing is connected yet.
    ///
    /// # Errors
    /// [`ProjectError::Database`] where this is no address of a database.
    pub fn new(url: &str, most: u32, limit: Duration) -> Result<Self, ProjectError> {
        let (options, at) = options(url)?;
        let options = options.application_name("auren-history").options([
            ("default_transaction_read_only", "on".to_owned()),
            // The database gives up a little sooner, so that it does not work on what nobody awaits.
            ("statement_timeout", limit.mul_f32(0.9).as_millis().to_string()),
        ]);
        let pool = PgPoolOptions::new().max_connections(most).acquire_timeout(limit).idle_timeout(IDLE);
        let pool = pool.connect_lazy_with(options);
        Ok(Self { pool, at, most, limit, tables: Arc::default() })
    }

    /// A connection, as soon as one is free. Whoever has been answered gives it back ([`Database::give_back`]).
    ///
    /// # Errors
    /// [`ProjectError::Database`] where none is to be had in time; as [`Database::look`] where the tables are not there or
    /// are newer.
    pub async fn reader(&self) -> Result<Database, ProjectError> {
        let connection = self.pool.acquire().await.map_err(|error| match error {
            sqlx::Error::PoolTimedOut => {
                let why = format!(
                    "no connection within {} ms: it does not answer, or all are in use",
                    self.limit.as_millis()
                );
                ProjectError::Database { at: self.at.clone(), why }
            }
            error => failed(&self.at, &error),
        })?;
        let connection = Connected::Lent(Lent { connection, answered: false });
        let mut database = Database { connection, at: self.at.clone() };
        self.tables.get_or_try_init(|| database.check()).await?;
        Ok(database)
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

impl Database {
    /// All that was asked has been answered, so a lent connection may serve somebody else.
    pub fn give_back(self) {
        if let Connected::Lent(mut lent) = self.connection {
            lent.answered = true;
        }
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        if !self.answered {
            self.connection.close_on_drop();
        }
    }
}

impl Deref for Connected {
    type Target = PgConnection;

    fn deref(&self) -> &PgConnection {
        match self {
            Self::Own(connection) => connection,
            Self::Lent(lent) => &lent.connection,
        }
    }
}

impl DerefMut for Connected {
    fn deref_mut(&mut self) -> &mut PgConnection {
        match self {
            Self::Own(connection) => connection,
            Self::Lent(lent) => &mut lent.connection,
        }
    }
}
