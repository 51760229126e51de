//! A hub that is killed while an agent is in the middle of its answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use auren::{
    bus::{SharedBus, Topic, embedded::EmbeddedBus, kafka::KafkaBus},
    wire,
};
use futures::stream;

use super::Day;
use crate::support::{
    Ear,
    far::{Far, Python, stream_of},
    keyed, message, run, service, speakers, trigger,
};

const HALF: &str = "event: delta\ndata: {\"text\":\"Sleep \"}\n\n";
const REST: &str = "event: delta\ndata: {\"text\":\"well.\"}\n\nevent: advice\ndata: {}\n\n";

/// A panel of the agent in Python, one that comes to the end of its answer only when it is asked again, and the coach.
async fn is_answered_once_although_its_hub_is_killed(mut day: Day, bus: SharedBus) {
    let python = Python::start();
    let times = Arc::new(AtomicUsize::new(0));
    let far =
        Far::plays(move |_| {
            let first = times.fetch_add(1, Relaxed) == 0;
            async move {
                if first { stream_of(&[HALF], stream::pending()) } else { stream_of(&[HALF, REST], stream::empty()) }
            }
        })
        .await;
    for (name, url) in [("sleeper", &python.url), ("far", &far.url)] {
        day.flags.extend(["--set".to_owned(), format!("agents.http.{name}.url={url}")]);
    }
    day.flags.extend(["--set", "converse.agent_deadline_ms=120000"].map(ToOwned::to_owned));
    let mut ear = Ear::on(&*bus);
    let mut node = day.node("n1");
    let asks = trigger("u-1", "t-1", &["sleeper", "far", "coach"]).to_string();
    bus.publish_all(vec![keyed(Topic::Triggers, "u-1", &asks)]).await.unwrap();
    far.asked_times(1).await;
    node.kill();
    let _node = day.node("n1");
    assert_eq!(speakers(ear.until(|heard| heard.len() >= 3).await), ["sleeper", "far", "coach"]);
    // Whatever comes later changes nothing.
    bus.publish_all(vec![wire::outgoing(&message("u-1", "m-1", 0, "Good night", Some("sleeper")))]).await.unwrap();
    let said = ear.until(|heard| heard.len() >= 5).await;
    assert_eq!(speakers(said), ["sleeper", "far", "coach", "user", "sleeper"]);
    assert_eq!(&*said[1].content, "Sleep well.");
    let asked = far.asked();
    assert_eq!(asked.len(), 2);
    assert_eq!(asked[0].headers["idempotency-key"], asked[1].headers["idempotency-key"], "it is the same question");
}

#[test]
fn an_answer_in_the_middle_of_which_its_hub_is_killed_is_said_once_on_kafka() {
    let brokers = service("AUREN_TEST_KAFKA");
    let day = Day::on_kafka(&brokers);
    let bus = Arc::new(KafkaBus::new(day.program.kafka(&brokers)).unwrap());
    run(is_answered_once_although_its_hub_is_killed(day, bus));
}

#[test]
fn an_answer_in_the_middle_of_which_its_hub_is_killed_is_said_once_on_the_embedded_bus() {
    let day = Day::embedded();
    run(async {
        let bus = EmbeddedBus::open(day.program.folder().join("auren-data/auren.db")).await.unwrap();
        is_answered_once_although_its_hub_is_killed(day, Arc::new(bus)).await;
    });
}
