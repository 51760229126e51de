//! What the node's HTTP server stands on: whose tokens it believes, and its certificate.

use auren::{
    config::{Config, NodeProfile},
    gateway::{Tokens, tls},
};

use super::{Finding, bad, good, note};

pub(super) async fn server(config: &Config) -> Vec<Finding> {
    if config.http.address.is_empty() {
        return Vec::new();
    }
    let mut findings = vec![tokens(config).await];
    let files = &config.http.tls;
    if files.is_on() {
        let file = files.certificate.display();
        findings.push(match tls::look(files) {
            Ok(()) => good("certificate", format!("{file} and its key fit each other")),
            Err(why) => bad("certificate", format!("{file}: {why}")),
        });
    }
    findings
}

async fn tokens(config: &Config) -> Finding {
    let section = &config.tokens;
    let own = section.secret.is_none() && section.public_key_file.as_os_str().is_empty() && section.jwks.is_empty();
    if own && config.node.profile == NodeProfile::Dev && !section.secret_file.exists() {
        let file = section.secret_file.display();
        return note("tokens", format!("{file} does not exist yet; the first node or `auren token` makes it"));
    }
    let found = match Tokens::open(section, config.node.profile) {
        Ok(Some(tokens)) => tokens.describe().await,
        Ok(None) => return note("tokens", "no token of a person is believed: there is no chat".into()),
        Err(error) => Err(error.to_string()),
    };
    let issuer = &section.issuer;
    match found {
        Ok(found) => good("tokens", format!("of {issuer} are believed, {found}")),
        Err(why) => bad("tokens", why),
    }
}
