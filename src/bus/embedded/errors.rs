//! Errors of the file as errors of the bus.

use std::path::Path;

use sqlx::Error;

use crate::{bus::BusError, sqlite};

/// An error of the file as a bus error.
pub(super) fn storage(file: &Path, error: &Error) -> BusError {
    BusError::Storage { file: file.display().to_string(), why: sqlite::words(error) }
}
