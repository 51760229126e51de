//! Panels whose agents are asked at once, or of whom only the first answers; who is missing; who sums up.

use auren::{bus::Topic, config::Role, consult::Agents};
use auren_agents::{AgentError, ConversationEvent, MessageType, events::PanelMode};

use super::parking::passed;
use crate::support::{Door, Player, River, message, settled, speakers, stop, trigger, until};

/// Three agents: two behind a door each, and a coach who answers at once.
struct Three {
    river: River,
    slow: Door,
    slower: Door,
}

fn three(river: River, mode: PanelMode) -> Three {
    let (slow, slower) = (Door::closed(), Door::closed());
    let agents = Agents::none()
        .with(Player::behind("slow", &slow))
        .with(Player::behind("slower", &slower))
        .with(Player::says("coach", "Rest today."));
    let mut river = river.roles(&[Role::Converse]).agents(agents);
    river.config.converse.panel = mode;
    Three { river, slow, slower }
}

fn missing(event: &ConversationEvent) -> Vec<&str> {
    event.metadata.panel.iter().flat_map(|seat| &seat.missing).map(|agent| agent.as_str()).collect()
}

pub async fn agents_that_are_asked_at_once_wait_for_nobody_and_read_nobody(river: River) {
    let Three { river, slow, slower } = three(river, PanelMode::Parallel);
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow", "slower", "coach"])).await;
    slow.asked_times(1).await;
    slower.asked_times(1).await;
    assert_eq!(speakers(ear.hears(1).await), ["coach"]);
    slower.lets(1);
    assert_eq!(speakers(ear.hears(2).await), ["coach", "slower"]);
    slow.lets(1);
    let said = ear.hears(3).await;
    assert_eq!(speakers(said), ["coach", "slower", "slow"]);
    for (event, place) in said.iter().zip([3, 2, 1]) {
        let seat = event.metadata.panel.clone().unwrap();
        assert_eq!((seat.seat, seat.seats, seat.mode), (place, 3, PanelMode::Parallel));
        assert!(seat.read.is_empty() && seat.missing.is_empty());
    }
    assert!(slow.asked()[0].panel.is_empty() && slower.asked()[0].panel.is_empty());
    settled(&hub).await;
    assert_eq!(river.said().await.len(), 3);
    assert_eq!(hub.stats(Role::Converse).unwrap().totals().open, 0);
    hub.stop().await;
}

pub async fn a_panel_that_stays_partial_says_who_is_missing(river: River) {
    let failing = Player::new("failing", |_| async { Err(AgentError::Refused("no".to_owned())) });
    let agents = Agents::none().with(failing).with(Player::says("coach", "Rest today."));
    let mut river = river.roles(&[Role::Converse]).agents(agents);
    river.config.converse.panels.insert("overtraining".to_owned(), PanelMode::Parallel);
    let hub = river.hub().await;
    for (cause, kind, expected) in [
        ("t-1", "hrv_drop", ["failing: agent_failed", "astrologer: unknown_agent", "coach"]),
        // That an agent is not there is known before anybody is asked.
        ("t-2", "overtraining", ["astrologer: unknown_agent", "failing: agent_failed", "coach"]),
    ] {
        let mut asks = trigger("u-1", cause, &["failing", "astrologer", "coach"]);
        asks["trigger_type"] = kind.into();
        river.json(Topic::Triggers, "u-1", &asks).await;
        settled(&hub).await;
        let mut said = river.said().await;
        said.retain(|event| event.metadata.cause.as_str() == cause);
        assert_eq!(speakers(&said), expected, "{kind}");
        let mut all = missing(&said[2]);
        all.sort_unstable();
        assert_eq!(all, ["astrologer", "failing"], "the last event of a panel names all");
        assert_eq!(missing(&said[0]).len(), 1);
    }
    hub.stop().await;
}

pub async fn the_first_answer_is_the_only_one(river: River) {
    let Three { river, slow, slower } = three(river, PanelMode::First);
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow", "slower"])).await;
    slow.asked_times(1).await;
    slower.asked_times(1).await;
    slower.lets(1);
    assert_eq!(speakers(ear.hears(1).await), ["slower"]);
    until("the other is let go", || async { hub.agents().health().iter().all(|agent| agent.open == 0) }).await;
    let totals = hub.agents().health()[0].totals;
    assert_eq!((totals.asked, totals.abandoned, totals.answered), (1, 1, 0));
    slow.lets(1);
    // Whoever answers at once spares the others the question.
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["coach", "slow", "slower"])).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["slower", "coach"]);
    assert_eq!((slow.asked().len(), slower.asked().len()), (1, 1));
    hub.stop().await;
}

pub async fn where_nobody_answers_first_it_is_said_once(river: River) {
    let failing = |name| Player::new(name, |_| async { Err(AgentError::Refused("no".to_owned())) });
    let agents = Agents::none().with(failing("a")).with(failing("b")).with(Player::says("coach", "Rest today."));
    let mut river = river.roles(&[Role::Converse]).agents(agents);
    river.config.converse.panel = PanelMode::First;
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["a", "b"])).await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["a", "b", "coach"])).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["b: agent_failed", "coach"]);
    assert_eq!(&*said[0].content, "The b could not answer. Nor did anybody else who was asked.");
    assert_eq!((missing(&said[0]), missing(&said[1])), (vec!["a", "b"], vec!["a", "b"]));
    hub.stop().await;
}

pub async fn a_panel_is_asked_as_its_trigger_s_type_says(river: River) {
    let Three { mut river, slow, .. } = three(river, PanelMode::Ordered);
    river.config.converse.panels.insert("hrv_drop".to_owned(), PanelMode::First);
    river.config.converse.panels.insert("message".to_owned(), PanelMode::Parallel);
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow", "coach"])).await;
    assert_eq!(speakers(ear.hears(1).await), ["coach"]);
    river.send(&[message("u-1", "m-1", 0, "@slow @coach well?", None)]).await;
    assert_eq!(speakers(ear.hears(3).await), ["coach", "user", "coach"]);
    let mut other = trigger("u-1", "t-2", &["slow", "coach"]);
    other["trigger_type"] = "overtraining".into();
    river.json(Topic::Triggers, "u-1", &other).await;
    slow.asked_times(3).await;
    slow.lets(3);
    settled(&hub).await;
    let said = river.said().await;
    let modes: Vec<_> = said
        .iter()
        .filter(|event| event.message_type == MessageType::SpecialistResponse)
        .map(|event| (event.metadata.cause.as_str(), event.metadata.panel.as_ref().unwrap().mode))
        .collect();
    for (cause, mode, answers) in
        [("t-1", PanelMode::First, 1), ("m-1", PanelMode::Parallel, 2), ("t-2", PanelMode::Ordered, 2)]
    {
        assert_eq!(modes.iter().filter(|one| **one == (cause, mode)).count(), answers, "{cause}: {modes:?}");
    }
    hub.stop().await;
}

pub async fn what_a_panel_waited_for_when_its_hub_died_is_asked_again_and_answered_once(river: River) {
    let Three { river, slow, slower } = three(river, PanelMode::Parallel);
    let hub = river.apart().await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow", "coach", "slower"])).await;
    slow.asked_times(1).await;
    slower.asked_times(1).await;
    passed(&river, "u-1").await;
    slow.lets(1);
    assert_eq!(speakers(ear.hears(2).await), ["coach", "slow"]);
    hub.abandon();
    let hub = river.hub().await;
    let asked = slower.asked_times(2).await;
    assert_eq!(asked[0], asked[1], "it is the same question, which has still read nobody");
    slower.lets(2);
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["coach", "slow", "slower"]);
    assert!(said[2].metadata.panel.as_ref().unwrap().read.is_empty());
    assert_eq!(slow.asked().len(), 1, "whose answer was committed is not asked again");
    hub.stop().await;
}

pub async fn a_stopped_turn_stops_everybody_who_was_asked_at_once(river: River) {
    let Three { mut river, slow, slower } = three(river, PanelMode::Parallel);
    river.config.converse.panels.insert("message".to_owned(), PanelMode::Parallel);
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.send(&[message("u-1", "m-1", 0, "@slow @slower well?", None)]).await;
    slow.asked_times(1).await;
    slower.asked_times(1).await;
    let turn = ear.hears(1).await[0].metadata.turn;
    river.send(&[stop("u-1", "s-1", turn)]).await;
    assert_eq!(speakers(ear.hears(2).await), ["user", "slow: stopped"]);
    until("both are let go", || async { hub.agents().health().iter().all(|agent| agent.open == 0) }).await;
    slow.lets(1);
    slower.lets(1);
    settled(&hub).await;
    assert_eq!(river.said().await.len(), 2);
    hub.stop().await;
}

pub async fn whoever_sums_up_has_read_everybody(river: River) {
    let Three { mut river, slow, slower } = three(river, PanelMode::Parallel);
    river.config.converse.summary_agent = "coach".to_owned();
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow", "slower"])).await;
    slow.asked_times(1).await;
    slow.lets(1);
    slower.lets(1);
    settled(&hub).await;
    // One answer needs no summary.
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["slow"])).await;
    slow.asked_times(2).await;
    slow.lets(1);
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said)[2..], ["coach", "slow"]);
    let mut read = said[2].metadata.panel.clone().unwrap().read;
    let mut spoke = vec![said[0].event_id.clone(), said[1].event_id.clone()];
    read.sort_unstable();
    spoke.sort_unstable();
    assert_eq!(read, spoke);
    hub.stop().await;
}

pub async fn an_agent_may_have_more_time_than_the_others(river: River) {
    let Three { mut river, slow, slower } = three(river, PanelMode::Parallel);
    river.config.converse.agent_deadline_ms = 100;
    river.config.converse.agent_deadlines_ms.insert("slow".to_owned(), 60_000);
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow", "slower"])).await;
    assert_eq!(speakers(ear.hears(1).await), ["slower: agent_late"]);
    assert!(ear.heard[0].content.contains("incomplete"));
    slow.lets(1);
    assert_eq!(speakers(ear.hears(2).await)[1..], ["slow"]);
    assert_eq!(missing(&ear.heard[1]), ["slower"]);
    assert_eq!((slow.asked()[0].deadline.as_millis(), slower.asked()[0].deadline.as_millis()), (60_000, 100));
    hub.stop().await;
}
