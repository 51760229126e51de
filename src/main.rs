//! The `auren` binary: arguments, configuration, telemetry, the command, and the code it exits with.

mod cli;

use std::process::ExitCode;

use auren::config;
use clap::Parser as _;

// glibc's allocator costs a third of the river's speed.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    let args = match cli::Args::try_parse() {
        Ok(args) => args,
        Err(error) => return cli::usage(&error),
    };
    let config = match config::load(&args.source()) {
        Ok(config) => config,
        Err(error) => return cli::misconfigured(&error),
    };
    cli::telemetry(&config.log, &args);
    let system = actix::System::new();
    let end = system.block_on(cli::run(args, config));
    // The system still lives here: an interrupted command does not wait for what it had asked the bus.
    let code = cli::exit(end);
    drop(system);
    cli::let_clients_end();
    code
}
