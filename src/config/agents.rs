//! Agents outside the hub's own program, by name.

use std::{collections::BTreeMap, path::PathBuf};

use auren_agents::{AgentCard, AgentId};
use serde::{Deserialize, Serialize};

use super::{
    NodeProfile,
    sections::{Secret, text},
};
use crate::consult::HttpAgentSettings;

/// Agents outside the hub's own program.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AgentsSection {
    /// Those that are asked over HTTP, by name.
    pub http: BTreeMap<String, HttpAgentSection>,
}

/// An agent that is asked over HTTP.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpAgentSection {
    /// Where consults are sent.
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
            max_answer_bytes: HttpAgentSettings::MAX_ANSWER_BYTES,
        }
    }
}

impl HttpAgentSection {
    /// The agent of this name, with the token that was found for it.
    #[must_use]
    pub fn settings(&self, name: &str, token: Option<String>) -> HttpAgentSettings {
        let card = AgentCard::new(name, &self.version, &self.purpose).topics(self.topics.iter().map(String::as_str));
        HttpAgentSettings { card, url: self.url.clone(), token, max_answer_bytes: self.max_answer_bytes }
    }
}

impl AgentsSection {
    /// What must not be, behind `agents.http`.
    pub(super) fn fault(&self, profile: NodeProfile) -> Option<String> {
        self.http.iter().find_map(|(name, agent)| Some(format!("{name}: {}", agent.fault(name, profile)?)))
    }
}

impl HttpAgentSection {
    fn fault(&self, name: &str, profile: NodeProfile) -> Option<&'static str> {
        let word = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        if AgentId::new(name).is_err() || name.len() > 64 || !name.bytes().all(word) {
            return Some("an agent's name must be 1 to 64 letters, digits, dashes and underscores");
        }
        if ["user", "auren"].contains(&name) {
            return Some("an agent must not have this name, by which people and the hub itself speak");
        }
        if self.token.is_some() && self.token_file.is_some() {
            return Some("token and token_file must not both be set");
        }
        if !(1024..=64 * 1024 * 1024).contains(&self.max_answer_bytes) {
            return Some("max_answer_bytes must be from 1024 to 67108864");
        }
        url_fault(&self.url, profile)
    }
}

fn url_fault(url: &str, profile: NodeProfile) -> Option<&'static str> {
    let uri = url.parse::<http::Uri>().ok();
    let parts = uri.as_ref().and_then(|uri| Some((uri.scheme_str()?, uri.authority()?)));
    let Some((scheme @ ("http" | "https"), authority)) = parts else {
        return Some("url must be like https://host/path");
    };
    if authority.as_str().contains('@') {
        return Some("url must hold no password; use token or token_file");
    }
    let here = matches!(authority.host(), "localhost" | "127.0.0.1" | "[::1]");
    if profile == NodeProfile::Prod && scheme == "http" && !here {
        return Some(
            "url must be https:// where node.profile is \"prod\": a consult holds what people wrote and metadata about \
             their health",
        );
    }
    None
}
