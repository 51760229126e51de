//! Agents in another process, in any language: a consult is sent as JSON, and its answer is JSON or a stream of events.
//!
//! `POST` brings the [`Consult`] and, as `Idempotency-Key`, its id. The answer is an [`Advice`] as `application/json`, or
//! `text/event-stream` with any number of `delta` events (`{"text": …}`) and at last one `advice`, or one `error`
//! (`{"code": "unavailable"}` or `{"code": "refused"}`). An advice without a message says what the deltas said. Other
//! events are passed over. `agents/README.md` tells authors all of it.

use std::fmt;

use auren_agents::{Advice, Agent, AgentCard, AgentError, Consult, Text, events};
use serde::Deserialize;

use super::{
    Tape,
    service::{Answer, Events, Service, ServiceError},
    telling::{self, Telling},
};

/// An agent that is asked over HTTP.
#[derive(Clone)]
pub struct HttpAgentSettings {
    /// Who it is. It is not asked for its card, so that a hub starts without it.
    pub card: AgentCard,
    /// Where consults are sent.
    pub url: String,
    /// What it knows the hub by: sent as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// Whether it is left out where something calls for care, and its words are looked at before they are shown: for agents
    /// that do not answer for what they say themselves.
    pub guarded: bool,
    /// Most bytes of one answer.
    pub max_answer_bytes: usize,
}

impl HttpAgentSettings {
    /// Most bytes of one answer, unless something else is said: more than ten times what an advice may hold.
    pub const MAX_ANSWER_BYTES: usize = 1024 * 1024;
}

impl fmt::Debug for HttpAgentSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpAgentSettings").field("card", &self.card).finish_non_exhaustive()
    }
}

/// An agent that is asked over HTTP, from one thread.
#[derive(Debug)]
pub struct HttpAgent {
    card: AgentCard,
    guarded: bool,
    service: Result<Service, ServiceError>,
}

impl HttpAgent {
    /// An agent that is connected to when it is first asked.
    ///
    /// # Errors
    /// [`ServiceError::Settings`] where no request can be made of the settings.
    pub fn open(settings: &HttpAgentSettings) -> Result<Self, ServiceError> {
        let agent = Self::of(settings);
        agent.service.as_ref().map_err(Clone::clone)?;
        Ok(agent)
    }

    /// The same, that says with each question why no request can be made.
    pub(super) fn of(settings: &HttpAgentSettings) -> Self {
        let HttpAgentSettings { card, url, token, guarded, max_answer_bytes } = settings;
        let service = Service::open(url, token.as_deref(), *max_answer_bytes);
        Self { card: card.clone(), guarded: *guarded, service }
    }

    /// The same, with its answers kept on a tape, or given by it.
    pub(super) fn taped(mut self, tape: Option<Tape>) -> Self {
        self.service = self.service.map(|service| service.taped(tape));
        self
    }

    async fn ask(&self, consult: &Consult) -> Result<Advice, ServiceError> {
        let service = self.service.as_ref().map_err(Clone::clone)?;
        let body = serde_json::to_vec(consult).map_err(|error| ServiceError::Settings(error.to_string()))?;
        match service.ask(consult.id.as_str(), body).await? {
            Answer::Json(json) => events::parse(&json).map_err(ServiceError::Unusable),
            Answer::Events(events) => streamed(events, consult, self.guarded).await,
        }
    }
}

impl Agent for HttpAgent {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn consult(&self, consult: Consult) -> Result<Advice, AgentError> {
        telling::asked(&consult, self.guarded, self.ask(&consult)).await
    }
}

/// A part of an answer.
#[derive(Deserialize)]
struct Delta {
    text: String,
}

/// That there is no answer.
#[derive(Deserialize)]
struct Failure {
    code: Code,
}

#[derive(Deserialize)]
#[serde(rename_all = "snake_case")]
enum Code {
    Unavailable,
    Refused,
}

/// Reads to the final advice, and no further.
async fn streamed(mut events: Events, consult: &Consult, guarded: bool) -> Result<Advice, ServiceError> {
    let mut words = String::new();
    let mut telling = Telling::of(consult, guarded);
    while let Some(event) = events.next().await? {
        let data = event.data.unwrap_or_default();
        let data = data.as_bytes();
        match event.event.as_deref() {
            Some("delta") => {
                let Delta { text } = events::parse(data).map_err(ServiceError::Unusable)?;
                words.push_str(&text);
                telling.hear(&words, false)?;
            }
            Some("advice") => {
                let mut advice: Advice = events::parse(data).map_err(ServiceError::Unusable)?;
                telling.hear(&words, true)?;
                if advice.message.is_empty() {
                    advice.message = Text::cut(words);
                }
                return Ok(advice);
            }
            Some("error") => {
                let Failure { code } = events::parse(data).map_err(ServiceError::Unusable)?;
                return Err(match code {
                    Code::Unavailable => ServiceError::NotAvailable,
                    Code::Refused => ServiceError::Refused,
                });
            }
            // A later version may have more to tell.
            _ => {}
        }
    }
    // Half an answer may say the opposite of the whole one.
    Err(ServiceError::BrokenOff("the stream ended without an advice".to_owned()))
}
