//! What this node does: its roles with their workers and the guarantee in force, its agents, its rules. All of it is in the
//! node's own counters.

use std::{fmt, sync::Arc};

use axum::{Json, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;

use super::Console;
use crate::{
    consult::AgentHealth,
    gateway::{Problem, RoleWatch},
    guarantee::{InForce, Level},
    inspect::written,
    lane::{Totals, WorkerSeen},
    project::stats::Standing,
};

/// This node.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::gateway) struct NodeSeen {
    /// Its name.
    node: String,
    /// Its version of AUREN.
    version: &'static str,
    /// The bus in words.
    bus: String,
    /// Now, by the node's clock.
    now: String,
    /// Its roles on lanes.
    roles: Vec<RoleSeen>,
    /// Its agents.
    agents: Vec<AgentHealth>,
    /// The rules in force on it; none where it does not run the role `detect`.
    rules: Option<Vec<RuleSeen>>,
    /// Its projector; none where it has none.
    projector: Option<ProjectorSeen>,
    /// Sockets and event streams of chat that are open; none where it has no chat.
    chat_open: Option<u64>,
}

/// A role on this node.
#[derive(Debug, Serialize, JsonSchema)]
struct RoleSeen {
    /// The role.
    role: &'static str,
    /// The guarantee in force for it.
    guarantee: Level,
    /// What that rests on, or what is missing.
    why: Vec<String>,
    /// Its workers, by name.
    workers: Vec<WorkerSeen>,
    /// What they have done together, and what they hold.
    totals: Totals,
}

/// A rule in force.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RuleSeen {
    /// Its id.
    pub rule: String,
    /// Its version.
    pub version: u32,
    /// What it notices.
    pub trigger_type: String,
    /// Whether what it finds is only counted.
    pub shadow: bool,
    /// How often it spoke on this node since it is in force there, or would have spoken.
    pub spoken: u64,
}

/// The projector of this node.
#[derive(Debug, Serialize, JsonSchema)]
struct ProjectorSeen {
    /// `beginning`, `working`, `standing_by` or `failing`.
    standing: &'static str,
    /// Offsets up to the newest record that is not in the history yet; none where it is not known.
    behind: Option<u64>,
    /// Times that it had to begin again.
    failures: u64,
}

/// Looks at the rules in force.
#[derive(Clone)]
pub struct RulesWatch(Arc<dyn Fn() -> Vec<RuleSeen> + Send + Sync>);

impl RulesWatch {
    /// Looks so.
    #[must_use]
    pub fn new(look: impl Fn() -> Vec<RuleSeen> + Send + Sync + 'static) -> Self {
        Self(Arc::new(look))
    }
}

impl fmt::Debug for RulesWatch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RulesWatch")
    }
}

/// `GET /v1/ops/node`.
pub(super) async fn node(State(console): State<Arc<Console>>, headers: HeaderMap) -> Result<Json<NodeSeen>, Problem> {
    console.operator(&headers).await?;
    let watches = &console.watches;
    let roles = {
        let facts = watches.facts.borrow();
        let seen = |watch: &RoleWatch| {
            let InForce { level, reasons, remarks } = watch.in_force(facts.as_ref());
            let (workers, totals) = (watch.stats.workers(), watch.stats.totals());
            let why = [reasons, remarks].concat();
            RoleSeen { role: watch.role.name(), guarantee: level, why, workers, totals }
        };
        watches.roles.iter().map(seen).collect()
    };
    let projector = watches.projector.as_ref().map(|stats| stats.totals()).map(|totals| ProjectorSeen {
        standing: match totals.standing {
            Standing::Beginning => "beginning",
            Standing::Working => "working",
            Standing::StandingBy => "standing_by",
            Standing::Failing => "failing",
        },
        behind: totals.behind(),
        failures: totals.failures,
    });
    Ok(Json(NodeSeen {
        node: console.node.clone(),
        version: env!("CARGO_PKG_VERSION"),
        bus: console.bus.describe(),
        now: written(chrono::Utc::now().timestamp_millis()),
        roles,
        agents: watches.agents.health(),
        rules: watches.rules.as_ref().map(|RulesWatch(look)| look()),
        projector,
        chat_open: watches.chat.as_ref().map(|chat| chat.count().open),
    }))
}
