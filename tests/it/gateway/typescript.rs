//! The client for frontends (`clients/typescript`) in Node, against running hubs.

use std::process::{Command, Stdio};

use auren::bus::Topic;
use serde_json::{Value, json};

use super::chat::{log, open};
use crate::support::{Kind, chatter::token, on_system, settled, within};

const MESSAGES: usize = 20;
const CUTS: usize = 40;

/// Node 20 has a WebSocket behind a flag, Node 22 has one, and before that the package `ws` is taken.
fn node() -> Command {
    let version = Command::new("node").arg("--version").output().expect("the tests of clients/typescript need Node");
    let version = String::from_utf8(version.stdout).unwrap();
    let mut node = Command::new("node");
    if version.starts_with("v20.") {
        node.arg("--experimental-websocket");
    }
    node.current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/clients/typescript"));
    node
}

/// Cut again and again, and once loaded anew from what it kept, while messages are sent and agents answer.
async fn the_client_hears_everything_once_and_its_messages_are_sent_once(kind: Kind) {
    let river = open(kind).await;
    let mut hubs = vec![river.node("node-1").await];
    if !matches!(kind, Kind::Embedded) {
        hubs.push(river.node("node-2").await);
    }
    let urls: Vec<_> = hubs.iter().map(|hub| format!("http://{}", hub.http_address().unwrap())).collect();
    // The person's words and one answer each; two messages more are said around the reload.
    let events = 2 * (MESSAGES + 2);
    let options = json!({
        "urls": urls, "token": token(&river.config, "u-1"), "messages": MESSAGES, "to": "coach", "events": events, "cuts": CUTS,
    });
    let run = node().args(["test/cuts.mjs", &options.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
    let run = tokio::task::spawn_blocking(|| run.wait_with_output().unwrap()).await.unwrap();
    assert!(run.status.success(), "its errors are above");
    let end: Value = serde_json::from_slice(&run.stdout).unwrap();
    for hub in &hubs {
        settled(hub).await;
    }
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let heard = end["heard"].as_array().unwrap();
    let heard: Vec<_> = heard.iter().map(|placed| (text(&placed["cursor"]), text(&placed["content"]))).collect();
    let all = log(&river, "u-1").await;
    assert_eq!(all.len(), events);
    assert_eq!(heard, all);
    assert!(end["connections"].as_u64().unwrap() > 1, "{end}");
    assert_eq!(end["unsent"], json!([]));
    // What the first client had not been told it leaves to the second one.
    for answer in end["answered"].as_array().unwrap() {
        assert!(answer["cursor"].is_string() || answer["code"] == "closed", "{answer}");
        assert!(answer["cursor"].is_string() || answer["client_id"] != "m-first-words", "{answer}");
    }
    let inbox = river.stage.texts(Topic::Inbox).await.join("\n");
    for client_id in ["\"m-0\"", "\"m-last-words\"", "\"m-first-words\""] {
        assert!(inbox.contains(client_id), "{client_id} is not in {inbox}");
    }
    for hub in hubs {
        within(hub.stop()).await;
    }
}

#[test]
fn the_client_hears_everything_once_on_the_embedded_bus() {
    on_system(the_client_hears_everything_once_and_its_messages_are_sent_once(Kind::Embedded));
}

#[test]
fn the_client_hears_everything_once_on_two_nodes_on_kafka() {
    on_system(the_client_hears_everything_once_and_its_messages_are_sent_once(Kind::Kafka));
}
