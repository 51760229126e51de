//! The three nouns on the embedded bus.

use std::{sync::Arc, time::Duration};

use auren_agents::{AgentId, BiometricEvent, ConversationEvent, EventId, TriggerEvent, events};
use bytes::Bytes;
use tokio::sync::mpsc;

use super::*;
use crate::bus::{Begin, Cursor, Outgoing, SharedBus, Topic, TopicSpec, embedded::EmbeddedBus};

struct Place {
    bus: SharedBus,
    _folder: tempfile::TempDir,
}

async fn empty_place() -> Place {
    let folder = tempfile::tempdir().unwrap();
    let bus: SharedBus = Arc::new(EmbeddedBus::open(folder.path().join("auren.db")).await.unwrap());
    Place { bus, _folder: folder }
}

async fn place() -> Place {
    let place = empty_place().await;
    TopicManager::new(Arc::clone(&place.bus)).create_topics(2, 1).await.unwrap();
    place
}

fn trigger(id: &str) -> TriggerEvent {
    let json = format!(
        r#"{{"trigger_id":"{id}","user_id":"u-1","trigger_type":"hrv_drop","severity":0.8,"context_window":[],
            "recommended_agents":["coach"],"message":"m","timestamp":"2024-01-01T10:00:00Z"}}"#
    );
    events::parse(json.as_bytes()).unwrap()
}

fn biometric() -> BiometricEvent {
    events::parse(
        br#"{"event_id":"b-1","user_id":"u-1","event_type":"hrv_measurement","token":"T","metadata":{
            "percentile_rank":0.1,"severity_score":0.2,"trend":"stable","timestamp_iso":"2024-01-01T10:00:00Z",
            "source_device":"watch","measurement_context":"sleep"},"timestamp":"2024-01-01T10:00:00Z"}"#,
    )
    .unwrap()
}

fn conversation() -> ConversationEvent {
    events::parse(
        br#"{"event_id":"c-1","conversation_id":"k-1","user_id":"u-1","specialist_id":"coach",
            "message_type":"specialist_response","content":"Rest.","metadata":{"cause":"t-1","cause_type":"trigger",
            "turn":1},"timestamp":"2024-01-01T10:00:00Z"}"#,
    )
    .unwrap()
}

async fn heard(inbox: &mut mpsc::UnboundedReceiver<String>) -> String {
    tokio::time::timeout(Duration::from_secs(20), inbox.recv()).await.unwrap().unwrap()
}

#[tokio::test]
async fn a_check_says_of_each_topic_what_is_wrong_with_it() {
    let place = empty_place().await;
    let spec = |topic, partitions| TopicSpec { topic, partitions, replication: 1 };
    let specs = [spec(Topic::Readings, 4), spec(Topic::Biometrics, 4), spec(Topic::Triggers, 3)];
    place.bus.create_topics(&specs).await.unwrap();
    let topics = TopicManager::new(Arc::clone(&place.bus));

    let check = topics.check(None).await.unwrap();
    assert!(!check.is_good());
    assert_eq!(check.partitions, 4);
    let state = |topic| check.topics.iter().find(|report| report.topic == topic).unwrap().state;
    assert_eq!(state(Topic::Readings), TopicState::Good);
    assert_eq!(state(Topic::Triggers), TopicState::Differs { partitions: 3 });
    assert_eq!(state(Topic::Inbox), TopicState::Missing);

    let error = topics.create_topics(4, 1).await.unwrap_err().to_string();
    assert!(error.contains("triggers.detected exists with 3 partitions, and 4 were asked for"), "{error}");
    assert_eq!(topics.list_topics().await.unwrap().len(), 3, "nothing was created");
}

#[tokio::test]
async fn topics_are_created_once_and_then_all_is_good() {
    let place = empty_place().await;
    let topics = TopicManager::new(Arc::clone(&place.bus));
    assert_eq!(topics.create_topics(2, 1).await.unwrap(), Topic::RIVER);
    assert!(topics.create_topics(2, 1).await.unwrap().is_empty());
    assert!(topics.check(Some(2)).await.unwrap().is_good());
    assert!(!topics.check(Some(3)).await.unwrap().is_good());
    topics.close();
}

#[tokio::test]
async fn a_producer_answers_with_the_place_and_refuses_what_readers_would() {
    let place = place().await;
    let producer = EventProducer::new(Arc::clone(&place.bus));
    let first = producer.send_trigger_event(&trigger("t-1")).await.unwrap();
    let second = producer.send_trigger_event(&trigger("t-2")).await.unwrap();
    assert_eq!(second, Cursor { offset: first.offset + 1, ..first });

    let nobody = TriggerEvent { recommended_agents: Vec::new(), ..trigger("t-3") };
    let crowd = TriggerEvent { recommended_agents: vec![AgentId::new("coach").unwrap(); 17], ..trigger("t-4") };
    let answers = producer.send_all(&[nobody, trigger("t-5"), crowd]).await;
    let shown: Vec<_> = answers.iter().map(|one| one.as_ref().map_err(ToString::to_string)).collect();
    assert_eq!(shown[0], Err("the event was not sent: recommended_agents: must not be empty".to_owned()));
    assert_eq!(shown[1], Ok(&Cursor { offset: second.offset + 1, ..second }));
    assert!(shown[2].as_ref().unwrap_err().contains("has 17 items, at most 16 are allowed"));

    let clone = producer.clone();
    producer.close().await;
    assert!(matches!(clone.send_trigger_event(&trigger("t-6")).await, Err(ClientError::Closed)));
}

#[tokio::test]
async fn flush_waits_for_what_other_tasks_are_sending() {
    let place = place().await;
    let producer = EventProducer::with_in_flight(Arc::clone(&place.bus), 4);
    for id in 0..20 {
        let producer = producer.clone();
        tokio::spawn(async move { producer.send_trigger_event(&trigger(&format!("t-{id}"))).await.unwrap() });
    }
    // Each task takes its room or its place in the queue, in front of the flush.
    tokio::task::yield_now().await;
    producer.flush().await;
    let marks = place.bus.watermarks(Topic::Triggers).await.unwrap();
    assert_eq!(marks.values().map(|(low, high)| high - low).sum::<i64>(), 20);
}

#[tokio::test]
async fn each_handler_gets_its_events_and_a_bad_record_stops_nothing() {
    let place = place().await;
    let producer = EventProducer::new(Arc::clone(&place.bus));
    let (told, mut inbox) = mpsc::unbounded_channel();
    let teller = |kind: &'static str| {
        let told = told.clone();
        move |id: &EventId| told.send(format!("{kind} {id}"))
    };
    let (b, t, c, r) = (teller("biometric"), teller("trigger"), teller("conversation"), told.clone());
    let consumer = EventConsumer::new(Arc::clone(&place.bus), "g")
        .begin(Begin::Earliest)
        .on_biometric(move |received| std::future::ready(b(&received.event.event_id).map_err(Into::into)))
        .on_trigger(move |received| std::future::ready(t(&received.event.trigger_id).map_err(Into::into)))
        .on_conversation(move |received| std::future::ready(c(&received.event.event_id).map_err(Into::into)))
        .on_rejected(move |rejected| {
            r.send(format!("rejected {} {}", rejected.record.topic, rejected.why)).unwrap();
            std::future::ready(())
        })
        .start()
        .unwrap();

    producer.send_biometric_event(&biometric()).await.unwrap();
    assert_eq!(heard(&mut inbox).await, "biometric b-1");
    let broken = Outgoing {
        topic: Topic::Triggers,
        partition: Some(0),
        key: Some(Bytes::from_static(b"u-1")),
        payload: Some(Bytes::from_static(br#"{"trigger_id":7}"#)),
        headers: Vec::new(),
    };
    let tombstone = Outgoing { payload: None, ..broken.clone() };
    place.bus.publish(vec![broken]).await;
    assert_eq!(heard(&mut inbox).await, "rejected triggers.detected trigger_id: must be a string");
    place.bus.publish(vec![tombstone]).await;
    assert_eq!(heard(&mut inbox).await, "rejected triggers.detected record: has no payload");
    producer.send_trigger_event(&trigger("t-1")).await.unwrap();
    assert_eq!(heard(&mut inbox).await, "trigger t-1");
    producer.send_conversation_event(&conversation()).await.unwrap();
    assert_eq!(heard(&mut inbox).await, "conversation c-1");
    consumer.stop().await.unwrap();
}

#[tokio::test]
async fn a_handler_error_stops_at_its_record_and_the_next_start_begins_there() {
    let place = place().await;
    let producer = EventProducer::new(Arc::clone(&place.bus));
    let triggers: Vec<_> = ["t-1", "t-2", "t-3"].map(trigger).into();
    producer.send_all(&triggers).await;

    let consumer = |fails: &'static str, told: mpsc::UnboundedSender<String>| {
        EventConsumer::new(Arc::clone(&place.bus), "g")
            .begin(Begin::Earliest)
            .on_trigger(move |received| {
                let id = received.event.trigger_id.to_string();
                let failed = id == fails;
                told.send(id).unwrap();
                std::future::ready(if failed { Err("the pager is down".into()) } else { Ok(()) })
            })
            .start()
            .unwrap()
    };
    let (told, mut inbox) = mpsc::unbounded_channel();
    let mut failing = consumer("t-2", told);
    let error = failing.ended().await.unwrap_err();
    assert!(error.to_string().starts_with("the handler failed at triggers.detected"), "{error}");
    assert_eq!(std::error::Error::source(&error).unwrap().to_string(), "the pager is down");
    failing.stop().await.unwrap();
    assert_eq!((heard(&mut inbox).await, heard(&mut inbox).await), ("t-1".to_owned(), "t-2".to_owned()));

    let (told, mut inbox) = mpsc::unbounded_channel();
    let well = consumer("none", told);
    assert_eq!((heard(&mut inbox).await, heard(&mut inbox).await), ("t-2".to_owned(), "t-3".to_owned()));
    well.stop().await.unwrap();
    let committed = place.bus.committed("g", Topic::Triggers).await.unwrap();
    assert_eq!(committed.values().sum::<i64>(), 3);
}

#[tokio::test]
async fn a_consumer_needs_a_handler_and_a_topic() {
    let place = empty_place().await;
    let none = EventConsumer::new(Arc::clone(&place.bus), "g").start();
    assert!(matches!(none, Err(ClientError::NoHandler)));
    let mut missing =
        EventConsumer::new(Arc::clone(&place.bus), "g").on_trigger(|_| std::future::ready(Ok(()))).start().unwrap();
    let error = missing.ended().await.unwrap_err().to_string();
    assert_eq!(error, "topic triggers.detected does not exist; create it with `auren topics create`");
}

#[tokio::test]
async fn a_panicking_handler_is_reported() {
    let place = place().await;
    let mut consumer = EventConsumer::new(Arc::clone(&place.bus), "g")
        .begin(Begin::Earliest)
        .on_trigger(|_| async { panic!("a bug") })
        .start()
        .unwrap();
    EventProducer::new(Arc::clone(&place.bus)).send_trigger_event(&trigger("t-1")).await.unwrap();
    let error = consumer.ended().await.unwrap_err().to_string();
    assert!(error.contains("a handler panicked"), "{error}");
}
