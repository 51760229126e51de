//! From an answer back to the measurements behind it, by the log and by the history.

use auren::{
    bus::Topic,
    project::{Database, ProjectError, why::why},
};
use auren_agents::MessageType;
use serde_json::json;

use super::{Kept, all_of, projector, reaches};
use crate::support::{Kind, River, event, message, mission_biometric, on_system, settled, trigger};

async fn an_answer_is_followed_back_to_the_measurements_it_rests_on(kind: Kind, kept: Kept) {
    let river = River::open(kind).await;
    let hub = river.hub().await;
    let mut measured = mission_biometric();
    measured["user_id"] = json!("u-1");
    measured["event_id"] = json!("b-1");
    river.json(Topic::Biometrics, "u-1", &measured).await;
    let mut noticed = trigger("u-1", "t-1", &["neuroscientist", "coach"]);
    noticed["context_window"] = json!(["b-1", "gone"]);
    river.json(Topic::Triggers, "u-1", &noticed).await;
    settled(&hub).await;
    river.send(&[message("u-1", "m-1", 0, "may I train today?", Some("coach"))]).await;
    settled(&hub).await;

    let url = kept.of(&river.stage).await;
    let _projector = projector(&river.stage.bus, &url);
    let mut count = 0;
    for topic in auren::project::row::TOPICS {
        count += all_of(&river.stage.bus, topic).await.len();
    }
    reaches(&river.stage.bus, &url, count as u64).await;
    let mut history = Database::open(&url).await.unwrap();

    let said = all_of(&river.stage.bus, Topic::Events).await;
    let by = |cause: &str| {
        let of = |record: &&auren::bus::Record| {
            let event = event(record);
            event.metadata.cause.as_str() == cause && event.message_type == MessageType::SpecialistResponse
        };
        said.iter().rfind(of).unwrap()
    };
    // The coach's answer to the trigger, which had read the neuroscientist's.
    let record = by("t-1");
    let id = event(record).event_id.to_string();
    let chain = why(&river.stage.bus, None, None, &id).await.unwrap();
    let shown = chain.message.as_ref().unwrap();
    assert_eq!((shown.partition, shown.offset), (Some(record.partition), Some(record.offset)));
    let asked = chain.consult.as_ref().unwrap();
    assert_eq!((asked.agent.as_str(), asked.version.is_some(), asked.read.len()), ("coach", true, 1));
    let cause = &all_of(&river.stage.bus, Topic::Triggers).await;
    let cause = cause
        .iter()
        .find(|record| String::from_utf8_lossy(record.payload.as_deref().unwrap()).contains("\"t-1\""))
        .unwrap();
    assert_eq!((chain.cause.event_id.as_str(), chain.cause_type.as_str()), ("t-1", "trigger"));
    assert_eq!((chain.cause.partition, chain.cause.offset), (Some(cause.partition), Some(cause.offset)));
    let rests: Vec<_> = chain.biometrics.iter().map(|link| (link.event_id.as_str(), link.topic)).collect();
    assert_eq!(rests, [("b-1", Some("health.biometrics")), ("gone", None)]);
    assert!(!serde_json::to_string(&chain).unwrap().contains("TOKENIZED_PHI"));
    assert_eq!(why(&river.stage.bus, Some(&mut history), None, &id).await.unwrap(), chain);

    // An answer to a message.
    let id = event(by("m-1")).event_id.to_string();
    let chain = why(&river.stage.bus, None, None, &id).await.unwrap();
    assert_eq!((chain.cause.event_id.as_str(), chain.cause.topic), ("m-1", Some("conversations.inbox")));
    assert_eq!(why(&river.stage.bus, Some(&mut history), None, &id).await.unwrap(), chain);

    // A trigger itself, and nothing at all.
    let chain = why(&river.stage.bus, None, None, "t-1").await.unwrap();
    assert!(chain.message.is_none() && chain.biometrics.len() == 2);
    assert!(matches!(why(&river.stage.bus, None, None, "nobody").await, Err(ProjectError::NoEvent(_))));
    hub.stop().await;
}

#[test]
fn an_answer_is_followed_back_on_kafka() {
    on_system(an_answer_is_followed_back_to_the_measurements_it_rests_on(Kind::Kafka, Kept::Server));
}

#[test]
fn an_answer_is_followed_back_on_the_embedded_bus() {
    on_system(an_answer_is_followed_back_to_the_measurements_it_rests_on(Kind::Embedded, Kept::Server));
}

#[test]
fn an_answer_is_followed_back_in_a_file() {
    on_system(an_answer_is_followed_back_to_the_measurements_it_rests_on(Kind::Embedded, Kept::File));
}
