//! What a verification saw from outside: what was sent, what was acknowledged, and what came out. It judges nothing.

use std::{
    fs::{self, File},
    io::{self, BufWriter, Write as _},
    path::Path,
};

use auren::bus::{Cursor, Record, Topic};
use auren_agents::{
    AgentId, ConversationEvent, EventId, MessageType, UserId,
    events::{self, CauseKind},
};
use serde::Serialize;

/// An input that was sent, perhaps more than once, always under the same id.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Sent {
    pub(super) at_ms: i64,
    pub(super) input: EventId,
    pub(super) user: UserId,
    pub(super) kind: CauseKind,
    /// Its number among all inputs of its user, from 1. The next one is sent only when this one is acknowledged.
    pub(super) number: u64,
    /// The seats that must be heard: a panel's from 1, and 0 for a person's own words.
    pub(super) seats: Vec<u32>,
}

/// An acknowledgement of an input: the bus has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Acked {
    pub(super) at_ms: i64,
    pub(super) input: EventId,
    #[serde(serialize_with = "name")]
    pub(super) topic: Topic,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

/// A committed conversation event of one of the verification's own users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct Seen {
    pub(super) at_ms: i64,
    pub(super) cause: EventId,
    pub(super) user: UserId,
    pub(super) agent: AgentId,
    /// 0 for the person's own words.
    pub(super) seat: u32,
    pub(super) turn: u64,
    /// What kind of system message it is, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) code: Option<String>,
    pub(super) event: EventId,
    #[serde(serialize_with = "name")]
    pub(super) topic: Topic,
    pub(super) partition: i32,
    pub(super) offset: i64,
}

impl Seen {
    /// What a record of `conversations.events` says; none where it is no event.
    pub(super) fn of(record: &Record, at_ms: i64) -> Option<Self> {
        let event: ConversationEvent = events::parse(record.payload.as_deref()?).ok()?;
        let seat = event.metadata.panel.map_or(0, |panel| panel.seat);
        Some(Self {
            at_ms,
            cause: event.metadata.cause,
            user: event.user_id,
            agent: event.specialist_id,
            seat: if event.message_type == MessageType::UserInput { 0 } else { seat },
            turn: event.metadata.turn,
            code: event.metadata.code.map(|code| code.to_string()),
            event: event.event_id,
            topic: record.topic,
            partition: record.partition,
            offset: record.offset,
        })
    }

    pub(super) fn cursor(&self) -> Cursor {
        Cursor { partition: self.partition, offset: self.offset }
    }
}

/// Everything, in the order in which it happened.
#[derive(Debug, Clone, Default)]
pub(super) struct History {
    pub(super) sent: Vec<Sent>,
    pub(super) acked: Vec<Acked>,
    pub(super) seen: Vec<Seen>,
}

impl History {
    /// Keeps it in a folder: `sent.ndjson`, `acked.ndjson`, `seen.ndjson`.
    pub(super) fn keep(&self, folder: &Path) -> io::Result<()> {
        fs::create_dir_all(folder)?;
        lines(&folder.join("sent.ndjson"), &self.sent)?;
        lines(&folder.join("acked.ndjson"), &self.acked)?;
        lines(&folder.join("seen.ndjson"), &self.seen)
    }
}

fn lines(path: &Path, all: &[impl Serialize]) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    for one in all {
        serde_json::to_writer(&mut file, one)?;
        file.write_all(b"\n")?;
    }
    file.flush()
}

fn name<S: serde::Serializer>(topic: &Topic, output: S) -> Result<S::Ok, S::Error> {
    output.serialize_str(topic.name())
}
