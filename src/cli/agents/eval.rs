//! `auren agents eval`: what stands in dialogues is asked, and the answers are judged by their words.

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use auren_agents::{
    AgentId, care,
    dialogue::{self, Dialogue},
};
use serde_json::{Value, json};

use super::{Context, Exit, registry::Registry};
use crate::cli::context;

const EXAMPLES: &str = "\
Examples:
  auren agents eval                                            the built-in agents, by the dialogues that AUREN ships
  auren agents eval companion --dir dialogues --at-least 90
  auren agents eval --cases-of coach companion                 the coach's cases, put to companion
  auren agents eval --json | jq .score

A case is right where its answer holds what is expected and names no disease, no medicine and no dose; no model judges it. \
Each case is asked once. Exits with 1 where an agent has less than --at-least percent of its cases right.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Only these agents.
    #[arg(value_name = "AGENT", value_parser = context::agent)]
    agents: Vec<AgentId>,
    /// A folder of dialogues (*.toml) instead of those that AUREN ships.
    #[arg(long, value_name = "FOLDER")]
    dir: Vec<PathBuf>,
    /// Put the cases of this agent to those named instead of their own.
    #[arg(long, value_name = "AGENT", value_parser = context::agent, requires = "agents")]
    cases_of: Option<AgentId>,
    /// How many percent of its cases an agent must have right.
    #[arg(long, value_name = "PERCENT", default_value_t = 100, value_parser = clap::value_parser!(u8).range(0..=100))]
    at_least: u8,
    /// Print one JSON object an agent.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let registry = Registry::of(&context.config).await?;
    let mut cases = if args.dir.is_empty() { dialogue::shipped() } else { Vec::new() };
    for folder in &args.dir {
        cases.extend(dialogue::in_folder(folder)?);
    }
    let mut good = true;
    for (agent, cases) in assigned(args, cases) {
        anyhow::ensure!(!cases.is_empty(), "no case names the agent {agent}");
        registry.entry(&agent)?;
        let mut failures = Vec::new();
        let count = cases.len();
        let deadline = context.config.converse.deadline(&agent);
        for case in cases {
            let asking = judged(&registry, &agent, &case, deadline);
            let judged = tokio::select! {
                judged = asking => judged,
                () = context.interrupt.wait() => return Ok(Exit::Interrupted),
            };
            failures.extend(judged.map(|failure| (case.title(), failure)));
        }
        let right = count - failures.len();
        good &= right * 100 >= count * usize::from(args.at_least);
        show(&agent, right, count, &failures, args.json, context)?;
    }
    Ok(if good { Exit::Done } else { Exit::Failed })
}

/// Who is asked which cases, in the order of their names.
fn assigned(args: &Args, cases: Vec<Dialogue>) -> BTreeMap<AgentId, Vec<Dialogue>> {
    let mut assigned: BTreeMap<_, Vec<_>> = args.agents.iter().map(|agent| (agent.clone(), Vec::new())).collect();
    for case in cases {
        match &args.cases_of {
            Some(of) if case.agent == *of => {
                for (agent, own) in &mut assigned {
                    let mut case = case.clone();
                    case.agent = agent.clone();
                    own.push(case);
                }
            }
            Some(_) => {}
            None if args.agents.is_empty() || assigned.contains_key(&case.agent) => {
                assigned.entry(case.agent.clone()).or_default().push(case);
            }
            None => {}
        }
    }
    assigned
}

/// An answer that is not as expected.
struct Failure {
    faults: Vec<String>,
    said: Option<String>,
}

async fn judged(registry: &Registry, agent: &AgentId, case: &Dialogue, deadline: Duration) -> Option<Failure> {
    let none = |why: String| Some(Failure { faults: vec![why], said: None });
    let mut consult = case.consult();
    consult.deadline = deadline;
    // An agent that has panicked is begun anew with the next case.
    let recipient = registry.agents.start(agent)?;
    let advice = match tokio::time::timeout(deadline, recipient.send(consult)).await {
        Err(_) => return none(format!("did not answer within {} ms", deadline.as_millis())),
        Ok(Err(_)) => return none("panicked".to_owned()),
        Ok(Ok(Err(error))) => return none(error.to_string()),
        Ok(Ok(Ok(advice))) => advice,
    };
    let mut faults = case.faults(&advice);
    if !care::is_fit(&advice.message) {
        faults.push("names a disease, a medicine or a dose".to_owned());
    }
    (!faults.is_empty()).then(|| Failure { faults, said: Some(advice.message.into_string()) })
}

fn show(
    agent: &AgentId,
    right: usize,
    count: usize,
    failures: &[(String, Failure)],
    json: bool,
    context: &mut Context,
) -> anyhow::Result<()> {
    #[expect(clippy::cast_precision_loss, reason = "some thousands of cases")]
    let score = right as f64 / count as f64;
    if json {
        let one = |(case, failure): &(String, Failure)| -> Value {
            json!({ "case": case, "faults": failure.faults, "said": failure.said })
        };
        let failures: Vec<_> = failures.iter().map(one).collect();
        return context
            .console
            .json(&json!({ "agent": agent, "cases": count, "right": right, "score": score, "failures": failures }));
    }
    context.console.line(format_args!("{:<16} {right} of {count}  {:.1} %", agent.as_str(), score * 100.0))?;
    for (case, Failure { faults, said }) in failures {
        context.console.line(format_args!("  {case}"))?;
        for fault in faults {
            context.console.line(format_args!("    {fault}"))?;
        }
        if let Some(said) = said {
            context.console.line(format_args!("    said: {said}"))?;
        }
    }
    context.console.flush()
}
