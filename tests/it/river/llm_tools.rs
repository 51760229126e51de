//! Language models that call tools, hand a question on, and cost something.

use auren::{
    bus::Topic,
    config::Role,
    consult::{Agents, BudgetSettings, Costs},
};
use auren_agents::Tools;
use axum::response::Response;
use futures::stream;
use serde_json::{Value, json};

use crate::support::{
    Player, River,
    far::{Attempt, Far, model, response, spoken, status, stream_of},
    message, settled, speakers, trigger,
};

/// How a model calls a tool, in two parts.
fn calls(id: &str, name: &str, arguments: &str) -> Vec<String> {
    let (begins, ends) = arguments.split_at(arguments.len() / 2);
    let part = |part: Value, end: Option<&str>| {
        let chunk = json!({ "choices": [{ "delta": { "tool_calls": [part] }, "finish_reason": end }] });
        format!("data: {chunk}\n\n")
    };
    vec![
        part(json!({ "index": 0, "id": id, "function": { "name": name, "arguments": begins } }), None),
        part(json!({ "index": 0, "function": { "arguments": ends } }), Some("tool_calls")),
    ]
}

fn streams(parts: &[String]) -> Response {
    let parts: Vec<_> = parts.iter().map(String::as_str).collect();
    stream_of(&parts, stream::empty())
}

/// What its tools have told a model so far.
fn told(attempt: &Attempt) -> Vec<String> {
    let messages = attempt.body["messages"].as_array().unwrap().iter();
    messages
        .filter(|message| message["role"] == "tool")
        .map(|message| message["content"].as_str().unwrap().to_owned())
        .collect()
}

/// A model that calls these tools one after the other, and then says how many answers it has.
async fn calling(wanted: &'static [(&'static str, &'static str)]) -> Far {
    Far::plays(move |attempt| {
        let told = told(&attempt).len();
        let answer = match wanted.get(told) {
            Some((name, arguments)) => streams(&calls(&format!("call-{told}"), name, arguments)),
            None => streams(&[spoken(&format!("I looked {told} times."), Some("stop"))]),
        };
        async move { answer }
    })
    .await
}

fn with(river: River, far: &Far) -> River {
    let mut settings = model("far", &far.url);
    (settings.tools, settings.hands_off) = (Tools::shipped(), true);
    let agents = Agents::none().with_llm(settings).unwrap().with(Player::says("coach", "Rest today."));
    let mut river = river.roles(&[Role::Converse]).agents(agents);
    (river.config.converse.agent_attempts, river.config.converse.agent_retry_ms) = (2, 1);
    river
}

fn measured(user: &str, id: &str) -> Value {
    json!({
        "event_id": id, "user_id": user, "event_type": "hrv_measurement", "token": "t",
        "metadata": {
            "percentile_rank": 0.1, "severity_score": 0.7, "trend": format!("trend of {user}"), "measure": "rmssd",
            "timestamp_iso": "2024-01-01T07:00:00Z", "source_device": "watch", "measurement_context": "night",
        },
        "timestamp": "2024-01-01T07:00:00Z",
    })
}

pub async fn a_model_calls_tools_and_is_told_of_nobody_but_its_person(river: River) {
    let far = calling(&[
        ("recent_nights", r#"{"nights": 3}"#),
        ("said_before", "{}"),
        ("recent_nights", r#"{"user_id": "u-2"}"#),
    ])
    .await;
    let river = with(river, &far);
    let hub = river.hub().await;
    for user in ["u-1", "u-2"] {
        river.json(Topic::Biometrics, user, &measured(user, "e-1")).await;
    }
    settled(&hub).await;
    river.send(&[message("u-1", "m-1", 0, "How were my nights?", Some("far"))]).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!((speakers(&said), &*said[1].content), (vec!["user".to_owned(), "far".to_owned()], "I looked 3 times."));
    let asked = far.asked();
    assert_eq!(asked.len(), 4);
    let offered: Vec<_> =
        asked[0].body["tools"].as_array().unwrap().iter().map(|tool| &tool["function"]["name"]).collect();
    assert_eq!(offered, ["recent_nights", "said_before", "hand_off"]);
    let told = told(&asked[3]);
    assert!(told[0].contains("2024-01-01") && told[0].contains("trend of u-1"), "{}", told[0]);
    assert_eq!(told[1], "[]", "nothing was said before");
    assert!(told[2].contains("user_id: unknown field"), "a tool knows of no other person: {}", told[2]);
    assert!(asked.iter().all(|attempt| !attempt.body.to_string().contains("trend of u-2")));
    let keys: Vec<_> =
        asked.iter().map(|attempt| attempt.headers["idempotency-key"].to_str().unwrap().to_owned()).collect();
    let consult = said[1].metadata.consult_id.as_ref().unwrap().as_str();
    assert_eq!(keys, [consult.to_owned(), format!("{consult} 1"), format!("{consult} 2"), format!("{consult} 3")]);
    let call = &asked[1].body["messages"][2];
    assert_eq!(
        (&call["role"], &call["tool_calls"][0]["function"]["arguments"]),
        (&json!("assistant"), &json!("{\"nights\": 3}"))
    );
    hub.stop().await;
}

pub async fn what_a_model_calls_wrongly_it_is_told_and_it_answers_all_the_same(river: River) {
    let far =
        calling(&[("sing", "{}"), ("recent_nights", r#"{"nights": 3"#), ("said_before", r#"{"about": 7}"#)]).await;
    let river = with(river, &far);
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far", "coach"])).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["far", "coach"]);
    let asked = far.asked();
    let told = told(&asked[3]);
    for (told, why) in told.iter().zip(["no tool of this name", "is not JSON", "about: must be a string"]) {
        assert!(told.contains("error") && told.contains(why), "{told}");
    }
    assert_eq!(asked[3].body["tool_choice"], "none", "three calls is what it may");
    hub.stop().await;
}

pub async fn a_model_that_never_stops_calling_has_no_answer(river: River) {
    let far = Far::plays(|_| async { streams(&calls("c", "recent_nights", "{}")) }).await;
    let river = with(river, &far);
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["far", "coach"])).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["far: agent_failed", "coach"]);
    assert_eq!(far.asked().len(), 2 * 4, "each of two attempts: three calls, and one more that is too many");
    hub.stop().await;
}

pub async fn a_model_hands_a_question_on_with_words_or_without(river: River) {
    let far = Far::plays(|attempt| {
        let silent = attempt.body["messages"][1]["content"].as_str().unwrap().contains("silently");
        let answer = match (told(&attempt).len(), silent) {
            (0, _) => streams(&calls("c", "hand_off", r#"{"to": "coach", "reason": "It is a plan."}"#)),
            (_, true) => streams(&[spoken("", Some("stop"))]),
            (_, false) => streams(&[spoken("The coach knows.", Some("stop"))]),
        };
        async move { answer }
    })
    .await;
    let river = with(river, &far);
    let hub = river.hub().await;
    let asks = ["And now?", "silently"];
    for (minute, words) in (0..).zip(asks) {
        river.send(&[message("u-1", &format!("m-{minute}"), minute, words, Some("far"))]).await;
    }
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["user", "far", "coach", "user", "far: handed_on", "coach"]);
    assert_eq!(&*said[1].metadata.hand_off.as_ref().unwrap().reason, "It is a plan.");
    hub.stop().await;
}

pub async fn an_agent_that_has_spent_its_day_s_budget_is_answered_for(river: River) {
    let usage = json!({ "choices": [], "usage": { "prompt_tokens": 700, "completion_tokens": 50 } });
    let usage = format!("data: {usage}\n\n");
    let far = Far::plays(move |_| {
        let answer = streams(&[spoken("Sleep well.", Some("stop")), usage.clone(), "data: [DONE]\n\n".to_owned()]);
        async move { answer }
    })
    .await;
    let mut settings = model("far", &far.url);
    settings.budget =
        BudgetSettings { tokens_per_day: 2000, cost_per_day: 0.0, price_asked: 2.0, price_answered: 10.0 };
    let agents = Agents::none().with_llm(settings).unwrap().with(Player::says("coach", "Rest today."));
    let mut river = river.roles(&[Role::Converse]).agents(agents);
    river.config.converse.fallback_agent = "coach".to_owned();
    let hub = river.hub().await;
    for number in 0..4 {
        river.send(&[message("u-1", &format!("m-{number}"), number, "Well?", Some("far"))]).await;
        settled(&hub).await;
    }
    let said = speakers(&river.said().await);
    let answered = said.iter().filter(|who| *who == "far").count();
    assert!((1..=2).contains(&answered), "750 of 2000 each, and a prompt and an answer are set aside: {said:?}");
    assert_eq!(said[said.len() - 3..], ["user", "far: agent_spent", "coach"]);
    assert_eq!(far.asked().len(), answered, "it is not asked any more");
    assert_eq!(far.asked()[0].body["stream_options"]["include_usage"], true);
    let health = hub.agents().health().remove(0);
    let count = u64::try_from(answered).unwrap();
    assert_eq!((health.totals.answered, health.totals.spent, health.totals.failed), (count, 4 - count, 0));
    let cost = Costs { tokens_asked: 700 * count, tokens_answered: 50 * count, cost_micros: 1900 * count };
    assert_eq!(health.costs, cost);
    hub.stop().await;
}

pub async fn what_a_model_does_not_tell_of_its_tokens_is_estimated(river: River) {
    let far = Far::plays(|attempt| {
        let away = attempt.body["messages"][1]["content"].as_str().unwrap().contains("away");
        let whole = json!({ "choices": [{ "message": { "content": "Sleep well." }, "finish_reason": "stop" }] });
        async move { if away { status(503) } else { response("application/json", whole.to_string()) } }
    })
    .await;
    let mut settings = model("far", &far.url);
    settings.budget.price_answered = 1.0;
    let mut river = river.roles(&[Role::Converse]).agents(Agents::none().with_llm(settings).unwrap());
    river.config.converse.agent_attempts = 1;
    let hub = river.hub().await;
    river.send(&[message("u-1", "m-1", 0, "be away", Some("far"))]).await;
    settled(&hub).await;
    assert_eq!(hub.agents().health()[0].costs, Costs::default(), "who was not there costs nothing");
    river.send(&[message("u-1", "m-2", 1, "Well?", Some("far"))]).await;
    settled(&hub).await;
    let costs = hub.agents().health()[0].costs;
    assert!(costs.tokens_asked > 300 && costs.tokens_answered > 3, "{costs:?}");
    assert_eq!(costs.cost_micros, costs.tokens_answered);
    hub.stop().await;
}
