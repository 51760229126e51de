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
    /// Where whoever signs tokens publishes their keys (JWKS): `https://...`, or a file. With it no other key is used.
    /// Empty: nowhere.
    #[serde(deserialize_with = "text")]
    pub jwks: String,
    /// How a token may be signed that a published key verifies.
    pub jwks_algorithms: Vec<SignatureKind>,
    /// How often published keys are read again.
    pub jwks_refresh_s: u64,
    /// The shortest time between two readings, however many tokens name a key that is not known.
    pub jwks_pause_ms: u64,
    /// How long published keys hold that cannot be read again.
    pub jwks_keep_s: u64,
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
            jwks: String::new(),
            jwks_algorithms: vec![SignatureKind::EdDSA, SignatureKind::ES256, SignatureKind::RS256],
            jwks_refresh_s: 300,
            jwks_pause_ms: 5_000,
            jwks_keep_s: 86_400,
            issuer: "auren".to_owned(),
            audience: "auren".to_owned(),
        }
    }
}

impl TokensSection {
    /// The address at which keys are published; none where it is a file, or nowhere.
    pub(crate) fn jwks_address(&self) -> Option<&str> {
        Some(&*self.jwks).filter(|place| place.starts_with("https://") || place.starts_with("http://"))
    }

    /// The first key whose value must not be, and what it must be.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let faults = [
            (
                self.secret.as_ref().is_some_and(|secret| secret.reveal().len() < 32),
                "tokens.secret",
                "must have at least 32 characters, such as `openssl rand -hex 32` prints",
            ),
            (
                !self.jwks.is_empty() && !self.public_key_file.as_os_str().is_empty(),
                "tokens.jwks",
                "must not be set beside tokens.public_key_file: one of them says who signs",
            ),
            (
                self.jwks_address().is_none() && self.jwks.contains("://"),
                "tokens.jwks",
                "must be https://host/path, or a file",
            ),
            (
                self.jwks_algorithms.is_empty(),
                "tokens.jwks_algorithms",
                "must name at least one of EdDSA, ES256, RS256",
            ),
            (!(1..=86_400).contains(&self.jwks_refresh_s), "tokens.jwks_refresh_s", "must be from 1 to 86400"),
            (!(100..=600_000).contains(&self.jwks_pause_ms), "tokens.jwks_pause_ms", "must be from 100 to 600000"),
            (self.jwks_keep_s < self.jwks_refresh_s, "tokens.jwks_keep_s", "must be at least tokens.jwks_refresh_s"),
            (self.issuer.is_empty(), "tokens.issuer", "must not be empty"),
            (self.audience.is_empty(), "tokens.audience", "must not be empty"),
        ];
        faults.into_iter().find(|(wrong, ..)| *wrong).map(|(_, key, why)| (key, why))
    }
}
