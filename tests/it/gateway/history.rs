//! The history over HTTP: pages hold what the topics hold, a person sees their own and nothing else, and a database that is
//! away or slow is told as such.

use std::{collections::BTreeSet, net::SocketAddr, time::Duration};

use auren::{
    app::Running,
    bus::{SharedBus, Topic},
    config::{CallerSection, Role, Scope},
    project::{Database, row, why::why},
};
use auren_agents::{MessageType, Timestamp};
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use serde_json::{Value, json};
use sqlx::{Connection as _, PgConnection};

use crate::{
    project::{Kept, Server, all_of, reaches},
    support::{
        Kind, River,
        chatter::{token, token_for},
        event,
        http::{self, Answer},
        message, mission_biometric, on_system, settled, trigger, until,
    },
};

const PROGRAM: &str = "the fixed token of a program";
const LISTS: [&str; 3] = ["conversations", "triggers", "biometrics"];

async fn ask(address: SocketAddr, token: &str, path: &str) -> Answer {
    let bearer = format!("Bearer {token}");
    http::send(address, &format!("GET {path}"), &[("Authorization", &bearer)], "").await
}

/// What a list holds on one page.
async fn list(address: SocketAddr, token: &str, name: &str, more: &str) -> Vec<Value> {
    let answer = ask(address, token, &format!("/v1/history/{name}?limit=500{more}")).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert!(!answer.body.contains("TOKENIZED_PHI"), "{}", answer.body);
    assert_eq!(answer.json()["next"], Value::Null);
    answer.json()[name].as_array().unwrap().clone()
}

/// The same, page by page.
async fn paged(address: SocketAddr, token: &str, name: &str, limit: usize) -> Vec<Value> {
    let (mut all, mut after) = (Vec::new(), String::new());
    loop {
        let answer = ask(address, token, &format!("/v1/history/{name}?limit={limit}{after}")).await.json();
        let page = answer[name].as_array().unwrap();
        all.extend(page.iter().cloned());
        let Some(next) = answer["next"].as_str() else { return all };
        assert_eq!(page.len(), limit);
        after = format!("&after={next}");
    }
}

fn moment(value: &Value) -> Timestamp {
    Timestamp::parse(value.as_str().unwrap()).unwrap()
}

/// What the log has of a person's measurements or triggers, the oldest first, in the shape of the list.
async fn logged(bus: &SharedBus, topic: Topic, user: &str) -> Vec<Value> {
    let mut rows = Vec::new();
    for record in all_of(bus, topic).await {
        let event: Value = serde_json::from_slice(record.payload.as_deref().unwrap()).unwrap();
        if event["user_id"] != user {
            continue;
        }
        let (partition, offset) = (record.partition, record.offset);
        let shown = if topic == Topic::Biometrics {
            json!({
                "event_id": event["event_id"], "at": event["timestamp"], "event_type": event["event_type"],
                "metadata": event["metadata"], "partition": partition, "offset": offset,
            })
        } else {
            let version = event["rule"]["version"].as_u64().map(|version| version.to_string());
            json!({
                "event_id": event["trigger_id"], "at": event["timestamp"], "trigger_type": event["trigger_type"],
                "severity": event["severity"], "rule": event["rule"]["id"], "rule_version": version,
                "message": event["message"], "context_window": event["context_window"], "partition": partition,
                "offset": offset,
            })
        };
        rows.push((moment(&event["timestamp"]).at(), partition, offset, shown));
    }
    rows.sort_by_key(|(at, partition, offset, _)| (*at, *partition, *offset));
    rows.into_iter().map(|(.., shown)| shown).collect()
}

/// A person's conversations by the log: newest first, with first and last time, number of events, and agents.
async fn talks(bus: &SharedBus, user: &str) -> Vec<(String, Timestamp, Timestamp, i64, BTreeSet<String>)> {
    let mut talks: Vec<(String, Timestamp, Timestamp, i64, BTreeSet<String>)> = Vec::new();
    for event in all_of(bus, Topic::Events).await.iter().map(event).filter(|event| event.user_id.as_str() == user) {
        let at = &event.timestamp;
        if !talks.iter().any(|talk| talk.0 == event.conversation_id.as_str()) {
            talks.push((event.conversation_id.to_string(), at.clone(), at.clone(), 0, BTreeSet::new()));
        }
        let talk = talks.iter_mut().find(|talk| talk.0 == event.conversation_id.as_str()).unwrap();
        talk.1 = if at.at() < talk.1.at() { at.clone() } else { talk.1.clone() };
        talk.2 = if at.at() > talk.2.at() { at.clone() } else { talk.2.clone() };
        talk.3 += 1;
        if event.message_type == MessageType::SpecialistResponse {
            talk.4.insert(event.specialist_id.to_string());
        }
    }
    talks.sort_by(|one, other| (other.2.at(), &other.0).cmp(&(one.2.at(), &one.0)));
    talks
}

/// Two people whose events have the same ids, and name each other's. Everything is in the history in the end.
pub(super) async fn told(kind: Kind, kept: Kept) -> (River, Running, SocketAddr, String) {
    let mut river = River::open(kind).await.roles(Role::ALL);
    let url = kept.of(&river.stage).await;
    river.config.project.url = Some(url.clone().into());
    for (name, token, scope) in
        [("console", PROGRAM, Scope::OpsContent), ("watch", "the watch's own fixed token", Scope::Erase)]
    {
        let caller = CallerSection { token: token.to_owned().into(), scopes: vec![scope] };
        river.config.callers.0.insert(name.to_owned(), caller);
    }
    let (hub, address) = river.served().await;
    for user in ["u-1", "u-2"] {
        for number in 0..7 {
            let mut measured = mission_biometric();
            measured["user_id"] = json!(user);
            measured["event_id"] = json!(format!("b-{user}-{number}"));
            measured["event_type"] = json!(["hrv_measurement", "sleep_analysis"][number % 2]);
            // Two of each moment, so that time alone is no order.
            measured["timestamp"] = json!(format!("2024-01-0{}T07:00:00.5+01:00", 1 + number / 2));
            river.json(Topic::Biometrics, user, &measured).await;
        }
        for number in 0..3 {
            let mut noticed = trigger(user, &format!("t-{number}"), &["neuroscientist", "coach"]);
            // The second person's rest on the first one's, if one believes them.
            noticed["context_window"] = json!([format!("b-u-1-{number}")]);
            noticed["message"] = json!(format!("noticed of {user}"));
            noticed["timestamp"] = json!(format!("2024-01-0{}T10:00:00Z", 5 + number));
            river.json(Topic::Triggers, user, &noticed).await;
        }
        river.send(&[message(user, "m-1", 0, &format!("may {user} train today?"), Some("coach"))]).await;
    }
    settled(&hub).await;
    let mut count = 0;
    for topic in row::TOPICS {
        count += all_of(&river.stage.bus, topic).await.len();
    }
    reaches(&river.stage.bus, &url, count as u64).await;
    (river, hub, address, url)
}

async fn pages_hold_what_the_topics_hold(kind: Kind, kept: Kept) {
    let (river, hub, address, url) = told(kind, kept).await;
    let bus = &river.stage.bus;
    for user in ["u-1", "u-2"] {
        let own = token(&river.config, user);
        let measured = logged(bus, Topic::Biometrics, user).await;
        let noticed: Vec<_> = logged(bus, Topic::Triggers, user).await.into_iter().rev().collect();
        assert!(measured.len() >= 7 && noticed.len() >= 3);
        assert_eq!(list(address, &own, "biometrics", "").await, measured);
        assert_eq!(list(address, &own, "triggers", "").await, noticed);
        let shown = list(address, &own, "conversations", "").await;
        let talks = talks(bus, user).await;
        assert!(!talks.is_empty());
        assert_eq!(shown.len(), talks.len());
        for (shown, (id, first, last, events, agents)) in shown.iter().zip(talks) {
            assert_eq!((&shown["conversation_id"], &shown["events"]), (&json!(id), &json!(events)));
            assert_eq!((moment(&shown["first"]).at(), moment(&shown["last"]).at()), (first.at(), last.at()));
            assert_eq!(shown["agents"], json!(agents));
        }
        for name in LISTS {
            let whole = list(address, &own, name, "").await;
            for limit in [1, 2, 3] {
                assert_eq!(paged(address, &own, name, limit).await, whole, "{name} by {limit}");
            }
            assert_eq!(list(address, PROGRAM, name, &format!("&user={user}")).await, whole);
        }

        // A span of time, its beginning included and its end not, and a type.
        let (from, to) = (measured[2]["at"].as_str().unwrap(), measured[4]["at"].as_str().unwrap());
        let span = format!("&from={}&to={}", from.replace('+', "%2B"), to.replace('+', "%2B"));
        assert_eq!(list(address, &own, "biometrics", &span).await, measured[2..4]);
        let slept = measured.iter().filter(|one| one["event_type"] == "sleep_analysis").cloned().collect::<Vec<_>>();
        assert_eq!(list(address, &own, "biometrics", "&type=sleep_analysis").await, slept);
        assert_eq!(list(address, &own, "triggers", "&type=nothing_known").await, [] as [Value; 0]);

        // Every chain is the one that `auren why` finds, in the history and in the log.
        let mut history = Database::open(&url).await.unwrap();
        let said: Vec<_> = all_of(bus, Topic::Events).await.iter().map(event).collect();
        let ids = said.iter().filter(|event| event.user_id.as_str() == user).map(|event| event.event_id.to_string());
        for id in ids.chain(["t-0".to_owned()]) {
            let answer = ask(address, &own, &format!("/v1/why/{id}")).await;
            assert_eq!(answer.status, 200, "{id}: {}", answer.body);
            for database in [Some(&mut history), None] {
                let chain = why(bus, database, Some(user), &id).await.unwrap();
                assert_eq!(answer.json(), serde_json::to_value(&chain).unwrap());
            }
            // What is named of the other person is not theirs.
            let other = if user == "u-1" { "u-2" } else { "u-1" };
            assert!(!answer.body.contains(&format!("noticed of {other}")), "{}", answer.body);
            assert!(!answer.body.contains(&format!("may {other} train")), "{}", answer.body);
            for link in answer.json()["biometrics"].as_array().unwrap() {
                let is_own = link["event_id"].as_str().unwrap().starts_with(&format!("b-{user}"));
                assert_eq!(link["topic"].is_string(), is_own, "{link}");
            }
        }
    }
    hub.stop().await;
}

#[test]
fn pages_hold_what_the_topics_hold_on_kafka() {
    on_system(pages_hold_what_the_topics_hold(Kind::Kafka, Kept::Server));
}

#[test]
fn pages_hold_what_the_topics_hold_on_the_embedded_bus() {
    on_system(pages_hold_what_the_topics_hold(Kind::Embedded, Kept::Server));
}

#[test]
fn pages_hold_what_the_topics_hold_in_a_file() {
    on_system(pages_hold_what_the_topics_hold(Kind::Embedded, Kept::File));
}

/// Whoever asks for somebody else's gets a refusal, or what there is of themselves, on every route.
async fn nobody_sees_somebody_else_s(kept: Kept) {
    let (river, hub, address, _) = told(Kind::Embedded, kept).await;
    let (own, theirs) = (token(&river.config, "u-1"), token(&river.config, "u-2"));
    let nobody = token(&river.config, "u-3");
    let signed = |scope| token_for(&river.config, "u-1", scope, Duration::from_secs(3600));
    for name in LISTS {
        let path = format!("/v1/history/{name}");
        let named = format!("{path}?user=u-2");
        for (token, path, status) in [
            ("", &path, 401),
            ("no token that anybody knows", &path, 401),
            (&signed("readings"), &path, 403),
            ("the watch's own fixed token", &named, 403),
            (&own, &named, 403),
            (&signed("chat ops:content"), &named, 200),
            (&signed("ops:content"), &named, 200),
            (&signed("ops:content"), &path, 400),
            (PROGRAM, &path, 400),
            (PROGRAM, &format!("{path}?user="), 400),
            (&own, &format!("{path}?user=u-1"), 200),
        ] {
            let answer = ask(address, token, path).await;
            assert_eq!(answer.status, status, "{path} with {token}: {}", answer.body);
            assert!(status == 200 || answer.head.contains("application/problem+json"), "{}", answer.head);
        }
        assert_eq!(list(address, &nobody, name, "").await, [] as [Value; 0]);
        // Somebody else's cursor is a place in one's own list.
        let cursor = ask(address, &theirs, &format!("{path}?limit=1")).await.json()["next"].clone();
        let mine = list(address, &own, name, "").await;
        if let Some(cursor) = cursor.as_str() {
            let behind = list(address, &own, name, &format!("&after={cursor}")).await;
            assert!(behind.iter().all(|one| mine.contains(one)), "{behind:?}");
        }
    }
    let said: Vec<_> = all_of(&river.stage.bus, Topic::Events).await.iter().map(event).collect();
    let their = said.iter().find(|event| event.user_id.as_str() == "u-2").unwrap().event_id.to_string();
    let path = format!("/v1/why/{their}");
    let none = ask(address, &own, "/v1/why/nothing").await;
    let answer = ask(address, &own, &path).await;
    assert_eq!((answer.status, answer.body), (404, none.body));
    for (token, path, status) in [
        ("", &path, 401),
        (&theirs, &path, 200),
        (&own, &format!("{path}?user=u-2"), 403),
        (PROGRAM, &path, 400),
        (PROGRAM, &format!("{path}?user=u-2"), 200),
        (PROGRAM, &format!("{path}?user=u-1"), 404),
        // A measurement has no why, and what is no id is no event's.
        (&own, &"/v1/why/b-u-1-1".to_owned(), 404),
        (&own, &"/v1/why/%00".to_owned(), 404),
    ] {
        assert_eq!(ask(address, token, path).await.status, status, "{path} with {token}");
    }
    hub.stop().await;
}

#[test]
fn nobody_sees_somebody_else_s_history() {
    on_system(nobody_sees_somebody_else_s(Kept::Server));
    on_system(nobody_sees_somebody_else_s(Kept::File));
}

#[test]
fn what_cannot_be_asked_is_told_with_the_parameter() {
    on_system(async {
        let (river, hub, address, _) = told(Kind::Embedded, Kept::File).await;
        let own = token(&river.config, "u-1");
        let cursor = |json: Value| BASE64_URL_SAFE_NO_PAD.encode(json.to_string());
        let mut bad = vec![
            ("limit=0".to_owned(), "limit: must be from 1 to 500"),
            ("limit=501".to_owned(), "limit: must be from 1 to 500"),
            ("limit=-1".to_owned(), "limit"),
            ("limit=many".to_owned(), "limit"),
            ("after=".to_owned(), "after: is no cursor"),
            ("after=0:5".to_owned(), "after: is no cursor"),
            (format!("after={}", cursor(json!(["now"]))), "after: is no cursor"),
            ("colour=red".to_owned(), "colour"),
            ("limit=1&limit=2".to_owned(), "limit"),
        ];
        for name in LISTS {
            for (asked, told) in &bad {
                let answer = ask(address, &own, &format!("/v1/history/{name}?{asked}")).await;
                let detail = answer.json()["detail"].as_str().unwrap().to_owned();
                assert!(answer.status == 400 && detail.contains(told), "{name}?{asked}: {} {detail}", answer.status);
            }
            assert_eq!(http::ask(address, "POST", &format!("/v1/history/{name}")).await.status, 405);
        }
        bad = vec![
            ("from=yesterday".to_owned(), "from: is no RFC 3339 time"),
            ("from=0000-01-01T00:00:00Z".to_owned(), "from: must be in the years"),
            ("to=9999-12-31T23:59:59-23:00".to_owned(), "to: must be in the years"),
            ("to=2024-01-01T00:00:00+01:00".to_owned(), "%2B"),
            ("type=".to_owned(), "type: "),
            ("type=a%00b".to_owned(), "type: "),
            (format!("after={}", cursor(json!(["0000-01-01T00:00:00Z", 0, 0]))), "after: must be in the years"),
            (format!("after={}", cursor(json!(["2024-01-01T00:00:00Z", "a"]))), "after: is no cursor"),
        ];
        for (asked, told) in bad {
            let answer = ask(address, &own, &format!("/v1/history/biometrics?{asked}")).await;
            let detail = answer.json()["detail"].as_str().unwrap().to_owned();
            assert!(answer.status == 400 && detail.contains(told), "{asked}: {} {detail}", answer.status);
        }
        for asked in [
            "type=hrv_drop".to_owned(),
            format!("after={}", cursor(json!(["2024-01-01T00:00:00Z", "a\u{0}b"]))),
            format!("after={}", cursor(json!(["0000-01-01T00:00:00Z", "a"]))),
        ] {
            assert_eq!(ask(address, &own, &format!("/v1/history/conversations?{asked}")).await.status, 400, "{asked}");
        }
        assert_eq!(ask(address, &own, "/v1/why/nothing?limit=1").await.status, 400);
        hub.stop().await;
    });
}

#[test]
fn a_database_that_is_away_or_slow_is_told_and_comes_back() {
    let mut server = Server::start();
    on_system(async move {
        // A node without the role has the routes too, and one that knows no database has none.
        let mut river = River::open(Kind::Embedded).await.roles(&[Role::Detect]);
        let (without, address) = river.served().await;
        let own = token(&river.config, "u-1");
        assert_eq!(ask(address, &own, "/v1/history/triggers").await.status, 404);
        without.stop().await;
        river.config.project.url = Some(server.url().into());
        river.config.project.read_limit_ms = 1000;
        let (hub, address) = river.served().await;
        let mut paths: Vec<_> = LISTS.iter().map(|name| format!("/v1/history/{name}")).collect();
        paths.push("/v1/why/t-1".to_owned());
        let all = async |status: u16, why: u16| {
            for path in &paths {
                let wanted = if path.starts_with("/v1/why") { why } else { status };
                let answer = ask(address, &own, path).await;
                assert_eq!(answer.status, wanted, "{path}: {}", answer.body);
                assert!(!answer.body.contains("postgres"), "{}", answer.body);
            }
        };
        // Nobody has made the tables yet.
        all(503, 503).await;
        Database::open(&server.url()).await.unwrap();
        all(200, 404).await;

        // Slow: somebody holds the tables.
        let mut holder = PgConnection::connect(&server.url()).await.unwrap();
        let lock = "BEGIN; LOCK TABLE auren_biometrics, auren_triggers, auren_conversation_events";
        sqlx::raw_sql(lock).execute(&mut holder).await.unwrap();
        all(503, 503).await;
        // However many come then, few connections are taken, and the rest is sent away.
        let many = (0..40).map(|_| ask(address, &own, "/v1/history/triggers"));
        let asking = async {
            let answers = futures::future::join_all(many).await;
            answers.iter().filter(|answer| answer.body.contains("too many")).count()
        };
        let counting = async {
            let asked = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'auren-history'";
            sqlx::query_scalar::<_, i64>(asked).fetch_one(&mut holder).await.unwrap()
        };
        let (sent_away, connections) = tokio::join!(asking, counting);
        assert!(sent_away > 0, "all were let in");
        // Four, and those of before that are just being closed.
        assert!(connections <= 8, "{connections}");
        drop(holder);
        until("it answers again", || async { ask(address, &own, &paths[1]).await.status == 200 }).await;
        all(200, 404).await;

        server.kill();
        all(503, 503).await;
        assert_eq!(http::get(address, "/livez").await.status, 200);
        assert_eq!(http::get(address, "/readyz").await.status, 200);
        server.again();
        until("it answers again", || async { ask(address, &own, &paths[1]).await.status == 200 }).await;
        all(200, 404).await;
        hub.stop().await;
    });
}
