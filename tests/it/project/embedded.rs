//! A history without any service: a node on the embedded bus writes it beside the bus, whenever it is killed, and the
//! demonstration shows it.

use std::{
    io::{BufRead as _, BufReader},
    process::{Command, Stdio},
    time::Duration,
};

use serde_json::Value;

use super::verified;
use crate::support::{DEADLINE, Node, Program, http, run, until};

/// A person's history over HTTP.
async fn history(address: std::net::SocketAddr, token: &str, name: &str) -> Value {
    let bearer = format!("Bearer {token}");
    let path = format!("GET /v1/history/{name}");
    let answer = http::send(address, &path, &[("Authorization", &bearer)], "").await;
    if answer.status == 200 { answer.json()[name].clone() } else { Value::Null }
}

#[test]
fn a_node_without_services_is_killed_and_every_record_is_a_row_once() {
    let program = Program::new();
    let node = || Node::start(&program, &["--set".to_owned(), "project.max_batch=20".to_owned()], "node-1");
    let mut serving = node();
    serving.says("the history goes on", 1);
    let load = ["verify", "--users", "20", "--rate", "60", "--seconds", "10", "--json"];
    let load = program.command(&load).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for _ in 0..6 {
        std::thread::sleep(Duration::from_millis(rand::random_range(300..1500)));
        serving.kill();
        serving = node();
    }
    let load = load.wait_with_output().unwrap();
    let verdict: Value = serde_json::from_slice(&load.stdout).unwrap();
    assert!(load.status.success(), "the river went on: {verdict:#}");

    let limit = std::time::Instant::now() + DEADLINE;
    let status = loop {
        let status = program.run(&["project", "status", "--json"]);
        let status: Value = serde_json::from_slice(&status.stdout).unwrap();
        if status["topics"].as_array().unwrap().iter().all(|topic| topic["behind"] == 0) {
            break status;
        }
        assert!(std::time::Instant::now() < limit, "{status:#}\n{}", serving.said());
        std::thread::sleep(Duration::from_millis(50));
    };
    assert_eq!(status["database"], "sqlite auren-data/auren.history.db");
    assert_eq!(status["at_work"], true);
    let output = program.run(&["project", "verify", "--json"]);
    let (said, sum) = verified(&output);
    assert_eq!((&said["differences"], output.status.code()), (&Value::from(0), Some(0)), "{said:#}");
    assert_eq!((sum("equal"), sum("behind")), (sum("records"), 0), "{said:#}");
    assert!(said["topics"]["conversations.events"]["records"].as_u64().unwrap() > 100, "{said:#}");
    // Kills are told apart from none: each start that came so far is an event, and was projected.
    assert!(said["topics"]["system.events"]["records"].as_u64().unwrap() >= 3, "{said:#}");

    // Made again from the log while the node works, and why something was said, from there.
    assert!(program.run(&["project", "rebuild", "--yes"]).status.success());
    let limit = std::time::Instant::now() + DEADLINE;
    loop {
        let (again, sum_again) = verified(&program.run(&["project", "verify", "--json"]));
        assert!(again["differences"] == 0, "{again:#}");
        if sum_again("equal") >= sum("equal") {
            break;
        }
        assert!(std::time::Instant::now() < limit, "{again:#}\n{}", serving.said());
    }
    let answers = program.run(&["tail", "conversations.events", "--from", "-1", "--until-end", "--json"]);
    let answer = String::from_utf8(answers.stdout).unwrap();
    let answer: Value = serde_json::from_str(answer.lines().next().unwrap()).unwrap();
    let id = answer["value"]["event_id"].as_str().unwrap();
    let why = program.run(&["why", id, "--json"]);
    let why: Value = serde_json::from_slice(&why.stdout).unwrap();
    assert_eq!(why["message"]["event_id"], id);
    assert!(why["cause"]["topic"].is_string(), "{why:#}");
    serving.terminate();
    let status = program.run(&["project", "status", "--json"]);
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert_eq!(status["at_work"], false);
}

/// Ended, it is killed.
struct Demo(std::process::Child);

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn the_demonstration_has_a_history_and_says_why() {
    let program = Program::new();
    let mut command: Command = program.command(&["demo", "--users", "2", "--days", "400", "--day-ms", "100"]);
    // What it leaves behind when it is killed goes with the program's folder.
    command.env("TMPDIR", program.folder()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut demo = Demo(command.spawn().unwrap());
    let mut lines = BufReader::new(demo.0.stdout.take().unwrap()).lines();
    let link = lines.find_map(|line| line.unwrap().strip_prefix("What the first wearer is told: ").map(str::to_owned));
    let link = link.unwrap();
    let (address, token) = link.trim_start_matches("http://").split_once("/#token=").unwrap();
    let address = address.parse().unwrap();
    // It goes on speaking; nobody must keep it waiting.
    std::thread::spawn(move || lines.for_each(drop));
    run(async {
        for name in ["biometrics", "triggers", "conversations"] {
            until(&format!("{name} are in the history"), || async {
                history(address, token, name).await.as_array().is_some_and(|list| !list.is_empty())
            })
            .await;
        }
        let trigger = history(address, token, "triggers").await[0]["event_id"].as_str().unwrap().to_owned();
        let bearer = format!("Bearer {token}");
        let why = http::send(address, &format!("GET /v1/why/{trigger}"), &[("Authorization", &bearer)], "").await;
        assert_eq!(why.status, 200, "{}", why.body);
        let rests = why.json()["biometrics"].as_array().unwrap().clone();
        assert!(!rests.is_empty() && rests.iter().all(|link| link["topic"] == "health.biometrics"), "{}", why.body);
    });
}
