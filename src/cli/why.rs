//! `auren why`: what an answer or a trigger rests on, with the place of each event in the log.

use auren::{
    config::Config,
    project::{
        Database, ProjectError,
        why::{Chain, Link, why},
    },
};
use serde_json::Value;

use super::{Context, Exit, open_bus};

const EXAMPLES: &str = "\
Examples:
  auren tail conversations.events --from -1 --until-end --json | jq -r .value.event_id
  auren why 1d0c0f4e-7a3b-5a6e-9b0e-0c9f2f4f7d11
  auren why 1d0c0f4e-7a3b-5a6e-9b0e-0c9f2f4f7d11 --json | jq .biometrics

The id is a conversation event's or a trigger's. The history is asked where there is one; otherwise, \
or where it does not know the event, the topics are read, which takes as long as they are. `not found` stands where the topic has forgotten an event, or never had it.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The event's id.
    event_id: String,
    /// Print the chain as one JSON object.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let bus = open_bus(&context.config).await?;
    let chain = match history(&context.config).await? {
        Some(mut history) => match why(&bus, Some(&mut history), None, &args.event_id).await {
            // It may be behind the topics.
            Err(ProjectError::NoEvent(_)) => why(&bus, None, None, &args.event_id).await?,
            chain => chain?,
        },
        None => why(&bus, None, None, &args.event_id).await?,
    };
    if args.json {
        context.console.json(&chain)?;
    } else {
        show(&chain, context)?;
    }
    Ok(Exit::Done)
}

/// The history, where there is one. Nobody may have written one on the embedded bus yet.
async fn history(config: &Config) -> Result<Option<Database>, ProjectError> {
    let Some(url) = config.history() else { return Ok(None) };
    match Database::look(url.reveal()).await {
        Err(ProjectError::NoTables { .. }) if config.project.url.is_none() => Ok(None),
        database => database.map(Some),
    }
}

fn show(chain: &Chain, context: &mut Context) -> anyhow::Result<()> {
    let console = &mut context.console;
    if let Some(message) = &chain.message {
        console.line(line("", message))?;
    }
    if let Some(consult) = &chain.consult {
        let id = consult.consult_id.as_ref().and_then(Value::as_str).unwrap_or("not known");
        let version = consult.version.as_deref().unwrap_or("not known");
        console.line(format_args!("  ← consult {id}: agent {}, version {version}", consult.agent))?;
        for reason in consult.reasons.iter().filter_map(Value::as_array).flatten().filter_map(Value::as_str) {
            console.line(format_args!("      because {reason}"))?;
        }
        for read in &consult.read {
            console.line(line("      having read ", read))?;
        }
    }
    console.line(line(&format!("  ← {} ", chain.cause_type), &chain.cause))?;
    for biometric in &chain.biometrics {
        console.line(line("      ← biometric ", biometric))?;
    }
    Ok(())
}

fn line(lead: &str, link: &Link) -> String {
    let Link { event_id, topic, partition, offset, at, about } = link;
    let (Some(topic), Some(partition), Some(offset)) = (topic, partition, offset) else {
        return format!("{lead}{event_id}  not found");
    };
    let told = about.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null()).map(|(name, value)| {
        let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
        if name == "type" { text } else { format!("{name} {text}") }
    });
    let told = told.collect::<Vec<_>>().join(", ");
    format!("{lead}{event_id}  {topic} {partition}:{offset}  {}  {told}", at.as_deref().unwrap_or_default())
}
