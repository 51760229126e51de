//! Readings become biometric events: the one role that opens tokens, and what it tells about a value without telling it.
//!
//! [`baseline`] is the statistics (pure), [`mod@band`] which published range a value lies in, [`metadata`] what the privacy
//! profile lets through, [`session`] a person's sealed history and how a reading is worked, [`attack`] how closely what is
//! told gives the value back.

mod attack;
mod band;
mod baseline;
mod metadata;
mod session;

pub use attack::{Guessed, attack};
pub use band::band;
pub use baseline::{Judged, MIN_SAMPLE, Point, Unwelcome, WEEK_SAMPLE, judge, unwelcome};
pub use metadata::metadata;
pub use session::Enrich;
