//! The master key in a vault. No registry that the tests may use has Vault or OpenBao, so a server of a hundred lines
//! speaks what their API documentation says of the transit engine.

use std::sync::{Arc, Mutex};

use auren::phi::{
    KeyError, Keys,
    master::{Master, Vault, VaultSettings},
    store::MemoryStore,
};
use auren_agents::UserId;
use axum::{
    Json, Router,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::any,
};
use serde_json::{Value, json};

use crate::support::{night, run, sealed};

/// A transit engine with one key: a ciphertext names the version and where the plaintext is.
#[derive(Default)]
struct Transit {
    version: u32,
    least: u32,
    plain: Vec<String>,
}

type Engine = Arc<Mutex<Transit>>;
type Answer = (StatusCode, Json<Value>);

async fn answer(
    State(engine): State<Engine>,
    Path((what, key)): Path<(String, String)>,
    headers: HeaderMap,
    body: axum::body::Bytes,
) -> Answer {
    let refused = |code: u16, why: &str| (StatusCode::from_u16(code).unwrap(), Json(json!({ "errors": [why] })));
    if headers.get("x-vault-token").is_none_or(|token| token != "the token") {
        return refused(403, "permission denied");
    }
    let body: Value = serde_json::from_slice(&body).unwrap_or_default();
    let mut engine = engine.lock().unwrap();
    let stored = |engine: &Transit| {
        let mut parts = body["ciphertext"].as_str()?.split(':');
        let version: u32 = parts.nth(1)?.strip_prefix('v')?.parse().ok()?;
        (version >= engine.least).then(|| engine.plain.get(parts.next()?.parse::<usize>().ok()?).cloned()).flatten()
    };
    let data = match (what.as_str(), key.as_str()) {
        ("encrypt", "auren") => {
            engine.plain.push(body["plaintext"].as_str().unwrap().to_owned());
            json!({ "ciphertext": format!("vault:v{}:{}", engine.version, engine.plain.len() - 1), "key_version": 1 })
        }
        ("decrypt", _) if key != "auren" => return refused(400, "encryption key not found"),
        ("decrypt", _) => match stored(&engine) {
            Some(plain) => json!({ "plaintext": plain }),
            None => return refused(400, "ciphertext or signature version is disallowed by policy (too old)"),
        },
        ("rewrap", "auren") => {
            let place = body["ciphertext"].as_str().unwrap().rsplit(':').next().unwrap().to_owned();
            json!({ "ciphertext": format!("vault:v{}:{place}", engine.version), "key_version": 1 })
        }
        ("keys", "auren") => {
            let versions: serde_json::Map<_, _> =
                (1..=engine.version).map(|version| (version.to_string(), json!(1_442_851_412))).collect();
            json!({
                "type": "aes256-gcm96", "deletion_allowed": false, "derived": false, "exportable": false,
                "allow_plaintext_backup": false, "keys": versions, "min_decryption_version": engine.least,
                "min_encryption_version": 0, "name": "auren", "supports_encryption": true,
                "supports_decryption": true, "supports_derivation": true, "supports_signing": false,
            })
        }
        _ => return refused(404, "no such key"),
    };
    let whole = json!({
        "request_id": "r", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data, "wrap_info": null,
        "warnings": null, "auth": null,
    });
    (StatusCode::OK, Json(whole))
}

/// A vault, and its address.
async fn vault() -> (Engine, String) {
    let engine: Engine = Arc::new(Mutex::new(Transit { version: 1, ..Transit::default() }));
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}", listener.local_addr().unwrap());
    let routes = Router::new().route("/v1/transit/{what}/{key}", any(answer)).with_state(Arc::clone(&engine));
    tokio::spawn(async move { axum::serve(listener, routes).await });
    (engine, address)
}

fn client(address: &str, token: &str) -> Vault {
    of_key(address, token, "auren")
}

fn of_key(address: &str, token: &str, key: &str) -> Vault {
    let [mount, key] = ["transit", key].map(ToOwned::to_owned);
    let (address, token) = (address.to_owned(), token.to_owned());
    Vault::new(VaultSettings { address, mount, key, token, namespace: None, ca_file: None }).unwrap()
}

#[test]
fn data_keys_are_wrapped_rotated_and_wrapped_anew_in_a_vault() {
    run(async {
        let (engine, address) = vault().await;
        let master = Box::new(client(&address, "the token"));
        let keys = Keys::open("t", master, Box::new(MemoryStore::default()), 0).await.unwrap();
        let reading = sealed(&keys, &night("u-1", 1, 41.5)).await;
        let user = UserId::new("u-1").unwrap();
        assert!(keys.store().key("u-1").await.unwrap().unwrap().wrapped.unwrap().starts_with("vault:v1:"));
        engine.lock().unwrap().version = 2;
        assert_eq!(keys.primary().await.unwrap(), 2);
        assert_eq!(keys.rewrap("test").await.unwrap().rewrapped, 1);
        engine.lock().unwrap().least = 2;
        assert!(reading.open(&keys.find(&user, 0).await.unwrap()).is_ok());
        engine.lock().unwrap().least = 3;
        keys.forget(&user);
        let error = keys.find(&user, 0).await.unwrap_err();
        assert!(error.to_string().contains("it answered 400: ciphertext or signature version"), "{error}");
        assert!(!error.is_passing() && !error.to_string().contains(&address), "to wait does not help: {error}");
    });
}

#[test]
fn a_vault_that_refuses_or_is_away_is_told_with_its_address_and_without_its_token() {
    run(async {
        let (_engine, address) = vault().await;
        let error = client(&address, "another token").wrap(b"key").await.unwrap_err();
        assert!(error.is_passing() && error.to_string().contains("permission denied"), "{error}");
        assert!(!error.to_string().contains("another token"));
        let error = of_key(&address, "the token", "another").unwrap("vault:v1:0").await.unwrap_err();
        assert!(error.is_passing() && error.to_string().contains("key not found"), "somebody may make it: {error}");
        let error = client("http://127.0.0.1:9", "the token").wrap(b"key").await.unwrap_err();
        assert!(matches!(&error, KeyError::Vault { vault, .. } if vault.starts_with("http://127.0.0.1:9 ")), "{error}");
        let of = |address: &str| {
            let [mount, key, token] = ["transit", "auren", "t"].map(ToOwned::to_owned);
            Vault::new(VaultSettings { address: address.to_owned(), mount, key, token, namespace: None, ca_file: None })
        };
        assert!(of("vault:8200").is_err() && of("").is_err());
        of("https://127.0.0.1:8200").unwrap();
    });
}
