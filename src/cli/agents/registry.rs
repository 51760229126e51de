//! The agents of a configuration: the built-in ones and those it names, as a node has them.

use auren::{
    app::{HubError, with_configured},
    config::Config,
    consult::{Agents, Tape},
};
use auren_agents::{AgentCard, AgentId};
use serde::Serialize;

/// How an agent is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Kind {
    BuiltIn,
    Http,
    Llm,
    A2a,
    Kafka,
}

impl Kind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::BuiltIn => "built in",
            Self::Http => "http",
            Self::Llm => "llm",
            Self::A2a => "a2a",
            Self::Kafka => "kafka",
        }
    }
}

/// One agent.
pub(super) struct Entry {
    pub(super) card: AgentCard,
    pub(super) kind: Kind,
    /// Where it runs: the address without what might be secret in it. Empty for one that runs in the node itself.
    pub(super) place: String,
    /// Whose shadow it is, where it is one.
    pub(super) shadow_of: Option<AgentId>,
}

/// All of them, to be listed and to be asked.
pub(super) struct Registry {
    pub(super) entries: Vec<Entry>,
    pub(super) agents: Agents,
}

impl Registry {
    /// Nobody is connected to.
    pub(super) async fn of(config: &Config) -> Result<Self, HubError> {
        Self::taped(config, None).await
    }

    /// The same, with what agents outside answer kept on a tape, or given by it.
    pub(super) async fn taped(config: &Config, tape: Option<Tape>) -> Result<Self, HubError> {
        let built_in = Agents::built_in();
        let agents = with_configured(config, tape.into_iter().fold(built_in, Agents::taped), None).await?;
        let entry = |(card, shadow_of): (AgentCard, Option<AgentId>)| {
            let (kind, place) = whereabouts(config, card.id.as_str());
            Entry { card, kind, place, shadow_of }
        };
        let shown = agents.cards().into_iter().map(|card| (card, None));
        let shadows = agents.shadows().into_iter().map(|(card, of)| (card, Some(of)));
        Ok(Self { entries: shown.chain(shadows).map(entry).collect(), agents })
    }

    /// The agent of this name, or who there is.
    pub(super) fn entry(&self, name: &AgentId) -> anyhow::Result<&Entry> {
        self.entries.iter().find(|entry| entry.card.id == *name).ok_or_else(|| {
            let names: Vec<_> = self.entries.iter().map(|entry| entry.card.id.as_str()).collect();
            anyhow::anyhow!(
                "there is no agent named {name}; this configuration has {} (an agent in a program of its own is tried by its \
                 own dialogues)",
                names.join(", ")
            )
        })
    }
}

fn whereabouts(config: &Config, name: &str) -> (Kind, String) {
    let agents = &config.agents;
    if let Some(agent) = agents.http.get(name) {
        (Kind::Http, shown(&agent.url))
    } else if let Some(agent) = agents.llm.get(name) {
        (Kind::Llm, format!("{} ({})", shown(&agent.base_url), agent.model))
    } else if let Some(agent) = agents.a2a.get(name) {
        (Kind::A2a, shown(&agent.url))
    } else if let Some(agent) = agents.kafka.get(name) {
        let settings = agent.settings(name);
        (Kind::Kafka, format!("{} → {}", settings.requests, settings.answers))
    } else {
        (Kind::BuiltIn, String::new())
    }
}

/// An address up to its path: what follows may hold a key.
fn shown(url: &str) -> String {
    url.split(['?', '#']).next().unwrap_or_default().to_owned()
}
