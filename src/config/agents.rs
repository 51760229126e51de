//! Agents outside the hub's own program, by name.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};

use auren_agents::{AgentCard, Tools};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::sections::{Secret, text};
use crate::{
    bus::Topic,
    consult::{
        A2aAgentSettings, BudgetSettings, HAND_OFF, HttpAgentSettings, KafkaAgentSettings, LlmAgentSettings, SHADOWS,
    },
};

/// Fields of a request that are no options.
const SET: [&str; 6] = ["messages", "model", "stream", "max_tokens", "tools", "tool_choice"];

/// Agents outside the hub's own program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentsSection {
    /// Those that are asked over HTTP, by name.
    pub http: BTreeMap<String, HttpAgentSection>,
    /// Those that are language models, by name.
    pub llm: BTreeMap<String, LlmAgentSection>,
    /// Those that speak A2A, by name; what can be said of them is what can be said of an agent over HTTP.
    pub a2a: BTreeMap<String, HttpAgentSection>,
    /// Those that are asked over topics of the bus, by name.
    pub kafka: BTreeMap<String, KafkaAgentSection>,
}

/// An agent that is asked over HTTP, with AUREN's own JSON or by A2A.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpAgentSection {
    /// Where consults are sent; of an A2A agent, the address below which its card is.
    pub url: String,
    /// What the agent is for, in a sentence.
    pub purpose: String,
    /// The agent's own version, for the events that hold its answers.
    #[serde(deserialize_with = "text")]
    pub version: String,
    /// Words that make a person's message this agent's business.
    pub topics: Vec<String>,
    /// What the agent knows the hub by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// A file that holds the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_file: Option<PathBuf>,
    /// The agent that it is only compared with: it is asked the same, and shown to nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_of: Option<String>,
    /// Whether it is left out where something calls for care, and answers that name a disease, a medicine or a dose are not
    /// shown.
    pub guarded: bool,
    /// Most bytes of one answer.
    pub max_answer_bytes: usize,
}

impl Default for HttpAgentSection {
    fn default() -> Self {
        Self {
            url: String::new(),
            purpose: String::new(),
            version: "1".to_owned(),
            topics: Vec::new(),
            token: None,
            token_file: None,
            shadow_of: None,
            guarded: true,
            max_answer_bytes: HttpAgentSettings::MAX_ANSWER_BYTES,
        }
    }
}

/// An agent that is a language model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LlmAgentSection {
    /// Where an interface like OpenAI's begins, such as `https://api.example/v1`.
    pub base_url: String,
    /// The model's name there.
    #[serde(deserialize_with = "text")]
    pub model: String,
    /// What the agent is for, in a sentence; the model is told it, too.
    pub purpose: String,
    /// The agent's own version, for the events that hold its answers; the model's name where it is empty.
    #[serde(deserialize_with = "text")]
    pub version: String,
    /// Words that make a person's message this agent's business.
    pub topics: Vec<String>,
    /// What the endpoint knows the hub by.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key: Option<Secret>,
    /// A file that holds the key.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub api_key_file: Option<PathBuf>,
    /// A file that tells the model who it is to be.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub persona_file: Option<PathBuf>,
    /// The agent that it is only compared with: it is asked the same, and shown to nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_of: Option<String>,
    /// Most tokens of one answer.
    pub max_tokens: u32,
    /// Most bytes of what a model is told about a person.
    pub max_data_bytes: usize,
    /// Most bytes of one answer as it comes.
    pub max_answer_bytes: usize,
    /// Further fields of each request, such as `temperature`.
    pub options: Map<String, Value>,
    /// The tools that the model may call, by name.
    pub tools: Vec<String>,
    /// Most tools that it may call for one answer.
    pub max_tool_calls: u32,
    /// Most tokens of a day on one node, asked and answered; no bound where it is 0.
    pub tokens_per_day: u64,
    /// Most that a day may cost on one node, in whatever the prices are in; no bound where it is 0.
    pub cost_per_day: f64,
    /// The price of a million tokens that are asked.
    pub price_asked: f64,
    /// The price of a million tokens that are answered.
    pub price_answered: f64,
}

impl Default for LlmAgentSection {
    fn default() -> Self {
        Self {
            base_url: String::new(),
            model: String::new(),
            purpose: String::new(),
            version: String::new(),
            topics: Vec::new(),
            api_key: None,
            api_key_file: None,
            persona_file: None,
            max_tokens: 400,
            max_data_bytes: 16 * 1024,
            shadow_of: None,
            max_answer_bytes: HttpAgentSettings::MAX_ANSWER_BYTES,
            options: Map::new(),
            tools: Vec::new(),
            max_tool_calls: 4,
            tokens_per_day: 0,
            cost_per_day: 0.0,
            price_asked: 0.0,
            price_answered: 0.0,
        }
    }
}

/// An agent that is asked over topics of the bus.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaAgentSection {
    /// The topic that consults are written to; `agents.NAME.requests` where it is empty.
    pub requests: String,
    /// The topic that answers are read from; `agents.NAME.answers` where it is empty.
    pub answers: String,
    /// What the agent is for, in a sentence.
    pub purpose: String,
    /// The agent's own version, for the events that hold its answers.
    #[serde(deserialize_with = "text")]
    pub version: String,
    /// Words that make a person's message this agent's business.
    pub topics: Vec<String>,
    /// The agent that it is only compared with: it is asked the same, and shown to nobody.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shadow_of: Option<String>,
    /// As of an agent over HTTP.
    pub guarded: bool,
    /// Most bytes of one answer.
    pub max_answer_bytes: usize,
}

impl Default for KafkaAgentSection {
    fn default() -> Self {
        Self {
            requests: String::new(),
            answers: String::new(),
            purpose: String::new(),
            version: "1".to_owned(),
            topics: Vec::new(),
            shadow_of: None,
            guarded: true,
            max_answer_bytes: HttpAgentSettings::MAX_ANSWER_BYTES,
        }
    }
}

impl KafkaAgentSection {
    /// The agent of this name.
    #[must_use]
    pub fn settings(&self, name: &str) -> KafkaAgentSettings {
        let [requests, answers] = self.named(name).map(|topic| Topic::configured(&topic));
        KafkaAgentSettings {
            card: card(name, &self.version, &self.purpose, &self.topics),
            requests,
            answers,
            guarded: self.guarded,
            max_answer_bytes: self.max_answer_bytes,
        }
    }

    /// The names of its two topics.
    fn named(&self, name: &str) -> [String; 2] {
        let or = |given: &str, usual: &str| {
            if given.is_empty() { format!("agents.{name}.{usual}") } else { given.to_owned() }
        };
        [or(&self.requests, "requests"), or(&self.answers, "answers")]
    }

    fn fault(&self, name: &str) -> Option<&'static str> {
        let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-');
        let named = self.named(name);
        if named.iter().any(|topic| topic.len() > 200 || !topic.bytes().all(letter) || topic.starts_with('.')) {
            return Some("a topic's name must be at most 200 letters, digits, dots, dashes and underscores");
        }
        if named.iter().any(|topic| topic == SHADOWS || Topic::ALL.iter().any(|river| river.name() == topic)) {
            return Some("its topics must be none of AUREN's own");
        }
        bytes_fault(self.max_answer_bytes)
    }
}

impl HttpAgentSection {
    /// The agent of this name, with the token that was found for it.
    #[must_use]
    pub fn settings(&self, name: &str, token: Option<String>) -> HttpAgentSettings {
        HttpAgentSettings {
            card: card(name, &self.version, &self.purpose, &self.topics),
            url: self.url.clone(),
            token,
            guarded: self.guarded,
            max_answer_bytes: self.max_answer_bytes,
        }
    }

    /// The A2A agent of this name, with the token that was found for it.
    #[must_use]
    pub fn a2a(&self, name: &str, token: Option<String>) -> A2aAgentSettings {
        let HttpAgentSettings { card, url, token, guarded, max_answer_bytes } = self.settings(name, token);
        A2aAgentSettings { card, url, token, guarded, max_answer_bytes }
    }

    fn fault(&self) -> Option<&'static str> {
        if self.token.is_some() && self.token_file.is_some() {
            return Some("token and token_file must not both be set");
        }
        bytes_fault(self.max_answer_bytes).or_else(|| url_fault(&self.url))
    }
}

impl LlmAgentSection {
    /// The agent of this name, with the key and the persona that were found for it.
    #[must_use]
    pub fn settings(&self, name: &str, api_key: Option<String>, persona: String) -> LlmAgentSettings {
        let version = if self.version.is_empty() { &self.model } else { &self.version };
        let shipped = Tools::shipped();
        LlmAgentSettings {
            card: card(name, version, &self.purpose, &self.topics),
            base_url: self.base_url.clone(),
            model: self.model.clone(),
            api_key,
            persona,
            max_tokens: self.max_tokens,
            max_data_bytes: self.max_data_bytes,
            max_answer_bytes: self.max_answer_bytes,
            options: self.options.clone(),
            tools: self.tools.iter().filter_map(|name| shipped.get(name)).cloned().fold(Tools::none(), Tools::with),
            hands_off: self.tools.iter().any(|name| name == HAND_OFF),
            max_tool_calls: self.max_tool_calls,
            budget: BudgetSettings {
                tokens_per_day: self.tokens_per_day,
                cost_per_day: self.cost_per_day,
                price_asked: self.price_asked,
                price_answered: self.price_answered,
            },
        }
    }

    fn fault(&self) -> Option<&'static str> {
        if self.api_key.is_some() && self.api_key_file.is_some() {
            return Some("api_key and api_key_file must not both be set");
        }
        if self.model.is_empty() {
            return Some("model must be set");
        }
        if !(1..=100_000).contains(&self.max_tokens) {
            return Some("max_tokens must be from 1 to 100000");
        }
        if !(1024..=1024 * 1024).contains(&self.max_data_bytes) {
            return Some("max_data_bytes must be from 1024 to 1048576");
        }
        if SET.iter().any(|field| self.options.contains_key(*field)) {
            return Some(
                "options must not hold messages, model, stream, max_tokens, tools or tool_choice, which AUREN sets",
            );
        }
        let shipped = Tools::shipped();
        if self.tools.iter().any(|name| name != HAND_OFF && shipped.get(name).is_none()) {
            return Some("tools must be of recent_nights, said_before and hand_off");
        }
        if self.max_tool_calls > 32 {
            return Some("max_tool_calls must be from 0 to 32");
        }
        let money = [self.cost_per_day, self.price_asked, self.price_answered];
        if !money.iter().all(|money| (0.0..=1e9).contains(money)) {
            return Some("cost_per_day, price_asked and price_answered must be from 0 to 1000000000");
        }
        if self.cost_per_day > 0.0 && self.price_asked == 0.0 && self.price_answered == 0.0 {
            return Some("cost_per_day bounds nothing without price_asked or price_answered");
        }
        bytes_fault(self.max_answer_bytes).or_else(|| url_fault(&self.base_url))
    }
}

impl AgentsSection {
    /// What must not be: the key, and why.
    pub(super) fn fault(&self) -> Option<(&'static str, String)> {
        let http = self.http.iter().map(|(name, agent)| ("agents.http", name, agent.fault()));
        let llm = self.llm.iter().map(|(name, agent)| ("agents.llm", name, agent.fault()));
        let a2a = self.a2a.iter().map(|(name, agent)| ("agents.a2a", name, agent.fault()));
        let kafka = self.kafka.iter().map(|(name, agent)| ("agents.kafka", name, agent.fault(name)));
        let each = http.chain(llm).chain(a2a).chain(kafka).find_map(|(key, name, fault)| {
            let others = [
                ("agents.http", self.http.contains_key(name), "an agent of the same name is in agents.http"),
                ("agents.llm", self.llm.contains_key(name), "an agent of the same name is in agents.llm"),
                ("agents.a2a", self.a2a.contains_key(name), "an agent of the same name is in agents.a2a"),
                ("agents.kafka", self.kafka.contains_key(name), "an agent of the same name is in agents.kafka"),
            ];
            let twice = others.into_iter().find(|(other, there, _)| *other != key && *there).map(|(_, _, why)| why);
            let why = name_fault(name).or(twice).or(fault)?;
            Some((key, format!("of {name}: {why}")))
        });
        each.or_else(|| self.shared_topic())
    }

    /// A topic that stands for two things: an answer would be taken for a question, or for somebody else's.
    fn shared_topic(&self) -> Option<(&'static str, String)> {
        let mut seen = BTreeSet::new();
        let mut named = self.kafka.iter().flat_map(|(name, agent)| agent.named(name).map(|topic| (name, topic)));
        let (name, topic) = named.find(|(_, topic)| !seen.insert(topic.clone()))?;
        Some(("agents.kafka", format!("of {name}: its topic {topic} is named twice, and each needs one of its own")))
    }

    /// The topics that it names beside the river's.
    #[must_use]
    pub fn topics(&self) -> Vec<Topic> {
        let topics = self.kafka.iter().flat_map(|(name, agent)| agent.named(name));
        let shadows = self.shadows().next().map(|_| SHADOWS.to_owned());
        topics.chain(shadows).map(|topic| Topic::configured(&topic)).collect()
    }

    /// Each agent that is a shadow: its key, its name, and whose shadow it is.
    pub fn shadows(&self) -> impl Iterator<Item = (&'static str, &str, &str)> {
        let http = self.http.iter().map(|(name, agent)| ("agents.http", name, &agent.shadow_of));
        let a2a = self.a2a.iter().map(|(name, agent)| ("agents.a2a", name, &agent.shadow_of));
        let llm = self.llm.iter().map(|(name, agent)| ("agents.llm", name, &agent.shadow_of));
        let kafka = self.kafka.iter().map(|(name, agent)| ("agents.kafka", name, &agent.shadow_of));
        let all = http.chain(a2a).chain(llm).chain(kafka);
        all.filter_map(|(key, name, of)| Some((key, name.as_str(), of.as_deref()?)))
    }

    /// The address of every agent, by its key.
    pub(super) fn addresses(&self) -> impl Iterator<Item = (String, &str)> {
        let http = self.http.iter().map(|(name, agent)| (format!("agents.http.{name}.url"), &*agent.url));
        let llm = self.llm.iter().map(|(name, agent)| (format!("agents.llm.{name}.base_url"), &*agent.base_url));
        let a2a = self.a2a.iter().map(|(name, agent)| (format!("agents.a2a.{name}.url"), &*agent.url));
        http.chain(llm).chain(a2a)
    }
}

fn card(name: &str, version: &str, purpose: &str, topics: &[String]) -> AgentCard {
    AgentCard::new(name, version, purpose).topics(topics.iter().map(String::as_str))
}

fn name_fault(name: &str) -> Option<&'static str> {
    let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    if !(1..=64).contains(&name.len()) || !name.bytes().all(word) {
        return Some("an agent's name must be 1 to 64 letters, digits, dashes and underscores");
    }
    let taken = ["user", "auren"].contains(&name);
    taken.then_some("an agent must not have this name, by which people and the hub itself speak")
}

fn bytes_fault(max_answer_bytes: usize) -> Option<&'static str> {
    let good = (1024..=64 * 1024 * 1024).contains(&max_answer_bytes);
    (!good).then_some("max_answer_bytes must be from 1024 to 67108864")
}

fn url_fault(url: &str) -> Option<&'static str> {
    let uri = url.parse::<http::Uri>().ok();
    let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
    let Some(("http" | "https", authority)) = parts else {
        return Some("its address must be like https://host/path");
    };
    if authority.as_str().contains('@') {
        return Some("its address must hold no password");
    }
    None
}
