//! Agents that are language models: any endpoint that speaks OpenAI's chat completions.
//!
//! [`prompt`] makes a request of a consult, [`completion`] the model's words of what comes back, and [`tools`] does what the
//! model calls for meanwhile. A model is not trusted with what calls for care: the house's own words answer that, and the
//! model is not asked. Of its answer nothing is shown that names a disease, a medicine or a dose. Neither prompts nor answers
//! are logged.

mod completion;
mod prompt;
mod tools;

use std::{fmt, sync::Arc, time::Duration};

use auren_agents::{Advice, Agent, AgentCard, AgentError, Consult, Text, Tools, care};
use serde_json::{Map, Value};

pub use self::tools::HAND_OFF;
use self::{completion::Completion, prompt::Request, tools::Toolbox};
use super::{
    Budget, BudgetSettings, Tape,
    budget::Spending,
    service::{Answer, Events, Service, ServiceError},
    telling::{self, Telling},
};

/// How long the end of a stream is awaited that is to say what an answer took, when the answer itself is there.
const USAGE_LIMIT: Duration = Duration::from_secs(1);

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
    /// What it may call while it makes an answer.
    pub tools: Tools,
    /// Whether it may ask another agent to go on, which is one more tool.
    pub hands_off: bool,
    /// Most tools that it may call for one answer.
    pub max_tool_calls: u32,
    /// What it may cost.
    pub budget: BudgetSettings,
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
    budget: Arc<Budget>,
    service: Result<Service, ServiceError>,
}

impl LlmAgent {
    /// An agent whose endpoint is connected to when it is first asked.
    ///
    /// # Errors
    /// [`ServiceError::Settings`] where no request can be made of the settings.
    pub fn open(settings: &Arc<LlmAgentSettings>) -> Result<Self, ServiceError> {
        let agent = Self::of(settings, &Arc::new(Budget::new(settings.budget)));
        agent.service.as_ref().map_err(Clone::clone)?;
        Ok(agent)
    }

    /// The same, that says with each question why no request can be made.
    pub(super) fn of(settings: &Arc<LlmAgentSettings>, budget: &Arc<Budget>) -> Self {
        let url = format!("{}/chat/completions", settings.base_url.trim_end_matches('/'));
        let service = Service::open(&url, settings.api_key.as_deref(), settings.max_answer_bytes);
        Self { settings: Arc::clone(settings), budget: Arc::clone(budget), service }
    }

    /// The same, with its answers kept on a tape, or given by it.
    pub(super) fn taped(mut self, tape: Option<Tape>) -> Self {
        self.service = self.service.map(|service| service.taped(tape));
        self
    }

    /// Asks the model, does what it calls for, and asks it again, until it has said its last word.
    async fn ask(&self, consult: &Consult) -> Result<Advice, ServiceError> {
        let mut request = prompt::request(&self.settings, consult);
        let mut tools = Toolbox::of(&self.settings, consult);
        let mut completion = Completion::with_tools(tools.is_offered());
        let mut telling = Telling::of(consult, true);
        loop {
            self.answer(&request, consult, &tools, &mut completion, &mut telling).await?;
            if completion.is_final() {
                break;
            }
            let (calls, said) = completion.calls();
            tools.answer(&mut request, calls, &said)?;
        }
        let reasons = vec![Text::cut(format!("The words are those of a language model, {}.", self.settings.model))];
        let hand_off = tools.handed_off();
        // Whoever only passes a question on need not say anything.
        let message = match completion.so_far().trim() {
            "" if hand_off.is_some() => Text::default(),
            _ => Text::cut(completion.words()?),
        };
        Ok(Advice { message, reasons, hand_off, ..Advice::default() })
    }

    /// One answer of the model, which may be that it calls tools.
    async fn answer(
        &self,
        request: &Request,
        consult: &Consult,
        tools: &Toolbox<'_>,
        completion: &mut Completion,
        telling: &mut Telling<'_>,
    ) -> Result<(), ServiceError> {
        let service = self.service.as_ref().map_err(Clone::clone)?;
        let body = request.body();
        let spending = self.budget.spend(body.len(), self.settings.max_tokens);
        let mut spending = spending.map_err(|_| ServiceError::Spent)?;
        // What is asked behind a tool is another request than the one before it.
        let key = match tools.round() {
            0 => consult.id.to_string(),
            round => format!("{} {round}", consult.id),
        };
        match service.ask(&key, body).await.inspect_err(|error| {
            if matches!(error, ServiceError::Unreachable(_) | ServiceError::Status(_)) {
                spending.was_free();
            }
        })? {
            Answer::Json(json) => {
                spending.answered(json.len());
                completion.whole(&json)?;
            }
            Answer::Events(events) => streamed(events, completion, telling, &mut spending).await?,
        }
        if let Some(usage) = completion.usage() {
            spending.took(usage.prompt_tokens, usage.completion_tokens);
        }
        Ok(())
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
async fn streamed(
    mut events: Events,
    completion: &mut Completion,
    telling: &mut Telling<'_>,
    spending: &mut Spending,
) -> Result<(), ServiceError> {
    while !completion.is_over() {
        let Some(event) = events.next().await? else {
            return Err(ServiceError::BrokenOff("the stream ended before the model had".to_owned()));
        };
        let taken = completion.take(event.data.unwrap_or_default().as_bytes());
        spending.answered(completion.bytes());
        taken?;
        telling.hear(completion.so_far(), completion.is_final())?;
    }
    if spending.is_counted() {
        // Nobody waits long for what is only to be counted, and whatever is wrong with it harms nobody.
        let rest = async {
            while completion.usage().is_none()
                && let Ok(Some(event)) = events.next().await
                && completion.take(event.data.unwrap_or_default().as_bytes()).is_ok()
            {}
        };
        drop(tokio::time::timeout(USAGE_LIMIT, rest).await);
    }
    Ok(())
}
