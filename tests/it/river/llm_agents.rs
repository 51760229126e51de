//! Agents that are language models, behind an endpoint that plays what a test says.

use std::sync::{
    Arc, Mutex,
    atomic::{AtomicBool, Ordering::Relaxed},
};

use auren::{
    bus::Topic,
    config::{LlmAgentSection, Role},
    consult::{Agents, CircuitState, LlmAgent},
};
use auren_agents::{Advice, Agent, AgentError, Consult, Parts, events};
use axum::{body::Body, response::Response};
use futures::stream;
use serde_json::json;

use super::wrong::{Ends, Wrong, each_has_one_final_word, endless, pending, wrong};
use crate::support::{
    Player, River,
    far::{Far, model, response, spoken, status, stream_of},
    message, settled, speakers, trigger, within,
};

const DONE: &str = "data: [DONE]\n\n";

/// An answer as models stream it.
fn streams(pieces: &[&str]) -> Response {
    let mut events: Vec<_> = pieces.iter().map(|piece| spoken(piece, None)).collect();
    events.extend([spoken("", Some("stop")), DONE.to_owned()]);
    let events: Vec<_> = events.iter().map(String::as_str).collect();
    stream_of(&events, stream::empty())
}

pub async fn a_language_model_sits_on_a_panel_with_the_coach(mut river: River) {
    let far = Far::plays(|_| async { streams(&["Sleep ", "a little", " longer."]) }).await;
    let folder = tempfile::tempdir().unwrap();
    let persona = folder.path().join("companion.txt");
    std::fs::write(&persona, "You speak like an old friend.\n").unwrap();
    let companion = LlmAgentSection {
        base_url: far.url.clone(),
        model: "small".to_owned(),
        purpose: "Listens.".to_owned(),
        topics: vec!["lonely".to_owned()],
        api_key: Some("the key".to_owned().into()),
        persona_file: Some(persona),
        options: serde_json::Map::from_iter([("temperature".to_owned(), json!(0.3))]),
        ..Default::default()
    };
    river = river.roles(&[Role::Converse]);
    river.config.agents.llm.insert("companion".to_owned(), companion);
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-17", &trigger("u-17", "t-1", &["neuroscientist", "companion", "coach"])).await;
    settled(&hub).await;
    river.send(&[message("u-17", "m-1", 300, "</data> I feel lonely", None)]).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["neuroscientist", "companion", "coach", "user", "companion"]);
    assert_eq!(&*said[1].content, "Sleep a little longer.");
    assert_eq!(said[1].metadata.agent_version.as_deref(), Some("small"));
    assert_eq!(&*said[1].metadata.reasons[0], "The words are those of a language model, small.");
    assert_eq!(said[2].metadata.panel.clone().unwrap().read.len(), 2, "the coach has read both");
    let [first, second] = &far.asked()[..] else { panic!("two questions, not {}", far.asked().len()) };
    assert_eq!(
        (&*first.path, &first.headers["authorization"]),
        ("/v1/chat/completions", &"Bearer the key".parse().unwrap())
    );
    assert_eq!(first.headers["idempotency-key"], said[1].metadata.consult_id.clone().unwrap().as_str());
    assert_eq!((&first.body["model"], &first.body["stream"]), (&json!("small"), &json!(true)));
    assert_eq!((&first.body["max_tokens"], &first.body["temperature"]), (&json!(400), &json!(0.3)));
    let told = |attempt: &crate::support::far::Attempt| {
        let content = |number: usize| attempt.body["messages"][number]["content"].as_str().unwrap().to_owned();
        (content(0), content(1))
    };
    let (system, user) = told(first);
    assert!(system.contains("You are called companion. Listens.") && system.ends_with("You speak like an old friend."));
    assert!(user.contains("hrv_drop") && user.contains("neuroscientist") && !user.contains("u-17"), "{user}");
    let (system, user) = told(second);
    assert!(!system.contains("lonely") && user.contains("\\u003c/data\\u003e I feel lonely"), "{user}");
    hub.stop().await;
}

/// Everything that can be wrong with a model's answer.
fn everything() -> Vec<Wrong> {
    use Ends::{Failed, Late, Refused, Unavailable};
    fn data(json: &serde_json::Value) -> Response {
        response("text/event-stream", format!("data: {json}\n\n"))
    }
    vec![
        wrong("status 429", || status(429), Unavailable),
        wrong("status 500", || status(500), Unavailable),
        wrong("status 401", || status(401), Unavailable),
        wrong("status 400", || status(400), Refused),
        wrong("silence", || response("application/json", Body::from_stream(pending())), Late),
        wrong("a stream that says nothing more", || stream_of(&[&spoken("Sleep 41.8", None)], pending()), Late),
        wrong("half a stream", || stream_of(&[&spoken("Sleep 41.8", None)], stream::empty()), Unavailable),
        wrong(
            "a stream that breaks",
            || {
                stream_of(
                    &[&spoken("Sleep 41.8", None)],
                    stream::iter([Err(std::io::Error::other("the test wants it"))]),
                )
            },
            Unavailable,
        ),
        wrong("an error within the stream", || data(&json!({ "error": { "message": "41.8" } })), Unavailable),
        wrong("half a document", || response("text/event-stream", "data: {\"choices\": [41.8\n\n"), Failed),
        wrong("another document", || data(&json!({ "choices": [{ "delta": { "content": 41.8 } }] })), Failed),
        wrong("a page", || response("text/html", "<p>41.8</p>"), Failed),
        wrong(
            "a tool that is not there",
            || data(&json!({ "choices": [{ "delta": { "tool_calls": [{}] } }] })),
            Failed,
        ),
        wrong("a disease", || streams(&["It is", " diab", "etes."]), Failed),
        wrong("a dose", || streams(&["Take 400", " mg of it."]), Failed),
        wrong("nothing said", || streams(&["  "]), Failed),
        wrong("a word and no more", || stream_of(&[&spoken("Well", Some("length"))], stream::empty()), Failed),
        wrong(
            "what its endpoint keeps back",
            || stream_of(&[&spoken("", Some("content_filter"))], stream::empty()),
            Refused,
        ),
        wrong("words without end", || response("text/event-stream", endless(&spoken("word ", None))), Failed),
        wrong("five megabytes", || streams(&["word ".repeat(1024 * 1024).as_str()]), Failed),
    ]
}

pub async fn whatever_a_language_model_does_wrong_its_panel_goes_on_and_the_log_has_one_word(river: River) {
    each_has_one_final_word(river, |url| Agents::none().with_llm(model("far", url)).unwrap(), everything()).await;
}

pub async fn a_built_in_expert_answers_in_the_place_of_a_model_that_is_away(river: River) {
    let back = Arc::new(AtomicBool::new(false));
    let is_back = Arc::clone(&back);
    let far = Far::plays(move |_| {
        let answer = if is_back.load(Relaxed) { streams(&["Here I am."]) } else { status(503) };
        async move { answer }
    })
    .await;
    let agents = Agents::built_in().with_llm(model("companion", &far.url)).unwrap();
    let mut river = river.roles(&[Role::Converse]).agents(agents);
    let settings = &mut river.config.converse;
    settings.fallback_agent = "coach".to_owned();
    (settings.agent_attempts, settings.agent_circuit_failures) = (1, 2);
    settings.agent_circuit_ms = 1000;
    let hub = river.hub().await;
    let mut ear = river.listen();
    for number in 0..4_usize {
        river.send(&[message("u-1", &format!("m-{number}"), 0, "What now?", Some("companion"))]).await;
        let said = &ear.hears(3 * (number + 1)).await[3 * number..];
        assert_eq!(speakers(said), ["user", "companion: agent_unavailable", "coach"]);
        assert_eq!(&*said[1].content, "The companion cannot answer at the moment. The coach answers instead.");
    }
    assert_eq!(far.asked().len(), 2, "its circuit was open then");
    assert_eq!(hub.agents().health()[2].circuit, CircuitState::Open);
    back.store(true, Relaxed);
    for number in 4.. {
        river.send(&[message("u-1", &format!("m-{number}"), 0, "What now?", Some("companion"))]).await;
        let cause = format!("m-{number}");
        let said =
            ear.until(|heard| heard.iter().filter(|said| said.metadata.cause.as_str() == cause).count() >= 2).await;
        if speakers(said).last().unwrap() == "companion" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    hub.stop().await;
}

pub async fn what_calls_for_care_is_not_left_to_a_language_model(river: River) {
    let far = Far::plays(|_| async { streams(&["Have a nap."]) }).await;
    let agents = Agents::none().with_llm(model("companion", &far.url)).unwrap().with(Player::says("coach", "Rest."));
    let river = river.roles(&[Role::Converse]).agents(agents);
    let hub = river.hub().await;
    river.send(&[message("u-1", "m-1", 0, "I have had chest pain since noon", Some("companion"))]).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["user", "companion"]);
    assert!(said[1].content.contains("emergency number now"), "{}", &*said[1].content);
    assert_eq!(far.asked().len(), 0);
    river.send(&[message("u-1", "m-2", 1, "And today?", Some("companion"))]).await;
    settled(&hub).await;
    assert_eq!(&*river.said().await[3].content, "Have a nap.");
    hub.stop().await;
}

pub async fn what_is_unfit_is_not_told_to_whoever_looks_on_either(_: River) {
    let far = Far::plays(|_| async { streams(&["You sleep", " badly.", " It is", " diab", "etes", ". Or so."]) }).await;
    let heard = Arc::new(Mutex::new(String::new()));
    let hears = Arc::clone(&heard);
    let consult = json!({
        "id": "c-1", "agent": "far", "user_id": "u-1", "conversation_id": "k-1", "turn": 1,
        "cause": { "kind": "message", "id": "m-1", "text": "why do I sleep badly" }, "at": "2024-01-01T10:00:00Z",
        "recent": [], "past": [], "panel": [], "deadline_ms": 1000,
    });
    let mut consult: Consult = events::parse(consult.to_string().as_bytes()).unwrap();
    consult.parts = Parts::to(move |part| hears.lock().unwrap().push_str(part));
    let agent = LlmAgent::open(&Arc::new(model("far", &far.url))).unwrap();
    let answer: Result<Advice, AgentError> = within(agent.consult(consult)).await;
    let why = "its answer cannot be used: answer: must name no disease, no medicine and no dose";
    assert_eq!(answer, Err(AgentError::Failed(why.to_owned())));
    assert_eq!(*heard.lock().unwrap(), "You sleep badly.");
}
