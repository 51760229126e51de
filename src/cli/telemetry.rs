//! Logs, on standard error: the level that was asked for, else `info` for a node and `warn` for everything else.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use auren::config::{LogFormat, LogSection};
use tracing_subscriber::EnvFilter;

use super::Args;

/// For a command that answers one question.
const QUIET: &str = "warn";

/// Starts logging.
pub(crate) fn telemetry(log: &LogSection, args: &Args) {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(level(log, args)))
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // A line that cannot be written, as on a full disk, would be reported on the same standard error, by a print
        // that panics where that fails: a worker that logs would die of it.
        .log_internal_errors(false);
    // Only a second call could fail, and there is none.
    let _ = match log.format {
        LogFormat::Text => builder.try_init(),
        LogFormat::Json => builder.json().try_init(),
    };
}

/// A flag wins over `RUST_LOG`, that over the configuration; where nobody has said anything, the command decides.
fn level(log: &LogSection, args: &Args) -> String {
    let flag = args.source().overrides.iter().any(|(key, _)| key == "log.level");
    if flag {
        return log.level.clone();
    }
    if let Ok(level) = env::var("RUST_LOG") {
        return level;
    }
    let said = env::var_os("AUREN__LOG__LEVEL").is_some() || log.level != LogSection::default().level;
    if said || args.is_node() { log.level.clone() } else { QUIET.to_owned() }
}
