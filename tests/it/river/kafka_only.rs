//! What only a Kafka cluster lets others do.

use std::time::Duration;

use auren::{bus::Topic, config::Role};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::support::{Kind, River, mission_trigger, settled, speakers, until};

/// A topic that somebody else created takes larger records than AUREN does.
pub async fn a_record_of_two_megabytes_is_a_dead_letter_and_the_next_is_answered(_: River) {
    let river = River::without(Kind::Kafka, &[Topic::Triggers]).await.roles(&[Role::Converse]);
    let settings = river.stage.settings();
    let topic = format!("{}{}", settings.prefix, Topic::Triggers.name());
    let client = || {
        let mut client = ClientConfig::new();
        client.set("bootstrap.servers", &settings.brokers);
        client.set("message.max.bytes", "4194304").set("partitioner", "murmur2_random");
        client
    };
    let admin: AdminClient<DefaultClientContext> = client().create().unwrap();
    let wide = NewTopic::new(&topic, 2, TopicReplication::Fixed(1)).set("max.message.bytes", "4194304");
    admin.create_topics(&[wide], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    until("the brokers have told each other", || async { river.stage.bus.partitions().await.is_ok() }).await;
    let hub = river.hub().await;
    let producer: BaseProducer = client().create().unwrap();
    let good = mission_trigger().to_string();
    let large = format!("{good}{}", " ".repeat(2_000_000));
    for payload in [&large, &good] {
        producer.send(BaseRecord::to(&topic).key("user_hash").payload(payload)).unwrap();
    }
    producer.flush(Duration::from_secs(10)).unwrap();
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["neuroscientist", "coach"]);
    let letters = river.stage.all(Topic::TriggersDlq).await;
    let [letter] = &letters[..] else { panic!("one dead letter, not {}", letters.len()) };
    assert_eq!(letter.header("auren-dlq-class"), Some("too_large"));
    assert_eq!(letter.payload.as_deref(), Some(large.as_bytes()));
    hub.stop().await;
}
