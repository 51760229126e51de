//! Looking at the log from beside it, without a consumer group: what the command line and the operators' console show.
//!
//! [`topics`] says how far topics reach, [`lag`] how far the roles' groups are, [`letters`] what nobody could use,
//! [`recent`] which rules spoke in the last minutes, [`show`] how a record looks, [`trace`] what an operator may see of it. All of it reads; nothing that works waits
//! for it. What reads many records is told where to stop.

pub mod lag;
pub mod letters;
pub mod recent;
pub mod show;
pub mod topics;
pub mod trace;

use chrono::{DateTime, SecondsFormat};

/// A time in milliseconds since the epoch, as text.
#[must_use]
pub fn written(millis: i64) -> String {
    let at = DateTime::from_timestamp_millis(millis).unwrap_or_default();
    at.to_rfc3339_opts(SecondsFormat::Millis, true)
}
