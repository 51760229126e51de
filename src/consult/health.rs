//! How an agent does on a node, for logs, metrics and whoever operates it.

use auren_agents::AgentId;
use schemars::JsonSchema;
use serde::Serialize;

use super::Costs;

/// Whether questions reach an agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CircuitState {
    /// They do.
    #[default]
    Closed,
    /// They are answered at once as not available.
    Open,
    /// One question tries whether the agent is back, the others are answered at once.
    HalfOpen,
}

impl CircuitState {
    /// The word for it in logs and metrics.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }
}

/// One agent on one node, since the node started.
///
/// Every question that was asked ends as one of answered, refused, unavailable, failed, late, spent or abandoned, or is still
/// open; those turned away were not asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AgentHealth {
    /// The agent.
    pub agent: AgentId,
    /// Whether questions reach it now.
    pub circuit: CircuitState,
    /// Questions that are open now.
    pub open: usize,
    /// The counters.
    #[serde(flatten)]
    pub totals: AgentTotals,
    /// What was dropped of what it answered, where it is asked over topics.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dropped: Option<Dropped>,
    /// What it has cost, where that is counted.
    #[serde(flatten)]
    pub costs: Costs,
}

/// Answers that changed nothing, of an agent that is asked over topics.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Dropped {
    /// The question had been answered.
    pub duplicate: u64,
    /// The question was not waited for any more.
    pub late: u64,
    /// This node had not asked: another one did, or nobody.
    pub elsewhere: u64,
    /// No question was named.
    pub nameless: u64,
}

/// What became of the questions to one agent.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct AgentTotals {
    /// Questions asked; further attempts are not counted here.
    pub asked: u64,
    /// Further attempts.
    pub retried: u64,
    /// Ended with an answer.
    pub answered: u64,
    /// Ended with the agent's word that it will not answer this.
    pub refused: u64,
    /// Ended, after all attempts, with the agent's word that it cannot answer now.
    pub unavailable: u64,
    /// Ended, after all attempts, with a panic, an actor that was gone, or an answer that cannot be used.
    pub failed: u64,
    /// Ended at the deadline.
    pub late: u64,
    /// Ended because the agent had used up what it may cost.
    pub spent: u64,
    /// Ended because whoever asked no longer waits: the turn was stopped, or another node has the person.
    pub abandoned: u64,
    /// Not asked, because the circuit was open.
    pub turned_away: u64,
    /// Not asked, because too many were open.
    pub busy: u64,
    /// Times that the agent's actor was started again.
    pub restarts: u64,
}
