//! Conversations: one session actor per user, panels of agents, and answers that may come late.
//!
//! [`talk`] is the session's state machine, pure: what is heard becomes what is said and who is asked. [`panel`] is a
//! question to several agents, [`hand_off`] one agent's wish that another go on, [`saying`] how what comes of it is said,
//! [`routing`] finds whom a person means, [`memory`] is what is saved, [`recorded`] rebuilds questions of the past, and
//! [`actor`] does the asking. An agent that answers at once is answered for in the commit of its cause; one that does not is
//! parked: its panel is saved as open, and its answer comes later as a stimulus of its own.

mod actor;
mod hand_off;
mod memory;
mod panel;
mod recorded;
mod routing;
mod saying;
mod settings;
mod talk;

pub use actor::{Converse, Session};
pub use recorded::{Recorded, recorded};
pub use routing::Route;
pub use settings::TalkSettings;
