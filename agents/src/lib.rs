//! The vocabulary of AUREN, the SDK for its agents, and its two built-in experts.
//!
//! An agent is somebody a person can be advised by: it is asked with a [`Consult`] and answers with an [`Advice`].
//! It sees metadata about measurements (rank, severity, trend), never a measurement, and this crate knows no Kafka,
//! no keys and no sockets, so an agent cannot reach for them either.
//!
//! Read the modules in this order:
//! 1. [`ids`] and [`time`]: the names of things and when they happened;
//! 2. [`events`]: the public records of the hub, field for field;
//! 3. [`consult`]: the question an agent gets and the answer it gives;
//! 4. [`agent`]: the trait to implement, and the actor that hosts it;
//! 5. [`neuroscientist`] and [`coach`]: two agents that need no key and no network;
//! 6. [`care`]: what is said before any advice, and what is never said;
//! 7. [`tools`]: typed functions of a consult, for an agent or a language model to call;
//! 8. [`dialogue`]: what an agent is asked in a file, and what its answer must and must not say.
//!
//! ```
//! use auren_agents::{Advice, Agent, AgentCard, AgentError, Consult};
//!
//! struct Sleeper;
//!
//! impl Agent for Sleeper {
//!     fn card(&self) -> AgentCard {
//!         AgentCard::new("sleeper", "0.1.0", "Says good night.").topics(["sleep", "tired"])
//!     }
//!
//!     async fn consult(&self, consult: Consult) -> Result<Advice, AgentError> {
//!         Ok(Advice::say(format!("Good night after {} readings.", consult.recent.len())))
//!     }
//! }
//! ```
//!
//! No agent can name a key, for there is nothing here to name it by:
//!
//! ```compile_fail,E0433
//! let keys = auren::phi::Keys::ephemeral("t");
//! ```

pub mod agent;
pub mod care;
pub mod coach;
pub mod consult;
pub mod dialogue;
pub mod events;
pub mod ids;
pub mod neuroscientist;
mod parts;
mod reading;
pub mod text;
pub mod time;
pub mod tools;
mod topic;
mod voice;
mod words;

pub use agent::{Agent, AgentActor, AgentCard, AgentError};
pub use coach::Coach;
pub use consult::{Advice, Cause, Consult, Finding, HandOff, Observation, PanelAdvice, PastAdvice};
pub use events::{
    BiometricEvent, BiometricMetadata, BiometricType, ConversationEvent, ConversationMetadata, InboxAction,
    InboxRecord, MessageType, Rejected, SystemEvent, TriggerEvent, TriggerType,
};
pub use ids::{AgentId, ConsultId, ConversationId, EventId, UserId};
pub use neuroscientist::Neuroscientist;
pub use parts::Parts;
pub use text::{Score, Text};
pub use time::Timestamp;
pub use tools::{Tool, ToolError, Tools};
