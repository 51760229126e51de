//! Which guarantee is in force, as it is observed on real brokers.

use auren::{
    bus::{Bus as _, Topic, kafka::KafkaBus},
    config::Role,
    guarantee::{Condition, InForce, Level},
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
};

use crate::support::{Kind, Program, Stage, run, service, until};

/// What is in force for a role on this stage, with these properties set.
async fn in_force(stage: &Stage, role: Role, properties: &[(&str, &str)]) -> InForce {
    let mut settings = stage.settings().clone();
    settings.properties.extend(properties.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
    let facts = KafkaBus::new(settings).unwrap().facts().await.unwrap();
    InForce::of(role, &facts, Condition::default())
}

async fn the_topics_that_auren_creates_give_exactly_once_on_one_disk(kind: Kind) {
    let stage = Stage::open(kind).await;
    stage.create(Topic::ALL, 2).await;
    let force = InForce::of(Role::Converse, &stage.bus.facts().await.unwrap(), Condition::default());
    assert_eq!(force.level, Level::ExactlyOnce, "{force}");
    let disk = if matches!(kind, Kind::Embedded) { "on this machine's disk alone" } else { "on one broker's disk" };
    assert!(force.to_string().contains(disk), "{force}");
    assert_eq!(force.remarks.len(), 1, "{force}");
}

#[test]
fn the_topics_that_auren_creates_give_exactly_once_on_kafka() {
    run(the_topics_that_auren_creates_give_exactly_once_on_one_disk(Kind::Kafka));
}

#[test]
fn the_topics_that_auren_creates_give_exactly_once_on_kafka_with_zookeeper() {
    run(the_topics_that_auren_creates_give_exactly_once_on_one_disk(Kind::KafkaOnZooKeeper));
}

#[test]
fn the_topics_that_auren_creates_give_exactly_once_on_the_embedded_bus() {
    run(the_topics_that_auren_creates_give_exactly_once_on_one_disk(Kind::Embedded));
}

#[test]
fn a_state_topic_of_somebody_else_s_that_forgets_takes_the_guarantee_of_its_role_alone() {
    run(async {
        let stage = Stage::open(Kind::Kafka).await;
        let others: Vec<_> = Topic::ALL.iter().copied().filter(|topic| *topic != Topic::StateDetect).collect();
        stage.create(&others, 2).await;
        let force = in_force(&stage, Role::Detect, &[]).await;
        assert_eq!(force.level, Level::None);
        assert!(force.to_string().contains("topic auren.state.detect does not exist"), "{force}");

        let settings = stage.settings();
        let client = ClientConfig::new().set("bootstrap.servers", &settings.brokers).clone();
        let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
        let name = format!("{}{}", settings.prefix, Topic::StateDetect);
        let topic = NewTopic::new(&name, 2, TopicReplication::Fixed(1));
        admin.create_topics(&[topic], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
        until("the brokers have told each other", || async { stage.bus.partitions().await.is_ok() }).await;
        let force = in_force(&stage, Role::Detect, &[]).await;
        assert_eq!(force.level, Level::None);
        assert!(force.to_string().contains("forgets people (cleanup.policy = delete)"), "{force}");
        assert_eq!(in_force(&stage, Role::Converse, &[]).await.level, Level::ExactlyOnce);
    });
}

#[test]
fn properties_that_take_something_away_are_found_in_what_the_clients_really_use() {
    run(async {
        let stage = Stage::open(Kind::Kafka).await;
        stage.create(Topic::ALL, 2).await;
        for (property, level) in [
            (("isolation.level", "read_uncommitted"), Level::AtLeastOnce),
            (("enable.auto.commit", "true"), Level::None),
            (("partition.assignment.strategy", "cooperative-sticky"), Level::None),
            (("fetch.wait.max.ms", "10"), Level::ExactlyOnce),
        ] {
            let force = in_force(&stage, Role::Converse, &[property]).await;
            assert_eq!(force.level, level, "{property:?}: {force}");
            let named = force.to_string().contains(&format!("kafka.properties has {} = {}", property.0, property.1));
            assert_eq!(named, level != Level::ExactlyOnce, "{force}");
        }
    });
}

#[test]
fn doctor_says_which_guarantee_is_in_force_for_each_role_and_fails_where_it_is_weaker() {
    let program = Program::new();
    let flags = program.kafka_flags(&service("AUREN_TEST_KAFKA"));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    assert!(program.run(&[&flags[..], &["topics", "create"]].concat()).status.success());
    let good = program.run(&[&flags[..], &["doctor"]].concat());
    let said = String::from_utf8(good.stdout).unwrap();
    assert!(good.status.success(), "{said}");
    let lines = said.lines().filter(|line| line.starts_with("good  guarantee of") && line.contains("exactly once: "));
    assert_eq!(lines.count(), 3, "{said}");
    std::fs::write(
        program.folder().join("auren.toml"),
        "[kafka.properties]\n\"isolation.level\" = \"read_uncommitted\"",
    )
    .unwrap();
    let weak = program.run(&[&flags[..], &["doctor"]].concat());
    assert_eq!(weak.status.code(), Some(1));
    let said = String::from_utf8(weak.stdout).unwrap();
    assert!(said.contains("bad   guarantee of detect"), "{said}");
}
