//! JSON Web Tokens: whose are believed, and what is read of them.
//!
//! Which algorithm is believed follows from the configuration and from the key, and never from the token. A key is one of the
//! node's own or a file's, or one of those that whoever signs publishes ([`published`], read from a [`place`]).

mod place;
mod published;

use std::{io, path::Path, sync::Arc, time::Duration};

use auren_agents::UserId;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, decode_header, encode, errors::ErrorKind,
    get_current_timestamp,
};
use serde::{Deserialize, Serialize};

pub(crate) use self::published::{Published, Seen};
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
    keys: Signers,
}

/// Whose signature is believed.
#[derive(Debug)]
enum Signers {
    /// That of one key. Where it is the node's own it signs as well.
    One(Box<Verifier>, Option<EncodingKey>),
    /// Those of published keys.
    Published(Arc<Published>),
}

/// A key, and what a token must be that it verifies.
#[derive(Debug)]
struct Verifier {
    key: DecodingKey,
    validation: Validation,
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

impl Verifier {
    /// Believes what this key signed in this way for the node's issuer and audience.
    fn new(key: DecodingKey, algorithm: Algorithm, section: &TokensSection) -> Self {
        let mut validation = Validation::new(algorithm);
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_issuer(&[&section.issuer]);
        validation.set_audience(&[&section.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        Self { key, validation }
    }

    fn read(&self, token: &str) -> Result<Claims, Problem> {
        let read: Read = decode(token, &self.key, &self.validation)
            .map_err(|error| match error.kind() {
                ErrorKind::ExpiredSignature => expired(),
                _ => not_believed(),
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

impl Tokens {
    /// What the configuration believes. None where it names no key and the node may not make one for itself. Published keys
    /// are not read yet.
    ///
    /// # Errors
    /// [`GatewayError::Key`] where a key cannot be read, or published keys cannot be asked for.
    pub fn open(section: &TokensSection, profile: NodeProfile) -> Result<Option<Self>, GatewayError> {
        let keys = if !section.jwks.is_empty() {
            let published = Published::at(section);
            Signers::Published(Arc::new(
                published.map_err(|why| GatewayError::Key { file: section.jwks.clone(), why })?,
            ))
        } else if section.public_key_file.as_os_str().is_empty() {
            let secret = match (&section.secret, profile) {
                (Some(secret), _) => secret.reveal().to_owned(),
                (None, NodeProfile::Dev) => own_secret(&section.secret_file)
                    .map_err(|error| GatewayError::Key { file: shown(&section.secret_file), why: error.to_string() })?,
                (None, NodeProfile::Prod) => return Ok(None),
            };
            let secret = secret.as_bytes();
            let verifier = Verifier::new(DecodingKey::from_secret(secret), Algorithm::HS256, section);
            Signers::One(Box::new(verifier), Some(EncodingKey::from_secret(secret)))
        } else {
            let (key, algorithm) = public_key(&section.public_key_file, section.algorithm)?;
            Signers::One(Box::new(Verifier::new(key, algorithm, section)), None)
        };
        let (issuer, audience) = (section.issuer.clone(), section.audience.clone());
        Ok(Some(Self { issuer, audience, keys }))
    }

    /// A token with this `sub` and these scopes, that holds so long. None where somebody else signs.
    #[must_use]
    pub fn make(&self, sub: &str, scope: &str, life: Duration) -> Option<String> {
        let Signers::One(_, Some(signing)) = &self.keys else { return None };
        let now = get_current_timestamp();
        let exp = now.saturating_add(life.as_secs());
        let claims = Written { iss: &self.issuer, aud: &self.audience, sub, scope, iat: now, exp };
        encode(&Header::new(Algorithm::HS256), &claims, signing).ok()
    }

    /// Whose signature is believed, in words. Published keys are read for it.
    ///
    /// # Errors
    /// Why they cannot be read, or that none of them can be used.
    pub async fn describe(&self) -> Result<String, String> {
        match &self.keys {
            Signers::One(_, Some(_)) => Ok("signed with a secret (HS256) of the node's own".to_owned()),
            Signers::One(verifier, None) => Ok(format!("signed with {:?}", verifier.validation.algorithms)),
            Signers::Published(published) => published.describe().await,
        }
    }

    /// Published keys, where there are any.
    pub(super) fn published(&self) -> Option<&Arc<Published>> {
        match &self.keys {
            Signers::Published(published) => Some(published),
            Signers::One(..) => None,
        }
    }

    /// Whose tokens are believed.
    pub(super) fn issuer(&self) -> &str {
        &self.issuer
    }

    /// What a token says, where it is believed.
    pub(super) async fn read(&self, token: &str) -> Result<Claims, Problem> {
        match &self.keys {
            Signers::One(verifier, _) => verifier.read(token),
            Signers::Published(published) => {
                let head = decode_header(token).map_err(|_| not_believed())?;
                published.verifier(head.kid.as_deref().unwrap_or_default(), head.alg).await?.read(token)
            }
        }
    }
}

/// How long a token that ends then still holds.
pub(super) fn left(until: u64) -> Duration {
    Duration::from_secs(until.saturating_sub(get_current_timestamp()))
}

fn expired() -> Problem {
    Problem::unknown("the token has expired; get a new one")
}

fn not_believed() -> Problem {
    Problem::unknown("the token is not believed: look at its signature, iss, aud, nbf, exp and sub")
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

fn algorithm(kind: SignatureKind) -> Algorithm {
    match kind {
        SignatureKind::RS256 => Algorithm::RS256,
        SignatureKind::ES256 => Algorithm::ES256,
        SignatureKind::EdDSA => Algorithm::EdDSA,
    }
}

fn public_key(file: &Path, kind: SignatureKind) -> Result<(DecodingKey, Algorithm), GatewayError> {
    let fault = |why: String| GatewayError::Key { file: shown(file), why };
    let pem = std::fs::read(file).map_err(|error| fault(error.to_string()))?;
    let key = match kind {
        SignatureKind::RS256 => DecodingKey::from_rsa_pem(&pem),
        SignatureKind::ES256 => DecodingKey::from_ec_pem(&pem),
        SignatureKind::EdDSA => DecodingKey::from_ed_pem(&pem),
    };
    let key = key.map_err(|error| fault(format!("is no public key (PEM) for {kind:?}: {error}")))?;
    Ok((key, algorithm(kind)))
}

/// The secret of a development node, which makes it at its first start.
fn own_secret(file: &Path) -> io::Result<String> {
    if !file.exists() {
        private_file::create(file, &BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>()))?;
    }
    let secret = std::fs::read_to_string(file)?.trim().to_owned();
    if secret.len() < 32 { Err(io::Error::other("holds fewer than 32 characters")) } else { Ok(secret) }
}
