//! Agents that are language models: any endpoint that speaks OpenAI's chat completions.
//!
//! [`prompt`] makes a request of a consult, [`completion`] the model's words of what comes back. A model is not trusted with
//! what calls for care: the house's own words answer that, and the model is not asked. Of its answer nothing is shown that
//! names a disease, a medicine or a dose. Neither prompts nor answers are logged.

mod completion;
mod prompt;

use std::{fmt, sync::Arc};

use auren_agents::{Advice, Agent, AgentCard, AgentError, Consult, Text, care};
use serde_json::{Map, Value};

use self::completion::Completion;
use super::{
    service::{Answer, Events, Service, ServiceError},
    telling::{self, Telling},
};

/// An agent that is a language model.
#[derive(Clone)]
pub struct LlmAgentSettings {
    /// Who it is.
    pub card: AgentCard,
    /// Where the interface begins, such as `https://api.example/v1`; `/chat/completions` is asked.
    pub base_url: String,
    /// The model's name there.
    pub model: String,
    /// What the endpoint knows the hub by: sent as `Authorization: Bearer …`.
    pub api_key: Option<String>,
    /// Who it is to be, in words for the model. The house's rules stand before it.
    pub persona: String,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// Most bytes of what is told about a person; the oldest of it is left out.
    pub max_data_bytes: usize,
    /// Most bytes of an answer as it comes, with all that the endpoint puts around it.
    pub max_answer_bytes: usize,
    /// Further fields of the request, such as `temperature`.
    pub options: Map<String, Value>,
}

impl fmt::Debug for LlmAgentSettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlmAgentSettings").field("card", &self.card).field("model", &self.model).finish_non_exhaustive()
    }
}

/// A language model that is asked from one thread.
#[derive(Debug)]
pub struct LlmAgent {
    settings: Arc<LlmAgentSettings>,
    service: Result<Service, ServiceError>,
}

impl LlmAgent {
    /// An agent whose endpoint is connected to when it is first asked.
    ///
    /// # Errors
    /// [`ServiceError::Settings`] where no request can be made of the settings.
    pub fn open(settings: &Arc<LlmAgentSettings>) -> Result<Self, ServiceError> {
        let agent = Self::of(settings);
        agent.service.as_ref().map_err(Clone::clone)?;
        Ok(agent)
    }

    /// The same, that says with each question why no request can be made.
    pub(super) fn of(settings: &Arc<LlmAgentSettings>) -> Self {
        let url = format!("{}/chat/completions", settings.base_url.trim_end_matches('/'));
        let service = Service::open(&url, settings.api_key.as_deref(), settings.max_answer_bytes);
        Self { settings: Arc::clone(settings), service }
    }

    async fn ask(&self, consult: &Consult) -> Result<Advice, ServiceError> {
        let service = self.service.as_ref().map_err(Clone::clone)?;
        let request = prompt::request(&self.settings, consult);
        let completion = match service.ask(consult.id.as_str(), request.to_string().into_bytes()).await? {
            Answer::Json(json) => Completion::whole(&json)?,
            Answer::Events(events) => streamed(events, consult).await?,
        };
        if let Some(usage) = completion.usage() {
            let (asked, answered) = (usage.prompt_tokens, usage.completion_tokens);
            tracing::debug!(agent = %consult.agent, consult = %consult.id, asked, answered, "tokens of a model");
        }
        let message = Text::cut(completion.words()?);
        let reasons = vec![Text::cut(format!("The words are those of a language model, {}.", self.settings.model))];
        Ok(Advice { message, reasons, ..Advice::default() })
    }
}

impl Agent for LlmAgent {
    fn card(&self) -> AgentCard {
        self.settings.card.clone()
    }

    async fn consult(&self, consult: Consult) -> Result<Advice, AgentError> {
        match care::first(&consult) {
            Some(advice) => Ok(advice),
            // Its words have been looked at; the model's name, which is said with them, is the operator's.
            None => telling::asked(&consult, false, self.ask(&consult)).await,
        }
    }
}

/// Reads to the model's last word, and tells whole sentences that are fit to be told as they come.
async fn streamed(mut events: Events, consult: &Consult) -> Result<Completion, ServiceError> {
    let mut completion = Completion::default();
    let mut telling = Telling::of(consult, true);
    while !completion.is_over() {
        let Some(event) = events.next().await? else {
            return Err(ServiceError::BrokenOff("the stream ended before the model had".to_owned()));
        };
        completion.take(event.data.unwrap_or_default().as_bytes())?;
        telling.hear(completion.so_far(), completion.is_over())?;
    }
    Ok(completion)
}
