//! `auren agents`: who can be asked, trying them before a hub does, and beginning one of one's own.

mod ask;
mod eval;
mod list;
mod new;
mod registry;
mod replay;
mod shadow;

use clap::Subcommand;

use super::{Context, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Write the folder of an agent in Rust, ready to be built, tested and run.
    New(new::Args),
    /// List the agents that a node of this configuration has.
    List(list::Args),
    /// Ask one agent once, without a bus.
    Try(ask::Args),
    /// Compare shadows with those whose shadows they are.
    Shadow(shadow::Args),
    /// Ask agents what stands in dialogues, and score their answers.
    Eval(eval::Args),
    /// Ask an agent what it was asked in the past, and show how its answers differ from what was said.
    Replay(replay::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    match args {
        Args::New(args) => new::run(&args, context),
        Args::List(args) => list::run(&args, context).await,
        Args::Try(args) => ask::run(args, context).await,
        Args::Shadow(args) => shadow::run(&args, context).await,
        Args::Eval(args) => eval::run(&args, context).await,
        Args::Replay(args) => replay::run(&args, context).await,
    }
}
