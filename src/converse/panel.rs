//! A question to several agents, one after the other: each reads what those before it said.

use std::{sync::Arc, time::Duration};

use auren_agents::{
    AgentId, Cause, Consult, ConsultId, ConversationId, EventId, Observation, Parts, Score, Text, Timestamp,
    TriggerType, UserId,
    consult::{PanelAdvice, PastAdvice},
    events::PanelSeat,
};
use serde::{Deserialize, Serialize};

use super::memory::Memory;

/// Most bytes of what was said that a panel keeps for those who speak later: it is saved while one of them thinks.
const SPOKEN_BYTES: usize = 32 * 1024;

/// A panel that is not over: what is saved of it while an agent is being asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Panel {
    #[serde(with = "SavedCause")]
    pub(super) cause: Cause,
    pub(super) at: Timestamp,
    pub(super) conversation: ConversationId,
    pub(super) turn: u64,
    pub(super) agents: Vec<AgentId>,
    /// Index of the agent whose turn it is.
    pub(super) next: usize,
    /// The question that is open.
    pub(super) asked: Option<ConsultId>,
    /// What was said so far.
    pub(super) spoken: Vec<PanelAdvice>,
    /// What those who spoke want to remember, in the same order.
    pub(super) notes: Vec<Text<64>>,
    /// What the cause itself brings along.
    pub(super) evidence: Vec<Observation>,
    /// What its agents are shown of the person: the same for all, and made when the first of them is asked.
    #[serde(skip)]
    pub(super) shown: Option<Shown>,
}

/// What agents are shown of a person.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shown {
    recent: Arc<[Observation]>,
    past: Arc<[PastAdvice]>,
}

/// A cause as it is saved, which is not how agents in other processes are told it: states outlive both.
#[derive(Serialize, Deserialize)]
#[serde(remote = "Cause")]
enum SavedCause {
    Trigger { id: EventId, trigger_type: TriggerType, severity: Score, message: Text<4096> },
    Message { id: EventId, text: Text<4096> },
}

impl Panel {
    /// The agent whose turn it is; none when the panel is over.
    pub(super) fn agent(&self) -> Option<&AgentId> {
        self.agents.get(self.next)
    }

    /// The id of the question to the agent whose turn it is; the same however often it is asked.
    fn consult_id(&self, user: &UserId) -> Option<ConsultId> {
        let seat = self.next.to_string();
        let agent = self.agent()?;
        Some(ConsultId::derived(&["consult", user.as_str(), &self.cause.key(), agent.as_str(), &seat]))
    }

    /// The id of what is said on the seat whose turn it is.
    pub(super) fn event_id(&self, user: &UserId) -> EventId {
        let seat = self.next.to_string();
        let agent = self.agent().map_or("", AgentId::as_str);
        EventId::derived(&["said", user.as_str(), &self.cause.key(), agent, &seat])
    }

    /// Keeps what was said on the seat whose turn it is, cut to what there is room for.
    pub(super) fn heard(&mut self, mut advice: PanelAdvice, note: Text<64>) {
        if self.spoken.iter().chain([&advice]).map(at_most).sum::<usize>() > SPOKEN_BYTES {
            self.cut(&mut advice);
        }
        self.spoken.push(advice);
        self.notes.push(note);
    }

    fn cut(&self, advice: &mut PanelAdvice) {
        let room = SPOKEN_BYTES.saturating_sub(self.spoken.iter().map(bytes).sum());
        while bytes(advice) > room && advice.findings.pop().is_some() {}
        while bytes(advice) > room && !advice.message.is_empty() {
            let half = advice.message.floor_char_boundary(advice.message.len() / 2);
            advice.message = Text::cut(&advice.message[..half]);
        }
    }

    /// The seat whose turn it is, and whom it has heard.
    pub(super) fn seat(&self) -> PanelSeat {
        let count = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        PanelSeat {
            seat: count(self.next + 1),
            seats: count(self.agents.len()),
            read: self.spoken.iter().map(|advice| advice.event.clone()).collect(),
        }
    }

    /// It is the turn of the next agent: its question is open from now on.
    pub(super) fn ask(&mut self, user: &UserId, memory: &Memory) {
        self.asked = self.consult_id(user);
        if self.shown.is_none() {
            let recent =
                if self.evidence.is_empty() { memory.recent(&self.at) } else { self.evidence.as_slice().into() };
            self.shown = Some(Shown { recent, past: memory.past() });
        }
    }

    /// The question that is open.
    pub(super) fn consult(&self, user: &UserId, deadline: Duration) -> Option<Consult> {
        let Shown { recent, past } = self.shown.clone()?;
        Some(Consult {
            id: self.asked.clone()?,
            agent: self.agent()?.clone(),
            user: user.clone(),
            conversation: self.conversation.clone(),
            turn: self.turn,
            cause: self.cause.clone(),
            at: self.at.clone(),
            recent,
            past,
            panel: self.spoken.clone(),
            deadline,
            parts: Parts::default(),
            trace: None,
        })
    }
}

/// More than a piece of advice takes when it is saved: JSON makes at most six bytes of one.
fn at_most(advice: &PanelAdvice) -> usize {
    let findings = advice.findings.iter().map(|finding| {
        let ids = finding.events.iter().map(|event| event.as_str().len() + 8);
        let alternatives = finding.alternatives.iter().map(|text| text.len() + 8);
        256 + finding.subject.len() + finding.statement.len() + ids.chain(alternatives).sum::<usize>()
    });
    6 * (256 + advice.message.len() + findings.sum::<usize>())
}

/// The size of a piece of advice as it is saved.
fn bytes(advice: &PanelAdvice) -> usize {
    serde_json::to_vec(advice).map_or(usize::MAX, |saved| saved.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panel_that_was_saved_before_causes_had_a_kind_is_still_read_and_saved_so() {
        let saved = r#"{"cause":{"Message":{"id":"m-1","text":"And now?"}},"at":"2024-01-01T10:00:00Z","conversation":"c-1","turn":1,"agents":["coach"],"next":0,"asked":null,"spoken":[],"notes":[],"evidence":[]}"#;
        let panel: Panel = serde_json::from_str(saved).unwrap();
        assert_eq!(panel.cause.id().as_str(), "m-1");
        assert_eq!(serde_json::to_string(&panel).unwrap(), saved);
    }
}
