//! `auren topics`: creates, lists and checks the topics.

use std::sync::Arc;

use auren::{
    app::connect,
    client::{TopicCheck, TopicManager, TopicState},
    inspect::{self, topics::TopicSeen},
};
use clap::Subcommand;
use serde_json::json;

use super::{Context, Exit, open_bus};

const CREATE_EXAMPLES: &str = "\
Examples:
  auren topics create
  auren --brokers 127.0.0.1:9092 topics create --partitions 24 --replication 3

The partition count cannot be changed later without moving users from one place to another: choose it for the \
load of years, not of today. Topics that exist are left as they are.";

const LIST_EXAMPLES: &str = "\
Examples:
  auren topics list
  auren --brokers 127.0.0.1:9092 topics list --json | jq -r .topic

RECORDS counts offsets: on Kafka the markers of transactions are among them.";

const CHECK_EXAMPLES: &str = "\
Examples:
  auren topics check
  auren --brokers 127.0.0.1:9092 topics check --json

Exits with 1 where a topic is missing or has another partition count than the rest.";

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Create the topics that do not exist yet.
    #[command(after_help = CREATE_EXAMPLES)]
    Create {
        /// Partitions of each topic [default: topics.partitions]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1024))]
        partitions: Option<i32>,
        /// Replicas of each topic [default: topics.replication]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=16))]
        replication: Option<i32>,
        /// Print one JSON object a topic.
        #[arg(long)]
        json: bool,
    },
    /// List the topics that exist.
    #[command(after_help = LIST_EXAMPLES)]
    List {
        /// Print one JSON object a topic.
        #[arg(long)]
        json: bool,
    },
    /// Check that every topic exists and that all have the same partition count.
    #[command(after_help = CHECK_EXAMPLES)]
    Check {
        /// The count that all should have [default: the count that most of them have]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i32).range(1..=1024))]
        partitions: Option<i32>,
        /// Print one JSON object a topic.
        #[arg(long)]
        json: bool,
    },
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    match args {
        Args::Create { partitions, replication, json } => {
            let partitions = partitions.unwrap_or(context.config.topics.partitions);
            let replication = replication.unwrap_or(context.config.topics.replication);
            create(partitions, replication, json, context).await
        }
        Args::List { json } => list(json, context).await,
        Args::Check { partitions, json } => check(partitions, json, context).await,
    }
}

async fn create(partitions: i32, replication: i32, json: bool, context: &mut Context) -> anyhow::Result<Exit> {
    let bus = connect(&context.config).await?;
    let topics = TopicManager::new(Arc::clone(&bus)).with(context.config.agents.topics());
    let created = topics.create_topics(partitions, replication).await?;
    let console = &mut context.console;
    for info in topics.list_topics().await? {
        let new = created.contains(&info.topic);
        if json {
            console.json(&json!({ "topic": info.topic.name(), "partitions": info.partitions, "created": new }))?;
        } else {
            let what = if new { "created" } else { "exists" };
            console.line(format_args!("{what:<8} {:<26} {}", info.topic.name(), counted(info.partitions)))?;
        }
    }
    Ok(Exit::Done)
}

async fn list(json: bool, context: &mut Context) -> anyhow::Result<Exit> {
    let bus = open_bus(&context.config).await?;
    let topics = inspect::topics::topics(&bus).await?;
    if topics.is_empty() {
        context.console.note(format_args!("{} has no topics yet; create them: auren topics create", bus.describe()));
    } else if !json {
        context.console.line(format_args!("{:<26} {:>10} {:>12}", "TOPIC", "PARTITIONS", "RECORDS"))?;
    }
    for TopicSeen { topic, records, partitions } in topics {
        let partitions = partitions.len();
        if json {
            context.console.json(&json!({ "topic": topic, "partitions": partitions, "records": records }))?;
        } else {
            context.console.line(format_args!("{topic:<26} {partitions:>10} {records:>12}"))?;
        }
    }
    Ok(Exit::Done)
}

async fn check(partitions: Option<i32>, json: bool, context: &mut Context) -> anyhow::Result<Exit> {
    let bus = connect(&context.config).await?;
    let topics = TopicManager::new(Arc::clone(&bus)).with(context.config.agents.topics());
    let check = topics.check(partitions).await?;
    for report in &check.topics {
        let topic = report.topic.name();
        if json {
            let (state, has) = match report.state {
                TopicState::Good => ("good", Some(check.partitions)),
                TopicState::Missing => ("missing", None),
                TopicState::Differs { partitions } => ("differs", Some(partitions)),
            };
            context.console.json(&json!({ "topic": topic, "state": state, "partitions": has }))?;
        } else {
            let (state, has) = match report.state {
                TopicState::Good => ("good", counted(check.partitions)),
                TopicState::Missing => ("MISSING", String::new()),
                TopicState::Differs { partitions } => ("DIFFERS", counted(partitions)),
            };
            context.console.line(format_args!("{state:<8} {topic:<26} {has}").to_string().trim_end())?;
        }
    }
    context.console.flush()?;
    context.console.note(format_args!("{}: {}", bus.describe(), verdict(&check)));
    Ok(if check.is_good() { Exit::Done } else { Exit::Failed })
}

fn verdict(check: &TopicCheck) -> String {
    let count = |wanted: fn(&TopicState) -> bool| check.topics.iter().filter(|report| wanted(&report.state)).count();
    let missing = count(|state| matches!(state, TopicState::Missing));
    let differ = count(|state| matches!(state, TopicState::Differs { .. }));
    if missing == check.topics.len() {
        return "no topics yet; create them: auren topics create".to_owned();
    }
    let mut said = Vec::new();
    if missing > 0 {
        let partitions = check.partitions;
        said.push(format!("{missing} missing; create them: auren topics create --partitions {partitions}"));
    }
    if differ > 0 {
        let partitions = check.partitions;
        said.push(format!(
            "{differ} with another count than {partitions}: a user's records would be in different partitions; delete \
             and create them again (their records are lost), or bring them to {partitions} before anything is in them"
        ));
    }
    if said.is_empty() {
        return format!("all {} topics are there, each with {}", check.topics.len(), counted(check.partitions));
    }
    said.join("; ")
}

fn counted(partitions: i32) -> String {
    format!("{partitions} partition{}", if partitions == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::context::tests::bench;

    #[tokio::test]
    async fn topics_are_missing_then_created_then_good() {
        let mut bench = bench();
        let checked = run(Args::Check { partitions: None, json: false }, &mut bench.context).await.unwrap();
        assert_eq!(checked, Exit::Failed);
        assert!(bench.captured.out().contains("MISSING  health.readings\n"));
        assert!(bench.captured.notes().contains("no topics yet; create them: auren topics create"));

        let create = || Args::Create { partitions: None, replication: None, json: false };
        assert_eq!(run(create(), &mut bench.context).await.unwrap(), Exit::Done);
        assert!(bench.captured.out().contains("created  triggers.detected          2 partitions\n"));
        run(create(), &mut bench.context).await.unwrap();
        assert!(bench.captured.out().contains("exists   triggers.detected          2 partitions\n"));

        let checked = run(Args::Check { partitions: None, json: true }, &mut bench.context).await.unwrap();
        assert_eq!(checked, Exit::Done);
        assert!(bench.captured.out().contains(r#"{"topic":"health.readings","state":"good","partitions":2}"#));
    }

    #[tokio::test]
    async fn another_count_than_the_one_that_exists_is_refused() {
        let mut bench = bench();
        let create = |partitions| Args::Create { partitions: Some(partitions), replication: None, json: false };
        run(create(2), &mut bench.context).await.unwrap();
        let error = run(create(3), &mut bench.context).await.unwrap_err().to_string();
        assert!(error.contains("exists with 2 partitions, and 3 were asked for"), "{error}");
    }
}
