//! What a bus is seen to be able to do: the ground on which a role's guarantee stands. Facts only; what follows from
//! them is said elsewhere.

use std::collections::BTreeMap;

use super::Topic;

/// What was observed of a bus.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The partition count that all topics share, or which of them is missing or differs.
    pub partitions: Result<i32, String>,
    /// Whether outputs, states and offsets can be one transaction, or why not.
    pub transactions: Result<(), String>,
    /// Client properties that take something away.
    pub overrides: Vec<Override>,
    /// How each state topic keeps its records.
    pub states: BTreeMap<Topic, Keeping>,
    /// On how many disks a record is when it is acknowledged.
    pub copies: Copies,
}

/// A client property that somebody has set and that takes something away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Override {
    /// `name = value`.
    pub property: String,
    /// What it takes away.
    pub takes: Taken,
}

/// What a property can take away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Taken {
    /// Records of aborted transactions are read too.
    Isolation,
    /// Offsets are committed by a timer, whether or not the records before them have been worked.
    Offsets,
    /// Partition p of two topics may be with two members.
    Togetherness,
}

/// How a state topic keeps its records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Keeping {
    /// The newest of every key, for ever.
    Newest,
    /// It also forgets by age or size; the policy.
    Forgets(String),
    /// It could not be looked at, and why.
    Unknown(String),
}

/// On how many disks a record is when it is acknowledged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Copies {
    /// In one file on this machine, written through to its disk.
    File,
    /// On brokers' disks: that topic is the one with the least.
    Brokers {
        /// Replicas it has.
        replicas: i32,
        /// How many of them have a record at least when it is acknowledged; none where that could not be looked at.
        sure: Option<i32>,
        /// The topic's name.
        topic: String,
    },
}
