//! The topics of the river, by name.

use std::{
    collections::BTreeSet,
    fmt,
    sync::{PoisonError, RwLock},
};

/// The names that configurations gave, for as long as the process lives.
static CONFIGURED: RwLock<BTreeSet<&'static str>> = RwLock::new(BTreeSet::new());

/// A topic that AUREN reads or writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Topic {
    /// Sealed readings, from intake to enrich.
    Readings,
    /// Biometric events, from enrich or from outside producers.
    Biometrics,
    /// Triggers, from detect or from outside producers.
    Triggers,
    /// What people do, from the gateway.
    Inbox,
    /// Conversation events, from converse.
    Events,
    /// What the hub itself did.
    System,
    /// Rules that were pushed, by id.
    Rules,
    /// The newest state per user of enrich, sealed.
    StateEnrich,
    /// The newest state per user of detect.
    StateDetect,
    /// The newest state per user of converse.
    StateConverse,
    /// Dead letters of [`Topic::Readings`].
    ReadingsDlq,
    /// Dead letters of [`Topic::Biometrics`].
    BiometricsDlq,
    /// Dead letters of [`Topic::Triggers`].
    TriggersDlq,
    /// Dead letters of [`Topic::Inbox`].
    InboxDlq,
    /// One that the configuration names ([`Topic::configured`]), beside the river: what agents are asked and answer.
    Configured(&'static str),
}

/// How a topic forgets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cleanup {
    /// By age.
    Delete,
    /// All but the newest record of a key.
    Compact,
}

impl Topic {
    /// Every topic of the river, in its order.
    pub const ALL: &'static [Topic] = &[
        Self::Readings,
        Self::Biometrics,
        Self::Triggers,
        Self::Inbox,
        Self::Events,
        Self::System,
        Self::Rules,
        Self::StateEnrich,
        Self::StateDetect,
        Self::StateConverse,
        Self::ReadingsDlq,
        Self::BiometricsDlq,
        Self::TriggersDlq,
        Self::InboxDlq,
    ];

    /// The topics that must share one partition count, so that partition *p* of each holds the same users.
    pub const RIVER: &'static [Topic] = Self::ALL;

    /// The topic that a configuration names; one of the river where it has that name. A bus sees it from now on.
    #[must_use]
    pub fn configured(name: &str) -> Self {
        if let Some(known) = Self::named(name) {
            return known;
        }
        let mut names = CONFIGURED.write().unwrap_or_else(PoisonError::into_inner);
        // Configurations are few, and so are the names in one.
        let name = names.get(name).copied().unwrap_or_else(|| Box::leak(name.into()));
        names.insert(name);
        Self::Configured(name)
    }

    /// The topic's name, before any prefix.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Readings => "health.readings",
            Self::Biometrics => "health.biometrics",
            Self::Triggers => "triggers.detected",
            Self::Inbox => "conversations.inbox",
            Self::Events => "conversations.events",
            Self::System => "system.events",
            Self::Rules => "auren.rules",
            Self::StateEnrich => "auren.state.enrich",
            Self::StateDetect => "auren.state.detect",
            Self::StateConverse => "auren.state.converse",
            Self::ReadingsDlq => "health.readings.dlq",
            Self::BiometricsDlq => "health.biometrics.dlq",
            Self::TriggersDlq => "triggers.detected.dlq",
            Self::InboxDlq => "conversations.inbox.dlq",
            Self::Configured(name) => name,
        }
    }

    /// The topic of that name, without a prefix.
    #[must_use]
    pub fn named(name: &str) -> Option<Topic> {
        let known = Self::ALL.iter().copied().find(|topic| topic.name() == name);
        known.or_else(|| {
            let names = CONFIGURED.read().unwrap_or_else(PoisonError::into_inner);
            names.get(name).map(|name| Self::Configured(name))
        })
    }

    /// Where records of this topic go that nobody can use.
    #[must_use]
    pub fn dead_letters(self) -> Option<Topic> {
        match self {
            Self::Readings => Some(Self::ReadingsDlq),
            Self::Biometrics => Some(Self::BiometricsDlq),
            Self::Triggers => Some(Self::TriggersDlq),
            Self::Inbox => Some(Self::InboxDlq),
            _ => None,
        }
    }

    /// Whether it holds dead letters.
    #[must_use]
    pub fn is_dead_letters(self) -> bool {
        Self::ALL.iter().any(|living| living.dead_letters() == Some(self))
    }

    /// How the topic forgets.
    #[must_use]
    pub fn cleanup(self) -> Cleanup {
        match self {
            Self::Rules | Self::StateEnrich | Self::StateDetect | Self::StateConverse => Cleanup::Compact,
            _ => Cleanup::Delete,
        }
    }

    /// The largest record the topic takes, in bytes. Dead letters take more, because what is too large must go there.
    #[must_use]
    pub fn max_record_bytes(self) -> usize {
        match self {
            Self::ReadingsDlq | Self::BiometricsDlq | Self::TriggersDlq | Self::InboxDlq => 8 * 1024 * 1024,
            _ => 1024 * 1024,
        }
    }
}

impl fmt::Display for Topic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A topic to create.
#[derive(Debug, Clone, Copy)]
pub struct TopicSpec {
    /// The topic.
    pub topic: Topic,
    /// How many partitions.
    pub partitions: i32,
    /// How many replicas; the embedded bus keeps one whatever is asked.
    pub replication: i32,
}

/// A topic that exists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
pub struct TopicInfo {
    /// The topic.
    #[serde(serialize_with = "by_name")]
    pub topic: Topic,
    /// How many partitions it has.
    pub partitions: i32,
}

fn by_name<S: serde::Serializer>(topic: &Topic, output: S) -> Result<S::Ok, S::Error> {
    output.serialize_str(topic.name())
}
