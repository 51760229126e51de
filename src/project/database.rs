//! The history's database: a connection, the lock of whoever projects, and how far the history is.
//!
//! It is PostgreSQL ([`postgres`]) or a file ([`sqlite`]), each with its own SQL; [`store`] says what they can do. [`columns`]
//! says what goes where in the tables, [`write`] gets rows and offsets into them as one, [`read`] brings rows out again, and
//! [`pages`] some of one person's at a time. Who only reads has connections from [`readers`].

mod columns;
mod dialect;
mod pages;
mod postgres;
mod read;
mod readers;
mod sqlite;
mod store;
mod write;

use std::{
    collections::BTreeMap,
    ops::{Deref, DerefMut},
    path::PathBuf,
    time::Duration,
};

use sqlx::postgres::PgConnectOptions;

pub use self::{
    pages::{Conversation, Order, Place, Wanted},
    postgres::yardstick::{Copied, Yardstick},
    read::Held,
    readers::Readers,
    store::{Reading, Store},
    write::{Move, Put, Written},
};
use super::{ProjectError, row::TOPICS};
use crate::bus::{Bus, BusError, Topic, waiting};

/// How long connecting may take, and what a projector asks without writing: a database that went away silently is noticed
/// by it.
const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// The newest migration.
const NEWEST: i64 = 1;
/// What the address of a file begins with.
const FILE: &str = "sqlite:";

/// The next offsets, by topic and partition.
pub type Offsets = BTreeMap<(Topic, i32), i64>;

/// A connection to the history; what it can do says [`Store`].
#[derive(Debug)]
pub struct Database(Box<dyn Store>);

/// Which database an address names, how it is reached, and the database in words.
enum Kind {
    Server(Box<PgConnectOptions>, String),
    File(PathBuf, String),
}

impl Kind {
    fn of(url: &str) -> Result<Self, ProjectError> {
        Ok(match url.strip_prefix(FILE) {
            Some(file) => Self::File(file.into(), format!("sqlite {file}")),
            None => {
                let (options, at) = postgres::options(url)?;
                Self::Server(Box::new(options), at)
            }
        })
    }
}

impl Database {
    /// Connects, and makes or checks the tables.
    ///
    /// # Errors
    /// [`ProjectError::Database`] where it does not answer, [`ProjectError::Future`] where its tables are newer.
    pub async fn open(url: &str) -> Result<Self, ProjectError> {
        let mut database = Self(match Kind::of(url)? {
            Kind::Server(options, at) => Box::new(postgres::Server::connect(*options, at).await?),
            Kind::File(file, at) => Box::new(sqlite::File::connect(&file, at).await?),
        });
        database.make().await?;
        Ok(database)
    }

    /// Connects to look at what is there, and makes nothing.
    ///
    /// # Errors
    /// [`ProjectError::Database`] where it does not answer, [`ProjectError::NoTables`] where nobody has made any, and
    /// [`ProjectError::Future`] where they are newer.
    pub async fn look(url: &str) -> Result<Self, ProjectError> {
        let mut database = Self(match Kind::of(url)? {
            Kind::Server(options, at) => Box::new(postgres::Server::connect(*options, at).await?),
            Kind::File(file, at) => Box::new(sqlite::File::look(&file, at).await?),
        });
        database.check().await?;
        Ok(database)
    }

    /// Whether the tables are there, and are those that are known here.
    async fn check(&mut self) -> Result<(), ProjectError> {
        let at = self.describe().to_owned();
        match self.version().await? {
            0 => Err(ProjectError::NoTables { at }),
            version if version > NEWEST => Err(ProjectError::Future { at, version }),
            _ => Ok(()),
        }
    }

    /// The next offset of every partition of these, which begin at 0 where they are new.
    ///
    /// # Errors
    /// [`ProjectError::Database`].
    pub async fn offsets(&mut self, places: &[(Topic, i32)]) -> Result<Offsets, ProjectError> {
        self.begin(places).await?;
        self.known_offsets().await
    }

    /// Looks whether the database is there and its offsets are still these.
    ///
    /// # Errors
    /// [`ProjectError::Stale`] where they are others, [`ProjectError::Database`].
    pub async fn still_at(&mut self, known: &Offsets) -> Result<(), ProjectError> {
        let now = match tokio::time::timeout(ANSWER_LIMIT, self.known_offsets()).await {
            Ok(now) => now?,
            Err(_) => return Err(silent(self.describe())),
        };
        if now == *known { Ok(()) } else { Err(ProjectError::Stale { at: self.describe().to_owned() }) }
    }

    /// All that was asked has been answered, so a lent connection may serve somebody else.
    pub fn give_back(self) {
        self.0.give_back();
    }
}

impl Deref for Database {
    type Target = dyn Store;

    fn deref(&self) -> &Self::Target {
        &*self.0
    }
}

impl DerefMut for Database {
    fn deref_mut(&mut self) -> &mut Self::Target {
        &mut *self.0
    }
}

/// Whether what is said to this database cannot be read on its way: it is encrypted and the server is known by its
/// certificate, or it does not leave the machine. `false` too where this is no address of a database.
#[must_use]
pub fn is_private(url: &str) -> bool {
    url.starts_with(FILE) || postgres::is_private(url)
}

/// The address of a history in a file.
#[must_use]
pub fn in_file(file: &std::path::Path) -> String {
    format!("{FILE}{}", file.display())
}

fn silent(at: &str) -> ProjectError {
    ProjectError::Database { at: at.to_owned(), why: format!("no answer within {} s", ANSWER_LIMIT.as_secs()) }
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
