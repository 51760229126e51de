//! What the SQLite files have in common: bus, keyring and history. Their errors in AUREN's words, which say what to do and
//! never what a record holds, and the log beside each file.

use sqlx::{Error, Executor, Row as _, Sqlite};

/// What a person can do about an error.
pub(crate) fn words(error: &Error) -> String {
    let Error::Database(inner) = error else {
        return match error {
            Error::WorkerCrashed | Error::PoolClosed => "the connection to the file is closed".to_owned(),
            Error::PoolTimedOut => "every connection to the file is busy; is the disk stalled?".to_owned(),
            other => other.to_string(),
        };
    };
    match code(error) {
        Some(5 | 6) => "another process holds its lock; wait until it is done, or stop it".to_owned(),
        Some(8) => "the file or its folder cannot be written; check their permissions".to_owned(),
        Some(10) => format!("the disk failed to read or write ({}); check the disk", inner.message()),
        Some(11) => "the file is damaged; restore it from a backup".to_owned(),
        Some(13) => "the disk is full; free some space".to_owned(),
        Some(14) => "it cannot be opened; check that its folder exists and can be written".to_owned(),
        Some(26) => "the file is no SQLite file; name another path".to_owned(),
        _ => inner.message().to_owned(),
    }
}

/// Whether another connection holds what is asked for (`SQLITE_BUSY`).
pub(crate) fn is_locked(error: &Error) -> bool {
    code(error) == Some(5)
}

/// SQLite's primary result code, which is the low byte of an extended one.
fn code(error: &Error) -> Option<i32> {
    let code = error.as_database_error()?.code()?.parse::<i32>().ok()?;
    Some(code & 0xff)
}

/// Carries everything into the file and empties the log beside it, where what was deleted stands until then. False where
/// another connection still reads what is in the log: SQLite says so in its answer and does not fail.
pub(crate) async fn empty_log<'c>(file: impl Executor<'c, Database = Sqlite>) -> Result<bool, Error> {
    let answer = sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").fetch_one(file).await?;
    Ok(answer.try_get::<i64, _>(0)? == 0)
}
