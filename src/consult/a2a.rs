//! Agents that speak A2A 1.0 (JSON-RPC), whoever made them.
//!
//! [`card`] finds where an agent takes messages, [`task`] makes an advice of what it sends. A consult is a message with two
//! parts: words for agents that read words, and the consult itself as data. The message's id is the consult's, so an agent may
//! know a question that comes again. An answer is the text of a message or of a task's artifacts; a data part of the media
//! type [`ADVICE`] may bring findings, confidence and all else that an advice holds.

mod card;
mod task;

use std::{cell::RefCell, fmt, sync::Arc, time::Duration};

use auren_agents::{Advice, Agent, AgentCard, AgentError, Cause, Consult};
use serde_json::{Value, json};

use self::{card::Interface, task::Progress};
use super::{
    Tape,
    service::{Answer, Events, Service, ServiceError},
    telling::{self, Telling},
};

/// The media type of a consult as data.
const CONSULT: &str = "application/vnd.auren.consult+json";
/// How long it may take to say that an answer is not waited for any more.
const CANCEL_LIMIT: Duration = Duration::from_secs(5);
/// The media type of an advice as data.
pub const ADVICE: &str = "application/vnd.auren.advice+json";

/// An agent that speaks A2A.
#[derive(Clone)]
pub struct A2aAgentSettings {
    /// Who it is here. It is not asked for its own card before it is asked anything, so that a hub starts without it.
    pub card: AgentCard,
    /// Its address: its own card is at `/.well-known/agent-card.json` below it.
    pub url: String,
    /// What it knows the hub by: sent as `Authorization: Bearer …`.
    pub token: Option<String>,
    /// As of an agent over HTTP.
    pub guarded: bool,
    /// Most bytes of one answer.
    pub max_answer_bytes: usize,
}

impl fmt::Debug for A2aAgentSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("A2aAgentSettings").field("card", &self.card).finish_non_exhaustive()
    }
}

/// An agent that speaks A2A and is asked from one thread.
#[derive(Debug)]
pub struct A2aAgent {
    settings: A2aAgentSettings,
    /// Where its card is.
    card: Result<Service, ServiceError>,
    /// Where it takes messages, once its card has said so.
    found: RefCell<Option<Arc<Found>>>,
    tape: Option<Tape>,
}

#[derive(Debug)]
struct Found {
    interface: Interface,
    service: Service,
}

impl A2aAgent {
    /// An agent that is connected to when it is first asked.
    ///
    /// # Errors
    /// [`ServiceError::Settings`] where no request can be made of the settings.
    pub fn open(settings: &A2aAgentSettings) -> Result<Self, ServiceError> {
        let agent = Self::of(settings);
        agent.card.as_ref().map_err(Clone::clone)?;
        Ok(agent)
    }

    /// The same, that says with each question why no request can be made.
    pub(super) fn of(settings: &A2aAgentSettings) -> Self {
        let card = Self::service(settings, &card::address(&settings.url));
        Self { settings: settings.clone(), card, found: RefCell::default(), tape: None }
    }

    /// The same, with its answers kept on a tape, or given by it.
    pub(super) fn taped(mut self, tape: Option<Tape>) -> Self {
        self.card = self.card.map(|card| card.taped(tape.clone()));
        self.tape = tape;
        self
    }

    fn service(settings: &A2aAgentSettings, url: &str) -> Result<Service, ServiceError> {
        let service = Service::open(url, settings.token.as_deref(), settings.max_answer_bytes)?;
        Ok(service.saying("a2a-version", "1.0"))
    }

    /// Where it takes messages. What its card said holds until it is not there any more.
    async fn found(&self) -> Result<Arc<Found>, ServiceError> {
        if let Some(found) = self.found.borrow().as_ref() {
            return Ok(Arc::clone(found));
        }
        let card = self.card.as_ref().map_err(Clone::clone)?.get().await?;
        let interface = card::interface(&card, &self.settings.url)?;
        let service = Self::service(&self.settings, &interface.url)?.taped(self.tape.clone());
        let found = Arc::new(Found { interface, service });
        *self.found.borrow_mut() = Some(Arc::clone(&found));
        Ok(found)
    }

    async fn ask(&self, consult: &Consult) -> Result<Advice, ServiceError> {
        let found = self.found().await?;
        let request = request(consult, &found.interface)?;
        let progress = match found.service.ask(consult.id.as_str(), request.to_string().into_bytes()).await {
            Ok(Answer::Json(json)) => Progress::whole(&json)?,
            Ok(Answer::Events(events)) => streamed(events, consult, self.settings.guarded, found).await?,
            Err(error) => {
                // It may have moved.
                self.found.replace(None);
                return Err(error);
            }
        };
        progress.advice()
    }
}

impl Agent for A2aAgent {
    fn card(&self) -> AgentCard {
        self.settings.card.clone()
    }

    async fn consult(&self, consult: Consult) -> Result<Advice, AgentError> {
        telling::asked(&consult, self.settings.guarded, self.ask(&consult)).await
    }
}

/// The request that brings a consult.
fn request(consult: &Consult, interface: &Interface) -> Result<Value, ServiceError> {
    let data = serde_json::to_value(consult).map_err(|error| ServiceError::Settings(error.to_string()))?;
    let words = match &consult.cause {
        Cause::Trigger { trigger_type, message, .. } if message.trim().is_empty() => trigger_type.as_str(),
        Cause::Trigger { message, .. } => message,
        // A text part must not be empty.
        Cause::Message { text, .. } if text.trim().is_empty() => "…",
        Cause::Message { text, .. } => text,
    };
    let mut params = json!({
        "message": {
            "messageId": consult.id,
            "role": "ROLE_USER",
            "parts": [{ "text": words }, { "data": data, "mediaType": CONSULT }],
        },
        "configuration": { "acceptedOutputModes": ["text/plain", ADVICE], "historyLength": 0 },
    });
    if !interface.tenant.is_empty() {
        params["tenant"] = interface.tenant.as_str().into();
    }
    let method = if interface.streams { "SendStreamingMessage" } else { "SendMessage" };
    Ok(json!({ "jsonrpc": "2.0", "id": consult.id, "method": method, "params": params }))
}

/// Reads until the task is over, and tells the text of its artifacts as it comes.
async fn streamed(
    mut events: Events,
    consult: &Consult,
    guarded: bool,
    found: Arc<Found>,
) -> Result<Progress, ServiceError> {
    let mut unfinished = Unfinished { found, task: None };
    let mut progress = Progress::default();
    let mut telling = Telling::of(consult, guarded);
    while !progress.is_over() {
        let Some(event) = events.next().await? else {
            return Err(ServiceError::BrokenOff("the stream ended before the task had".to_owned()));
        };
        let taken = progress.take(event.data.unwrap_or_default().as_bytes());
        unfinished.task = progress.unfinished();
        taken?;
        if let Some(words) = progress.so_far() {
            telling.hear(&words, progress.is_over())?;
        }
    }
    Ok(progress)
}

/// A task whose answer is waited for. Dropped before it is over (the person stopped the turn, the time has passed), the agent
/// is told so: it would go on although nobody listens.
struct Unfinished {
    found: Arc<Found>,
    task: Option<String>,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        let (Some(task), Ok(runtime)) = (self.task.take(), tokio::runtime::Handle::try_current()) else { return };
        let found = Arc::clone(&self.found);
        runtime.spawn(async move {
            let mut params = json!({ "id": task });
            if !found.interface.tenant.is_empty() {
                params["tenant"] = found.interface.tenant.as_str().into();
            }
            let request = json!({ "jsonrpc": "2.0", "id": task, "method": "CancelTask", "params": params });
            let asking = found.service.ask(&task, request.to_string().into_bytes());
            // Whatever it answers, nobody waits for it.
            let told = tokio::time::timeout(CANCEL_LIMIT, asking).await;
            tracing::debug!(heard = matches!(told, Ok(Ok(_))), "an A2A task was taken back");
        });
    }
}
