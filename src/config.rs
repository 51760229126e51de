//! What can be configured: one struct per section, its defaults, and what its values must be. No connection is opened here;
//! files are read that hold the configuration or a secret of it.
//!
//! Values come from, later ones winning: the defaults, a TOML file (`auren.toml`, or the one that `--config` names), the
//! environment (`AUREN__SECTION__KEY`), and flags. A key that nobody knows is an error.

mod agents;
mod callers;
mod chat;
mod converse;
mod earnest;
mod explain;
mod http;
mod kafka;
mod load;
mod phi;
mod role;
mod sections;
mod telemetry;
mod tokens;

pub use self::http::{ForwardedBy, HttpSection, TlsSection};
pub use agents::{AgentsSection, HttpAgentSection, KafkaAgentSection, LlmAgentSection};
pub use callers::{CallerSection, CallersSection, DetokenizeSection, Scope};
pub use chat::ChatSection;
pub use earnest::{faults, in_earnest};
pub use explain::{Explained, Origin, explain};
pub use kafka::{KafkaSection, SaslMechanism, SecurityProtocol};
pub use load::{ConfigError, Source, load};
pub use phi::{KeyProvider, PhiSection, PrivacyProfile, VaultSection};
pub use role::Role;
pub use sections::{
    BusKind, BusSection, ConverseSection, DetectSection, EmbeddedSection, LanesSection, LogFormat, LogSection,
    NodeProfile, NodeSection, ProjectSection, RedisSection, Secret, TopicsSection,
};
pub use telemetry::TelemetrySection;
pub use tokens::{SignatureKind, TokensSection};

use serde::{Deserialize, Serialize};

/// The whole configuration, checked.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// This node.
    pub node: NodeSection,
    /// Which bus.
    pub bus: BusSection,
    /// The bus on one file.
    pub embedded: EmbeddedSection,
    /// The bus on Kafka.
    pub kafka: KafkaSection,
    /// Redis, as session storage.
    pub redis: RedisSection,
    /// The topics that `topics create` creates.
    pub topics: TopicsSection,
    /// The sealed boundary.
    pub phi: PhiSection,
    /// The vault that holds the master key.
    pub vault: VaultSection,
    /// Whose tokens are believed over HTTP.
    pub tokens: TokensSection,
    /// Programs that may call over HTTP with a fixed token.
    pub callers: CallersSection,
    /// How many tokens one caller may open.
    pub detokenize: DetokenizeSection,
    /// How the node works.
    pub lanes: LanesSection,
    /// What makes triggers.
    pub detect: DetectSection,
    /// Conversations.
    pub converse: ConverseSection,
    /// Agents outside the hub's own program.
    pub agents: AgentsSection,
    /// The history.
    pub project: ProjectSection,
    /// The node's own HTTP server.
    pub http: HttpSection,
    /// Chat for frontends.
    pub chat: ChatSection,
    /// What the node logs.
    pub log: LogSection,
    /// Traces for a collector.
    pub telemetry: TelemetrySection,
}

impl Config {
    /// Whether a node of this configuration opens or seals anything: only enrich and the callers' routes do.
    #[must_use]
    pub fn needs_keys(&self) -> bool {
        self.node.roles.contains(&Role::Enrich) || !self.callers.0.is_empty()
    }

    /// Where the history is: the database that is named, or on the embedded bus a file beside the bus's own, where a node
    /// of this configuration writes one.
    #[must_use]
    pub fn history(&self) -> Option<Secret> {
        let beside = || {
            let file = self.embedded.file.with_extension("history.db");
            Secret::from(crate::project::database::in_file(&file))
        };
        let writes = self.bus.kind == BusKind::Embedded && self.node.roles.contains(&Role::Project);
        self.project.url.clone().or_else(|| writes.then(beside))
    }
}
