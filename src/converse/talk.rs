//! The session's state machine: what is heard becomes what is said and who is asked. No I/O, no clock, no actor.

use auren_agents::{
    Advice, AgentId, BiometricEvent, Cause, Consult, ConsultId, ConversationEvent, ConversationId, InboxAction,
    InboxRecord, MessageType, Score, Text, Timestamp, TriggerEvent, UserId,
    consult::PanelAdvice,
    events::{self, PanelMode},
};
use bytes::Bytes;

use super::{
    memory::Memory,
    panel::{Panel, Seat},
    routing::route,
    saying::name,
    settings::TalkSettings,
};
use crate::{bus::Topic, consult::Answered, lane::Refusal, seen::Seen};

/// Most panels of one person that may wait at a time.
const OPEN_MAX: usize = 8;
/// Most findings and reasons of one answer, and most events and alternatives of one finding: whatever an agent says,
/// its event stays within what a record takes.
const FINDINGS_MAX: usize = 16;
const FINDING_EVENTS_MAX: usize = 32;
const ALTERNATIVES_MAX: usize = 8;

/// One person's conversation.
#[derive(Debug)]
pub(super) struct Talk {
    pub(super) user: UserId,
    pub(super) memory: Memory,
}

/// What a stimulus brought about.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    pub(super) said: Vec<ConversationEvent>,
    pub(super) asks: Vec<Consult>,
    pub(super) changed: bool,
}

impl Talk {
    /// Hears a record of one of the input topics.
    pub(super) fn hear(&mut self, topic: Topic, payload: &Bytes, settings: &TalkSettings) -> Result<Outcome, Refusal> {
        match topic {
            Topic::Biometrics => {
                let event: BiometricEvent = events::parse(payload)?;
                self.own(&event.user_id)?;
                Ok(Outcome { changed: self.memory.measured(Seen::of(&event)), ..Outcome::default() })
            }
            Topic::Triggers => {
                let trigger: TriggerEvent = events::parse(payload)?;
                self.own(&trigger.user_id)?;
                Ok(self.triggered(trigger, settings))
            }
            Topic::Inbox => {
                let record: InboxRecord = events::parse(payload)?;
                self.own(&record.user_id)?;
                Ok(self.addressed(record, settings))
            }
            other => Err(Refusal::new("wrong_topic", "record", format!("conversations do not read {other}"))),
        }
    }

    /// Takes an answer, or that there is none, on top of what its stimulus has brought about so far. An answer that nobody
    /// awaits any more changes nothing.
    pub(super) fn answered(&mut self, answered: Answered, settings: &TalkSettings, outcome: &mut Outcome) {
        let Answered { consult, outcome: answer } = answered;
        let at = |(index, panel): (usize, &Panel)| Some((index, panel.seat_of(&consult)?));
        let Some((index, seat)) = self.memory.open.iter().enumerate().find_map(at) else { return };
        let mut panel = self.memory.open.remove(index);
        panel.over(&consult);
        outcome.changed = true;
        match answer {
            Ok(advice) => self.advised(&mut panel, seat, consult, advice, settings, outcome),
            Err(why) => outcome.said.extend(self.unanswered(&mut panel, seat, consult, why, settings)),
        }
        self.go_on(panel, settings, outcome);
    }

    /// Asks again whatever was open when the session was last in memory.
    pub(super) fn resumed(&mut self, settings: &TalkSettings) -> Outcome {
        let mut outcome = Outcome { changed: true, ..Outcome::default() };
        for mut panel in std::mem::take(&mut self.memory.open) {
            panel.show(&self.memory);
            if !panel.mode.is_ordered() {
                outcome.asks.extend(panel.open().filter_map(|id| self.consult(&panel, id, settings)));
            }
            self.go_on(panel, settings, &mut outcome);
        }
        outcome
    }

    /// The question of this id, to be asked once more; none where nobody awaits its answer any more.
    pub(super) fn question(&self, id: &ConsultId, settings: &TalkSettings) -> Option<Consult> {
        let panel = self.memory.open.iter().find(|panel| panel.awaits(id))?;
        self.consult(panel, id, settings)
    }

    /// Whether anybody waits for the answer to this question.
    pub(super) fn awaits(&self, id: &ConsultId) -> bool {
        self.memory.open.iter().any(|panel| panel.awaits(id))
    }

    fn consult(&self, panel: &Panel, id: &ConsultId, settings: &TalkSettings) -> Option<Consult> {
        let agent = panel.seat_of(id).and_then(|seat| panel.agents.get(seat.index));
        panel.consult(&self.user, id, settings.deadline(agent))
    }

    fn own(&self, user: &UserId) -> Result<(), Refusal> {
        if *user == self.user { Ok(()) } else { Err(Refusal::other_user()) }
    }

    fn triggered(&mut self, trigger: TriggerEvent, settings: &TalkSettings) -> Outcome {
        let cause = Cause::Trigger {
            id: trigger.trigger_id,
            trigger_type: trigger.trigger_type,
            severity: trigger.severity,
            message: trigger.message,
        };
        if !self.memory.first_time(&cause) {
            return Outcome::default();
        }
        let mut outcome = Outcome { changed: true, ..Outcome::default() };
        let panel = self.panel(cause, trigger.timestamp, trigger.recommended_agents, trigger.evidence, settings);
        self.open(panel, settings, &mut outcome);
        outcome
    }

    fn addressed(&mut self, record: InboxRecord, settings: &TalkSettings) -> Outcome {
        let InboxRecord { event_id, action, client_id, timestamp, .. } = record;
        let mut outcome = Outcome::default();
        match action {
            InboxAction::Message { text, to, .. } => {
                let cause = Cause::Message { id: event_id, text: text.clone() };
                if !self.memory.first_time(&cause) {
                    return outcome;
                }
                outcome.changed = true;
                let last = self.memory.last_speaker.as_ref();
                let agents = route(&text, to.as_ref(), settings, last);
                let panel = self.panel(cause, timestamp, agents, Vec::new(), settings);
                let id = self.hub_event_id(&panel, "input");
                let words = Text::cut(text.into_string());
                let mut input = self.event(&panel, name("user"), MessageType::UserInput, id, words);
                input.metadata.client_id = client_id;
                outcome.said.push(input);
                self.open(panel, settings, &mut outcome);
            }
            InboxAction::Stop { turn, .. } => {
                if let Some(index) = self.memory.open.iter().position(|panel| panel.turn == turn) {
                    let panel = self.memory.open.remove(index);
                    outcome.changed = true;
                    let waits = panel.open().next().and_then(|id| panel.seat_of(id)).unwrap_or(panel.seat());
                    outcome.said.push(self.hub_says(&panel, waits, "stopped", "The answer was stopped.".to_owned()));
                    self.close(panel);
                }
            }
            // Who saw what is for those who read the inbox; the conversation does not change.
            InboxAction::Seen { .. } => {}
        }
        outcome
    }

    /// A new turn.
    fn panel(
        &mut self,
        cause: Cause,
        at: Timestamp,
        agents: Vec<AgentId>,
        evidence: Vec<auren_agents::Observation>,
        settings: &TalkSettings,
    ) -> Panel {
        self.memory.turn += 1;
        let quiet = i64::try_from(settings.quiet.as_millis()).unwrap_or(i64::MAX);
        let conversation = match self.memory.conversation.take() {
            Some((id, last)) if at.millis().saturating_sub(last) <= quiet => (id, last.max(at.millis())),
            _ => {
                let id = ConversationId::derived(&["conversation", self.user.as_str(), &cause.key()]);
                (id, at.millis())
            }
        };
        let id = conversation.0.clone();
        self.memory.conversation = Some(conversation);
        let turn = self.memory.turn;
        Panel {
            mode: settings.mode(&cause),
            cause,
            at,
            conversation: id,
            turn,
            agents,
            next: 0,
            asked: None,
            waiting: Vec::new(),
            hand_offs: 0,
            missing: Vec::new(),
            spoken: Vec::new(),
            notes: Vec::new(),
            evidence,
            shown: None,
        }
    }

    fn open(&mut self, panel: Panel, settings: &TalkSettings, outcome: &mut Outcome) {
        if self.memory.open.len() >= OPEN_MAX {
            let words = "Earlier questions are still being answered, so this one was not passed on. Please try again.";
            outcome.said.push(self.hub_says(&panel, panel.seat(), "busy", words.to_owned()));
            return;
        }
        self.go_on(panel, settings, outcome);
    }

    /// Asks the next agent of a panel that is there, or all of them, says so for each that is not, and closes the panel where
    /// no answer is awaited any more.
    fn go_on(&mut self, mut panel: Panel, settings: &TalkSettings, outcome: &mut Outcome) {
        if panel.agent().is_none() {
            panel.agents.extend(summary(&panel, settings));
        }
        while let Some(agent) = panel.agent() {
            if settings.knows(agent) {
                panel.ask(&self.user, &self.memory);
                let asked = panel.open().last().and_then(|id| self.consult(&panel, id, settings));
                outcome.asks.extend(asked);
                if panel.mode.is_ordered() {
                    break;
                }
                continue;
            }
            let agent = agent.clone();
            let words = format!("There is no agent named “{agent}” here, so its part of the answer is missing.");
            tracing::warn!(%agent, cause = %panel.cause.id(), "an unknown agent was asked for");
            panel.missing.push(agent);
            outcome.said.push(self.hub_says(&panel, panel.seat(), "unknown_agent", words));
            panel.next += 1;
        }
        let over = panel.open().next().is_none();
        mark_last(&mut outcome.said, &panel, over);
        if over {
            self.close(panel);
        } else {
            self.memory.open.push(panel);
        }
    }

    fn close(&mut self, panel: Panel) {
        let Panel { cause, at, spoken, notes, shown, .. } = panel;
        // What its agents were shown is theirs no longer.
        drop(shown);
        let (about, severity) = match &cause {
            Cause::Trigger { trigger_type, severity, .. } => (trigger_type.as_str(), *severity),
            Cause::Message { .. } => ("message", Score::ZERO),
        };
        if let Some(last) = spoken.last() {
            self.memory.last_speaker = Some(last.agent.clone());
        }
        let said = spoken.into_iter().map(|advice| advice.agent).zip(notes);
        self.memory.said((&at, about, severity), said);
    }

    fn advised(
        &self,
        panel: &mut Panel,
        seat: Seat,
        consult: ConsultId,
        advice: Advice,
        settings: &TalkSettings,
        outcome: &mut Outcome,
    ) {
        let Some(agent) = panel.agents.get(seat.index).cloned() else { return };
        let Advice { message, mut findings, confidence, mut reasons, hand_off, note } = advice;
        if panel.mode == PanelMode::First {
            panel.waiting.clear();
        }
        let refused = hand_off.as_ref().and_then(|hand_off| self.hand_on(panel, hand_off, settings));
        if let Some(hand_off) = hand_off.as_ref().filter(|_| message.trim().is_empty()) {
            outcome.said.push(self.passed_on(panel, seat, consult, hand_off, refused, settings));
            return;
        }
        findings.truncate(FINDINGS_MAX);
        reasons.truncate(FINDINGS_MAX);
        for finding in &mut findings {
            finding.events.truncate(FINDING_EVENTS_MAX);
            finding.alternatives.truncate(ALTERNATIVES_MAX);
        }
        let card = settings.cards.iter().find(|card| card.id == agent);
        let id = panel.event_id(&self.user, seat);
        let mut said = self.event(panel, agent.clone(), MessageType::SpecialistResponse, id, message.clone());
        let event = said.event_id.clone();
        let metadata = &mut said.metadata;
        metadata.consult_id = Some(consult);
        metadata.agent_version = card.map(|card| card.version.clone());
        metadata.panel = Some(panel.shown_seat(seat));
        metadata.findings.clone_from(&findings);
        metadata.confidence = confidence;
        metadata.reasons = reasons;
        metadata.hand_off.clone_from(&hand_off);
        metadata.note = note.clone();
        outcome.said.push(said);
        // Whoever was not asked need not know that they were to be.
        let hand_off = hand_off.filter(|_| refused.is_none());
        panel.heard(PanelAdvice { event, agent, message, findings, hand_off }, note);
        if let Some(refused) = refused {
            outcome.said.push(self.hub_says(panel, seat, refused.code, refused.words));
        }
    }
}

/// Whether an agent is there and has no seat on the panel.
pub(super) fn can_be_asked(panel: &Panel, agent: &AgentId, settings: &TalkSettings) -> bool {
    settings.knows(agent) && !panel.agents.contains(agent)
}

/// Marks who speaks last to a cause, and who does not, where their seats do not tell it.
fn mark_last(said: &mut [ConversationEvent], panel: &Panel, over: bool) {
    let seats = said.iter_mut().filter(|said| said.metadata.cause == *panel.cause.id());
    let mut last = over;
    for seat in seats.rev().filter_map(|said| said.metadata.panel.as_mut()) {
        if seat.is_last() != last {
            seat.last = Some(last);
        }
        last = false;
    }
}

/// Who sums up what a panel said, where several spoke.
fn summary(panel: &Panel, settings: &TalkSettings) -> Option<AgentId> {
    let agent = settings.summary_agent.as_ref()?;
    (panel.spoken.len() > 1 && panel.waiting.is_empty() && can_be_asked(panel, agent, settings)).then(|| agent.clone())
}

#[cfg(test)]
mod tests {
    use auren_agents::AgentCard;

    use super::*;
    use crate::consult::Unanswered;

    fn settings() -> TalkSettings {
        TalkSettings::plain(vec![AgentCard::new("coach", "1", "")])
    }

    /// A conversation whose first turn waits for the coach.
    fn waiting() -> (Talk, Consult) {
        let mut talk = Talk { user: UserId::new("u-1").unwrap(), memory: Memory::default() };
        let asks = serde_json::json!({
            "event_id": "m-1", "user_id": "u-1", "kind": "message", "text": "And now?",
            "timestamp": "2024-01-01T10:00:00Z",
        });
        let outcome = talk.hear(Topic::Inbox, &Bytes::from(asks.to_string()), &settings()).unwrap();
        let [consult] = &outcome.asks[..] else { panic!("one question, not {}", outcome.asks.len()) };
        (talk, consult.clone())
    }

    fn answered(talk: &mut Talk, consult: &Consult, answer: Result<Advice, Unanswered>) -> Outcome {
        let mut outcome = Outcome::default();
        talk.answered(Answered { consult: consult.id.clone(), outcome: answer }, &settings(), &mut outcome);
        outcome
    }

    #[test]
    fn whatever_comes_first_is_the_final_word_and_what_comes_after_it_changes_nothing() {
        for (first, speaks) in [
            (Ok(Advice::say("Rest.")), MessageType::SpecialistResponse),
            (Err(Unanswered::Late), MessageType::SystemMessage),
        ] {
            let (mut talk, consult) = waiting();
            let said = answered(&mut talk, &consult, first).said;
            assert_eq!(said.iter().map(|event| event.message_type).collect::<Vec<_>>(), [speaks]);
            let saved = talk.memory.save().unwrap();
            for second in [Ok(Advice::say("Run.")), Err(Unanswered::Failed)] {
                let outcome = answered(&mut talk, &consult, second);
                assert!(!outcome.changed && outcome.said.is_empty() && outcome.asks.is_empty());
            }
            assert_eq!(talk.memory.save().unwrap(), saved);
            assert!(talk.question(&consult.id, &settings()).is_none(), "nobody asks it again");
        }
    }

    #[test]
    fn a_question_that_is_put_again_is_the_same() {
        let (mut talk, consult) = waiting();
        assert_eq!(talk.question(&consult.id, &settings()).as_ref(), Some(&consult));
        assert_eq!(talk.resumed(&settings()).asks, [consult]);
    }
}
