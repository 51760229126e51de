//! AUREN: an actor-based multi-agent conversation hub for health events on Kafka.

pub mod bus;
pub mod client;
pub mod config;
pub mod import;
pub mod intake;
pub mod phi;
pub mod schema;
pub mod simulate;
pub mod wearable;
pub mod wire;
