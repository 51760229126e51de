//! Whose JSON Web Tokens the node believes.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::sections::{Secret, text};

/// Whose tokens are believed, on every route that asks who somebody is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TokensSection {
    /// What signs tokens (HS256), at least 32 characters.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<Secret>,
    /// Where the secret is kept that a development node makes itself when no other key is given.
    pub secret_file: PathBuf,
    /// A public key (PEM) of whoever signs tokens; with it the secret is not used. Empty: none.
    pub public_key_file: PathBuf,
    /// How a token is signed that the public key verifies.
    pub algorithm: SignatureKind,
    /// The `iss` that a token must have.
    #[serde(deserialize_with = "text")]
    pub issuer: String,
    /// The `aud` that a token must have.
    #[serde(deserialize_with = "text")]
    pub audience: String,
}

/// How a token may be signed where a public key verifies it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SignatureKind {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// Ed25519.
    #[default]
    EdDSA,
}

impl Default for TokensSection {
    fn default() -> Self {
        Self {
            secret: None,
            secret_file: "auren-data/tokens.secret".into(),
            public_key_file: PathBuf::new(),
            algorithm: SignatureKind::default(),
            issuer: "auren".to_owned(),
            audience: "auren".to_owned(),
        }
    }
}

impl TokensSection {
    /// The first key whose value must not be, and what it must be.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let faults = [
            (
                self.secret.as_ref().is_some_and(|secret| secret.reveal().len() < 32),
                "tokens.secret",
                "must have at least 32 characters, such as `openssl rand -hex 32` prints",
            ),
            (self.issuer.is_empty(), "tokens.issuer", "must not be empty"),
            (self.audience.is_empty(), "tokens.audience", "must not be empty"),
        ];
        faults.into_iter().find(|(wrong, ..)| *wrong).map(|(_, key, why)| (key, why))
    }
}
