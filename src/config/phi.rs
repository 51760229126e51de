//! What is configured about the sealed boundary: where keys are, and how much metadata tells.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::sections::{Secret, text};

/// The sealed boundary.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct PhiSection {
    /// Whose installation it is; a token opens only under the tenant that sealed it.
    #[serde(deserialize_with = "text")]
    pub tenant: String,
    /// Where the master key is.
    pub provider: KeyProvider,
    /// The file with the master key.
    pub key_file: PathBuf,
    /// The master key itself, in base64; wins over the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub master_key: Option<Secret>,
    /// Data keys that a lower version of the master key wraps are refused.
    pub minimum_master_version: u32,
    /// The file with the wrapped data keys and the audit. It is made where it does not exist.
    pub keyring_file: PathBuf,
    /// The PostgreSQL database with the wrapped data keys and the audit; wins over the file.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub keyring_url: Option<Secret>,
    /// How much metadata tells.
    pub profile: PrivacyProfile,
}

impl PhiSection {
    /// Whether the master key is in a file that AUREN makes itself.
    #[must_use]
    pub fn makes_its_key(&self) -> bool {
        self.provider == KeyProvider::File && self.master_key.is_none()
    }
}

impl Default for PhiSection {
    fn default() -> Self {
        Self {
            tenant: "default".to_owned(),
            provider: KeyProvider::File,
            key_file: "auren-data/master.key".into(),
            master_key: None,
            minimum_master_version: 0,
            keyring_file: "auren-data/keyring.db".into(),
            keyring_url: None,
            profile: PrivacyProfile::Coarse,
        }
    }
}

/// Where the master key is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum KeyProvider {
    /// In a file that is made where it does not exist: for development.
    #[default]
    File,
    /// In a secret that the node is given: `phi.master_key`, or the key file, which must be there.
    Secret,
    /// In the transit engine of a HashiCorp Vault or OpenBao.
    Vault,
}

/// The vault that holds the master key.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct VaultSection {
    /// Its address, such as `https://vault:8200`.
    pub address: String,
    /// Where the transit engine is mounted.
    pub mount: String,
    /// The name of the key there.
    pub key: String,
    /// The namespace; none where empty.
    pub namespace: String,
    /// The node's token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<Secret>,
    /// A file of certificates (PEM) to trust besides the system's; none where empty.
    pub ca_file: String,
}

impl Default for VaultSection {
    fn default() -> Self {
        Self {
            address: "https://127.0.0.1:8200".to_owned(),
            mount: "transit".to_owned(),
            key: "auren".to_owned(),
            namespace: String::new(),
            token: None,
            ca_file: String::new(),
        }
    }
}

/// How much metadata tells about a sealed value.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PrivacyProfile {
    /// Rank and severity in steps, no mean, no standard deviation.
    #[default]
    Coarse,
    /// The full numbers. They give the value away: see SECURITY.md for how closely.
    Exact,
}
