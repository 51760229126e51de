//! `auren agents try`: one question to one agent, without a bus.

use std::{
    io::Read as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail, ensure};
use auren_agents::{
    Advice, AgentError, AgentId, Cause, Consult, ConsultId, ConversationId, EventId, Observation, Parts, Text,
    Timestamp, TriggerEvent, UserId, events,
};
use serde_json::json;
use tokio::sync::mpsc;

use super::{
    Context, Exit,
    registry::{Entry, Registry},
};
use crate::cli::{Console, context, input};

const EXAMPLES: &str = "\
Examples:
  auren agents try coach may I train today
  auren agents try neuroscientist --trigger trigger.json
  auren --set agents.http.sleeper.url=http://127.0.0.1:8421 agents try sleeper hello --json

The agent is asked as a node would ask it, once and within converse.agent_deadline_ms; nothing is published. A trigger is JSON \
as `auren send trigger` takes it, and its `evidence` is what the agent is shown of the person. Parts of an answer are printed \
as they come. Exits with 1 where there is no answer.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, override_usage = "auren agents try [OPTIONS] NAME TEXT...\n       auren agents try [OPTIONS] NAME --trigger FILE")]
pub(in crate::cli) struct Args {
    /// The agent.
    #[arg(value_parser = context::agent)]
    name: AgentId,
    /// What a person says to it.
    #[arg(required_unless_present = "trigger", conflicts_with = "trigger")]
    text: Vec<String>,
    /// A file with the trigger that it is asked about, - for standard input.
    #[arg(long, value_name = "FILE")]
    trigger: Option<PathBuf>,
    /// The person who says it.
    #[arg(long, value_name = "USER", value_parser = context::user, default_value = "somebody", conflicts_with = "trigger")]
    user: UserId,
    /// Print one JSON object instead.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let registry = Registry::of(&context.config).await?;
    let entry = registry.entry(&args.name)?;
    let recipient = registry.agents.start(&args.name).context("the agent cannot be started")?;
    let deadline = context.config.converse.deadline(&args.name);
    let (tell, mut told) = mpsc::unbounded_channel();
    // Whoever has stopped reading the parts has the answer.
    let parts = Parts::to(move |part| drop(tell.send(part.to_owned())));
    let consult = consult(&args, deadline, parts)?;
    let began = Instant::now();
    let mut answer = Box::pin(tokio::time::timeout(deadline, recipient.send(consult)));
    let mut heard = String::new();
    let answer = loop {
        tokio::select! {
            biased;
            Some(part) = told.recv() => hear(&part, &mut heard, args.json, &mut context.console)?,
            answer = &mut answer => break answer,
            () = context.interrupt.wait() => return Ok(Exit::Interrupted),
        }
    };
    let took = began.elapsed();
    while let Ok(part) = told.try_recv() {
        hear(&part, &mut heard, args.json, &mut context.console)?;
    }
    if !heard.is_empty() && !args.json {
        context.console.line("")?;
    }
    let answer = match answer {
        Err(_) => Err(format!("it did not answer within {} ms (converse.agent_deadline_ms)", deadline.as_millis())),
        Ok(Err(_)) => Err("it panicked; what it said of that stands above".to_owned()),
        Ok(Ok(answer)) => answer.map_err(|error| error_words(&error)),
    };
    match answer {
        Ok(advice) if args.json => {
            let took_ms = took.as_secs_f64() * 1e3;
            context.console.json(&json!({
                "agent": args.name, "version": entry.card.version, "took_ms": took_ms, "parts": heard, "advice": advice,
            }))?;
            Ok(Exit::Done)
        }
        Ok(advice) => show(entry, &advice, &heard, took, &mut context.console).map(|()| Exit::Done),
        Err(why) if args.json => {
            context.console.json(&json!({ "agent": args.name, "version": entry.card.version, "error": why }))?;
            Ok(Exit::Failed)
        }
        Err(why) => bail!("{}, {}: {why}", args.name, whereabouts(entry)),
    }
}

fn hear(part: &str, heard: &mut String, json: bool, console: &mut Console) -> anyhow::Result<()> {
    heard.push_str(part);
    if json {
        return Ok(());
    }
    console.text(part)?;
    console.flush()
}

fn error_words(error: &AgentError) -> String {
    match error {
        AgentError::Unavailable(why) | AgentError::Refused(why) | AgentError::Failed(why) => why.clone(),
        AgentError::Spent => error.to_string(),
    }
}

fn whereabouts(entry: &Entry) -> String {
    if entry.place.is_empty() {
        entry.kind.as_str().to_owned()
    } else {
        format!("{} at {}", entry.kind.as_str(), entry.place)
    }
}

/// The question. Its ids are its own, so that no agent takes it for one it has answered.
fn consult(args: &Args, deadline: Duration, parts: Parts) -> anyhow::Result<Consult> {
    let now = Timestamp::from(chrono::Local::now().fixed_offset());
    let asked = match &args.trigger {
        Some(file) => of_trigger(file)?,
        None => {
            let text = args.text.join(" ");
            ensure!(!text.trim().is_empty(), "the text is empty; write it behind the name");
            let text = Text::new(text).map_err(|unfit| anyhow::anyhow!("the text {unfit}"))?;
            let id = EventId::derived(&["try", args.user.as_str(), now.as_str()]);
            Asked { user: args.user.clone(), cause: Cause::Message { id, text }, at: now.clone(), recent: Vec::new() }
        }
    };
    let parts_of_id = ["try", asked.user.as_str(), args.name.as_str(), &asked.cause.key(), now.as_str()];
    Ok(Consult {
        id: ConsultId::derived(&parts_of_id),
        agent: args.name.clone(),
        conversation: ConversationId::derived(&parts_of_id),
        user: asked.user,
        turn: 1,
        cause: asked.cause,
        at: asked.at,
        recent: asked.recent.into(),
        past: Vec::new().into(),
        panel: Vec::new(),
        deadline,
        parts,
        trace: None,
    })
}

/// What is asked about.
struct Asked {
    user: UserId,
    cause: Cause,
    at: Timestamp,
    recent: Vec<Observation>,
}

fn of_trigger(file: &Path) -> anyhow::Result<Asked> {
    let mut text = Vec::new();
    let (mut input, _) = input::open(file)?;
    input.read_to_end(&mut text).with_context(|| format!("cannot read {}", file.display()))?;
    let trigger: TriggerEvent =
        events::parse(&text).map_err(|rejected| anyhow::anyhow!("{}: {rejected}", file.display()))?;
    let TriggerEvent {
        trigger_id: id, user_id: user, trigger_type, severity, message, timestamp: at, evidence, ..
    } = trigger;
    Ok(Asked { user, cause: Cause::Trigger { id, trigger_type, severity, message }, at, recent: evidence })
}

fn show(entry: &Entry, advice: &Advice, heard: &str, took: Duration, console: &mut Console) -> anyhow::Result<()> {
    if *heard != *advice.message {
        console.line(&*advice.message)?;
    }
    console.line("")?;
    for finding in &advice.findings {
        console.line(format_args!(
            "finding     {} (sure to {:.2}): {}",
            &*finding.subject,
            finding.confidence.get(),
            &*finding.statement
        ))?;
    }
    if let Some(confidence) = advice.confidence {
        console.line(format_args!("confidence  {:.2}", confidence.get()))?;
    }
    for reason in &advice.reasons {
        console.line(format_args!("reason      {}", &**reason))?;
    }
    if let Some(hand_off) = &advice.hand_off {
        console.line(format_args!("hands off   to {}: {}", hand_off.to, &*hand_off.reason))?;
    }
    if !advice.note.is_empty() {
        console.line(format_args!("note        {}", &*advice.note))?;
    }
    console.line(format_args!(
        "took        {:.1} ms, {} {}, {}",
        took.as_secs_f64() * 1e3,
        entry.card.id,
        &*entry.card.version,
        whereabouts(entry)
    ))
}
