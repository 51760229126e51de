//! A person is their token's `sub`, on every route and in every frame: whatever else a request or a frame names, nobody sees
//! or does anything of somebody else. Routes come from the OpenAPI document and frames from the AsyncAPI document, so that
//! a new one is asked as well.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use auren::bus::Topic;
use futures::future::join_all;
use serde_json::{Map, Value, json};

use super::history::told;
use crate::{
    project::Kept,
    support::{
        Kind, River,
        chatter::{Chatter, token, token_for},
        event,
        http::{self, Answer},
        on_system, settled,
    },
};

/// Ways in which a request may say who it is, which must mean nothing.
const NAMES: [&str; 5] = ["user", "user_id", "sub", "person", "uid"];
/// What the other person's events say.
const THEIR_WORDS: [&str; 2] = ["noticed of u-2", "may u-2 train"];

/// How many records each topic has of a person.
async fn records(river: &River, user: &str) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for topic in Topic::ALL {
        let all = river.stage.all(*topic).await;
        let own = all.iter().filter(|record| record.key.as_deref() == Some(user.as_bytes()));
        counts.insert(topic.name(), own.count());
    }
    counts
}

/// An event of the other person: its id and its place.
async fn theirs(river: &River) -> (String, String) {
    let all = river.stage.all(Topic::Events).await;
    let found =
        all.iter().map(|record| (event(record), record.cursor())).find(|(event, _)| event.user_id.as_str() == "u-2");
    let (event, cursor) = found.unwrap();
    (event.event_id.to_string(), cursor.to_string())
}

/// Everything that may be asked: path, method, and the operation.
fn operations(document: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = document["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object().unwrap().iter().map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

/// A body that the route would take, and names the other person wherever one might.
fn body(path: &str) -> Value {
    let mut body = match path {
        "/v1/agui" => {
            json!({ "threadId": "t", "runId": "r", "messages": [{ "id": "m", "role": "user", "content": "coach, hi" }] })
        }
        "/a2a" | "/a2a/{agent}" => {
            let message = json!({ "messageId": "m", "role": "ROLE_USER", "parts": [{ "text": "coach, hi" }] });
            let mut params = json!({ "message": message, "configuration": { "returnImmediately": true } });
            params.as_object_mut().unwrap().extend(NAMES.map(|name| (name.to_owned(), json!("u-2"))));
            json!({ "jsonrpc": "2.0", "id": 1, "method": "SendMessage", "params": params })
        }
        // It takes no fields that it does not know.
        "/v1/detokenize" => {
            let token =
                json!({ "user_id": "u-2", "event_id": "e", "event_type": "hrv_measurement", "token": "phi1.x" });
            return json!({ "purpose": "care", "tokens": [token] });
        }
        _ => json!({}),
    };
    let fields = body.as_object_mut().unwrap();
    fields.extend(NAMES.map(|name| (name.to_owned(), json!("u-2"))));
    body
}

/// What a request may put behind the `?`: nothing, each parameter that is described, and each that is not.
fn queries(operation: &Value, cursor: &str) -> Vec<String> {
    let described = operation["parameters"].as_array().into_iter().flatten();
    let described = described.filter(|parameter| parameter["in"] == "query").map(|parameter| {
        let name = parameter["name"].as_str().unwrap();
        let value = match name {
            "after" | "before" => cursor,
            "limit" | "last" => "100",
            "topic" => "conversations.events",
            "content" => "true",
            _ => "u-2",
        };
        format!("?{name}={value}")
    });
    let names = NAMES.map(|name| format!("?{name}=u-2"));
    [String::new()].into_iter().chain(described).chain(names).collect()
}

async fn ask(address: SocketAddr, line: &str, token: Option<&str>, body: &Value) -> Answer {
    let bearer = format!("Bearer {}", token.unwrap_or_default());
    let mut headers = vec![("Content-Type", "application/json"), ("X-User", "u-2"), ("X-Forwarded-User", "u-2")];
    if token.is_some() {
        headers.push(("Authorization", &bearer));
    }
    http::send(address, line, &headers, &body.to_string()).await
}

#[test]
fn nobody_reaches_another_person_by_any_route() {
    on_system(async {
        let (river, hub, address, _url) = told(Kind::Embedded, Kept::Server).await;
        let document = http::get(address, "/openapi.json").await.json();
        let (event_id, cursor) = theirs(&river).await;
        let before = records(&river, "u-2").await;
        let mut closed = 0;
        for (path, method, operation) in operations(&document) {
            let filled = path
                .replace("{user}", "u-2")
                .replace("{event_id}", &event_id)
                .replace("{topic}", "conversations.inbox")
                .replace("{cursor}", &cursor)
                .replace("{agent}", "coach");
            assert!(!filled.contains('{'), "{path}: say what is asked for here");
            let (line, body) = (format!("{} {filled}", method.to_uppercase()), body(path));
            let open = operation["security"] == json!([]);
            let nobody = ask(address, &line, None, &body).await;
            assert_eq!(nobody.status == 401, !open, "{line}: {} {}", nobody.status, nobody.body);
            if open {
                assert!(!nobody.body.contains("u-2"), "{line}: {}", nobody.body);
                continue;
            }
            closed += 1;
            // Streams end with the token.
            let token = token_for(&river.config, "u-1", "chat", Duration::from_secs(2));
            let lines: Vec<_> = queries(operation, &cursor).into_iter().map(|query| format!("{line}{query}")).collect();
            let answers = join_all(lines.iter().map(|line| ask(address, line, Some(&token), &body))).await;
            let of_people = operation["description"].as_str().unwrap().contains("`chat`");
            for (line, answer) in lines.iter().zip(&answers) {
                let said = format!("{line}: {} {}", answer.status, answer.body);
                assert!(THEIR_WORDS.iter().all(|words| !answer.body.contains(words)), "{said}");
                match answer.status {
                    200..300 => assert!(of_people && !answer.body.contains("u-2"), "{said}"),
                    403 => {}
                    400 | 404 | 422 => assert!(of_people, "{said}"),
                    // A ticket that is none.
                    401 => assert!(line.ends_with("?ticket=u-2"), "{said}"),
                    _ => panic!("{said}"),
                }
            }
            if of_people && !path.contains('{') && path != "/v1/ws" {
                assert!(answers.iter().any(|answer| answer.status == 200), "{line}: nobody is let in at all");
            }
        }
        assert!(closed > 18, "{closed}");
        settled(&hub).await;
        assert_eq!(records(&river, "u-2").await, before, "somebody did something in another person's name");
        let own = token(&river.config, "u-2");
        let page = ask(address, "GET /v1/conversations/u-2/events", Some(&own), &json!({})).await;
        assert!(page.status == 200 && THEIR_WORDS.iter().any(|words| page.body.contains(words)), "{}", page.body);
        hub.stop().await;
    });
}

/// Where a reference of the document leads.
fn leads<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    document.pointer(&reference["$ref"].as_str().unwrap()[1..]).unwrap()
}

/// The frames that a client may send, by name, with the schema of each.
fn frames(document: &Value) -> Vec<(&str, &Map<String, Value>)> {
    let messages = document["operations"]["hears"]["messages"].as_array().unwrap().iter();
    let messages = messages.map(|reference| leads(document, leads(document, reference)));
    messages
        .map(|message| (message["name"].as_str().unwrap(), message["payload"]["properties"].as_object().unwrap()))
        .collect()
}

#[test]
fn nobody_reaches_another_person_by_any_frame() {
    on_system(async {
        let (river, hub, address, _url) = told(Kind::Embedded, Kept::Server).await;
        let document = http::get(address, "/asyncapi.json").await.json();
        let (_, cursor) = theirs(&river).await;
        let before = records(&river, "u-2").await;
        let mut other = Chatter::open(address, &token(&river.config, "u-2"), None).await;
        let mut chatter = Chatter::open(address, &token(&river.config, "u-1"), None).await;
        let frames = frames(&document);
        assert!(frames.len() >= 4, "{frames:?}");
        for (name, fields) in frames {
            let mut frame = json!({});
            for (field, schema) in fields {
                assert!(!NAMES.contains(&field.as_str()), "{name} says who somebody is");
                frame[field] = match field.as_str() {
                    "type" => json!(name),
                    "cursor" => json!(cursor),
                    "to" => json!("coach"),
                    _ if schema["type"] == "integer" => json!(1),
                    _ => json!(format!("{name} {field}")),
                };
            }
            for name in NAMES {
                frame[name] = json!("u-2");
            }
            chatter.say(&frame).await;
        }
        chatter.say(&json!({ "type": "ping" })).await;
        // One pong answers the ping among the frames, the other one this; and the message is acknowledged.
        let mut answers = vec!["ack", "pong", "pong"];
        while !answers.is_empty() {
            let frame = chatter.frame().await;
            if let Some(place) = answers.iter().position(|kind| frame["type"] == **kind) {
                answers.remove(place);
            }
        }
        settled(&hub).await;
        assert_eq!(records(&river, "u-2").await, before, "somebody did something in another person's name");
        assert!(river.stage.texts(Topic::Inbox).await.join("\n").contains("send client_id"));
        // And the other one has heard nothing of it.
        other.say(&json!({ "type": "ping" })).await;
        assert_eq!(other.frame().await["type"], "pong");
        hub.stop().await;
    });
}
