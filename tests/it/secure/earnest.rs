//! `profile = "prod"`: four processes, a role and a user each, that reach Kafka, Redis and PostgreSQL over TLS and may no more
//! than `docker/kafka/acls.txt` says; and what becomes of a node that could be listened to.

use std::fs;

use auren::{
    bus::{Bus as _, Topic, kafka::KafkaBus},
    config::{KafkaSection, SaslMechanism},
    project::Database,
};
use redis::AsyncCommands as _;

use super::{Certificates, SafeRedis, kafka, rights::allow};
use crate::{
    project::Server,
    support::{Broker, Node, Program, keyed, mission_biometric, mission_trigger, run, until},
};

const READING: &str = r#"{"user_id":"u-1","measure":"rmssd","value":41.5,"source_device":"watch","timestamp":"2024-01-01T07:00:00+01:00"}"#;

/// What a node is configured by, with every secret in a file of its own.
fn configure(program: &Program, kafka: &KafkaSection, redis: &str, postgres: &str, certificates: &Certificates) {
    let secret = |name: &str, value: &str| {
        let file = program.folder().join(name);
        fs::write(&file, format!("{value}\n")).unwrap();
        format!("{{ file = '{}' }}", file.display())
    };
    let (brokers, prefix, authority) = (&kafka.brokers, &kafka.prefix, certificates.authority());
    let authority = authority.display();
    let password = secret("kafka", "kafka-s3cret");
    let redis = secret("redis", redis);
    let postgres = secret("postgres", postgres);
    let master = secret("master", "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=");
    let config = format!(
        "[node]\nprofile = 'prod'\n[bus]\nkind = 'kafka'\n\
         [kafka]\nbrokers = '{brokers}'\nprefix = '{prefix}'\nsecurity_protocol = 'sasl_ssl'\nca_file = '{authority}'\n\
         username = 'auren'\npassword = {password}\n\
         [redis]\nurl = {redis}\nca_file = '{authority}'\nflush_ms = 1\n\
         [phi]\nprovider = 'secret'\nmaster_key = {master}\nkeyring_url = {postgres}\n\
         [project]\nurl = {postgres}\n\
         [topics]\npartitions = 2\n\
         [tokens]\nsecret = 'a secret that everybody knows, for tests'\n"
    );
    fs::write(program.folder().join("auren.toml"), config).unwrap();
}

#[test]
fn in_earnest_each_role_does_its_work_over_tls_with_no_right_to_spare() {
    let certificates = Certificates::make();
    let broker = Broker::safe(certificates.folder());
    let redis = SafeRedis::start(&certificates);
    let server = Server::safe(certificates.folder());
    let program = Program::new();
    let section = kafka(&broker, &certificates, "auren", SaslMechanism::ScramSha512);
    configure(&program, &section, &redis.url("redis-s3cret"), &server.url(), &certificates);
    let out = |arguments: &[&str]| {
        let output = program.run(arguments);
        (output.status.code(), String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
    };
    let (code, said) = out(&["config", "check"]);
    assert_eq!(code, Some(0), "{said}");

    // Whatever could be listened to is named, all of it at once, and nothing starts.
    let plain = ["--set", "kafka.security_protocol=sasl_plaintext", "--set", "redis.url=redis://127.0.0.1:6379/"];
    for command in [&["config", "check"][..], &["serve"]] {
        let (code, said) = out(&[command, &plain].concat());
        assert_eq!(code, Some(64), "{said}");
        for key in ["kafka.security_protocol must be", "redis.url must be"] {
            assert!(said.contains(key), "{key:?} is not in: {said}");
        }
        assert!(!said.contains("s3cret"), "{said}");
    }

    let (code, said) = out(&["topics", "create"]);
    assert_eq!(code, Some(0), "{said}");
    let of = |user: &str, mechanism| KafkaSection {
        prefix: section.prefix.clone(),
        ..kafka(&broker, &certificates, user, mechanism)
    };
    let roles = ["enrich", "detect", "converse", "project"];
    for role in roles {
        allow(&broker.inside(), &section.prefix, role, &[role]);
    }
    // A broker takes a moment to hear of rights. Who has none sees no topic.
    run(async {
        for role in roles {
            let bus = KafkaBus::new(of(role, SaslMechanism::ScramSha512).settings()).unwrap();
            until(&format!("{role} sees the topics"), || async {
                bus.topics().await.unwrap().len() == Topic::ALL.len()
            })
            .await;
        }
    });
    let start = |role: &str| {
        let flags = [format!("kafka.username={role}"), format!("node.roles=[\"{role}\"]")];
        let flags: Vec<_> = flags.into_iter().flat_map(|flag| ["--set".to_owned(), flag]).collect();
        Node::start(&program, &flags, role)
    };
    let mut nodes = roles.map(start);
    for node in &nodes[..3] {
        node.says("partitions taken", 1);
    }
    nodes[3].says("the history goes on", 1);
    run(async {
        let bus = KafkaBus::new(section.settings()).unwrap();
        let events = [
            keyed(Topic::Triggers, "user_hash", &mission_trigger().to_string()),
            keyed(Topic::Biometrics, "user_hash", &mission_biometric().to_string()),
            // Misplaced: it is moved and noted, which takes more rights.
            auren::bus::Outgoing {
                partition: Some(1 - auren::bus::key_partition(b"u-2", 2)),
                ..keyed(Topic::Biometrics, "u-2", &mission_biometric().to_string().replace("user_hash", "u-2"))
            },
        ];
        fs::write(program.folder().join("reading.json"), READING).unwrap();
        let (code, said) = out(&["send", "reading", "reading.json"]);
        assert_eq!(code, Some(0), "{said}");
        for answer in bus.publish(events.to_vec()).await {
            answer.unwrap();
        }
        // One reading, two measurements and the moved one; three triggers; two answers to each.
        let rows = async |topic: Topic| {
            let mut database = Database::look(&server.url()).await.ok()?;
            Some(database.held(topic).await.ok()?.rows)
        };
        for (topic, count) in [(Topic::Biometrics, 3), (Topic::Triggers, 3), (Topic::Events, 6)] {
            until(&format!("{count} rows of {topic}"), || async {
                assert!(nodes.iter().all(|node| !node.said().contains("uthorization failed")), "{}", said_by(&nodes));
                rows(topic).await.is_some_and(|rows| rows >= count)
            })
            .await;
        }
        let mut connection = redis.connect(&certificates).await;
        for role in ["enrich", "detect", "converse"] {
            let mut marked = false;
            for partition in 0..2 {
                let key = format!("auren:{}auren.state.{role}:{partition}", section.prefix);
                marked |= connection.hget::<_, _, Option<String>>(key, "").await.unwrap().is_some();
            }
            assert!(marked, "Redis has no states of {role}: {}", said_by(&nodes));
        }

        // Who looks is told what the clocks say, and which rights a role's user lacks.
        let agent = "agents.kafka.far.purpose=Far.";
        let (code, said) = out(&["--set", agent, "topics", "create"]);
        assert_eq!(code, Some(0), "{said}");
        let doctor = |user: &str, flags: &[&str]| {
            let user = format!("kafka.username={user}");
            out(&[flags, &["--set", &user, "--set", "node.roles=[\"converse\"]", "doctor"]].concat()).1
        };
        let said = doctor("converse", &["--set", agent]);
        for line in [
            // Three that it hears, its states, and the answers of its agent.
            "good  rights                   its 5 topics",
            "good  clock                    Redis's is",
            "good  clock                    PostgreSQL's is",
        ] {
            assert!(said.contains(line), "{line:?} is not in: {said}");
        }
        let said = doctor("detect", &[]);
        assert!(said.contains("bad   rights") && said.contains("docker/kafka/acls.txt"), "{said}");

        // Nobody may do another's work.
        let detect = KafkaBus::new(of("detect", SaslMechanism::ScramSha256).settings()).unwrap();
        detect.topics().await.unwrap();
        let error = detect.publish(vec![keyed(Topic::Events, "u-1", "{}")]).await.remove(0).unwrap_err();
        assert!(error.to_string().contains("uthorization failed"), "{error}");
    });
    for node in &mut nodes {
        node.terminate();
        assert!(!node.said().contains("s3cret"));
        assert!(!node.said().contains("uthorization failed"), "{}", node.said());
        // Nor does Redis refuse a channel.
        assert!(!node.said().contains("does not carry"), "{}", node.said());
    }
}

fn said_by(nodes: &[Node]) -> String {
    nodes.iter().map(Node::said).collect()
}
