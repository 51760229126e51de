//! The client for frontends (`clients/typescript`) in Node, against running hubs.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
};

use auren::{bus::Topic, config::Role, consult::Agents};
use serde_json::{Value, json};
use tokio::sync::mpsc;

use super::chat::{log, open};
use crate::support::{
    Kind, Player,
    chatter::token,
    far::{Talker, over_http},
    on_system, settled, trigger, within,
};

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

/// What a page has to show, line by line.
struct Shown(mpsc::UnboundedReceiver<Value>);

impl Shown {
    /// What is shown once it is like this.
    async fn until(&mut self, is: impl Fn(&Value) -> bool) -> Value {
        loop {
            let now = within(self.0.recv()).await.expect("its errors are above");
            if is(&now) {
                return now;
            }
        }
    }

    /// Once this is being said.
    async fn says(&mut self, text: &str) -> Value {
        self.until(|now| now["provisional"][0]["text"] == text).await["provisional"][0].clone()
    }
}

#[test]
fn the_client_shows_what_is_being_said_until_its_event_replaces_it() {
    on_system(async {
        let talker = Talker::listens().await;
        let agents = Agents::none().with_http(over_http("far", &talker.far.url)).unwrap();
        let agents = agents.with(Player::says("coach", "Rest today."));
        let river = open(Kind::Embedded).await.roles(&[Role::Converse]).agents(agents);
        let hub = river.hub().await;
        for id in ["t-1", "t-2", "t-3"] {
            river.json(Topic::Triggers, "u-1", &trigger("u-1", id, &["coach"])).await;
        }
        settled(&hub).await;
        let url = format!("http://{}", hub.http_address().unwrap());
        let options = json!({ "url": url, "token": token(&river.config, "u-1"), "to": "far" });
        let mut run = node().args(["test/parts.mjs", &options.to_string()]).stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(run.stdout.take().unwrap()).lines();
        let (line, shown) = mpsc::unbounded_channel();
        std::thread::spawn(move || {
            for read in lines {
                // A test that has failed hears no more.
                let _ = line.send(serde_json::from_str(&read.unwrap()).unwrap());
            }
        });
        let mut shown = Shown(shown);
        let begun = shown.until(|now| now["state"] == "open").await;
        assert_eq!((begun["events"].as_array().unwrap().len(), &begun["older"]), (2, &json!(true)), "the newest two");
        let thinks = shown.until(|now| now["provisional"][0]["state"] == "thinking").await;
        assert_eq!(
            thinks["provisional"],
            json!([{ "turn": 4, "agent": "far", "state": "thinking", "attempt": 0, "text": "" }])
        );
        talker.far.asked_times(1).await;
        talker.part(0, "Sleep ");
        let said = json!({ "turn": 4, "agent": "far", "state": "answering", "attempt": 1, "text": "Sleep " });
        assert_eq!(shown.says("Sleep ").await, said);
        // What breaks off is taken back, and the next attempt is told instead.
        talker.breaks(0);
        talker.far.asked_times(2).await;
        talker.part(1, "Rest");
        assert_eq!(shown.says("Rest").await["attempt"], 2);
        talker.part(1, " well.");
        shown.says("Rest well.").await;
        talker.says(1, "advice", &json!({}));
        let end = shown.until(|now| now["provisional"] == json!([])).await;
        assert_eq!(end["events"].as_array().unwrap().last().unwrap(), "Rest well.");
        let all = shown.until(|now| now["older"] == false).await;
        let all: Vec<_> =
            all["events"].as_array().unwrap().iter().map(|said| said.as_str().unwrap().to_owned()).collect();
        let logged: Vec<_> = log(&river, "u-1").await.into_iter().map(|(_, content)| content).collect();
        assert_eq!(all, logged);
        let end = tokio::task::spawn_blocking(move || run.wait().unwrap()).await.unwrap();
        assert!(end.success(), "its errors are above");
        hub.stop().await;
    });
}
