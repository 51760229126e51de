//! `auren agents shadow`: what shadows said beside those whose shadows they are.

use std::collections::BTreeMap;

use auren::{
    bus::{Read, ReadFrom, ReadUntil, Topic},
    consult::{Compared, SHADOWS},
};
use auren_agents::events;
use serde_json::json;

use super::{Context, Exit};
use crate::cli::open_bus;

const EXAMPLES: &str = "\
Examples:
  auren agents shadow
  auren agents shadow --json | jq -r 'select(.shadow_of) | .agent'
  auren agents shadow --pairs --json | jq .

Reads conversations.shadow, where nodes write what came of each question to an agent that has a shadow, and to the shadow. \
A question that both have answered is a pair. What was written is what was said: keep it as you keep conversations.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Print both answers to each question that both have answered, the newest last.
    #[arg(long)]
    pairs: bool,
    /// Print one JSON object a line.
    #[arg(long)]
    json: bool,
}

/// What one version of an agent has done.
#[derive(Default)]
struct Side {
    outcomes: BTreeMap<String, usize>,
    took: Vec<u64>,
    bytes: usize,
}

impl Side {
    fn take(&mut self, compared: &Compared) {
        *self.outcomes.entry(compared.outcome.clone()).or_default() += 1;
        self.took.push(compared.took_ms);
        self.bytes += compared.answer.as_ref().map_or(0, |answer| answer.message.len());
    }

    fn asked(&self) -> usize {
        self.took.len()
    }

    fn answered(&self) -> usize {
        self.outcomes.get("answered").copied().unwrap_or_default()
    }

    /// How long so many percent took at most.
    fn within(&self, percent: usize) -> u64 {
        let mut took = self.took.clone();
        took.sort_unstable();
        took.get((took.len() * percent / 100).min(took.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// How long an answer is.
    fn length(&self) -> usize {
        self.bytes.checked_div(self.answered()).unwrap_or_default()
    }
}

pub(super) async fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let (topic, partitions) = (Topic::configured(SHADOWS), Vec::new());
    let bus = open_bus(&context.config).await?;
    let mut batches = bus.read(Read { topic, partitions, from: ReadFrom::Earliest, until: ReadUntil::End });
    // Whose shadow, or who has one; who; which version.
    let mut sides: BTreeMap<(String, bool, String, String), Side> = BTreeMap::new();
    let mut halves: BTreeMap<String, Vec<Compared>> = BTreeMap::new();
    let mut unreadable = 0_usize;
    while let Some(batch) = batches.recv().await {
        for record in batch? {
            let Ok(compared) = events::parse::<Compared>(record.payload.as_deref().unwrap_or_default()) else {
                unreadable += 1;
                continue;
            };
            let of = compared.shadow_of.clone().unwrap_or_else(|| compared.agent.clone());
            let side = (of, compared.shadow_of.is_some(), compared.agent.clone(), compared.version.to_string());
            sides.entry(side).or_default().take(&compared);
            if args.pairs && compared.answer.is_some() {
                halves.entry(compared.consult_id.clone()).or_default().push(compared);
            }
        }
    }
    if unreadable > 0 {
        context.console.note(format_args!("{unreadable} records of {SHADOWS} cannot be read and were passed over"));
    }
    if args.pairs {
        pairs(halves, args.json, context)?;
    } else {
        table(&sides, args.json, context)?;
    }
    Ok(Exit::Done)
}

fn table(
    sides: &BTreeMap<(String, bool, String, String), Side>,
    json: bool,
    context: &mut Context,
) -> anyhow::Result<()> {
    if sides.is_empty() {
        context.console.note(format_args!("nothing was compared yet: an agent with `shadow_of` is a shadow"));
    } else if !json {
        let head = format!(
            "{:<16} {:<9} {:<16} {:>6} {:>9} {:>7}  OUTCOMES",
            "AGENT", "VERSION", "SHADOW OF", "ASKED", "P50/95 ms", "LENGTH"
        );
        context.console.line(head)?;
    }
    for ((of, shadow, agent, version), side) in sides {
        let (half, most) = (side.within(50), side.within(95));
        if json {
            context.console.json(&json!({
                "agent": agent, "version": version, "shadow_of": shadow.then_some(of), "asked": side.asked(),
                "outcomes": side.outcomes, "p50_ms": half, "p95_ms": most, "mean_bytes": side.length(),
            }))?;
            continue;
        }
        let outcomes: Vec<_> = side.outcomes.iter().map(|(outcome, count)| format!("{count} {outcome}")).collect();
        let (of, took) = (if *shadow { of.as_str() } else { "" }, format!("{half}/{most}"));
        context.console.line(format_args!(
            "{agent:<16} {version:<9} {of:<16} {:>6} {took:>9} {:>7}  {}",
            side.asked(),
            side.length(),
            outcomes.join(", ")
        ))?;
    }
    Ok(())
}

fn pairs(halves: BTreeMap<String, Vec<Compared>>, json: bool, context: &mut Context) -> anyhow::Result<()> {
    for (consult, mut both) in halves.into_iter().filter(|(_, both)| both.len() > 1) {
        // Who answers stands first.
        both.sort_by_key(|compared| compared.shadow_of.is_some());
        if json {
            context.console.json(&json!({ "consult": consult, "answers": both }))?;
            continue;
        }
        context.console.line(format_args!("consult {consult}"))?;
        for compared in both {
            let message = compared.answer.map(|answer| answer.message.into_string()).unwrap_or_default();
            context.console.line(format_args!("  {} {}: {message}", compared.agent, &*compared.version))?;
        }
    }
    Ok(())
}
