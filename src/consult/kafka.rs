//! Agents that are asked over two topics of the bus, in any language that has a Kafka client.
//!
//! A question is a record of the agent's request topic: the [`Consult`] as JSON, keyed by the person, with its id, its reply
//! topic and its deadline in headers. The answer is a record of the reply topic with the id in the same header: an
//! [`Advice`], or `{"error": "unavailable"}` or `{"error": "refused"}`. [`post`] writes the one and waits for the other.
//!
//! The request is written when the question is asked, and not in the transaction that parks it: so it does not wait for that
//! commit, and what is asked again (after an attempt that failed, on another node, after a crash) goes the same way. It may
//! be written more than once, always under the same id; which answer counts is decided where the turn is, by one commit.

mod post;

use std::sync::Arc;

use auren_agents::{Advice, Agent, AgentCard, AgentError, Consult, events};
use serde::Deserialize;

pub(super) use self::post::Post;
use super::{service::ServiceError, telling};
use crate::bus::Topic;

/// The header that has a consult's id, in a request and in its answer.
pub const CONSULT: &str = "auren-consult";
/// The header that names the topic of the answer, as it is called on the bus.
pub const REPLY_TO: &str = "auren-reply-to";
/// The header that says until when the answer is waited for (RFC 3339).
pub const DEADLINE: &str = "auren-deadline";

/// An agent that is asked over topics.
#[derive(Debug, Clone)]
pub struct KafkaAgentSettings {
    /// Who it is.
    pub card: AgentCard,
    /// Where consults are written.
    pub requests: Topic,
    /// Where its answers are read.
    pub answers: Topic,
    /// As of an agent over HTTP.
    pub guarded: bool,
    /// Most bytes of one answer.
    pub max_answer_bytes: usize,
}

/// An agent that is asked over topics, from one thread.
#[derive(Debug)]
pub struct KafkaAgent {
    settings: KafkaAgentSettings,
    post: Arc<Post>,
}

impl KafkaAgent {
    pub(super) fn new(settings: KafkaAgentSettings, post: Arc<Post>) -> Self {
        Self { settings, post }
    }

    async fn ask(&self, consult: &Consult) -> Result<Advice, ServiceError> {
        let answer = self.post.ask(consult).await?;
        let most = self.settings.max_answer_bytes;
        if answer.len() > most { Err(ServiceError::TooLong(most)) } else { read(&answer) }
    }
}

impl Agent for KafkaAgent {
    fn card(&self) -> AgentCard {
        self.settings.card.clone()
    }

    async fn consult(&self, consult: Consult) -> Result<Advice, AgentError> {
        telling::asked(&consult, self.settings.guarded, self.ask(&consult)).await
    }
}

/// That there is no advice.
#[derive(Deserialize)]
struct Failure {
    error: Option<Code>,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Code {
    Unavailable,
    Refused,
}

fn read(answer: &[u8]) -> Result<Advice, ServiceError> {
    let Failure { error } = events::parse(answer).map_err(ServiceError::Unusable)?;
    match error {
        Some(Code::Unavailable) => Err(ServiceError::NotAvailable),
        Some(Code::Refused) => Err(ServiceError::Refused),
        None => events::parse(answer).map_err(ServiceError::Unusable),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_an_advice_or_says_why_there_is_none() {
        assert_eq!(read(br#"{"message": "Sleep."}"#), Ok(Advice::say("Sleep.")));
        assert_eq!(read(br#"{"error": "unavailable"}"#), Err(ServiceError::NotAvailable));
        assert_eq!(read(br#"{"error": "refused", "message": "No."}"#), Err(ServiceError::Refused));
        for bad in [&b"{\"error\": \"hungry\"}"[..], b"{\"message\": 3}", b"[]", b"", b"\xff"] {
            assert!(matches!(read(bad), Err(ServiceError::Unusable(_))), "{bad:?}");
        }
    }
}
