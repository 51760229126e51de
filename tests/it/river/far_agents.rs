//! Agents in other processes: on a panel with the others, and whatever they do wrong, each question has one final word.

use std::{
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use auren::{
    app::Hub,
    bus::Topic,
    config::{HttpAgentSection, Role},
    consult::{Agents, HttpAgent, HttpAgentSettings},
};
use auren_agents::{Advice, Agent, AgentError, Consult, ConversationEvent, Parts, events};
use axum::{body::Body, response::Response};
use futures::stream;
use serde_json::{Value, json};

use super::wrong::{Ends, Wrong, each_has_one_final_word, endless, pending, wrong};
use crate::support::{
    Player, River,
    far::{Far, Python, over_http, response, status, stream_of},
    message, mission_biometric, settled, speakers, stop, trigger, until, within,
};

/// A river that only converses, with this agent far away, a coach who has one sentence, and attempts that follow at once.
fn with(river: River, far: HttpAgentSettings) -> River {
    let agents = Agents::none().with_http(far).unwrap().with(Player::says("coach", "Rest today."));
    let mut river = river.roles(&[Role::Converse]).agents(agents);
    river.config.converse.agent_retry_ms = 1;
    river.config.converse.agent_attempts = 2;
    river
}

fn json_of(advice: &Value) -> Response {
    response("application/json", advice.to_string())
}

pub async fn an_agent_in_python_sits_on_a_panel_with_the_coach(mut river: River) {
    let python = Python::start();
    // As somebody configures it who has nothing but the binary.
    let sleeper = HttpAgentSection { url: python.url.clone(), topics: vec!["night".to_owned()], ..Default::default() };
    river.config.agents.http.insert("sleeper".to_owned(), sleeper);
    let said = sleeper_sits_on_a_panel(river).await;
    assert_eq!(&*said[1].content, "About hrv drop: sleep on it. I know of 0 nights.");
}

/// The agent `sleeper` of the configuration, whose topic is `night`, between the neuroscientist and the coach, and then
/// alone: what was said.
pub async fn sleeper_sits_on_a_panel(river: River) -> Vec<ConversationEvent> {
    let river = river.roles(&[Role::Converse]);
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["neuroscientist", "sleeper", "coach"])).await;
    settled(&hub).await;
    river.send(&[message("u-1", "m-1", 300, "Will it be a good night?", None)]).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["neuroscientist", "sleeper", "coach", "user", "sleeper"]);
    assert_eq!(said[1].metadata.reasons.iter().map(|why| &**why).collect::<Vec<_>>(), ["neuroscientist spoke before."]);
    assert_eq!(said[1].metadata.agent_version.as_deref(), Some("1"));
    assert_eq!(said[2].metadata.panel.clone().unwrap().read.len(), 2, "the coach has read both");
    hub.stop().await;
    said
}

pub async fn an_agent_far_away_is_told_what_the_others_are_told_and_nothing_else(river: River) {
    let far = Far::plays(|_| async { json_of(&json!({ "message": "Sleep.", "note": "said it" })) }).await;
    let mut settings = over_http("far", &far.url);
    settings.token = Some("the token".to_owned());
    let river = with(river, settings);
    let hub = river.hub().await;
    river.json(Topic::Biometrics, "user_hash", &mission_biometric()).await;
    settled(&hub).await;
    river.json(Topic::Triggers, "user_hash", &trigger("user_hash", "t-1", &["coach", "far"])).await;
    settled(&hub).await;
    river.send(&[message("user_hash", "m-1", 0, "And now?", Some("far"))]).await;
    settled(&hub).await;
    let [first, second] = &far.asked()[..] else { panic!("two questions, not {}", far.asked().len()) };
    let consult: Consult = events::parse(first.body.to_string().as_bytes()).unwrap();
    assert_eq!(first.headers["idempotency-key"], consult.id.as_str());
    assert_eq!(first.headers["authorization"], "Bearer the token");
    assert_eq!(first.headers["content-type"], "application/json");
    assert_eq!((consult.agent.as_str(), consult.user.as_str(), consult.turn), ("far", "user_hash", 1));
    assert_eq!(first.body["cause"]["kind"], "trigger");
    assert_eq!(consult.panel.iter().map(|said| &*said.message).collect::<Vec<_>>(), ["Rest today."]);
    assert!(consult.deadline <= Duration::from_secs(20) && consult.deadline > Duration::from_secs(10));
    // Of the measurement it has rank and severity, and no token.
    assert_eq!(consult.recent.len(), 1);
    assert!(!first.body.to_string().contains("TOKENIZED_PHI") && !first.body.to_string().contains("48.3"));
    assert_eq!(second.body["cause"]["text"], "And now?");
    assert_eq!(second.body["past"][1]["note"], "said it", "it is shown what it wanted to remember");
    hub.stop().await;
}

const DELTAS: &str = "event: delta\ndata: {\"text\":\"Sleep \"}\n\n: still at it\n\nevent: news\ndata: 7\n\n\
    event: delta\ndata: {\"text\":\"well.\"}\n\n";

pub async fn an_answer_that_is_streamed_is_its_last_word(river: River) {
    let far = Far::plays(|attempt| async move {
        let advice = match attempt.body["turn"].as_u64().unwrap() {
            1 => json!({ "confidence": 0.5 }),
            _ => json!({ "message": "All in all: sleep." }),
        };
        // Nothing behind the advice is waited for.
        stream_of(&[DELTAS, &format!("event: advice\ndata: {advice}\n\n")], stream::pending())
    })
    .await;
    let settings = over_http("far", &far.url);
    let river = with(river, settings.clone());
    let hub = river.hub().await;
    for id in ["t-1", "t-2"] {
        river.json(Topic::Triggers, "u-1", &trigger("u-1", id, &["far"])).await;
        settled(&hub).await;
    }
    let said = river.said().await;
    assert_eq!(said.iter().map(|event| &*event.content).collect::<Vec<_>>(), ["Sleep well.", "All in all: sleep."]);
    assert_eq!(said[0].metadata.confidence.unwrap().get().to_string(), "0.5");
    hub.stop().await;

    // Whoever looks on is told the parts as they come.
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    let mut consult: Consult = events::parse(far.asked()[0].body.to_string().as_bytes()).unwrap();
    consult.parts = Parts::to(move |part| hears.lock().unwrap().push(part.to_owned()));
    let advice = within(HttpAgent::open(&settings).unwrap().consult(consult)).await.unwrap();
    assert_eq!((&*advice.message, heard.lock().unwrap().concat()), ("Sleep well.", "Sleep well.".to_owned()));
}

/// Everything that can be wrong with an answer over HTTP.
fn everything() -> Vec<Wrong> {
    use Ends::{Failed, Late, Refused, Unavailable};
    vec![
        wrong("status 500", || status(500), Unavailable),
        wrong("status 429", || status(429), Unavailable),
        wrong("status 401", || status(401), Unavailable),
        wrong(
            "a way to somewhere else",
            || Response::builder().status(307).header("location", "http://127.0.0.1:9/").body(Body::empty()).unwrap(),
            Unavailable,
        ),
        wrong("status 422", || status(422), Refused),
        wrong("a page", || response("text/html", "<p>41.8125</p>"), Failed),
        wrong("half a document", || response("application/json", "{\"message\": \"41.8"), Failed),
        wrong("another document", || json_of(&json!({ "message": { "text": "41.8125" } })), Failed),
        wrong("a bound broken", || json_of(&json!({ "message": "Sleep.", "confidence": 41.8125 })), Failed),
        wrong("nothing said", || json_of(&json!({ "message": "  " })), Failed),
        wrong("five megabytes", || json_of(&json!({ "message": "word ".repeat(1024 * 1024) })), Failed),
        wrong("words without end", || response("application/json", endless("[\"word\",")), Failed),
        wrong(
            "a stream without end",
            || response("text/event-stream", endless("event: delta\ndata: {\"text\":\"word \"}\n\n")),
            Failed,
        ),
        wrong("half a stream", || response("text/event-stream", DELTAS), Unavailable),
        wrong(
            "a stream that breaks",
            || stream_of(&[DELTAS], stream::iter([Err(std::io::Error::other("the test wants it"))])),
            Unavailable,
        ),
        wrong(
            "a stream of nonsense",
            || response("text/event-stream", "event: delta\ndata: {\"text\":41.8125}\n\n"),
            Failed,
        ),
        wrong(
            "its own word that it cannot now",
            || response("text/event-stream", "event: error\ndata: {\"code\":\"unavailable\"}\n\n"),
            Unavailable,
        ),
        wrong(
            "its own word that it will not",
            || response("text/event-stream", "event: error\ndata: {\"code\":\"refused\"}\n\n"),
            Refused,
        ),
        wrong("silence", || response("application/json", Body::from_stream(pending())), Late),
        wrong("a stream that says nothing", || stream_of(&[DELTAS], pending()), Late),
    ]
}

pub async fn whatever_an_agent_far_away_does_wrong_its_panel_goes_on_and_the_log_has_one_word(river: River) {
    let agents = |url: &str| Agents::none().with_http(over_http("far", url)).unwrap();
    each_has_one_final_word(river, agents, everything()).await;
}

pub async fn a_guarded_agent_is_left_out_of_what_calls_for_care_and_names_no_disease(river: River) {
    let far = Far::plays(|attempt| async move {
        let unfit = attempt.body["cause"]["id"] == "m-2";
        json_of(&json!({ "message": "Sleep.", "reasons": [if unfit { "It is diabetes." } else { "It is late." }] }))
    })
    .await;
    let mut settings = over_http("far", &far.url);
    settings.guarded = true;
    let river = with(river, settings);
    let hub = river.hub().await;
    let words = ["I have had chest pain since noon", "And now?", "And tomorrow?"];
    for (number, words) in (1..).zip(words) {
        river.send(&[message("u-1", &format!("m-{number}"), number, words, Some("far"))]).await;
        settled(&hub).await;
    }
    let said = river.said().await;
    assert_eq!(speakers(&said), ["user", "far", "user", "far: agent_failed", "user", "far"]);
    assert!(said[1].content.contains("emergency number now"), "{}", &*said[1].content);
    assert_eq!(&*said[5].content, "Sleep.");
    let asked: Vec<_> = far.asked().iter().map(|attempt| attempt.body["cause"]["id"].clone()).collect();
    assert_eq!(asked, ["m-2", "m-2", "m-3"], "what may pass is asked twice");
    hub.stop().await;
}

pub async fn an_agent_far_away_speaks_to_whom_it_was_asked_about_and_to_nobody_else(river: River) {
    let far = Far::plays(|_| async {
        json_of(&json!({
            "message": "Sleep.", "user_id": "u-2", "conversation_id": "theirs", "event_id": "theirs",
            "specialist_id": "coach", "message_type": "user_input", "metadata": { "cause": "theirs" },
            "hand_off": { "to": "far", "reason": "again and again" },
        }))
    })
    .await;
    let river = with(river, over_http("far", &far.url));
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far", "coach"])).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["far", "far: hand_off_circle", "coach"]);
    assert!(said.iter().all(|event| event.user_id.as_str() == "u-1" && event.metadata.cause.as_str() == "t-1"));
    assert!(said.iter().all(|event| event.conversation_id == said[0].conversation_id));
    assert_eq!(far.asked().len(), 1);
    hub.stop().await;
}

pub async fn an_agent_far_away_that_is_gone_for_a_moment_is_asked_again_under_the_same_key(river: River) {
    let times = Arc::new(AtomicUsize::new(0));
    let far = Far::plays(move |_| {
        let time = times.fetch_add(1, Relaxed);
        async move { if time == 0 { status(503) } else { json_of(&json!({ "message": "Here I am." })) } }
    })
    .await;
    let mut gone = over_http("gone", "http://127.0.0.1:9/");
    gone.max_answer_bytes = 1024;
    let agents = Agents::none().with_http(gone).unwrap().with_http(over_http("far", &far.url)).unwrap();
    let mut river = river.roles(&[Role::Converse]).agents(agents);
    river.config.converse.agent_retry_ms = 1;
    river.config.converse.fallback_agent = "far".to_owned();
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["gone"])).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["gone: agent_unavailable", "far"]);
    assert_eq!(&*said[0].content, "The gone cannot answer at the moment. The far answers instead.");
    let keys: Vec<_> = far.asked().iter().map(|attempt| attempt.headers["idempotency-key"].clone()).collect();
    assert!(keys.len() == 2 && keys[0] == keys[1], "{keys:?}");
    hub.stop().await;
}

/// Tells when it is dropped.
struct Dropped(Arc<AtomicUsize>);

impl Drop for Dropped {
    fn drop(&mut self) {
        self.0.fetch_add(1, Relaxed);
    }
}

pub async fn a_question_that_nobody_waits_for_any_more_is_taken_back(river: River) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&dropped);
    let far = Far::plays(move |_| {
        let held = Dropped(Arc::clone(&count));
        async move {
            std::future::pending::<()>().await;
            drop(held);
            status(500)
        }
    })
    .await;
    let river = with(river, over_http("far", &far.url));
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.send(&[message("u-1", "m-1", 0, "Tell me everything", Some("far"))]).await;
    far.asked_times(1).await;
    river.send(&[stop("u-1", "s-1", 1)]).await;
    assert_eq!(speakers(ear.hears(2).await), ["user", "far: stopped"]);
    until("the connection is closed", || async { dropped.load(Relaxed) == 1 }).await;
    hub.stop().await;
}

pub async fn what_is_told_of_a_failure_repeats_neither_question_nor_answer(_: River) {
    let far = Far::plays(|_| async { json_of(&json!({ "message": 41.8125 })) }).await;
    let consult = json!({
        "id": "c-1", "agent": "far", "user_id": "u-1", "conversation_id": "k-1", "turn": 1,
        "cause": { "kind": "message", "id": "m-1", "text": "my secret" }, "at": "2024-01-01T10:00:00Z",
        "recent": [], "past": [], "panel": [], "deadline_ms": 1000,
    });
    let mut settings = over_http("far", &far.url);
    let ask = async |settings: &HttpAgentSettings| -> Result<Advice, AgentError> {
        let consult = events::parse(consult.to_string().as_bytes()).unwrap();
        within(HttpAgent::open(settings).unwrap().consult(consult)).await
    };
    assert_eq!(
        ask(&settings).await.unwrap_err(),
        AgentError::Failed("its answer cannot be used: message: must be a string".to_owned())
    );
    settings.url = "http://127.0.0.1:9/?key=secret".to_owned();
    let error = ask(&settings).await.unwrap_err().to_string();
    assert!(error.starts_with("the agent is not available: it cannot be reached: "), "{error}");
    assert!(!error.contains("secret") && error.contains("refused"), "{error}");
    settings.token = Some("two\nlines".to_owned());
    let error = HttpAgent::open(&settings).unwrap_err().to_string();
    assert_eq!(error, "its token holds characters that no header can carry");
}

pub async fn the_token_of_an_agent_far_away_may_be_in_a_file(mut river: River) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("token");
    let far = Far::plays(|attempt| async move {
        if attempt.headers["authorization"] == "Bearer from a file" {
            json_of(&json!({ "message": "Sleep." }))
        } else {
            status(401)
        }
    })
    .await;
    river = river.roles(&[Role::Converse]);
    let configured = HttpAgentSection { url: far.url.clone(), token_file: Some(file.clone()), ..Default::default() };
    river.config.agents.http.insert("far".to_owned(), configured);
    let build = || Hub::builder().config(river.config.clone()).bus(river.stage.bus.clone()).build();
    let error = build().await.unwrap_err().to_string();
    let place = format!("configuration: agents.http of far: token_file {} cannot be read: ", file.display());
    assert!(error.starts_with(&place), "{error}");
    std::fs::write(&file, " \n").unwrap();
    assert!(build().await.unwrap_err().to_string().ends_with("is empty"));
    std::fs::write(&file, "from a file\n").unwrap();
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far"])).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["far"]);
    hub.stop().await;
}
