//! What a database of the history can do, whichever it is. [`Reading`] is asked in words that both databases know, but for
//! a few ([`super::dialect`]); what [`Store`] adds each does in its own way.

use std::fmt;

use async_trait::async_trait;

use super::{
    Offsets,
    pages::{Conversation, Order, Place, Wanted},
    read::Held,
    write::{Move, Put},
};
use crate::{
    bus::{Record, Topic},
    project::{
        ProjectError,
        row::{Projected, Row},
    },
};

/// How rows come out of the tables again. Everything fails with [`ProjectError::Database`] where the database does not
/// answer.
#[async_trait]
pub trait Reading: fmt::Debug + Send + Sync {
    /// The newest migration that was made; 0 where there are no tables.
    async fn version(&mut self) -> Result<i64, ProjectError>;

    /// The next offsets that are known.
    async fn known_offsets(&mut self) -> Result<Offsets, ProjectError>;

    /// The rows of a partition from one offset up to another, in their order.
    async fn rows(&mut self, topic: Topic, partition: i32, from: i64, to: i64) -> Result<Vec<Row>, ProjectError>;

    /// The rows of these ids, of one person where one is named. Of rows with one id the one written first comes first.
    async fn named(&mut self, topic: Topic, ids: &[String], user: Option<&str>) -> Result<Vec<Row>, ProjectError>;

    /// The offsets of a partition's refused records in a span.
    async fn refused(&mut self, topic: Topic, partition: i32, from: i64, to: i64) -> Result<Vec<i64>, ProjectError>;

    /// The people who have been erased.
    async fn erased(&mut self) -> Result<Vec<String>, ProjectError>;

    /// How much of a topic there is.
    async fn held(&mut self, topic: Topic) -> Result<Held, ProjectError>;

    /// Rows of a partition below an offset.
    async fn rows_below(&mut self, topic: Topic, partition: i32, offset: i64) -> Result<i64, ProjectError>;

    /// A person's rows of a topic by the time at which they happened, behind a place.
    async fn page(
        &mut self,
        topic: Topic,
        wanted: Wanted<'_>,
        order: Order,
        after: Option<&Place>,
    ) -> Result<Vec<Row>, ProjectError>;

    /// A person's conversations, those with the newest events first, behind one of them (when its newest event happened, and
    /// its id).
    async fn conversations(
        &mut self,
        user: &str,
        limit: u16,
        after: Option<&(String, String)>,
    ) -> Result<Vec<Conversation>, ProjectError>;
}

/// A database of the history. Everything fails with [`ProjectError::Database`] where it does not answer.
#[async_trait]
pub trait Store: Reading {
    /// The database in words.
    fn describe(&self) -> &str;

    /// Makes what is missing of the tables. Those of a newer version are [`ProjectError::Future`].
    async fn make(&mut self) -> Result<(), ProjectError>;

    /// Takes the lock of whoever projects; `false` where somebody else has it.
    async fn claim(&mut self) -> Result<bool, ProjectError>;

    /// Whether somebody projects now.
    async fn is_claimed(&mut self) -> Result<bool, ProjectError>;

    /// Begins these partitions at 0 where they are new.
    async fn begin(&mut self, places: &[(Topic, i32)]) -> Result<(), ProjectError>;

    /// Moves the offsets and writes what became of these records, as one transaction.
    async fn put(&mut self, moves: &[Move], batch: &[(Record, Projected)]) -> Result<Put, ProjectError>;

    /// Takes all rows away and begins again at the oldest records held. Who has been erased stays erased.
    async fn empty(&mut self) -> Result<(), ProjectError>;

    /// Which database it is, with its version, and what time it is there, in milliseconds, where its clock is another one.
    async fn server(&mut self) -> Result<(String, Option<i64>), ProjectError>;

    /// Whether TimescaleDB is there.
    async fn has_timescale(&mut self) -> Result<bool, ProjectError> {
        Ok(false)
    }

    /// Sets what TimescaleDB does by itself: after how many days rows are compressed, and dropped; never where 0. Without
    /// the extension nothing happens by itself.
    async fn keep(&mut self, _compress_after_days: u32, _keep_days: u32) -> Result<(), ProjectError> {
        Ok(())
    }

    /// All that was asked has been answered, so a lent connection may serve somebody else.
    fn give_back(self: Box<Self>);
}
