//! Who may do what. Whoever asks shows a token in the head of the request, and a token has scopes; every route asks here.
//!
//! A token is a JSON Web Token ([`Tokens`]), whose `sub` says who it is, or the fixed one of a program that the configuration
//! names. Fixed tokens are compared by their hash, in constant time.

use std::sync::Arc;

use auren_agents::UserId;
use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::{
    GatewayError, Problem,
    tokens::{Claims, Person, Tokens},
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
    scopes: Vec<Scope>,
}

impl Access {
    /// Those whom the configuration names, and whose key it believes.
    ///
    /// # Errors
    /// [`GatewayError::Key`] where the key cannot be read.
    pub fn open(config: &Config) -> Result<Self, GatewayError> {
        let program = |(name, known): (&String, &crate::config::CallerSection)| {
            let bearer = Bearer { name: name.clone(), scopes: known.scopes.clone() };
            (Sha256::digest(known.token.reveal().as_bytes()).into(), bearer)
        };
        let programs = config.callers.0.iter().map(program).collect();
        let tokens = Tokens::open(&config.tokens, config.node.profile)?;
        Ok(Self { programs, tokens: tokens.map(Arc::new) })
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

    /// Who asks, as the audit names them, where they may do this: a program's name, or `issuer:sub`.
    pub(super) fn may(&self, headers: &HeaderMap, scope: Scope) -> Result<String, Problem> {
        let shown = shown(headers)?;
        let digest: [u8; 32] = Sha256::digest(shown.as_bytes()).into();
        // All are looked at, so that the time tells nothing.
        let known = self
            .programs
            .iter()
            .fold(None, |found, (known, bearer)| if bool::from(known.ct_eq(&digest)) { Some(bearer) } else { found });
        let bearer = match (known, &self.tokens) {
            (Some(program), _) => program.clone(),
            (None, Some(tokens)) => {
                let Claims { sub, scopes, .. } = tokens.read(shown)?;
                Bearer { name: format!("{}:{sub}", tokens.issuer()), scopes }
            }
            (None, None) => return Err(Problem::unknown("the token is not known here")),
        };
        if bearer.scopes.contains(&scope) { Ok(bearer.name) } else { Err(lacks(scope)) }
    }

    /// Who chats. Only a JSON Web Token says that.
    pub(super) fn person(&self, headers: &HeaderMap) -> Result<Person, Problem> {
        let shown = shown(headers)?;
        let tokens = self.tokens.as_ref().ok_or_else(|| Problem::unknown("no token is believed here"))?;
        let Claims { sub, scopes, until } = tokens.read(shown)?;
        if !scopes.contains(&Scope::Chat) {
            return Err(lacks(Scope::Chat));
        }
        let unfit = |unfit| Problem::unknown(&format!("the token's sub is no user: {unfit}"));
        Ok(Person { user: UserId::new(sub).map_err(unfit)?, until })
    }
}

/// The token in the head of a request.
fn shown(headers: &HeaderMap) -> Result<&str, Problem> {
    let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
    token.ok_or_else(|| Problem::unknown("say who you are: Authorization: Bearer TOKEN"))
}

fn lacks(scope: Scope) -> Problem {
    Problem::new(StatusCode::FORBIDDEN, format!("the token has not the scope {}", scope.name()))
}
