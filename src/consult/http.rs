//! Agents in another process, in any language: a consult is sent as JSON, and its answer is JSON or a stream of events.
//!
//! `POST` brings the [`Consult`] and, as `Idempotency-Key`, its id. The answer is an [`Advice`] as `application/json`, or
//! `text/event-stream` with any number of `delta` events (`{"text": …}`) and at last one `advice`, or one `error`
//! (`{"code": "unavailable"}` or `{"code": "refused"}`). An advice without a message says what the deltas said. Other
//! events are passed over. `agents/README.md` tells authors all of it.

use std::{fmt, sync::Arc};

use auren_agents::{Advice, Agent, AgentCard, AgentError, Consult, Text, events};
use serde::Deserialize;

use super::service::{Answer, Events, Service, ServiceError};

/// An agent that is asked over HTTP.
#[derive(Clone)]
pub struct HttpAgentSettings {
    /// Who it is. It is not asked for its card, so that a hub starts without it.
    pub card: AgentCard,
    /// Where consults are sent.
    pub url: String,
    /// What it knows the hub by: sent as `Authorization: Bearer …`.
    pub token: Option<String>,
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
    service: Result<Service, ServiceError>,
}

impl HttpAgent {
    /// An agent that is connected to when it is first asked.
    ///
    /// # Errors
    /// [`ServiceError::Settings`] where no request can be made of the settings.
    pub fn open(settings: &HttpAgentSettings) -> Result<Self, ServiceError> {
        let HttpAgentSettings { card, url, token, max_answer_bytes } = settings;
        let service = Service::open(url, token.as_deref(), *max_answer_bytes)?;
        Ok(Self { card: card.clone(), service: Ok(service) })
    }

    /// The same, that says with each question why no request can be made.
    pub(super) fn of(settings: &Arc<HttpAgentSettings>) -> Self {
        Self::open(settings).unwrap_or_else(|error| Self { card: settings.card.clone(), service: Err(error) })
    }

    async fn ask(&self, consult: &Consult) -> Result<Advice, ServiceError> {
        let service = self.service.as_ref().map_err(Clone::clone)?;
        let body = serde_json::to_vec(consult).map_err(|error| ServiceError::Settings(error.to_string()))?;
        let advice = match service.ask(consult.id.as_str(), body).await? {
            Answer::Json(json) => events::parse(&json).map_err(ServiceError::Unusable)?,
            Answer::Events(events) => streamed(events, consult).await?,
        };
        if advice.message.trim().is_empty() {
            return Err(ServiceError::unusable("message", "must not be empty"));
        }
        Ok(advice)
    }
}

impl Agent for HttpAgent {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    async fn consult(&self, consult: Consult) -> Result<Advice, AgentError> {
        self.ask(&consult).await.map_err(|error| {
            tracing::warn!(agent = %consult.agent, consult = %consult.id, %error, "an agent over HTTP has no answer");
            error.into()
        })
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
async fn streamed(mut events: Events, consult: &Consult) -> Result<Advice, ServiceError> {
    let mut words = String::new();
    while let Some(event) = events.next().await? {
        let data = event.data.unwrap_or_default();
        let data = data.as_bytes();
        match event.event.as_deref() {
            Some("delta") => {
                let Delta { text } = events::parse(data).map_err(ServiceError::Unusable)?;
                consult.parts.tell(&text);
                words.push_str(&text);
            }
            Some("advice") => {
                let mut advice: Advice = events::parse(data).map_err(ServiceError::Unusable)?;
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
