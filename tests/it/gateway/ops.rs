//! The operators' console over HTTP: what it shows of a running node, to whom, and that a dead letter is sent again once.

use std::{net::SocketAddr, time::Duration};

use auren::{app::Running, bus::Topic, detect};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::{
    river::rules::{every_mood, moods},
    support::{
        Kind, River,
        chatter::token_for,
        http::{self, Answer},
        keyed, message, mission_trigger, on_system, settled, stop, trigger, until, within,
    },
};

/// Every route that only shows something.
const SHOWS: [&str; 7] = [
    "/v1/ops/node",
    "/v1/ops/topics",
    "/v1/ops/groups",
    "/v1/ops/triggers",
    "/v1/ops/dead-letters",
    "/v1/ops/dead-letters/triggers.detected/0:0",
    "/v1/ops/tail?topic=triggers.detected",
];
const SECRET: &str = "words that only the person may read";

/// A node, and a token with these scopes.
struct Console {
    river: River,
    hub: Running,
    address: SocketAddr,
    token: String,
}

impl Console {
    async fn open(kind: Kind, scope: &str) -> Self {
        let mut river = River::open(kind).await;
        let (hub, address) = river.served().await;
        let token = self::token(&river, scope);
        Self { river, hub, address, token }
    }

    async fn asked(&self, line: &str) -> Answer {
        ask(self.address, &self.token, line).await
    }

    async fn get(&self, path: &str) -> Value {
        let answer = self.asked(&format!("GET {path}")).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        assert!(!answer.body.contains(SECRET), "{path}: {}", answer.body);
        answer.json()
    }

    /// A record that nobody can use, and its dead letter.
    async fn poison(&self) -> Value {
        self.river.stage.publish(vec![keyed(Topic::Triggers, "u-1", SECRET)]).await;
        settled(&self.hub).await;
        let found = self.get("/v1/ops/dead-letters?topic=triggers.detected&class=broken_json&user=u-1").await;
        assert_eq!(found["letters"].as_array().unwrap().len(), 1, "{found}");
        found["letters"][0].clone()
    }
}

fn token(river: &River, scope: &str) -> String {
    token_for(&river.config, "an-operator", scope, Duration::from_secs(3600))
}

async fn ask(address: SocketAddr, token: &str, line: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    let head = [("Authorization", bearer.as_str())];
    http::send(address, line, if token.is_empty() { &[] } else { &head }, "").await
}

fn named<'a>(list: &'a Value, field: &str, name: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|one| one[field] == name);
    found.unwrap_or_else(|| panic!("{name} is not in {list}"))
}

async fn an_operator_sees_what_the_hub_does(kind: Kind) {
    let console = Console::open(kind, "ops").await;
    console.river.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
    console.poison().await;
    let promised = || async { console.get("/v1/ops/node").await["roles"][2]["guarantee"] == "exactly_once" };
    until("the guarantee is known", promised).await;

    let node = console.get("/v1/ops/node").await;
    assert_eq!(node["node"], "node-1");
    let converse = named(&node["roles"], "role", "converse");
    assert!(converse["why"][0].as_str().unwrap().contains("one transaction"), "{converse}");
    assert_eq!(converse["workers"].as_array().unwrap().len(), 1);
    let worker = &converse["workers"][0];
    assert_eq!(
        json!([worker["member"], worker["state"], worker["partitions"]]),
        json!(["node-1-converse-0", "working", [0, 1]])
    );
    assert!(worker["restored_ms"].is_u64() && worker["last_commit_ms"].is_i64(), "{worker}");
    let totals = &converse["totals"];
    assert_eq!(json!([totals["sessions"], totals["dead_letters"], totals["outputs"]]), json!([2, 1, 2]), "{totals}");
    let idle = named(&node["roles"], "role", "enrich");
    assert_eq!(json!([idle["workers"][0]["last_commit_ms"], idle["totals"]["records"]]), json!([null, 0]));
    for agent in ["coach", "neuroscientist"] {
        let health = named(&node["agents"], "agent", agent);
        assert_eq!(json!([health["circuit"], health["asked"], health["answered"]]), json!(["closed", 1, 1]));
    }
    let rules = node["rules"].as_array().unwrap();
    assert_eq!(rules.len(), detect::shipped().len());
    assert!(rules.iter().all(|rule| rule["shadow"] == false && rule["spoken"] == 0 && rule["version"].is_u64()));

    let topics = console.get("/v1/ops/topics").await;
    let names: Vec<_> = topics["topics"].as_array().unwrap().iter().map(|topic| &topic["topic"]).collect();
    assert_eq!(names, Topic::ALL.iter().map(|topic| topic.name()).collect::<Vec<_>>());
    let triggers = named(&topics["topics"], "topic", "triggers.detected");
    assert_eq!(triggers["records"], 2);
    let ends = triggers["partitions"].as_array().unwrap().iter();
    assert_eq!(ends.map(|one| one["end"].as_i64().unwrap() - one["begin"].as_i64().unwrap()).sum::<i64>(), 2);

    // What was asked a moment ago may be shown for another one.
    let worked = || async {
        let groups = console.get("/v1/ops/groups").await;
        let converse = named(&groups["groups"], "role", "converse").clone();
        let of = |topic: &str, lag: &Value| lag["topic"] == topic;
        let lags = converse["partitions"].as_array().unwrap().clone();
        lags.iter().filter(|lag| of("triggers.detected", lag)).all(|lag| lag["behind"] == 0)
    };
    until("the triggers are worked", worked).await;
    let groups = console.get("/v1/ops/groups").await;
    let converse = named(&groups["groups"], "role", "converse");
    assert_eq!(converse["holders"], json!([{ "member": "node-1-converse-0", "partitions": [0, 1] }]));
    assert_eq!(converse["partitions"].as_array().unwrap().len(), 3 * 2);
    assert_eq!(converse["begun"], true);

    let recent = console.get("/v1/ops/triggers").await;
    assert_eq!(json!([recent["minutes"], recent["complete"]]), json!([15, true]));
    let expected = json!({ "rule": null, "trigger_type": "hrv_drop", "count": 1 });
    let kinds = recent["kinds"].as_array().unwrap();
    assert_eq!(kinds.len(), 1, "{recent}");
    for (field, value) in expected.as_object().unwrap() {
        assert_eq!(kinds[0][field], *value);
    }
    assert_eq!(recent["total"].as_array().unwrap().iter().filter_map(Value::as_u64).sum::<u64>(), 1);
    console.hub.stop().await;
}

#[test]
fn an_operator_sees_what_a_hub_on_the_embedded_bus_does() {
    on_system(an_operator_sees_what_the_hub_does(Kind::Embedded));
}

#[test]
fn an_operator_sees_what_a_hub_on_kafka_does() {
    on_system(an_operator_sees_what_the_hub_does(Kind::Kafka));
}

async fn a_dead_letter_is_sent_again_once(kind: Kind) {
    let console = Console::open(kind, "ops").await;
    let letter = console.poison().await;
    assert_eq!(letter["key"], "u-1");
    assert_eq!(letter["class"], "broken_json");
    assert!(letter["error"].as_str().unwrap().starts_with("record: is not JSON"), "{letter}");
    assert_eq!(letter["bytes"], SECRET.len());
    let path = format!("/v1/ops/dead-letters/triggers.detected/{}", letter["cursor"].as_str().unwrap());
    let shown = console.get(&path).await;
    assert_eq!(shown, letter, "without its content");
    assert_eq!(console.asked(&format!("GET {path}?content=true")).await.status, 403);
    let wide = token(&console.river, "ops ops:content");
    let opened = ask(console.address, &wide, &format!("GET {path}?content=true")).await;
    assert_eq!((opened.status, opened.json()["content"].clone()), (200, json!(SECRET)));

    // Two operators at once, and one of them again.
    let line = format!("POST {path}/replay");
    let (one, other) = tokio::join!(console.asked(&line), console.asked(&line));
    let mut answers = [one, other];
    answers.sort_by_key(|answer| answer.status);
    assert_eq!(answers.each_ref().map(|answer| answer.status), [200, 409], "{}", answers[1].body);
    let sent = answers[0].json()["sent"].as_str().unwrap().to_owned();
    let third = console.asked(&line).await;
    assert_eq!(third.status, 409);
    let told = third.json()["detail"].as_str().unwrap().to_owned();
    assert_eq!(told, format!("it was sent again already and is at {sent} in triggers.detected"));
    settled(&console.hub).await;
    let records = console.river.stage.all(Topic::Triggers).await;
    let again: Vec<_> = records.iter().filter(|record| record.header("auren-replayed-from").is_some()).collect();
    assert_eq!((records.len(), again.len()), (2, 1));
    assert_eq!(again[0].cursor().to_string(), sent);
    assert_eq!((again[0].key.as_deref(), again[0].payload.as_deref()), (Some(&b"u-1"[..]), Some(SECRET.as_bytes())));
    // It is still what it was, so it has died once more, and that one can be sent again.
    let found = console.get("/v1/ops/dead-letters?topic=triggers.detected").await;
    assert_eq!(found["counts"][0]["count"], 2, "{found}");
    assert_eq!(found["letters"][1], letter, "the newest first");
    let newest = found["letters"][0]["cursor"].as_str().unwrap();
    let line = format!("POST /v1/ops/dead-letters/triggers.detected/{newest}/replay");
    assert_eq!(console.asked(&line).await.status, 200);
    // Who did it is told to everybody.
    let told = console.river.stage.texts(Topic::System).await;
    let told: Vec<_> = told.iter().filter(|event| event.contains("dead_letter_replayed")).collect();
    assert!(told.len() == 2 && told.iter().all(|event| event.contains("auren:an-operator")), "{told:?}");
    assert!(told.iter().any(|event| event.contains(&format!("\"sent\":\"{sent}\""))), "{told:?}");
    console.hub.stop().await;
}

#[test]
fn a_dead_letter_is_sent_again_once_on_the_embedded_bus() {
    on_system(a_dead_letter_is_sent_again_once(Kind::Embedded));
}

#[test]
fn a_dead_letter_is_sent_again_once_on_kafka() {
    on_system(a_dead_letter_is_sent_again_once(Kind::Kafka));
}

#[test]
fn what_was_moved_and_worked_is_not_sent_again() {
    on_system(async {
        let console = Console::open(Kind::Embedded, "ops").await;
        let partition = auren::bus::key_partition(b"user_hash", 2);
        let record = keyed(Topic::Triggers, "user_hash", &mission_trigger().to_string());
        let misplaced = auren::bus::Outgoing { partition: Some(1 - partition), ..record };
        console.river.stage.publish(vec![misplaced]).await;
        settled(&console.hub).await;
        let found = console.get("/v1/ops/dead-letters").await;
        let letter = &found["letters"][0];
        assert_eq!(json!([letter["class"], letter["can_replay"]]), json!(["wrong_partition", false]));
        let cursor = letter["cursor"].as_str().unwrap();
        let answer = console.asked(&format!("POST /v1/ops/dead-letters/triggers.detected/{cursor}/replay")).await;
        assert_eq!(answer.status, 409, "{}", answer.body);
        assert_eq!(console.river.stage.all(Topic::Triggers).await.len(), 2);
        console.hub.stop().await;
    });
}

#[test]
fn who_is_no_operator_sees_nothing_and_sends_nothing() {
    on_system(async {
        let console = Console::open(Kind::Embedded, "ops").await;
        let letter = console.poison().await;
        let replay =
            format!("POST /v1/ops/dead-letters/triggers.detected/{}/replay", letter["cursor"].as_str().unwrap());
        let mut lines: Vec<_> = SHOWS.iter().map(|path| format!("GET {path}")).collect();
        lines.push(replay);
        for line in &lines {
            for (shown, status) in [
                (String::new(), 401),
                ("no token that anybody knows".to_owned(), 401),
                (token(&console.river, "chat"), 403),
                (token(&console.river, "chat readings erase detokenize:care ops:content"), 403),
                (token_for(&console.river.config, "u-1", "ops", Duration::ZERO), 401),
            ] {
                let answer = ask(console.address, &shown, line).await;
                assert_eq!(answer.status, status, "{line} with {shown:?}: {}", answer.body);
                assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
                assert!(!answer.body.contains("u-1") && !answer.body.contains("node-1"), "{}", answer.body);
            }
        }
        assert_eq!(console.river.stage.all(Topic::Triggers).await.len(), 1, "nothing was sent");
        // And an operator is nobody's conversation partner.
        assert_eq!(console.asked("GET /v1/conversations/events").await.status, 403);
        assert_eq!(console.asked("GET /v1/history/triggers?user=u-1").await.status, 404, "there is no history here");
        console.hub.stop().await;
    });
}

#[test]
fn what_cannot_be_asked_is_told_with_the_parameter() {
    on_system(async {
        let console = Console::open(Kind::Embedded, "ops").await;
        for (path, status, told) in [
            ("dead-letters?limit=0", 400, "limit: must be from 1 to 500"),
            ("dead-letters?limit=501", 400, "limit: must be from 1 to 500"),
            ("dead-letters?limit=many", 400, "limit"),
            ("dead-letters?topic=nothing", 400, "topic: is no topic"),
            ("dead-letters?topic=conversations.events", 400, "do not become dead letters"),
            ("dead-letters?user=", 400, "user: must not be empty"),
            ("dead-letters?colour=red", 400, "colour"),
            ("dead-letters/nothing/0:0", 400, "topic: is no topic"),
            ("dead-letters/triggers.detected/here", 400, "cursor: a cursor is"),
            ("dead-letters/triggers.detected/0:0", 404, "there is no dead letter of triggers.detected at 0:0"),
            ("dead-letters/triggers.detected/9:0", 404, "there is no dead letter"),
            ("dead-letters/triggers.detected/0:0?content=maybe", 400, "content"),
            ("dead-letters/%FF/0:0", 400, "UTF-8"),
            ("tail", 400, "topic"),
            ("tail?topic=nothing", 400, "topic: is no topic"),
            ("tail?topic=triggers.detected&last=201", 400, "last: must be from 0 to 200"),
            ("tail?topic=triggers.detected&last=-1", 400, "last: must be from 0 to 200"),
            ("tail?topic=triggers.detected&user=%07", 400, "user: must not contain control characters"),
            ("tail?topic=triggers.detected&content=true", 403, "ops:content"),
            ("nothing", 404, "there is nothing at /v1/ops/nothing"),
        ] {
            let answer = console.asked(&format!("GET /v1/ops/{path}")).await;
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(answer.status == status && detail.contains(told), "{path}: {} {detail}", answer.status);
        }
        assert_eq!(console.asked("GET /v1/ops/dead-letters/triggers.detected/0:0/replay").await.status, 405);
        assert_eq!(console.asked("POST /v1/ops/dead-letters/triggers.detected/0:0/replay").await.status, 404);
        console.hub.stop().await;
    });
}

/// A tail that is being read.
struct Tail {
    stream: TcpStream,
    said: String,
}

impl Tail {
    async fn open(console: &Console, token: &str, query: &str) -> Self {
        let mut stream = within(TcpStream::connect(console.address)).await.unwrap();
        let request = format!(
            "GET /v1/ops/tail?{query} HTTP/1.1\r\nHost: {}\r\nAuthorization: Bearer {token}\r\n\r\n",
            console.address
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut tail = Self { stream, said: String::new() };
        tail.until("\r\n\r\n").await;
        assert!(tail.said.starts_with("HTTP/1.1 200") && tail.said.contains("text/event-stream"), "{}", tail.said);
        tail
    }

    /// Reads until it has said this.
    async fn until(&mut self, words: &str) {
        let mut bytes = [0; 4096];
        while !self.said.contains(words) {
            let count = within(self.stream.read(&mut bytes)).await.unwrap();
            assert!(count > 0, "it has ended without {words}: {}", self.said);
            self.said.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
    }

    async fn ends(mut self) -> String {
        within(self.stream.read_to_string(&mut self.said)).await.unwrap();
        self.said
    }
}

async fn a_tail_shows_what_is_asked_for_and_no_words(kind: Kind) {
    let console = Console::open(kind, "ops").await;
    let wide = token(&console.river, "ops ops:content");
    console.river.send(&[message("u-1", "m-0", 0, SECRET, Some("coach"))]).await;
    settled(&console.hub).await;
    let mut narrow =
        Tail::open(&console, &console.token, "topic=conversations.inbox&user=u-1&type=message&last=1").await;
    let mut whole = Tail::open(&console, &wide, "topic=conversations.inbox&last=1&content=true").await;
    let mut events = Tail::open(&console, &console.token, "topic=conversations.events&last=200").await;
    narrow.until("\"kind\":\"message\"").await;
    whole.until(SECRET).await;
    events.until("\"specialist_id\":\"coach\"").await;
    // What comes from now on, of this person and this kind only.
    console.river.send(&[message("u-2", "m-2", 1, "of somebody else", None)]).await;
    console.river.send(&[stop("u-1", "s-1", 1)]).await;
    console.river.send(&[message("u-1", "m-1", 2, SECRET, None)]).await;
    narrow.until("client-m-1").await;
    whole.until("of somebody else").await;
    console.hub.stop().await;
    let narrow = narrow.ends().await;
    assert!(!narrow.contains("u-2") && !narrow.contains("\"stop\""), "{narrow}");
    for said in [narrow, events.ends().await] {
        assert!(!said.contains(SECRET), "{said}");
    }
}

#[test]
fn a_tail_shows_what_is_asked_for_and_no_words_on_the_embedded_bus() {
    on_system(a_tail_shows_what_is_asked_for_and_no_words(Kind::Embedded));
}

#[test]
fn a_tail_shows_what_is_asked_for_and_no_words_on_kafka() {
    on_system(a_tail_shows_what_is_asked_for_and_no_words(Kind::Kafka));
}

#[test]
fn a_tail_ends_with_its_token_and_there_are_so_many() {
    on_system(async {
        let console = Console::open(Kind::Embedded, "ops").await;
        let short = token_for(&console.river.config, "an-operator", "ops", Duration::from_secs(2));
        let ending = Tail::open(&console, &short, "topic=triggers.detected").await;
        ending.ends().await;
        let mut open = Vec::new();
        for _ in 0..8 {
            open.push(Tail::open(&console, &console.token, "topic=triggers.detected").await);
        }
        assert_eq!(console.asked("GET /v1/ops/tail?topic=triggers.detected").await.status, 503);
        // One that goes makes room for another.
        open.pop();
        let free = || async {
            let line = "GET /v1/ops/tail?topic=triggers.detected&last=0 HTTP/1.1";
            let mut stream = TcpStream::connect(console.address).await.unwrap();
            let request =
                format!("{line}\r\nHost: {}\r\nAuthorization: Bearer {}\r\n\r\n", console.address, console.token);
            stream.write_all(request.as_bytes()).await.unwrap();
            let mut bytes = [0; 12];
            within(stream.read_exact(&mut bytes)).await.unwrap();
            &bytes == b"HTTP/1.1 200"
        };
        until("there is room", free).await;
        console.hub.stop().await;
    });
}

#[test]
fn a_busy_topic_is_told_in_part_and_the_rest_is_counted() {
    on_system(async {
        let console = Console::open(Kind::Embedded, "ops").await;
        let mut tail = Tail::open(&console, &console.token, "topic=system.events").await;
        let many = (0..3000)
            .map(|number| keyed(Topic::System, "n", &json!({ "event_type": format!("e{number}") }).to_string()));
        console.river.stage.publish(many.collect()).await;
        console
            .river
            .stage
            .publish(vec![keyed(Topic::System, "n", &json!({ "event_type": "last" }).to_string())])
            .await;
        let told = |said: &str| {
            let lines = said.lines().filter_map(|line| line.strip_prefix("data: "));
            let told = lines.filter_map(|line| serde_json::from_str::<Value>(line).ok());
            told.map(|told| told["records"].as_array().unwrap().len() as u64 + told["passed_over"].as_u64().unwrap())
                .sum::<u64>()
        };
        // The hub's own events may be among them.
        while told(&tail.said) < 3001 {
            let mut bytes = [0; 65536];
            let count = within(tail.stream.read(&mut bytes)).await.unwrap();
            assert!(count > 0, "it has ended: {}", told(&tail.said));
            tail.said.push_str(std::str::from_utf8(&bytes[..count]).unwrap());
        }
        assert!(told(&tail.said) > tail.said.matches("\"cursor\"").count() as u64, "some were passed over");
        console.hub.stop().await;
    });
}

#[test]
fn a_rule_is_counted_in_the_shadow_and_goes_on_when_others_change() {
    on_system(async {
        let console = Console::open(Kind::Embedded, "ops").await;
        let push = async |id: &str, version: u32, mode: detect::Mode| {
            let text = every_mood(version).replace("every_mood", id);
            console.river.stage.publish(vec![detect::pushing(id, Some(&text), mode)]).await;
            let shown = || async {
                let node = console.get("/v1/ops/node").await;
                let rules = node["rules"].as_array().unwrap();
                let pushed = json!([id, version, mode == detect::Mode::Shadow]);
                rules.iter().any(|rule| json!([rule["rule"], rule["version"], rule["shadow"]]) == pushed)
            };
            until("the pushed rule is in force", shown).await;
        };
        let spoken = async |id: &str| {
            let node = console.get("/v1/ops/node").await;
            named(&node["rules"], "rule", id)["spoken"].as_u64().unwrap()
        };
        push("every_mood", 1, detect::Mode::Shadow).await;
        console.river.stage.publish(moods(0, 3)).await;
        settled(&console.hub).await;
        assert_eq!(spoken("every_mood").await, 3);
        assert_eq!(console.river.stage.all(Topic::Triggers).await.len(), 0, "it is in the shadow");
        push("another", 1, detect::Mode::Live).await;
        console.river.stage.publish(moods(3, 5)).await;
        settled(&console.hub).await;
        assert_eq!((spoken("every_mood").await, spoken("another").await), (5, 2));
        // What speaks is another rule than what was only counted.
        push("every_mood", 1, detect::Mode::Live).await;
        assert_eq!((spoken("every_mood").await, spoken("another").await), (0, 2));
        console.hub.stop().await;
    });
}

#[test]
fn lanes_show_their_owners_on_every_node() {
    on_system(async {
        let console = Console::open(Kind::Kafka, "ops").await;
        let second = console.river.node("node-2").await;
        let shared = || async {
            let groups = console.get("/v1/ops/groups").await;
            let of = |role| named(&groups["groups"], "role", role)["holders"].clone();
            let expected = |role| {
                json!([
                    { "member": format!("node-1-{role}-0"), "partitions": [0] },
                    { "member": format!("node-2-{role}-0"), "partitions": [1] },
                ])
            };
            ["enrich", "detect", "converse"].iter().all(|role| of(role) == expected(role))
        };
        until("the two nodes share the lanes", shared).await;
        let node = console.get("/v1/ops/node").await;
        assert_eq!(named(&node["roles"], "role", "converse")["workers"][0]["partitions"], json!([0]));
        second.stop().await;
        console.hub.stop().await;
    });
}

#[test]
fn a_trigger_of_a_rule_is_counted_as_its_own() {
    on_system(async {
        let console = Console::open(Kind::Embedded, "ops").await;
        let mut own = trigger("u-1", "t-1", &["coach"]);
        own["rule"] = json!({ "id": "a-rule", "version": 2 });
        console.river.json(Topic::Triggers, "u-1", &own).await;
        let counted = || async {
            let recent = console.get("/v1/ops/triggers").await;
            recent["kinds"].as_array().unwrap().iter().any(|kind| kind["rule"] == "a-rule" && kind["count"] == 1)
        };
        until("it is counted", counted).await;
        console.hub.stop().await;
    });
}
