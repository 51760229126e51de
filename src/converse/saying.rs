//! How what a turn comes to is said: the events of agents and of the hub, with their ids.

use auren_agents::{
    AgentId, Cause, ConsultId, ConversationEvent, ConversationMetadata, EventId, MessageType, Text, events::PanelMode,
};
use serde_json::Map;

use super::{
    panel::{Panel, Seat},
    settings::TalkSettings,
    talk::{Talk, can_be_asked},
};
use crate::consult::Unanswered;

impl Talk {
    /// Says that an agent has no answer and why, and seats whoever answers instead.
    pub(super) fn unanswered(
        &self,
        panel: &mut Panel,
        seat: Seat,
        consult: ConsultId,
        why: Unanswered,
        settings: &TalkSettings,
    ) -> Option<ConversationEvent> {
        let agent = panel.agents.get(seat.index)?;
        let (code, words) = match why {
            Unanswered::Late => ("agent_late", format!("The {agent} did not answer in time.")),
            Unanswered::Failed => ("agent_failed", format!("The {agent} could not answer.")),
            Unanswered::Unavailable => ("agent_unavailable", format!("The {agent} cannot answer at the moment.")),
            Unanswered::Spent => ("agent_spent", format!("The {agent} has answered as much as it may today.")),
        };
        panel.missing.push(agent.clone());
        // Where the first answer is the only one, nobody misses another while one may come.
        if panel.mode == PanelMode::First && !panel.waiting.is_empty() {
            return None;
        }
        let instead = settings.fallback_agent.as_ref().filter(|other| can_be_asked(panel, other, settings));
        let then = match instead {
            Some(other) => format!(" The {other} answers instead."),
            None if panel.mode == PanelMode::First && panel.missing.len() > 1 && panel.spoken.is_empty() => {
                " Nor did anybody else who was asked.".to_owned()
            }
            None if panel.agents.len() > 1 => " This answer is therefore incomplete.".to_owned(),
            None => String::new(),
        };
        // Whoever answers instead has a seat by the time that it is said.
        if let Some(other) = instead {
            panel.seat_next(other.clone());
        }
        let mut said = self.hub_says(panel, seat, code, format!("{words}{then}"));
        said.metadata.consult_id = Some(consult);
        Some(said)
    }

    /// What the hub says in the place of the agent of a seat.
    pub(super) fn hub_says(&self, panel: &Panel, seat: Seat, code: &str, words: String) -> ConversationEvent {
        let agent = panel.agents.get(seat.index).cloned().unwrap_or_else(|| name("auren"));
        let id = self.hub_event_id(panel, &format!("{code} {}", seat.index));
        let mut said = self.event(panel, agent, MessageType::SystemMessage, id, Text::cut(words));
        said.metadata.code = Some(Text::cut(code));
        said.metadata.panel = Some(panel.shown_seat(seat));
        said
    }

    /// The id of what no agent says.
    pub(super) fn hub_event_id(&self, panel: &Panel, step: &str) -> EventId {
        EventId::derived(&["hub", self.user.as_str(), &panel.cause.key(), step])
    }

    pub(super) fn event(
        &self,
        panel: &Panel,
        specialist_id: AgentId,
        message_type: MessageType,
        event_id: EventId,
        content: Text<16384>,
    ) -> ConversationEvent {
        let (trigger_type, severity) = match &panel.cause {
            Cause::Trigger { trigger_type, severity, .. } => (Some(Text::cut(trigger_type.as_str())), Some(*severity)),
            Cause::Message { .. } => (None, None),
        };
        ConversationEvent {
            event_id,
            conversation_id: panel.conversation.clone(),
            user_id: self.user.clone(),
            specialist_id,
            message_type,
            content,
            metadata: ConversationMetadata {
                trigger_type,
                severity,
                ..ConversationMetadata::new(panel.cause.id().clone(), panel.cause.kind(), panel.turn)
            },
            timestamp: panel.at.clone(),
            extra: Map::new(),
        }
    }
}

/// Who speaks where no agent does.
pub(super) fn name(speaker: &str) -> AgentId {
    AgentId::new(speaker).expect("`user` and `auren` are ids")
}
