//! How the process ends: the code, and the last words on standard error.

use std::{
    io::{self, Write as _},
    process::{self, ExitCode},
    time::Duration,
};

use auren::{bus::kafka::clients_ended, config::ConfigError};

use super::console::Closed;

/// Wrong arguments or a wrong configuration (`EX_USAGE` of sysexits).
const USAGE: u8 = 64;
/// What a shell reports for a process that Ctrl-C ended.
pub(super) const INTERRUPTED: i32 = 130;

/// How long the process waits for clients of Kafka that are ending. Where the brokers are away, they may take longer.
const CLIENTS_END: Duration = Duration::from_secs(1);

/// How a command ended that could say so itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Exit {
    /// All was done.
    Done,
    /// Something was not; it was said what.
    Failed,
    /// Somebody ended it before it was done.
    Interrupted,
}

/// The exit code of a command's end. An error that nobody has shown yet is shown now.
pub(crate) fn exit(end: anyhow::Result<Exit>) -> ExitCode {
    match end {
        Ok(Exit::Done) => ExitCode::SUCCESS,
        Ok(Exit::Failed) => ExitCode::FAILURE,
        // Whoever interrupts does not want to wait until a bus that is away has been given up.
        Ok(Exit::Interrupted) => {
            let_clients_end();
            process::exit(INTERRUPTED)
        }
        // `auren tail … | head` has what it wanted.
        Err(error) if error.is::<Closed>() => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// Waits a little for clients of Kafka that end on threads of their own, while OpenSSL is still there.
pub(crate) fn let_clients_end() {
    // Where it takes too long, the process ends all the same.
    let _ = clients_ended(CLIENTS_END);
}

/// Ends for arguments that cannot be: also how `--help` and `--version` end.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    // Nobody reads it; the code says the same.
    let _ = error.print();
    if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS }
}

/// Ends for a configuration that cannot be.
pub(crate) fn misconfigured(error: &ConfigError) -> ExitCode {
    say(&format!("error: {error}"));
    ExitCode::from(USAGE)
}

fn say(text: &str) {
    // Where standard error is closed, the code says it.
    let _ = writeln!(io::stderr(), "{text}");
}
