//! The sections and their defaults.

use std::{collections::BTreeMap, fmt, fs, path::PathBuf, time::Duration};

use auren_agents::events::PanelMode;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::role::{Role, roles};
use crate::{consult::ConsultSettings, converse::Route};

/// Text, also where a variable of the environment looks like a number or a truth value.
pub(super) fn text<'de, D: Deserializer<'de>>(input: D) -> Result<String, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "text")]
    enum Word {
        Text(String),
        Whole(i64),
        Truth(bool),
    }
    Ok(match Word::deserialize(input)? {
        Word::Text(text) => text,
        Word::Whole(number) => number.to_string(),
        Word::Truth(truth) => truth.to_string(),
    })
}

/// This node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct NodeSection {
    /// The node's own name, stable over restarts and different from every other node's.
    #[serde(deserialize_with = "text")]
    pub id: String,
    /// The roles it runs.
    #[serde(deserialize_with = "roles")]
    pub roles: Vec<Role>,
    /// Whether it is in earnest.
    pub profile: NodeProfile,
}

/// Whether a node is in earnest.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeProfile {
    /// For trying and developing.
    #[default]
    Dev,
    /// With real people's data: what is only good for development is refused.
    Prod,
}

impl Default for NodeSection {
    fn default() -> Self {
        Self { id: "node-1".to_owned(), roles: Role::ALL.to_vec(), profile: NodeProfile::Dev }
    }
}

/// Which bus.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BusSection {
    /// `embedded` or `kafka`.
    pub kind: BusKind,
}

/// Which bus.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum BusKind {
    /// One SQLite file: no service, one process.
    #[default]
    Embedded,
    /// An Apache Kafka cluster.
    Kafka,
}

/// The bus on one file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EmbeddedSection {
    /// The file. It is made where it does not exist.
    pub file: PathBuf,
}

impl Default for EmbeddedSection {
    fn default() -> Self {
        Self { file: "auren-data/auren.db".into() }
    }
}

/// Redis, as session storage: snapshots of states. It may be emptied at any moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisSection {
    /// `rediss://[user:password@]host:port/[database]`, or `redis://` without TLS. Without it all states of the partitions
    /// held are in memory.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// A file of certificates (PEM) that may sign Redis's; the system's where empty.
    pub ca_file: PathBuf,
    /// The node's own certificate (PEM), where Redis asks for one; none where empty.
    pub certificate_file: PathBuf,
    /// The key of that certificate.
    pub key_file: PathBuf,
    /// Stands before every key; another installation on the same Redis needs another one.
    #[serde(deserialize_with = "text")]
    pub prefix: String,
    /// A Redis that takes longer than this for an answer counts as away.
    pub timeout_ms: u64,
    /// How often what was committed is written.
    pub flush_ms: u64,
}

impl Default for RedisSection {
    fn default() -> Self {
        Self {
            url: None,
            ca_file: PathBuf::new(),
            certificate_file: PathBuf::new(),
            key_file: PathBuf::new(),
            prefix: "auren:".to_owned(),
            timeout_ms: 1_000,
            flush_ms: 500,
        }
    }
}

/// The topics that `topics create` creates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TopicsSection {
    /// Partitions of every topic. It cannot be changed later without moving users.
    pub partitions: i32,
    /// Replicas of every topic.
    pub replication: i32,
}

impl Default for TopicsSection {
    fn default() -> Self {
        Self { partitions: 12, replication: 1 }
    }
}

/// How the node works.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LanesSection {
    /// Threads for each role. Each has its own share of the partitions.
    pub threads_per_role: usize,
    /// Most records of one commit.
    pub max_batch: usize,
    /// Most session actors that one thread keeps; those idle longest go first and come back when needed.
    pub max_resident: usize,
    /// A user of whom so many turns in a row failed is parked: their records become dead letters untried.
    pub park_after: u32,
    /// The time after which one record of a parked user is tried.
    pub park_ms: u64,
    /// A thread to whom nothing comes for so long, although records wait in its partitions, joins again.
    pub watchdog_seconds: u64,
}

impl Default for LanesSection {
    fn default() -> Self {
        Self {
            threads_per_role: 1,
            max_batch: 1000,
            max_resident: 50_000,
            park_after: 3,
            park_ms: 60_000,
            watchdog_seconds: 30,
        }
    }
}

/// The role that finds triggers.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct DetectSection {
    /// A folder of rules (`*.yaml`), added to the shipped ones or put in their place by id; empty for none.
    pub rules_folder: PathBuf,
}

impl DetectSection {
    /// The folder, where there is one.
    #[must_use]
    pub fn folder(&self) -> Option<&std::path::Path> {
        (!self.rules_folder.as_os_str().is_empty()).then_some(&*self.rules_folder)
    }
}

/// Conversations.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ConverseSection {
    /// A silence of this length ends a conversation; the next turn begins a new one.
    pub quiet_minutes: u32,
    /// How long one agent has for one answer.
    pub agent_deadline_ms: u64,
    /// How long those agents have that do not have as long as the others, by name.
    pub agent_deadlines_ms: BTreeMap<String, u64>,
    /// How the agents of a panel are asked.
    pub panel: PanelMode,
    /// How those panels are asked that are asked otherwise, by the trigger's type, or `message`.
    pub panels: BTreeMap<String, PanelMode>,
    /// How often the agents of one turn may ask another to go on.
    pub max_hand_offs: u32,
    /// The agent that is asked last where several have answered, having read them all; nobody where it is empty.
    #[serde(deserialize_with = "text")]
    pub summary_agent: String,
    /// What decides who is meant by a message that is addressed to nobody, in this order.
    pub routing: Vec<Route>,
    /// The agent that answers a message which is nobody's business in particular.
    #[serde(deserialize_with = "text")]
    pub default_agent: String,
    /// The agent that answers in the place of one that did not; nobody where it is empty.
    #[serde(deserialize_with = "text")]
    pub fallback_agent: String,
    /// How often one question is asked at most, where the agent is not available or fails.
    pub agent_attempts: u32,
    /// The pause before the second attempt; it doubles with each further one, and a random half of it is left out.
    pub agent_retry_ms: u64,
    /// Most questions to one agent that may be open on this node. More are answered as not available.
    pub agent_max_open: usize,
    /// So many questions in a row without an answer open an agent's circuit: the next are answered as not available.
    pub agent_circuit_failures: u32,
    /// How long the circuit stays open before one question tries whether the agent is back.
    pub agent_circuit_ms: u64,
}

impl ConverseSection {
    /// How the node deals with agents that do not answer.
    #[must_use]
    pub fn consults(&self) -> ConsultSettings {
        ConsultSettings {
            attempts: self.agent_attempts,
            retry_pause: Duration::from_millis(self.agent_retry_ms),
            max_open: self.agent_max_open,
            circuit_failures: self.agent_circuit_failures,
            circuit_pause: Duration::from_millis(self.agent_circuit_ms),
        }
    }
}

impl Default for ConverseSection {
    fn default() -> Self {
        Self {
            quiet_minutes: 360,
            agent_deadline_ms: 20_000,
            agent_deadlines_ms: BTreeMap::new(),
            panel: PanelMode::Ordered,
            panels: BTreeMap::new(),
            max_hand_offs: 3,
            summary_agent: String::new(),
            routing: Route::ALL.to_vec(),
            default_agent: "coach".to_owned(),
            fallback_agent: String::new(),
            agent_attempts: 3,
            agent_retry_ms: 500,
            agent_max_open: 1000,
            agent_circuit_failures: 5,
            agent_circuit_ms: 15_000,
        }
    }
}

/// The history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ProjectSection {
    /// `postgres://user:password@host:port/database?sslmode=...`, or `sqlite:FILE` for one node. Without it there is a history
    /// on the embedded bus only, in a file beside the bus's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url: Option<Secret>,
    /// Most records of one transaction.
    pub max_batch: usize,
    /// TimescaleDB compresses rows after so many days; never where 0.
    pub compress_after_days: u32,
    /// TimescaleDB drops rows after so many days; never where 0.
    pub keep_days: u32,
    /// Most connections of a node that only read, for the history over HTTP.
    pub max_readers: u32,
    /// How long an answer from the history may take over HTTP.
    pub read_limit_ms: u64,
}

impl Default for ProjectSection {
    fn default() -> Self {
        Self { url: None, max_batch: 2000, compress_after_days: 30, keep_days: 0, max_readers: 4, read_limit_ms: 5000 }
    }
}

/// What the node logs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LogSection {
    /// A level, or directives such as `info,auren::lane=debug`.
    pub level: String,
    /// `text` or `json`.
    pub format: LogFormat,
}

impl Default for LogSection {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Text }
    }
}

/// How log lines look.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// For programs: one JSON object a line.
    Json,
}

/// A value that is never shown. It stands in the configuration, or in a file that stands there as `{ file = "..." }`.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Given")]
pub struct Secret(String);

#[derive(Deserialize)]
#[serde(untagged, expecting = "text, or { file = \"...\" } with the file that holds it")]
enum Given {
    Text(String),
    File { file: PathBuf },
}

impl TryFrom<Given> for Secret {
    type Error = String;

    fn try_from(given: Given) -> Result<Self, String> {
        let file = match given {
            Given::Text(text) => return Ok(Self(text)),
            Given::File { file } => file,
        };
        let text = fs::read_to_string(&file);
        let text = text.map_err(|error| format!("the file {} cannot be read: {error}", file.display()))?;
        // Editors end a file with a line end, which belongs to no secret.
        match text.trim_end_matches(['\r', '\n']) {
            "" => Err(format!("the file {} is empty", file.display())),
            text => Ok(Self(text.to_owned())),
        }
    }
}

impl Secret {
    /// The value itself, for whoever must use it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl From<String> for Secret {
    fn from(value: String) -> Self {
        Self(value)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl Serialize for Secret {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str("(hidden)")
    }
}
