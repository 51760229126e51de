//! The engine under every role: assignment, batches, session actors, one commit, hand-over. It knows no rules and no agents.
//!
//! A [`Processor`] says what a role does with one user's records; a [`Worker`] does the rest, the same for all roles. It
//! joins the role's consumer group, restores the state of the partitions it is given, and then turns batches of records
//! into transactions: outputs, changed states and input offsets, all or nothing. While one commit is in flight the next
//! batch is prepared. Whatever goes wrong with a commit, the worker forgets everything and begins again at the committed
//! offsets; nothing is ever half remembered.
//!
//! Read the modules in this order: [`session`] (what a role implements), [`batch`] (one transaction), [`worker`] (a life),
//! [`residents`] (the actors in memory), [`flight`] (commits under way), [`patience`] (beginning again), [`watchdog`]
//! (noticing that nothing comes), [`mod@behind`] (what waits), [`wakes`] and [`alarm`] (whose time has come), [`state`], [`mirror`] and [`snapshots`] (states in Redis),
//! [`refusal`] and [`dead_letter`] (what nobody can use), [`parked`] (users whose turns keep failing), [`stats`].

mod alarm;
mod batch;
mod behind;
mod dead_letter;
mod flight;
mod mirror;
mod parked;
mod patience;
mod refusal;
mod residents;
mod session;
mod snapshots;
mod state;
mod stats;
mod wakes;
mod watchdog;
mod worker;

use std::collections::HashMap;

use auren_agents::UserId;

pub(crate) use behind::behind;
pub use dead_letter::DeadLetter;
pub use parked::Parking;
pub use refusal::Refusal;
pub use session::{Effects, Input, Lates, Never, Processor, Pure, Reduce, Stimulus};
pub use snapshots::{Papers, SnapshotError, SnapshotSettings};
pub use stats::{LaneStats, Standing, Totals, WorkerSeen};
pub use wakes::Wake;
pub use worker::{Worker, WorkerSettings};

/// Something of each user. A trigger looks here five times, so the hash is a quick one; it is seeded at random, as ids come
/// from outside.
type Users<T> = HashMap<UserId, T, foldhash::quality::RandomState>;
