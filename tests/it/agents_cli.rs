//! `auren agents`: who there is, trying one, and scoring what agents say.

use std::{fs, process::Output};

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
