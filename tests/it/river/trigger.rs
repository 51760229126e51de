//! From a trigger, or from what makes one, to the answers of the agents it names.

use auren::{
    bus::{Topic, key_partition},
    config::Role,
    wire,
};
use auren_agents::{EventId, MessageType, TriggerEvent, events};
use serde_json::json;

use crate::support::{River, careless, mission_biometric, mission_trigger, night, settled, speakers, text};

pub async fn the_mission_s_trigger_is_answered_by_each_agent_it_names(river: River) {
    let river = river.roles(&[Role::Converse]);
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
    let said = ear.hears(2).await;
    assert_eq!(speakers(said), ["neuroscientist", "coach"]);
    for event in said {
        assert_eq!(event.metadata.cause, EventId::new("uuid").unwrap());
        assert_eq!((event.user_id.as_str(), event.metadata.turn), ("user_hash", 1));
        assert!(!event.content.is_empty());
    }
    let [first, second] = said else { panic!("one answer each") };
    assert_eq!(first.conversation_id, second.conversation_id);
    let read = |event: &auren_agents::ConversationEvent| event.metadata.panel.clone().unwrap().read;
    assert!(read(first).is_empty());
    assert_eq!(read(second), std::slice::from_ref(&first.event_id), "the coach has read the neuroscientist");
    settled(&hub).await;
    assert_eq!(river.said().await.len(), 2, "and nothing else");
    hub.stop().await;
}

pub async fn a_record_in_the_wrong_partition_is_moved_and_answered_once(river: River) {
    let river = river.roles(&[Role::Converse]);
    let hub = river.hub().await;
    let mut ear = river.listen();
    let home = key_partition(b"user_hash", 2);
    let payload = mission_trigger().to_string();
    let stray = careless(Topic::Triggers, Some(1 - home), Some(b"user_hash"), Some(payload.as_bytes()));
    river.stage.publish(vec![stray]).await;
    assert_eq!(speakers(ear.hears(2).await), ["neuroscientist", "coach"]);
    settled(&hub).await;
    assert_eq!(river.said().await.len(), 2);
    let letters = river.stage.all(Topic::TriggersDlq).await;
    let [letter] = &letters[..] else { panic!("one dead letter, not {}", letters.len()) };
    assert_eq!(letter.header("auren-dlq-class"), Some("wrong_partition"));
    assert!(letter.header("auren-dlq-error").unwrap().contains("murmur2"));
    assert_eq!(text(letter), payload);
    let moved: Vec<_> = river.stage.all(Topic::Triggers).await.into_iter().filter(|r| r.partition == home).collect();
    assert_eq!(moved.len(), 1);
    assert_eq!(moved[0].header("auren-moved-from"), Some(&*format!("{}:0", 1 - home)));
    hub.stop().await;
}

pub async fn the_mission_s_biometric_event_becomes_a_trigger_and_a_conversation(river: River) {
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.json(Topic::Biometrics, "user_hash", &mission_biometric()).await;
    assert_eq!(speakers(ear.hears(2).await), ["neuroscientist", "coach"]);
    settled(&hub).await;
    let triggers = river.stage.texts(Topic::Triggers).await;
    let [trigger] = &triggers[..] else { panic!("one trigger, not {}", triggers.len()) };
    let trigger: TriggerEvent = events::parse(trigger.as_bytes()).unwrap();
    assert_eq!(trigger.context_window, [EventId::new("uuid").unwrap()]);
    let said = river.said().await;
    assert!(said.iter().all(|event| event.metadata.cause == trigger.trigger_id));
    assert_eq!(said.len(), 2);
    hub.stop().await;
}

pub async fn an_event_without_cause_for_concern_says_nothing(river: River) {
    let hub = river.hub().await;
    let mut quiet = mission_biometric();
    quiet["metadata"]["severity_score"] = json!(0.1);
    quiet["metadata"]["trend"] = json!("stable");
    quiet["unheard_of"] = json!({"kept": true});
    river.json(Topic::Biometrics, "user_hash", &quiet).await;
    let mut unknown = mission_biometric();
    unknown["event_id"] = json!("other");
    unknown["event_type"] = json!("gait_analysis");
    river.json(Topic::Biometrics, "user_hash", &unknown).await;
    settled(&hub).await;
    for topic in [Topic::Triggers, Topic::Events, Topic::BiometricsDlq] {
        assert_eq!(river.stage.all(topic).await.len(), 0, "{topic}");
    }
    hub.stop().await;
}

pub async fn the_same_trigger_twice_is_answered_once(river: River) {
    let river = river.roles(&[Role::Converse]);
    let hub = river.hub().await;
    for _ in 0..2 {
        river.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
    }
    settled(&hub).await;
    hub.stop().await;
    // And once more, to a hub that knows of the first only by what was saved.
    let hub = river.hub().await;
    river.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["neuroscientist", "coach"]);
    hub.stop().await;
}

pub async fn the_same_reading_twice_is_one_event(river: River) {
    let river = river.roles(&[Role::Enrich]);
    let hub = river.hub().await;
    let rows = [night("u-1", 0, 41.0), night("u-1", 1, 43.0)];
    river.read(&rows).await;
    // Sealed anew: the token differs, the reading is the same.
    river.read(&rows).await;
    settled(&hub).await;
    hub.stop().await;
    let hub = river.hub().await;
    river.read(&rows).await;
    settled(&hub).await;
    let events = river.stage.all(Topic::Biometrics).await;
    assert_eq!(events.len(), 2);
    assert_ne!(events[0].header("ce_id"), events[1].header("ce_id"));
    hub.stop().await;
}

pub async fn a_long_past_that_is_sent_again_brings_no_event_twice(river: River) {
    let river = river.roles(&[Role::Enrich]);
    let hub = river.hub().await;
    let rows: Vec<_> = (0..60).map(|day| night("u-1", day, 41.0)).collect();
    river.read(&rows).await;
    river.read(&rows).await;
    settled(&hub).await;
    assert_eq!(river.stage.all(Topic::Biometrics).await.len(), 60);
    // What is still remembered is passed over; what is not might be new, and is kept where somebody can look at it.
    let letters = river.stage.all(Topic::ReadingsDlq).await;
    assert_eq!(letters.len(), 12);
    assert!(letters.iter().all(|letter| letter.header("auren-dlq-class") == Some("too_old")));
    hub.stop().await;
}

pub async fn a_trace_goes_on_from_the_cause_to_its_answers(river: River) {
    let hub = river.hub().await;
    let trace = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let payload = mission_biometric().to_string();
    let mut record = careless(Topic::Biometrics, None, Some(b"user_hash"), Some(payload.as_bytes()));
    record.headers.push((wire::TRACEPARENT.into(), trace.into()));
    let mut ear = river.listen();
    river.stage.publish(vec![record]).await;
    ear.hears(2).await;
    let answers = river.stage.all(Topic::Events).await;
    assert!(answers.iter().all(|answer| answer.header(wire::TRACEPARENT) == Some(trace)));
    assert!(ear.heard.iter().all(|event| event.message_type == MessageType::SpecialistResponse));
    hub.stop().await;
}
