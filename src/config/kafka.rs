//! What is configured about Kafka: where it is, and how it is spoken to.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    time::Duration,
};

use serde::{Deserialize, Serialize};

use super::sections::{Secret, text};
use crate::bus::kafka::KafkaSettings;

/// The bus on Kafka.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KafkaSection {
    /// `host:port`, comma-separated.
    pub brokers: String,
    /// Stands before every topic, group and transactional id.
    #[serde(deserialize_with = "text")]
    pub prefix: String,
    /// Whether the connection is encrypted, and whether the brokers ask who comes.
    pub security_protocol: SecurityProtocol,
    /// A file of certificates (PEM) that may sign the brokers'; the system's where empty.
    pub ca_file: PathBuf,
    /// The node's own certificate (PEM), where brokers ask for one; none where empty.
    pub certificate_file: PathBuf,
    /// The key of that certificate.
    pub key_file: PathBuf,
    /// How the node says who it is.
    pub sasl_mechanism: SaslMechanism,
    /// Who it is.
    #[serde(deserialize_with = "text")]
    pub username: String,
    /// What proves it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// A transaction that a dead node left open blocks its partitions this long.
    pub transaction_timeout_ms: u64,
    /// A node that is not heard of for so long loses its partitions. Brokers refuse less than their
    /// `group.min.session.timeout.ms`, which is 6000 by default.
    pub session_timeout_ms: u64,
    /// More librdkafka properties. They win over AUREN's own.
    pub properties: BTreeMap<String, Secret>,
}

/// Kafka's `security.protocol`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SecurityProtocol {
    /// Neither.
    #[default]
    Plaintext,
    /// Encrypted.
    Ssl,
    /// The brokers ask for a password, which travels as anybody can read it.
    SaslPlaintext,
    /// Both.
    SaslSsl,
}

/// Kafka's `sasl.mechanism`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum SaslMechanism {
    /// The password itself.
    #[serde(rename = "PLAIN")]
    Plain,
    /// A proof that one knows the password.
    #[serde(rename = "SCRAM-SHA-256")]
    ScramSha256,
    /// The same with a longer hash.
    #[default]
    #[serde(rename = "SCRAM-SHA-512")]
    ScramSha512,
}

impl Default for KafkaSection {
    fn default() -> Self {
        let settings = KafkaSettings::default();
        Self {
            brokers: settings.brokers,
            prefix: settings.prefix,
            security_protocol: SecurityProtocol::default(),
            ca_file: PathBuf::new(),
            certificate_file: PathBuf::new(),
            key_file: PathBuf::new(),
            sasl_mechanism: SaslMechanism::default(),
            username: String::new(),
            password: None,
            transaction_timeout_ms: 10_000,
            session_timeout_ms: 6_000,
            properties: BTreeMap::new(),
        }
    }
}

impl SecurityProtocol {
    fn name(self) -> &'static str {
        match self {
            Self::Plaintext => "plaintext",
            Self::Ssl => "ssl",
            Self::SaslPlaintext => "sasl_plaintext",
            Self::SaslSsl => "sasl_ssl",
        }
    }

    fn asks_who_comes(self) -> bool {
        matches!(self, Self::SaslPlaintext | Self::SaslSsl)
    }
}

impl SaslMechanism {
    fn name(self) -> &'static str {
        match self {
            Self::Plain => "PLAIN",
            Self::ScramSha256 => "SCRAM-SHA-256",
            Self::ScramSha512 => "SCRAM-SHA-512",
        }
    }
}

impl KafkaSection {
    /// The settings of the bus.
    #[must_use]
    pub fn settings(&self) -> KafkaSettings {
        let given = self.properties.iter().map(|(name, value)| (name.clone(), value.reveal().to_owned()));
        let mut properties = self.security();
        properties.extend(given);
        KafkaSettings {
            brokers: self.brokers.clone(),
            prefix: self.prefix.clone(),
            transaction_timeout: Duration::from_millis(self.transaction_timeout_ms),
            session_timeout: Duration::from_millis(self.session_timeout_ms),
            properties,
        }
    }

    fn security(&self) -> BTreeMap<String, String> {
        let mut properties = BTreeMap::new();
        let mut set = |name: &str, value: String| drop(properties.insert(name.to_owned(), value));
        if self.security_protocol != SecurityProtocol::Plaintext {
            set("security.protocol", self.security_protocol.name().to_owned());
        }
        let files = [
            ("ssl.ca.location", &self.ca_file),
            ("ssl.certificate.location", &self.certificate_file),
            ("ssl.key.location", &self.key_file),
        ];
        for (name, file) in files.into_iter().filter(|(_, file)| is_given(file)) {
            set(name, file.display().to_string());
        }
        if self.security_protocol.asks_who_comes() {
            set("sasl.mechanism", self.sasl_mechanism.name().to_owned());
            set("sasl.username", self.username.clone());
            if let Some(password) = &self.password {
                set("sasl.password", password.reveal().to_owned());
            }
        }
        properties
    }

    /// The first key whose value must not be, and what it must be.
    pub(super) fn fault(&self) -> Option<(&'static str, &'static str)> {
        let asked = self.security_protocol.asks_who_comes();
        let known = |name: &str| self.properties.contains_key(name);
        let faults = [
            (self.brokers.trim().is_empty(), "kafka.brokers", "must be `host:port`, comma-separated"),
            (
                is_given(&self.certificate_file) != is_given(&self.key_file),
                "kafka.certificate_file",
                "and kafka.key_file belong together: set both or neither",
            ),
            (
                asked && self.username.is_empty() && !known("sasl.username"),
                "kafka.username",
                "must be set where kafka.security_protocol is sasl_ssl or sasl_plaintext",
            ),
            (
                asked && self.password.is_none() && !known("sasl.password"),
                "kafka.password",
                "must be set where kafka.security_protocol is sasl_ssl or sasl_plaintext (AUREN__KAFKA__PASSWORD, or \
                 AUREN__KAFKA__PASSWORD__FILE for a file that holds it)",
            ),
            (
                !asked && self.password.is_some(),
                "kafka.password",
                "is of no use unless kafka.security_protocol is sasl_ssl (or sasl_plaintext)",
            ),
        ];
        faults.into_iter().find(|(wrong, ..)| *wrong).map(|(_, key, why)| (key, why))
    }

    /// Why what is said to the brokers is not safe on its way, if it is not.
    pub(super) fn unsafe_on_its_way(&self) -> Option<(&'static str, &'static str)> {
        let properties = self.settings().properties;
        let is = |name: &str, values: &[&str]| {
            properties.get(name).is_some_and(|value| values.contains(&value.to_ascii_lowercase().as_str()))
        };
        let faults = [
            (
                !is("security.protocol", &["ssl", "sasl_ssl"]),
                "kafka.security_protocol",
                "must be \"sasl_ssl\" or \"ssl\": otherwise everything that people say goes over the network as it is",
            ),
            (
                is("enable.ssl.certificate.verification", &["false", "f", "0"]),
                "kafka.properties",
                "must not turn enable.ssl.certificate.verification off: anybody could pass for a broker",
            ),
            (
                is("ssl.endpoint.identification.algorithm", &["none"]),
                "kafka.properties",
                "must not set ssl.endpoint.identification.algorithm to none: one broker could pass for another",
            ),
        ];
        faults.into_iter().find(|(wrong, ..)| *wrong).map(|(_, key, why)| (key, why))
    }
}

fn is_given(file: &Path) -> bool {
    !file.as_os_str().is_empty()
}
