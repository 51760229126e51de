//! AUREN: an actor-based multi-agent conversation hub for health events on Kafka.

pub mod app;
pub mod bus;
pub mod client;
pub mod config;
pub mod consult;
pub mod converse;
pub mod demo;
pub mod detect;
pub mod enrich;
pub mod import;
pub mod intake;
pub mod lane;
pub mod phi;
pub mod schema;
pub mod seen;
pub mod simulate;
pub mod wearable;
pub mod wire;
