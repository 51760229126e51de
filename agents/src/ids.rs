//! The names of things: opaque strings with a bound, and ids derived from a cause.
//!
//! An id is shared, not copied, when it is cloned: it goes with everything that is said about it. An agent's, which is short
//! and the same for everybody, lies in the value itself.
//! Ids arrive from other people's producers, so they are plain strings and not necessarily UUIDs.
//! Ids that AUREN makes are UUIDv5 over what caused them: the same cause gives the same id, however often it is worked.

use std::{borrow::Cow, fmt, marker::PhantomData, sync::Arc};

use compact_str::CompactString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};
use sha1::{Digest, Sha1};
use uuid::{Builder, Uuid};

use crate::text::Unfit;

/// The longest id in bytes.
pub const ID_MAX: usize = 128;

/// The name space of every id that AUREN derives.
const NAMESPACE: Uuid = Uuid::from_u128(0x6175_7265_6e00_5000_8000_6875_622e_7631);

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident($held:ty);)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name($held);

        impl $name {
            /// Takes an id of 1 to 128 bytes without control characters.
            ///
            /// # Errors
            /// [`Unfit`] says which bound was broken; it never repeats the text.
            pub fn new(id: impl AsRef<str>) -> Result<Self, Unfit> {
                let id = id.as_ref();
                fits(id)?;
                Ok(Self(id.into()))
            }

            /// The id that follows from `cause`: the same parts in the same order always give the same id.
            #[must_use]
            pub fn derived(cause: &[&str]) -> Self {
                let mut text = Uuid::encode_buffer();
                let text: &str = derive(stringify!($name), cause).hyphenated().encode_lower(&mut text);
                Self(text.into())
            }

            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = Unfit;

            fn try_from(id: String) -> Result<Self, Unfit> {
                Self::new(id)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(input: D) -> Result<Self, D::Error> {
                input.deserialize_str(Id(PhantomData)).map(Self)
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, output: S) -> Result<S::Ok, S::Error> {
                output.serialize_str(&self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "minLength": 1, "maxLength": ID_MAX })
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    )*};
}

ids! {
    /// A person, as a random surrogate: never an e-mail address, nor a hash of one.
    UserId(Arc<str>);
    /// A record: a biometric, a trigger, a conversation event, a message.
    EventId(Arc<str>);
    /// A run of turns that no long silence interrupts.
    ConversationId(Arc<str>);
    /// An agent, as named in `recommended_agents` and in a person's mention.
    AgentId(CompactString);
    /// One question to one agent. Asked again after a crash, it keeps this id.
    ConsultId(Arc<str>);
}

fn fits(id: &str) -> Result<(), Unfit> {
    if id.is_empty() {
        return Err(Unfit::Empty);
    }
    if id.len() > ID_MAX {
        return Err(Unfit::TooLong { max: ID_MAX, len: id.len() });
    }
    // Nearly all ids are printable ASCII, which is seen without decoding them, and at once: the loop has no early end.
    let printable = id.bytes().fold(true, |printable, byte| printable & matches!(byte, b' '..=b'~'));
    if !printable && id.chars().any(char::is_control) {
        return Err(Unfit::Control);
    }
    Ok(())
}

/// Reads an id where it lies, without a copy in between.
struct Id<T>(PhantomData<T>);

impl<T: for<'a> From<&'a str>> Visitor<'_> for Id<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E: de::Error>(self, id: &str) -> Result<T, E> {
        fits(id).map_err(E::custom)?;
        Ok(id.into())
    }
}

/// UUIDv5 over a kind and the parts of a cause.
pub(crate) fn derive(kind: &str, cause: &[&str]) -> Uuid {
    // Six of these stand behind an answered trigger, so they are hashed by the processor's own instructions, where it has
    // them.
    let mut name = Sha1::new().chain_update(NAMESPACE.as_bytes()).chain_update(kind);
    for part in cause {
        // The length in front keeps ["ab", "c"] and ["a", "bc"] apart.
        name.update(u64::try_from(part.len()).unwrap_or(u64::MAX).to_le_bytes());
        name.update(part);
    }
    let digest: [u8; 20] = name.finalize().into();
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    Builder::from_sha1_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_derived_id_depends_on_every_part_and_on_their_borders() {
        let id = EventId::derived(&["ab", "c"]);
        assert_eq!(id, EventId::derived(&["ab", "c"]));
        assert_ne!(id, EventId::derived(&["a", "bc"]));
        assert_ne!(id.as_str(), ConsultId::derived(&["ab", "c"]).as_str());
    }

    #[test]
    fn an_id_is_any_short_printable_text() {
        assert!(UserId::new("user_hash").is_ok());
        assert_eq!(UserId::new(""), Err(Unfit::Empty));
        assert_eq!(UserId::new("a\nb"), Err(Unfit::Control));
        assert_eq!(UserId::new("x".repeat(129)), Err(Unfit::TooLong { max: 128, len: 129 }));
    }
}
