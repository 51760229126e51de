//! Why there is no history, or why it does not go on.

use crate::bus::BusError;

/// What went wrong with the projection.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The database does not answer, or does not do what it is asked.
    #[error("the history in {at}: {why}")]
    Database {
        /// The database, without user and password.
        at: String,
        /// The database's words.
        why: String,
    },
    /// Nobody has made the tables.
    #[error("there is no history in {at} yet; the first node with the role project makes its tables")]
    NoTables {
        /// The database.
        at: String,
    },
    /// The tables are of a newer AUREN.
    #[error(
        "the history in {at} has tables of a newer AUREN (migration {version}); nothing was written: run that version, or \
         name another database in project.url"
    )]
    Future {
        /// The database.
        at: String,
        /// The migration that this version does not know.
        version: i64,
    },
    /// Somebody else moved the offsets.
    #[error("another projector wrote to {at}, or the history is rebuilt; it is read again from the database's offsets")]
    Stale {
        /// The database.
        at: String,
    },
    /// The database knows offsets that the log has never had.
    #[error(
        "the history in {at} is at offset {next} of {topic}[{partition}], and the log ends at {end}: it is the history of \
         another cluster, or the topic was created anew; name another database, or run `auren project rebuild --yes`"
    )]
    Ahead {
        /// The database.
        at: String,
        /// The topic.
        topic: &'static str,
        /// The partition.
        partition: i32,
        /// The database's next offset.
        next: i64,
        /// The log's.
        end: i64,
    },
    /// No event of this id.
    #[error("there is no event {0} in conversations.events or triggers.detected; is it older than the topics keep?")]
    NoEvent(String),
}
