//! The master key: it wraps data keys and does nothing else.
//!
//! [`Local`] holds it in this process, from a file or from a secret that the node was given; [`Vault`] leaves it where it
//! is and asks there. A wrapped key says who wrapped it and under which version: `local:v2:…`, `vault:v7:…`.

mod local;
mod vault;

use async_trait::async_trait;
use zeroize::Zeroizing;

pub use local::{Local, MASTER_KEY_BYTES};
pub use vault::{Vault, VaultSettings};

use super::KeyError;

/// Wraps data keys under a master key that has versions.
#[async_trait]
pub trait Master: std::fmt::Debug + Send + Sync {
    /// Where the key is, in words.
    fn describe(&self) -> String;

    /// Wraps bytes under the primary version.
    async fn wrap(&self, plain: &[u8]) -> Result<String, KeyError>;

    /// Unwraps what any version wrapped.
    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError>;

    /// The same under the primary version. Nobody outside sees what is wrapped.
    async fn rewrap(&self, wrapped: &str) -> Result<String, KeyError>;

    /// The version that wraps now.
    async fn primary(&self) -> Result<u32, KeyError>;
}

/// The version in the text of a wrapped key.
pub(super) fn version(wrapped: &str) -> Option<u32> {
    wrapped.split(':').nth(1)?.strip_prefix('v')?.parse().ok()
}
