//! The binary as people and scripts meet it: what it prints, how it exits, and what it does when it is told to stop.

use std::{
    collections::HashMap,
    fs,
    io::Read as _,
    process::{Child, Output, Stdio},
    time::{Duration, Instant},
};

use auren_agents::{ConversationEvent, MessageType};
use serde_json::Value;

use crate::support::{DEADLINE, Program, service, signal};

/// The mission's trigger, as it stands.
const TRIGGER: &str = r#"{"trigger_id":"uuid","user_id":"user_hash","trigger_type":"hrv_drop","severity":0.8,"context_window":["event1","event2"],"recommended_agents":["neuroscientist","coach"],"message":"HRV dropped 25% below baseline","timestamp":"2024-01-01T10:00:00Z"}"#;

fn text(output: &[u8]) -> String {
    String::from_utf8(output.to_vec()).unwrap()
}

fn done(output: &Output) -> String {
    assert!(output.status.success(), "{}: {}", output.status, text(&output.stderr));
    text(&output.stdout)
}

fn wait(mut child: Child) -> (Option<i32>, String) {
    let limit = Instant::now() + DEADLINE;
    let status = loop {
        if let Some(status) = child.try_wait().unwrap() {
            break status;
        }
        assert!(Instant::now() < limit, "it does not end");
        std::thread::sleep(Duration::from_millis(20));
    };
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    (status.code(), said)
}

#[test]
fn the_demo_prints_the_same_conversation_events_every_time_and_leaves_no_trigger_unanswered() {
    let program = Program::new();
    let first = program.command(&["demo", "--once", "--json"]).stdout(Stdio::piped()).spawn().unwrap();
    let second = done(&program.run(&["demo", "--once", "--json"]));
    assert_eq!(done(&first.wait_with_output().unwrap()), second);
    let events: Vec<ConversationEvent> = second.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let mut answers: HashMap<&str, Vec<&str>> = HashMap::new();
    for event in events.iter().filter(|event| event.metadata.trigger_type.is_some()) {
        assert_eq!(event.message_type, MessageType::SpecialistResponse);
        answers.entry(event.metadata.cause.as_str()).or_default().push(event.specialist_id.as_str());
    }
    assert!(answers.len() > 10, "{} triggers", answers.len());
    assert!(answers.values().all(|agents| *agents == ["neuroscientist", "coach"]), "{answers:?}");
    assert!(events.iter().any(|event| event.message_type == MessageType::UserInput));
    assert!(fs::read_dir(program.folder()).unwrap().next().is_none(), "nothing is left behind");
}

#[test]
fn wrong_arguments_and_a_wrong_configuration_end_with_64_and_say_what_is_wrong() {
    let program = Program::new();
    for (arguments, says) in [
        (&["sing"][..], "unrecognized subcommand"),
        (&["serve", "--roles", "cook"], "possible values: enrich, detect, converse"),
        (&["--set", "topics.partitions=0", "config", "check"], "topics.partitions must be from 1 to 1024"),
        (&["--set", "topics.partition=1", "config", "check"], "unknown field"),
        (&["--config", "no.toml", "config", "check"], "no.toml does not exist"),
    ] {
        let output = program.run(arguments);
        assert_eq!(output.status.code(), Some(64), "{arguments:?}");
        assert!(text(&output.stderr).contains(says), "{arguments:?}: {}", text(&output.stderr));
        assert!(output.stdout.is_empty());
    }
    let output = program.command(&["config", "check"]).env("AUREN__KAFKA__SESSION_TIMEOUT_MS", "1").output().unwrap();
    assert_eq!(output.status.code(), Some(64));
    assert!(text(&output.stderr).contains("kafka.session_timeout_ms must be from 1000"), "{}", text(&output.stderr));
}

#[test]
fn a_bad_line_is_refused_by_line_and_field_and_the_others_go() {
    let program = Program::new();
    let bad = TRIGGER.replace("0.8", "1.8");
    fs::write(program.folder().join("t.json"), format!("{TRIGGER}\n{bad}\nnot json\n")).unwrap();
    let output = program.run(&["send", "trigger", "t.json"]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("line 1: uuid is at 4:0 in triggers.detected"), "{said}");
    assert!(said.contains("line 2: severity: must be a number from 0 to 1") && !said.contains("1.8"), "{said}");
    assert!(said.contains("line 3: is not JSON"), "{said}");
    let tail = done(&program.run(&["tail", "triggers.detected", "--until-end", "--json"]));
    let records: Vec<Value> = tail.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(records.len(), 1);
    assert_eq!(records[0]["value"], serde_json::from_str::<Value>(TRIGGER).unwrap());
}

#[test]
fn a_reader_that_goes_away_ends_it_quietly() {
    let program = Program::new();
    let mut child = program
        .command(&["simulate", "--users", "50", "--days", "60", "--out", "-"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut start = [0; 64];
    child.stdout.take().unwrap().read_exact(&mut start).unwrap();
    let (code, said) = wait(child);
    assert_eq!((code, said.as_str()), (Some(0), ""));
}

#[test]
fn a_node_on_the_embedded_bus_answers_a_trigger_and_ends_in_order_when_it_is_told_to() {
    let program = Program::new();
    answers_a_trigger(&program, &[]);
    let doctor = done(&program.run(&["doctor"]));
    assert!(doctor.contains("14 topics of 12 partitions each") && doctor.contains("none"), "{doctor}");
}

#[test]
fn doctor_tells_the_time_of_redis_before_there_is_a_bus() {
    let program = Program::new();
    let redis = format!("redis.url={}", service("AUREN_TEST_REDIS"));
    let doctor = program.run(&["--set", &redis, "doctor"]);
    let said = text(&doctor.stdout);
    assert!(said.contains("auren.db does not exist yet") && said.contains("Redis's is"), "{said}");
}

#[test]
fn a_node_on_kafka_answers_a_trigger_and_ends_in_order_when_it_is_told_to() {
    let program = Program::new();
    let flags = program.kafka_flags(&service("AUREN_TEST_KAFKA"));
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let missing = program.run(&[&flags[..], &["serve"]].concat());
    assert_eq!(missing.status.code(), Some(1));
    assert!(text(&missing.stderr).contains("create it with `auren topics create`"), "{}", text(&missing.stderr));
    done(&program.run(&[&flags[..], &["topics", "create"]].concat()));
    answers_a_trigger(&program, &flags);
}

fn answers_a_trigger(program: &Program, flags: &[&str]) {
    let node = program.command(&[flags, &["serve"]].concat()).stderr(Stdio::piped()).spawn().unwrap();
    let mut sent = program.command(&[flags, &["send", "trigger", "-"]].concat()).stdin(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(&mut sent.stdin.take().unwrap(), TRIGGER.as_bytes()).unwrap();
    assert!(sent.wait().unwrap().success());
    let tail = [flags, &["tail", "conversations.events", "--user", "user_hash", "--from", "earliest", "--max", "2"]];
    let said = done(&program.run(&[&tail.concat()[..], &["--json"]].concat()));
    let events: Vec<Value> = said.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let speakers: Vec<_> = events.iter().map(|record| record["value"]["specialist_id"].as_str().unwrap()).collect();
    assert_eq!(speakers, ["neuroscientist", "coach"]);
    for record in &events {
        assert_eq!((&record["key"], &record["value"]["metadata"]["cause"]), (&"user_hash".into(), &"uuid".into()));
        assert_eq!(record["headers"]["ce_id"], record["value"]["event_id"]);
    }
    signal(node.id(), "TERM");
    let (code, said) = wait(node);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("hub stopped") && !said.contains("ERROR"), "{said}");
}
