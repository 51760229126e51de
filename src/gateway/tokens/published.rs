//! Keys that somebody else publishes (JWKS, RFC 7517) and changes whenever they like.
//!
//! They are read again when they grow old, and when a token names a key that is not known; the latter not more often than a
//! pause allows, however many such tokens come, so that nobody who makes them up can make the node trouble whoever
//! publishes. Where keys cannot be read the last ones hold on for a while. What is no key for signatures, or for none that
//! the configuration takes, is passed over.

use std::{
    collections::HashMap,
    sync::{Arc, RwLock, RwLockReadGuard, Weak},
    time::{Duration, Instant},
};

use axum::http::StatusCode;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use jsonwebtoken::{
    Algorithm, DecodingKey,
    jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyOperations, PublicKeyUse},
};
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;

use super::{Verifier, algorithm, place::Place};
use crate::{config::TokensSection, gateway::Problem};

/// The shortest RSA modulus whose signatures are believed.
const RSA_BYTES_MIN: usize = 256;

/// Keys by id; under one there may be keys for several algorithms.
type Keys = HashMap<String, Vec<(Algorithm, Arc<Verifier>)>>;

/// Published keys, as they were when they were read last.
#[derive(Debug)]
pub(crate) struct Published {
    place: Place,
    section: TokensSection,
    held: RwLock<Held>,
    /// One reads at a time, and the others wait for what they find.
    turn: Mutex<()>,
}

#[derive(Debug, Default)]
struct Held {
    keys: Keys,
    /// When they were read.
    read: Option<Instant>,
    /// When it was last tried.
    tried: Option<Instant>,
    fault: Option<String>,
    reads: u64,
    failures: u64,
}

/// What can be seen of them.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    pub(crate) keys: u64,
    /// Readings that succeeded, and those that did not.
    pub(crate) reads: u64,
    pub(crate) failures: u64,
    /// Seconds since the last that succeeded; none before the first.
    pub(crate) age_s: Option<u64>,
}

/// A set of keys, each of which is looked at for itself: one that cannot be read spoils no other.
#[derive(Deserialize)]
struct Set {
    keys: Vec<Value>,
}

impl Published {
    /// Keys that are published where the configuration says; they are not read yet.
    pub(super) fn at(section: &TokensSection) -> Result<Self, String> {
        let place = Place::of(section)?;
        Ok(Self { place, section: section.clone(), held: RwLock::default(), turn: Mutex::default() })
    }

    /// Reads them now, and again whenever they have grown old, until nobody needs them any more.
    pub(in crate::gateway) fn follow(self: &Arc<Self>) {
        let published = Arc::downgrade(self);
        tokio::spawn(async move {
            while let Some(wait) = Self::refresh(&published).await {
                tokio::time::sleep(wait).await;
            }
        });
    }

    /// Reads them, and says how long they may stand. None where nobody needs them.
    async fn refresh(published: &Weak<Self>) -> Option<Duration> {
        let published = published.upgrade()?;
        published.read().await;
        let failed = published.held().fault.is_some();
        let section = &published.section;
        Some(if failed { published.pause() } else { Duration::from_secs(section.jwks_refresh_s) })
    }

    /// What verifies tokens that name this key and algorithm.
    pub(super) async fn verifier(self: &Arc<Self>, id: &str, algorithm: Algorithm) -> Result<Arc<Verifier>, Problem> {
        if let Some(found) = self.find(id, algorithm) {
            return Ok(found);
        }
        self.read().await;
        self.find(id, algorithm).ok_or_else(|| {
            let held = self.held();
            if held.fault.is_none() && held.read.is_some() {
                return Problem::unknown("the token's key (kid, alg) is not among those that are published");
            }
            // Whoever came with a good token must not take it for a bad one.
            let words = "the keys of whoever signs tokens cannot be read now; try again";
            Problem::new(StatusCode::SERVICE_UNAVAILABLE, words)
        })
    }

    fn find(&self, id: &str, algorithm: Algorithm) -> Option<Arc<Verifier>> {
        let held = self.held();
        held.read.filter(|read| read.elapsed() <= Duration::from_secs(self.section.jwks_keep_s))?;
        let fits = |(own, _): &&(Algorithm, Arc<Verifier>)| *own == algorithm;
        held.keys.get(id)?.iter().find(fits).map(|(_, verifier)| Arc::clone(verifier))
    }

    /// Reads the keys, where nobody has a moment ago. It is a task of its own, because whoever waits for it may go away.
    async fn read(self: &Arc<Self>) {
        let published = Arc::clone(self);
        // What it has come to stands in `held`.
        let _ = tokio::spawn(async move { published.read_in_turn().await }).await;
    }

    async fn read_in_turn(&self) {
        let _turn = self.turn.lock().await;
        if self.held().tried.is_some_and(|tried| tried.elapsed() < self.pause()) {
            return;
        }
        let read = self.place.read().await.and_then(|text| self.keys(&text));
        self.change(|held| {
            held.tried = Some(Instant::now());
            match read {
                Ok(keys) => {
                    if held.keys.len() != keys.len() || !keys.keys().all(|id| held.keys.contains_key(id)) {
                        tracing::info!(keys = keys.len(), place = %self.section.jwks, "published keys were taken");
                    }
                    held.reads += 1;
                    (held.keys, held.read, held.fault) = (keys, held.tried, None);
                }
                Err(why) => {
                    held.failures += 1;
                    if held.fault.as_ref() != Some(&why) {
                        let place = &self.section.jwks;
                        tracing::warn!(%place, why, "published keys cannot be read; those from the last time hold on");
                    }
                    held.fault = Some(why);
                }
            }
        });
    }

    /// The keys of a text that can be used.
    fn keys(&self, text: &[u8]) -> Result<Keys, String> {
        let set: Set = serde_json::from_slice(text).map_err(|_| "it is no JSON Web Key Set".to_owned())?;
        let mut keys = Keys::new();
        for key in set.keys {
            let Some((id, algorithm, key)) = serde_json::from_value(key).ok().and_then(|key| self.key(&key)) else {
                continue;
            };
            keys.entry(id).or_default().push((algorithm, Arc::new(Verifier::new(key, algorithm, &self.section))));
        }
        if keys.is_empty() { Err(format!("it has no key for {:?}", self.section.jwks_algorithms)) } else { Ok(keys) }
    }

    /// A key with its id and the one algorithm that it is for, where it is one for signatures that are taken.
    fn key(&self, key: &Jwk) -> Option<(String, Algorithm, DecodingKey)> {
        let fits = match &key.algorithm {
            AlgorithmParameters::RSA(rsa) => {
                let modulus = BASE64_URL_SAFE_NO_PAD.decode(&rsa.n).ok()?;
                (modulus.len() >= RSA_BYTES_MIN).then_some(Algorithm::RS256)
            }
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Some(Algorithm::ES256),
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => Some(Algorithm::EdDSA),
            // A secret that everybody can read is none.
            _ => None,
        }?;
        let common = &key.common;
        let taken = self.section.jwks_algorithms.iter().any(|kind| algorithm(*kind) == fits);
        let named = common.key_algorithm.is_none_or(|named| named == fits.into());
        let signs = common.public_key_use.as_ref().is_none_or(|usage| *usage == PublicKeyUse::Signature)
            && common.key_operations.as_ref().is_none_or(|all| all.contains(&KeyOperations::Verify));
        let known = DecodingKey::from_jwk(key).ok()?;
        (taken && named && signs).then(|| (common.key_id.clone().unwrap_or_default(), fits, known))
    }

    /// Reads the keys and says what there is.
    pub(super) async fn describe(self: &Arc<Self>) -> Result<String, String> {
        self.read().await;
        let (held, place) = (self.held(), &self.section.jwks);
        match &held.fault {
            Some(why) => Err(format!("{place}: {why}")),
            None => Ok(format!("{} published keys, at {place}", held.keys.values().map(Vec::len).sum::<usize>())),
        }
    }

    /// What can be seen of them.
    pub(crate) fn seen(&self) -> Seen {
        let held = self.held();
        let keys = held.keys.values().map(Vec::len).sum::<usize>() as u64;
        let age_s = held.read.map(|read| read.elapsed().as_secs());
        Seen { keys, reads: held.reads, failures: held.failures, age_s }
    }

    fn pause(&self) -> Duration {
        Duration::from_millis(self.section.jwks_pause_ms)
    }

    fn held(&self) -> RwLockReadGuard<'_, Held> {
        self.held.read().expect("nobody panics while holding published keys")
    }

    fn change(&self, how: impl FnOnce(&mut Held)) {
        how(&mut self.held.write().expect("nobody panics while holding published keys"));
    }
}
