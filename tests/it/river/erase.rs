//! A person who is erased: no token of theirs opens, no role remembers them, and nothing brings them back.

use auren::{
    bus::{Outgoing, Topic},
    erase::{USER_ERASED, erase},
    phi::KeyError,
};
use auren_agents::{SystemEvent, UserId, events};

use crate::support::{River, message, night, sealed, settled, until};

const STATES: [Topic; 3] = [Topic::StateEnrich, Topic::StateDetect, Topic::StateConverse];

/// The newest state record of a person: none where it is a tombstone, or there never was one.
async fn state(river: &River, topic: Topic, user: &str) -> Option<bytes::Bytes> {
    let records = river.stage.all(topic).await;
    let newest = records.iter().rfind(|record| record.key.as_deref() == Some(user.as_bytes()));
    newest.and_then(|record| record.payload.clone())
}

pub async fn an_erased_person_is_forgotten_by_every_role_and_by_every_hub(river: River) {
    let hub = river.hub().await;
    // A month as usual, and two weeks far below it: every role has something to remember.
    let month = |user: &str| {
        let usual = (0..30).map(|day| night(user, day, [60.5, 62.25, 58.75][usize::try_from(day % 3).unwrap()]));
        usual.chain((30..44).map(|day| night(user, day, 41.5))).collect::<Vec<_>>()
    };
    river.read(&month("gone")).await;
    river.read(&month("stays")).await;
    settled(&hub).await;
    river.send(&[message("gone", "m-1", 0, "How did I sleep?", None)]).await;
    settled(&hub).await;
    for topic in STATES {
        assert!(state(&river, topic, "gone").await.is_some(), "{topic} remembers them");
    }
    let kept = sealed(&river.keys, &night("gone", 60, 41.5)).await;
    let gone = UserId::new("gone").unwrap();
    // Some of their readings are still on the way, behind and before the word that they are to be forgotten.
    let late = sealed(&river.keys, &night("gone", 50, 41.5)).await;
    river.send(&[late]).await;
    let receipt = erase(&river.keys, &*river.stage.bus, "node-1", "test", &gone).await.unwrap();
    river.send(&[kept]).await;
    settled(&hub).await;

    assert_eq!(river.keys.find(&gone, 0).await.unwrap_err(), KeyError::Erased);
    for topic in STATES {
        assert_eq!(state(&river, topic, "gone").await, None, "{topic}");
        assert!(state(&river, topic, "stays").await.is_some(), "{topic}");
    }
    let letters = river.stage.all(Topic::ReadingsDlq).await;
    let classes: Vec<_> = letters.iter().filter_map(|letter| letter.header("auren-dlq-class")).collect();
    assert!(classes.contains(&"erased") && classes.iter().all(|class| *class == "erased"), "{classes:?}");
    let told = river.stage.all(Topic::System).await;
    let told = told.iter().filter_map(|record| events::parse::<SystemEvent>(record.payload.as_deref()?).ok());
    let told: Vec<_> = told.filter(|event| *event.event_type == *USER_ERASED).collect();
    assert_eq!((told.len(), &told[0].event_id, &told[0].user_id), (1, &receipt.event_id, &Some(gone)));
    hub.stop().await;

    // A hub that starts anew knows nothing of them either, and its baseline begins from nothing for nobody else.
    let hub = river.hub().await;
    let before = river.stage.all(Topic::Biometrics).await.len();
    river.read(&[night("stays", 60, 41.5)]).await;
    settled(&hub).await;
    let biometrics = river.stage.all(Topic::Biometrics).await;
    assert_eq!(biometrics.len(), before + 1);
    let newest = biometrics.iter().rfind(|record| record.key.as_deref() == Some(b"stays")).unwrap();
    assert!(!String::from_utf8_lossy(newest.payload.as_deref().unwrap()).contains("baseline_forming"));
    for topic in STATES {
        assert_eq!(state(&river, topic, "gone").await, None, "{topic}");
    }
    hub.stop().await;
}

pub async fn a_node_that_has_a_key_at_hand_drops_it_when_it_hears_of_the_erasure(river: River) {
    let hub = river.hub().await;
    let user = UserId::new("u-1").unwrap();
    river.read(&[night("u-1", 0, 41.5)]).await;
    settled(&hub).await;
    // Destroyed behind the node's back, as another node does it: the receipt is all that this one hears.
    river.keys.store().destroy("u-1", &[0; 8]).await.unwrap();
    assert!(river.keys.find(&user, 0).await.is_ok(), "the unwrapped key is still at hand");
    let receipt = serde_json::json!({
        "event_id": "e-1", "event_type": USER_ERASED, "node": "node-2", "user_id": "u-1",
        "timestamp": "2024-01-01T10:00:00Z",
    });
    // The follower may begin a moment after the hub has; it is told until it has heard.
    until("the key is dropped", || async {
        river.json(Topic::System, "u-1", &receipt).await;
        river.keys.find(&user, 0).await.is_err()
    })
    .await;
    hub.stop().await;
}

pub async fn to_forget_somebody_unknown_or_twice_harms_nobody(river: River) {
    let hub = river.hub().await;
    river.read(&[night("stays", 0, 41.5)]).await;
    for user in ["nobody", "nobody"] {
        erase(&river.keys, &*river.stage.bus, "node-1", "test", &UserId::new(user).unwrap()).await.unwrap();
    }
    // A record without payload that does not say so asks nobody to forget anything.
    let key = Some(bytes::Bytes::from_static(b"stays"));
    let empty = Outgoing { topic: Topic::Readings, partition: None, key, payload: None, headers: vec![] };
    river.stage.publish(vec![empty]).await;
    settled(&hub).await;
    assert!(state(&river, Topic::StateEnrich, "stays").await.is_some());
    let letters = river.stage.all(Topic::ReadingsDlq).await;
    assert_eq!(
        letters.iter().filter_map(|letter| letter.header("auren-dlq-class")).collect::<Vec<_>>(),
        ["no_payload"]
    );
    hub.stop().await;
}
