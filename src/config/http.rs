//! The node's own HTTP server: where it listens, what it is encrypted with, and how much one address may ask for.

use std::{net::IpAddr, path::PathBuf};

use ipnet::IpNet;
use serde::{Deserialize, Serialize};

use super::sections::text;

/// The node's own HTTP server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpSection {
    /// `host:port` to listen on; port 0 takes a free one. Empty: there is no server.
    #[serde(deserialize_with = "text")]
    pub address: String,
    /// Most connections at a time; who comes when all are taken waits.
    pub max_connections: u32,
    /// Most of them of one address; one more is closed at once.
    pub max_connections_per_address: usize,
    /// How long TLS's handshake may take, and the head of a request, and how long a connection may wait for a request.
    pub handshake_ms: u64,
    /// A connection on which nothing has come or gone for so long is closed. WebSockets have a heartbeat of their own.
    pub idle_ms: u64,
    /// Addresses and networks of proxies, which are believed about whose request they pass on.
    pub trusted_proxies: Vec<String>,
    /// The header in which they say it.
    pub forwarded_by: ForwardedBy,
    /// What it is encrypted with.
    pub tls: TlsSection,
}

/// The header in which a proxy says whose request it passes on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ForwardedBy {
    /// `X-Forwarded-For`.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239).
    Forwarded,
}

/// TLS of the node's own HTTP server.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TlsSection {
    /// The certificate and those between it and its authority (PEM). Empty: plain HTTP.
    pub certificate: PathBuf,
    /// Its private key (PEM).
    pub key: PathBuf,
    /// A proxy in front of the node speaks TLS with everybody outside.
    pub by_proxy: bool,
}

impl TlsSection {
    /// Whether the node speaks TLS itself.
    #[must_use]
    pub fn is_on(&self) -> bool {
        !self.certificate.as_os_str().is_empty()
    }

    /// Whether everybody outside speaks TLS, with the node or with a proxy in front of it.
    pub(crate) fn is_outside(&self) -> bool {
        self.is_on() || self.by_proxy
    }
}

impl Default for HttpSection {
    fn default() -> Self {
        Self {
            address: "127.0.0.1:8420".to_owned(),
            max_connections: 1024,
            max_connections_per_address: 256,
            handshake_ms: 10_000,
            idle_ms: 60_000,
            trusted_proxies: vec!["127.0.0.0/8".to_owned(), "::1".to_owned()],
            forwarded_by: ForwardedBy::default(),
            tls: TlsSection::default(),
        }
    }
}

impl HttpSection {
    /// How the node's own addresses begin; those of a proxy in front of it may begin otherwise.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        if self.tls.is_on() { "https" } else { "http" }
    }

    /// Whether nobody outside this machine can connect.
    pub(super) fn is_local(&self) -> bool {
        let host = self.address.rsplit_once(':').map_or("", |(host, _)| host).trim_matches(['[', ']']);
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// The networks of [`trusted_proxies`](Self::trusted_proxies).
    pub(crate) fn proxies(&self) -> Vec<IpNet> {
        self.trusted_proxies.iter().filter_map(|proxy| network(proxy)).collect()
    }

    /// The first key whose value must not be, and what it must be.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let port = self.address.rsplit_once(':').filter(|(host, _)| !host.is_empty());
        let port = port.map(|(_, port)| port.parse::<u16>());
        let faults = [
            (
                !self.address.is_empty() && !matches!(port, Some(Ok(_))),
                "http.address",
                "must be `host:port`, or empty where there is to be no HTTP server",
            ),
            (!(1..=1_000_000).contains(&self.max_connections), "http.max_connections", "must be from 1 to 1000000"),
            (self.max_connections_per_address == 0, "http.max_connections_per_address", "must be at least 1"),
            (!(100..=600_000).contains(&self.handshake_ms), "http.handshake_ms", "must be from 100 to 600000"),
            (!(100..=3_600_000).contains(&self.idle_ms), "http.idle_ms", "must be from 100 to 3600000"),
            (
                !self.trusted_proxies.iter().all(|proxy| network(proxy).is_some()),
                "http.trusted_proxies",
                "must each be an address or a network, such as 10.1.2.3 or 10.0.0.0/8",
            ),
            (
                self.tls.is_on() == self.tls.key.as_os_str().is_empty(),
                "http.tls",
                "must have both a certificate and a key, or neither",
            ),
        ];
        faults.into_iter().find(|(wrong, ..)| *wrong).map(|(_, key, why)| (key, why))
    }
}

/// A network, or the one address as one.
fn network(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}
