//! An agent that asks another to go on: the other is asked in the same turn, once, and what leads nowhere is said.

use auren::{bus::Topic, config::Role, consult::Agents};
use auren_agents::{Advice, AgentId, Consult, ConversationEvent, EventId, HandOff, Text};

use super::parking::passed;
use crate::support::{Door, Player, River, message, settled, speakers, trigger};

/// Says something, and asks another to go on.
fn hands(name: &str, words: &'static str, to: &'static str) -> Player {
    Player::new(name, move |_| async move {
        let hand_off = HandOff { to: AgentId::new(to).unwrap(), reason: Text::cut("It is theirs.") };
        Ok(Advice { hand_off: Some(hand_off), ..Advice::say(words) })
    })
}

fn with(river: River, agents: Agents) -> River {
    river.roles(&[Role::Converse]).agents(agents.with(Player::says("coach", "Rest today.")))
}

/// What is said to one trigger for these agents.
async fn said(river: &River, agents: &[&str]) -> Vec<ConversationEvent> {
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", agents)).await;
    settled(&hub).await;
    hub.stop().await;
    river.said().await
}

fn read(event: &ConversationEvent) -> Vec<EventId> {
    event.metadata.panel.clone().unwrap().read
}

fn missing(event: &ConversationEvent) -> Vec<String> {
    event.metadata.panel.iter().flat_map(|seat| &seat.missing).map(AgentId::to_string).collect()
}

pub async fn an_agent_that_is_handed_the_turn_goes_on_in_it_and_knows_why(river: River) {
    let door = Door::closed();
    door.lets(9);
    let agents =
        Agents::none().with(hands("scout", "It is about sleep.", "night")).with(Player::behind("night", &door));
    let river = with(river, agents);
    let said = said(&river, &["scout", "coach"]).await;
    assert_eq!(speakers(&said), ["scout", "night", "coach"], "before whoever sits behind");
    assert_eq!(said[0].metadata.hand_off.as_ref().unwrap().to.as_str(), "night");
    assert_eq!((read(&said[1]), read(&said[2]).len()), (vec![said[0].event_id.clone()], 2));
    assert!(said.iter().all(|event| event.metadata.turn == 1 && event.metadata.panel.as_ref().unwrap().seats == 3));
    let [consult]: [Consult; 1] = door.asked().try_into().unwrap();
    let why = consult.panel[0].hand_off.as_ref().unwrap();
    assert_eq!((why.to.as_str(), &*why.reason), ("night", "It is theirs."));
    assert_eq!(Some(&consult.id), said[1].metadata.consult_id.as_ref());
}

pub async fn an_agent_that_is_to_come_anyway_comes_sooner(river: River) {
    let agents = Agents::none().with(hands("scout", "Ask the coach.", "coach")).with(Player::says("night", "Sleep."));
    let said = said(&with(river, agents), &["scout", "night", "coach"]).await;
    assert_eq!(speakers(&said), ["scout", "coach", "night"]);
}

pub async fn a_hand_off_in_a_circle_ends_and_the_person_has_their_answers(river: River) {
    let agents = Agents::none()
        .with(hands("scout", "Not mine.", "night"))
        .with(hands("night", "Nor mine.", "scout"))
        .with(hands("vain", "Mine, mine.", "vain"));
    let river = with(river, agents);
    let said = said(&river, &["scout", "vain"]).await;
    let expected = ["scout", "night", "night: hand_off_circle", "vain", "vain: hand_off_circle"];
    assert_eq!(speakers(&said), expected);
    assert_eq!(&*said[2].content, "The scout has been asked already and does not go on.");
    assert!(said.iter().all(|event| missing(event).is_empty()), "everybody who was asked has answered");
}

pub async fn a_hand_off_to_nobody_or_once_too_often_is_said(river: River) {
    let agents = Agents::none().with(hands("a", "Not mine.", "b")).with(hands("b", "Nor mine.", "coach")).with(hands(
        "lost",
        "Ask the stars.",
        "astrologer",
    ));
    let mut river = with(river, agents);
    river.config.converse.max_hand_offs = 1;
    let said = said(&river, &["a", "lost"]).await;
    assert_eq!(speakers(&said), ["a", "b", "b: hand_off_limit", "lost", "lost: hand_off_unknown"]);
    assert!(said[4].content.contains("astrologer"), "{}", &*said[4].content);
}

pub async fn a_question_that_is_only_passed_on_is_answered(river: River) {
    let router = Player::new("router", |consult| async move {
        let about_sleep = format!("{:?}", consult.cause).contains("sleep");
        let to = AgentId::new(if about_sleep { "night" } else { "coach" }).unwrap();
        Ok(Advice { hand_off: Some(HandOff { to, reason: Text::cut("") }), ..Advice::default() })
    });
    let night = Player::says("night", "Sleep well.").topics(&["run"]);
    let mut river = with(river, Agents::none().with(router).with(night));
    river.config.converse.routing.retain(|way| *way == auren::converse::Route::Mention);
    river.config.converse.default_agent = "router".to_owned();
    let hub = river.hub().await;
    let asks = ["my sleep", "my run", "@night hello"];
    for (minute, words) in (0..).zip(asks) {
        river.send(&[message("u-1", &format!("m-{minute}"), minute, words, None)]).await;
    }
    settled(&hub).await;
    let said = river.said().await;
    let passed = "router: handed_on";
    assert_eq!(speakers(&said), ["user", passed, "night", "user", passed, "coach", "user", "night"]);
    assert!(said[1].metadata.consult_id.is_some() && &*said[1].content == "The night goes on.");
    assert!(read(&said[2]).is_empty(), "nothing was said that could be read");
    hub.stop().await;
}

pub async fn a_question_passed_on_in_a_circle_is_answered_by_somebody_else(river: River) {
    let agents = Agents::none().with(hands("a", "", "b")).with(hands("b", " ", "a")).with(hands("c", "", "nobody"));
    let river = with(river, agents);
    let hub = river.hub().await;
    river.send(&[message("u-1", "m-1", 0, "Hello", Some("a")), message("u-1", "m-2", 1, "Hello", Some("c"))]).await;
    settled(&hub).await;
    let said = river.said().await;
    let expected = ["user", "a: handed_on", "b: hand_off_circle", "coach", "user", "c: hand_off_unknown", "coach"];
    assert_eq!(speakers(&said), expected);
    assert!(said[2].content.ends_with("The coach answers instead."), "{}", &*said[2].content);
    assert_eq!(missing(&said[3]), ["b"]);
    hub.stop().await;
}

pub async fn what_was_handed_on_when_its_hub_died_is_asked_again_and_answered_once(river: River) {
    let door = Door::closed();
    let agents =
        Agents::none().with(hands("scout", "It is about sleep.", "night")).with(Player::behind("night", &door));
    let river = with(river, agents);
    let hub = river.apart().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["scout", "coach"])).await;
    door.asked_times(1).await;
    passed(&river, "u-1").await;
    hub.abandon();
    let hub = river.hub().await;
    let asked = door.asked_times(2).await;
    assert_eq!(asked[0].id, asked[1].id, "it is the same question");
    assert_eq!(asked[0].panel, asked[1].panel, "which knows why it is asked");
    door.lets(2);
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["scout", "night", "coach"]);
    hub.stop().await;
}
