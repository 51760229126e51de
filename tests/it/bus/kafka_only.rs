//! What only Kafka can do, or can do wrong.

use std::time::Duration;

use auren::bus::{
    Bus, BusError, Read, ReadFrom, ReadUntil, Topic,
    kafka::{KafkaBus, KafkaSettings},
};
use rdkafka::{
    ClientConfig,
    producer::{BaseProducer, BaseRecord, Producer},
};

use crate::support::{Role, Stage, after, drain, join, placed, text, until, within};

/// A transaction of somebody's, left open. The brokers would abort it after a quarter of an hour.
fn open_transaction(stage: &Stage, who: &str, topic: Topic, payload: &str) -> BaseProducer {
    let settings = stage.settings();
    let limit = Duration::from_secs(10);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", &settings.brokers)
        .set("transactional.id", format!("{}{who}", settings.prefix))
        .set("transaction.timeout.ms", "900000")
        .create()
        .unwrap();
    producer.init_transactions(limit).unwrap();
    producer.begin_transaction().unwrap();
    let name = format!("{}{}", settings.prefix, topic.name());
    producer.send(BaseRecord::to(&name).partition(0).key("k").payload(payload)).map_err(|(error, _)| error).unwrap();
    producer.flush(limit).unwrap();
    producer
}

pub async fn an_open_transaction_is_invisible_and_a_bounded_read_waits_for_it(stage: Stage) {
    const TOPIC: Topic = Topic::Events;
    stage.create(&[TOPIC], 1).await;
    stage.publish(vec![placed(TOPIC, 0, "before")]).await;
    let read = |until| Read { topic: TOPIC, partitions: vec![], from: ReadFrom::Earliest, until };
    let mut follower = stage.bus.read(read(ReadUntil::Follow));
    assert_eq!(text(&within(follower.recv()).await.unwrap().unwrap()[0]), "before");
    for (payload, commits) in [("committed", true), ("aborted", false)] {
        let producer = tokio::task::block_in_place(|| open_transaction(&stage, "outside", TOPIC, payload));
        stage.publish(vec![placed(TOPIC, 0, "behind")]).await;
        assert_eq!(stage.bus.watermarks(TOPIC).await.unwrap()[&0].1, if commits { 3 } else { 6 });
        assert_eq!(stage.bus.decided(TOPIC).await.unwrap()[&0], if commits { 1 } else { 4 });
        let bounded = tokio::spawn(drain(stage.bus.read(read(ReadUntil::End))));
        // A reader of another topic that begins and ends later: the bounded one has had its time.
        stage.create(&[Topic::Inbox], 1).await;
        stage.publish(vec![placed(Topic::Inbox, 0, "meanwhile")]).await;
        stage.all(Topic::Inbox).await;
        assert!(follower.try_recv().is_err(), "a follower passed an open transaction");
        assert!(!bounded.is_finished(), "a bounded read ended before an open transaction");
        tokio::task::block_in_place(|| {
            let limit = Duration::from_secs(10);
            if commits { producer.commit_transaction(limit) } else { producer.abort_transaction(limit) }.unwrap();
        });
        let read: Vec<_> = within(bounded).await.unwrap().unwrap().iter().map(text).collect();
        let expected = ["before", "committed", "behind", "behind"];
        assert_eq!(read, if commits { &expected[..3] } else { &expected[..] });
        let mut news = Vec::new();
        while news.last().is_none_or(|last| last != "behind") {
            news.extend(within(follower.recv()).await.unwrap().unwrap().iter().map(text));
        }
        assert_eq!(news, if commits { &["committed", "behind"][..] } else { &["behind"][..] });
        drop(producer);
    }
}

pub async fn what_a_member_that_is_gone_left_open_holds_nobody_up(stage: Stage) {
    stage.create(&[Topic::Triggers, Topic::Events], 1).await;
    let join = |member| join("g", member, &[Topic::Triggers]);
    stage.publish(vec![placed(Topic::Triggers, 0, "one")]).await;
    let mut first = Role::join(&*stage.bus, join("first"));
    let records = first.take(1).await;
    first.commit(after(&records, vec![placed(Topic::Events, 0, "said")])).await.unwrap();
    drop(first);
    // It dies in the middle of a commit, on either of its producers.
    let open = ["g-first-0", "g-first-1"];
    let _open = open.map(|who| tokio::task::block_in_place(|| open_transaction(&stage, who, Topic::Events, "half")));
    stage.publish(vec![placed(Topic::Triggers, 0, "two")]).await;
    let mut heir = Role::join(&*stage.bus, join("heir"));
    let records = heir.take(1).await;
    assert_eq!(text(&records[0]), "two");
    heir.commit(after(&records, vec![placed(Topic::Events, 0, "said again")])).await.unwrap();
    let said: Vec<_> = stage.all(Topic::Events).await.iter().map(text).collect();
    assert_eq!(said, ["said", "said again"]);
}

/// How many threads there are whose name begins so; the system keeps fifteen bytes of a name.
fn threads(name: &str) -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap().filter_map(Result::ok);
    tasks
        .filter(|task| std::fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.starts_with(name)))
        .count()
}

pub async fn a_dropped_receiver_ends_its_thread(stage: Stage) {
    // No other test reads a topic whose name begins so on.
    const NAME: &str = "auren-read-syst";
    stage.create(&[Topic::System], 1).await;
    let read = Read { topic: Topic::System, partitions: vec![], from: ReadFrom::Latest, until: ReadUntil::Follow };
    let followers: Vec<_> = (0..3).map(|_| stage.bus.read(read.clone())).collect();
    until("the readers begin", || async { threads(NAME) == 3 }).await;
    drop(followers);
    until("the readers end", || async { threads(NAME) == 0 }).await;
}

pub async fn a_dropped_member_ends_its_threads(stage: Stage) {
    let all = || (threads("auren-poll-zz"), threads("auren-commit-zz"));
    stage.create(&[Topic::Triggers], 1).await;
    for member in ["zz-waits", "zz-works"] {
        let mut role = Role::join(&*stage.bus, join("g", member, &[Topic::Triggers]));
        // A thread has its name once it runs.
        until("it begins", || async { all().0 == 1 }).await;
        if member == "zz-works" {
            while role.held.is_empty() {
                role.turn().await;
            }
            assert_eq!(all(), (1, 1));
        }
        drop(role);
        until("its threads end", || async { all() == (0, 0) }).await;
    }
}

pub async fn a_bus_that_nobody_answers_says_so(_: Stage) {
    let settings = KafkaSettings { brokers: "127.0.0.1:1".to_owned(), ..KafkaSettings::default() };
    let bus = KafkaBus::new(settings).unwrap();
    let error = within(bus.topics()).await.unwrap_err();
    assert!(matches!(error, BusError::Unreachable { .. }), "{error}");
    assert!(error.to_string().contains("127.0.0.1:1"), "{error}");
}

pub async fn an_unknown_property_is_refused(stage: Stage) {
    let mut settings = stage.settings().clone();
    settings.properties.insert("no.such.property".to_owned(), "1".to_owned());
    let error = KafkaBus::new(settings).unwrap_err();
    assert!(error.to_string().contains("no.such.property"), "{error}");
    let mut settings = stage.settings().clone();
    settings.properties.insert("group.protocol".to_owned(), "consumer".to_owned());
    let error = KafkaBus::new(settings).unwrap_err().to_string();
    assert!(error.starts_with("group.protocol = consumer in kafka.properties was refused: "), "{error}");
}
