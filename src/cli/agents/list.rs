//! `auren agents list`: who a node of this configuration can ask.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use auren::config::TlsSection;
use serde_json::json;

use super::{
    Context, Exit,
    registry::{Entry, Registry},
};
use crate::cli::node;

const EXAMPLES: &str = "\
Examples:
  auren agents list
  auren agents list --node 127.0.0.1:8420             and how they do on the node that listens there
  auren agents list --json | jq -r .agent

Listed are the built-in agents and those of [agents.http], [agents.llm] and [agents.a2a]; nobody is connected to. Agents that \
a program of its own plugs in (`auren agents new`) are known to that program's node only.";

/// How many of an agent's topics a person is shown.
const TOPICS: usize = 6;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Also show how they do on the node whose HTTP server listens here.
    #[arg(long, value_name = "HOST:PORT")]
    node: Option<String>,
    /// Print one JSON object an agent.
    #[arg(long)]
    json: bool,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let registry = Registry::of(&context.config).await?;
    let health = match &args.node {
        Some(address) => Some(health(address, &context.config.http.tls).await?),
        None => None,
    };
    for entry in &registry.entries {
        let figures = health.as_ref().map(|health| health.get(entry.card.id.as_str()));
        if args.json {
            let figures = figures.map(|known| known.map(Figures::json));
            context.console.json(&json!({
                "agent": entry.card.id, "version": entry.card.version, "kind": entry.kind, "place": entry.place,
                "purpose": entry.card.purpose, "topics": entry.card.topics, "shadow_of": entry.shadow_of, "health": figures,
            }))?;
        } else {
            context.console.line(line(entry))?;
            if let Some(known) = figures {
                let words = known.map_or_else(|| "  that node does not have it".to_owned(), Figures::words);
                context.console.line(words)?;
            }
        }
    }
    Ok(Exit::Done)
}

fn line(entry: &Entry) -> String {
    let Entry { card, kind, place, shadow_of } = entry;
    let mut topics: Vec<_> = card.topics.iter().take(TOPICS).map(String::as_str).collect();
    if card.topics.len() > TOPICS {
        topics.push("…");
    }
    let place = if place.is_empty() { "in the node" } else { place };
    let shadow = shadow_of.as_ref().map(|of| format!("  shadow of {of}")).unwrap_or_default();
    let topics = topics.join(", ");
    format!("{:<16} {:<12} {:<9} {place}  [{topics}]{shadow}", card.id.as_str(), &*card.version, kind.as_str())
}

/// What a node's metrics say of one agent, by the figure's name.
#[derive(Default)]
struct Figures(BTreeMap<String, u64>);

impl Figures {
    fn of(&self, name: &str) -> u64 {
        self.0.get(name).copied().unwrap_or_default()
    }

    fn json(&self) -> serde_json::Value {
        json!(self.0)
    }

    fn words(&self) -> String {
        let unanswered =
            ["refused", "unavailable", "failed", "late", "spent"].iter().map(|name| self.of(name)).sum::<u64>();
        let circuit = if self.of("circuit_open") == 0 { "closed" } else { "open" };
        format!(
            "  circuit {circuit}, {} asked, {} answered, {unanswered} without an answer, {} turned away, {} open",
            self.of("asked"),
            self.of("answered"),
            self.of("turned_away") + self.of("busy"),
            self.of("open"),
        )
    }
}

/// How the agents of a node do, by their names.
async fn health(address: &str, tls: &TlsSection) -> anyhow::Result<BTreeMap<String, Figures>> {
    let answer = node::get(address, tls, "/metrics").await?;
    ensure!(answer.status == 200, "what listens at {address} tells no metrics (status {})", answer.status);
    let mut health: BTreeMap<String, Figures> = BTreeMap::new();
    for line in answer.body.lines() {
        // auren_agent_asked_total{agent="coach"} 7
        let Some((name, rest)) = line.strip_prefix("auren_agent_").and_then(|line| line.split_once("{agent=\"")) else {
            continue;
        };
        let (agent, value) = rest.split_once("\"} ").context("the node's metrics cannot be read")?;
        let value = value.trim().parse().context("the node's metrics cannot be read")?;
        let name = name.strip_suffix("_total").unwrap_or(name).to_owned();
        health.entry(agent.to_owned()).or_default().0.insert(name, value);
    }
    ensure!(!health.is_empty(), "what listens at {address} is no node of AUREN");
    Ok(health)
}
