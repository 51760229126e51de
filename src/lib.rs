//! AUREN: an actor-based multi-agent conversation hub for health events on Kafka.
//!
//! Every person has a session actor that follows their biometric events, hears the triggers found in them, asks the
//! agents that each trigger recommends, and writes what they say back to Kafka. Measured values travel sealed; agents see
//! metadata only.
//!
//! ```text
//!  wearables                        your own producers
//!      │ sealed values                │           │
//!      ▼                              ▼           └──────────────┐
//!  health.readings ──[enrich]──▶ health.biometrics ──[detect]──▶ triggers.detected
//!                                     │                          │
//!                                     └────────────┬─────────────┘
//!                                                  ▼
//!  people ──▶ conversations.inbox ──────────▶ [converse] ⇄ neuroscientist, coach, your own agents
//!                                                  │
//!                                                  ▼
//!  your consumers, dashboards, chat ◀── conversations.events
//! ```
//!
//! `[enrich]`, `[detect]` and `[converse]` are roles: three processors on one lane engine. A role's outputs, the changed
//! states of its users and its input offsets are one transaction, so every cause has its effects exactly once.
//!
//! Read the modules in this order:
//! 1. [`auren_agents`]: the public records, the trait of an agent, and the two built-in experts (a crate of its own);
//! 2. [`bus`]: the contract that everything stands on, and its two implementations, Kafka and one SQLite file;
//! 3. [`wire`] and [`schema`]: records as JSON with CloudEvents headers, and their JSON Schema;
//! 4. [`client`]: topics, a producer and a consumer, for programs that use the topics without running a hub;
//! 5. [`lane`]: how a role works: batch, session actors, one commit, hand-over;
//! 6. [`phi`], [`wearable`], [`intake`] and [`erase`]: a measured value, how it becomes a sealed reading, and how a
//!    person is forgotten;
//! 7. [`enrich`], [`seen`] and [`detect`]: readings become metadata, metadata becomes triggers;
//! 8. [`consult`] and [`converse`]: who can be asked, and how a person's conversation goes; [`provisional`] shows answers
//!    while they are made;
//! 9. [`guarantee`] and [`gateway`]: which guarantee is in force, and the node's own HTTP server that tells of it;
//! 10. [`project`]: events as rows in PostgreSQL, and why something was said;
//! 11. [`config`] and [`app`]: settings, wiring, and the order of starting and stopping;
//! 12. [`inspect`]: looking at topics, groups and dead letters from beside the log;
//! 13. [`simulate`], [`import`] and [`demo`]: invented wearers, CSV files, and a fixed data set; [`rehearsal`] tries rules on
//!     them.
//!
//! Two ways in: [`client`] to speak with a hub that runs elsewhere, [`app::Hub`] to run one with agents of your own.
//! ARCHITECTURE.md says why things are as they are, SECURITY.md what is sealed and what is not.

pub mod app;
pub mod bus;
pub mod client;
pub mod config;
pub mod consult;
pub mod converse;
pub mod demo;
pub mod detect;
pub mod enrich;
pub mod erase;
pub mod gateway;
pub mod guarantee;
pub mod import;
pub mod inspect;
pub mod intake;
pub mod lane;
pub mod phi;
mod private_file;
pub mod project;
pub mod provisional;
pub mod rehearsal;
pub mod schema;
pub mod seen;
pub mod simulate;
mod sqlite;
mod tls;
pub mod trace;
pub mod wearable;
pub mod wire;

/// The README's Rust is compiled with the other examples.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// So is that of the page for agents' authors.
#[cfg(doctest)]
#[doc = include_str!("../agents/README.md")]
struct AgentsReadme;
