//! Who brings the wrong password or trusts the wrong authority is told so, and told what to do.

use std::time::Duration;

use auren::{
    bus::{Bus as _, BusError, kafka::KafkaBus},
    config::{KafkaSection, SaslMechanism, SecurityProtocol},
    lane::{Papers, SnapshotSettings},
    project::Database,
};

use super::{Certificates, SafeRedis, kafka};
use crate::{
    project::Server,
    support::{Broker, run},
};

async fn kafka_says(section: &KafkaSection) -> String {
    let error = KafkaBus::new(section.settings()).unwrap().topics().await.unwrap_err();
    assert!(matches!(error, BusError::NotLetIn { .. }), "{error}");
    let said = error.to_string();
    assert!(said.contains(&section.brokers) && !said.contains("s3cret") && !said.contains("guessed"), "{said}");
    said
}

fn has(said: &str, words: &[&str]) {
    for word in words {
        assert!(said.contains(word), "{word:?} is not in: {said}");
    }
}

#[test]
fn kafka_says_why_a_client_is_not_let_in() {
    let certificates = Certificates::make();
    let broker = Broker::safe(certificates.folder());
    run(async {
        let good = kafka(&broker, &certificates, "auren", SaslMechanism::ScramSha512);
        for mechanism in [SaslMechanism::ScramSha256, SaslMechanism::Plain] {
            let password = Some("guessed".to_owned().into());
            let said = kafka_says(&KafkaSection { password, sasl_mechanism: mechanism, ..good.clone() }).await;
            has(&said, &["does not let this client in", "Authentication failed", "kafka.password"]);
        }
        let said = kafka_says(&KafkaSection { ca_file: certificates.stranger(), ..good.clone() }).await;
        has(&said, &["certificate", "kafka.ca_file must name the authority"]);
        let plain = KafkaSection {
            security_protocol: SecurityProtocol::Plaintext,
            username: String::new(),
            password: None,
            ..good
        };
        let error = KafkaBus::new(plain.settings()).unwrap().topics().await.unwrap_err();
        assert!(matches!(error, BusError::Unreachable { .. }), "{error}");
        has(&error.to_string(), &[&broker.address(), "something listens there", "kafka.security_protocol"]);
    });
}

#[test]
fn redis_says_why_a_client_is_not_let_in() {
    let certificates = Certificates::make();
    let redis = SafeRedis::start(&certificates);
    run(async {
        redis.connect(&certificates).await;
        let ask = async |password: &str, authority: &std::path::Path| {
            let limit = Duration::from_secs(5);
            let papers = Papers { authority: Some(std::fs::read(authority).unwrap()), own: None };
            let settings =
                SnapshotSettings::new(&redis.url(password), papers, "auren:".to_owned(), limit, limit).unwrap();
            assert!(settings.place().starts_with("127.0.0.1:"), "{}", settings.place());
            settings.ask().await.map(|(said, _)| said).map_err(|error| error.to_string())
        };
        has(&ask("redis-s3cret", &certificates.authority()).await.unwrap(), &["Redis 7"]);
        let said = ask("guessed", &certificates.authority()).await.unwrap_err();
        has(&said, &["look at user and password in redis.url"]);
        let said = ask("redis-s3cret", &certificates.stranger()).await.unwrap_err();
        has(&said, &["certificate", "redis.ca_file must name the authority"]);
    });
}

#[test]
fn postgres_says_why_a_client_is_not_let_in() {
    let certificates = Certificates::make();
    let server = Server::safe(certificates.folder());
    run(async {
        Database::open(&server.url()).await.unwrap();
        let said = async |url: &str| Database::look(url).await.unwrap_err().to_string();
        let wrong = said(&server.url_with("guessed", &certificates.authority())).await;
        has(&wrong, &["password authentication failed", "look at user, password"]);
        let wrong = said(&server.url_with("postgres-s3cret", &certificates.stranger())).await;
        has(&wrong, &["certificate", "sslrootcert in its address must name the authority"]);
        let plain = server.url().replace("verify-full", "disable");
        has(&said(&plain).await, &["no encryption", "sslmode"]);
    });
}
