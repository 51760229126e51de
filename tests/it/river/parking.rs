//! A consult that does not answer at once is parked: its cause is committed without it, and it is asked again whenever
//! whoever waited for it is gone.

use std::collections::BTreeMap;

use auren::{
    app::Running,
    bus::{Topic, key_partition},
    config::Role,
    consult::Agents,
};
use auren_agents::Consult;

use crate::support::{Door, Player, River, message, settled, speakers, stop, trigger, until};

fn with(river: River, door: &Door) -> River {
    let agents = Agents::none().with(Player::behind("slow", door)).with(Player::says("coach", "Rest today."));
    river.roles(&[Role::Converse]).agents(agents)
}

/// Waits until the trigger that stands alone in its topic is committed as read.
pub async fn passed(river: &River, user: &str) {
    let home = BTreeMap::from([(key_partition(user.as_bytes(), 2), 1)]);
    let group = Role::Converse.group();
    until("the trigger's offset is committed", || async {
        river.stage.bus.committed(group, Topic::Triggers).await.unwrap() == home
    })
    .await;
}

/// A trigger whose first agent keeps the door closed: its offset is committed, its panel open.
async fn parks_a_trigger(river: &River, door: &Door) {
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow", "coach"])).await;
    door.asked_times(1).await;
    passed(river, "u-1").await;
}

fn ids(consults: &[Consult]) -> Vec<&str> {
    consults.iter().map(|consult| consult.id.as_str()).collect()
}

pub async fn a_parked_answer_has_a_commit_of_its_own(river: River) {
    let door = Door::closed();
    let river = with(river, &door);
    let hub = river.hub().await;
    parks_a_trigger(&river, &door).await;
    assert_eq!(hub.stats(Role::Converse).unwrap().totals().open, 1);
    assert_eq!(river.said().await.len(), 0);
    door.lets(1);
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["slow", "coach"]);
    assert_eq!(said[1].metadata.panel.clone().unwrap().read, [said[0].event_id.clone()]);
    assert_eq!(ids(&door.asked()).len(), 1);
    hub.stop().await;
}

pub async fn what_was_open_when_its_hub_died_is_asked_again_and_answered_once(river: River) {
    let door = Door::closed();
    let river = with(river, &door);
    let hub = river.apart().await;
    parks_a_trigger(&river, &door).await;
    hub.abandon();
    asked_again_and_answered_once(&river, &door).await;
}

pub async fn what_was_open_when_its_hub_stopped_is_asked_again_and_answered_once(river: River) {
    let door = Door::closed();
    let river = with(river, &door);
    let hub = river.hub().await;
    parks_a_trigger(&river, &door).await;
    hub.stop().await;
    asked_again_and_answered_once(&river, &door).await;
}

async fn asked_again_and_answered_once(river: &River, door: &Door) {
    let hub = river.hub().await;
    let asked = door.asked_times(2).await;
    assert_eq!(ids(&asked)[0], ids(&asked)[1], "it is the same question");
    door.lets(2);
    settled(&hub).await;
    // Whoever comes later changes nothing either.
    river.send(&[message("u-1", "m-1", 0, "And now?", Some("coach"))]).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["slow", "coach", "user", "coach"]);
    assert_eq!(door.asked().len(), 2);
    hub.stop().await;
}

pub async fn several_open_questions_are_asked_again_in_their_order(river: River) {
    let door = Door::closed();
    let river = with(river, &door);
    let hub = river.hub().await;
    for id in ["t-1", "t-2", "t-3"] {
        river.json(Topic::Triggers, "u-1", &trigger("u-1", id, &["slow"])).await;
    }
    door.asked_times(3).await;
    settled_but(&hub, 1).await;
    hub.stop().await;
    let hub = river.hub().await;
    let asked = door.asked_times(6).await;
    assert_eq!(ids(&asked)[..3], ids(&asked)[3..]);
    door.lets(6);
    settled(&hub).await;
    let causes: Vec<_> = river.said().await.iter().map(|event| event.metadata.cause.to_string()).collect();
    assert_eq!(causes, ["t-1", "t-2", "t-3"]);
    hub.stop().await;
}

/// Waits until so many sessions wait for an agent and nothing else is left to commit.
async fn settled_but(hub: &Running, open: u64) {
    until("the rest is committed", || async {
        let totals = hub.stats(Role::Converse).unwrap().totals();
        totals.open == open && totals.unfinished == 0
    })
    .await;
}

pub async fn a_person_who_asks_too_much_at_once_is_told_so(river: River) {
    let door = Door::closed();
    let river = with(river, &door);
    let hub = river.hub().await;
    let mut ear = river.listen();
    let asked: Vec<_> = (0..9).map(|n| message("u-1", &format!("m-{n}"), n, "Tell me", Some("slow"))).collect();
    river.send(&asked).await;
    let said = ear.hears(10).await;
    assert_eq!(speakers(&said[8..]), ["user", "slow: busy"]);
    door.lets(8);
    settled(&hub).await;
    let answers = speakers(&river.said().await).into_iter().filter(|who| who == "slow").count();
    assert_eq!((answers, door.asked().len()), (8, 8));
    hub.stop().await;
}

pub async fn a_stopped_turn_is_not_answered_any_more(river: River) {
    let door = Door::closed();
    let river = with(river, &door);
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.send(&[message("u-1", "m-1", 0, "Tell me everything", Some("slow"))]).await;
    assert_eq!(speakers(ear.hears(1).await), ["user"]);
    let turn = ear.heard[0].metadata.turn;
    door.asked_times(1).await;
    river.send(&[stop("u-1", "s-1", turn + 1), stop("u-1", "s-2", turn), stop("u-1", "s-3", turn)]).await;
    assert_eq!(speakers(ear.hears(2).await), ["user", "slow: stopped"]);
    assert_eq!(hub.stats(Role::Converse).unwrap().totals().open, 0);
    until("the agent is let go", || async { hub.agents().health().iter().all(|agent| agent.open == 0) }).await;
    door.lets(1);
    river.send(&[message("u-1", "m-2", 1, "Thank you", Some("coach"))]).await;
    ear.hears(4).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["user", "slow: stopped", "user", "coach"]);
    hub.stop().await;
}
