//! AUREN's agents as A2A agents, for the official SDK of another language and for whoever writes JSON by hand.

use std::{net::SocketAddr, process::Command};

use auren::{
    app::Running,
    bus::{Topic, key_partition},
    config::Role,
    consult::Agents,
};
use auren_agents::AgentError;
use serde_json::{Value, json};

use crate::support::{
    Door, Kind, Player, River,
    chatter::{Chatter, token},
    event,
    far::python,
    http, on_system, placed, settled, speakers, within,
};

/// A hub with a coach, one who waits behind a door, and one who fails.
async fn hub(kind: Kind, door: &Door) -> (River, Running, SocketAddr) {
    let agents = Agents::none()
        .with(Player::says("coach", "Rest today.").topics(&["train"]))
        .with(Player::behind("slow", door))
        .with(Player::new("broken", |_| async { Err(AgentError::Refused("41.8".to_owned())) }));
    let mut river = River::open(kind).await.roles(&[Role::Converse]).agents(agents);
    // Who waits behind the door is not late, however long other programs take to start.
    river.config.converse.agent_deadline_ms = 120_000;
    let (hub, address) = river.served().await;
    (river, hub, address)
}

/// What the official SDK prints.
async fn sdk(address: SocketAddr, path: &str, token: &str, arguments: &[&str]) -> Vec<Value> {
    let mut command = Command::new(python("a2a, httpx"));
    let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/a2a/client.py");
    command.args([script, &format!("http://{address}{path}"), token]).args(arguments);
    let output = within(tokio::task::spawn_blocking(move || command.output().unwrap())).await.unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Whatever comes of a call, by hand: for each frame its id, if it has one, and what it holds.
async fn call(address: SocketAddr, token: &str, last: Option<&str>, body: &Value) -> Vec<(Option<String>, Value)> {
    let bearer = format!("Bearer {token}");
    let mut headers = vec![("authorization", &*bearer), ("a2a-version", "1.0"), ("content-type", "application/json")];
    headers.extend(last.map(|last| ("last-event-id", last)));
    let answer = http::send(address, "POST /a2a", &headers, &body.to_string()).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    if !answer.head.contains("text/event-stream") {
        return vec![(None, answer.json())];
    }
    let frames = answer.body.split("\n\n").filter(|frame| frame.contains("data: "));
    let of = |frame: &str| {
        let field = |name: &str| frame.lines().find_map(|line| line.strip_prefix(name)).map(ToOwned::to_owned);
        (field("id: "), serde_json::from_str(&field("data: ").unwrap()).unwrap())
    };
    frames.map(of).collect()
}

fn rpc(method: &str, params: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": 7, "method": method, "params": params })
}

fn says(id: &str, text: &str) -> Value {
    json!({ "message": { "messageId": id, "role": "ROLE_USER", "parts": [{ "text": text }] } })
}

/// What a frame is, in short.
fn short(frame: &Value) -> String {
    let state = |status: &Value| status["state"].as_str().unwrap().trim_start_matches("TASK_STATE_").to_owned();
    if let Some(task) = frame.get("task") {
        return format!("task {}", state(&task["status"]));
    }
    match frame.get("statusUpdate") {
        Some(update) => state(&update["status"]),
        None => frame["artifactUpdate"]["artifact"]["parts"][0]["text"].as_str().unwrap().to_owned(),
    }
}

fn shorts(frames: &[Value]) -> Vec<String> {
    frames.iter().map(short).collect()
}

async fn said(river: &River) -> Vec<String> {
    speakers(&river.stage.all(Topic::Events).await.iter().map(event).collect::<Vec<_>>())
}

async fn a_message_over_a2a_is_a_turn_and_its_task_ends_with_it(kind: Kind) {
    let door = Door::closed();
    let (river, hub, address) = hub(kind, &door).await;
    let token = token(&river.config, "u-1");
    let card = sdk(address, "", "", &["card"]).await.remove(0);
    let names: Vec<_> = card["skills"].as_array().unwrap().iter().map(|skill| skill["id"].clone()).collect();
    assert_eq!((&card["name"], names), (&json!("AUREN"), vec![json!("coach"), json!("slow"), json!("broken")]));
    let card = sdk(address, "/a2a/coach", "", &["card"]).await.remove(0);
    assert_eq!(card["supportedInterfaces"][0]["url"], format!("http://{address}/a2a/coach"));

    let frames = sdk(address, "/a2a/coach", &token, &["send", "May I?", "m-1"]).await;
    assert_eq!(shorts(&frames), ["task SUBMITTED", "WORKING", "Rest today.", "COMPLETED"]);
    let task = frames[0]["task"]["id"].as_str().unwrap();
    assert_eq!(frames[3]["statusUpdate"]["metadata"]["turn"], 1.0);
    // It is a message like any other.
    let all = river.stage.all(Topic::Events).await;
    assert_eq!(said(&river).await, ["user", "coach"]);
    assert_eq!(frames[3]["statusUpdate"]["metadata"]["cursor"], all[1].cursor().to_string());
    assert_eq!(event(&all[0]).metadata.client_id.as_deref(), Some("m-1"));
    let got = sdk(address, "", &token, &["get", task]).await.remove(0);
    assert_eq!(
        (&got["status"]["state"], &got["artifacts"][0]["name"]),
        (&json!("TASK_STATE_COMPLETED"), &json!("coach"))
    );
    assert_eq!(got["history"][0]["parts"][0]["text"], "May I?");

    // Without a stream, and to whom it concerns.
    let task = sdk(address, "", &token, &["wait", "May I train?"]).await.remove(0);
    assert_eq!((short(&task), &task["task"]["artifacts"][0]["name"]), ("task COMPLETED".to_owned(), &json!("coach")));
    // Sent again it is the same message, and its task is answered as the first was.
    let again = sdk(address, "/a2a/coach", &token, &["send", "May I?", "m-1"]).await;
    assert_eq!(shorts(&again), ["task SUBMITTED", "WORKING", "Rest today.", "COMPLETED"]);
    assert_eq!(again[2]["artifactUpdate"]["artifact"]["artifactId"], got["artifacts"][0]["artifactId"]);
    let resent = again[0]["task"]["id"].as_str().unwrap();
    let got = sdk(address, "", &token, &["get", resent]).await.remove(0);
    assert_eq!(got["status"]["state"], "TASK_STATE_COMPLETED");
    // Who does not answer fails the task.
    let failed = sdk(address, "/a2a/broken", &token, &["send", "Hello"]).await;
    assert_eq!(shorts(&failed), ["task SUBMITTED", "WORKING", "FAILED"]);
    assert_eq!(failed[2]["statusUpdate"]["status"]["message"]["metadata"]["code"], "agent_failed");
    assert_eq!(said(&river).await, ["user", "coach", "user", "coach", "user", "broken: agent_failed"]);
    hub.stop().await;
}

#[test]
fn a_message_over_a2a_is_a_turn_and_its_task_ends_with_it_on_the_embedded_bus() {
    on_system(a_message_over_a2a_is_a_turn_and_its_task_ends_with_it(Kind::Embedded));
}

#[test]
fn a_message_over_a2a_is_a_turn_and_its_task_ends_with_it_on_kafka() {
    on_system(a_message_over_a2a_is_a_turn_and_its_task_ends_with_it(Kind::Kafka));
}

async fn a_stream_that_is_cut_goes_on_where_it_was(kind: Kind) {
    let door = Door::closed();
    let (mut river, hub, address) = hub(kind, &door).await;
    let token = token(&river.config, "u-1");
    let cut = sdk(address, "", &token, &["cut", "@coach and @slow, what now?"]).await;
    assert_eq!(shorts(&cut), ["task SUBMITTED"]);
    let task = cut[0]["task"]["id"].as_str().unwrap().to_owned();
    door.asked_times(1).await;
    // On another node: nothing but the log knows of the task.
    hub.stop().await;
    let (hub, address) = river.served().await;
    let subscribed = {
        let (token, task) = (token.clone(), task.clone());
        tokio::spawn(async move { sdk(address, "", &token, &["subscribe", &task]).await })
    };
    door.asked_times(2).await;
    let got = sdk(address, "", &token, &["get", &task]).await.remove(0);
    assert_eq!(
        (&got["status"]["state"], got["artifacts"].as_array().unwrap().len()),
        (&json!("TASK_STATE_WORKING"), 1)
    );
    // The door lets one out for whoever still waits behind it.
    door.lets(4);
    let frames = within(subscribed).await.unwrap();
    // What was there already is in the task, and what came later came once.
    let there: Vec<_> = frames[0]["task"]["artifacts"].as_array().into_iter().flatten().collect();
    let mut heard: Vec<_> = there.iter().map(|artifact| artifact["name"].as_str().unwrap().to_owned()).collect();
    let names = frames.iter().filter_map(|frame| frame["artifactUpdate"]["artifact"]["name"].as_str());
    heard.extend(names.map(ToOwned::to_owned));
    assert_eq!(
        (heard, short(frames.last().unwrap())),
        (vec!["coach".to_owned(), "slow".to_owned()], "COMPLETED".to_owned())
    );
    settled(&hub).await;
    assert_eq!(said(&river).await, ["user", "coach", "slow"]);

    // By hand, behind any frame: each goes on without a hole and without anything twice.
    let whole = call(address, &token, None, &rpc("SendStreamingMessage", &says("m-2", "@coach and @slow!"))).await;
    let told: Vec<_> = whole.iter().map(|(id, frame)| (id.clone(), frame["result"].clone())).collect();
    let names: Vec<_> = told.iter().map(|(_, frame)| short(frame)).collect();
    assert_eq!(names, ["task SUBMITTED", "WORKING", "Rest today.", "At last.", "COMPLETED"]);
    let task = told[0].1["task"]["id"].clone();
    assert_eq!(told[3].0, None, "whoever is cut off before the end of an event hears it again");
    for (index, (id, _)) in told.iter().enumerate() {
        let Some(id) = id else { continue };
        let rest = call(address, &token, Some(id), &rpc("SubscribeToTask", &json!({ "id": task }))).await;
        let rest: Vec<_> = rest.iter().map(|(id, frame)| (id.clone(), frame["result"].clone())).collect();
        assert_eq!(rest, told[index + 1..], "behind {id}");
    }
    // It is over: who has no place to go on from asks for the whole.
    let refused = call(address, &token, None, &rpc("SubscribeToTask", &json!({ "id": task }))).await;
    assert_eq!(refused[0].1["error"]["code"], -32004);
    hub.stop().await;
}

#[test]
fn a_stream_that_is_cut_goes_on_where_it_was_on_the_embedded_bus() {
    on_system(a_stream_that_is_cut_goes_on_where_it_was(Kind::Embedded));
}

#[test]
fn a_stream_that_is_cut_goes_on_where_it_was_on_kafka() {
    on_system(a_stream_that_is_cut_goes_on_where_it_was(Kind::Kafka));
}

#[test]
fn a_task_is_taken_back_once_and_only_by_its_person() {
    on_system(async {
        let door = Door::closed();
        let (river, hub, address) = hub(Kind::Embedded, &door).await;
        let own = token(&river.config, "u-1");
        let cut = sdk(address, "/a2a/slow", &own, &["cut", "Hello"]).await;
        let task = cut[0]["task"]["id"].as_str().unwrap();
        door.asked_times(1).await;
        // Somebody of the same partition, who has events there, and somebody of another one.
        let home = |user: &str| key_partition(user.as_bytes(), 2);
        for same in [true, false] {
            let names = (2..).map(|number| format!("u-{number}"));
            let other = names.into_iter().find(|name| (home(name) == home("u-1")) == same).unwrap();
            let theirs = token(&river.config, &other);
            sdk(address, "/a2a/coach", &theirs, &["wait", "Hello"]).await;
            for what in ["get", "subscribe", "cancel"] {
                let refused = sdk(address, "", &theirs, &[what, task]).await;
                assert_eq!(refused[0]["error"], "TaskNotFoundError", "{what}: {refused:?}");
            }
            let last = call(address, &theirs, Some("0:0"), &rpc("SubscribeToTask", &json!({ "id": task }))).await;
            assert_eq!(last[0].1["error"]["code"], -32001);
            let mut message = says("m-9", "Hello");
            message["message"]["taskId"] = task.into();
            let refused = call(address, &theirs, None, &rpc("SendMessage", &message)).await;
            assert_eq!(refused[0].1["error"]["code"], -32001);
        }
        let nobody = sdk(address, "", "", &["get", task]).await;
        assert!(nobody[0]["message"].as_str().unwrap().contains("401"), "{nobody:?}");
        let canceled = sdk(address, "", &own, &["cancel", task]).await.remove(0);
        assert_eq!(canceled["status"]["state"], "TASK_STATE_CANCELED", "{canceled}");
        let again = sdk(address, "", &own, &["cancel", task]).await;
        assert_eq!(again[0]["error"], "TaskNotCancelableError");
        let all = river.said().await;
        let own: Vec<_> = all.into_iter().filter(|event| event.user_id.as_str() == "u-1").collect();
        assert_eq!(speakers(&own), ["user", "slow: stopped"]);
        hub.stop().await;
    });
}

#[test]
fn an_answer_comes_before_its_connection_counts_as_idle() {
    on_system(async {
        let door = Door::closed();
        let (mut river, hub, _) = hub(Kind::Embedded, &door).await;
        hub.stop().await;
        river.config.http.idle_ms = 4_000;
        let (hub, address) = river.served().await;
        let token = token(&river.config, "u-1");
        let answer = call(address, &token, None, &rpc("SendMessage", &says("m-1", "@slow?"))).await;
        assert_eq!(short(&answer[0].1["result"]), "task WORKING");
        hub.stop().await;
    });
}

#[test]
fn who_gets_no_place_for_a_stream_has_said_nothing() {
    on_system(async {
        let (mut river, hub, _) = hub(Kind::Embedded, &Door::closed()).await;
        hub.stop().await;
        river.config.chat.max_sockets = 1;
        let (hub, address) = river.served().await;
        let token = token(&river.config, "u-1");
        let _only = Chatter::open(address, &token, None).await;
        let refused = call(address, &token, None, &rpc("SendStreamingMessage", &says("m-1", "Hello"))).await;
        assert_eq!(refused[0].1["error"]["message"], "all sockets of this node are taken");
        assert!(river.stage.all(Topic::Inbox).await.is_empty());
        hub.stop().await;
    });
}

#[test]
fn a_task_is_found_however_much_of_others_lies_between_its_events() {
    on_system(async {
        let door = Door::closed();
        let (river, hub, address) = hub(Kind::Embedded, &door).await;
        let token = token(&river.config, "u-1");
        let mut message = says("m-1", "@slow?");
        message["configuration"] = json!({ "returnImmediately": true });
        let sent = call(address, &token, None, &rpc("SendMessage", &message)).await;
        let task = json!({ "id": sent[0].1["result"]["task"]["id"] });
        door.asked_times(1).await;
        let partition = key_partition(b"u-1", 2);
        let other = || placed(Topic::Events, partition, "of others");
        river.stage.publish(std::iter::repeat_with(other).take(50_100).collect()).await;
        door.lets(1);
        settled(&hub).await;
        let got = call(address, &token, None, &rpc("GetTask", &task)).await;
        assert_eq!(got[0].1["result"]["status"]["state"], "TASK_STATE_COMPLETED");
        hub.stop().await;
    });
}

#[test]
fn addresses_and_protocols_are_those_that_clients_outside_know() {
    on_system(async {
        let (mut river, hub, address) = hub(Kind::Embedded, &Door::closed()).await;
        let told = async |address: SocketAddr| {
            let card = http::get(address, "/.well-known/agent-card.json").await.json();
            let chat = http::get(address, "/asyncapi.json").await.json();
            (card["supportedInterfaces"][0]["url"].clone(), chat["servers"]["node"]["protocol"].clone())
        };
        assert_eq!(told(address).await, (json!(format!("http://{address}/a2a")), json!("ws")));
        hub.stop().await;
        river.config.http.tls.by_proxy = true;
        let (hub, address) = river.served().await;
        assert_eq!(told(address).await, (json!(format!("https://{address}/a2a")), json!("wss")));
        hub.stop().await;
    });
}

#[test]
fn what_is_no_call_of_a2a_is_answered_with_the_code_of_its_fault_and_changes_nothing() {
    on_system(async {
        let (river, hub, address) = hub(Kind::Embedded, &Door::closed()).await;
        let token = token(&river.config, "u-1");
        let with = |field: &str, value: Value| {
            let mut message = says("m-1", "Hello");
            message["message"][field] = value;
            message
        };
        for (body, code) in [
            (rpc("GetTask", &json!({ "id": "0-0-0" })), -32001),
            (rpc("GetTask", &json!({ "id": "../../etc" })), -32001),
            (rpc("GetTask", &json!({ "id": "0-9223372036854775807-9223372036854775807" })), -32001),
            (rpc("GetTask", &json!({})), -32602),
            (rpc("CancelTask", &json!({ "id": 7 })), -32602),
            (rpc("ListTasks", &json!({})), -32004),
            (rpc("CreateTaskPushNotificationConfig", &json!({})), -32003),
            (rpc("GetExtendedAgentCard", &json!({})), -32007),
            (rpc("message/send", &says("m-1", "Hello")), -32601),
            (rpc("SendMessage", &json!({})), -32602),
            (rpc("SendMessage", &says("", "Hello")), -32602),
            (rpc("SendMessage", &says("m-1", &"x".repeat(5000))), -32602),
            (rpc("SendMessage", &with("contextId", json!("another"))), -32602),
            (rpc("SendMessage", &with("role", json!("ROLE_AGENT"))), -32602),
            (
                rpc("SendStreamingMessage", &with("parts", json!([{ "data": {}, "mediaType": "application/json" }]))),
                -32005,
            ),
            (json!([rpc("GetTask", &json!({ "id": "0-0-0" }))]), -32600),
        ] {
            let answer = call(address, &token, None, &body).await;
            assert_eq!(answer[0].1["error"]["code"], code, "{body}: {answer:?}");
        }
        let bearer = format!("Bearer {token}");
        let body = rpc("GetTask", &json!({})).to_string();
        let old = http::send(address, "POST /a2a", &[("authorization", &bearer)], &body).await;
        assert_eq!(old.json()["error"]["code"], -32009);
        let nobody = http::send(address, "POST /a2a/night-owl", &[("authorization", &bearer)], "{}").await;
        assert_eq!(
            (nobody.status, http::get(address, "/a2a/night-owl/.well-known/agent-card.json").await.status),
            (404, 404)
        );
        assert!(river.stage.all(Topic::Inbox).await.is_empty());
        hub.stop().await;
    });
}
