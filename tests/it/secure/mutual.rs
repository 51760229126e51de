//! Services that want to see a certificate: a client that shows one is let in, and one without is told.

use std::time::Duration;

use auren::{
    app::snapshots,
    bus::{Bus as _, BusError, kafka::KafkaBus},
    config::{Config, KafkaSection, SecurityProtocol},
    project::Database,
};

use super::{Certificates, SafeRedis, a_trigger_is_answered};
use crate::{
    project::{Server, sql},
    support::{Broker, on_system, own_name, run, until},
};

#[test]
fn a_trigger_is_answered_where_kafka_wants_a_certificate_and_nobody_without_is_let_in() {
    let certificates = Certificates::make();
    let broker = Broker::mutual(certificates.folder());
    let [certificate_file, key_file] = certificates.client();
    let section = KafkaSection {
        brokers: broker.address(),
        prefix: own_name(),
        security_protocol: SecurityProtocol::Ssl,
        ca_file: certificates.authority(),
        ..KafkaSection::default()
    };
    on_system(async {
        let without = KafkaBus::new(section.settings()).unwrap().topics().await.unwrap_err();
        // With TLS 1.3 a broker ends the connection later, and without a word that the client would repeat.
        assert!(matches!(without, BusError::NotLetIn { .. } | BusError::Unreachable { .. }), "{without}");
        assert!(without.to_string().contains("kafka.certificate_file"), "{without}");

        a_trigger_is_answered(&KafkaSection { certificate_file, key_file, ..section }).await;
    });
}

#[test]
fn redis_and_postgres_that_want_a_certificate_are_shown_one() {
    let certificates = Certificates::make();
    let redis = SafeRedis::mutual(&certificates);
    let server = Server::safe(certificates.folder());
    let [certificate_file, key_file] = certificates.client();
    run(async {
        let mut config = Config::default();
        config.redis.url = Some(redis.url("redis-s3cret").into());
        config.redis.ca_file = certificates.authority();
        config.redis.timeout_ms = Duration::from_secs(5).as_millis().try_into().unwrap();
        let ask = async |config: &Config| snapshots(config).unwrap().unwrap().ask().await;
        let mut with = config.clone();
        (with.redis.certificate_file, with.redis.key_file) = (certificate_file.clone(), key_file.clone());
        until("Redis lets in who has one", || async { ask(&with).await.is_ok() }).await;
        assert!(ask(&config).await.is_err());

        sql(&server.url(), "CREATE DATABASE certain").await;
        let named = server.url().replace("/postgres?", "/certain?").replace(":postgres-s3cret@", "@");
        let shown = format!("{named}&sslcert={}&sslkey={}", certificate_file.display(), key_file.display());
        let error = Database::open(&named).await.unwrap_err().to_string();
        assert!(error.contains("certificate"), "{error}");
        let mut database = Database::open(&shown).await.unwrap();
        assert!(database.server().await.unwrap().0.starts_with("PostgreSQL 1"));
    });
}
