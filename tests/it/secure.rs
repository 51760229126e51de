//! Connections that nobody can listen to: Kafka, Redis and PostgreSQL over TLS, who is let in and who is not, and a node in
//! earnest (`profile = "prod"`) that has nothing but such connections, a user for each role, and no right to spare.

mod earnest;
mod mutual;
mod rights;
mod turned_away;

use std::{
    path::{Path, PathBuf},
    process::{Child, Stdio},
};

use auren::{
    bus::{Topic, kafka::KafkaBus},
    config::{KafkaSection, Role, SaslMechanism, SecurityProtocol},
};

use crate::support::{
    Broker, River, Stage, free_port, mission_trigger, on_system, own_name, script, settled, speakers, until,
};

/// Certificates for services on 127.0.0.1.
pub struct Certificates(tempfile::TempDir);

impl Certificates {
    pub fn make() -> Self {
        let folder = tempfile::tempdir().unwrap();
        // PostgreSQL runs as another user.
        let all = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(folder.path(), all).unwrap();
        let made = script("certificates").arg(folder.path()).status().unwrap();
        assert!(made.success());
        Self(folder)
    }

    pub fn folder(&self) -> &Path {
        self.0.path()
    }

    /// The authority that signed the services' certificates.
    pub fn authority(&self) -> PathBuf {
        self.folder().join("ca.pem")
    }

    /// A certificate of a client, and its key.
    pub fn client(&self) -> [PathBuf; 2] {
        ["client.pem", "client.key"].map(|name| self.folder().join(name))
    }

    /// One that has signed none of them.
    pub fn stranger(&self) -> PathBuf {
        self.folder().join("stranger.pem")
    }
}

/// A Redis that speaks TLS alone and knows one user. Dropped, it is killed.
pub struct SafeRedis {
    child: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl SafeRedis {
    pub fn start(certificates: &Certificates) -> Self {
        Self::of(certificates, None)
    }

    /// One that wants a certificate, too.
    pub fn mutual(certificates: &Certificates) -> Self {
        Self::of(certificates, Some("mutual"))
    }

    fn of(certificates: &Certificates, mutual: Option<&str>) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let mut command = script("redis");
        command.arg(folder.path()).arg(port.to_string()).arg(certificates.folder()).args(mutual);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        Self { child, port, _folder: folder }
    }

    pub fn url(&self, password: &str) -> String {
        format!("rediss://auren:{password}@127.0.0.1:{}/", self.port)
    }

    /// A connection of a test's own.
    pub async fn connect(&self, certificates: &Certificates) -> redis::aio::MultiplexedConnection {
        let root_cert = Some(std::fs::read(certificates.authority()).unwrap());
        let certificates = redis::TlsCertificates { client_tls: None, root_cert };
        let client = redis::Client::build_with_tls(self.url("redis-s3cret"), certificates).unwrap();
        until("Redis answers", || async { client.get_multiplexed_async_connection().await.is_ok() }).await;
        client.get_multiplexed_async_connection().await.unwrap()
    }
}

impl Drop for SafeRedis {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a safe broker is reached.
pub fn kafka(broker: &Broker, certificates: &Certificates, user: &str, mechanism: SaslMechanism) -> KafkaSection {
    KafkaSection {
        brokers: broker.address(),
        prefix: own_name(),
        security_protocol: SecurityProtocol::SaslSsl,
        ca_file: certificates.authority(),
        sasl_mechanism: mechanism,
        username: user.to_owned(),
        password: Some("kafka-s3cret".to_owned().into()),
        ..KafkaSection::default()
    }
}

#[test]
fn a_trigger_is_answered_over_tls_whichever_way_the_hub_says_who_it_is() {
    let certificates = Certificates::make();
    let broker = Broker::safe(certificates.folder());
    for (user, mechanism) in
        [("auren", SaslMechanism::ScramSha512), ("auren", SaslMechanism::ScramSha256), ("plain", SaslMechanism::Plain)]
    {
        on_system(async {
            a_trigger_is_answered(&kafka(&broker, &certificates, user, mechanism)).await;
        });
    }
}

/// A hub that reaches Kafka like this answers a trigger once.
async fn a_trigger_is_answered(section: &KafkaSection) {
    let settings = section.settings();
    let bus = std::sync::Arc::new(KafkaBus::new(settings.clone()).unwrap());
    let river = River::on(Stage::of(bus, settings), &[]).await.roles(&[Role::Converse]);
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
    assert_eq!(speakers(ear.hears(2).await), ["neuroscientist", "coach"]);
    settled(&hub).await;
    assert_eq!(river.said().await.len(), 2);
    hub.stop().await;
}
