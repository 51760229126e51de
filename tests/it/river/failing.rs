//! All that an agent can do wrong: whatever it is, each question has one final word in the log, its panel goes on, and the
//! counters say what happened.

use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
};

use actix::{Actor, ActorContext, Context, Handler};
use auren::{
    app::Running,
    bus::Topic,
    config::Role,
    consult::{AgentHealth, AgentTotals, Agents, CircuitState},
};
use auren_agents::{Advice, AgentCard, AgentError, Consult, MessageType, Score, Text, consult::Finding};

use super::parking::passed;
use crate::support::{Door, Player, River, message, settled, speakers, stop, trigger, until};

/// A river that only converses, with these agents and a coach who has one sentence; what failed is asked again at once.
fn with(river: River, agents: Agents) -> River {
    let mut river = super::agents::with(river, agents);
    river.config.converse.agent_retry_ms = 1;
    river
}

/// How the first agent does.
fn first(hub: &Running) -> AgentHealth {
    hub.agents().health().remove(0)
}

async fn ask(river: &River, id: &str, agents: &[&str]) {
    river.json(Topic::Triggers, "u-1", &trigger("u-1", id, agents)).await;
}

/// An agent that does so the first so many times it is asked, and answers from then on; and how often it was asked.
fn at_first(times: usize, fails: impl Fn() -> AgentError + Send + Sync + 'static) -> (Player, Arc<AtomicUsize>) {
    let (asked, fails) = (Arc::new(AtomicUsize::new(0)), Arc::new(fails));
    let count = Arc::clone(&asked);
    let player = Player::new("fragile", move |_| {
        let (time, fails) = (count.fetch_add(1, Relaxed), Arc::clone(&fails));
        async move {
            tokio::task::yield_now().await;
            if time < times { Err(fails()) } else { Ok(Advice::say("Here I am.")) }
        }
    });
    (player, asked)
}

fn away() -> AgentError {
    AgentError::Unavailable("I was asked about 41.8125".to_owned())
}

pub async fn an_agent_that_hangs_has_one_final_word_and_the_others_answer(river: River) {
    let hangs = Player::new("fragile", |_| std::future::pending());
    let mut river = with(river, Agents::none().with(hangs).with(Player::says("nurse", "Drink water.")));
    river.config.converse.agent_deadline_ms = 100;
    let hub = river.hub().await;
    ask(&river, "t-1", &["nurse", "fragile", "coach"]).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["nurse", "fragile: agent_late", "coach"]);
    assert_eq!(said[1].message_type, MessageType::SystemMessage);
    assert!(said[1].metadata.consult_id.is_some() && said[1].content.contains("incomplete"), "{}", &*said[1].content);
    assert_eq!(said[2].metadata.panel.clone().unwrap().read.len(), 1);
    assert_eq!(first(&hub).totals, AgentTotals { asked: 1, late: 1, ..AgentTotals::default() });
    hub.stop().await;
}

pub async fn an_agent_that_hangs_when_it_is_asked_again_is_late_all_the_same(river: River) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&asked);
    let fragile = Player::new("fragile", move |_| {
        let time = count.fetch_add(1, Relaxed);
        async move { if time == 0 { Err(away()) } else { std::future::pending().await } }
    });
    let mut river = with(river, Agents::none().with(fragile));
    river.config.converse.agent_deadline_ms = 300;
    let hub = river.hub().await;
    ask(&river, "t-1", &["fragile", "coach"]).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["fragile: agent_late", "coach"]);
    assert_eq!(asked.load(Relaxed), 2);
    assert_eq!(first(&hub).totals, AgentTotals { asked: 1, retried: 1, late: 1, ..AgentTotals::default() });
    hub.stop().await;
}

/// An agent that fails so twice and answers the third time; its failures cost so many restarts.
async fn answers_at_the_third_attempt(
    river: River,
    fails: impl Fn() -> AgentError + Send + Sync + 'static,
    restarts: u64,
) {
    let (fragile, asked) = at_first(2, fails);
    let river = with(river, Agents::none().with(fragile));
    let hub = river.hub().await;
    ask(&river, "t-1", &["fragile", "coach"]).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["fragile", "coach"]);
    assert_eq!(asked.load(Relaxed), 3);
    let counted = AgentTotals { asked: 1, retried: 2, answered: 1, restarts, ..AgentTotals::default() };
    assert_eq!(first(&hub).totals, counted);
    hub.stop().await;
}

pub async fn an_agent_that_panics_is_started_again_and_asked_again(river: River) {
    answers_at_the_third_attempt(river, || panic!("the test wants it"), 2).await;
}

pub async fn a_question_that_breaks_an_agent_is_given_up_after_its_attempts(river: River) {
    let (fragile, asked) = at_first(3, || panic!("the test wants it"));
    let river = with(river, Agents::none().with(fragile));
    let hub = river.hub().await;
    ask(&river, "t-1", &["fragile", "coach"]).await;
    ask(&river, "t-2", &["coach"]).await;
    settled(&hub).await;
    ask(&river, "t-3", &["fragile"]).await;
    settled(&hub).await;
    let mut said = speakers(&river.said().await);
    assert_eq!(said.pop().unwrap(), "fragile");
    said.sort();
    assert_eq!(said, ["coach", "coach", "fragile: agent_failed"]);
    assert_eq!((asked.load(Relaxed), first(&hub).totals.failed), (4, 1));
    hub.stop().await;
}

pub async fn an_agent_that_is_away_for_a_moment_answers_once(river: River) {
    answers_at_the_third_attempt(river, away, 0).await;
}

pub async fn an_agent_that_refuses_is_not_asked_again(river: River) {
    let (fragile, asked) = at_first(1, || AgentError::Refused("No.".to_owned()));
    let river = with(river, Agents::none().with(fragile));
    let hub = river.hub().await;
    ask(&river, "t-1", &["fragile"]).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["fragile: agent_failed"]);
    assert_eq!(asked.load(Relaxed), 1);
    assert_eq!(first(&hub).totals, AgentTotals { asked: 1, refused: 1, ..AgentTotals::default() });
    hub.stop().await;
}

pub async fn an_agent_that_keeps_failing_is_left_alone_until_it_answers_again(river: River) {
    let back = Arc::new(AtomicBool::new(false));
    let asked = Arc::new(AtomicUsize::new(0));
    let (is_back, count) = (Arc::clone(&back), Arc::clone(&asked));
    let fragile = Player::new("fragile", move |_| {
        count.fetch_add(1, Relaxed);
        let answer = if is_back.load(Relaxed) { Ok(Advice::say("Here I am.")) } else { Err(away()) };
        async move { answer }
    });
    let mut river = with(river, Agents::none().with(fragile));
    river.config.converse.agent_attempts = 1;
    river.config.converse.agent_circuit_failures = 2;
    river.config.converse.agent_circuit_ms = 3000;
    let hub = river.hub().await;
    let mut ear = river.listen();
    for id in ["t-1", "t-2", "t-3"] {
        ask(&river, id, &["fragile", "coach"]).await;
    }
    let unavailable = "fragile: agent_unavailable";
    let said = ear.hears(6).await;
    assert_eq!(speakers(said), [unavailable, "coach", unavailable, "coach", unavailable, "coach"]);
    assert!(said.iter().all(|said| !said.content.contains("41.8125")));
    assert_eq!(asked.load(Relaxed), 2, "the third was answered without it");
    let health = first(&hub);
    assert_eq!((health.circuit, health.totals.unavailable, health.totals.turned_away), (CircuitState::Open, 2, 1));
    // Whoever asks next, once the pause is over, tries for all.
    back.store(true, Relaxed);
    for number in 4.. {
        ask(&river, &format!("t-{number}"), &["fragile"]).await;
        let said = ear.hears(3 + number).await;
        if speakers(said).last().unwrap() == "fragile" {
            break;
        }
    }
    assert_eq!(asked.load(Relaxed), 3);
    assert_eq!((first(&hub).circuit, first(&hub).totals.answered), (CircuitState::Closed, 1));
    hub.stop().await;
}

pub async fn more_open_questions_than_an_agent_may_have_are_answered_at_once(river: River) {
    let door = Door::closed();
    let mut river = with(river, Agents::none().with(Player::behind("slow", &door)));
    river.config.converse.agent_max_open = 1;
    let hub = river.hub().await;
    ask(&river, "t-1", &["slow"]).await;
    door.asked_times(1).await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-2", &trigger("u-2", "t-2", &["slow"])).await;
    assert_eq!(speakers(ear.hears(1).await), ["slow: agent_unavailable"]);
    assert_eq!((first(&hub).open, first(&hub).totals.busy), (1, 1));
    door.lets(1);
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["slow", "slow: agent_unavailable"]);
    assert_eq!((first(&hub).open, first(&hub).circuit), (0, CircuitState::Closed));
    hub.stop().await;
}

pub async fn another_agent_answers_in_the_place_of_one_that_does_not(river: River) {
    let refuses = || AgentError::Refused("No.".to_owned());
    let mut river = with(river, Agents::none().with(at_first(usize::MAX, refuses).0));
    river.config.converse.fallback_agent = "coach".to_owned();
    let hub = river.hub().await;
    ask(&river, "t-1", &["fragile"]).await;
    ask(&river, "t-2", &["fragile", "coach"]).await;
    settled(&hub).await;
    let said = river.said().await;
    let failed = "fragile: agent_failed";
    assert_eq!(speakers(&said), [failed, "coach", failed, "coach"]);
    assert_eq!(&*said[0].content, "The fragile could not answer. The coach answers instead.");
    assert_eq!(&*said[2].content, "The fragile could not answer. This answer is therefore incomplete.");
    hub.stop().await;
}

pub async fn an_agent_that_answers_for_two_nodes_is_heard_once(river: River) {
    let door = Door::closed();
    let river = with(river, Agents::none().with(Player::behind("slow", &door)));
    let one = river.node("node-1").await;
    for user in ["u-1", "u-2", "u-3", "u-4"] {
        river.json(Topic::Triggers, user, &trigger(user, "t-1", &["slow"])).await;
    }
    door.asked_times(4).await;
    until("all wait", || async { one.stats(Role::Converse).unwrap().totals().open == 4 }).await;
    // Whom the second node takes over it asks for again, and then there are two answers to one question.
    let two = river.node("node-2").await;
    let asked = door.asked_times(5).await;
    let again = asked[..4].iter().filter(|first| asked[4..].iter().any(|next| next.id == first.id)).count();
    assert!(again > 0, "it is the same question");
    door.lets(100);
    let mut ear = river.listen();
    ear.hears(4).await;
    until("nobody waits", || async { [&one, &two].iter().all(|hub| first(hub).open == 0) }).await;
    for (number, user) in (0..).zip(["u-1", "u-2", "u-3", "u-4"]) {
        river.send(&[message(user, "m-1", number, "And now?", Some("coach"))]).await;
    }
    let said = ear.hears(12).await;
    assert_eq!(said.iter().filter(|event| event.specialist_id.as_str() == "slow").count(), 4);
    one.stop().await;
    two.stop().await;
}

pub async fn what_waited_for_its_next_attempt_when_its_hub_died_is_asked_again_at_once(river: River) {
    let (fragile, asked) = at_first(1, away);
    let mut river = with(river, Agents::none().with(fragile));
    river.config.converse.agent_retry_ms = 600_000;
    river.config.converse.agent_deadline_ms = 3_600_000;
    let hub = river.apart().await;
    ask(&river, "t-1", &["fragile", "coach"]).await;
    passed(&river, "u-1").await;
    assert_eq!(asked.load(Relaxed), 1);
    hub.abandon();
    let hub = river.hub().await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["fragile", "coach"]);
    assert_eq!(asked.load(Relaxed), 2);
    hub.stop().await;
}

pub async fn a_stopped_turn_is_not_asked_again(river: River) {
    let (fragile, asked) = at_first(usize::MAX, away);
    let mut river = with(river, Agents::none().with(fragile));
    river.config.converse.agent_attempts = 100;
    river.config.converse.agent_retry_ms = 1000;
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.send(&[message("u-1", "m-1", 0, "Tell me", Some("fragile")), stop("u-1", "s-1", 1)]).await;
    assert_eq!(speakers(ear.hears(2).await), ["user", "fragile: stopped"]);
    until("the question is dropped", || async { first(&hub).totals.abandoned == 1 }).await;
    assert_eq!((asked.load(Relaxed), first(&hub).open), (1, 0));
    hub.stop().await;
}

pub async fn an_answer_of_five_megabytes_is_cut_to_what_a_record_takes(river: River) {
    let endless = Player::new("fragile", |_| async {
        let text = || "word ".repeat(1024 * 1024);
        let finding = Finding {
            subject: Text::cut(text()),
            statement: Text::cut(text()),
            confidence: Score::clamped(0.5),
            events: Vec::new(),
            alternatives: Vec::new(),
        };
        Ok(Advice { findings: vec![finding; 10_000], ..Advice::say(text()) })
    });
    let river = with(river, Agents::none().with(endless));
    let hub = river.hub().await;
    ask(&river, "t-1", &["fragile", "coach"]).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["fragile", "coach"]);
    assert!(said[0].content.len() <= 16384 && said[0].content.ends_with('…'), "{} bytes", said[0].content.len());
    assert_eq!(said[0].metadata.findings.len(), 16);
    assert!(river.stage.all(Topic::TriggersDlq).await.is_empty());
    hub.stop().await;
}

/// An actor that ends with its first answer.
struct Mayfly;

impl Actor for Mayfly {
    type Context = Context<Self>;
}

/// Sent by the session actors; answered once.
impl Handler<Consult> for Mayfly {
    type Result = Result<Advice, AgentError>;

    fn handle(&mut self, _: Consult, ctx: &mut Self::Context) -> Self::Result {
        ctx.stop();
        Ok(Advice::say("Carpe diem."))
    }
}

fn mayfly() -> AgentCard {
    AgentCard::new("mayfly", "1", "Lives for a day.")
}

pub async fn an_actor_that_has_ended_is_started_again_where_the_hub_knows_how(river: River) {
    let river = with(river, Agents::none().with_recipient_from(mayfly(), || Mayfly.start().recipient()));
    let hub = river.hub().await;
    for id in ["t-1", "t-2", "t-3"] {
        ask(&river, id, &["mayfly"]).await;
        settled(&hub).await;
    }
    assert_eq!(speakers(&river.said().await), ["mayfly"; 3]);
    assert_eq!((first(&hub).totals.answered, first(&hub).totals.restarts), (3, 2));
    hub.stop().await;
}

pub async fn an_actor_that_has_ended_for_good_opens_its_circuit(river: River) {
    let mut river = with(river, Agents::none().with_recipient(mayfly(), Mayfly.start().recipient()));
    river.config.converse.agent_circuit_failures = 2;
    river.config.converse.agent_circuit_ms = 3_600_000;
    let hub = river.hub().await;
    for id in ["t-1", "t-2", "t-3", "t-4"] {
        ask(&river, id, &["mayfly", "coach"]).await;
        settled(&hub).await;
    }
    let (failed, unavailable) = ("mayfly: agent_failed", "mayfly: agent_unavailable");
    assert_eq!(
        speakers(&river.said().await),
        ["mayfly", "coach", failed, "coach", failed, "coach", unavailable, "coach"]
    );
    let health = first(&hub);
    assert_eq!((health.circuit, health.totals.failed, health.totals.turned_away), (CircuitState::Open, 2, 1));
    hub.stop().await;
}
