//! What only a Kafka cluster lets others do.

use std::{sync::Arc, time::Duration};

use auren::{
    bus::{Topic, kafka::KafkaBus},
    config::Role,
};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{BaseProducer, BaseRecord, Producer as _},
};

use crate::support::{
    Kind, Proxy, River, mission_trigger,
    proxy::{END_TXN, Trouble},
    settled, speakers, trigger, until,
};

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

/// A hub whose way to the brokers fails at the worst moment, in one way after the other.
pub async fn a_hub_goes_on_behind_every_kind_of_trouble_and_says_everything_once(river: River) {
    let river = river.roles(&[Role::Converse]);
    let proxy = Proxy::to(&river.stage.settings().brokers).await;
    let mut settings = river.stage.settings().clone();
    settings.brokers.clone_from(&proxy.address);
    settings.transaction_timeout = Duration::from_secs(1);
    let bus = Arc::new(KafkaBus::new(settings).unwrap());
    let hub = river.hub_on(bus).await;
    let stats = hub.stats(Role::Converse).unwrap();
    let mut ear = river.listen();
    let (mut rejoins, mut heard) = (0, 0);
    // 53: the transactional id may not be used, a fatal error.
    for trouble in [Trouble::KeepAnswer, Trouble::KeepRequest, Trouble::Answer(53)] {
        proxy.trouble(END_TXN, trouble);
        let id = format!("{trouble:?}");
        river.json(Topic::Triggers, "user_hash", &trigger("user_hash", &id, &["neuroscientist", "coach"])).await;
        proxy.met().await;
        until("the life ends", || async { stats.totals().rejoins > rejoins }).await;
        rejoins = stats.totals().rejoins;
        heard += 2;
        ear.hears(heard).await;
        // What was kept comes when the next life has begun.
        proxy.mend();
        river.json(Topic::Triggers, "other", &trigger("other", &format!("behind {id}"), &["coach"])).await;
        heard += 1;
        ear.hears(heard).await;
    }
    settled(&hub).await;
    hub.stop().await;
    let said = river.said().await;
    let mut ids: Vec<_> = said.iter().map(|event| event.event_id.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!((said.len(), ids.len()), (heard, heard), "{:?}", speakers(&said));
}
