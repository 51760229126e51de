//! Biometric events become triggers: rules over what metadata tells, with an edge, a repeat and a cooldown each.
//!
//! [`history`] is what is remembered of a person, [`rules`] what is worth saying, [`session`] how an event is worked. No
//! token is opened here.

mod history;
mod rules;
mod session;

pub use history::History;
pub use rules::{Found, RULES, Rule};
pub use session::Detect;
