//! The keyring: where wrapped data keys, the audit chain and the counters of who opened how much are kept.
//!
//! Three implementations behind one trait: [`SqliteStore`] (a file of its own, beside the embedded bus), [`PostgresStore`]
//! (for several nodes) and [`MemoryStore`] (for demonstrations and tests). A store is one tenant's. It never sees a key in
//! the clear. It decides races: of two nodes that make a key for one person at once, both go on with the first one's.

mod memory;
mod sql;

use async_trait::async_trait;

pub use memory::MemoryStore;
pub use sql::{PostgresStore, SqliteStore};

use super::{
    KeyError,
    audit::{Checkpoint, Entry},
};

/// A data key as it is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptKey {
    /// What tokens name it by.
    pub reference: Vec<u8>,
    /// The key, wrapped; none once it was destroyed.
    pub wrapped: Option<String>,
}

/// Keeps what must outlive the process.
#[async_trait]
pub trait Store: std::fmt::Debug + Send + Sync {
    /// Where it is, in words.
    fn describe(&self) -> String;

    /// The keyring's own id; the first to ask gives it one.
    async fn id(&self, new: &[u8]) -> Result<Vec<u8>, KeyError>;

    /// The key of a person, destroyed or not.
    async fn key(&self, owner: &str) -> Result<Option<KeptKey>, KeyError>;

    /// Keeps a key where the person has none.
    async fn insert(&self, owner: &str, key: &KeptKey) -> Result<(), KeyError>;

    /// Sets seals aside; `false` where that would be more than `most` in all.
    async fn reserve(&self, owner: &str, seals: i64, most: i64) -> Result<bool, KeyError>;

    /// Destroys the key of a person. Where there is none, it is kept that there never will be.
    async fn destroy(&self, owner: &str, reference: &[u8]) -> Result<bool, KeyError>;

    /// Replaces a wrapped key; `false` where it is no longer the one expected.
    async fn replace(&self, owner: &str, expected: &str, wrapped: &str) -> Result<bool, KeyError>;

    /// The owners behind this one with their keys, in order of their names.
    async fn owners(&self, after: &str, most: i64) -> Result<Vec<(String, KeptKey)>, KeyError>;

    /// The newest audit entry.
    async fn head(&self) -> Result<Option<Entry>, KeyError>;

    /// Appends an entry; `false` where its place is taken.
    async fn append(&self, entry: &Entry) -> Result<bool, KeyError>;

    /// Audit entries behind a place, in order.
    async fn entries(&self, after: i64, most: i64) -> Result<Vec<Entry>, KeyError>;

    /// Keeps a checkpoint.
    async fn sign(&self, checkpoint: &Checkpoint) -> Result<(), KeyError>;

    /// The checkpoints, in order.
    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, KeyError>;

    /// Counts up what somebody used within a window of time, and returns what is used then.
    async fn count(&self, window: &str, who: &str, more: i64) -> Result<i64, KeyError>;

    /// Forgets what was counted in windows that began before this one.
    async fn forget_uses(&self, before: &str) -> Result<(), KeyError>;
}
