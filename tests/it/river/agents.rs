//! Agents that are not there, fail, or take their time: the rest of their panel and everybody else go on.

use actix::{Actor, Context, Handler};
use auren::{app::Hub, bus::Topic, config::Role, consult::Agents};
use auren_agents::{
    Advice, AgentCard, AgentError, Consult, EventId, MessageType, Score, Text,
    consult::{Finding, HandOff},
};

use crate::support::{Door, Player, River, message, settled, speakers, trigger};

/// A river that only converses, with these agents and a coach who has one sentence.
pub fn with(river: River, agents: Agents) -> River {
    river.roles(&[Role::Converse]).agents(agents.with(Player::says("coach", "Rest today.")))
}

pub async fn an_unknown_agent_is_said_to_be_unknown_and_the_panel_goes_on(river: River) {
    let river = river.roles(&[Role::Converse]);
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["neuroscientist", "astrologer", "coach"])).await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["astrologer"])).await;
    settled(&hub).await;
    let said = river.said().await;
    let unknown = "astrologer: unknown_agent";
    assert_eq!(speakers(&said), ["neuroscientist", unknown, "coach", unknown]);
    assert_eq!(said[1].message_type, MessageType::SystemMessage);
    assert!(said[1].content.contains("astrologer"));
    let seat = said[2].metadata.panel.clone().unwrap();
    assert_eq!((seat.seat, seat.seats, seat.read.len()), (3, 3, 1));
    hub.stop().await;
}

pub async fn an_agent_that_fails_leaves_the_panel_to_the_others(river: River) {
    let failing = Player::new("failing", |consult| async move {
        Err(AgentError::Refused(format!("I was asked about 41.8125 by {}", consult.user)))
    });
    let river = with(river, Agents::none().with(failing));
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["failing", "coach"])).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["failing: agent_failed", "coach"]);
    assert!(said[0].content.contains("incomplete") && !said[0].content.contains("41.8125"), "{}", &*said[0].content);
    assert!(said[1].metadata.panel.clone().unwrap().read.is_empty());
    hub.stop().await;
}

pub async fn a_panic_over_one_person_takes_nothing_from_another(river: River) {
    let door = Door::closed();
    let open = door.clone();
    let fragile = Player::new("fragile", move |consult| {
        let patient = Player::behind("fragile", &open);
        async move {
            assert!(consult.user.as_str() != "u-1", "the test wants it");
            auren_agents::Agent::consult(&patient, consult).await
        }
    });
    let mut river = with(river, Agents::none().with(fragile));
    river.config.converse.agent_retry_ms = 1;
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-2", &trigger("u-2", "t-1", &["fragile"])).await;
    door.asked_times(1).await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-2", &["fragile"])).await;
    assert_eq!(speakers(ear.hears(1).await), ["fragile: agent_failed"]);
    door.lets(8);
    assert_eq!(speakers(ear.hears(2).await), ["fragile: agent_failed", "fragile"]);
    hub.stop().await;
}

pub async fn a_huge_answer_is_cut_to_what_a_record_takes(river: River) {
    let talkative = Player::new("talkative", |_| async {
        let long = || "\"word\u{1}".repeat(10_000);
        let ids: Vec<_> = (0..2000).map(|n| EventId::new(format!("{n:>120}")).unwrap()).collect();
        let finding = Finding {
            subject: Text::cut(long()),
            statement: Text::cut(long()),
            confidence: Score::clamped(0.5),
            events: ids,
            alternatives: vec![Text::cut(long()); 100],
        };
        Ok(Advice {
            message: Text::cut(long()),
            findings: vec![finding; 40],
            confidence: None,
            reasons: vec![Text::cut(long()); 1000],
            hand_off: Some(HandOff { to: auren_agents::AgentId::new("coach").unwrap(), reason: Text::cut(long()) }),
            note: Text::cut(long()),
        })
    });
    let door = Door::closed();
    let river = with(river, Agents::none().with(talkative).with(Player::behind("patient", &door)));
    let hub = river.hub().await;
    // Many that wait with all of it in their panels: what is saved must stay a record, too.
    for number in 0..4 {
        let panel = ["talkative", "talkative", "talkative", "patient", "coach"];
        river.json(Topic::Triggers, "u-1", &trigger("u-1", &format!("t-{number}"), &panel)).await;
    }
    door.asked_times(4).await;
    door.lets(4);
    settled(&hub).await;
    let said = speakers(&river.said().await);
    assert_eq!(said.iter().filter(|who| *who == "talkative").count(), 4 * 3);
    assert_eq!(said.iter().filter(|who| *who == "coach").count(), 4);
    assert_eq!(hub.stats(Role::Converse).unwrap().totals().rejoins, 0);
    hub.stop().await;
}

pub async fn an_answer_after_its_deadline_is_not_awaited(river: River) {
    let door = Door::closed();
    let mut river = with(river, Agents::none().with(Player::behind("slow", &door)));
    river.config.converse.agent_deadline_ms = 100;
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow", "coach"])).await;
    assert_eq!(speakers(ear.hears(2).await), ["slow: agent_late", "coach"]);
    door.lets(1);
    river.send(&[message("u-1", "m-1", 0, "And now?", Some("coach"))]).await;
    ear.hears(4).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["slow: agent_late", "coach", "user", "coach"]);
    hub.stop().await;
}

pub async fn a_slow_agent_holds_nobody_else_up(river: River) {
    let door = Door::closed();
    let river = with(river, Agents::none().with(Player::behind("slow", &door)));
    let hub = river.hub().await;
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["slow"])).await;
    door.asked_times(1).await;
    for user in ["u-1", "u-2", "u-3", "u-4"] {
        river.json(Topic::Triggers, user, &trigger(user, "t-2", &["coach"])).await;
    }
    // The four have their answers, the slow one's own person too, while the first question is still open.
    assert_eq!(speakers(ear.hears(4).await), ["coach"; 4]);
    door.lets(1);
    assert_eq!(speakers(&ear.hears(5).await[4..]), ["slow"]);
    settled(&hub).await;
    assert_eq!(river.said().await.len(), 5);
    hub.stop().await;
}

/// An actor that knows nothing of the trait.
struct Librarian {
    lent: usize,
}

impl Actor for Librarian {
    type Context = Context<Self>;
}

/// Sent by the session actors; answered at once.
impl Handler<Consult> for Librarian {
    type Result = Result<Advice, AgentError>;

    fn handle(&mut self, consult: Consult, _: &mut Self::Context) -> Self::Result {
        self.lent += 1;
        Ok(Advice::say(format!("Book {} for {}.", self.lent, consult.user)))
    }
}

pub async fn any_actor_that_handles_a_consult_is_an_agent(river: River) {
    let river = river.roles(&[Role::Converse]);
    let librarian = Librarian { lent: 0 }.start();
    let card = AgentCard::new("librarian", "2.1", "Lends books.").topics(["book"]);
    let builder = Hub::builder().config(river.config.clone()).bus(river.stage.bus.clone()).keys(river.keys.clone());
    let hub = builder.recipient(card, librarian.recipient()).build().await.unwrap().start().await.unwrap();
    let mut ear = river.listen();
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["librarian", "coach"])).await;
    assert_eq!(speakers(ear.hears(2).await), ["librarian", "coach"]);
    river.send(&[message("u-1", "m-1", 0, "Is there a book about it?", None)]).await;
    let said = ear.hears(4).await;
    assert_eq!(speakers(said), ["librarian", "coach", "user", "librarian"]);
    assert_eq!((&*said[0].content, &*said[3].content), ("Book 1 for u-1.", "Book 2 for u-1."));
    assert_eq!(said[0].metadata.agent_version.as_deref(), Some("2.1"));
    hub.stop().await;
}
