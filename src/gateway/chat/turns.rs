//! What all who follow a turn know of it: when it is looked for in what was said before, and how it ends.

use std::time::Duration;

use auren_agents::{ConversationEvent, MessageType, events::PanelSeat};

/// A message of which nothing is heard for so long may have been sent before, so its turn is looked for.
pub(super) const LOOK_BACK: Duration = Duration::from_secs(2);
/// Most records of the log that are looked through for it.
pub(super) const LOOK_BACK_MAX: i64 = 50_000;

/// How a turn ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The last of its panel has spoken, or the hub in its place.
    Said,
    /// It was stopped, whoever is left on its panel.
    Stopped,
    /// Too many questions of the person are open.
    Busy,
}

impl End {
    /// How a turn ends with this event; none where it goes on.
    pub(super) fn of(event: &ConversationEvent) -> Option<Self> {
        if event.message_type == MessageType::UserInput {
            return None;
        }
        match event.metadata.code.as_deref() {
            Some("stopped") => Some(Self::Stopped),
            Some("busy") => Some(Self::Busy),
            _ => event.metadata.panel.as_ref().is_some_and(PanelSeat::is_last).then_some(Self::Said),
        }
    }
}
