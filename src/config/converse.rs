//! Conversations: what their sessions are told of the configuration, and what must not be.

use std::time::Duration;

use auren_agents::{AgentCard, AgentId};

use super::ConverseSection;
use crate::converse::TalkSettings;

const DEADLINE_MS: std::ops::RangeInclusive<u64> = 1..=3_600_000;
/// More would let two agents talk to each other on a person's account.
const HAND_OFFS_MAX: u32 = 16;

impl ConverseSection {
    /// What all sessions of a hub with these agents have in common.
    #[must_use]
    pub fn talk(&self, cards: Vec<AgentCard>) -> TalkSettings {
        let agent = |name: &str| AgentId::new(name).ok();
        let deadline = |(name, ms): (&String, &u64)| Some((agent(name)?, Duration::from_millis(*ms)));
        TalkSettings {
            cards,
            quiet: Duration::from_secs(u64::from(self.quiet_minutes) * 60),
            deadline: Duration::from_millis(self.agent_deadline_ms),
            deadlines: self.agent_deadlines_ms.iter().filter_map(deadline).collect(),
            panel: self.panel,
            panels: self.panels.clone(),
            max_hand_offs: self.max_hand_offs,
            summary_agent: agent(&self.summary_agent),
            routing: self.routing.clone(),
            default_agent: agent(&self.default_agent).unwrap_or_else(|| AgentId::derived(&["default"])),
            fallback_agent: agent(&self.fallback_agent),
        }
    }

    /// How long this agent has for one answer.
    #[must_use]
    pub fn deadline(&self, agent: &AgentId) -> Duration {
        let own = self.agent_deadlines_ms.get(agent.as_str()).copied();
        Duration::from_millis(own.unwrap_or(self.agent_deadline_ms))
    }

    /// What must not be: the key, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let name = |key, name: &str| {
            let wrong = !name.is_empty() && AgentId::new(name).is_err();
            wrong.then(|| (key, "must be an agent's name, or empty".to_owned()))
        };
        if self.default_agent.is_empty() || AgentId::new(self.default_agent.as_str()).is_err() {
            return Some(("converse.default_agent", "must be an agent's name".to_owned()));
        }
        if let Some((agent, _)) = self.agent_deadlines_ms.iter().find(|(_, ms)| !DEADLINE_MS.contains(ms)) {
            return Some(("converse.agent_deadlines_ms", format!("of {agent}: must be from 1 to 3600000")));
        }
        if self.max_hand_offs > HAND_OFFS_MAX {
            return Some(("converse.max_hand_offs", format!("must be from 0 to {HAND_OFFS_MAX}")));
        }
        name("converse.fallback_agent", &self.fallback_agent)
            .or_else(|| name("converse.summary_agent", &self.summary_agent))
    }
}
