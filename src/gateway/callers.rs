//! Who may call: programs with a token each, and what each may do. A token is compared by its hash, in constant time.

use axum::http::{HeaderMap, StatusCode, header::AUTHORIZATION};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use super::Problem;
use crate::config::{CallersSection, Scope};

/// Everybody who may call.
#[derive(Debug, Clone)]
pub struct Callers(Vec<([u8; 32], Caller)>);

/// One caller.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    pub(super) name: String,
    scopes: Vec<Scope>,
}

impl Callers {
    /// Those that the configuration names.
    #[must_use]
    pub fn new(section: &CallersSection) -> Self {
        let caller = |(name, known): (&String, &crate::config::CallerSection)| {
            let caller = Caller { name: name.clone(), scopes: known.scopes.clone() };
            (Sha256::digest(known.token.reveal().as_bytes()).into(), caller)
        };
        Self(section.0.iter().map(caller).collect())
    }

    /// Who calls, where they may do this.
    pub(super) fn caller(&self, headers: &HeaderMap, scope: Scope) -> Result<&Caller, Problem> {
        let token = headers.get(AUTHORIZATION).and_then(|value| value.to_str().ok()?.strip_prefix("Bearer "));
        let digest: [u8; 32] = Sha256::digest(token.unwrap_or_default().as_bytes()).into();
        // All are looked at, so that the time tells nothing.
        let known = self.0.iter().fold(
            None,
            |found, (known, caller)| {
                if bool::from(known.ct_eq(&digest)) { Some(caller) } else { found }
            },
        );
        let caller = known.ok_or_else(|| {
            Problem::new(StatusCode::UNAUTHORIZED, "say who you are: Authorization: Bearer TOKEN, with a known token")
        })?;
        if caller.scopes.contains(&scope) {
            Ok(caller)
        } else {
            Err(Problem::new(StatusCode::FORBIDDEN, format!("{} has not the scope {}", caller.name, scope.name())))
        }
    }
}
