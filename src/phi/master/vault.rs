//! The master key in HashiCorp Vault or OpenBao: the transit engine wraps and unwraps, and the key never comes here.
//!
//! The node's token needs `update` on `<mount>/encrypt/<key>`, `<mount>/decrypt/<key>` and `<mount>/rewrap/<key>`, and
//! `read` on `<mount>/keys/<key>`. Vault's own least version (`min_decryption_version`) holds there whatever is set here.

use std::time::Duration;

use async_trait::async_trait;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use vaultrs::{
    api::transit::responses::ReadKeyData,
    client::{VaultClient, VaultClientSettingsBuilder},
    error::ClientError,
    transit::{data, key},
};
use zeroize::{Zeroize as _, Zeroizing};

use super::Master;
use crate::phi::KeyError;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(10);

/// Where the vault is, and what to ask there.
#[derive(Clone)]
pub struct VaultSettings {
    /// Such as `https://vault:8200`.
    pub address: String,
    /// Where the transit engine is mounted.
    pub mount: String,
    /// The name of the key.
    pub key: String,
    /// The node's token.
    pub token: String,
    /// The namespace, where there is one.
    pub namespace: Option<String>,
    /// A file of certificates (PEM) to trust besides the system's.
    pub ca_file: Option<String>,
}

/// A key of a transit engine.
pub struct Vault {
    client: VaultClient,
    mount: String,
    key: String,
    at: String,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vault").field("at", &self.at).finish_non_exhaustive()
    }
}

impl Vault {
    /// A client of a vault, which is asked when it is first needed.
    ///
    /// # Errors
    /// [`KeyError::Vault`] where the settings cannot be used.
    pub fn new(settings: VaultSettings) -> Result<Self, KeyError> {
        let at = format!("{} ({}/{})", settings.address, settings.mount, settings.key);
        let failed = |why: String| KeyError::Vault { vault: at.clone(), why };
        // The client's own setter panics at what is no address.
        let address = settings.address.parse::<http::Uri>().ok();
        let scheme = address.as_ref().filter(|uri| uri.host().is_some()).and_then(|uri| uri.scheme_str());
        if !matches!(scheme, Some("http" | "https")) {
            return Err(failed("its address must be like https://vault:8200".to_owned()));
        }
        crate::tls::choose_provider();
        let built = VaultClientSettingsBuilder::default()
            .address(&settings.address)
            .token(settings.token)
            .namespace(settings.namespace)
            .ca_certs(settings.ca_file.into_iter().collect::<Vec<_>>())
            .identity(None)
            .verify(true)
            .timeout(Some(LIMIT))
            .build()
            .map_err(|error| failed(error.to_string()))?;
        let client = VaultClient::new(built).map_err(|error| failed(told(&error)))?;
        Ok(Self { client, mount: settings.mount, key: settings.key, at })
    }

    fn failed(&self, error: &ClientError) -> KeyError {
        KeyError::Vault { vault: self.at.clone(), why: told(error) }
    }

    /// Why a data key was not unwrapped. With 400 the vault refuses this one text, and will again; unless it has no such
    /// master key or was shown no token, which somebody can set right.
    fn not_unwrapped(&self, error: &ClientError) -> KeyError {
        let settings = |said: &String| said.contains("key not found") || said.contains("missing client token");
        match error {
            ClientError::APIError { code: 400, errors } if !errors.iter().any(settings) => {
                KeyError::NotUnwrapped { why: told(error) }
            }
            _ => self.failed(error),
        }
    }
}

#[async_trait]
impl Master for Vault {
    fn describe(&self) -> String {
        format!("vault {}", self.at)
    }

    async fn wrap(&self, plain: &[u8]) -> Result<String, KeyError> {
        let text = Zeroizing::new(STANDARD.encode(plain));
        let answer = data::encrypt(&self.client, &self.mount, &self.key, &text, None).await;
        answer.map(|answer| answer.ciphertext).map_err(|error| self.failed(&error))
    }

    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
        // What another kind of master key wrapped is not the vault's to refuse.
        if !wrapped.starts_with("vault:") {
            return Err(KeyError::Damaged);
        }
        let answer = data::decrypt(&self.client, &self.mount, &self.key, wrapped, None).await;
        let mut text = answer.map_err(|error| self.not_unwrapped(&error))?.plaintext;
        let plain = STANDARD.decode(&text).map(Zeroizing::new).map_err(|_| KeyError::Damaged);
        text.zeroize();
        plain
    }

    async fn rewrap(&self, wrapped: &str) -> Result<String, KeyError> {
        let answer = data::rewrap(&self.client, &self.mount, &self.key, wrapped, None).await;
        answer.map(|answer| answer.ciphertext).map_err(|error| self.failed(&error))
    }

    async fn primary(&self) -> Result<u32, KeyError> {
        let answer = key::read(&self.client, &self.mount, &self.key).await.map_err(|error| self.failed(&error))?;
        let newest = match &answer.keys {
            ReadKeyData::Symmetric(versions) => versions.keys().filter_map(|version| version.parse().ok()).max(),
            ReadKeyData::Asymmetric(_) => None,
        };
        newest
            .ok_or_else(|| KeyError::Vault { vault: self.at.clone(), why: "the key is not a symmetric one".to_owned() })
    }
}

/// What the vault said. It repeats neither tokens nor what was to be wrapped.
fn told(error: &ClientError) -> String {
    match error {
        ClientError::APIError { code, errors } => format!("it answered {code}: {}", errors.join("; ")),
        other => {
            let source = std::error::Error::source(other).map(|source| format!(": {source}")).unwrap_or_default();
            format!("{other}{source}")
        }
    }
}
