//! Records at the border of what a topic takes: none of them may fail a commit, for a failed commit is worked again.

use auren::{
    bus::{Outgoing, Topic, key_partition},
    config::Role,
    wire,
};
use serde_json::{Value, json};

use crate::support::{River, careless, keyed, night, sealed, settled, speakers, trigger};

const KEY: &str = "user_hash";

/// A record of exactly so many bytes, made of a good one and a field nobody knows.
fn padded(topic: Topic, mut good: Value, partition: Option<i32>, bytes: usize) -> Outgoing {
    good["padding"] = json!("");
    let room = bytes - KEY.len() - good.to_string().len();
    good["padding"] = json!(" ".repeat(room));
    let record = careless(topic, partition, Some(KEY.as_bytes()), Some(good.to_string().as_bytes()));
    assert_eq!(record.bytes(), bytes);
    record
}

pub async fn a_record_as_large_as_its_topic_takes_is_worked_where_it_belongs_and_filed_elsewhere(river: River) {
    let river = river.roles(&[Role::Converse]);
    let hub = river.hub().await;
    let (home, most) = (key_partition(KEY.as_bytes(), 2), Topic::Triggers.max_record_bytes());
    river
        .stage
        .publish(vec![
            padded(Topic::Triggers, trigger(KEY, "at home", &["coach"]), None, most),
            padded(Topic::Triggers, trigger(KEY, "astray", &["coach"]), Some(1 - home), most),
            keyed(Topic::Triggers, KEY, &trigger(KEY, "behind", &["coach"]).to_string()),
        ])
        .await;
    settled(&hub).await;
    let said = river.said().await;
    let causes: Vec<_> = said.iter().map(|event| event.metadata.cause.as_str()).collect();
    assert_eq!((speakers(&said), causes), (vec!["coach".to_owned(); 2], vec!["at home", "behind"]));
    let letters = river.stage.all(Topic::TriggersDlq).await;
    let [letter] = &letters[..] else { panic!("one dead letter, not {}", letters.len()) };
    assert_eq!(letter.header("auren-dlq-class"), Some("too_large"));
    assert_eq!(letter.payload.as_ref().unwrap().len() + KEY.len(), most);
    assert_eq!(hub.stats(Role::Converse).unwrap().totals().rejoins, 0);
    hub.stop().await;
}

pub async fn a_trace_that_is_none_is_not_carried_on(river: River) {
    let river = river.roles(&[Role::Converse]);
    let hub = river.hub().await;
    let mut record = keyed(Topic::Triggers, KEY, &trigger(KEY, "t-1", &["coach"]).to_string());
    record.headers.push((wire::TRACEPARENT.into(), vec![b'0'; 1_000_000].into()));
    river.stage.publish(vec![record]).await;
    settled(&hub).await;
    let answers = river.stage.all(Topic::Events).await;
    assert_eq!(answers.len(), 1);
    assert_eq!(answers[0].header(wire::TRACEPARENT), None);
    hub.stop().await;
}

pub async fn a_record_whose_effect_would_be_too_large_is_a_dead_letter_and_the_next_is_worked(river: River) {
    let river = river.roles(&[Role::Enrich]);
    let hub = river.hub().await;
    let first = serde_json::to_value(sealed(&river.keys, &night(KEY, 0, 41.0)).await).unwrap();
    let second = serde_json::to_value(sealed(&river.keys, &night(KEY, 1, 41.0)).await).unwrap();
    // Its biometric event carries the padding, and metadata on top.
    let large = padded(Topic::Readings, first.clone(), None, Topic::Readings.max_record_bytes() - 200);
    let small = keyed(Topic::Readings, KEY, &second.to_string());
    let again = keyed(Topic::Readings, KEY, &first.to_string());
    river.stage.publish(vec![large, small, again]).await;
    settled(&hub).await;
    let letters = river.stage.all(Topic::ReadingsDlq).await;
    let [letter] = &letters[..] else { panic!("one dead letter, not {}", letters.len()) };
    assert_eq!(letter.header("auren-dlq-class"), Some("turn_failed"));
    assert_eq!(
        letter.header("auren-dlq-error"),
        Some("record: brings about a record that is larger than health.biometrics takes")
    );
    // What the large one had begun is forgotten: the same reading, small enough, is new.
    assert_eq!(river.stage.all(Topic::Biometrics).await.len(), 2);
    assert_eq!(hub.stats(Role::Enrich).unwrap().totals().rejoins, 0);
    hub.stop().await;
}
