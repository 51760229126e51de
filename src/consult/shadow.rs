//! A second version of an agent, beside the one that answers: it is asked the same, and what it says is written down for whoever
//! compares the two, and shown to nobody.
//!
//! A shadow is asked aside, with a reception of its own: it holds up no turn, has its own bound on open questions and its own
//! circuit, and is asked once. What came of it, and what came of the one that answers, goes to [`TOPIC`] at most once: what
//! does not fit into the queue, or is under way when a node dies, is not written.

use std::time::Instant;

use auren_agents::{Advice, Consult, Text};
use bytes::Bytes;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;

use super::{Answered, Unanswered};
use crate::bus::{Outgoing, SharedBus, Topic};

/// Where it is written what shadows said, and what those said whose shadows they are.
pub const TOPIC: &str = "conversations.shadow";
/// Most records that wait to be written.
const WAITING: usize = 1024;
/// Most records of one write.
const AT_ONCE: usize = 100;

/// What came of one question to an agent that has a shadow, or that is one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// The question: both were asked it.
    pub consult_id: String,
    /// Who was asked.
    pub agent: String,
    /// Whose shadow it is; not there where it is the one that answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shadow_of: Option<String>,
    /// The agent's version.
    pub version: Text<32>,
    /// `answered`, `late`, `failed`, `unavailable`, or `spent` where its day's budget is used up.
    pub outcome: String,
    /// How long it took.
    pub took_ms: u64,
    /// What it said, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub answer: Option<Advice>,
}

/// Takes down what is compared.
#[derive(Debug, Clone)]
pub struct Notes(mpsc::Sender<Outgoing>);

impl Notes {
    /// Notes that are written to this bus.
    #[must_use]
    pub fn on(bus: SharedBus) -> Self {
        let (notes, mut waiting) = mpsc::channel(WAITING);
        tokio::spawn(async move {
            let mut records = Vec::new();
            while waiting.recv_many(&mut records, AT_ONCE).await > 0 {
                if let Err(error) = bus.publish_all(std::mem::take(&mut records)).await {
                    tracing::warn!(topic = TOPIC, %error, "what a shadow said was not written; it is not tried again");
                }
            }
        });
        Self(notes)
    }

    /// Notes what came of a question, if there is room.
    pub(super) fn note(&self, asked: &Noted, answered: &Answered) {
        let compared = asked.compared(answered);
        let payload = serde_json::to_vec(&compared).expect("an advice is plain data with text keys");
        let bytes = |text: &str| Bytes::copy_from_slice(text.as_bytes());
        let headers = vec![
            ("auren-consult".into(), bytes(&compared.consult_id)),
            ("content-type".into(), Bytes::from_static(b"application/json")),
        ];
        let topic = Topic::configured(TOPIC);
        let record =
            Outgoing { topic, partition: None, key: Some(bytes(&asked.user)), payload: Some(payload.into()), headers };
        if self.0.try_send(record).is_err() {
            tracing::debug!(consult = %compared.consult_id, "what came of a question was not noted: too much is waiting");
        }
    }
}

/// A question whose end will be noted.
pub(super) struct Noted {
    user: String,
    agent: String,
    shadow_of: Option<String>,
    version: Text<32>,
    began: Instant,
}

impl Noted {
    pub(super) fn of(consult: &Consult, version: &Text<32>, shadow_of: Option<&str>) -> Self {
        Self {
            user: consult.user.as_str().to_owned(),
            agent: consult.agent.as_str().to_owned(),
            shadow_of: shadow_of.map(ToOwned::to_owned),
            version: version.clone(),
            began: Instant::now(),
        }
    }

    fn compared(&self, answered: &Answered) -> Compared {
        let (outcome, answer) = match &answered.outcome {
            Ok(advice) => ("answered", Some(advice.clone())),
            Err(Unanswered::Late) => ("late", None),
            Err(Unanswered::Failed) => ("failed", None),
            Err(Unanswered::Unavailable) => ("unavailable", None),
            Err(Unanswered::Spent) => ("spent", None),
        };
        Compared {
            consult_id: answered.consult.as_str().to_owned(),
            agent: self.agent.clone(),
            shadow_of: self.shadow_of.clone(),
            version: self.version.clone(),
            outcome: outcome.to_owned(),
            took_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            answer,
        }
    }
}
