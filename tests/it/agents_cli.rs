//! `auren agents`: who there is, trying one, and scoring what agents say.

use std::{
    fs,
    process::Output,
    sync::{Arc, Mutex},
};

use serde_json::{Value, json};

use crate::support::{
    Node, Program,
    far::{Far, Python, artifact, response, stands, stream_of},
    mission_trigger, run, until, within,
};
use futures::stream;

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn errors(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// Runs the program beside what this test's runtime serves.
async fn runs(program: &Program, arguments: &[&str]) -> Output {
    let mut command = program.command(arguments);
    within(tokio::task::spawn_blocking(move || command.output().unwrap())).await.unwrap()
}

#[test]
fn the_agents_of_a_configuration_are_listed_without_their_secrets_and_with_how_they_do_on_a_node() {
    let program = Program::new();
    let configuration = "[agents.http.sleeper]\nurl = \"http://127.0.0.1:9/ask?key=s3cret\"\ntoken = \"s3cret\"\n\
        topics = [\"night\"]\n[agents.llm.coach]\nbase_url = \"http://127.0.0.1:9/v1\"\nmodel = \"small\"\n\
        [agents.a2a.far]\nurl = \"http://127.0.0.1:9\"\nversion = \"7\"\n";
    fs::write(program.folder().join("auren.toml"), configuration).unwrap();
    let listed = program.run(&["agents", "list"]);
    let lines = out(&listed);
    let line =
        |name: &str| lines.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("{name}: {lines}"));
    assert!(line("neuroscientist").contains("built in") && line("neuroscientist").contains("in the node"));
    assert!(line("coach").contains("llm") && line("coach").contains("http://127.0.0.1:9/v1 (small)"));
    assert!(line("sleeper").contains("http://127.0.0.1:9/ask  [night]") && !lines.contains("s3cret"));
    assert!(line("far").contains("a2a") && line("far").contains(" 7 "));
    assert_eq!(lines.lines().count(), 4);
    let json: Vec<Value> = out(&program.run(&["agents", "list", "--json"]))
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!((&json[0]["agent"], &json[0]["kind"]), (&json!("neuroscientist"), &json!("built_in")));

    let away = program.run(&["agents", "list", "--node", "127.0.0.1:9"]);
    assert!(errors(&away).contains("no node answers at 127.0.0.1:9"), "{}", errors(&away));
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let node = Node::start(&program, &["--set".to_owned(), format!("http.address={free}")], "n1");
    node.says("hub started", 1);
    let health = out(&program.run(&["agents", "list", "--node", &free]));
    assert_eq!(health.matches("circuit closed, 0 asked, 0 answered, 0 without an answer").count(), 4, "{health}");
}

#[test]
fn an_agent_is_tried_and_says_what_it_said_or_why_it_could_not() {
    let program = Program::new();
    let coach = out(&program.run(&["agents", "try", "coach", "may", "I", "train", "today?"]));
    assert!(coach.contains("took  ") && coach.contains("coach 0.1.0, built in") && coach.len() > 100, "{coach}");
    fs::write(program.folder().join("t.json"), mission_trigger().to_string()).unwrap();
    let tried = program.run(&["agents", "try", "neuroscientist", "--trigger", "t.json", "--json"]);
    let tried: Value = serde_json::from_str(&out(&tried)).unwrap();
    assert!(tried["advice"]["message"].as_str().unwrap().contains("heart-rate variability"), "{tried}");
    let unknown = program.run(&["agents", "try", "night-owl", "hello"]);
    assert_eq!(unknown.status.code(), Some(1));
    assert!(errors(&unknown).contains("no agent named night-owl; this configuration has neuroscientist, coach"));
    let gone = program.run(&["--set", "agents.http.gone.url=http://127.0.0.1:9", "agents", "try", "gone", "hello"]);
    assert_eq!((gone.status.code(), out(&gone)), (Some(1), String::new()));
    assert!(errors(&gone).contains("gone, http at http://127.0.0.1:9: it cannot be reached"), "{}", errors(&gone));
}

#[test]
fn parts_of_an_answer_are_shown_as_they_come() {
    run(async {
        let program = Program::new();
        let pieces = [artifact("Sleep well. "), artifact("Or not."), stands("COMPLETED")];
        let far = Far::plays(move |_| {
            let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
            let answer = stream_of(&pieces, stream::empty());
            async move { answer }
        })
        .await;
        let url = format!("agents.a2a.far.url={}", far.url);
        let said = out(&runs(&program, &["--set", &url, "agents", "try", "far", "hello"]).await);
        assert!(said.starts_with("Sleep well. Or not.\n") && said.matches("Sleep well.").count() == 1, "{said}");
        let said = out(&runs(&program, &["--set", &url, "agents", "try", "far", "hello", "--json"]).await);
        let said: Value = serde_json::from_str(&said).unwrap();
        assert_eq!(
            (&said["parts"], &said["advice"]["message"]),
            (&json!("Sleep well. Or not."), &json!("Sleep well. Or not."))
        );
        let python = Python::a2a("agents/examples/python/a2a_agent.py");
        let url = format!("agents.a2a.sleeper.url={}", python.url);
        let said = out(&runs(&program, &["--set", &url, "agents", "try", "sleeper", "good", "night"]).await);
        assert!(said.starts_with("Sleep on it. I know of 0 nights.\n") && said.contains("said good night"), "{said}");
    });
}

#[test]
fn the_built_in_agents_have_all_their_dialogues_right() {
    let program = Program::new();
    let scored = program.run(&["agents", "eval"]);
    let said = out(&scored);
    assert!(scored.status.success(), "{said}");
    assert_eq!(said.lines().filter(|line| line.ends_with("100.0 %")).count(), 2, "{said}");
}

#[test]
fn an_agent_that_says_the_wrong_thing_is_scored_by_case_and_ends_with_1() {
    const CASES: &str = "[[case]]\nname = \"rest\"\nagent = \"far\"\nsays = \"hello\"\nexpect.all = [\"rest\"]\n\
        [[case]]\nname = \"sleep\"\nagent = \"far\"\nsays = \"hello\"\nexpect.all = [\"sleep\"]\n";
    run(async {
        let program = Program::new();
        fs::create_dir(program.folder().join("cases")).unwrap();
        fs::write(program.folder().join("cases/mine.toml"), CASES).unwrap();
        let far =
            Far::plays(|_| async { response("application/json", json!({ "message": "Sleep." }).to_string()) }).await;
        let url = format!("agents.http.far.url={}", far.url);
        let eval = ["--set", &url, "agents", "eval", "--dir", "cases"];
        let scored = runs(&program, &eval).await;
        assert_eq!(scored.status.code(), Some(1));
        let said = out(&scored);
        assert!(said.contains("1 of 2  50.0 %\n  mine: rest\n    lacks \"rest\"\n    said: Sleep."), "{said}");
        assert_eq!(runs(&program, &[&eval[..], &["--at-least", "50"]].concat()).await.status.code(), Some(0));
        let json = out(&runs(&program, &[&eval[..], &["--json"]].concat()).await);
        let json: Value = serde_json::from_str(&json).unwrap();
        assert_eq!(
            (&json["agent"], &json["right"], &json["failures"][0]["case"]),
            (&json!("far"), &json!(1), &json!("mine: rest"))
        );
        let other = runs(&program, &["--set", &url, "agents", "eval", "--cases-of", "coach", "far", "--json"]).await;
        let other: Value = serde_json::from_str(&out(&other)).unwrap();
        assert!(other["cases"].as_u64().unwrap() > 10 && other["right"] != other["cases"], "{other}");
    });
}

#[test]
fn a_shadow_is_compared_with_the_agent_whose_shadow_it_is() {
    run(async {
        let far =
            Far::plays(|_| async { response("application/json", json!({ "message": "Run today." }).to_string()) })
                .await;
        let program = Program::new();
        let next = format!("[agents.http.next]\nurl = \"{}\"\nversion = \"2\"\nshadow_of = \"coach\"\n", far.url);
        fs::write(program.folder().join("auren.toml"), next).unwrap();
        let listed = out(&runs(&program, &["agents", "list"]).await);
        assert!(listed.lines().any(|line| line.starts_with("next") && line.ends_with("shadow of coach")), "{listed}");
        let node = Node::start(&program, &[], "n1");
        node.says("hub started", 1);
        let sent = runs(&program, &["send", "message", "--user", "u-1", "--to", "coach", "may I train?"]).await;
        assert!(sent.status.success(), "{}", errors(&sent));
        let lines = |text: String| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<Value>>();
        until("both have been written", || async {
            lines(out(&runs(&program, &["agents", "shadow", "--json"]).await)).len() == 2
        })
        .await;
        let sides = lines(out(&runs(&program, &["agents", "shadow", "--json"]).await));
        assert_eq!((&sides[0]["agent"], &sides[0]["shadow_of"]), (&json!("coach"), &json!(null)));
        assert_eq!((&sides[1]["agent"], &sides[1]["version"]), (&json!("next"), &json!("2")));
        assert_eq!((&sides[1]["outcomes"], &sides[1]["mean_bytes"]), (&json!({ "answered": 1 }), &json!(10)));
        let pairs = out(&runs(&program, &["agents", "shadow", "--pairs"]).await);
        assert!(pairs.contains("  coach 0.1.0: ") && pairs.contains("  next 2: Run today."), "{pairs}");
        let table = out(&runs(&program, &["agents", "shadow"]).await);
        assert!(table.starts_with("AGENT") && table.contains("1 answered"), "{table}");
        // Whose shadow nobody can be is told at once.
        for (of, words) in [("next", "its own shadow"), ("nobody", "must name an agent that is there")] {
            let of = format!("agents.http.next.shadow_of={of}");
            let refused = errors(&runs(&program, &["--set", &of, "agents", "list"]).await);
            assert!(refused.contains("agents.http of next") && refused.contains(words), "{refused}");
        }
    });
}

/// A far agent that says what the test says now.
async fn saying(words: &Arc<Mutex<&'static str>>) -> Far {
    let words = Arc::clone(words);
    Far::plays(move |_| {
        let answer = json!({ "message": *words.lock().unwrap() }).to_string();
        async move { response("application/json", answer) }
    })
    .await
}

/// A model that looks at the nights before it says how often it did.
async fn looking() -> Far {
    Far::plays(|attempt| {
        let looked = attempt.body["messages"].as_array().unwrap().iter().any(|message| message["role"] == "tool");
        let call = json!([{ "id": "c", "function": { "name": "recent_nights", "arguments": "{}" } }]);
        let message = if looked { json!({ "content": "I looked." }) } else { json!({ "tool_calls": call }) };
        let whole = json!({ "choices": [{ "message": message }] }).to_string();
        async move { response("application/json", whole) }
    })
    .await
}

#[test]
fn what_was_asked_is_asked_again_and_what_differs_is_shown() {
    run(async {
        let program = Program::new();
        let words = Arc::new(Mutex::new("Sleep."));
        let (far, model) = (saying(&words).await, looking().await);
        let configuration = format!(
            "[agents.http.far]\nurl = {:?}\n[agents.llm.model]\nbase_url = {:?}\nmodel = \"small\"\n\
             tools = [\"recent_nights\"]\n",
            far.url, model.url
        );
        fs::write(program.folder().join("auren.toml"), configuration).unwrap();
        let mut trigger = mission_trigger();
        trigger["recommended_agents"] = json!(["neuroscientist", "coach", "far", "model"]);
        fs::write(program.folder().join("t.json"), trigger.to_string()).unwrap();
        assert!(runs(&program, &["send", "trigger", "t.json"]).await.status.success());
        assert!(runs(&program, &["send", "message", "--user", "user_hash", "@coach what now?"]).await.status.success());
        let mut node = Node::start(&program, &[], "n1");
        let tail = ["tail", "conversations.events", "--until-end", "--json"];
        let limit = std::time::Instant::now() + crate::support::DEADLINE;
        while out(&runs(&program, &tail).await).matches("specialist_response").count() < 5 {
            assert!(std::time::Instant::now() < limit, "the panel does not answer: {}", node.said());
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        node.terminate();
        let of = |agent: &'static str| ["agents", "replay", "--user", "user_hash", "--agent", agent];
        let same = runs(&program, &of("coach")).await;
        assert_eq!(same.status.code(), Some(0), "{}{}", out(&same), errors(&same));
        assert!(out(&same).ends_with("coach 0.1.0: 2 questions, 2 answered the same, 0 otherwise\n"), "{}", out(&same));
        for agent in ["far", "model"] {
            let kept = runs(&program, &[&of(agent)[..], &["--record", agent]].concat()).await;
            assert_eq!(kept.status.code(), Some(0), "{}{}", out(&kept), errors(&kept));
        }
        *words.lock().unwrap() = "Run.";
        let (far_asked, model_asked) = (far.asked().len(), model.asked().len());
        for agent in ["far", "model"] {
            let played = runs(&program, &[&of(agent)[..], &["--recorded", agent]].concat()).await;
            assert_eq!(played.status.code(), Some(0), "{}{}", out(&played), errors(&played));
        }
        assert_eq!((far.asked().len(), model.asked().len()), (far_asked, model_asked), "nobody outside was asked");
        let differs = runs(&program, &of("far")).await;
        assert_eq!(differs.status.code(), Some(1));
        assert!(
            out(&differs).contains("hrv_drop uuid: otherwise\n  - message: Sleep.\n  + message: Run.\n"),
            "{}",
            out(&differs)
        );
        let json = out(&runs(&program, &[&of("far")[..], &["--json", "--at-least", "0"]].concat()).await);
        let json: Vec<Value> = json.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert_eq!(json[0]["differences"], json!([{ "what": "message", "was": "Sleep.", "now": "Run." }]));
        assert_eq!((&json[1]["same"], &json[1]["different"]), (&json!(0), &json!(1)));
        let other = runs(&program, &[&of("far")[..], &["--with", "model", "--recorded", "far"]].concat()).await;
        assert_eq!(other.status.code(), Some(1), "its answers are on no tape");
        assert!(out(&other).contains("  - outcome: answered\n  + outcome: agent_failed\n"), "{}", out(&other));
        let nothing = runs(&program, &[&of("far")[..], &["--to", "2023-12-31T00:00:00Z"]].concat()).await;
        assert_eq!(nothing.status.code(), Some(1));
        assert!(errors(&nothing).contains("the log has no question to far about user_hash"), "{}", errors(&nothing));
    });
}
