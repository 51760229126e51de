//! One person's rows, some at a time. A page goes on behind the last row of the one before, so it costs the same however
//! far it is from the first, and rows that are written meanwhile shift nothing.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::project::row::Row;

/// Whose rows, and which of them.
#[derive(Debug, Clone, Copy)]
pub struct Wanted<'a> {
    /// Whose.
    pub user: &'a str,
    /// Only events of this type.
    pub kind: Option<&'a str>,
    /// From this time on (RFC 3339).
    pub from: Option<&'a str>,
    /// Before this time (RFC 3339).
    pub to: Option<&'a str>,
    /// Most rows.
    pub limit: u16,
}

/// Which rows come first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// The oldest.
    Oldest,
    /// The newest.
    Newest,
}

/// The place of a row in the order of time: when it happened (RFC 3339), partition, offset.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Place(pub String, pub i32, pub i64);

/// A conversation in short.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Conversation {
    /// Its id.
    pub conversation_id: String,
    /// When its oldest event happened, in UTC.
    pub first: String,
    /// When its newest event happened, in UTC.
    pub last: String,
    /// How many events it has.
    pub events: i64,
    /// The agents who spoke, by name.
    pub agents: Vec<String>,
}

impl Row {
    /// Its place in the order of time.
    #[must_use]
    pub fn place(&self) -> Place {
        Place(self.at.clone(), self.partition, self.offset)
    }
}
