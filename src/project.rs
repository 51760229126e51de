//! The history: what happened, as rows in PostgreSQL. The log stays the truth, and all of it can be made again from there.
//!
//! The role `project` reads biometrics, triggers, conversation events and system events and writes each record exactly
//! once: the rows and the offsets behind them are one database transaction, and reading goes on from the database's
//! offsets. One projector works at a time, the one that holds a lock of the database; another stands by. What makes
//! doubling impossible is not the lock but the offsets, which move only from where the writer believed them to be.
//!
//! [`row`] is a record as a row, [`database`] the tables, [`projector`] the role, [`stats`] what it has done, [`verify`]
//! compares rows with the log, [`why`] follows an event back to what it rests on.
//!
//! Nothing here has keys: tokens are stored sealed.

pub mod database;
mod error;
pub mod projector;
pub mod row;
pub mod stats;
pub mod verify;
pub mod why;

pub use database::Database;
pub use error::ProjectError;
pub use projector::{ProjectSettings, run};
pub use stats::{ProjectStats, ProjectTotals};
