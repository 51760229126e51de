//! Records that nobody can use, in a stream of good ones.

use std::sync::Arc;

use auren::bus::{SharedBus, Topic, embedded::EmbeddedBus, kafka::KafkaBus};

use super::{Day, so_many, some_moment};
use crate::support::{keyed, run, service};

/// What is wrong with them: no JSON, no trigger, another person's key, a field out of its bounds, no user at all.
const POISON: [&str; 5] = [
    "{",
    r#"{"trigger_id":7}"#,
    r#"{"trigger_id":"t","user_id":"somebody else","trigger_type":"hrv_drop","severity":0.5,"context_window":[],"recommended_agents":["coach"],"message":"","timestamp":"2024-01-01T10:00:00Z"}"#,
    r#"{"trigger_id":"t","user_id":"u","trigger_type":"hrv_drop","severity":7,"context_window":[],"recommended_agents":["coach"],"message":"","timestamp":"2024-01-01T10:00:00Z"}"#,
    "null",
];

fn poisoned(day: &Day, bus: impl FnOnce() -> SharedBus, what: &str) {
    let mut node = day.node("n1");
    let rounds = so_many(8, 60);
    let verifying =
        day.verify(&format!("{} poison records among good ones, {what}", rounds * POISON.len()), so_many(8, 60));
    let bus = bus();
    for _ in 0..rounds {
        some_moment(400..900);
        let records = POISON.iter().map(|text| keyed(Topic::Triggers, "u", text)).collect();
        run(async {
            for answer in bus.publish(records).await {
                answer.unwrap();
            }
        });
    }
    verifying.ends_well();
    node.terminate();
    let listed = day.auren(&["dlq", "list", "--json"]).output().unwrap();
    let listed = String::from_utf8(listed.stdout).unwrap();
    let counted: u64 = listed
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["count"].as_u64().unwrap())
        .sum();
    assert_eq!(counted, u64::try_from(rounds * POISON.len()).unwrap(), "{listed}");
}

#[test]
fn poison_on_kafka_becomes_dead_letters_and_holds_nobody_up() {
    let day = Day::on_kafka(&service("AUREN_TEST_KAFKA"));
    let settings = day.program.kafka(&service("AUREN_TEST_KAFKA"));
    poisoned(&day, || Arc::new(KafkaBus::new(settings).unwrap()), "on Kafka");
}

#[test]
fn poison_on_the_embedded_bus_becomes_dead_letters_and_holds_nobody_up() {
    let day = Day::embedded();
    let file = day.program.folder().join("auren-data/auren.db");
    let mut bus = None;
    run(async { bus = Some(EmbeddedBus::open(file).await.unwrap()) });
    poisoned(&day, || Arc::new(bus.unwrap()), "on the embedded bus");
}
