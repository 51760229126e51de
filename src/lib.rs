//! AUREN: an actor-based multi-agent conversation hub for health events on Kafka.

pub mod bus;
pub mod import;
pub mod simulate;
pub mod wearable;
