//! CSV exports of wearables, read as rows.
//!
//! A [`Mapping`] says which column is whose, when and what; [`Mapping::guess`] proposes one from the headers. An
//! [`Importer`] then reads row by row and goes on after a bad one: each [`ImportError`] names line and column and what to
//! do, and never what was in the cell.

mod error;
mod guess;
mod mapping;
mod plan;
mod reader;
mod time;
mod words;

pub use self::{
    error::{ImportError, MappingError, Problem},
    guess::{Guess, LeftOut, Understood},
    mapping::{Column, Mapping, Source, Time},
    reader::{Heading, Importer, LINE_MAX},
};

#[cfg(test)]
mod tests;
