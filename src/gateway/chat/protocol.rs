//! The frames of `auren.v1`, as types: JSON text frames over a WebSocket, and why a socket is closed.
//!
//! A client never says who it is; nothing in a frame names a person.

use std::{fmt, str::FromStr};

use auren_agents::{AgentId, ConversationEvent, Text, events};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::{bus::Cursor, provisional::State};

/// The subprotocol that both sides name.
pub(super) const SUBPROTOCOL: &str = "auren.v1";

/// What a client says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientFrame {
    /// Says something. Sent again under its client_id it is the same message.
    Send {
        /// The client's own id of the message.
        client_id: Text<128>,
        /// What is said.
        text: Text<4096>,
        /// The agent it is meant for, if one was named.
        #[serde(default)]
        to: Option<AgentId>,
    },
    /// Asks an answer to stop.
    Stop {
        /// The turn, as an event's metadata has it.
        turn: u64,
    },
    /// Has seen everything up to a place.
    Seen {
        /// The cursor of the last event seen.
        cursor: Text<48>,
    },
    /// Asks for a sign of life.
    Ping,
}

/// What the server says.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ServerFrame<'a> {
    /// The first frame: what comes next follows `cursor`.
    Hello {
        /// The connection's own name, for logs.
        connection: &'a str,
        /// How often a WebSocket ping comes.
        heartbeat_ms: u64,
        /// What comes next follows this place: `partition:offset`, or `earliest`.
        cursor: &'a str,
    },
    /// A committed event.
    Event {
        /// Its place: what a client comes back with.
        cursor: &'a str,
        /// The place that it follows: the cursor of the frame before, or hello's. Any other means that one is missing.
        prev: &'a str,
        /// The event.
        event: &'a ConversationEvent,
    },
    /// What an agent is about. Like `delta` and `reset` it is of the moment, and stands in no log.
    Status {
        /// The turn it answers.
        turn: u64,
        /// Who.
        agent: &'a AgentId,
        /// What it does.
        state: State,
    },
    /// More of an answer that is being made, and may be withdrawn. The event of the same turn and agent replaces all of it.
    Delta {
        /// The turn it answers.
        turn: u64,
        /// Which asking of the question, from 1.
        attempt: u32,
        /// The how manieth part of this attempt on this connection, from 0.
        seq: u64,
        /// Who speaks.
        agent: &'a AgentId,
        /// What follows the part before.
        text: &'a str,
    },
    /// What was told of an attempt does not hold: it failed, was stopped, or is made anew.
    Reset {
        /// The turn.
        turn: u64,
        /// The attempt.
        attempt: u32,
        /// Who spoke.
        agent: &'a AgentId,
    },
    /// The log has a message, and will never lose it.
    Ack {
        /// The client's own id of the message.
        client_id: &'a str,
        /// Where it stands in `conversations.inbox`.
        cursor: &'a str,
    },
    /// The log has a mark: everything up to there has been seen, on whichever device.
    Marked {
        /// The cursor of the last event seen.
        cursor: &'a str,
    },
    /// Events between the two places are not kept any more.
    Gap {
        /// The place asked for.
        after: &'a str,
        /// What comes next follows this place.
        resumes_at: &'a str,
    },
    /// Answers a ping.
    Pong,
    /// Something that the client did, or asked for, was not done.
    Error {
        /// For programs.
        code: &'a str,
        /// For people.
        message: &'a str,
        /// The message it is about.
        #[serde(skip_serializing_if = "Option::is_none")]
        client_id: Option<&'a str>,
        /// When to try again; never where it is not there.
        #[serde(skip_serializing_if = "Option::is_none")]
        retry_after_ms: Option<u64>,
    },
}

/// Why a socket is closed. 4000 to 4499: come back, after a random pause. 4500 to 4999: do not come back like that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Close {
    /// The node ends.
    GoingAway,
    /// No sign of life.
    Silent,
    /// It took nothing for too long.
    Slow,
    /// The log cannot be read now.
    LogAway,
    /// Too many frames or bytes a second.
    TooFast,
    /// The token has expired: come back with a new one.
    Expired,
    /// A frame is too large, or none of a WebSocket.
    Unreadable,
    /// The place to resume at is none of this person's.
    BadCursor,
    /// The person has too many sockets.
    TooMany,
}

impl Close {
    /// Every reason.
    pub(super) const ALL: &'static [Close] = &[
        Self::GoingAway,
        Self::Silent,
        Self::Slow,
        Self::LogAway,
        Self::TooFast,
        Self::Expired,
        Self::Unreadable,
        Self::BadCursor,
        Self::TooMany,
    ];

    /// The code on the wire.
    pub(super) fn code(self) -> u16 {
        match self {
            Self::GoingAway => 4000,
            Self::Silent => 4001,
            Self::Slow => 4008,
            Self::LogAway => 4010,
            Self::TooFast => 4029,
            Self::Expired => 4100,
            Self::Unreadable => 4500,
            Self::BadCursor => 4504,
            Self::TooMany => 4529,
        }
    }

    /// In words.
    pub(super) fn reason(self) -> &'static str {
        match self {
            Self::GoingAway => "the node ends",
            Self::Silent => "no sign of life",
            Self::Slow => "nothing is read",
            Self::LogAway => "the log is away",
            Self::TooFast => "too many frames or bytes a second",
            Self::Expired => "the token has expired",
            Self::Unreadable => "a frame is too large or broken",
            Self::BadCursor => "the cursor is no place of yours",
            Self::TooMany => "too many sockets",
        }
    }
}

/// Where a client begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum After {
    /// With what comes from now on.
    Now,
    /// With the oldest that is kept.
    Earliest,
    /// Behind this place.
    Place(Cursor),
}

impl FromStr for After {
    type Err = <Cursor as FromStr>::Err;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "earliest" { Ok(Self::Earliest) } else { text.parse().map(Self::Place) }
    }
}

/// A place that something follows, as clients see it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Behind {
    pub(super) partition: i32,
    /// The next offset.
    pub(super) next: i64,
}

impl fmt::Display for Behind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.next == 0 { f.write_str("earliest") } else { write!(f, "{}:{}", self.partition, self.next - 1) }
    }
}

/// A frame that is none, and why.
#[derive(Debug)]
pub(super) struct Unfit {
    pub(super) code: &'static str,
    pub(super) message: String,
    /// The client's own id of the message, where it can be seen.
    pub(super) client_id: Option<String>,
}

/// Reads a client's frame of at most this depth.
pub(super) fn read(text: &str, max_depth: usize) -> Result<ClientFrame, Unfit> {
    let unfit = |code, message| Unfit { code, message, client_id: None };
    if depth(text) > max_depth {
        return Err(unfit("too_deep", format!("a frame's JSON has at most {max_depth} levels")));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| {
        unfit("not_json", format!("the frame is not JSON: look at line {}, column {}", error.line(), error.column()))
    })?;
    let kind = value.get("type").and_then(Value::as_str).unwrap_or_default();
    if !["send", "stop", "seen", "ping"].contains(&kind) {
        return Err(unfit("unknown_type", "a frame's type is send, stop, seen or ping".to_owned()));
    }
    events::parse(text.as_bytes()).map_err(|rejected| Unfit {
        code: "bad_frame",
        message: rejected.to_string(),
        client_id: value.get("client_id").and_then(Value::as_str).map(|id| id.chars().take(128).collect()),
    })
}

/// How deep lists and objects lie in each other, counted before anything is built of them.
pub(super) fn depth(text: &str) -> usize {
    let (mut now, mut most, mut quoted, mut escaped) = (0_usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'[' | b'{' if !quoted => {
                now += 1;
                most = most.max(now);
            }
            b']' | b'}' if !quoted => now = now.saturating_sub(1),
            _ => {}
        }
    }
    most
}

#[cfg(test)]
mod tests {
    use super::*;

    fn code(text: &str) -> &'static str {
        read(text, 4).unwrap_err().code
    }

    #[test]
    fn a_frame_is_read_or_named_wrong() {
        read(r#"{"type":"send","client_id":"c","text":"[[[[[["}"#, 4).unwrap();
        read(r#"{"type":"ping"}"#, 4).unwrap();
        assert_eq!(code(r#"{"type":[[[[1]]]]}"#), "too_deep");
        assert_eq!(code("{"), "not_json");
        assert_eq!(code("[]"), "unknown_type");
        assert_eq!(code(r#"{"type":"delete"}"#), "unknown_type");
        let unfit = read(r#"{"type":"send","client_id":"c-1","text":7}"#, 4).unwrap_err();
        assert_eq!((unfit.code, unfit.client_id.as_deref()), ("bad_frame", Some("c-1")));
        assert_eq!(code(r#"{"type":"stop","turn":-1}"#), "bad_frame");
    }

    #[test]
    fn codes_are_all_different_and_in_range() {
        let codes: std::collections::BTreeSet<_> = Close::ALL.iter().map(|close| close.code()).collect();
        assert_eq!(codes.len(), Close::ALL.len());
        assert!(codes.iter().all(|code| (4000..5000).contains(code)));
    }
}
