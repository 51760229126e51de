//! Who may do what. Whoever asks shows a token in the head of the request, and a token has scopes; every route asks here.
//!
//! A token is a JSON Web Token ([`Tokens`]), whose `sub` says who it is, or the fixed one of a program that the configuration
//! names. Fixed tokens are compared by their hash, in constant time.

use std::{sync::Arc, time::Duration};

use auren_agents::UserId;
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    GatewayError, Problem,
    tokens::{self, Claims, Person, Published, Tokens},
};
use crate::config::{Config, Scope};

/// Everybody who may.
#[derive(Debug, Clone)]
pub struct Access {
    programs: Arc<[([u8; 32], Bearer)]>,
    /// None where no key is known to believe tokens by.
    tokens: Option<Arc<Tokens>>,
}

/// Who shows a token, and what it allows.
#[derive(Debug, Clone)]
struct Bearer {
    name: String,
    /// The `sub` of a JSON Web Token.
    sub: Option<String>,
    scopes: Vec<Scope>,
    /// When a JSON Web Token ends, in seconds since the epoch.
    until: Option<u64>,
}

/// Who operates the hub.
#[derive(Debug)]
pub(super) struct Operator {
    /// As a log names them.
    pub(super) name: String,
    /// How long they may still; none where there is no end.
    pub(super) left: Option<Duration>,
    /// Whether they may see what anybody wrote and was told.
    pub(super) content: bool,
}

impl Access {
    /// Those whom the configuration names, and whose key it believes. Published keys are followed from now on, on the
    /// runtime that this is called on.
    ///
    /// # Errors
    /// [`GatewayError::Key`] where the key cannot be read.
    pub fn open(config: &Config) -> Result<Self, GatewayError> {
        let program = |(name, known): (&String, &crate::config::CallerSection)| {
            let bearer = Bearer { name: name.clone(), sub: None, scopes: known.scopes.clone(), until: None };
            (Sha256::digest(known.token.reveal().as_bytes()).into(), bearer)
        };
        let programs = config.callers.0.iter().map(program).collect();
        let tokens = Tokens::open(&config.tokens, config.node.profile)?.map(Arc::new);
        let access = Self { programs, tokens };
        if let Some(published) = access.published() {
            published.follow();
        }
        Ok(access)
    }

    /// Whether anybody at all may.
    #[must_use]
    pub fn has_anybody(&self) -> bool {
        self.has_people() || !self.programs.is_empty()
    }

    /// Whether people may, who have JSON Web Tokens.
    #[must_use]
    pub fn has_people(&self) -> bool {
        self.tokens.is_some()
    }

    /// The published keys that tokens are believed by, where there are any.
    #[must_use]
    pub(crate) fn published(&self) -> Option<&Arc<Published>> {
        self.tokens.as_ref()?.published()
    }

    /// Who asks, as the audit names them, where they may do this: a program's name, or `issuer:sub`.
    pub(super) async fn may(&self, headers: &HeaderMap, scope: Scope) -> Result<String, Problem> {
        let bearer = self.bearer(headers).await?;
        if bearer.scopes.contains(&scope) { Ok(bearer.name) } else { Err(lacks(scope)) }
    }

    /// Who operates the hub, where they may.
    pub(super) async fn operator(&self, headers: &HeaderMap) -> Result<Operator, Problem> {
        let Bearer { name, scopes, until, .. } = self.bearer(headers).await?;
        if !scopes.contains(&Scope::Ops) {
            return Err(lacks(Scope::Ops));
        }
        Ok(Operator { name, left: until.map(tokens::left), content: scopes.contains(&Scope::OpsContent) })
    }

    /// Whose history may be seen: a person's own where they chat, and that of whomever a bearer with the scope `ops:content` names.
    pub(super) async fn whose(&self, headers: &HeaderMap, named: Option<&str>) -> Result<UserId, Problem> {
        let Bearer { sub, scopes, .. } = self.bearer(headers).await?;
        let own = sub.filter(|_| scopes.contains(&Scope::Chat));
        let bad = |words: String| Problem::new(StatusCode::BAD_REQUEST, words);
        match (named, own) {
            (named, Some(own)) if named.is_none_or(|named| named == own) => user_of(own),
            (Some(named), _) if scopes.contains(&Scope::OpsContent) => {
                UserId::new(named).map_err(|unfit| bad(format!("user: {unfit}")))
            }
            (Some(_), Some(_)) => Err(Problem::new(StatusCode::FORBIDDEN, "the token is somebody else's")),
            (_, None) if scopes.contains(&Scope::OpsContent) => Err(bad("name the person: ?user=ID".to_owned())),
            _ => Err(lacks(Scope::Chat)),
        }
    }

    /// Whoever shows the token.
    async fn bearer(&self, headers: &HeaderMap) -> Result<Bearer, Problem> {
        let shown = shown(headers)?;
        let digest: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        // All are looked at, so that the time tells nothing.
        let known = self
            .programs
            .iter()
            .fold(None, |found, (known, bearer)| if bool::from(known.ct_eq(&digest)) { Some(bearer) } else { found });
        match (known, &self.tokens) {
            (Some(program), _) => Ok(program.clone()),
            (None, Some(tokens)) => {
                let Claims { sub, scopes, until } = tokens.read(shown).await?;
                Ok(Bearer { name: format!("{}:{sub}", tokens.issuer()), sub: Some(sub), scopes, until: Some(until) })
            }
            (None, None) => Err(Problem::unknown("the token is not known here")),
        }
    }

    /// Who chats. Only a JSON Web Token says that.
    pub(super) async fn person(&self, headers: &HeaderMap) -> Result<Person, Problem> {
        let shown = shown(headers)?;
        let tokens = self.tokens.as_ref().ok_or_else(|| Problem::unknown("no token is believed here"))?;
        let Claims { sub, scopes, until } = tokens.read(shown).await?;
        if !scopes.contains(&Scope::Chat) {
            return Err(lacks(Scope::Chat));
        }
        Ok(Person { user: user_of(sub)?, until })
    }
}

/// The token in the head of a request.
fn shown(headers: &HeaderMap) -> Result<&str, Problem> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    token.ok_or_else(|| Problem::unknown("say who you are: Authorization: Bearer TOKEN"))
}

/// The person of a token.
fn user_of(sub: String) -> Result<UserId, Problem> {
    UserId::new(sub).map_err(|unfit| Problem::unknown(&format!("the token's sub is no user: {unfit}")))
}

/// What is missing is a scope.
pub(super) fn lacks(scope: Scope) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, format!("the token has not the scope {}", scope.name()))
}
