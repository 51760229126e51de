//! `auren agents replay`: questions of the past are put to an agent again, and what it says now is held against what was said.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context as _, ensure};
use auren::{
    consult::Tape,
    converse::{Recorded, recorded},
};
use auren_agents::{Advice, AgentError, AgentId, Consult, ConversationEvent, MessageType, Timestamp, UserId};
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, Exit, registry::Registry};
use crate::cli::{context, open_bus};

const EXAMPLES: &str = "\
Examples:
  auren agents replay --agent coach --user u-1
  auren agents replay --agent coach --user u-1 --from 2024-01-01T00:00:00Z --to 2024-01-31T23:59:59Z --json
  auren --config new.toml agents replay --agent companion --user u-1 --record companion.tape
  auren --config new.toml agents replay --agent companion --user u-1 --recorded companion.tape --at-least 90
  auren agents replay --agent coach --with companion --user u-1        what another agent would have said

The questions are read from the log. Cause, time, turn, what of the panel was read, and what was said and noted before are as \
they were; measurements are those that the trigger brought, and otherwise those that were written before the cause. Nothing is \
published. Agents in other processes and models are asked anew, each question once; with --record their answers are kept in a \
file (with what they say of the person), and with --recorded they come from it and nobody outside is asked. Exits with 1 where \
less than --at-least percent say the same, or there is nothing to replay.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// The agent that was asked.
    #[arg(long, value_name = "AGENT", value_parser = context::agent)]
    agent: AgentId,
    /// The person.
    #[arg(long, value_name = "USER", value_parser = context::user)]
    user: UserId,
    /// The first moment of the time in which the causes happened, such as 2024-01-31T00:00:00Z [default: the first there is]
    #[arg(long, value_name = "TIME", value_parser = time)]
    from: Option<Timestamp>,
    /// The last moment of it [default: now]
    #[arg(long, value_name = "TIME", value_parser = time)]
    to: Option<Timestamp>,
    /// The agent that is asked now [default: the same one, as it is configured now]
    #[arg(long = "with", value_name = "AGENT", value_parser = context::agent)]
    other: Option<AgentId>,
    /// Keep what agents outside answer in this file.
    #[arg(long, value_name = "FILE", conflicts_with = "recorded")]
    record: Option<PathBuf>,
    /// Let agents outside answer what they answered then, from this file.
    #[arg(long, value_name = "FILE")]
    recorded: Option<PathBuf>,
    /// How many percent must say the same.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u8).range(0..=100))]
    at_least: u8,
    /// Print one JSON object a question, and one for all.
    #[arg(long)]
    json: bool,
}

fn time(text: &str) -> Result<Timestamp, String> {
    Timestamp::parse(text).map_err(|unfit| unfit.to_string())
}

pub(super) async fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let tape = match (&args.record, &args.recorded) {
        (Some(_), _) => Some(Tape::recording()),
        (None, Some(file)) => {
            let tape = Tape::playing(file).with_context(|| format!("cannot read the tape {}", file.display()))?;
            Some(tape)
        }
        (None, None) => None,
    };
    let registry = Registry::taped(&context.config, tape.clone()).await?;
    let asked = args.other.as_ref().unwrap_or(&args.agent);
    let version = registry.entry(asked)?.card.version.clone();
    let bus = open_bus(&context.config).await?;
    let deadline = context.config.converse.deadline(asked);
    let within = (args.from.as_ref(), args.to.as_ref());
    let past = recorded(&bus, &args.user, &args.agent, within, deadline).await?;
    let mut tally = Tally::default();
    for Recorded { consult, event } in past {
        let Some(mut consult) = consult else {
            tally.lost += 1;
            continue;
        };
        consult.agent = asked.clone();
        let answer = tokio::select! {
            answer = answered(&registry, consult, deadline) => answer,
            () = context.interrupt.wait() => return Ok(Exit::Interrupted),
        };
        let differences = differences(&Told::then(&event), &Told::now(answer));
        tally.add(&differences);
        show(&event, &differences, args.json, context)?;
    }
    if let (Some(tape), Some(file)) = (&tape, &args.record) {
        let kept = tape.save(file).with_context(|| format!("cannot write the tape {}", file.display()))?;
        context.console.note(format_args!("{kept} answers of agents outside are in {}", file.display()));
    }
    let Tally { same, different, lost } = tally;
    ensure!(
        same + different + lost > 0,
        "the log has no question to {} about {} in this time; --from and --to say when their causes happened",
        args.agent,
        args.user
    );
    if args.json {
        context.console.json(&json!({
            "agent": asked, "version": version, "same": same, "different": different, "lost": lost,
        }))?;
    } else {
        let gone = if lost == 0 { String::new() } else { format!(", {lost} whose cause is not in the log any more") };
        let total = same + different;
        context.console.line(format_args!(
            "{asked} {}: {total} questions, {same} answered the same, {different} otherwise{gone}",
            &*version
        ))?;
    }
    let good = same + different > 0 && same * 100 >= (same + different) * usize::from(args.at_least);
    Ok(if good { Exit::Done } else { Exit::Failed })
}

#[derive(Default)]
struct Tally {
    same: usize,
    different: usize,
    /// Questions whose cause is not in the log any more.
    lost: usize,
}

impl Tally {
    fn add(&mut self, differences: &[Difference]) {
        *if differences.is_empty() { &mut self.same } else { &mut self.different } += 1;
    }
}

/// Why there was no answer, by the code that the log has for it.
async fn answered(registry: &Registry, consult: Consult, deadline: Duration) -> Result<Advice, String> {
    // An agent that has panicked is begun anew with the next question.
    let Some(recipient) = registry.agents.start(&consult.agent) else { return Err("agent_failed".to_owned()) };
    let code = match tokio::time::timeout(deadline, recipient.send(consult)).await {
        Ok(Ok(Ok(advice))) => return Ok(advice),
        Ok(Ok(Err(AgentError::Unavailable(_)))) => "agent_unavailable",
        Ok(Ok(Err(AgentError::Spent))) => "agent_spent",
        Ok(Ok(Err(AgentError::Refused(_) | AgentError::Failed(_))) | Err(_)) => "agent_failed",
        Err(_) => "agent_late",
    };
    Err(code.to_owned())
}

/// What a question came to, as far as it is compared.
struct Told {
    outcome: String,
    message: String,
    findings: Value,
    confidence: Value,
    hand_off: Value,
    note: String,
}

impl Told {
    fn then(event: &ConversationEvent) -> Self {
        let metadata = &event.metadata;
        let answered = event.message_type == MessageType::SpecialistResponse;
        let code = metadata.code.as_deref().unwrap_or_default();
        // An agent that only asked another to go on has answered, whatever became of that.
        let passed_on = !answered && metadata.hand_off.is_some();
        Self {
            outcome: if answered || passed_on { "answered".to_owned() } else { code.to_owned() },
            message: if answered { event.content.to_string() } else { String::new() },
            findings: json!(metadata.findings),
            confidence: json!(metadata.confidence),
            hand_off: json!(metadata.hand_off),
            note: metadata.note.to_string(),
        }
    }

    fn now(answer: Result<Advice, String>) -> Self {
        let (outcome, advice) = match answer {
            Ok(advice) => ("answered".to_owned(), advice),
            Err(code) => (code, Advice::default()),
        };
        // Without words it is not an answer that is kept.
        let silent = advice.hand_off.is_some() && advice.message.trim().is_empty();
        let Advice { message, findings, confidence, hand_off, note, .. } =
            if silent { Advice { hand_off: advice.hand_off, ..Advice::default() } } else { advice };
        Self {
            outcome,
            message: message.into_string(),
            findings: json!(findings),
            confidence: json!(confidence),
            hand_off: json!(hand_off),
            note: note.into_string(),
        }
    }
}

/// Something that is not as it was.
#[derive(Debug, Serialize)]
struct Difference {
    what: &'static str,
    was: Value,
    now: Value,
}

fn differences(then: &Told, now: &Told) -> Vec<Difference> {
    let pairs = [
        ("outcome", json!(then.outcome), json!(now.outcome)),
        ("message", json!(then.message), json!(now.message)),
        ("findings", then.findings.clone(), now.findings.clone()),
        ("confidence", then.confidence.clone(), now.confidence.clone()),
        ("hand_off", then.hand_off.clone(), now.hand_off.clone()),
        ("note", json!(then.note), json!(now.note)),
    ];
    let differs = pairs.into_iter().filter(|(_, was, now)| was != now);
    differs.map(|(what, was, now)| Difference { what, was, now }).collect()
}

fn show(
    event: &ConversationEvent,
    differences: &[Difference],
    json: bool,
    context: &mut Context,
) -> anyhow::Result<()> {
    let metadata = &event.metadata;
    if json {
        return context.console.json(&json!({
            "event_id": event.event_id, "consult_id": metadata.consult_id, "at": event.timestamp, "turn": metadata.turn,
            "cause_type": metadata.cause_type, "cause": metadata.cause, "differences": differences,
        }));
    }
    let kind = metadata.trigger_type.as_deref().unwrap_or("message");
    let verdict = if differences.is_empty() { "the same" } else { "otherwise" };
    context.console.line(format_args!("{}  {kind} {}: {verdict}", event.timestamp.as_str(), metadata.cause))?;
    for Difference { what, was, now } in differences {
        for (mark, value) in [('-', was), ('+', now)] {
            let text = value.as_str().map_or_else(|| value.to_string(), ToOwned::to_owned);
            context.console.line(format_args!("  {mark} {what}: {text}"))?;
        }
    }
    context.console.flush()
}
