//! Tokens that somebody else signs, who publishes keys and changes them: who may is let in whatever becomes of the keys, who
//! may not is not, and nobody can make the node trouble whoever publishes them.

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
    time::{SystemTime, UNIX_EPOCH},
};

use auren::{app::Running, config::Role};
use axum::{Json, Router, extract::State, http::StatusCode, routing::get};
use futures::future::join_all;
use jsonwebtoken::{Algorithm, EncodingKey, Header, encode, jwk::Jwk};
use serde_json::{Value, json};

use crate::support::{
    Kind, Program, River,
    chatter::Chatter,
    http::{self, Answer},
    on_system, until,
};

const HOUR: i64 = 3600;

/// Somebody's private key, and what they publish of it.
struct Signer {
    id: &'static str,
    algorithm: Algorithm,
    key: EncodingKey,
    published: Value,
}

impl Signer {
    fn new(id: &'static str, algorithm: Algorithm) -> Self {
        Self::of(id, algorithm, &[])
    }

    fn of(id: &'static str, algorithm: Algorithm, options: &[&str]) -> Self {
        let made = match algorithm {
            Algorithm::RS256 => ["-algorithm", "RSA"].as_slice(),
            Algorithm::ES256 => &["-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256"],
            _ => &["-algorithm", "ed25519"],
        };
        let made = Command::new("openssl").arg("genpkey").args(made).args(options).output().unwrap();
        assert!(made.status.success(), "{made:?}");
        let key = match algorithm {
            Algorithm::RS256 => EncodingKey::from_rsa_pem(&made.stdout),
            Algorithm::ES256 => EncodingKey::from_ec_pem(&made.stdout),
            _ => EncodingKey::from_ed_pem(&made.stdout),
        };
        let key = key.unwrap();
        let mut published = serde_json::to_value(Jwk::from_encoding_key(&key, algorithm).unwrap()).unwrap();
        published["kid"] = json!(id);
        Self { id, algorithm, key, published }
    }

    /// What they publish, with something about it changed.
    fn with(&self, field: &str, value: Value) -> Value {
        let mut published = self.published.clone();
        published[field] = value;
        published
    }

    fn token(&self, seconds: i64) -> String {
        signed(self.id, self.algorithm, &self.key, seconds)
    }
}

fn signed(id: &str, algorithm: Algorithm, key: &EncodingKey, seconds: i64) -> String {
    let now = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap();
    let claims = json!({ "iss": "auren", "aud": "auren", "sub": "u-1", "scope": "chat", "exp": now + seconds });
    let head = Header { kid: Some(id.to_owned()), ..Header::new(algorithm) };
    encode(&head, &claims, key).unwrap()
}

/// A server that hands out keys.
#[derive(Clone, Default)]
struct Issuer {
    keys: Arc<Mutex<Vec<Value>>>,
    asked: Arc<AtomicUsize>,
    away: Arc<AtomicBool>,
}

async fn keys(State(issuer): State<Issuer>) -> Result<Json<Value>, StatusCode> {
    issuer.asked.fetch_add(1, SeqCst);
    if issuer.away.load(SeqCst) {
        return Err(StatusCode::BAD_GATEWAY);
    }
    Ok(Json(json!({ "keys": *issuer.keys.lock().unwrap() })))
}

impl Issuer {
    /// One that publishes these, and where.
    async fn publishes(keys: &[Value]) -> (Self, String) {
        let issuer = Self::default();
        issuer.now(keys);
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/keys", listener.local_addr().unwrap());
        let routes = Router::new().route("/keys", get(self::keys)).with_state(issuer.clone());
        tokio::spawn(async move { axum::serve(listener, routes).await });
        (issuer, url)
    }

    fn now(&self, keys: &[Value]) {
        *self.keys.lock().unwrap() = keys.to_vec();
    }
}

/// A hub that believes the keys that are published there.
async fn hub(jwks: &str, settings: impl FnOnce(&mut River)) -> (River, Running, SocketAddr) {
    let mut river = River::open(Kind::Embedded).await.roles(&[Role::Detect]);
    jwks.clone_into(&mut river.config.tokens.jwks);
    river.config.tokens.jwks_pause_ms = 100;
    settings(&mut river);
    let (hub, address) = river.served().await;
    (river, hub, address)
}

async fn ask(address: SocketAddr, token: &str) -> Answer {
    http::send(address, "GET /v1/conversations/events", &[("Authorization", &format!("Bearer {token}"))], "").await
}

async fn status(address: SocketAddr, token: &str) -> u16 {
    ask(address, token).await.status
}

/// Waits until it is answered like this.
async fn becomes(address: SocketAddr, token: &str, wanted: u16) {
    until(&format!("it is answered with {wanted}"), || async { status(address, token).await == wanted }).await;
}

async fn figure(address: SocketAddr, name: &str) -> u64 {
    let metrics = http::get(address, "/metrics").await.body;
    let line = metrics.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.unwrap_or_else(|| panic!("{name} is not in {metrics}")).parse().unwrap()
}

#[test]
fn keys_change_while_sockets_are_open() {
    on_system(async {
        let (old, new) = (Signer::new("k-1", Algorithm::EdDSA), Signer::new("k-2", Algorithm::ES256));
        let (issuer, url) = Issuer::publishes(std::slice::from_ref(&old.published)).await;
        let (_river, hub, address) = hub(&url, |_| {}).await;
        becomes(address, &old.token(HOUR), 200).await;
        let mut chatter = Chatter::open(address, &old.token(HOUR), None).await;
        // For a while there are both, and then only the new one.
        issuer.now(&[old.published.clone(), new.published.clone()]);
        becomes(address, &new.token(HOUR), 200).await;
        assert_eq!(status(address, &old.token(HOUR)).await, 200);
        issuer.now(std::slice::from_ref(&new.published));
        let unknown = Signer::new("k-3", Algorithm::EdDSA).token(HOUR);
        until("the old key is gone", || async {
            assert_eq!(status(address, &unknown).await, 401);
            status(address, &old.token(HOUR)).await == 401
        })
        .await;
        // Who was let in stays until the token's own end, and who comes anew shows the new key.
        chatter.message("c-1", "hi").await;
        assert_eq!(chatter.of("ack").await["client_id"], "c-1");
        assert_eq!(Chatter::open(address, &new.token(2), None).await.closed().await, 4100);
        chatter.message("c-2", "hi").await;
        chatter.of("ack").await;
        hub.stop().await;
    });
}

#[test]
fn a_storm_of_unknown_keys_does_not_reach_whoever_publishes_them() {
    on_system(async {
        let signer = Signer::new("k-1", Algorithm::EdDSA);
        let (issuer, url) = Issuer::publishes(std::slice::from_ref(&signer.published)).await;
        let (_river, hub, address) = hub(&url, |river| {
            river.config.tokens.jwks_pause_ms = 600_000;
            river.config.http.max_connections_per_address = 1000;
        })
        .await;
        becomes(address, &signer.token(HOUR), 200).await;
        let storm = (0..300).map(|number| async move {
            let token = signed(&format!("made-up-{number}"), Algorithm::HS256, &EncodingKey::from_secret(b"x"), HOUR);
            status(address, &token).await
        });
        let storm = join_all(storm);
        let token = signer.token(HOUR);
        let (answers, good) = tokio::join!(storm, status(address, &token));
        assert!(answers.iter().all(|status| *status == 401), "{answers:?}");
        assert_eq!(good, 200);
        assert_eq!(issuer.asked.load(SeqCst), 1);
        assert_eq!(figure(address, "auren_token_keys").await, 1);
        hub.stop().await;
    });
}

#[test]
fn keys_hold_on_while_whoever_publishes_them_is_away() {
    on_system(async {
        let (old, new) = (Signer::new("k-1", Algorithm::EdDSA), Signer::new("k-2", Algorithm::RS256));
        let (issuer, url) = Issuer::publishes(std::slice::from_ref(&old.published)).await;
        issuer.away.store(true, SeqCst);
        let (_river, hub, address) = hub(&url, |river| river.config.tokens.jwks_refresh_s = 1).await;
        // Where there are none yet nobody knows whether a token is good, and nobody is told that it is bad.
        let answer = ask(address, &old.token(HOUR)).await;
        assert_eq!((answer.status, &answer.json()["status"]), (503, &json!(503)), "{}", answer.body);
        issuer.away.store(false, SeqCst);
        becomes(address, &old.token(HOUR), 200).await;
        issuer.away.store(true, SeqCst);
        issuer.now(std::slice::from_ref(&new.published));
        let before = figure(address, "auren_token_keys_failed_total").await;
        until("they cannot be read", || async { figure(address, "auren_token_keys_failed_total").await > before })
            .await;
        assert_eq!(status(address, &old.token(HOUR)).await, 200);
        assert_eq!(status(address, &new.token(HOUR)).await, 503);
        issuer.away.store(false, SeqCst);
        becomes(address, &new.token(HOUR), 200).await;
        // What is no set of keys, or one of none, is taken for no answer.
        for broken in [vec![], vec![json!({ "kty": "what" }), json!(7)]] {
            issuer.now(&broken);
            let before = figure(address, "auren_token_keys_failed_total").await;
            until("they cannot be used", || async { figure(address, "auren_token_keys_failed_total").await > before })
                .await;
            assert_eq!(status(address, &new.token(HOUR)).await, 200);
        }
        hub.stop().await;
    });
}

#[test]
fn keys_that_are_too_old_hold_no_more() {
    on_system(async {
        let signer = Signer::new("k-1", Algorithm::EdDSA);
        let (issuer, url) = Issuer::publishes(std::slice::from_ref(&signer.published)).await;
        let (_river, hub, address) = hub(&url, |river| {
            (river.config.tokens.jwks_refresh_s, river.config.tokens.jwks_keep_s) = (1, 1);
        })
        .await;
        becomes(address, &signer.token(HOUR), 200).await;
        issuer.away.store(true, SeqCst);
        becomes(address, &signer.token(HOUR), 503).await;
        hub.stop().await;
    });
}

#[test]
fn a_key_is_for_one_algorithm_whatever_a_token_says() {
    on_system(async {
        let rsa = Signer::new("rsa", Algorithm::RS256);
        let (ec, ed) = (Signer::new("ec", Algorithm::ES256), Signer::new("ed", Algorithm::EdDSA));
        let weak = Signer::of("weak", Algorithm::RS256, &["-pkeyopt", "rsa_keygen_bits:1024"]);
        let of = |id, algorithm| Signer::new(id, algorithm);
        let (sealing, other) = (of("sealing", Algorithm::EdDSA), of("other", Algorithm::RS256));
        let wraps = of("wraps", Algorithm::ES256);
        let secret =
            json!({ "kty": "oct", "kid": "secret", "alg": "HS256", "k": "c2VjcmV0IHRoYXQgZXZlcnlib2R5IHNlZXM" });
        let keys = [
            json!({ "kty": "RSA", "kid": "broken", "n": "!", "e": "AQAB" }),
            rsa.published.clone(),
            ec.published.clone(),
            ed.with("use", json!("sig")),
            weak.published.clone(),
            sealing.with("use", json!("enc")),
            other.with("alg", json!("RS512")),
            wraps.with("key_ops", json!(["wrapKey"])),
            secret,
        ];
        let (_issuer, url) = Issuer::publishes(&keys).await;
        let (_river, hub, address) = hub(&url, |_| {}).await;
        for signer in [&rsa, &ec, &ed] {
            becomes(address, &signer.token(HOUR), 200).await;
        }
        assert_eq!(figure(address, "auren_token_keys").await, 3);
        for signer in [&weak, &sealing, &other, &wraps] {
            assert_eq!(status(address, &signer.token(HOUR)).await, 401, "{}", signer.id);
        }
        // What everybody can read signs nothing: neither the modulus of a key nor a published secret.
        let modulus = EncodingKey::from_secret(rsa.published["n"].as_str().unwrap().as_bytes());
        let known = EncodingKey::from_secret(b"secret that everybody sees");
        let unsigned = rsa.token(HOUR);
        let body = unsigned.split('.').nth(1).unwrap();
        for forged in [
            signed("rsa", Algorithm::HS256, &modulus, HOUR),
            signed("secret", Algorithm::HS256, &known, HOUR),
            signed("rsa", Algorithm::EdDSA, &ed.key, HOUR),
            signed("ed", Algorithm::RS256, &rsa.key, HOUR),
            signed("nobody", Algorithm::EdDSA, &ed.key, HOUR),
            // {"alg":"none","kid":"rsa"}
            format!("eyJhbGciOiJub25lIiwia2lkIjoicnNhIn0.{body}."),
            // {"alg":"RS256"}
            format!("eyJhbGciOiJSUzI1NiJ9.{body}.{}", unsigned.split('.').nth(2).unwrap()),
            "no token at all".to_owned(),
        ] {
            assert_eq!(status(address, &forged).await, 401, "{forged}");
        }
        assert_eq!(status(address, &rsa.token(0)).await, 401);
        hub.stop().await;
        let only_ed =
            |river: &mut River| river.config.tokens.jwks_algorithms = vec![auren::config::SignatureKind::EdDSA];
        let (_river, hub, address) = self::hub(&url, only_ed).await;
        becomes(address, &ed.token(HOUR), 200).await;
        assert_eq!(status(address, &rsa.token(HOUR)).await, 401);
        hub.stop().await;
    });
}

#[test]
fn keys_may_be_published_in_a_file_and_doctor_looks_at_them() {
    let program = Program::new();
    let file = program.folder().join("keys.json");
    let publish = |keys: &[&Signer]| {
        let keys: Vec<_> = keys.iter().map(|signer| signer.published.clone()).collect();
        fs::write(&file, json!({ "keys": keys }).to_string()).unwrap();
    };
    let (old, new) = (Signer::new("k-1", Algorithm::EdDSA), Signer::new("k-2", Algorithm::EdDSA));
    let doctor = |file: &Path| {
        let set = format!("tokens.jwks={}", file.display());
        let said = program.run(&["--set", &set, "doctor"]);
        String::from_utf8(said.stdout).unwrap()
    };
    publish(&[&old, &new]);
    let said = doctor(&file);
    assert!(said.contains("good  tokens") && said.contains("2 published keys"), "{said}");
    publish(&[]);
    let said = doctor(&file);
    assert!(said.contains("bad   tokens") && said.contains("it has no key for [EdDSA, ES256, RS256]"), "{said}");
    let said = doctor(Path::new("no/such/file"));
    assert!(said.contains("bad   tokens") && said.contains("no/such/file: No such file"), "{said}");
    publish(&[&old]);
    on_system(async {
        let (_river, hub, address) = hub(&file.display().to_string(), |_| {}).await;
        becomes(address, &old.token(HOUR), 200).await;
        publish(&[&new]);
        becomes(address, &new.token(HOUR), 200).await;
        assert_eq!(status(address, &old.token(HOUR)).await, 401);
        hub.stop().await;
    });
}
