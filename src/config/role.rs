//! The roles a node can run: their groups, their topics, and what each answers for.

use serde::{Deserialize, Deserializer, Serialize};

use crate::bus::Topic;

/// A part of the river that a node can run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Sealed readings become biometric events.
    Enrich,
    /// Biometric events become triggers.
    Detect,
    /// Triggers and messages become conversations.
    Converse,
    /// Events become rows of the history. It has no lanes and no states.
    Project,
}

impl Role {
    /// Every role.
    pub const ALL: &'static [Role] = &[Self::Enrich, Self::Detect, Self::Converse, Self::Project];

    /// The roles that work on lanes: with a consumer group, session actors and states.
    pub const ON_LANES: &'static [Role] = &[Self::Enrich, Self::Detect, Self::Converse];

    /// The names of all, as a person reads them.
    pub(super) fn all_names() -> String {
        Self::ALL.iter().map(|role| role.name()).collect::<Vec<_>>().join(", ")
    }

    /// The role's name.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Enrich => "enrich",
            Self::Detect => "detect",
            Self::Converse => "converse",
            Self::Project => "project",
        }
    }

    /// Its consumer group, before any prefix. `project` joins none: its database knows its offsets.
    #[must_use]
    pub fn group(self) -> &'static str {
        match self {
            Self::Enrich => "auren-enrich",
            Self::Detect => "auren-detect",
            Self::Converse => "auren-converse",
            Self::Project => "auren-project",
        }
    }

    /// The topics it reads.
    #[must_use]
    pub fn inputs(self) -> &'static [Topic] {
        match self {
            Self::Enrich => &[Topic::Readings],
            Self::Detect => &[Topic::Biometrics],
            Self::Converse => &[Topic::Biometrics, Topic::Triggers, Topic::Inbox],
            Self::Project => &[Topic::Biometrics, Topic::Triggers, Topic::Events, Topic::System],
        }
    }

    /// Whether it is the role that answers for bad records of an input topic: of all roles that read the topic, one moves
    /// what is misplaced and files the dead letters, and the others pass over.
    #[must_use]
    pub fn answers_for(self, topic: Topic) -> bool {
        match self {
            Self::Enrich => topic == Topic::Readings,
            Self::Detect => topic == Topic::Biometrics,
            Self::Converse => matches!(topic, Topic::Triggers | Topic::Inbox),
            Self::Project => false,
        }
    }

    /// Where it passes on that a person is to be forgotten, so that whoever comes behind forgets them after the last of
    /// what this role made of them.
    #[must_use]
    pub fn passes_on(self) -> Option<Topic> {
        match self {
            Self::Enrich => Some(Topic::Biometrics),
            Self::Detect => Some(Topic::Triggers),
            Self::Converse | Self::Project => None,
        }
    }

    /// The compacted topic that holds its users' states, where it works on lanes.
    #[must_use]
    pub fn state_topic(self) -> Option<Topic> {
        match self {
            Self::Enrich => Some(Topic::StateEnrich),
            Self::Detect => Some(Topic::StateDetect),
            Self::Converse => Some(Topic::StateConverse),
            Self::Project => None,
        }
    }
}

/// A list of roles, or their names with commas between them.
pub(super) fn roles<'de, D: Deserializer<'de>>(input: D) -> Result<Vec<Role>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged, expecting = "a list of roles, or their names with commas between them")]
    enum Named {
        List(Vec<String>),
        Line(String),
    }
    let names = match Named::deserialize(input)? {
        Named::List(names) => names,
        Named::Line(line) => line.split(',').map(|name| name.trim().to_owned()).collect(),
    };
    let role = |name: &String| {
        Role::ALL.iter().copied().find(|role| role.name() == name).ok_or_else(|| {
            serde::de::Error::custom(format!("there is no role {name:?}; the roles are {}", Role::all_names()))
        })
    };
    names.iter().map(role).collect()
}
