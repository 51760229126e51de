//! `auren serve`: a node that works until it is told to stop.

use std::time::Duration;

use auren::{app::Hub, config::Role};

use super::{Context, Exit};

/// How often a node says what it has done.
const REPORT: Duration = Duration::from_secs(60);

const EXAMPLES: &str = "\
Examples:
  auren serve                                         all roles, on the embedded bus
  auren --brokers 127.0.0.1:9092 serve                the same on Kafka
  auren --brokers 127.0.0.1:9092 serve --node n2 --roles converse

Roles: enrich (sealed readings -> health.biometrics), detect (-> triggers.detected), converse (-> \
conversations.events), and project (events -> rows of the history) where there is a database for it: that of project.url, \
or on the embedded bus a file beside its own. Several nodes with different names share the partitions; a node that comes back under its \
name goes on where it was. SIGINT and SIGTERM end it in order: what is in flight is committed first.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// The node's own name, stable over restarts [default: node.id]
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The roles to run, comma-separated [default: node.roles]
    #[arg(long, value_name = "ROLE", value_enum, value_delimiter = ',')]
    roles: Vec<Role>,
}

impl Args {
    /// The settings that its flags stand for.
    pub(super) fn overrides(&self) -> Vec<(String, String)> {
        let mut overrides = Vec::new();
        if let Some(node) = &self.node {
            overrides.push(("node.id".to_owned(), toml::Value::from(node.as_str()).to_string()));
        }
        if !self.roles.is_empty() {
            let roles: Vec<_> = self.roles.iter().map(|role| role.name()).collect();
            overrides.push(("node.roles".to_owned(), toml::Value::from(roles).to_string()));
        }
        overrides
    }
}

pub(super) async fn run(context: &mut Context) -> anyhow::Result<Exit> {
    let (telemetry, node) = (&context.config.telemetry, &context.config.node.id);
    auren::trace::begin(telemetry, node)
        .map_err(|why| anyhow::anyhow!("configuration: telemetry.otlp_endpoint {why}"))?;
    let hub = Hub::builder().config(context.config.clone()).build().await?;
    let running = tokio::select! {
        started = hub.start() => started?,
        () = context.interrupt.wait() => return Ok(Exit::Done),
    };
    if let Some(address) = running.http_address() {
        let scheme = context.config.http.scheme();
        context.console.line(format_args!("{scheme}://{address}/ (sign in: auren token --user ID --link)"))?;
        context.console.line(format_args!("{scheme}://{address}/ops (auren token --user NAME --scope ops --link)"))?;
        context.console.flush()?;
    }
    let stats: Vec<_> = Role::ALL.iter().filter_map(|role| Some((*role, running.stats(*role)?))).collect();
    let (agents, projector) = (running.agents().clone(), running.projector());
    let reporting = actix::spawn(async move {
        loop {
            tokio::time::sleep(REPORT).await;
            for (role, stats) in &stats {
                let totals = stats.totals();
                tracing::info!(
                    role = role.name(),
                    records = totals.records,
                    outputs = totals.outputs,
                    dead_letters = totals.dead_letters,
                    moved = totals.moved,
                    commits = totals.commits,
                    rejoins = totals.rejoins,
                    partitions = totals.partitions,
                    sessions = totals.sessions,
                    open_consults = totals.open,
                    parked_users = totals.parked,
                    "lane totals"
                );
            }
            if let Some(totals) = projector.as_ref().map(|stats| stats.totals()) {
                tracing::info!(
                    standing = ?totals.standing,
                    rows = totals.topics.values().map(|topic| topic.rows).sum::<u64>(),
                    refused = totals.topics.values().map(|topic| topic.refused).sum::<u64>(),
                    transactions = totals.transactions,
                    failures = totals.failures,
                    behind = totals.behind(),
                    "history totals"
                );
            }
            for health in agents.health() {
                let totals = health.totals;
                tracing::info!(
                    agent = %health.agent,
                    circuit = health.circuit.as_str(),
                    open = health.open,
                    asked = totals.asked,
                    retried = totals.retried,
                    answered = totals.answered,
                    refused = totals.refused,
                    unavailable = totals.unavailable,
                    failed = totals.failed,
                    late = totals.late,
                    abandoned = totals.abandoned,
                    turned_away = totals.turned_away,
                    busy = totals.busy,
                    restarts = totals.restarts,
                    "agent totals"
                );
            }
        }
    });
    let end = running.until(context.interrupt.wait()).await;
    reporting.abort();
    // Whoever exports may wait some seconds for the collector.
    tokio::task::spawn_blocking(auren::trace::end).await?;
    end?;
    Ok(Exit::Done)
}
