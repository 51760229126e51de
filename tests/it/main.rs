//! Behaviour tests of the whole hub, one module per part. They talk to real services: `tests/run` starts them, or
//! `eval "$(tests/services/up)"` for one's own `cargo test`.

// What only serves a test is outside the attribute that exempts tests.
#![allow(clippy::unwrap_used, clippy::print_stderr, unreachable_pub)]

mod agents_cli;
mod browser;
mod bus;
mod chaos;
mod cli;
mod first_agent;
mod gateway;
mod guarantee;
mod keyring;
mod layers;
mod project;
mod river;
mod rules_cli;
mod sealed;
#[cfg(feature = "kafka-tls")]
mod secure;
mod support;
mod trace;
mod values;
mod vault;
mod watchdog;
