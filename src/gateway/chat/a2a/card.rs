//! Who there is, as A2A 1.0 says it. Whoever asks sees it: a card is how a client finds out that it needs a token.

use auren_agents::AgentCard;
use axum::http::{HeaderMap, header::HOST};
use serde_json::{Value, json};

use super::super::Chat;

/// Where clients reach this node: as it is configured, or as the request called it.
pub(super) fn base(chat: &Chat, headers: &HeaderMap) -> String {
    let public_url = &chat.settings.public_url;
    if !public_url.is_empty() {
        return public_url.trim_end_matches('/').to_owned();
    }
    let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or("localhost");
    format!("{}://{host}", if chat.tls { "https" } else { "http" })
}

/// The hub: a message goes to whom it concerns.
pub(super) fn of_hub(cards: &[AgentCard], base: &str) -> Value {
    let about = "Turns health events into conversations. A message goes to the agent that it mentions or concerns; an agent of \
                 its own address is asked there.";
    let skills = cards.iter().map(skill).collect();
    card("AUREN", about, env!("CARGO_PKG_VERSION"), &format!("{base}/a2a"), skills)
}

/// One agent.
pub(super) fn of_agent(agent: &AgentCard, base: &str) -> Value {
    let url = format!("{base}/a2a/{}", agent.id);
    card(agent.id.as_str(), &agent.purpose, &agent.version, &url, vec![skill(agent)])
}

fn skill(agent: &AgentCard) -> Value {
    json!({
        "id": agent.id, "name": agent.id, "description": agent.purpose,
        "tags": if agent.topics.is_empty() { vec!["wellness".to_owned()] } else { agent.topics.clone() },
    })
}

fn card(name: &str, about: &str, version: &str, url: &str, skills: Vec<Value>) -> Value {
    json!({
        "name": name,
        "description": if about.is_empty() { name } else { about },
        "version": version,
        "supportedInterfaces": [{ "url": url, "protocolBinding": "JSONRPC", "protocolVersion": "1.0" }],
        "capabilities": { "streaming": true, "pushNotifications": false, "extendedAgentCard": false },
        "securitySchemes": { "token": { "httpAuthSecurityScheme": { "scheme": "Bearer", "bearerFormat": "JWT" } } },
        "securityRequirements": [{ "schemes": { "token": { "list": [] } } }],
        "defaultInputModes": ["text/plain"],
        "defaultOutputModes": ["text/plain", crate::consult::ADVICE],
        "skills": skills,
    })
}
