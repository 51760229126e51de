//! Questions as they were put: rebuilt from what the log holds of a person, so that an agent can be asked them again.
//!
//! Recorded are the cause, the time, the turn, the question's id, what of the panel was read, and, as the events of before,
//! what was said and noted. Rebuilt are measurements where the trigger brought no evidence: those that were written before
//! the cause was, which need not be those that the session had read by then. The deadline is the one of now.

use std::{collections::HashMap, iter, time::Duration};

use auren_agents::{
    AgentId, BiometricEvent, Cause, Consult, ConversationEvent, EventId, InboxAction, InboxRecord, MessageType,
    Observation, PanelAdvice, Parts, Score, Timestamp, TriggerEvent, UserId,
    events::{self, CauseKind},
};

use super::memory::Memory;
use crate::{
    bus::{BusError, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic, key_partition},
    seen::Seen,
};

/// A question that was put, and the event that came of it.
#[derive(Debug, Clone)]
pub struct Recorded {
    /// The question; none where its cause is not in the log any more.
    pub consult: Option<Consult>,
    /// What was said to it, or why nothing was.
    pub event: ConversationEvent,
}

/// What the log holds of a person.
#[derive(Debug, Default)]
struct Past {
    measured: Vec<(i64, Seen)>,
    causes: HashMap<(CauseKind, EventId), Happened>,
    said: Vec<ConversationEvent>,
}

/// A cause, when it was written, and what it brought along.
#[derive(Debug)]
struct Happened {
    cause: Cause,
    written_ms: i64,
    evidence: Vec<Observation>,
}

/// The questions that were put to an agent about a person, in the order in which they were answered, whose causes happened in
/// this time.
///
/// # Errors
/// [`BusError`] where the log cannot be read.
pub async fn recorded(
    bus: &SharedBus,
    user: &UserId,
    agent: &AgentId,
    (from, to): (Option<&Timestamp>, Option<&Timestamp>),
    deadline: Duration,
) -> Result<Vec<Recorded>, BusError> {
    let partition = key_partition(user.as_str().as_bytes(), bus.partitions().await?);
    let mut past = Past::default();
    for topic in [Topic::Biometrics, Topic::Triggers, Topic::Inbox, Topic::Events] {
        let read = Read { topic, partitions: vec![partition], from: ReadFrom::Earliest, until: ReadUntil::End };
        let mut batches = bus.read(read);
        while let Some(batch) = batches.recv().await {
            for record in batch?.iter().filter(|record| record.key.as_deref() == Some(user.as_str().as_bytes())) {
                past.take(topic, record);
            }
        }
    }
    let within = |at: i64| from.is_none_or(|from| at >= from.millis()) && to.is_none_or(|to| at <= to.millis());
    // What the hub says of an agent has a question's id where it is the last word on it.
    let asked = |event: &&ConversationEvent| {
        event.specialist_id == *agent
            && event.metadata.consult_id.is_some()
            && event.message_type != MessageType::UserInput
            && within(event.timestamp.millis())
    };
    let questions = past.said.iter().filter(asked);
    Ok(questions.map(|event| Recorded { consult: past.consult(event, deadline), event: event.clone() }).collect())
}

impl Past {
    /// What cannot be read is a dead letter, and no session has heard it.
    fn take(&mut self, topic: Topic, record: &Record) {
        let payload = record.payload.as_deref().unwrap_or_default();
        match topic {
            Topic::Biometrics => {
                let event = events::parse::<BiometricEvent>(payload);
                self.measured.extend(event.map(|event| (record.timestamp_ms, Seen::of(&event))).ok());
            }
            Topic::Triggers => {
                let Ok(trigger) = events::parse::<TriggerEvent>(payload) else { return };
                let TriggerEvent { trigger_id: id, trigger_type, severity, message, evidence, .. } = trigger;
                self.happened(Cause::Trigger { id, trigger_type, severity, message }, record, evidence);
            }
            Topic::Inbox => {
                let Ok(InboxRecord { event_id: id, action: InboxAction::Message { text, .. }, .. }) =
                    events::parse(payload)
                else {
                    return;
                };
                self.happened(Cause::Message { id, text }, record, Vec::new());
            }
            _ => self.said.extend(events::parse::<ConversationEvent>(payload).ok()),
        }
    }

    /// Of a cause that came twice the first one was worked.
    fn happened(&mut self, cause: Cause, record: &Record, evidence: Vec<Observation>) {
        let key = (cause.kind(), cause.id().clone());
        let happened = Happened { cause, written_ms: record.timestamp_ms, evidence };
        self.causes.entry(key).or_insert(happened);
    }

    fn consult(&self, event: &ConversationEvent, deadline: Duration) -> Option<Consult> {
        let metadata = &event.metadata;
        let happened = self.causes.get(&(metadata.cause_type, metadata.cause.clone()))?;
        let mut memory = self.memory(metadata.turn);
        let recent = if happened.evidence.is_empty() {
            let known = self.measured.iter().filter(|(written_ms, _)| *written_ms <= happened.written_ms);
            known.for_each(|(_, seen)| {
                memory.measured(seen.clone());
            });
            memory.recent(&event.timestamp)
        } else {
            happened.evidence.as_slice().into()
        };
        let read = metadata.panel.iter().flat_map(|seat| &seat.read);
        Some(Consult {
            id: metadata.consult_id.clone()?,
            agent: event.specialist_id.clone(),
            user: event.user_id.clone(),
            conversation: event.conversation_id.clone(),
            turn: metadata.turn,
            cause: happened.cause.clone(),
            at: event.timestamp.clone(),
            recent,
            past: memory.past(),
            panel: read.filter_map(|id| self.heard(id)).collect(),
            deadline,
            trace: None,
            parts: Parts::default(),
        })
    }

    /// What a session remembered of what was said when a turn began.
    fn memory(&self, turn: u64) -> Memory {
        let mut memory = Memory::default();
        let before = self.said.iter().take_while(|said| said.metadata.turn != turn);
        for said in before.filter(|said| said.message_type == MessageType::SpecialistResponse) {
            let about = said.metadata.trigger_type.as_deref().unwrap_or("message");
            let severity = said.metadata.severity.unwrap_or(Score::ZERO);
            let who = (said.specialist_id.clone(), said.metadata.note.clone());
            memory.said((&said.timestamp, about, severity), iter::once(who));
        }
        memory
    }

    /// What was said as those heard it who spoke later.
    fn heard(&self, id: &EventId) -> Option<PanelAdvice> {
        let said = self.said.iter().find(|said| said.event_id == *id)?;
        // Whoever was not asked was not told of.
        let refused = |other: &ConversationEvent| {
            other.metadata.turn == said.metadata.turn
                && other.specialist_id == said.specialist_id
                && other.metadata.code.as_deref().is_some_and(|code| code.starts_with("hand_off_"))
        };
        Some(PanelAdvice {
            event: said.event_id.clone(),
            agent: said.specialist_id.clone(),
            message: said.content.clone(),
            findings: said.metadata.findings.clone(),
            hand_off: said.metadata.hand_off.clone().filter(|_| !self.said.iter().any(refused)),
        })
    }
}
