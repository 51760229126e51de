//! What people say: whom it goes to, and which conversation it belongs to.

use auren::{bus::Topic, config::Role, consult::Agents, converse::Route};
use auren_agents::{Advice, ConversationEvent, MessageType};

use crate::support::{Player, River, message, settled, speakers, trigger};

fn with(river: River) -> River {
    let night = Player::says("night", "Sleep well.").topics(&["sleep", "nap"]);
    let day = Player::says("day", "Run well.").topics(&["run", "walk"]);
    let mut river = river.roles(&[Role::Converse]).agents(Agents::none().with(night).with(day));
    river.config.converse.default_agent = "day".to_owned();
    river
}

fn conversations(said: &[ConversationEvent]) -> Vec<&str> {
    let mut ids: Vec<_> = said.iter().map(|event| event.conversation_id.as_str()).collect();
    ids.dedup();
    ids
}

pub async fn a_message_goes_to_whom_it_names_or_concerns_or_who_spoke_last(river: River) {
    let river = with(river);
    let hub = river.hub().await;
    let asked = [
        ("Hello", None, "day"),
        ("Hello", Some("night"), "night"),
        ("And then?", None, "night"),
        ("@day and now?", None, "day"),
        ("May I take a nap?", None, "night"),
        ("Day, how was my sleep?", None, "day"),
        ("Hello", Some("astrologer"), "astrologer: unknown_agent"),
        ("@day or @night?", None, "day"),
    ];
    let record = |(minute, (text, to, _)): (i64, &(&str, Option<&str>, &str))| {
        message("u-1", &format!("m-{minute}"), minute, text, *to)
    };
    river.send(&(0..).zip(&asked).map(record).collect::<Vec<_>>()).await;
    settled(&hub).await;
    let said = river.said().await;
    let mut expected: Vec<_> = asked.iter().flat_map(|(_, _, who)| ["user", *who]).collect();
    expected.push("night");
    assert_eq!(speakers(&said), expected);
    let inputs = said.iter().filter(|event| event.message_type == MessageType::UserInput);
    for (number, (input, (text, ..))) in inputs.zip(&asked).enumerate() {
        assert_eq!((&*input.content, input.specialist_id.as_str()), (*text, "user"));
        assert_eq!(input.metadata.cause.as_str(), format!("m-{number}"));
        assert_eq!(input.metadata.client_id.as_deref(), Some(&*format!("client-m-{number}")));
        assert_eq!(input.metadata.turn, u64::try_from(number).unwrap() + 1);
    }
    assert_eq!(conversations(&said).len(), 1);
    hub.stop().await;
}

pub async fn a_message_goes_the_way_that_is_configured(river: River) {
    let mut river = with(river);
    river.config.converse.routing = vec![Route::LastSpeaker, Route::Mention];
    let hub = river.hub().await;
    let asked = ["@night hello", "@day hello", "a nap?"];
    let record = |(minute, words): (i64, &&str)| message("u-1", &format!("m-{minute}"), minute, words, None);
    river.send(&(0..).zip(&asked).map(record).collect::<Vec<_>>()).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["user", "night", "user", "night", "user", "night"]);
    hub.stop().await;
}

pub async fn a_message_that_is_sent_again_is_answered_once(river: River) {
    let river = with(river);
    let hub = river.hub().await;
    // A device was offline for a while, and does not know how much of it arrived.
    let words: Vec<_> = (0..50).map(|n| message("u-1", &format!("m-{n}"), n, "Hello", None)).collect();
    river.send(&words).await;
    river.send(&words).await;
    settled(&hub).await;
    hub.stop().await;
    let hub = river.hub().await;
    river.send(&words).await;
    settled(&hub).await;
    assert_eq!(river.said().await.len(), 2 * words.len());
    hub.stop().await;
}

pub async fn a_conversation_lasts_until_a_quiet_spell(river: River) {
    let mut river = with(river);
    river.config.converse.quiet_minutes = 60;
    let hub = river.hub().await;
    let minutes = [0, 60, 119, 180, 181];
    let said = minutes.map(|minute| message("u-1", &format!("m-{minute}"), minute, "Hello", None));
    river.send(&said).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(said.len(), 10);
    assert_eq!(conversations(&said[..6]).len(), 1);
    assert_eq!(conversations(&said[6..]).len(), 1);
    assert_ne!(said[5].conversation_id, said[6].conversation_id);
    hub.stop().await;
}

pub async fn a_trigger_and_a_message_of_one_id_are_two_causes(river: River) {
    let river = with(river);
    let hub = river.hub().await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "uuid", &["day"])).await;
    settled(&hub).await;
    river.send(&[message("u-1", "uuid", 120, "Hello", None)]).await;
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(speakers(&said), ["day", "user", "day"]);
    assert_ne!(said[0].event_id, said[2].event_id);
    hub.stop().await;
}

pub async fn a_new_hub_knows_yesterday_s_conversation(river: River) {
    let diarist = Player::new("diarist", |consult| async move {
        let notes: Vec<_> =
            consult.past.iter().map(|past| format!("{} {} {}", past.at, past.about, &*past.note)).collect();
        let mut advice = Advice::say(format!("turn {}: {}", consult.turn, notes.join("; ")));
        advice.note = auren_agents::Text::cut(format!("note {}", consult.turn));
        Ok(advice)
    });
    let mut river = river.roles(&[Role::Converse]).agents(Agents::none().with(diarist));
    river.config.converse.default_agent = "diarist".to_owned();
    let hub = river.node("monday").await;
    river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["diarist"])).await;
    settled(&hub).await;
    let words = |said: &[ConversationEvent]| said.iter().map(|event| event.content.to_string()).collect::<Vec<_>>();
    assert_eq!(words(&river.said().await), ["turn 1: "]);
    hub.stop().await;
    let hub = river.node("monday").await;
    river.send(&[message("u-1", "m-1", 0, "Hello", None)]).await;
    settled(&hub).await;
    let said = words(&river.said().await);
    assert_eq!(said[1..], ["Hello", "turn 2: 2024-01-01T10:00:00Z hrv_drop note 1"]);
    hub.stop().await;
}
