//! What a document stands for: a record, a reading that is to be sealed, or what is wrong with it.

use auren::{
    bus::{Outgoing, Topic},
    client,
    intake::PlainReading,
    wearable::Row,
    wire::{self, Wire},
};
use auren_agents::{
    AgentId, BiometricEvent, InboxRecord, Rejected, Text, Timestamp, TriggerEvent, UserId,
    events::{self, Rejection},
};
use chrono::SubsecRound as _;
use serde::{Deserialize, de::DeserializeOwned, de::IgnoredAny};

use crate::cli::input::Document;

/// What the documents are.
pub(super) enum Kind {
    Biometric,
    Trigger,
    Reading,
    Message,
}

impl Kind {
    pub(super) fn topic(&self) -> Topic {
        match self {
            Self::Biometric => Topic::Biometrics,
            Self::Trigger => Topic::Triggers,
            Self::Reading => Topic::Readings,
            Self::Message => Topic::Inbox,
        }
    }
}

/// What can be sent.
pub(super) enum Ready {
    Record { id: String, record: Outgoing },
    Reading(Row),
}

/// A message as a person writes it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PlainMessage {
    user_id: UserId,
    text: Text<4096>,
    #[serde(default)]
    to: Option<AgentId>,
    #[serde(default)]
    client_id: Option<Text<128>>,
    #[serde(default)]
    timestamp: Option<Timestamp>,
}

/// The record that a document stands for, or what is wrong with it: place and field, never a value.
pub(super) fn record(kind: &Kind, document: &Document) -> Result<Ready, String> {
    let Some(text) = &document.text else { return Err("record: is longer than any topic takes".to_owned()) };
    let made = match kind {
        Kind::Biometric => parsed::<BiometricEvent>(text),
        Kind::Trigger => parsed::<TriggerEvent>(text),
        Kind::Reading => events::parse::<PlainReading>(text).and_then(PlainReading::into_row).map(Ready::Reading),
        Kind::Message => message(text),
    };
    made.map_err(|rejected| explain(&rejected, document.line, text))
}

pub(super) fn ready<E: Wire>(event: &E) -> Ready {
    Ready::Record { id: event.id().to_owned(), record: wire::outgoing(event) }
}

/// This moment, with the offset of this place: agents greet by the person's own time of day.
pub(super) fn now() -> Timestamp {
    Timestamp::from(chrono::Local::now().fixed_offset().trunc_subsecs(3))
}

fn parsed<E: Wire + DeserializeOwned>(text: &[u8]) -> Result<Ready, Rejected> {
    events::parse::<E>(text).map(|event| ready(&event))
}

fn message(text: &[u8]) -> Result<Ready, Rejected> {
    #[derive(Deserialize)]
    struct Kinded {
        #[serde(rename = "kind")]
        _kind: IgnoredAny,
    }
    if serde_json::from_slice::<Kinded>(text).is_ok() {
        return parsed::<InboxRecord>(text);
    }
    let PlainMessage { user_id, text, to, client_id, timestamp } = events::parse(text)?;
    Ok(ready(&client::message(user_id, text, to, client_id, timestamp.unwrap_or_else(now))))
}

/// What is wrong. Where it is no JSON at all, the place in the input rather than in the document.
fn explain(rejected: &Rejected, line: u64, text: &[u8]) -> String {
    if rejected.class != Rejection::BrokenJson {
        return rejected.to_string();
    }
    match serde_json::from_slice::<IgnoredAny>(text) {
        Err(error) if error.is_eof() => {
            "is not JSON: it ends too early; look for a missing bracket or quote".to_owned()
        }
        Err(error) if error.line() > 1 => {
            let line = line + error.line() as u64 - 1;
            format!("is not JSON: look at line {line}, column {}", error.column())
        }
        Err(error) => format!("is not JSON: look at column {}", error.column()),
        Ok(_) => rejected.to_string(),
    }
}
