//! What must not be where real people's data are: connections that anybody on the way can read, and what is only good for
//! development. All of it is named at once.

use super::{BusKind, Config, ConfigError, KeyProvider, NodeProfile, Secret};
use crate::project::database;

/// What the passwords of docker/compose.yaml are made of.
const EVERYBODY_S: &str = "development-only";

/// Looks whether a configuration is fit for real people's data, where its profile says that they are there.
///
/// # Errors
/// [`ConfigError::Earnest`] names everything that is not.
pub fn in_earnest(config: &Config) -> Result<(), ConfigError> {
    let faults = if config.node.profile == NodeProfile::Prod { faults(config) } else { Vec::new() };
    if faults.is_empty() { Ok(()) } else { Err(ConfigError::Earnest(faults)) }
}

/// What a node with real people's data must not have: each key, and why.
#[must_use]
pub fn faults(config: &Config) -> Vec<(String, String)> {
    let mut faults = Vec::new();
    let mut must = |key: &str, why: &str| faults.push((key.to_owned(), why.to_owned()));
    if config.phi.makes_its_key() {
        must("phi.provider", "must be \"secret\" or \"vault\": a key file that AUREN makes itself is for development");
    }
    if config.bus.kind == BusKind::Kafka
        && let Some((key, why)) = config.kafka.unsafe_on_its_way()
    {
        must(key, why);
    }
    if let Some(url) = &config.redis.url
        && (!url.reveal().starts_with("rediss://") || url.reveal().contains('#'))
    {
        must("redis.url", "must be rediss://... without a fragment: states hold turns and metadata of people");
    }
    for (key, url) in [("phi.keyring_url", &config.phi.keyring_url), ("project.url", &config.project.url)] {
        if url.as_ref().is_some_and(|url| !database::is_private(url.reveal())) {
            must(
                key,
                "must end in ?sslmode=verify-full (or verify-ca), with sslrootcert=FILE where the system does not know who \
                 signed the server's certificate; or name a socket of this machine",
            );
        }
    }
    if config.phi.provider == KeyProvider::Vault && !is_private(&config.vault.address) {
        must("vault.address", "must be https://: data keys travel there");
    }
    for (key, url) in config.agents.addresses() {
        if !is_private(url) {
            must(&key, "must be https://: a consult holds what people wrote and metadata about their health");
        }
    }
    if config.tokens.jwks_address().is_some_and(|place| !is_private(place)) {
        must("tokens.jwks", "must be https://: whoever can change it on its way decides who anybody is");
    }
    let http = &config.http;
    if !http.address.is_empty() && !http.is_local() && !http.tls.is_outside() {
        must(
            "http.address",
            "must be of this machine alone without http.tls.certificate and http.tls.key: tokens and words of people travel \
             there; http.tls.by_proxy = true says that a proxy in front speaks TLS",
        );
    }
    for (key, _) in secrets(config).into_iter().filter(|(_, secret)| secret.reveal().contains(EVERYBODY_S)) {
        must(&key, "must be a secret of your own: this one stands in docker/compose.yaml");
    }
    faults
}

/// Whether what is sent there cannot be read on its way: it is encrypted, or does not leave the machine.
fn is_private(url: &str) -> bool {
    let uri = url.parse::<http::Uri>().ok();
    let host = uri.as_ref().and_then(http::Uri::host);
    url.starts_with("https://") || matches!(host, Some("localhost" | "127.0.0.1" | "[::1]"))
}

/// The secrets that somebody may have copied from an example.
fn secrets(config: &Config) -> Vec<(String, &Secret)> {
    let named = [
        ("kafka.password", &config.kafka.password),
        ("redis.url", &config.redis.url),
        ("phi.keyring_url", &config.phi.keyring_url),
        ("project.url", &config.project.url),
        ("tokens.secret", &config.tokens.secret),
        ("vault.token", &config.vault.token),
    ];
    let named = named.into_iter().filter_map(|(key, secret)| Some((key.to_owned(), secret.as_ref()?)));
    let callers = config.callers.0.iter().map(|(name, caller)| (format!("callers.{name}.token"), &caller.token));
    named.chain(callers).collect()
}
