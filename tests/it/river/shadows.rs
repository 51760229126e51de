//! Two versions of an agent side by side: one answers, the other is only compared.

use auren::{
    bus::Topic,
    config::Role,
    consult::{Agents, Compared, SHADOWS},
};
use auren_agents::{AgentError, events};

use crate::support::{Door, Player, River, message, settled, speakers, text, trigger, until};

async fn compared(river: &River) -> Vec<Compared> {
    let written = river.stage.all(Topic::configured(SHADOWS)).await;
    written.iter().map(|record| events::parse(text(record).as_bytes()).unwrap()).collect()
}

pub async fn a_shadow_is_asked_the_same_and_shown_to_nobody(river: River) {
    let door = Door::closed();
    let agents = Agents::none()
        .with(Player::says("coach", "Rest today."))
        .with(Player::behind("next", &door))
        .with(Player::new("worse", |_| async { Err(AgentError::Unavailable("41.8".to_owned())) }))
        .shadowing("next", "coach")
        .and_then(|agents| agents.shadowing("worse", "coach"))
        .unwrap();
    let river = river.roles(&[Role::Converse]).agents(agents);
    river.stage.create(&[Topic::configured(SHADOWS)], 2).await;
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["coach"])).await;
    // The turn is over while the shadow still thinks.
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["coach"]);
    assert_eq!(hub.stats(Role::Converse).unwrap().totals().open, 0);
    let [asked] = &door.asked_times(1).await[..] else { panic!("it is asked once") };
    door.lets(1);
    until("all three are written", || async { compared(&river).await.len() == 3 }).await;
    let mut all = compared(&river).await;
    all.sort_by(|one, other| one.agent.cmp(&other.agent));
    let [coach, next, worse] = &all[..] else { panic!("{all:?}") };
    assert!(all.iter().all(|compared| compared.consult_id == asked.id.as_str()), "{all:?}");
    assert_eq!((coach.shadow_of.as_deref(), &*coach.outcome), (None, "answered"));
    assert_eq!((next.shadow_of.as_deref(), &*next.answer.as_ref().unwrap().message), (Some("coach"), "At last."));
    assert_eq!((&*worse.outcome, &worse.answer), ("unavailable", &None));

    // Nobody can ask it, and its words are in nobody's past.
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["next"])).await;
    river.send(&[message("u-1", "m-1", 0, "And now?", Some("coach"))]).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await)[1..], ["next: unknown_agent", "user", "coach"]);
    let asked = door.asked_times(2).await;
    assert_eq!(asked[1].past.len(), 1, "the coach alone has spoken: {:?}", asked[1].past);
    let health = hub.agents().health();
    assert_eq!((health[1].agent.as_str(), health[1].totals.asked, health[2].totals.retried), ("next", 2, 0));
    hub.stop().await;
}
