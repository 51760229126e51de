//! The public records of the hub, field for field, and how they are read from JSON.
//!
//! A reader ignores no field: what it does not know rides along in `extra` and comes out again. Event and trigger types
//! that nobody here has heard of are carried, not rejected. What breaks a bound is [`Rejected`], with the field named
//! and the value left out, because the value may be private.

mod biometric;
mod conversation;
mod inbox;
mod open;
mod rejected;
mod system;
mod trigger;

pub use biometric::{BiometricEvent, BiometricMetadata, BiometricType, Observation, StatisticalSummary};
pub use conversation::{CauseKind, ConversationEvent, ConversationMetadata, MessageType, PanelMode, PanelSeat};
pub use inbox::{InboxAction, InboxRecord};
pub use rejected::{Rejected, Rejection, parse};
pub use system::SystemEvent;
pub use trigger::{RuleRef, TriggerEvent, TriggerType};

/// Fields that this version does not know.
pub type Extra = serde_json::Map<String, serde_json::Value>;
