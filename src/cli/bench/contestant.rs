//! `auren bench contestant`: one part of `auren bench river` as a process of its own, on topics that somebody else makes.
//!
//! tests/bench runs AUREN beside other programs: it counts and times what all of them write in one way, from outside.

use std::num::NonZeroU32;

use clap::ValueEnum;

use super::river::{self, Stage};
use crate::cli::{Context, Exit};

const EXAMPLES: &str = "\
Examples:
  auren --brokers 127.0.0.1:9092 --set kafka.prefix=a. --set topics.partitions=8 topics create
  auren --brokers 127.0.0.1:9092 --set kafka.prefix=a. bench contestant fill --triggers 100000
  auren --brokers 127.0.0.1:9092 --set kafka.prefix=a. bench contestant hub

`fill` ends when its triggers are acknowledged; the others go on until they are told to stop.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
#[group(id = "contestant")]
pub(in crate::cli) struct Args {
    /// Which part.
    part: Part,
    /// The number of the first trigger to publish. What has the same number is the same trigger, and worked once.
    #[arg(long, value_name = "N", default_value_t = 0)]
    first: u64,
    /// Publish so many a second; without it, as many as are taken.
    #[arg(long, value_name = "N")]
    at: Option<NonZeroU32>,
    #[command(flatten)]
    river: river::Args,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Publish the triggers.
    Fill,
    /// Work them with the hub.
    Hub,
    /// Work them with the bare loop.
    Passthrough,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    river::needs_kafka(&context.config)?;
    let stage = Stage::given(&args.river, context.config.clone()).await?;
    match args.part {
        Part::Fill => stage.fill(&args.river, args.first, args.at).await?,
        Part::Hub => {
            let running = stage.hub(&args.river).await?;
            context.interrupt.wait().await;
            running.stop().await;
        }
        Part::Passthrough => {
            let ended = stage.bare(&args.river);
            tokio::select! {
                ended = ended => ended??,
                () = context.interrupt.wait() => {}
            }
        }
    }
    Ok(Exit::Done)
}
