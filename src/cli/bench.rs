//! `auren bench`: how fast it is on this machine, beside what it could be compared with.

mod agents;
mod contestant;
mod detect;
mod gateway;
mod isolation;
mod pace;
mod phi;
mod project;
mod river;
mod sessions;

use clap::Subcommand;

use super::{Context, Exit};

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Triggers through the hub on Kafka, beside a bare transactional consume-transform-produce loop.
    River(river::Args),
    /// What a person costs in memory, with a session in it and without.
    Sessions(sessions::Args),
    /// One part of `river` as a process of its own, for tests/bench.
    Contestant(contestant::Args),
    /// What everybody else on a partition notices of one person whose agent takes half a minute.
    Isolation(isolation::Args),
    /// Sockets of a node's chat, idle and under a stream of events, beside a bare server with the same buffers.
    Gateway(gateway::Args),
    /// Consults through a panel of the built-in agents, beside a bare question to an actor.
    Agents(agents::Args),
    /// Tokens sealed and opened on one core, beside the cipher alone.
    Phi(phi::Args),
    /// Records into the history, beside COPY of the same rows; and pages of a person's past.
    Project(project::Args),
    /// Events through the rules, with no bus: how fast they are judged, and how much is remembered.
    Detect(detect::Args),
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    match args {
        Args::River(args) => river::run(args, context).await,
        Args::Sessions(args) => sessions::run(&args, context).await,
        Args::Contestant(args) => contestant::run(args, context).await,
        Args::Isolation(args) => isolation::run(args, context).await,
        Args::Gateway(args) => gateway::run(args, context).await,
        Args::Agents(args) => agents::run(&args, context).await,
        Args::Phi(args) => phi::run(args, context).await,
        Args::Project(args) => project::run(args, context).await,
        Args::Detect(args) => detect::run(&args, context),
    }
}
