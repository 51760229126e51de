//! Who chats: JSON Web Tokens, and the one-use tickets that stand for them where a browser cannot send a header.
//!
//! A person is a token's `sub`, and nothing else that a client says. Which algorithms are believed follows from the
//! configuration and never from the token. Tickets are known to the node that gave them only.

use std::{
    collections::HashMap,
    io::{self, Write as _},
    path::Path,
    sync::Mutex,
    time::{Duration, Instant},
};

use auren_agents::UserId;
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, decode, encode, get_current_timestamp};
use serde::{Deserialize, Serialize};

use super::{GatewayError, Problem};
use crate::config::{ChatSection, NodeProfile, SignatureKind};

/// How long a ticket holds.
pub(super) const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Most tickets that wait to be used; the oldest go first.
const TICKETS_MAX: usize = 10_000;
/// What a token must be allowed.
const SCOPE: &str = "chat";

/// What believes tokens, and makes them where it has the secret.
#[derive(Debug)]
pub struct Tokens {
    issuer: String,
    audience: String,
    validation: Validation,
    key: DecodingKey,
    /// None where somebody else signs.
    signing: Option<EncodingKey>,
    tickets: Mutex<HashMap<String, (Instant, Person)>>,
}

/// Who chats, and until when they may.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Person {
    pub(super) user: UserId,
    /// Seconds since the epoch.
    pub(super) until: u64,
}

#[derive(Debug, Serialize)]
struct Claims<'a> {
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
        Duration::from_secs(self.until.saturating_sub(get_current_timestamp()))
    }
}

impl Tokens {
    /// What the configuration believes. None where it names no key and the node may not make one for itself.
    ///
    /// # Errors
    /// [`GatewayError::Key`] where a key cannot be read.
    pub fn open(chat: &ChatSection, profile: NodeProfile) -> Result<Option<Self>, GatewayError> {
        let (key, algorithms, signing) = if !chat.public_key_file.as_os_str().is_empty() {
            let (key, algorithms) = public_key(&chat.public_key_file, &chat.algorithms)?;
            (key, algorithms, None)
        } else {
            let secret = match (&chat.secret, profile) {
                (Some(secret), _) => secret.reveal().to_owned(),
                (None, NodeProfile::Dev) => own_secret(&chat.secret_file)
                    .map_err(|error| GatewayError::Key { file: shown(&chat.secret_file), why: error.to_string() })?,
                (None, NodeProfile::Prod) => return Ok(None),
            };
            let secret = secret.as_bytes();
            (DecodingKey::from_secret(secret), vec![Algorithm::HS256], Some(EncodingKey::from_secret(secret)))
        };
        let mut validation = Validation::new(algorithms[0]);
        validation.algorithms = algorithms;
        validation.leeway = 0;
        validation.validate_nbf = true;
        validation.set_issuer(&[&chat.issuer]);
        validation.set_audience(&[&chat.audience]);
        validation.set_required_spec_claims(&["exp", "iss", "aud", "sub"]);
        let (issuer, audience) = (chat.issuer.clone(), chat.audience.clone());
        Ok(Some(Self { issuer, audience, validation, key, signing, tickets: Mutex::default() }))
    }

    /// A token for this person, with these scopes, that holds so long. None where somebody else signs.
    #[must_use]
    pub fn make(&self, user: &UserId, scope: &str, life: Duration) -> Option<String> {
        let now = get_current_timestamp();
        let exp = now.saturating_add(life.as_secs());
        let claims = Claims { iss: &self.issuer, aud: &self.audience, sub: user.as_str(), scope, iat: now, exp };
        encode(&Header::new(Algorithm::HS256), &claims, self.signing.as_ref()?).ok()
    }

    /// Who the token in the head of a request is of.
    pub(super) fn bearer(&self, headers: &HeaderMap) -> Result<Person, Problem> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        self.person(token.ok_or_else(|| unknown("say who you are: Authorization: Bearer TOKEN"))?)
    }

    fn person(&self, token: &str) -> Result<Person, Problem> {
        let read: Read = decode(token, &self.key, &self.validation)
            .map_err(|error| match error.kind() {
                jsonwebtoken::errors::ErrorKind::ExpiredSignature => unknown("the token has expired; get a new one"),
                _ => unknown("the token is not believed: look at its signature, iss, aud, nbf, exp and sub"),
            })?
            .claims;
        if !read.scope.split(' ').any(|scope| scope == SCOPE) {
            return Err(Problem::new(StatusCode::FORBIDDEN, format!("the token has not the scope {SCOPE}")));
        }
        let user = UserId::new(read.sub).map_err(|unfit| unknown(&format!("the token's sub is no user: {unfit}")))?;
        let person = Person { user, until: read.exp };
        // The library believes a token in the very second in which it ends.
        if person.left().is_zero() { Err(unknown("the token has expired; get a new one")) } else { Ok(person) }
    }

    /// A ticket that stands for this person once, within [`TICKET_LIFE`].
    pub(super) fn ticket(&self, person: Person) -> String {
        let ticket = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let mut tickets = self.tickets.lock().expect("nobody panics while holding tickets");
        let now = Instant::now();
        tickets.retain(|_, (until, _)| *until > now);
        if tickets.len() >= TICKETS_MAX
            && let Some(oldest) = tickets.iter().min_by_key(|(_, (until, _))| *until).map(|(ticket, _)| ticket.clone())
        {
            tickets.remove(&oldest);
        }
        tickets.insert(ticket.clone(), (now + TICKET_LIFE, person));
        ticket
    }

    /// Whom a ticket stands for; it is used up by that.
    pub(super) fn redeem(&self, ticket: &str) -> Result<Person, Problem> {
        let found = self.tickets.lock().expect("nobody panics while holding tickets").remove(ticket);
        match found {
            Some((until, person)) if until > Instant::now() && !person.left().is_zero() => Ok(person),
            _ => Err(unknown("the ticket is not known here, has been used, or is older than 30 s; get a new one")),
        }
    }
}

fn unknown(words: &str) -> Problem {
    Problem::new(StatusCode::UNAUTHORIZED, words)
}

fn shown(file: &Path) -> String {
    file.display().to_string()
}

fn public_key(file: &Path, kinds: &[SignatureKind]) -> Result<(DecodingKey, Vec<Algorithm>), GatewayError> {
    let fault = |why: String| GatewayError::Key { file: shown(file), why };
    let pem = std::fs::read(file).map_err(|error| fault(error.to_string()))?;
    let Some(first) = kinds.first() else { return Err(fault("chat.algorithms is empty".to_owned())) };
    if kinds.iter().any(|kind| kind != first) {
        return Err(fault("one key has one kind of algorithm; chat.algorithms names several".to_owned()));
    }
    let (key, algorithm) = match first {
        SignatureKind::RS256 => (DecodingKey::from_rsa_pem(&pem), Algorithm::RS256),
        SignatureKind::ES256 => (DecodingKey::from_ec_pem(&pem), Algorithm::ES256),
        SignatureKind::EdDSA => (DecodingKey::from_ed_pem(&pem), Algorithm::EdDSA),
    };
    let key = key.map_err(|error| fault(format!("is no public key (PEM) for {first:?}: {error}")))?;
    Ok((key, vec![algorithm]))
}

/// The secret of a development node, which makes it at its first start.
fn own_secret(file: &Path) -> io::Result<String> {
    if let Some(folder) = file.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(file) {
        Ok(mut made) => {
            let secret = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
            made.write_all(secret.as_bytes())?;
            Ok(secret)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let secret = std::fs::read_to_string(file)?.trim().to_owned();
            if secret.len() < 32 { Err(io::Error::other("holds fewer than 32 characters")) } else { Ok(secret) }
        }
        Err(error) => Err(error),
    }
}
