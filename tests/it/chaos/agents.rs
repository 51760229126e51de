//! A hub that is killed while an agent is in the middle of its answer.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use auren::{
    bus::{
        SharedBus, Topic,
        embedded::EmbeddedBus,
        kafka::{KafkaBus, KafkaSettings},
    },
    wire,
};
use futures::stream;

use super::Day;
use crate::support::{
    Ear,
    far::{Attempt, Far, Python, response, spoken, stream_of},
    keyed, message, run, service, speakers, trigger,
};

/// An agent that begins its answer and ends it only when it is asked again.
async fn halting(begins: String, ends: String) -> Far {
    let times = Arc::new(AtomicUsize::new(0));
    Far::plays(move |_| {
        let first = times.fetch_add(1, Relaxed) == 0;
        let (begins, ends) = (begins.clone(), ends.clone());
        async move {
            if first { stream_of(&[&begins], stream::pending()) } else { stream_of(&[&begins, &ends], stream::empty()) }
        }
    })
    .await
}

/// A panel of one agent of each kind (the one in Python over HTTP, and of those that halt one over HTTP, one that is a language
/// model, one over A2A, one over Kafka) and the coach; the hub is killed at each that halts.
async fn is_answered_once_although_its_hub_is_killed(mut day: Day, bus: SharedBus, kafka: Option<KafkaSettings>) {
    let python = Python::start();
    let begins = "event: delta\ndata: {\"text\":\"Xylophone \"}\n\n".to_owned();
    let far =
        halting(begins, "event: delta\ndata: {\"text\":\"music.\"}\n\nevent: advice\ndata: {}\n\n".to_owned()).await;
    let companion = halting(spoken("Quokkas ", None), spoken("sleep.", Some("stop"))).await;
    let narwhal = Python::a2a("tests/a2a/halting.py");
    for (key, value) in [
        ("agents.http.sleeper.url", &*python.url),
        ("agents.a2a.narwhal.url", &narwhal.url),
        ("agents.http.far.url", &far.url),
        ("agents.llm.companion.base_url", &companion.url),
        ("agents.llm.companion.model", "small"),
        ("converse.agent_deadline_ms", "120000"),
        // Whatever the libraries have to say, too.
        ("log.level", "trace,librdkafka=info,rdkafka=info"),
    ] {
        day.flags.extend(["--set".to_owned(), format!("{key}={value}")]);
    }
    // An agent that is asked over Kafka is there where there is a Kafka.
    let mut panel = vec!["sleeper", "far", "companion", "narwhal"];
    let osprey = kafka.map(|settings| {
        day.flags.extend(["--set", "agents.kafka.osprey.purpose=Knows birds."].map(ToOwned::to_owned));
        assert!(day.auren(&["topics", "create", "--partitions", "4"]).output().unwrap().status.success());
        panel.push("osprey");
        Python::over_kafka("tests/kafka/halting.py", "osprey", &settings)
    });
    panel.push("coach");
    let mut ear = Ear::on(&*bus);
    let mut node = day.node("n1");
    let mut asks = trigger("u-1", "t-1", &panel);
    asks["message"] = "zanzibar".into();
    bus.publish_all(vec![keyed(Topic::Triggers, "u-1", &asks.to_string())]).await.unwrap();
    for halts in [&far, &companion] {
        halts.asked_times(1).await;
        node.kill();
        node = day.node("n1");
    }
    for halts in [Some(&narwhal), osprey.as_ref()].into_iter().flatten() {
        halts.says(1).await;
        node.kill();
        node = day.node("n1");
    }
    let seats = panel.len();
    assert_eq!(speakers(ear.until(|heard| heard.len() >= seats).await), panel);
    // Whatever comes later changes nothing.
    bus.publish_all(vec![wire::outgoing(&message("u-1", "m-1", 0, "Good night", Some("sleeper")))]).await.unwrap();
    let said = ear.until(|heard| heard.len() >= seats + 2).await;
    assert_eq!(speakers(&said[..seats]), panel);
    assert_eq!(speakers(&said[seats..]), ["user", "sleeper"]);
    let contents: Vec<_> = said[1..seats - 1].iter().map(|event| &*event.content).collect();
    let all = ["Xylophone music.", "Quokkas sleep.", "Narwhals dream.", "Ospreys rest."];
    assert_eq!(contents, all[..seats - 2]);
    for halts in [&far, &companion] {
        let asked = halts.asked();
        // Whose answer was not committed yet when the hub was killed the next time is asked once more.
        assert!((2..seats).contains(&asked.len()), "{} times", asked.len());
        let key = |asked: &Attempt| asked.headers["idempotency-key"].clone();
        assert!(asked.iter().all(|again| key(again) == key(&asked[0])), "it is the same question");
    }
    for (seat, halts) in [Some(&narwhal), osprey.as_ref()].into_iter().flatten().enumerate() {
        let (asked, question) = (halts.says(2).await, said[3 + seat].metadata.consult_id.clone().unwrap());
        assert!(asked.iter().all(|again| *again == question.as_str()), "{asked:?}");
    }
    node.terminate();
    let log = node.said();
    assert!(log.contains("partitions taken") && log.contains("TRACE"));
    for word in [
        "zanzibar",
        "Xylophone",
        "Quokkas",
        "Narwhals",
        "Ospreys",
        "Good night",
        "call your local",
        "You are one of several",
    ] {
        assert!(!log.contains(word), "{word:?} is in the log");
    }
}

/// The coach hands a question on to one who halts; two who halt are asked at once. The hub is killed while they halt.
async fn what_was_handed_on_or_asked_at_once_is_answered_once(mut day: Day, bus: SharedBus) {
    let answers = |words: &str| format!("event: advice\ndata: {{\"message\":\"{words}\"}}\n\n");
    let begins = "event: delta\ndata: {\"text\":\"Well \"}\n\n";
    let one = halting(begins.to_owned(), answers("One.")).await;
    let other = halting(begins.to_owned(), answers("Other.")).await;
    let hands = "{\"message\":\"Ask them.\",\"hand_off\":{\"to\":\"one\",\"reason\":\"\"}}";
    let first = Far::plays(move |_| async move { response("application/json", hands) }).await;
    for (key, value) in [
        ("agents.http.first.url", &*first.url),
        ("agents.http.one.url", &one.url),
        ("agents.http.other.url", &other.url),
        ("converse.agent_deadline_ms", "120000"),
        ("converse.panels.overtraining", "parallel"),
    ] {
        day.flags.extend(["--set".to_owned(), format!("{key}={value}")]);
    }
    let mut ear = Ear::on(&*bus);
    let mut node = day.node("n1");
    let asks = trigger("u-1", "t-1", &["first", "coach"]);
    bus.publish_all(vec![keyed(Topic::Triggers, "u-1", &asks.to_string())]).await.unwrap();
    one.asked_times(1).await;
    node.kill();
    node = day.node("n1");
    assert_eq!(speakers(ear.until(|heard| heard.len() >= 3).await), ["first", "one", "coach"]);
    assert_eq!(&*ear.heard[1].content, "One.");
    assert_eq!(one.asked().len(), 2);
    // Whose answer was not committed yet is asked again, too.
    let key = |asked: &Attempt| asked.headers["idempotency-key"].clone();
    let asked = first.asked();
    assert!(asked.len() <= 2 && asked.iter().all(|again| key(again) == key(&asked[0])), "it is the same question");

    let mut asks = trigger("u-1", "t-2", &["one", "other", "coach"]);
    asks["trigger_type"] = "overtraining".into();
    bus.publish_all(vec![keyed(Topic::Triggers, "u-1", &asks.to_string())]).await.unwrap();
    // The coach answers beside them, and the one who has halted already now; the other halts.
    other.asked_times(1).await;
    let said = ear.until(|heard| heard.len() >= 5).await;
    let mut spoke = speakers(&said[3..5]);
    spoke.sort_unstable();
    assert_eq!(spoke, ["coach", "one"]);
    node.kill();
    node = day.node("n1");
    let said = ear.until(|heard| heard.len() >= 6).await;
    assert_eq!((speakers(&said[5..]), &*said[5].content), (vec!["other".to_owned()], "Other."));
    let keys: Vec<_> = other.asked().iter().map(key).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "it is the same question: {keys:?}");
    // Whatever comes later changes nothing.
    bus.publish_all(vec![wire::outgoing(&message("u-1", "m-1", 0, "Good night", Some("first")))]).await.unwrap();
    let said = ear.until(|heard| heard.len() >= 9).await;
    assert_eq!(speakers(&said[6..]), ["user", "first", "one"]);
    node.terminate();
}

#[test]
fn what_was_handed_on_or_asked_at_once_when_its_hub_is_killed_is_said_once_on_kafka() {
    let brokers = service("AUREN_TEST_KAFKA");
    let day = Day::on_kafka(&brokers);
    let bus = Arc::new(KafkaBus::new(day.program.kafka(&brokers)).unwrap());
    run(what_was_handed_on_or_asked_at_once_is_answered_once(day, bus));
}

#[test]
fn what_was_handed_on_or_asked_at_once_when_its_hub_is_killed_is_said_once_on_the_embedded_bus() {
    let day = Day::embedded();
    run(async {
        let bus = EmbeddedBus::open(day.program.folder().join("auren-data/auren.db")).await.unwrap();
        what_was_handed_on_or_asked_at_once_is_answered_once(day, Arc::new(bus)).await;
    });
}

#[test]
fn an_answer_in_the_middle_of_which_its_hub_is_killed_is_said_once_on_kafka() {
    let brokers = service("AUREN_TEST_KAFKA");
    let day = Day::on_kafka(&brokers);
    let settings = day.program.kafka(&brokers);
    let bus = Arc::new(KafkaBus::new(settings.clone()).unwrap());
    run(is_answered_once_although_its_hub_is_killed(day, bus, Some(settings)));
}

#[test]
fn an_answer_in_the_middle_of_which_its_hub_is_killed_is_said_once_on_the_embedded_bus() {
    let day = Day::embedded();
    run(async {
        let bus = EmbeddedBus::open(day.program.folder().join("auren-data/auren.db")).await.unwrap();
        is_answered_once_although_its_hub_is_killed(day, Arc::new(bus), None).await;
    });
}
