//! A question to several agents: one after the other, so that each reads what those before it said, or all at once.

use std::{sync::Arc, time::Duration};

use auren_agents::{
    AgentId, Cause, Consult, ConsultId, ConversationId, EventId, Observation, Parts, Score, Text, Timestamp,
    TriggerType, UserId,
    consult::{PanelAdvice, PastAdvice},
    events::{PanelMode, PanelSeat},
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
    /// How they are asked.
    #[serde(default, skip_serializing_if = "PanelMode::is_ordered")]
    pub(super) mode: PanelMode,
    /// Index of the next seat: in an ordered panel it is its agent's turn.
    pub(super) next: usize,
    /// The question that is open in an ordered panel.
    pub(super) asked: Option<ConsultId>,
    /// The questions that are open in any other.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) waiting: Vec<Waiting>,
    /// How often one of its agents asked another to go on.
    #[serde(default, skip_serializing_if = "is_none")]
    pub(super) hand_offs: u32,
    /// Who was asked and has no answer.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) missing: Vec<AgentId>,
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

/// A question of a panel whose agents are asked at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Waiting {
    consult: ConsultId,
    seat: Seat,
}

/// A seat of a panel, and how much of what was said its agent has read: so many from the first.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub(super) struct Seat {
    pub(super) index: usize,
    pub(super) read: usize,
}

fn is_none(count: &u32) -> bool {
    *count == 0
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
    /// The agent of the next seat; none when all have been asked.
    pub(super) fn agent(&self) -> Option<&AgentId> {
        self.agents.get(self.next)
    }

    /// The next seat, whose agent reads all that was said so far; in a panel that is asked at once, nothing of those who are
    /// asked with it.
    pub(super) fn seat(&self) -> Seat {
        Seat { index: self.next, read: self.spoken.len() }
    }

    /// A seat behind those that were asked, for an agent that nobody had thought of.
    pub(super) fn seat_next(&mut self, agent: AgentId) {
        self.agents.insert(self.next, agent);
    }

    /// The id of the question on a seat; the same however often it is asked.
    fn consult_id(&self, user: &UserId, seat: Seat) -> Option<ConsultId> {
        let agent = self.agents.get(seat.index)?;
        let seat = seat.index.to_string();
        Some(ConsultId::derived(&["consult", user.as_str(), &self.cause.key(), agent.as_str(), &seat]))
    }

    /// The id of what is said on a seat.
    pub(super) fn event_id(&self, user: &UserId, seat: Seat) -> EventId {
        let agent = self.agents.get(seat.index).map_or("", AgentId::as_str);
        let seat = seat.index.to_string();
        EventId::derived(&["said", user.as_str(), &self.cause.key(), agent, &seat])
    }

    /// Keeps what was said, cut to what there is room for.
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

    /// A seat, whom its agent has heard, and who is missing so far.
    pub(super) fn shown_seat(&self, seat: Seat) -> PanelSeat {
        let count = |index: usize| u32::try_from(index).unwrap_or(u32::MAX);
        PanelSeat {
            seat: count(seat.index + 1),
            seats: count(self.agents.len()),
            mode: self.mode,
            read: self.spoken.iter().take(seat.read).map(|advice| advice.event.clone()).collect(),
            missing: self.missing.clone(),
            last: None,
        }
    }

    /// The question on the next seat is open from now on.
    pub(super) fn ask(&mut self, user: &UserId, memory: &Memory) {
        self.show(memory);
        let seat = self.seat();
        let consult = self.consult_id(user, seat);
        if self.mode.is_ordered() {
            self.asked = consult;
        } else if let Some(consult) = consult {
            self.waiting.push(Waiting { consult, seat });
            self.next += 1;
        }
    }

    /// Makes what its agents are shown, unless it is there.
    pub(super) fn show(&mut self, memory: &Memory) {
        if self.shown.is_none() {
            let recent =
                if self.evidence.is_empty() { memory.recent(&self.at) } else { self.evidence.as_slice().into() };
            self.shown = Some(Shown { recent, past: memory.past() });
        }
    }

    /// Whether the answer to this question is awaited.
    pub(super) fn awaits(&self, id: &ConsultId) -> bool {
        self.asked.as_ref() == Some(id) || self.waiting.iter().any(|waiting| waiting.consult == *id)
    }

    /// The ids of the questions that are open, in the order of their seats.
    pub(super) fn open(&self) -> impl Iterator<Item = &ConsultId> {
        self.asked.iter().chain(self.waiting.iter().map(|waiting| &waiting.consult))
    }

    /// Where the agent of an open question sits.
    pub(super) fn seat_of(&self, id: &ConsultId) -> Option<Seat> {
        if self.asked.as_ref() == Some(id) {
            return Some(self.seat());
        }
        self.waiting.iter().find(|waiting| waiting.consult == *id).map(|waiting| waiting.seat)
    }

    /// The question is not open any more; in an ordered panel it is the next one's turn.
    pub(super) fn over(&mut self, id: &ConsultId) {
        if self.asked.as_ref() == Some(id) {
            self.asked = None;
            self.next += 1;
        } else {
            self.waiting.retain(|waiting| waiting.consult != *id);
        }
    }

    /// An open question.
    pub(super) fn consult(&self, user: &UserId, id: &ConsultId, deadline: Duration) -> Option<Consult> {
        let Shown { recent, past } = self.shown.clone()?;
        let seat = self.seat_of(id)?;
        Some(Consult {
            id: id.clone(),
            agent: self.agents.get(seat.index)?.clone(),
            user: user.clone(),
            conversation: self.conversation.clone(),
            turn: self.turn,
            cause: self.cause.clone(),
            at: self.at.clone(),
            recent,
            past,
            panel: self.spoken.get(..seat.read).unwrap_or_default().to_vec(),
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
    let hand_off = advice.hand_off.as_ref().map_or(0, |to| 32 + to.to.as_str().len() + to.reason.len());
    6 * (256 + advice.message.len() + hand_off + findings.sum::<usize>())
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
