//! Agents that are asked over topics: a test of this process plays them, and on Kafka the example in Python.

use std::time::Duration;

use auren::{
    app::{Hub, HubError},
    bus::{BusError, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic},
    config::{KafkaAgentSection, Role},
    consult::{Agents, Dropped},
};
use auren_agents::{Consult, events};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::far_agents::sleeper_sits_on_a_panel;
use crate::support::{
    Kind, Player, River, careless, far::Python, message, mission_biometric, on_system, settled, speakers, stop, text,
    trigger, until, within,
};

/// The agent `far`, as this test plays it.
struct Clerk {
    bus: SharedBus,
    requests: mpsc::Receiver<Result<Vec<Record>, BusError>>,
    answers: Topic,
}

impl Clerk {
    /// A river that only converses, with `far` and a coach who has one sentence.
    async fn of(river: River, section: KafkaAgentSection) -> (River, Self) {
        let settings = section.settings("far");
        let mut river =
            river.roles(&[Role::Converse]).agents(Agents::none().with(Player::says("coach", "Rest today.")));
        river.config.agents.kafka.insert("far".to_owned(), section);
        river.config.converse.agent_attempts = 2;
        river.config.converse.agent_retry_ms = 1;
        river.stage.create(&river.config.agents.topics(), 3).await;
        let bus = river.stage.bus.clone();
        let read = Read {
            topic: settings.requests,
            partitions: Vec::new(),
            from: ReadFrom::Earliest,
            until: ReadUntil::Follow,
        };
        let requests = bus.read(read);
        (river, Self { bus, requests, answers: settings.answers })
    }

    /// The next question.
    async fn asked(&mut self) -> Record {
        let mut batch = within(self.requests.recv()).await.expect("a follower does not end").unwrap();
        assert_eq!(batch.len(), 1, "one question at a time");
        batch.remove(0)
    }

    /// Writes an answer under this id.
    async fn writes(&self, consult: Option<&str>, payload: &[u8]) {
        let mut answer = careless(self.answers, None, Some(b"whoever"), Some(payload));
        answer.headers.extend(consult.map(|id| ("auren-consult".into(), Bytes::copy_from_slice(id.as_bytes()))));
        self.bus.publish_all(vec![answer]).await.unwrap();
    }

    async fn answers(&self, asked: &Record, advice: &Value) {
        self.writes(asked.header("auren-consult"), advice.to_string().as_bytes()).await;
    }
}

pub async fn an_agent_over_topics_is_asked_by_a_record_and_answers_by_one(river: River) {
    let (river, mut clerk) = Clerk::of(river, KafkaAgentSection::default()).await;
    let hub = river.hub().await;
    river.json(Topic::Biometrics, "user_hash", &mission_biometric()).await;
    settled(&hub).await;
    river.json(Topic::Triggers, "user_hash", &trigger("user_hash", "t-1", &["coach", "far"])).await;
    let asked = clerk.asked().await;
    let consult: Consult = events::parse(asked.payload.as_deref().unwrap()).unwrap();
    assert_eq!((asked.key.as_deref(), consult.user.as_str()), (Some(&b"user_hash"[..]), "user_hash"));
    assert_eq!(
        (asked.header("auren-consult"), asked.header("ce_id")),
        (Some(consult.id.as_str()), Some(consult.id.as_str()))
    );
    assert_eq!(asked.header("auren-reply-to"), Some(&*river.stage.bus.full_name(clerk.answers)));
    let until = chrono::DateTime::parse_from_rfc3339(asked.header("auren-deadline").unwrap()).unwrap();
    let left = until.timestamp_millis() - asked.timestamp_ms;
    assert!(
        left > 0 && Duration::from_millis(left.unsigned_abs()) <= consult.deadline + Duration::from_secs(1),
        "{left}"
    );
    assert_eq!((consult.recent.len(), consult.panel.len()), (1, 1));
    assert!(!text(&asked).contains("TOKENIZED_PHI") && !text(&asked).contains("48.3"));
    // It answers for whom it was asked about, whatever else it writes.
    let advice = json!({ "message": "Sleep.", "note": "said it", "user_id": "somebody-else", "confidence": 0.5 });
    clerk.answers(&asked, &advice).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!((speakers(&said), &*said[1].content), (vec!["coach".to_owned(), "far".to_owned()], "Sleep."));
    assert_eq!((said[1].user_id.as_str(), said[1].metadata.agent_version.as_deref()), ("user_hash", Some("1")));
    // What it noted it is told again.
    river.send(&[message("user_hash", "m-1", 0, "And now?", Some("far"))]).await;
    let asked = clerk.asked().await;
    let consult: Consult = events::parse(asked.payload.as_deref().unwrap()).unwrap();
    assert_eq!(consult.past.last().map(|past| &*past.note), Some("said it"));
    clerk.answers(&asked, &json!({ "message": "Sleep more." })).await;
    settled(&hub).await;
    assert_eq!(&*river.said().await.last().unwrap().content, "Sleep more.");
    hub.stop().await;
}

pub async fn of_an_agent_over_topics_one_answer_counts_and_the_others_are_told_apart(mut river: River) {
    river.config.converse.agent_deadline_ms = 2_000;
    let (river, mut clerk) = Clerk::of(river, KafkaAgentSection::default()).await;
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far", "coach"])).await;
    let asked = clerk.asked().await;
    clerk.answers(&asked, &json!({ "message": "First." })).await;
    clerk.answers(&asked, &json!({ "message": "Second." })).await;
    settled(&hub).await;
    // Nobody waits after the deadline, or once the person has stopped the turn.
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["far", "coach"])).await;
    let late = clerk.asked().await;
    settled(&hub).await;
    clerk.answers(&late, &json!({ "message": "Third." })).await;
    river.send(&[message("u-1", "m-1", 0, "And now?", Some("far"))]).await;
    let stopped = clerk.asked().await;
    river.send(&[stop("u-1", "s-1", 3)]).await;
    settled(&hub).await;
    clerk.answers(&stopped, &json!({ "message": "Fourth." })).await;
    clerk.writes(Some("nobody-asked-this"), br#"{"message": "Fifth."}"#).await;
    clerk.writes(None, br#"{"message": "Sixth."}"#).await;
    let all = Dropped { duplicate: 1, late: 2, elsewhere: 1, nameless: 1 };
    until("all answers have been looked at", || async { hub.agents().health()[1].dropped == Some(all) }).await;
    settled(&hub).await;
    let said = river.said().await;
    let expected = ["far", "coach", "far: agent_late", "coach", "user", "far: stopped"];
    assert_eq!(speakers(&said), expected);
    assert_eq!(&*said[0].content, "First.");
    hub.stop().await;
}

pub async fn an_answer_that_came_while_its_hub_was_dead_is_taken_by_the_next(river: River) {
    let (river, mut clerk) = Clerk::of(river, KafkaAgentSection::default()).await;
    let hub = river.apart().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far", "coach"])).await;
    let asked = clerk.asked().await;
    super::parking::passed(&river, "u-1").await;
    hub.abandon();
    clerk.answers(&asked, &json!({ "message": "Here it is." })).await;
    let hub = river.hub().await;
    // Its agent says nothing more.
    until("the answer is said", || async { river.said().await.len() == 2 }).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!((speakers(&said), &*said[0].content), (vec!["far".to_owned(), "coach".to_owned()], "Here it is."));
    assert_eq!(said[0].metadata.consult_id.as_ref().map(|id| id.as_str()), asked.header("auren-consult"));
    hub.stop().await;
}

pub async fn whatever_an_agent_over_topics_does_wrong_its_panel_goes_on_and_the_log_has_one_word(mut river: River) {
    river.config.converse.agent_deadline_ms = 2_000;
    river.config.converse.agent_circuit_failures = 1000;
    let section = KafkaAgentSection { max_answer_bytes: 64 * 1024, ..KafkaAgentSection::default() };
    let (river, mut clerk) = Clerk::of(river, section).await;
    let hub = river.hub().await;
    let long = json!({ "message": "word ".repeat(100_000) }).to_string();
    // What it answers, how often it is asked, and what becomes of it.
    let everything: [(&str, Option<&[u8]>, usize, &str); 10] = [
        ("half a document", Some(b"{\"message\": \"41.8"), 2, "agent_failed"),
        ("another document", Some(b"{\"message\": 41.8}"), 2, "agent_failed"),
        ("no text", Some(b"\xff\xfe"), 2, "agent_failed"),
        ("nothing", Some(b""), 2, "agent_failed"),
        ("no words", Some(b"{\"note\": \"41.8\"}"), 2, "agent_failed"),
        ("words without end", Some(long.as_bytes()), 2, "agent_failed"),
        ("a disease", Some(b"{\"message\": \"It is diabetes, 41.8.\"}"), 2, "agent_failed"),
        ("that it is not available", Some(b"{\"error\": \"unavailable\"}"), 2, "agent_unavailable"),
        ("that it refuses", Some(b"{\"error\": \"refused\"}"), 1, "agent_failed"),
        ("silence", None, 1, "agent_late"),
    ];
    for (number, (what, answer, times, code)) in everything.into_iter().enumerate() {
        let cause = format!("t-{number}");
        river.json(Topic::Triggers, "u-1", &trigger("u-1", &cause, &["far", "coach"])).await;
        for _ in 0..times {
            let asked = clerk.asked().await;
            if let Some(answer) = answer {
                clerk.writes(asked.header("auren-consult"), answer).await;
            }
        }
        settled(&hub).await;
        let mut said = river.said().await;
        said.retain(|said| said.metadata.cause.as_str() == cause);
        assert_eq!(speakers(&said), [format!("far: {code}"), "coach".to_owned()], "{what}");
        assert!(!said[0].content.contains("41.8"), "{what}");
    }
    hub.stop().await;
}

pub async fn a_hub_does_not_start_without_the_topics_of_its_agents(mut river: River) {
    river.config.agents.kafka.insert("absent".to_owned(), KafkaAgentSection::default());
    let (bus, keys) = (river.stage.bus.clone(), river.keys.clone());
    let hub = Hub::builder().config(river.config.clone()).bus(bus).keys(keys).build().await.unwrap();
    match hub.start().await {
        Err(HubError::Bus(BusError::TopicMissing { topic })) => {
            assert!(topic.ends_with("agents.absent.requests"), "{topic}")
        }
        other => panic!("a topic is missing: {other:?}"),
    }
    // A node that does not converse asks nobody.
    let hub = river.roles(&[Role::Detect]).hub().await;
    hub.stop().await;
}

#[test]
fn an_agent_in_python_that_is_asked_over_kafka_sits_on_a_panel_with_the_coach() {
    on_system(async {
        let mut river = River::open(Kind::Kafka).await;
        let sleeper = KafkaAgentSection { topics: vec!["night".to_owned()], ..KafkaAgentSection::default() };
        river.config.agents.kafka.insert("sleeper".to_owned(), sleeper);
        river.stage.create(&river.config.agents.topics(), 2).await;
        let _python = Python::over_kafka("agents/examples/python/kafka_agent.py", "sleeper", river.stage.settings());
        let said = sleeper_sits_on_a_panel(river).await;
        assert_eq!(&*said[1].content, "Sleep on it. I know of 0 nights.");
    });
}
