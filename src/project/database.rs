//! The history's database: a connection, the lock of whoever projects, and how far the history is.
//!
//! Everything goes over one connection, because the lock belongs to it. [`tables`] makes the tables, [`columns`] says what
//! goes where in them, [`write`] gets rows and offsets into them as one, [`read`] brings rows out again, and [`pages`] some
//! of one person's at a time. Who only reads has connections from [`readers`].

mod columns;
mod pages;
mod read;
mod readers;
mod tables;
mod write;
mod yardstick;

use std::{collections::BTreeMap, time::Duration};

use sqlx::{
    AssertSqlSafe, Connection as _, PgConnection, Row as _,
    postgres::{PgConnectOptions, PgRow, PgSslMode},
};

use self::readers::Connected;
pub use self::{
    pages::{Conversation, Order, Place, Wanted},
    read::Held,
    readers::Readers,
    write::Written,
    yardstick::{Copied, Yardstick},
};
use super::{ProjectError, row::TOPICS};
use crate::bus::{Bus, BusError, Topic, waiting};

/// How long connecting may take, and what a projector asks without writing: a database that went away silently is noticed
/// by it.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The lock of whoever projects.
const LOCK: i64 = 4_711_021;

/// The next offsets, by topic and partition.
pub type Offsets = BTreeMap<(Topic, i32), i64>;

/// A connection to the history.
#[derive(Debug)]
pub struct Database {
    connection: Connected,
    at: String,
}

impl Database {
    /// Connects, and makes or checks the tables.
    ///
    /// # Errors
    /// [`ProjectError::Database`] where it does not answer, [`ProjectError::Future`] where its tables are newer.
    pub async fn open(url: &str) -> Result<Self, ProjectError> {
        let mut database = Self::connect(url).await?;
        database.migrate().await?;
        Ok(database)
    }

    /// Connects to look at what is there, and makes nothing.
    ///
    /// # Errors
    /// [`ProjectError::Database`] where it does not answer, [`ProjectError::NoTables`] where nobody has made any, and
    /// [`ProjectError::Future`] where they are newer.
    pub async fn look(url: &str) -> Result<Self, ProjectError> {
        let mut database = Self::connect(url).await?;
        database.check().await?;
        Ok(database)
    }

    /// Whether the tables are there, and are those that are known here.
    async fn check(&mut self) -> Result<(), ProjectError> {
        let at = self.at.clone();
        if self.number("SELECT count(to_regclass('auren_migrations'))").await? == 0 {
            return Err(ProjectError::NoTables { at });
        }
        match self.number("SELECT coalesce(max(version), 0) FROM auren_migrations WHERE success").await? {
            0 => Err(ProjectError::NoTables { at }),
            version if version > tables::NEWEST => Err(ProjectError::Future { at, version }),
            _ => Ok(()),
        }
    }

    async fn connect(url: &str) -> Result<Self, ProjectError> {
        let (options, at) = options(url)?;
        // A server that hears nothing of a dead projector lets go of its lock.
        let options = options.application_name("auren-project").options([
            ("tcp_keepalives_idle", "10"),
            ("tcp_keepalives_interval", "5"),
            ("tcp_keepalives_count", "3"),
        ]);
        let connection = within(&at, PgConnection::connect_with(&options)).await?;
        Ok(Self { connection: Connected::Own(connection), at })
    }

    /// The database in words.
    #[must_use]
    pub fn describe(&self) -> &str {
        &self.at
    }

    /// Takes the lock of whoever projects; `false` where somebody else has it.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn claim(&mut self) -> Result<bool, ProjectError> {
        let asked = sqlx::query("SELECT pg_try_advisory_lock($1)").bind(LOCK);
        let answer = within(&self.at, asked.fetch_one(&mut *self.connection)).await?;
        answer.try_get(0).map_err(|error| failed(&self.at, &error))
    }

    /// Whether somebody projects now.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn is_claimed(&mut self) -> Result<bool, ProjectError> {
        // A lock by one number has its upper half in `classid`, its lower one in `objid`, and 1 behind them.
        let asked = format!(
            "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = 0 AND objid = {LOCK} AND objsubid = 1 \
             AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"
        );
        Ok(self.number(&asked).await? > 0)
    }

    /// The next offset of every partition of these, which begin at 0 where they are new.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn offsets(&mut self, places: &[(Topic, i32)]) -> Result<Offsets, ProjectError> {
        let (topics, partitions) = split(places.iter().copied());
        let begin = "INSERT INTO auren_offsets SELECT topic, log_partition, 0 FROM UNNEST($1::text[], $2::int[]) AS \
                     t(topic, log_partition) ON CONFLICT DO NOTHING";
        let begun = sqlx::query(begin).bind(topics).bind(partitions).execute(&mut *self.connection).await;
        begun.map_err(|error| failed(&self.at, &error))?;
        self.known_offsets().await
    }

    /// The next offsets that are known.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn known_offsets(&mut self) -> Result<Offsets, ProjectError> {
        let asked = sqlx::query("SELECT topic, log_partition, next FROM auren_offsets");
        let rows = asked.fetch_all(&mut *self.connection).await.map_err(|error| failed(&self.at, &error))?;
        let read = |row: &PgRow| -> Result<Option<_>, sqlx::Error> {
            let topic = Topic::named(row.try_get(0)?);
            Ok(topic.map(|topic| row.try_get(1).and_then(|partition| Ok(((topic, partition), row.try_get(2)?)))))
        };
        let read = rows.iter().filter_map(|row| read(row).transpose()).flatten();
        read.collect::<Result<Offsets, _>>().map_err(|error| failed(&self.at, &error))
    }

    /// Looks whether the database is there and its offsets are still these.
    ///
    /// # Errors
    /// [`ProjectError::Stale`] where they are others, [`ProjectError::Database`].
    pub async fn still_at(&mut self, known: &Offsets) -> Result<(), ProjectError> {
        let now = match tokio::time::timeout(ANSWER_LIMIT, self.known_offsets()).await {
            Ok(now) => now?,
            Err(_) => return Err(silent(&self.at)),
        };
        if now == *known { Ok(()) } else { Err(ProjectError::Stale { at: self.at.clone() }) }
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
        let ran = sqlx::raw_sql(AssertSqlSafe(statements.to_owned())).execute(&mut *self.connection).await;
        ran.map(drop).map_err(|error| failed(&self.at, &error))
    }

    async fn number(&mut self, asked: &str) -> Result<i64, ProjectError> {
        let row = sqlx::query(AssertSqlSafe(asked.to_owned())).fetch_one(&mut *self.connection).await;
        row.and_then(|row| row.try_get(0)).map_err(|error| failed(&self.at, &error))
    }
}

/// How to connect, and the database in words: never the address as it was given, a password may stand in it.
fn options(url: &str) -> Result<(PgConnectOptions, String), ProjectError> {
    let options: PgConnectOptions = url.parse().map_err(|error| failed("project.url", &error))?;
    let database = options.get_database().unwrap_or_else(|| options.get_username());
    let at = format!("postgres {}:{}/{database}", options.get_host(), options.get_port());
    Ok((options, at))
}

/// Whether what is said to this database cannot be read on its way: it is encrypted and the server is known by its
/// certificate, or it does not leave the machine. `false` too where this is no address of a database.
#[must_use]
pub fn is_private(url: &str) -> bool {
    url.parse::<PgConnectOptions>().is_ok_and(|options| {
        let verified = matches!(options.get_ssl_mode(), PgSslMode::VerifyFull | PgSslMode::VerifyCa);
        verified || options.get_socket().is_some() || options.get_host().starts_with('/')
    })
}

fn split(places: impl Iterator<Item = (Topic, i32)>) -> (Vec<&'static str>, Vec<i32>) {
    places.map(|(topic, partition)| (topic.name(), partition)).unzip()
}

/// The answer of a database that answers soon.
async fn within<T>(at: &str, asked: impl Future<Output = Result<T, sqlx::Error>>) -> Result<T, ProjectError> {
    match tokio::time::timeout(ANSWER_LIMIT, asked).await {
        Ok(answer) => answer.map_err(|error| failed(at, &error)),
        Err(_) => Err(silent(at)),
    }
}

fn silent(at: &str) -> ProjectError {
    ProjectError::Database { at: at.to_owned(), why: format!("no answer within {} s", ANSWER_LIMIT.as_secs()) }
}

/// What the database said, and what to do where it is there and does not let this client in. Details are left out: they may
/// repeat what a row holds.
fn failed(at: &str, error: &sqlx::Error) -> ProjectError {
    let database = error.as_database_error();
    let code = database.and_then(|database| database.code()).unwrap_or_default().into_owned();
    let why = match database {
        // Messages of this class repeat what could not be read.
        Some(_) if code.starts_with("22") => format!("a value was refused (SQLSTATE {code})"),
        // Nobody is let in like that.
        Some(database) if code.starts_with("28") => {
            format!("{}; look at user, password and sslmode of its address", database.message())
        }
        Some(database) => database.message().to_owned(),
        None => match error.to_string() {
            said if said.contains("certificate") => {
                format!(
                    "{said}; sslrootcert in its address must name the authority that signed the server's certificate, \
                         and the address a name that stands in it"
                )
            }
            said => said,
        },
    };
    ProjectError::Database { at: at.to_owned(), why }
}

/// The partitions of every topic that becomes rows.
pub(super) fn places(partitions: i32) -> Vec<(Topic, i32)> {
    TOPICS.iter().flat_map(|topic| (0..partitions).map(|partition| (*topic, partition))).collect()
}

/// How far a history at these offsets is behind a topic: offsets up to its newest record, so 0 where no record waits. On
/// Kafka the markers of transactions between them count too.
///
/// # Errors
/// [`BusError`] where the log does not answer.
pub async fn behind(bus: &dyn Bus, topic: Topic, known: &Offsets) -> Result<u64, BusError> {
    let marks = bus.watermarks(topic).await?;
    let waiting = waiting(bus, topic, &marks, |partition| known.get(&(topic, partition)).copied()).await?;
    Ok(waiting.values().map(|(next, newest)| u64::try_from(newest + 1 - next).unwrap_or_default()).sum())
}
