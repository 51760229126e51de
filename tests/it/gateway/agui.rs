//! AG-UI: the official client (`tests/agui`) is told what the log has, once, also where its stream was cut; and whatever a
//! frontend sends is one message or a problem.

use std::process::Command;

use auren::{bus::Topic, config::Role};
use serde_json::{Value, json};

use super::chat::{log, open};
use crate::support::{Kind, River, chatter::token, http, mission_trigger, on_system, settled, until};

const BOTH: &str = "@neuroscientist and @coach, why am I tired, and what shall I do?";

/// Runs the client, and what it printed of each run.
async fn client(river: &River, address: std::net::SocketAddr, cut: &str, texts: &[&str]) -> Vec<Value> {
    let url = format!("http://{address}/v1/agui");
    let options = json!({ "url": url, "token": token(&river.config, "u-1"), "thread": "t-1", "cut": cut });
    let mut node = Command::new("node");
    node.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/agui"));
    node.arg("run.mjs").arg(options.to_string()).args(texts);
    let end = tokio::task::spawn_blocking(move || node.output().unwrap()).await.unwrap();
    let said = String::from_utf8(end.stdout).unwrap();
    let errors = String::from_utf8(end.stderr).unwrap();
    assert!(end.status.success(), "tests/run installs the packages of tests/agui:\n{said}\n{errors}");
    said.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Who said what, as the client has it.
fn messages(run: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap_or("user").to_owned();
    run["messages"].as_array().unwrap().iter().map(|one| (text(&one["name"]), text(&one["content"]))).collect()
}

/// Its first run's stream is cut within the first answer, or behind it.
async fn the_official_client_is_told_what_the_log_has(kind: Kind, cut: &str) {
    let river = open(kind).await.roles(&[Role::Converse]);
    let hub = river.hub().await;
    let address = hub.http_address().unwrap();
    // What is said to something else is not of the run.
    river
        .json(Topic::Triggers, "u-1", &{
            let mut trigger = mission_trigger();
            trigger["user_id"] = json!("u-1");
            trigger
        })
        .await;
    settled(&hub).await;
    let runs = client(&river, address, cut, &[BOTH, "coach, and tomorrow?"]).await;
    settled(&hub).await;
    assert_eq!(runs.len(), 3, "{runs:?}");
    let said = ["CUSTOM", "TEXT_MESSAGE_START", "TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"];
    let types = |run: &Value| -> Vec<String> { serde_json::from_value(run["types"].clone()).unwrap() };
    assert_eq!(runs[0]["broke"], true);
    let within = cut == "TEXT_MESSAGE_CONTENT";
    let before = if within { &said[..3] } else { &said };
    assert_eq!(types(&runs[0]), [&["RUN_STARTED", "CUSTOM"][..], before].concat());
    for run in &runs[1..] {
        assert!(run["broke"] == false && run["error"].is_null(), "{run}");
    }
    let again = if within { &said[..] } else { &[] };
    assert_eq!(types(&runs[1]), [&["RUN_STARTED"][..], again, &said, &["RUN_FINISHED"]].concat());
    assert_eq!(types(&runs[2]), [&["RUN_STARTED", "CUSTOM"][..], &said, &["RUN_FINISHED"]].concat());
    // The whole of it: two to the trigger, and then what the client has, once and in order.
    let logged: Vec<_> = log(&river, "u-1").await.into_iter().map(|(_, content)| content).collect();
    let heard = messages(&runs[2]);
    assert_eq!(heard.iter().map(|(_, content)| content.clone()).collect::<Vec<_>>(), logged[2..]);
    let speakers: Vec<_> = heard.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(speakers, ["user", "neuroscientist", "coach", "user", "coach"]);
    hub.stop().await;
}

#[test]
fn the_official_client_is_told_what_the_log_has_on_the_embedded_bus() {
    for cut in ["TEXT_MESSAGE_CONTENT", "TEXT_MESSAGE_END"] {
        on_system(the_official_client_is_told_what_the_log_has(Kind::Embedded, cut));
    }
}

#[test]
fn the_official_client_is_told_what_the_log_has_on_kafka() {
    on_system(the_official_client_is_told_what_the_log_has(Kind::Kafka, "TEXT_MESSAGE_END"));
}

fn input(id: &str, text: &str) -> Value {
    json!({ "threadId": "t", "runId": "r", "messages": [{ "id": id, "role": "user", "content": text }] })
}

/// What a stream brought: the ids, and the types.
fn events(answer: &http::Answer) -> (Vec<String>, Vec<String>) {
    let ids = answer.body.lines().filter_map(|line| line.strip_prefix("id: ")).map(str::to_owned).collect();
    let data = answer.body.lines().filter_map(|line| line.strip_prefix("data: "));
    let kind = |line: &str| serde_json::from_str::<Value>(line).unwrap()["type"].as_str().unwrap().to_owned();
    (ids, data.map(kind).collect())
}

#[test]
fn a_run_that_is_asked_for_again_is_the_same_run() {
    on_system(async {
        let river = open(Kind::Embedded).await.roles(&[Role::Converse]);
        let hub = river.hub().await;
        let address = hub.http_address().unwrap();
        let bearer = format!("Bearer {}", token(&river.config, "u-1"));
        let ask = async |path: &str, head: &[(&str, &str)], body: &Value| {
            let headers = [&[("Authorization", &*bearer), ("Content-Type", "application/json")][..], head].concat();
            http::send(address, &format!("POST {path}"), &headers, &body.to_string()).await
        };
        let run = input("m-1", BOTH);
        let first = ask("/v1/agui", &[], &run).await;
        let (ids, types) = events(&first);
        settled(&hub).await;
        let logged: Vec<_> = log(&river, "u-1").await.into_iter().map(|(cursor, _)| cursor).collect();
        assert_eq!((&ids, types.last().unwrap().as_str()), (&logged, "RUN_FINISHED"), "{}", first.body);
        // The whole of it once more, a part of it, and only its end; and nothing is said twice.
        assert_eq!(events(&ask("/v1/agui", &[], &run).await).0, logged);
        let after = |index: usize| format!("/v1/agui?after={}", logged[index]);
        assert_eq!(events(&ask(&after(1), &[], &run).await).0, logged[2..]);
        let last = [("Last-Event-ID", &*logged[0])];
        assert_eq!(events(&ask(&after(1), &last, &run).await).0, logged[1..]);
        let (ids, types) = events(&ask(&after(2), &[], &run).await);
        assert_eq!((ids.len(), types), (0, vec!["RUN_STARTED".to_owned(), "RUN_FINISHED".to_owned()]));
        assert_eq!(log(&river, "u-1").await.len(), logged.len());

        // Somebody else's message of the same id is theirs.
        let other = format!("Bearer {}", token(&river.config, "u-2"));
        let headers = [("Authorization", &*other), ("Content-Type", "application/json")];
        let theirs = http::send(address, "POST /v1/agui", &headers, &input("m-1", "hi").to_string()).await;
        assert!(!theirs.body.contains("u-1") && theirs.body.contains("\"user_id\":\"u-2\""), "{}", theirs.body);

        for (path, body, status) in [
            ("/v1/agui", json!({ "threadId": "t", "runId": "r", "messages": [] }), 422),
            ("/v1/agui", json!({ "messages": [] }), 422),
            ("/v1/agui", json!([]), 422),
            ("/v1/agui", input("m-2", &"x".repeat(5000)), 422),
            ("/v1/agui?after=7:1", input("m-3", "hi"), 400),
            ("/v1/agui?after=x", input("m-3", "hi"), 400),
            ("/v1/agui?user=u-2", input("m-3", "hi"), 400),
        ] {
            let answer = ask(path, &[], &body).await;
            assert_eq!(answer.status, status, "{path} {body}: {}", answer.body);
            assert!(answer.head.contains("application/problem+json"), "{}", answer.head);
        }
        let broken = http::send(address, "POST /v1/agui", &[("Authorization", &*bearer)], &"[".repeat(100_000)).await;
        assert_eq!(broken.status, 422, "{}", broken.body);
        // What was refused was not said.
        assert_eq!(log(&river, "u-1").await.len(), logged.len());
        hub.stop().await;
    });
}

#[test]
fn a_run_whose_token_ends_or_whose_node_ends_says_so() {
    on_system(async {
        // Nobody converses, so nobody answers.
        let river = open(Kind::Embedded).await.roles(&[Role::Detect]);
        let hub = river.hub().await;
        let address = hub.http_address().unwrap();
        let second = std::time::Duration::from_secs(2);
        let short = crate::support::chatter::token_for(&river.config, "u-1", "chat", second);
        let run = input("m-1", "hi").to_string();
        let answer = http::send(address, "POST /v1/agui", &[("Authorization", &format!("Bearer {short}"))], &run).await;
        assert!(answer.body.contains(r#"{"type":"RUN_ERROR","code":"expired""#), "{}", answer.body);
        let bearer = format!("Bearer {}", token(&river.config, "u-1"));
        let ends = tokio::spawn(async move {
            http::send(address, "POST /v1/agui", &[("Authorization", &bearer)], &run).await.body
        });
        let open = || async { http::get(address, "/metrics").await.body.contains("auren_chat_open 1\n") };
        until("the run is open", open).await;
        hub.stop().await;
        let body = ends.await.unwrap();
        assert!(body.contains(r#"{"type":"RUN_ERROR","code":"going_away""#), "{body}");
    });
}
