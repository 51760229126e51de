//! What a user of the library can be told: what happened, where, and what to do next. Never what a record holds.

use auren_agents::Rejected;

use crate::bus::{BusError, Cursor, Topic};

/// What a handler may fail with: any error.
pub type HandlerError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong in the client library.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// The bus did not do it.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The event breaks a bound that readers check, so nothing was written.
    #[error("the event was not sent: {0}")]
    Rejected(#[from] Rejected),
    /// The producer was closed before.
    #[error("the producer is closed; make a new one")]
    Closed,
    /// The topics that exist have another partition count than the one asked for.
    #[error(
        "topic {topic} exists with {exists} partitions, and {asked} were asked for: all topics need the same count; ask \
         for {exists}, or delete the topics first (their records with them)"
    )]
    PartitionsDiffer {
        /// A topic that exists.
        topic: Topic,
        /// Its partition count.
        exists: i32,
        /// The count asked for.
        asked: i32,
    },
    /// A consumer without a handler has nothing to read.
    #[error("a consumer needs at least one handler: on_biometric, on_trigger or on_conversation")]
    NoHandler,
    /// A handler failed; what came before it is committed, it itself is read again by the next start.
    #[error("the handler failed at {topic} {cursor}; this record comes again when the consumer is started again")]
    Handler {
        /// The record's topic.
        topic: Topic,
        /// The record's place.
        cursor: Cursor,
        /// What the handler said.
        source: HandlerError,
    },
    /// A handler panicked, or the runtime that the consumer ran on is gone.
    #[error("the consumer's task ended before it was stopped: {why}")]
    Ended {
        /// What is known of the reason.
        why: String,
    },
}
