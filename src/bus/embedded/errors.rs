//! SQLite's errors in AUREN's words. They name the file and what to do, never what a record holds.

use std::path::Path;

use sqlx::Error;

use crate::bus::BusError;

/// An error of the file as a bus error.
pub(super) fn storage(file: &Path, error: &Error) -> BusError {
    BusError::Storage { file: file.display().to_string(), why: words(error) }
}

/// What a person can do about it.
pub(crate) fn words(error: &Error) -> String {
    let Error::Database(inner) = error else {
        return match error {
            Error::WorkerCrashed | Error::PoolClosed => "the connection to the file is closed".to_owned(),
            Error::PoolTimedOut => "every connection to the file is busy; is the disk stalled?".to_owned(),
            other => other.to_string(),
        };
    };
    // The primary result code is the low byte of an extended one.
    let code = inner.code().and_then(|code| code.parse::<i32>().ok()).map_or(0, |code| code & 0xff);
    match code {
        5 | 6 => "another process holds its lock; wait until it is done, or stop it".to_owned(),
        8 => "the file or its folder cannot be written; check their permissions".to_owned(),
        10 => format!("the disk failed to read or write ({}); check the disk", inner.message()),
        11 => "the file is damaged; restore it from a backup".to_owned(),
        13 => "the disk is full; free some space".to_owned(),
        14 => "it cannot be opened; check that its folder exists and can be written".to_owned(),
        26 => "the file is no SQLite file; name another path".to_owned(),
        _ => inner.message().to_owned(),
    }
}
