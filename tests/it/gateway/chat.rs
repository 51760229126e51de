//! Chat: what is said comes, once and in order, whatever is cut; who may not hear it does not; and who misbehaves harms
//! nobody else.

use std::{cell::Cell, net::SocketAddr, time::Duration};

use auren::{
    app::Running,
    bus::{Begin, Topic, key_partition},
    client::EventConsumer,
    config::{CallerSection, Scope},
};
use auren_agents::InboxAction;
use futures::SinkExt as _;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio_tungstenite::tungstenite::Message;

use crate::support::{
    Kind, River,
    chatter::{Chatter, Heard, token, token_for},
    event,
    http::{self, figure},
    keyed, on_system, settled, trigger, until, within,
};

const BOTH: &[&str] = &["neuroscientist", "coach"];

pub(super) async fn open(kind: Kind) -> River {
    let mut river = River::open(kind).await;
    river.config.http.address = "127.0.0.1:0".to_owned();
    river
}

async fn hub(river: &River) -> (Running, SocketAddr) {
    let hub = river.hub().await;
    let address = hub.http_address().unwrap();
    (hub, address)
}

/// Every event of a person in the log: cursor and text.
pub(super) async fn log(river: &River, user: &str) -> Vec<(String, String)> {
    let all = river.stage.all(Topic::Events).await;
    let own = all.iter().map(|record| (record.cursor().to_string(), event(record)));
    own.filter(|(_, event)| event.user_id.as_str() == user).map(|(at, event)| (at, event.content.to_string())).collect()
}

fn placed(frame: &Value) -> (String, String) {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    (text(&frame["cursor"]), text(&frame["event"]["content"]))
}

/// Somebody else of the same partition, or of another one.
fn other(user: &str, same: bool) -> String {
    let home = key_partition(user.as_bytes(), 2);
    let mut names = (0..).map(|number| format!("other-{number}"));
    names.find(|name| (key_partition(name.as_bytes(), 2) == home) == same).unwrap()
}

async fn what_is_sent_is_acknowledged_and_both_agents_are_heard(kind: Kind) {
    let river = open(kind).await;
    let (hub, address) = hub(&river).await;
    let mut chatter = Chatter::open(address, &token(&river.config, "u-1"), None).await;
    chatter.message("c-1", "coach, what is the plan for tomorrow?").await;
    let ack = chatter.of("ack").await;
    assert_eq!(ack["client_id"], "c-1");
    let own = match &*chatter.cursor {
        // The event may have come before the acknowledgement.
        "earliest" => chatter.event().await["event"]["metadata"]["client_id"].clone(),
        _ => json!("c-1"),
    };
    assert_eq!(own, "c-1");
    // Sent again it is no second message, on this socket or another.
    chatter.message("c-1", "coach, what is the plan for tomorrow?").await;
    let mut second = Chatter::open(address, &token(&river.config, "u-1"), Some("earliest")).await;
    second.message("c-1", "coach, what is the plan for tomorrow?").await;
    second.of("ack").await;
    let mut second = Chatter::open(address, &token(&river.config, "u-1"), Some("earliest")).await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", BOTH)).await;
    let mut speakers = Vec::new();
    while !speakers.contains(&"neuroscientist".to_owned()) || speakers.last().map(String::as_str) != Some("coach") {
        speakers.push(second.event().await["event"]["specialist_id"].as_str().unwrap().to_owned());
    }
    settled(&hub).await;
    assert_eq!(speakers, ["user", "coach", "neuroscientist", "coach"]);
    assert_eq!(log(&river, "u-1").await.len(), 4);
    // A stop and a mark are records too.
    chatter.say(&json!({ "type": "stop", "turn": 1 })).await;
    chatter.say(&json!({ "type": "seen", "cursor": second.cursor })).await;
    until("stop and mark are in the inbox", || async {
        let inbox = river.stage.texts(Topic::Inbox).await.join("\n");
        inbox.contains("\"kind\":\"stop\"") && inbox.contains("\"kind\":\"seen\"")
    })
    .await;
    // A clinic's program hears what has been seen.
    let (mark, mut marks) = mpsc::unbounded_channel();
    let clinic =
        EventConsumer::new(river.stage.bus.clone(), "clinic").begin(Begin::Earliest).on_inbox(move |received| {
            if let InboxAction::Seen { cursor, .. } = received.event.action {
                let _ = mark.send((received.event.user_id, cursor));
            }
            async { Ok(()) }
        });
    let clinic = clinic.start().unwrap();
    let (who, place) = within(marks.recv()).await.unwrap();
    assert_eq!((who.as_str(), &*place), ("u-1", &*second.cursor));
    within(clinic.stop()).await.unwrap();
    hub.stop().await;
    assert_eq!(chatter.closed().await, 4000);
}

#[test]
fn what_is_sent_is_acknowledged_and_both_agents_are_heard_on_the_embedded_bus() {
    on_system(what_is_sent_is_acknowledged_and_both_agents_are_heard(Kind::Embedded));
}

#[test]
fn what_is_sent_is_acknowledged_and_both_agents_are_heard_on_kafka() {
    on_system(what_is_sent_is_acknowledged_and_both_agents_are_heard(Kind::Kafka));
}

/// Two nodes by turns; memory holds too little for some of the returns, which the log then serves.
async fn cut_at_random_nothing_is_missing_and_nothing_comes_twice(kind: Kind) {
    const CUTS: usize = 200;
    let mut river = open(kind).await;
    (river.config.chat.ring_events, river.config.chat.tail_bytes) = (2, 0);
    let (one, two) = (river.node("node-1").await, river.node("node-2").await);
    let addresses = [one.http_address().unwrap(), two.http_address().unwrap()];
    let token = token(&river.config, "u-1");
    let mut random = StdRng::seed_from_u64(8);
    let (mut heard, mut cursor, mut sent) = (Vec::new(), "earliest".to_owned(), 0);
    // Two agents answer each trigger.
    let mut to_come = 0;
    for cut in 0..CUTS {
        for _ in 0..random.random_range(0..3) {
            let user = if random.random_bool(0.7) { "u-1" } else { "u-2" };
            river.json(Topic::Triggers, user, &trigger(user, &format!("t-{sent}"), BOTH)).await;
            sent += 1;
            to_come += if user == "u-1" { 2 } else { 0 };
        }
        let mut chatter = Chatter::open(addresses[cut % 2], &token, Some(&cursor)).await;
        assert_eq!(chatter.cursor, cursor);
        // After some of what must come, or at any moment, in the middle of whatever there is.
        let (most, limit) = if cut % 8 < 2 {
            (random.random_range(0..=to_come - heard.len()), Duration::MAX)
        } else {
            (usize::MAX, Duration::from_millis(random.random_range(0..30)))
        };
        let reading = async {
            for _ in 0..most {
                match chatter.next().await {
                    Heard::Frame(frame) if frame["type"] != "event" => {}
                    Heard::Frame(frame) => heard.push(placed(&frame)),
                    end => panic!("{end:?}"),
                }
            }
        };
        let _ = tokio::time::timeout(limit, reading).await;
        // The connection is cut here: nothing is said, and what was on its way is lost.
        if let Some((last, _)) = heard.last() {
            cursor.clone_from(last);
        }
    }
    settled(&one).await;
    settled(&two).await;
    let all = log(&river, "u-1").await;
    assert_eq!(all.len(), to_come);
    assert!(heard.len() > to_come / 2, "only {} of {to_come} were heard between the cuts", heard.len());
    let mut chatter = Chatter::open(addresses[1], &token, Some(&cursor)).await;
    while heard.len() < all.len() {
        heard.push(placed(&chatter.event().await));
    }
    assert_eq!(heard, all);
    let mut never = 0;
    for address in addresses {
        never += usize::from(http::get(address, "/metrics").await.body.contains("auren_chat_log_reads_total 0\n"));
    }
    assert!(never < 2, "memory had everything, and the log was never read");
    one.stop().await;
    two.stop().await;
}

#[test]
fn cut_at_random_nothing_is_missing_and_nothing_comes_twice_on_the_embedded_bus() {
    on_system(cut_at_random_nothing_is_missing_and_nothing_comes_twice(Kind::Embedded));
}

#[test]
fn cut_at_random_nothing_is_missing_and_nothing_comes_twice_on_kafka() {
    on_system(cut_at_random_nothing_is_missing_and_nothing_comes_twice(Kind::Kafka));
}

async fn who_comes_from_another_node_is_served_from_memory(kind: Kind) {
    let river = open(kind).await;
    let nodes = [river.node("node-1").await, river.node("node-2").await];
    let addresses = [&nodes[0], &nodes[1]].map(|node| node.http_address().unwrap());
    let token = token(&river.config, "u-1");
    for number in 0..3 {
        river.json(Topic::Triggers, "u-1", &trigger("u-1", &format!("t-{number}"), BOTH)).await;
    }
    let mut chatter = Chatter::open(addresses[0], &token, Some("earliest")).await;
    let first = chatter.event().await["cursor"].as_str().unwrap().to_owned();
    for _ in 1..6 {
        chatter.event().await;
    }
    // Somebody else is at the other node, which therefore follows the log.
    let other = other("u-1", true);
    let mut beside = Chatter::open(addresses[1], &self::token(&river.config, &other), None).await;
    river.json(Topic::Triggers, &other, &trigger(&other, "t-9", BOTH)).await;
    beside.event().await;
    // What was there before is read back meanwhile.
    let times = Cell::new(0);
    let from_memory = || async {
        times.set(times.get() + 1);
        let reads = figure(addresses[1], "auren_chat_log_reads_total").await;
        let mut back = Chatter::open(addresses[1], &token, Some(&first)).await;
        for _ in 1..6 {
            back.event().await;
        }
        assert_eq!(back.cursor, chatter.cursor);
        let from_tail = figure(addresses[1], "auren_chat_events_handed_total{tier=\"tail\"}").await;
        from_tail == 5 && figure(addresses[1], "auren_chat_log_reads_total").await == reads
    };
    until("memory reaches back", from_memory).await;
    assert_eq!(figure(addresses[1], "auren_chat_resume_seconds_count").await, times.get());
    for node in nodes {
        node.stop().await;
    }
}

#[test]
fn who_comes_from_another_node_is_served_from_memory_on_the_embedded_bus() {
    on_system(who_comes_from_another_node_is_served_from_memory(Kind::Embedded));
}

#[test]
fn who_comes_from_another_node_is_served_from_memory_on_kafka() {
    on_system(who_comes_from_another_node_is_served_from_memory(Kind::Kafka));
}

async fn who_may_not_is_not_let_in() {
    let mut river = open(Kind::Embedded).await;
    river.config.chat.origins = vec!["https://app.example.org".to_owned()];
    let (hub, address) = hub(&river).await;
    let good = token(&river.config, "u-1");
    let mut foreign = river.config.clone();
    foreign.tokens.secret = Some("somebody else's secret of many characters".to_owned().into());
    let mut elsewhere = river.config.clone();
    elsewhere.tokens.audience = "another".to_owned();
    let hour = Duration::from_secs(3600);
    let unsigned = format!("eyJhbGciOiJub25lIn0.{}.", good.split('.').nth(1).unwrap());
    for (token, status) in [
        (String::new(), 401),
        (unsigned, 401),
        (token_for(&river.config, "u-1", "chat", Duration::ZERO), 401),
        (token_for(&foreign, "u-1", "chat", hour), 401),
        (token_for(&elsewhere, "u-1", "chat", hour), 401),
        (token_for(&river.config, "u-1", "ops", hour), 403),
    ] {
        let bearer = format!("Bearer {token}");
        let headers = [("sec-websocket-protocol", "auren.v1"), ("authorization", &*bearer)];
        assert_eq!(Chatter::knock(address, "/v1/ws", &headers).await.err(), Some(status), "{token}");
        for line in ["GET /v1/conversations/events", "GET /v1/conversations/events/stream", "POST /v1/ws-ticket"] {
            let answer = http::send(address, line, &[("Authorization", &bearer)], "").await;
            assert_eq!(answer.status, status, "{line}");
            assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        }
    }
    let bearer = format!("Bearer {good}");
    for (origin, wanted) in [
        ("https://evil.example.org".to_owned(), Some(403)),
        ("https://app.example.org".to_owned(), None),
        (format!("http://{address}"), None),
    ] {
        let headers = [("sec-websocket-protocol", "auren.v1"), ("authorization", &*bearer), ("origin", &*origin)];
        assert_eq!(Chatter::knock(address, "/v1/ws", &headers).await.err(), wanted, "{origin}");
    }
    // A browser asks before it sends a token to another origin, and shows the page no answer that does not name its own.
    for (origin, may) in [("https://app.example.org", true), ("https://evil.example.org", false)] {
        let asks = [
            ("Origin", origin),
            ("Access-Control-Request-Method", "POST"),
            ("Access-Control-Request-Headers", "authorization"),
        ];
        let first = http::send(address, "OPTIONS /v1/ws-ticket", &asks, "").await;
        let then =
            http::send(address, "POST /v1/ws-ticket", &[("Authorization", &*bearer), ("Origin", origin)], "").await;
        let allowed = format!("access-control-allow-origin: {origin}\r\n");
        for head in [first.head, then.head] {
            assert_eq!(format!("{head}\r\n").contains(&allowed), may, "{origin}: {head}");
        }
    }
    assert_eq!(Chatter::knock(address, "/v1/ws", &[("authorization", &bearer)]).await.err(), Some(400));
    // A ticket is good once.
    let ticket = http::send(address, "POST /v1/ws-ticket", &[("Authorization", &bearer)], "").await.json();
    let path = format!("/v1/ws?ticket={}", ticket["ticket"].as_str().unwrap());
    let headers = [("sec-websocket-protocol", "auren.v1")];
    Chatter::knock(address, &path, &headers).await.map(drop).unwrap();
    assert_eq!(Chatter::knock(address, &path, &headers).await.err(), Some(401));
    // A token that ends while its socket is open ends the socket.
    let short = token_for(&river.config, "u-1", "chat", Duration::from_secs(2));
    assert_eq!(Chatter::open(address, &short, None).await.closed().await, 4100);
    hub.stop().await;
}

#[test]
fn who_may_not_is_not_let_in_and_who_may_no_more_is_let_out() {
    on_system(who_may_not_is_not_let_in());
}

async fn a_token_allows_what_its_scopes_say() {
    let mut river = open(Kind::Embedded).await;
    let fixed = "a fixed token of a watch's program";
    let watch = CallerSection { token: fixed.to_owned().into(), scopes: vec![Scope::Readings] };
    river.config.callers.0.insert("watch".to_owned(), watch);
    let (hub, address) = hub(&river).await;
    let hour = Duration::from_secs(3600);
    let signed = |scope| token_for(&river.config, "u-1", scope, hour);
    let ask = json!({ "purpose": "care", "tokens": [] }).to_string();
    let routes = [
        ("GET /v1/conversations/events", ""),
        ("POST /v1/readings", "[]"),
        ("POST /v1/detokenize", &*ask),
        ("DELETE /v1/users/nobody", ""),
    ];
    for (token, allowed) in [
        (signed("chat"), [true, false, false, false]),
        (signed("readings"), [false, true, false, false]),
        (signed("detokenize:care"), [false, false, true, false]),
        (signed("detokenize:research"), [false; 4]),
        (signed("erase ops"), [false, false, false, true]),
        (signed("chat readings detokenize:care erase"), [true; 4]),
        (signed(""), [false; 4]),
        (fixed.to_owned(), [false, true, false, false]),
        ("another fixed token of many characters".to_owned(), [false; 4]),
    ] {
        let bearer = format!("Bearer {token}");
        for ((line, body), allowed) in routes.iter().zip(allowed) {
            let headers = [("Authorization", &*bearer), ("Content-Type", "application/json")];
            let answer = http::send(address, line, &headers, body).await;
            let wanted = if allowed { answer.status == 200 } else { matches!(answer.status, 401 | 403) };
            assert!(wanted, "{line} with {token}: {} {}", answer.status, answer.body);
            assert_eq!(answer.status == 401, answer.head.contains("www-authenticate: bearer"), "{}", answer.head);
        }
    }
    hub.stop().await;
}

#[test]
fn a_token_allows_what_its_scopes_say_on_every_route_and_nothing_else() {
    on_system(a_token_allows_what_its_scopes_say());
}

async fn a_person_hears_their_own_events_only() {
    let river = open(Kind::Embedded).await;
    let (hub, address) = hub(&river).await;
    let (beside, elsewhere) = (other("u-1", true), other("u-1", false));
    for user in ["u-1", &*beside, &*elsewhere] {
        river.json(Topic::Triggers, user, &trigger(user, &format!("t-{user}"), BOTH)).await;
    }
    settled(&hub).await;
    let token = token(&river.config, "u-1");
    let bearer = format!("Bearer {token}");
    let page =
        async |path: String| http::send(address, &format!("GET {path}"), &[("Authorization", &bearer)], "").await;
    // A cursor of somebody else's in one's own partition is only a place.
    let theirs = log(&river, &beside).await[0].0.clone();
    let answer = page(format!("/v1/conversations/events?after={theirs}")).await.json();
    assert!(answer["events"].as_array().unwrap().iter().all(|placed| placed["event"]["user_id"] == "u-1"), "{answer}");
    let all = page("/v1/conversations/u-1/events".to_owned()).await.json();
    assert_eq!(all["events"].as_array().unwrap().len(), 2, "{all}");
    assert_eq!(page(format!("/v1/conversations/{beside}/events")).await.status, 403);
    // A place in another partition, or one that is yet to come, is none.
    let home = key_partition(b"u-1", 2);
    for bad in [log(&river, &elsewhere).await[0].0.clone(), format!("{home}:999999"), "5".to_owned()] {
        assert_eq!(page(format!("/v1/conversations/events?after={bad}")).await.status, 400, "{bad}");
        let mut chatter = Chatter::enter(address, &token, Some(&bad)).await;
        assert_eq!(chatter.frame().await["code"], "bad_cursor");
        assert_eq!(chatter.closed().await, 4504);
    }
    // Nothing that a frame says makes it somebody else's.
    let mut chatter = Chatter::open(address, &token, None).await;
    chatter.say(&json!({ "type": "send", "client_id": "c", "text": "hi", "user_id": beside, "sub": beside })).await;
    chatter.of("ack").await;
    let inbox = river.stage.all(Topic::Inbox).await;
    assert_eq!(inbox.last().unwrap().key.as_deref(), Some(&b"u-1"[..]));
    chatter.say(&json!({ "type": "seen", "cursor": log(&river, &elsewhere).await[0].0 })).await;
    assert_eq!(chatter.of("error").await["code"], "bad_cursor");
    // An event that an outside producer keyed by one person and wrote for another is nobody's.
    let mut forged: Value = serde_json::from_str(&river.stage.texts(Topic::Events).await[0]).unwrap();
    forged["user_id"] = json!(beside);
    forged["content"] = json!("forged");
    river.stage.publish(vec![keyed(Topic::Events, "u-1", &forged.to_string())]).await;
    chatter.message("c-2", "hi again").await;
    while chatter.event().await["event"]["content"] != "hi again" {}
    assert!(!page("/v1/conversations/events".to_owned()).await.body.contains("forged"));
    hub.stop().await;
}

#[test]
fn a_person_hears_their_own_events_only_whatever_they_ask_for() {
    on_system(a_person_hears_their_own_events_only());
}

async fn bad_frames_are_named_and_floods_are_ended() {
    let mut river = open(Kind::Embedded).await;
    (river.config.chat.max_frame_bytes, river.config.chat.max_sockets_per_user) = (4096, 2);
    let (hub, address) = hub(&river).await;
    let token = token(&river.config, "u-1");
    let mut chatter = Chatter::open(address, &token, None).await;
    for (frame, code) in [
        ("{", "not_json".to_owned()),
        (r#"{"type":"delete"}"#, "unknown_type".to_owned()),
        (&*"[".repeat(100), "too_deep".to_owned()),
        (r#"{"type":"send","client_id":"c","text":7}"#, "bad_frame".to_owned()),
        (r#"{"type":"seen","cursor":"x"}"#, "bad_cursor".to_owned()),
    ] {
        chatter.text(frame).await;
        assert_eq!(chatter.of("error").await["code"], code, "{frame}");
    }
    chatter.socket.send(Message::binary(vec![1, 2, 3])).await.unwrap();
    assert_eq!(chatter.of("error").await["code"], "binary_frame");
    chatter.say(&json!({ "type": "ping" })).await;
    chatter.of("pong").await;
    // Another socket of the person, and one too many.
    let mut second = Chatter::open(address, &token, None).await;
    let mut third = Chatter::enter(address, &token, None).await;
    assert_eq!(third.closed().await, 4529);
    // A frame that is too large is not read to its end.
    second.text(&json!({ "type": "ping", "more": "x".repeat(1024 * 1024) }).to_string()).await;
    assert_eq!(second.closed().await, 4500);
    for _ in 0..100 {
        if chatter.socket.send(Message::text(r#"{"type":"ping"}"#)).await.is_err() {
            break;
        }
    }
    assert_eq!(chatter.closed().await, 4029);
    // Nobody else is harmed.
    let mut other = Chatter::open(address, &self::token(&river.config, "u-2"), None).await;
    other.message("c", "hi").await;
    other.of("ack").await;
    hub.stop().await;
}

#[test]
fn bad_frames_are_named_and_floods_are_ended_and_nobody_else_is_harmed() {
    on_system(bad_frames_are_named_and_floods_are_ended());
}

async fn who_reads_nothing_is_closed(kind: Kind) {
    let mut river = open(kind).await;
    river.config.chat.slow_ms = 500;
    let (hub, address) = hub(&river).await;
    let token = token(&river.config, "u-1");
    let mut slow = Chatter::open(address, &token, None).await;
    let mut quick = Chatter::open(address, &token, None).await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["coach"])).await;
    let mut large = quick.event().await["event"].clone();
    large["content"] = json!("x".repeat(16_000));
    let closed =
        || async { http::get(address, "/metrics").await.body.contains("auren_chat_closed_total{code=\"4008\"} 1\n") };
    let mut written = 0;
    while !closed().await {
        assert!(written < 4000, "64 MB have found a place, and nobody was closed");
        let batch = (0..50).map(|_| {
            written += 1;
            large["event_id"] = json!(format!("e-{written}"));
            keyed(Topic::Events, "u-1", &large.to_string())
        });
        river.stage.publish(batch.collect()).await;
        // The one that reads is not held up by the one that does not.
        for _ in 0..50 {
            quick.event().await;
        }
    }
    let mut heard = 0;
    let end = loop {
        match slow.next().await {
            Heard::Frame(frame) => {
                heard += 1;
                frame["cursor"].as_str().unwrap().clone_into(&mut slow.cursor);
            }
            end => break end,
        }
    };
    assert!(heard > 0);
    // It is told where there was room for it, and in any case it goes on where it was.
    assert!(matches!(end, Heard::Closed(4008) | Heard::Cut), "{end:?}");
    let mut back = Chatter::open(address, &token, Some(&slow.cursor)).await;
    for _ in heard..=written {
        back.event().await;
    }
    assert_eq!(back.cursor, quick.cursor);
    hub.stop().await;
}

#[test]
fn who_reads_nothing_is_closed_and_holds_nobody_up() {
    on_system(who_reads_nothing_is_closed(Kind::Embedded));
}

async fn pages_and_streams_have_the_same_cursors(kind: Kind) {
    let river = open(kind).await;
    let (hub, address) = hub(&river).await;
    for number in 0..3 {
        river.json(Topic::Triggers, "u-1", &trigger("u-1", &format!("t-{number}"), BOTH)).await;
        settled(&hub).await;
    }
    let all = log(&river, "u-1").await;
    let bearer = format!("Bearer {}", token(&river.config, "u-1"));
    let (mut paged, mut after) = (Vec::new(), "earliest".to_owned());
    loop {
        let line = format!("GET /v1/conversations/events?limit=4&after={after}");
        let page = http::send(address, &line, &[("Authorization", &bearer)], "").await.json();
        paged.extend(page["events"].as_array().unwrap().iter().map(placed));
        page["next"].as_str().unwrap().clone_into(&mut after);
        if page["more"] == false {
            break;
        }
    }
    assert_eq!(paged, all);
    let (mut back, mut before) = (Vec::new(), Some("latest".to_owned()));
    while let Some(place) = before {
        let line = format!("GET /v1/conversations/events?limit=4&before={place}");
        let page = http::send(address, &line, &[("Authorization", &bearer)], "").await.json();
        let older: Vec<_> = page["events"].as_array().unwrap().iter().map(placed).collect();
        assert!(older.len() == 4 || page["prev"].is_null(), "{page}");
        if place == "latest" {
            assert_eq!((&page["next"], page["more"].as_bool()), (&json!(after), Some(false)));
        }
        back.splice(0..0, older);
        before = page["prev"].as_str().map(ToOwned::to_owned);
    }
    assert_eq!(back, all);
    for bad in ["before=7:1", "before=x", "before=latest&after=earliest"] {
        let line = format!("GET /v1/conversations/events?{bad}");
        assert_eq!(http::send(address, &line, &[("Authorization", &bearer)], "").await.status, 400, "{bad}");
    }
    // A stream that comes back with the id of the third event begins with the fourth. Its token ends it.
    let short = token_for(&river.config, "u-1", "chat", Duration::from_secs(8));
    let headers = [("Authorization", &*format!("Bearer {short}")), ("Last-Event-ID", &all[2].0)];
    let stream = http::send(address, "GET /v1/conversations/events/stream?after=earliest", &headers, "").await;
    let ids: Vec<_> = stream.body.lines().filter_map(|line| line.strip_prefix("id: ")).collect();
    assert_eq!(ids, all[3..].iter().map(|(cursor, _)| &**cursor).collect::<Vec<_>>(), "{}", stream.body);
    let page = http::get(address, "/").await;
    assert!(page.head.contains("script-src 'self'") && !page.body.contains("<script>"), "{}", page.head);
    hub.stop().await;
}

#[test]
fn pages_and_streams_have_the_same_cursors_on_the_embedded_bus() {
    on_system(pages_and_streams_have_the_same_cursors(Kind::Embedded));
}

#[test]
fn pages_and_streams_have_the_same_cursors_on_kafka() {
    on_system(pages_and_streams_have_the_same_cursors(Kind::Kafka));
}
