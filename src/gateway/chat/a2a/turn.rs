//! A turn of the conversation as a task of A2A: its id, how it stands, and what each of its events changes. Pure.

use std::{fmt, str::FromStr};

use auren_agents::{
    ConversationEvent, ConversationId, EventId, InboxAction, InboxRecord, MessageType, Timestamp, UserId,
};
use chrono::SecondsFormat;
use serde_json::{Value, json};

use super::super::turns::{End, LOOK_BACK};
use crate::{bus::Cursor, consult::ADVICE};

/// A task's id: where its message stands in `conversations.inbox`, and the offset in the same partition of
/// `conversations.events` from which on its events lie.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct TaskId {
    pub(super) partition: i32,
    pub(super) message: i64,
    pub(super) behind: i64,
}

impl fmt::Display for TaskId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.partition, self.message, self.behind)
    }
}

impl FromStr for TaskId {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let mut parts = text.split('-');
        let mut number = || parts.next()?.parse::<i64>().ok().filter(|number| *number >= 0);
        let (Some(partition), Some(message), Some(behind)) = (number(), number(), number()) else { return Err(()) };
        let id = Self { partition: i32::try_from(partition).map_err(|_| ())?, message, behind };
        // Written in one way only.
        if id.to_string() == text { Ok(id) } else { Err(()) }
    }
}

/// The context of all tasks of a person: they have one conversation.
pub(super) fn context(user: &UserId) -> String {
    ConversationId::derived(&["a2a", user.as_str()]).as_str().to_owned()
}

/// How a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Submitted,
    Working,
    Completed,
    Failed,
    Rejected,
    Canceled,
}

impl State {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Submitted => "TASK_STATE_SUBMITTED",
            Self::Working => "TASK_STATE_WORKING",
            Self::Completed => "TASK_STATE_COMPLETED",
            Self::Failed => "TASK_STATE_FAILED",
            Self::Rejected => "TASK_STATE_REJECTED",
            Self::Canceled => "TASK_STATE_CANCELED",
        }
    }
}

/// A turn, as far as it has been read.
#[derive(Debug)]
pub(super) struct Turn {
    pub(super) id: TaskId,
    context: String,
    cause: EventId,
    sent: Timestamp,
    message: Value,
    pub(super) state: State,
    /// What was said with the state, and when.
    status: Value,
    artifacts: Vec<Value>,
    /// The number that the session gave it.
    pub(super) number: Option<u64>,
    /// The place of its last event that was read.
    at: Option<Cursor>,
}

impl Turn {
    /// A turn of which nothing has been read.
    pub(super) fn of(id: TaskId, said: &InboxRecord) -> Self {
        let context = context(&said.user_id);
        let text = match &said.action {
            InboxAction::Message { text, .. } => &**text,
            InboxAction::Stop { .. } | InboxAction::Seen { .. } => "",
        };
        let message_id = said.client_id.as_deref().unwrap_or(said.event_id.as_str());
        let message = json!({
            "messageId": message_id, "contextId": context, "taskId": id.to_string(), "role": "ROLE_USER", "parts": [{ "text": text }],
        });
        let status = json!({ "state": State::Submitted.name(), "timestamp": utc(&said.timestamp) });
        Self {
            id,
            context,
            cause: said.event_id.clone(),
            sent: said.timestamp.clone(),
            message,
            state: State::Submitted,
            status,
            artifacts: Vec::new(),
            number: None,
            at: None,
        }
    }

    /// Where its next event may lie.
    pub(super) fn next(&self) -> i64 {
        self.at.map_or(self.id.behind, |at| (at.offset + 1).max(self.id.behind))
    }

    /// The place of its last event that was read.
    pub(super) fn at(&self) -> Option<Cursor> {
        self.at
    }

    /// Whether it is to be looked for before its message, which may have been sent before: nothing of it has been read, and the
    /// message was not sent just now. A clock by which it was not sent yet says nothing about that.
    pub(super) fn is_missed(&self, now: &Timestamp) -> bool {
        let age = (now.at() - self.sent.at()).to_std();
        self.number.is_none() && !age.is_ok_and(|age| age < LOOK_BACK)
    }

    pub(super) fn is_over(&self) -> bool {
        !matches!(self.state, State::Submitted | State::Working)
    }

    /// As a task, with its message unless none is wanted.
    pub(super) fn task(&self, history: Option<u64>) -> Value {
        let mut task = json!({
            "id": self.id.to_string(), "contextId": self.context, "status": self.status, "artifacts": self.artifacts,
        });
        if history != Some(0) {
            task["history"] = json!([self.message]);
        }
        task
    }

    /// Takes an event of its person, and says what has changed: updates in their order, the last of which has the event's
    /// place. Nothing where it is another turn's.
    pub(super) fn hear(&mut self, cursor: Cursor, event: &ConversationEvent) -> Vec<(Option<Cursor>, Value)> {
        let metadata = &event.metadata;
        if metadata.cause != self.cause || self.is_over() {
            return Vec::new();
        }
        (self.at, self.number) = (Some(cursor), Some(metadata.turn));
        let end = End::of(event);
        let mut updates = Vec::new();
        let state = match event.message_type {
            MessageType::UserInput => Some((State::Working, None)),
            MessageType::SpecialistResponse => {
                let artifact = artifact(event, cursor);
                updates.push(json!({ "artifactUpdate": {
                    "taskId": self.id.to_string(), "contextId": self.context, "artifact": artifact, "lastChunk": true,
                } }));
                self.artifacts.push(artifact);
                end.map(|_| (State::Completed, None))
            }
            MessageType::SystemMessage => {
                let state = match end {
                    Some(End::Stopped) => State::Canceled,
                    Some(End::Busy) => State::Rejected,
                    Some(End::Said) if self.artifacts.is_empty() => State::Failed,
                    Some(End::Said) => State::Completed,
                    None => State::Working,
                };
                Some((state, Some(event)))
            }
        };
        if let Some((state, said)) = state {
            self.state = state;
            self.status = json!({ "state": state.name(), "timestamp": utc(&event.timestamp) });
            if let Some(said) = said {
                self.status["message"] = json!({
                    "messageId": said.event_id, "contextId": self.context, "taskId": self.id.to_string(),
                    "role": "ROLE_AGENT", "parts": [{ "text": said.content }],
                    "metadata": { "code": said.metadata.code, "agent": said.specialist_id },
                });
            }
            updates.push(json!({ "statusUpdate": {
                "taskId": self.id.to_string(), "contextId": self.context, "status": self.status,
                "metadata": { "cursor": cursor.to_string(), "turn": metadata.turn, "conversation": event.conversation_id },
            } }));
        }
        // Whoever is cut off between two updates of one event is told both again.
        let count = updates.len();
        let placed = updates.into_iter().enumerate();
        placed.map(|(index, update)| ((index + 1 == count).then_some(cursor), update)).collect()
    }
}

/// A time as A2A writes it.
fn utc(time: &Timestamp) -> String {
    time.at().to_utc().to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

/// What an agent said.
fn artifact(event: &ConversationEvent, cursor: Cursor) -> Value {
    let metadata = &event.metadata;
    let mut parts = vec![json!({ "text": event.content })];
    if !metadata.findings.is_empty() || !metadata.reasons.is_empty() || metadata.confidence.is_some() {
        let data =
            json!({ "findings": metadata.findings, "confidence": metadata.confidence, "reasons": metadata.reasons });
        parts.push(json!({ "data": data, "mediaType": ADVICE }));
    }
    json!({
        "artifactId": event.event_id, "name": event.specialist_id, "parts": parts,
        "metadata": { "agent": event.specialist_id, "version": metadata.agent_version, "cursor": cursor.to_string() },
    })
}

#[cfg(test)]
mod tests {
    use auren_agents::{Text, events};

    use super::*;
    use crate::client;

    fn turn() -> Turn {
        let user = UserId::new("u-1").unwrap();
        let said = client::message(user, Text::cut("Hi"), None, Some(Text::cut("m-1")), Timestamp::now());
        Turn::of(TaskId { partition: 3, message: 7, behind: 5 }, &said)
    }

    /// What an event of this turn changes, in short, and how the turn stands.
    fn hears(turn: &mut Turn, offset: i64, kind: &str, code: Option<&str>, seat: (u32, u32)) -> Vec<(bool, String)> {
        let event = json!({
            "event_id": format!("e-{offset}"), "conversation_id": "c", "user_id": "u-1", "specialist_id": "coach",
            "message_type": kind, "content": "words", "timestamp": "2024-01-01T12:00:00+02:00",
            "metadata": { "cause": turn.cause, "cause_type": "message", "turn": 4, "code": code,
                          "panel": { "seat": seat.0, "seats": seat.1, "read": [] } },
        });
        let event: ConversationEvent = events::parse(event.to_string().as_bytes()).unwrap();
        let updates = turn.hear(Cursor { partition: 3, offset }, &event);
        let short = |update: &Value| match update["statusUpdate"]["status"]["state"].as_str() {
            Some(state) => state.trim_start_matches("TASK_STATE_").to_owned(),
            None => update["artifactUpdate"]["artifact"]["artifactId"].as_str().unwrap().to_owned(),
        };
        updates.iter().map(|(cursor, update)| (cursor.is_some(), short(update))).collect()
    }

    fn named(all: &[(bool, &str)]) -> Vec<(bool, String)> {
        all.iter().map(|(placed, name)| (*placed, (*name).to_owned())).collect()
    }

    #[test]
    fn a_task_ends_with_the_last_seat_of_its_panel() {
        let mut turn = turn();
        assert_eq!((turn.is_over(), turn.next()), (false, 5));
        assert_eq!(hears(&mut turn, 6, "user_input", None, (1, 1)), named(&[(true, "WORKING")]));
        assert_eq!(hears(&mut turn, 7, "specialist_response", None, (1, 2)), named(&[(true, "e-7")]));
        assert_eq!(
            hears(&mut turn, 9, "specialist_response", None, (2, 2)),
            named(&[(false, "e-9"), (true, "COMPLETED")])
        );
        let task = turn.task(None);
        assert_eq!((&task["id"], &task["status"]["timestamp"]), (&json!("3-7-5"), &json!("2024-01-01T10:00:00Z")));
        assert_eq!((task["artifacts"].as_array().unwrap().len(), task["history"].as_array().unwrap().len()), (2, 1));
        assert_eq!((turn.task(Some(0)).get("history"), turn.number, turn.next()), (None, Some(4), 10));
        assert!(hears(&mut turn, 11, "specialist_response", None, (1, 1)).is_empty(), "it is over");
    }

    #[test]
    fn what_the_hub_says_in_an_agent_s_place_ends_it_as_what_it_is() {
        for (code, seat, state) in [
            ("agent_late", (1, 1), State::Failed),
            ("agent_late", (1, 2), State::Working),
            ("busy", (1, 1), State::Rejected),
            ("stopped", (1, 2), State::Canceled),
        ] {
            let mut turn = turn();
            hears(&mut turn, 6, "system_message", Some(code), seat);
            assert_eq!(turn.state, state, "{code}");
            assert_eq!(turn.task(None)["status"]["message"]["metadata"]["code"], code);
        }
        let mut turn = turn();
        hears(&mut turn, 6, "specialist_response", None, (1, 2));
        hears(&mut turn, 7, "system_message", Some("agent_late"), (2, 2));
        assert_eq!(turn.state, State::Completed, "somebody has answered");
    }

    #[test]
    fn a_turn_is_missed_once_its_message_is_old_enough() {
        let mut turn = turn();
        let after = |ms: i64| Timestamp::from(turn.sent.at().to_utc() + chrono::Duration::milliseconds(ms));
        let late = after(2000);
        assert_eq!([0, 1999, 2000, -1].map(|ms| turn.is_missed(&after(ms))), [false, false, true, true]);
        hears(&mut turn, 6, "user_input", None, (1, 1));
        assert!(!turn.is_missed(&late), "it has begun");
    }

    #[test]
    fn an_id_is_written_in_one_way() {
        let id = TaskId { partition: 3, message: 7, behind: 0 };
        assert_eq!(id.to_string().parse(), Ok(id));
        for bad in ["", "3", "3-7", "3-7-0-1", "03-7-0", "3--7-0", "3-7-x", "9999999999-1-1", "+3-7-0"] {
            assert_eq!(bad.parse::<TaskId>(), Err(()), "{bad}");
        }
    }
}
