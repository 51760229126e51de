//! Why there is no key, and why a token did not open. Neither ever repeats a key or a value.

use std::path::PathBuf;

/// Why a token did not open. What is wrong with its bytes is not told: that would help whoever forges one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PhiError {
    /// It is not a token of this kind.
    #[error("is not a phi1 token")]
    NotAToken,
    /// A later version wrote it.
    #[error("is a token of a version that this AUREN does not know; update it")]
    UnknownSuite,
    /// Another keyring's key sealed it.
    #[error("was sealed with another keyring; give this node the one that sealed it (`phi.keyring_file` or `_url`)")]
    UnknownKeyring,
    /// Another data key sealed it: another person's, or one that is no more.
    #[error("was sealed under another data key than this person's")]
    UnknownKey,
    /// It was altered, or it belongs to another event, type or field.
    #[error("does not open for this user, event and type")]
    DoesNotOpen,
    /// A name that is too long for the fixed-width form.
    #[error("has a measure or a unit of more than 32 bytes")]
    TooWide,
    /// More was sealed with a key than was set aside for it.
    #[error("needs more seals than were set aside for this data key")]
    Spent,
}

impl PhiError {
    /// The class of the cause, for programs.
    #[must_use]
    pub fn class(self) -> &'static str {
        match self {
            Self::NotAToken => "not_a_token",
            Self::UnknownSuite => "unknown_token_version",
            Self::UnknownKeyring | Self::UnknownKey => "unknown_key",
            Self::DoesNotOpen | Self::TooWide | Self::Spent => "does_not_open",
        }
    }
}

/// Why there is no key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// The file of master keys cannot be read, made or used.
    #[error("the key file {}: {why}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What failed, and what to do.
        why: String,
    },
    /// The text is not a list of master keys.
    #[error(
        "a master key is 32 bytes in base64, such as `openssl rand -base64 32` prints; of several, each but a first one \
         has its version before it, such as v2:..., and no version comes twice"
    )]
    NotAKey,
    /// The keyring does not answer.
    #[error("the keyring {keyring}: {why}")]
    Keyring {
        /// Where it is.
        keyring: String,
        /// What failed.
        why: String,
    },
    /// The vault does not answer, or refuses.
    #[error("the vault {vault}: {why}")]
    Vault {
        /// Where it is.
        vault: String,
        /// What failed.
        why: String,
    },
    /// The vault answers, and does not unwrap this one key: its text is damaged, or its version is below the least that the
    /// vault decrypts.
    #[error("the vault does not unwrap the data key: {why}")]
    NotUnwrapped {
        /// What it said.
        why: String,
    },
    /// Nobody ever sealed anything for this person here.
    #[error("there is no data key of this person in this keyring")]
    NoKey,
    /// The person was erased.
    #[error("this person was erased: their data key was destroyed, and none is made for them again")]
    Erased,
    /// A version of the master key that this node does not have.
    #[error("version {0} of the master key is not among this node's keys")]
    UnknownMaster(u32),
    /// The wrapped key is under a master key that is too old.
    #[error(
        "the data key is wrapped by version {version} of the master key, and {minimum} is the least allowed; rewrap it"
    )]
    TooOld {
        /// The version that wraps it.
        version: u32,
        /// `phi.minimum_master_version`.
        minimum: u32,
    },
    /// What the keyring holds is no key of this person.
    #[error("the data key in the keyring is damaged, or another person's")]
    Damaged,
    /// As much was sealed under the data key as is safe.
    #[error("the data key has sealed as many messages as is safe, and seals no more")]
    Spent,
}

impl KeyError {
    /// Whether it may be over when one asks again: the keyring or the vault was away.
    #[must_use]
    pub fn is_passing(&self) -> bool {
        matches!(self, Self::Keyring { .. } | Self::Vault { .. })
    }

    /// The class of the cause, for programs.
    #[must_use]
    pub fn class(&self) -> &'static str {
        match self {
            Self::Erased => "erased",
            Self::Spent => "key_spent",
            _ => "unknown_key",
        }
    }
}
