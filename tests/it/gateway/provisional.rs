//! What agents say before it is committed: it comes before the event, it is taken back where it does not hold, and nothing of
//! it is left when the event is there, whatever is cut.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use auren::{app::Running, bus::Topic, config::Role, consult::Agents};
use auren_agents::{Advice, AgentError};
use axum::body::Bytes;
use futures::stream;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use super::chat::{log, open};
use crate::support::{
    Kind, Player, River,
    chatter::{Chatter, Heard, token},
    far::{Far, Talker, model, over_http, spoken, stream_of},
    http, on_system, own_name, service, settled, trigger, until,
};

/// A hub on which the talker and a coach who has one sentence can be asked.
async fn with(kind: Kind, talker: &Talker) -> (River, Running, SocketAddr) {
    let agents =
        Agents::none().with_http(over_http("far", &talker.far.url)).unwrap().with(Player::says("coach", "Rest today."));
    hub(kind, agents).await
}

async fn hub(kind: Kind, agents: Agents) -> (River, Running, SocketAddr) {
    let mut river = open(kind).await.roles(&[Role::Converse]).agents(agents);
    (river.config.converse.agent_retry_ms, river.config.converse.agent_attempts) = (1, 2);
    let hub = river.hub().await;
    let address = hub.http_address().unwrap();
    (river, hub, address)
}

/// A frontend as it should be: what it shows of answers that are not committed, and the events that it has.
#[derive(Default)]
pub(super) struct Page {
    /// By turn and agent: the attempt, how many parts, and the text so far.
    pub(super) provisional: HashMap<(u64, String), (u64, u64, String)>,
    busy: HashMap<(u64, String), String>,
    /// Turn and agent of what is committed, on this connection.
    settled: Vec<(u64, String)>,
    pub(super) events: Vec<(String, String)>,
    deltas: usize,
    pub(super) resets: usize,
}

impl Page {
    /// A new connection: nothing of the last one's provisional text holds.
    fn begins(&mut self) {
        self.provisional.clear();
        self.busy.clear();
        self.settled.clear();
    }

    fn hears(&mut self, frame: &Value) {
        let whose = || (frame["turn"].as_u64().unwrap(), frame["agent"].as_str().unwrap().to_owned());
        match frame["type"].as_str().unwrap() {
            "delta" => {
                self.deltas += 1;
                assert!(!self.settled.contains(&whose()), "said after its event: {frame}");
                let first = (frame["attempt"].as_u64().unwrap(), 0, String::new());
                let (attempt, seq, text) = self.provisional.entry(whose()).or_insert(first);
                assert_eq!((&frame["attempt"], &frame["seq"]), (&json!(*attempt), &json!(*seq)), "{frame}");
                *seq += 1;
                text.push_str(frame["text"].as_str().unwrap());
            }
            "reset" => {
                self.resets += 1;
                let (attempt, ..) = self.provisional.remove(&whose()).expect("what is taken back was said");
                assert_eq!(frame["attempt"], attempt);
            }
            "status" => drop(self.busy.insert(whose(), frame["state"].as_str().unwrap().to_owned())),
            "event" => {
                let event = &frame["event"];
                let content = event["content"].as_str().unwrap();
                let whose =
                    (event["metadata"]["turn"].as_u64().unwrap(), event["specialist_id"].as_str().unwrap().to_owned());
                if let Some((.., text)) = self.provisional.remove(&whose) {
                    let answer = event["message_type"] == "specialist_response";
                    assert!(answer && content.starts_with(&text), "{text:?} is not how {event} begins");
                }
                self.settled.push(whose);
                self.events.push((frame["cursor"].as_str().unwrap().to_owned(), content.to_owned()));
            }
            _ => {}
        }
    }

    /// Hears frames until this one, which is returned.
    pub(super) async fn until(&mut self, chatter: &mut Chatter, kind: &str) -> Value {
        loop {
            let frame = chatter.frame().await;
            self.hears(&frame);
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// Hears parts until they are this.
    pub(super) async fn shows(&mut self, chatter: &mut Chatter, turn: u64, text: &str) {
        while self.provisional.get(&(turn, "far".to_owned())).is_none_or(|(.., shown)| shown != text) {
            self.until(chatter, "delta").await;
        }
    }
}

async fn parts_come_before_the_event_and_are_how_it_begins(kind: Kind) {
    let talker = Talker::listens().await;
    let (river, hub, address) = with(kind, &talker).await;
    let token = token(&river.config, "u-1");
    let (mut chatter, mut page) = (Chatter::open(address, &token, None).await, Page::default());
    chatter.say(&json!({ "type": "send", "client_id": "c-1", "text": "Will it be a good night?", "to": "far" })).await;
    let status = page.until(&mut chatter, "status").await;
    assert_eq!(status, json!({ "type": "status", "turn": 1, "agent": "far", "state": "thinking" }));
    talker.far.asked_times(1).await;
    talker.part(0, "Sleep ");
    page.shows(&mut chatter, 1, "Sleep ").await;
    assert_eq!(page.busy[&(1, "far".to_owned())], "answering");
    // A tab that is opened in the middle is told from the beginning.
    let (mut tab, mut other) = (Chatter::open(address, &token, Some("earliest")).await, Page::default());
    other.shows(&mut tab, 1, "Sleep ").await;
    // Nobody else is told anything.
    let mut stranger = Chatter::open(address, &self::token(&river.config, "u-2"), None).await;
    talker.part(0, "well.");
    page.shows(&mut chatter, 1, "Sleep well.").await;
    other.shows(&mut tab, 1, "Sleep well.").await;
    assert!(!river.stage.texts(Topic::Events).await.join("\n").contains("Sleep"), "it is in the log already");
    talker.says(0, "advice", &json!({}));
    for (page, chatter) in [(&mut page, &mut chatter), (&mut other, &mut tab)] {
        while page.events.len() < 2 {
            page.until(chatter, "event").await;
        }
        assert!(page.provisional.is_empty());
    }
    assert_eq!(log(&river, "u-1").await, other.events);
    assert_eq!(other.events[1].1, "Sleep well.");
    stranger.say(&json!({ "type": "ping" })).await;
    assert_eq!(stranger.frame().await["type"], "pong");
    let metrics = http::get(address, "/metrics").await.body;
    assert!(!metrics.contains("auren_chat_deltas_sent_total 0\n"), "{metrics}");
    hub.stop().await;
}

#[test]
fn parts_come_before_the_event_and_are_how_it_begins_on_the_embedded_bus() {
    on_system(parts_come_before_the_event_and_are_how_it_begins(Kind::Embedded));
}

#[test]
fn parts_come_before_the_event_and_are_how_it_begins_on_kafka() {
    on_system(parts_come_before_the_event_and_are_how_it_begins(Kind::Kafka));
}

#[test]
fn what_is_stopped_from_another_tab_is_taken_back() {
    on_system(async {
        let talker = Talker::listens().await;
        let (river, hub, address) = with(Kind::Embedded, &talker).await;
        let token = token(&river.config, "u-1");
        let (mut chatter, mut page) = (Chatter::open(address, &token, None).await, Page::default());
        let mut tab = Chatter::open(address, &token, None).await;
        river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far", "coach"])).await;
        talker.far.asked_times(1).await;
        talker.part(0, "Get up and ");
        page.shows(&mut chatter, 1, "Get up and ").await;
        tab.say(&json!({ "type": "stop", "turn": 1 })).await;
        let event = page.until(&mut chatter, "event").await;
        assert_eq!(event["event"]["metadata"]["code"], "stopped");
        assert!(page.provisional.is_empty() && page.resets == 1);
        until("the agent is let go", || async { talker.is_left(0) }).await;
        // The next turn is the next turn's.
        river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["far"])).await;
        talker.far.asked_times(2).await;
        talker.part(1, "Sleep.");
        page.shows(&mut chatter, 2, "Sleep.").await;
        talker.says(1, "advice", &json!({}));
        page.until(&mut chatter, "event").await;
        assert!(page.provisional.is_empty());
        hub.stop().await;
    });
}

#[test]
fn what_an_attempt_that_failed_has_said_is_taken_back_and_the_next_one_is_told() {
    on_system(async {
        let talker = Talker::listens().await;
        let (river, hub, address) = with(Kind::Embedded, &talker).await;
        let (mut chatter, mut page) =
            (Chatter::open(address, &token(&river.config, "u-1"), None).await, Page::default());
        river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far"])).await;
        talker.far.asked_times(1).await;
        talker.part(0, "Half an ans");
        page.shows(&mut chatter, 1, "Half an ans").await;
        talker.breaks(0);
        talker.far.asked_times(2).await;
        assert_eq!(page.until(&mut chatter, "reset").await["attempt"], 1);
        talker.part(1, "All of it");
        page.shows(&mut chatter, 1, "All of it").await;
        assert_eq!(page.provisional[&(1, "far".to_owned())].0, 2);
        // The last attempt fails as well: what it said does not hold either.
        talker.breaks(1);
        let event = page.until(&mut chatter, "event").await;
        assert_eq!(event["event"]["metadata"]["code"], "agent_unavailable");
        assert!(page.provisional.is_empty());
        assert_eq!(page.resets, 2);
        hub.stop().await;
    });
}

#[test]
fn a_language_model_is_heard_sentence_by_sentence_and_what_is_unfit_is_never_said() {
    on_system(async {
        let door = Arc::new(Semaphore::new(0));
        let held = Arc::clone(&door);
        let far = Far::plays(move |attempt| {
            let fit = !attempt.body.to_string().contains("xylophone");
            let (held, rest) = (Arc::clone(&held), if fit { "does." } else { "beats ibuprofen." });
            let rest = stream::once(async move {
                held.acquire().await.unwrap().forget();
                Ok(Bytes::from(spoken(rest, Some("stop"))))
            });
            async move { stream_of(&[&spoken("Sleep helps. It ", None)], rest) }
        })
        .await;
        let agents = Agents::none().with_llm(model("far", &far.url)).unwrap();
        let (river, hub, address) = hub(Kind::Embedded, agents).await;
        let (mut chatter, mut page) =
            (Chatter::open(address, &token(&river.config, "u-1"), None).await, Page::default());
        for (turn, text, attempts) in [(1, "Does sleep help?", 1), (2, "Does it beat a xylophone?", 2)] {
            let client_id = format!("c-{turn}");
            chatter.say(&json!({ "type": "send", "client_id": client_id, "text": text, "to": "far" })).await;
            page.shows(&mut chatter, turn, "Sleep helps.").await;
            door.add_permits(attempts);
            while page.events.len() < 2 * usize::try_from(turn).unwrap() {
                let frame = chatter.frame().await;
                assert!(!frame.to_string().contains("ibuprofen"), "{frame}");
                page.hears(&frame);
            }
        }
        assert_eq!(page.events[1].1, "Sleep helps. It does.");
        assert!(page.provisional.is_empty() && page.resets > 0, "the sentence before the unfit one is taken back");
        hub.stop().await;
    });
}

/// Answers each question with this many kilobytes, part by part.
fn talkative(kilobytes: usize) -> Player {
    Player::new("far", move |consult| async move {
        let mut all = String::new();
        for number in 0..kilobytes {
            let part = format!("{number:1024}");
            consult.parts.tell(&part);
            all.push_str(&part);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        Ok(Advice::say(all))
    })
}

#[test]
fn a_socket_that_reads_no_parts_is_closed_and_holds_nobody_up() {
    on_system(async {
        let mut river = open(Kind::Embedded).await.roles(&[Role::Converse]).agents(Agents::none().with(talkative(15)));
        river.config.chat.slow_ms = 500;
        let hub = river.hub().await;
        let address = hub.http_address().unwrap();
        let token = token(&river.config, "u-1");
        let mut silent = Chatter::open(address, &token, None).await;
        let (mut chatter, mut page) = (Chatter::open(address, &token, None).await, Page::default());
        let closed = || async {
            http::get(address, "/metrics").await.body.contains("auren_chat_closed_total{code=\"4008\"} 1\n")
        };
        let mut turns = 0;
        while !closed().await {
            assert!(turns < 2000, "60 MB have found a place, and nobody was closed");
            for _ in 0..8 {
                turns += 1;
                river.json(Topic::Triggers, "u-1", &trigger("u-1", &format!("t-{turns}"), &["far"])).await;
            }
            while page.events.len() < turns {
                page.until(&mut chatter, "event").await;
            }
        }
        assert!(page.deltas > 0 && page.provisional.is_empty());
        let mut deltas = 0;
        while let Heard::Frame(frame) = silent.next().await {
            deltas += usize::from(frame["type"] == "delta");
        }
        assert!(deltas <= page.deltas, "who reads less is told in fewer parts");
        settled(&hub).await;
        assert_eq!(log(&river, "u-1").await.len(), turns);
        hub.stop().await;
    });
}

/// Agents that speak in parts, fail, and are stopped, while the connection is cut at any moment, on two nodes by turns.
async fn whatever_is_cut_the_events_are_the_log_s_and_nothing_provisional_is_left(kind: Kind) {
    const CUTS: usize = 80;
    let count = Arc::new(AtomicU64::new(0));
    let speaks = |name: &'static str| {
        let count = Arc::clone(&count);
        Player::new(name, move |consult| {
            let mut random = StdRng::seed_from_u64(count.fetch_add(1, Relaxed));
            async move {
                let mut all = String::new();
                for number in 0..random.random_range(1..20) {
                    let part = format!("{} {number}, ", consult.id);
                    consult.parts.tell(&part);
                    all.push_str(&part);
                    tokio::time::sleep(Duration::from_millis(random.random_range(0..8))).await;
                    if random.random_bool(0.02) {
                        return Err(AgentError::Unavailable("the test wants it".to_owned()));
                    }
                }
                Ok(Advice::say(all))
            }
        })
    };
    let agents = Agents::none().with(speaks("far")).with(speaks("coach"));
    let mut river = open(kind).await.roles(&[Role::Converse]).agents(agents);
    (river.config.converse.agent_retry_ms, river.config.converse.agent_attempts) = (1, 2);
    // Nodes on Kafka tell each other what is said.
    if matches!(kind, Kind::Kafka) {
        river.config.redis.url = Some(service("AUREN_TEST_REDIS").into());
        river.config.redis.prefix = own_name();
    }
    let nodes = [river.node("node-1").await, river.node("node-2").await];
    let addresses = [&nodes[0], &nodes[1]].map(|node| node.http_address().unwrap());
    let token = token(&river.config, "u-1");
    let mut random = StdRng::seed_from_u64(8);
    let (mut page, mut cursor, mut sent) = (Page::default(), "earliest".to_owned(), 0);
    for cut in 0..CUTS {
        for _ in 0..random.random_range(0..3) {
            sent += 1;
            river.json(Topic::Triggers, "u-1", &trigger("u-1", &format!("t-{sent}"), &["far", "coach"])).await;
        }
        let mut chatter = Chatter::open(addresses[cut % 2], &token, Some(&cursor)).await;
        page.begins();
        if random.random_bool(0.2) {
            chatter.say(&json!({ "type": "stop", "turn": random.random_range(1..=sent + 1) })).await;
        }
        let reading = async {
            loop {
                page.hears(&chatter.frame().await);
            }
        };
        let _ = tokio::time::timeout(Duration::from_millis(random.random_range(0..120)), reading).await;
        if let Some((last, _)) = page.events.last() {
            cursor.clone_from(last);
        }
    }
    for node in &nodes {
        settled(node).await;
    }
    let all = log(&river, "u-1").await;
    let mut chatter = Chatter::open(addresses[0], &token, Some(&cursor)).await;
    page.begins();
    while page.events.len() < all.len() {
        page.until(&mut chatter, "event").await;
    }
    // A part that came late from another node is taken back.
    while !page.provisional.is_empty() {
        page.until(&mut chatter, "reset").await;
    }
    assert_eq!(page.events, all);
    assert!(page.deltas > 20 && page.resets > 0, "{} parts and {} resets are too few", page.deltas, page.resets);
    for node in nodes {
        node.stop().await;
    }
}

#[test]
fn whatever_is_cut_the_events_are_the_log_s_and_nothing_provisional_is_left_on_the_embedded_bus() {
    on_system(whatever_is_cut_the_events_are_the_log_s_and_nothing_provisional_is_left(Kind::Embedded));
}

#[test]
fn whatever_is_cut_the_events_are_the_log_s_and_nothing_provisional_is_left_on_kafka() {
    on_system(whatever_is_cut_the_events_are_the_log_s_and_nothing_provisional_is_left(Kind::Kafka));
}
