//! JSON Web Tokens: whose are believed, and what is read of them.
//!
//! Which algorithm is believed follows from the configuration and never from the token.

use std::{io, path::Path, time::Duration};

use auren_agents::UserId;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, errors::ErrorKind, get_current_timestamp,
};
use serde::{Deserialize, Serialize};

use super::{GatewayError, Problem};
use crate::{
    config::{NodeProfile, Scope, SignatureKind, TokensSection},
    private_file,
};

/// What believes tokens, and makes them where it has the secret.
#[derive(Debug)]
pub struct Tokens {
    issuer: String,
    audience: String,
    validation: Validation,
    key: DecodingKey,
    /// None where somebody else signs.
    signing: Option<EncodingKey>,
}

/// A person, and until when they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) user: UserId,
    /// Seconds since the epoch.
    pub(super) until: u64,
}

/// What a token says that is believed.
#[derive(Debug)]
pub(super) struct Claims {
    pub(super) sub: String,
    /// Those that are known here.
    pub(super) scopes: Vec<Scope>,
    /// Seconds since the epoch.
    pub(super) until: u64,
}

#[derive(Debug, Serialize)]
struct Written<'a> {
    iss: &'a str,
    aud: &'a str,
    sub: &'a str,
    scope: &'a str,
    iat: u64,
    exp: u64,
}

/// What is read of a token; the rest has been checked by then.
#[derive(Debug, Deserialize)]
struct Read {
    sub: String,
    exp: u64,
    #[serde(default)]
    scope: String,
}

impl Person {
    /// How long they may still.
    pub(super) fn left(&self) -> Duration {
        left(self.until)
    }
}

impl Tokens {
    /// What the configuration believes. None where it names no key and the node may not make one for itself.
    ///
    /// # Errors
    /// [`GatewayError::Key`] where a key cannot be read.
    pub fn open(section: &TokensSection, profile: NodeProfile) -> Result<Option<Self>, GatewayError> {
        let (key, algorithm, signing) = if section.public_key_file.as_os_str().is_empty() {
            let secret = match (&section.secret, profile) {
                (Some(secret), _) => secret.reveal().to_owned(),
                (None, NodeProfile::Dev) => own_secret(&section.secret_file)
                    .map_err(|error| GatewayError::Key { file: shown(&section.secret_file), why: error.to_string() })?,
                (None, NodeProfile::Prod) => return Ok(None),
            };
            let secret = secret.as_bytes();
            (DecodingKey::from_secret(secret), Algorithm::HS256, Some(EncodingKey::from_secret(secret)))
        } else {
            let (key, algorithm) = public_key(&section.public_key_file, section.algorithm)?;
            (key, algorithm, None)
        };
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_issuer(&[&section.issuer]);
        validation.set_audience(&[&section.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let (issuer, audience) = (section.issuer.clone(), section.audience.clone());
        Ok(Some(Self { issuer, audience, validation, key, signing }))
    }

    /// A token with this `sub` and these scopes, that holds so long. None where somebody else signs.
    #[must_use]
    pub fn make(&self, sub: &str, scope: &str, life: Duration) -> Option<String> {
        let now = get_current_timestamp();
        let exp = now.saturating_add(life.as_secs());
        let claims = Written { iss: &self.issuer, aud: &self.audience, sub, scope, iat: now, exp };
        encode(&Header::new(Algorithm::HS256), &claims, self.signing.as_ref()?).ok()
    }

    /// Whose tokens are believed.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What a token says, where it is believed.
    pub(super) fn read(&self, token: &str) -> Result<Claims, Problem> {
        let read: Read = decode(token, &self.key, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => expired(),
                _ => Problem::unknown("the token is not believed: look at its signature, iss, aud, nbf, exp and sub"),
            })?
            .claims;
        // The library believes a token in the very second in which it ends.
        if left(read.exp).is_zero() {
            return Err(expired());
        }
        let scopes = read.scope.split(' ').filter_map(|scope| scope.parse().ok()).collect();
        Ok(Claims { sub: read.sub, scopes, until: read.exp })
    }
}

/// How long a token that ends then still holds.
pub(super) fn left(until: u64) -> Duration {
    Duration::from_secs(until.saturating_sub(get_current_timestamp()))
}

fn expired() -> Problem {
    Problem::unknown("the token has expired; get a new one")
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

fn public_key(file: &Path, kind: SignatureKind) -> Result<(DecodingKey, Algorithm), GatewayError> {
    let fault = |why: String| GatewayError::Key { file: shown(file), why };
    let pem = std::fs::read(file).map_err(|error| fault(error.to_string()))?;
    let (key, algorithm) = match kind {
        SignatureKind::RS256 => (DecodingKey::from_rsa_pem(&pem), Algorithm::RS256),
        SignatureKind::ES256 => (DecodingKey::from_ec_pem(&pem), Algorithm::ES256),
        SignatureKind::EdDSA => (DecodingKey::from_ed_pem(&pem), Algorithm::EdDSA),
    };
    let key = key.map_err(|error| fault(format!("is no public key (PEM) for {kind:?}: {error}")))?;
    Ok((key, algorithm))
}

/// The secret of a development node, which makes it at its first start.
fn own_secret(file: &Path) -> io::Result<String> {
    if !file.exists() {
        private_file::create(file, &BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))?;
    }
    let secret = std::fs::read_to_string(file)?.trim().to_owned();
    if secret.len() < 32 { Err(io::Error::other("holds fewer than 32 characters")) } else { Ok(secret) }
}
