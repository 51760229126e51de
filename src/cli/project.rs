//! `auren project`: how far the history is, whether it says what the log says, and how it is made again.

use std::collections::BTreeMap;

use anyhow::Context as _;
use auren::{
    bus::Topic,
    project::{
        Database,
        database::behind,
        row::TOPICS,
        verify::{Compared, only_here, verify},
    },
};
use clap::Subcommand;
use serde_json::json;

use super::{Context, Exit, open_bus};

const STATUS_EXAMPLES: &str = "\
Examples:
  auren project status
  auren project status --json | jq '.topics[].behind'

Behind counts the offsets up to the newest record that is not written; on Kafka the markers of transactions between them \
count too.";

const VERIFY_EXAMPLES: &str = "\
Examples:
  auren project verify
  auren project verify --json | jq .differences

Every committed record up to the database's offsets is compared with its row, field by field. Exit code 1 where anything \
differs.";

const REBUILD_EXAMPLES: &str = "\
Examples:
  auren project rebuild          what would be lost for good, because the topics have forgotten it
  auren project rebuild --yes

A node with the role project writes the rows anew, from the oldest records held. People who were erased stay erased.";

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Show how much there is and how far it is behind the log.
    #[command(after_help = STATUS_EXAMPLES)]
    Status {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Compare every row with its record.
    #[command(after_help = VERIFY_EXAMPLES)]
    Verify {
        /// Print one JSON object.
        #[arg(long)]
        json: bool,
    },
    /// Take all rows away, to be written anew from the log.
    #[command(after_help = REBUILD_EXAMPLES)]
    Rebuild {
        /// Do it.
        #[arg(long)]
        yes: bool,
    },
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let url = context.config.history();
    let url = url.context("there is no history: set project.url to a database (AUREN__PROJECT__URL)")?;
    let mut database = Database::look(url.reveal()).await?;
    let bus = open_bus(&context.config).await?;
    match args {
        Args::Status { json } => {
            let known = database.known_offsets().await?;
            let mut topics = Vec::new();
            for topic in TOPICS {
                let held = database.held(topic).await?;
                topics.push((topic, held, behind(&*bus, topic, &known).await?));
            }
            let timescale = database.has_timescale().await?;
            let at_work = database.is_claimed().await?;
            if json {
                let topics = topics.iter().map(|(topic, held, behind)| {
                    json!({ "topic": topic.name(), "rows": held.rows, "refused": held.refused, "behind": behind })
                });
                let topics: Vec<_> = topics.collect();
                let at = database.describe();
                context
                    .console
                    .json(&json!({ "database": at, "timescale": timescale, "at_work": at_work, "topics": topics }))?;
            } else {
                let extension = if timescale { ", with TimescaleDB" } else { "" };
                let projector = if at_work { "a projector is at work" } else { "no projector is at work" };
                let at = database.describe();
                context.console.line(format_args!("{at}{extension}; {projector}"))?;
                context
                    .console
                    .line(format_args!("{:<22} {:>10} {:>8} {:>8}", "topic", "rows", "refused", "behind"))?;
                for (topic, held, behind) in topics {
                    let (topic, rows, refused) = (topic.name(), held.rows, held.refused);
                    context.console.line(format_args!("{topic:<22} {rows:>10} {refused:>8} {behind:>8}"))?;
                }
            }
            Ok(Exit::Done)
        }
        Args::Verify { json } => {
            let compared = verify(&bus, &mut database).await?;
            let differences: u64 = compared.values().map(Compared::differences).sum();
            if json {
                let topics: BTreeMap<_, _> =
                    compared.iter().map(|(topic, compared)| (topic.name(), compared)).collect();
                context.console.json(&json!({ "differences": differences, "topics": topics }))?;
            } else {
                show(&compared, differences, context)?;
            }
            Ok(if differences == 0 { Exit::Done } else { Exit::Failed })
        }
        Args::Rebuild { yes } => {
            let lost: i64 = only_here(&bus, &mut database).await?.values().sum();
            if !yes {
                let what = format!("{lost} rows are older than the topics hold and would be lost for good");
                context.console.line(format_args!("nothing was done: {what}; --yes does it"))?;
                return Ok(Exit::Failed);
            }
            database.empty().await?;
            context.console.line("the history is empty; a node with the role project writes it anew")?;
            Ok(Exit::Done)
        }
    }
}

fn show(compared: &BTreeMap<Topic, Compared>, differences: u64, context: &mut Context) -> anyhow::Result<()> {
    let console = &mut context.console;
    console.line(format_args!(
        "{:<22} {:>10} {:>10} {:>8} {:>9} {:>8} {:>9} {:>6} {:>8}",
        "topic", "records", "equal", "refused", "forgotten", "missing", "different", "extra", "behind"
    ))?;
    for (topic, of) in compared {
        console.line(format_args!(
            "{:<22} {:>10} {:>10} {:>8} {:>9} {:>8} {:>9} {:>6} {:>8}",
            topic.name(),
            of.records,
            of.equal,
            of.refused,
            of.forgotten,
            of.missing,
            of.different,
            of.extra,
            of.behind
        ))?;
    }
    for fault in compared.values().flat_map(|of| &of.faults) {
        console.line(fault)?;
    }
    console.line(format_args!("{differences} differences"))
}
