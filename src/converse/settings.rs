//! What all sessions of a hub have in common.

use std::{collections::BTreeMap, time::Duration};

use auren_agents::{AgentCard, AgentId, Cause, events::PanelMode};

use super::routing::Route;

/// What all sessions of a hub have in common.
#[derive(Debug, Clone)]
pub struct TalkSettings {
    /// The agents that can be asked.
    pub cards: Vec<AgentCard>,
    /// A silence of this length ends a conversation.
    pub quiet: Duration,
    /// How long an agent has for an answer.
    pub deadline: Duration,
    /// How long those have that do not have as long as the others.
    pub deadlines: BTreeMap<AgentId, Duration>,
    /// How panels are asked.
    pub panel: PanelMode,
    /// How those are asked that are asked otherwise, by the trigger's type, or `message`.
    pub panels: BTreeMap<String, PanelMode>,
    /// How often the agents of one turn may ask another to go on.
    pub max_hand_offs: u32,
    /// Who is asked last where several have answered, having read them all.
    pub summary_agent: Option<AgentId>,
    /// What decides who is meant by a message, in this order.
    pub routing: Vec<Route>,
    /// Who answers what is nobody's business in particular.
    pub default_agent: AgentId,
    /// Who answers in the place of an agent that did not, if anybody does.
    pub fallback_agent: Option<AgentId>,
}

impl TalkSettings {
    /// Whether there is an agent of this name.
    pub(super) fn knows(&self, agent: &AgentId) -> bool {
        self.cards.iter().any(|card| card.id == *agent)
    }

    /// How long an agent has.
    pub(super) fn deadline(&self, agent: Option<&AgentId>) -> Duration {
        agent.and_then(|agent| self.deadlines.get(agent)).copied().unwrap_or(self.deadline)
    }

    /// How the panel of a cause is asked.
    pub(super) fn mode(&self, cause: &Cause) -> PanelMode {
        let name = match cause {
            Cause::Trigger { trigger_type, .. } => trigger_type.as_str(),
            Cause::Message { .. } => "message",
        };
        self.panels.get(name).copied().unwrap_or(self.panel)
    }

    /// As they are where nothing is configured, with these agents, of whom the last answers what is nobody's business.
    #[cfg(test)]
    pub(super) fn plain(cards: Vec<AgentCard>) -> Self {
        Self {
            default_agent: cards.last().map_or_else(|| AgentId::derived(&[]), |card| card.id.clone()),
            cards,
            quiet: Duration::from_secs(60),
            deadline: Duration::from_secs(1),
            deadlines: BTreeMap::new(),
            panel: PanelMode::Ordered,
            panels: BTreeMap::new(),
            max_hand_offs: 3,
            summary_agent: None,
            routing: Route::ALL.to_vec(),
            fallback_agent: None,
        }
    }
}
