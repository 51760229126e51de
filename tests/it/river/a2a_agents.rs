//! Agents that speak A2A: one made with the official SDK on a panel, and all that one can do wrong.

use std::sync::{Arc, Mutex};

use auren::{
    bus::Topic,
    config::{HttpAgentSection, Role},
    consult::{A2aAgent, Agents},
};
use auren_agents::{Agent, Consult, Parts, events};
use axum::{body::Body, response::Response};
use futures::stream;
use serde_json::{Value, json};

use super::{
    far_agents::sleeper_sits_on_a_panel,
    wrong::{Ends, Wrong, each_has_one_final_word, endless, pending, wrong},
};
use crate::support::{
    Player, River,
    far::{Far, Python, artifact, over_a2a, response, sent, stands, status, stream_of},
    mission_biometric, settled, speakers, trigger, within,
};

pub async fn an_a2a_agent_of_the_official_sdk_sits_on_a_panel_with_the_coach(mut river: River) {
    let python = Python::a2a("agents/examples/python/a2a_agent.py");
    let sleeper = HttpAgentSection { url: python.url.clone(), topics: vec!["night".to_owned()], ..Default::default() };
    river.config.agents.a2a.insert("sleeper".to_owned(), sleeper);
    let said = sleeper_sits_on_a_panel(river).await;
    assert_eq!(&*said[1].content, "Sleep on it. I know of 0 nights.");
}

pub async fn an_a2a_agent_is_asked_in_words_and_data_and_its_parts_are_told(river: River) {
    let far = Far::plays(|_| async {
        stream_of(&[&artifact("Sleep "), &artifact("well."), &stands("COMPLETED")], stream::pending())
    })
    .await;
    let mut settings = over_a2a("far", &far.url);
    settings.token = Some("the token".to_owned());
    let agents = Agents::none().with_a2a(settings.clone()).unwrap().with(Player::says("coach", "Rest today."));
    let river = river.roles(&[Role::Converse]).agents(agents);
    let hub = river.hub().await;
    river.json(Topic::Biometrics, "user_hash", &mission_biometric()).await;
    settled(&hub).await;
    river.json(Topic::Triggers, "user_hash", &trigger("user_hash", "t-1", &["coach", "far"])).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!((speakers(&said), &*said[1].content), (vec!["coach".to_owned(), "far".to_owned()], "Sleep well."));
    hub.stop().await;
    let [asked] = &far.asked()[..] else { panic!("one question, not {}", far.asked().len()) };
    assert_eq!((&*asked.path, &asked.body["method"]), ("/v1/a2a", &json!("SendStreamingMessage")));
    assert_eq!(asked.headers["a2a-version"], "1.0");
    assert_eq!(asked.headers["authorization"], "Bearer the token");
    let message = &asked.body["params"]["message"];
    let [words, data] = &message["parts"].as_array().unwrap()[..] else { panic!("two parts: {message}") };
    assert_eq!((&message["role"], &words["text"]), (&json!("ROLE_USER"), &trigger("u", "t", &[])["message"]));
    let mut consult: Consult = events::parse(data["data"].to_string().as_bytes()).unwrap();
    assert_eq!((message["messageId"].as_str(), consult.panel.len()), (Some(consult.id.as_str()), 1));
    assert!(!asked.body.to_string().contains("TOKENIZED_PHI") && !asked.body.to_string().contains("48.3"));

    // Whoever looks on is told the parts as they come.
    let heard: Arc<Mutex<Vec<String>>> = Arc::default();
    let hears = Arc::clone(&heard);
    consult.parts = Parts::to(move |part| hears.lock().unwrap().push(part.to_owned()));
    let advice = within(A2aAgent::open(&settings).unwrap().consult(consult)).await.unwrap();
    assert_eq!(
        (&*advice.message, &heard.lock().unwrap()[..]),
        ("Sleep well.", &["Sleep ".to_owned(), "well.".to_owned()][..])
    );
}

pub async fn an_a2a_task_that_nobody_waits_for_any_more_is_taken_back(_: River) {
    let far =
        Far::plays(|_| async { stream_of(&[&sent(&task("WORKING")), &artifact("Sleep ")], stream::pending()) }).await;
    let consult = json!({
        "id": "c-1", "agent": "far", "user_id": "u-1", "conversation_id": "k-1", "turn": 1,
        "cause": { "kind": "message", "id": "m-1", "text": "Tell me everything" }, "at": "2024-01-01T10:00:00Z",
        "recent": [], "past": [], "panel": [], "deadline_ms": 1000,
    });
    let mut consult: Consult = events::parse(consult.to_string().as_bytes()).unwrap();
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    consult.parts = Parts::to(move |part| drop(tell.send(part.to_owned())));
    let agent = A2aAgent::open(&over_a2a("far", &far.url)).unwrap();
    tokio::select! {
        answer = agent.consult(consult) => panic!("it does not answer: {answer:?}"),
        part = within(told.recv()) => assert_eq!(part.unwrap(), "Sleep "),
    }
    // The question has been let go of.
    let asked = far.asked_times(2).await;
    assert_eq!((&asked[1].body["method"], &asked[1].body["params"]["id"]), (&json!("CancelTask"), &json!("t")));
    assert_eq!(asked[1].headers["a2a-version"], "1.0");
}

fn events_of(pieces: &[String]) -> Response {
    let pieces: Vec<_> = pieces.iter().map(String::as_str).collect();
    stream_of(&pieces, stream::empty())
}

fn error(code: i64) -> Response {
    let error = json!({ "code": code, "message": "41.8", "data": "41.8" });
    response("application/json", json!({ "jsonrpc": "2.0", "id": "c", "error": error }).to_string())
}

fn task(state: &str) -> Value {
    json!({ "task": { "id": "t", "contextId": "c", "status": { "state": format!("TASK_STATE_{state}") } } })
}

/// Everything that can be wrong with an answer over A2A.
fn everything() -> Vec<Wrong> {
    use Ends::{Failed, Late, Refused, Unavailable};
    vec![
        wrong("status 500", || status(500), Unavailable),
        wrong("status 401", || status(401), Unavailable),
        wrong("status 400", || status(400), Refused),
        wrong("a page", || response("text/html", "<p>41.8</p>"), Failed),
        wrong("half a document", || response("application/json", "{\"result\": {\"message\": 41.8"), Failed),
        wrong("another document", || events_of(&[sent(&json!({ "message": { "parts": 41.8 } }))]), Failed),
        wrong("neither result nor error", || response("application/json", "{\"jsonrpc\":\"2.0\"}"), Failed),
        wrong("an error of its own", || error(-32603), Unavailable),
        wrong("another version", || error(-32009), Refused),
        wrong("an error that nobody knows", || error(418), Failed),
        wrong("a task that failed", || events_of(&[artifact("41.8"), stands("FAILED")]), Failed),
        wrong("a task that is rejected", || events_of(&[sent(&task("SUBMITTED")), stands("REJECTED")]), Refused),
        wrong("a task that is taken back", || events_of(&[stands("CANCELED")]), Unavailable),
        wrong("a task that wants a password", || events_of(&[stands("AUTH_REQUIRED")]), Unavailable),
        wrong(
            "a task that goes on behind its answer",
            || response("application/json", json!({ "result": task("WORKING") }).to_string()),
            Unavailable,
        ),
        wrong("nothing said", || events_of(&[artifact("  "), stands("COMPLETED")]), Failed),
        wrong("half a stream", || events_of(&[sent(&task("WORKING")), artifact("Sleep 41.8")]), Unavailable),
        wrong("silence", || response("application/json", Body::from_stream(pending())), Late),
        wrong("a stream that says nothing more", || stream_of(&[&artifact("Sleep 41.8")], pending()), Late),
        wrong("words without end", || response("text/event-stream", endless(&artifact("word "))), Failed),
        wrong("five megabytes", || events_of(&[artifact(&"word ".repeat(1024 * 1024))]), Failed),
        wrong("a disease", || events_of(&[artifact("It is diab"), artifact("etes."), stands("COMPLETED")]), Failed),
    ]
}

pub async fn whatever_an_a2a_agent_does_wrong_its_panel_goes_on_and_the_log_has_one_word(river: River) {
    let agents = |url: &str| {
        let mut far = over_a2a("far", url);
        far.guarded = true;
        Agents::none().with_a2a(far).unwrap()
    };
    each_has_one_final_word(river, agents, everything()).await;
}
