//! Who may call the node over HTTP, and what each may do.

use std::collections::BTreeMap;

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

/// Something that a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Send readings.
    Readings,
    /// Erase people.
    Erase,
    /// Open tokens for this purpose.
    Detokenize(Purpose),
}

impl Scope {
    /// Its name: `readings`, `erase`, `detokenize:care`.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::Readings => "readings".to_owned(),
            Self::Erase => "erase".to_owned(),
            Self::Detokenize(purpose) => format!("detokenize:{}", purpose.name()),
        }
    }

    fn all() -> impl Iterator<Item = Scope> {
        [Self::Readings, Self::Erase].into_iter().chain(Purpose::ALL.iter().map(|purpose| Self::Detokenize(*purpose)))
    }
}

impl Serialize for Scope {
    fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
        output.serialize_str(&self.name())
    }
}

impl<'de> Deserialize<'de> for Scope {
    fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
        let name = String::deserialize(input)?;
        Self::all().find(|scope| scope.name() == name).ok_or_else(|| {
            let all: Vec<_> = Self::all().map(Self::name).collect();
            serde::de::Error::custom(format!("there is no scope {name:?}; the scopes are {}", all.join(", ")))
        })
    }
}
