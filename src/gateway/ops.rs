//! What an operator and their machines ask: does the process live, can the node work, what has it done.
//!
//! `/livez` asks nobody: who answers lives. `/readyz` has a line for every dependency, and is 200 where all are as they must
//! be, else 503; it also says which guarantee is in force. A history that does not go on is told there and takes no node
//! out of service that does something else: nobody on the river waits for it. `/metrics` is for Prometheus.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    extract::State,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_TYPE},
    },
    response::{IntoResponse, Response},
    routing::get,
};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::{Mutex, watch};

use super::{
    Part, Problem, Refusals,
    chat::Stats,
    console::RulesWatch,
    metrics::{MEDIA_TYPE, Metrics},
    tokens::Published,
};
use crate::{
    bus::{Facts, SharedBus},
    config::Role,
    consult::Hosted,
    guarantee::{Condition, InForce, Level},
    lane::LaneStats,
    project::{ProjectStats, ProjectTotals, stats::Standing},
    provisional::Provisional,
};

/// How long the bus may take to answer before it counts as away.
const BUS_LIMIT: Duration = Duration::from_secs(3);
/// An answer of the bus holds so long: however many ask for `/readyz`, the brokers are asked no more often.
const BUS_FRESH: Duration = Duration::from_secs(1);

/// A role as others may look at it.
#[derive(Debug, Clone)]
pub struct RoleWatch {
    /// The role.
    pub role: Role,
    /// What it has done.
    pub stats: Arc<LaneStats>,
    /// How many workers it has on this node.
    pub workers: usize,
}

/// What a node has that may be looked at.
#[derive(Debug, Clone)]
pub struct Watches {
    /// Its roles on lanes.
    pub roles: Vec<RoleWatch>,
    /// Its agents.
    pub agents: Hosted,
    /// Its projector, where it has one.
    pub projector: Option<Arc<ProjectStats>>,
    /// What its chat counts, where it has one.
    pub(crate) chat: Option<Arc<Stats>>,
    /// How often its server refused somebody because of a limit.
    pub(crate) refusals: Arc<Refusals>,
    /// Published keys that it believes tokens by, where there are any.
    pub(crate) published: Option<Arc<Published>>,
    /// The board of what agents say, where nodes tell each other.
    pub relay: Option<Provisional>,
    /// The rules in force, where it judges by them.
    pub rules: Option<RulesWatch>,
    /// What is known of the bus.
    pub facts: watch::Receiver<Option<Facts>>,
}

/// What the answers are made of.
#[derive(Debug)]
pub struct Ops {
    node: String,
    bus: SharedBus,
    watches: Watches,
    stopping: watch::Receiver<bool>,
    metrics: Metrics,
    /// What the bus answered last, and when.
    asked: Mutex<Option<(Instant, Check)>>,
}

/// One dependency, and how it is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(super) struct Check {
    check: &'static str,
    ready: bool,
    detail: String,
    /// Whether the node is not ready where this is not.
    #[serde(skip)]
    decides: bool,
}

/// The guarantee in force for a role.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Promise {
    role: &'static str,
    guarantee: Level,
    why: Vec<String>,
}

impl RoleWatch {
    /// The guarantee in force for the role, by what is known of the bus.
    pub(super) fn in_force(&self, facts: Option<&Facts>) -> InForce {
        let totals = self.stats.totals();
        let snapshots = (totals.mirrored + totals.unmirrored > 0).then_some(totals.unmirrored == 0);
        let condition = Condition { restoring: totals.restoring, snapshots };
        facts.map_or_else(InForce::unknown, |facts| InForce::of(self.role, facts, condition))
    }
}

impl Ops {
    /// Answers for a node of this name, on this bus, which ends when `stopping` says so.
    #[must_use]
    pub fn new(node: &str, bus: SharedBus, watches: Watches, stopping: watch::Receiver<bool>) -> Self {
        let metrics = Metrics::new(watches.clone());
        Self { node: node.to_owned(), bus, watches, stopping, metrics, asked: Mutex::new(None) }
    }

    /// Its routes.
    #[must_use]
    pub fn part(self) -> Part {
        let routes =
            Router::new().route("/livez", get(live)).route("/readyz", get(ready)).route("/metrics", get(metrics));
        Part(routes.with_state(Arc::new(self)))
    }

    async fn checks(&self) -> Vec<Check> {
        let mut checks = vec![self.node_check(), self.bus_check().await];
        let Watches { roles, projector, .. } = &self.watches;
        checks.extend(roles.iter().map(role_check));
        checks.extend(projector.iter().map(|stats| project_check(&stats.totals(), roles.is_empty())));
        checks
    }

    fn guarantees(&self) -> Vec<Promise> {
        let facts = self.watches.facts.borrow();
        let promise = |watch: &RoleWatch| {
            let force = watch.in_force(facts.as_ref());
            Promise { role: watch.role.name(), guarantee: force.level, why: [force.reasons, force.remarks].concat() }
        };
        self.watches.roles.iter().map(promise).collect()
    }

    fn node_check(&self) -> Check {
        let draining = *self.stopping.borrow();
        let detail = if draining { "ends: what is in flight is committed" } else { "is up" };
        Check { check: "node", ready: !draining, detail: format!("{} {detail}", self.node), decides: true }
    }

    async fn bus_check(&self) -> Check {
        // Held while it asks, so that others wait for this answer and do not ask themselves.
        let mut asked = self.asked.lock().await;
        if let Some((at, check)) = &*asked
            && at.elapsed() < BUS_FRESH
        {
            return check.clone();
        }
        let answer = tokio::time::timeout(BUS_LIMIT, self.bus.partitions()).await;
        let (ready, detail) = match answer {
            Ok(Ok(partitions)) => (true, format!("{} answers, {partitions} partitions", self.bus.describe())),
            Ok(Err(error)) => (false, error.to_string()),
            Err(_) => (false, format!("{} does not answer within {} s", self.bus.describe(), BUS_LIMIT.as_secs())),
        };
        let check = Check { check: "bus", ready, detail, decides: true };
        *asked = Some((Instant::now(), check.clone()));
        check
    }
}

/// A role is ready when every one of its workers holds what the group assigned to it, its states restored.
fn role_check(watch: &RoleWatch) -> Check {
    let totals = watch.stats.totals();
    let (all, working) = (watch.workers as u64, totals.working);
    let detail = if working >= all {
        format!("{all} of {all} workers hold {} partitions", totals.partitions)
    } else if totals.restoring > 0 {
        format!("{working} of {all} workers work, {} restore saved states", totals.restoring)
    } else {
        format!("{working} of {all} workers work, the others wait for their partitions")
    };
    Check { check: watch.role.name(), ready: working >= all, detail, decides: true }
}

/// A projector is ready while it writes, or stands by for the one that does.
fn project_check(totals: &ProjectTotals, alone: bool) -> Check {
    let mut detail = match (totals.standing, totals.behind()) {
        (Standing::Beginning, _) => "has not reached the database yet".to_owned(),
        (Standing::Working, None) => format!("writes to {}", totals.database),
        (Standing::Working, Some(behind)) => format!("writes to {}, {behind} behind", totals.database),
        (Standing::StandingBy, _) => format!("stands by at {}: another projector writes", totals.database),
        (Standing::Failing, None) => "does not go on and is tried again".to_owned(),
        (Standing::Failing, Some(behind)) => format!("does not go on and is tried again, {behind} behind"),
    };
    if let Some((at, error)) = &totals.last_error {
        let (count, seconds) = (totals.failures, at.elapsed().as_secs());
        detail.push_str(&format!("; began again {count} times, last {seconds} s ago: {error}"));
    }
    let ready = matches!(totals.standing, Standing::Working | Standing::StandingBy);
    Check { check: Role::Project.name(), ready, detail, decides: alone }
}

async fn live() -> &'static str {
    "alive\n"
}

async fn ready(State(ops): State<Arc<Ops>>) -> Result<Response, Problem> {
    let checks = ops.checks().await;
    let ready = checks.iter().all(|check| check.ready || !check.decides);
    let (checks, guarantees) = (lines(&checks)?, lines(&ops.guarantees())?);
    let body = format!("{{\"ready\":{ready},\"checks\":[\n{checks}\n],\"guarantees\":[\n{guarantees}\n]}}\n");
    let status = if ready { StatusCode::OK } else { StatusCode::SERVICE_UNAVAILABLE };
    Ok((status, [(CONTENT_TYPE, "application/json"), (CACHE_CONTROL, "no-store")], body).into_response())
}

/// The elements of a JSON array, a line each, for the people who read it in a terminal.
fn lines(elements: &[impl Serialize]) -> Result<String, Problem> {
    let lines = elements.iter().map(serde_json::to_string).collect::<Result<Vec<_>, _>>();
    let lines = lines.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the checks cannot be written"))?;
    Ok(lines.iter().map(|line| format!("  {line}")).collect::<Vec<_>>().join(",\n"))
}

async fn metrics(State(ops): State<Arc<Ops>>) -> Result<Response, Problem> {
    let text = ops.metrics.text();
    let text = text.map_err(|_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "the metrics cannot be written"))?;
    Ok(([(CONTENT_TYPE, MEDIA_TYPE)], text).into_response())
}
