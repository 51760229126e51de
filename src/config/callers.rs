//! What somebody may do over HTTP, and the programs that may call with a fixed token.

use std::{collections::BTreeMap, str::FromStr};

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::sections::Secret;
use crate::phi::detokenise::{Caps, Purpose};

/// The callers by name.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CallersSection(pub BTreeMap<String, CallerSection>);

/// One caller.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CallerSection {
    /// Its token: at least 24 characters.
    pub token: Secret,
    /// What it may do.
    pub scopes: Vec<Scope>,
}

/// How much one caller may open; see [`Caps`].
pub type DetokenizeSection = Caps;

/// Something that may be done over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Chat as oneself.
    Chat,
    /// Send readings.
    Readings,
    /// Erase people.
    Erase,
    /// See how the hub does, and send dead letters again.
    Ops,
    /// See what anybody wrote and was told.
    OpsContent,
    /// Open tokens for this purpose.
    Detokenize(Purpose),
}

impl Scope {
    /// Its name: `chat`, `readings`, `erase`, `ops`, `ops:content`, `detokenize:care`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Chat => "chat".to_owned(),
            Self::Readings => "readings".to_owned(),
            Self::Erase => "erase".to_owned(),
            Self::Ops => "ops".to_owned(),
            Self::OpsContent => "ops:content".to_owned(),
            Self::Detokenize(purpose) => format!("detokenize:{}", purpose.name()),
        }
    }

    fn all() -> impl Iterator<Item = Scope> {
        let purposes = Purpose::ALL.iter().map(|purpose| Self::Detokenize(*purpose));
        [Self::Chat, Self::Readings, Self::Erase, Self::Ops, Self::OpsContent].into_iter().chain(purposes)
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        String::deserialize(input)?.parse().map_err(serde::de::Error::custom)
    }
}

impl FromStr for Scope {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::all().find(|scope| scope.name() == name).ok_or_else(|| {
            let all: Vec<_> = Self::all().map(Self::name).collect();
            format!("there is no scope {name:?}; the scopes are {}", all.join(", "))
        })
    }
}
