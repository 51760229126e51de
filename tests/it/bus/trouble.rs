//! Every way in which a commit or a membership can end on Kafka, each with its own path: what the role hears, what the log
//! holds afterwards, and that the next life goes on from there.

use std::time::Duration;

use auren::bus::{BusError, HAND_OVER_LIMIT, Inlet, Topic, kafka::KafkaBus};
use rdkafka::{
    ClientConfig,
    admin::{AdminClient, AdminOptions, NewTopic, TopicReplication},
    client::DefaultClientContext,
    producer::{BaseProducer, Producer as _},
};

use crate::support::{
    Proxy, Role, Stage, after, join, placed,
    proxy::{END_TXN, HEARTBEAT, Trouble},
    text, until, within,
};

const IN: Topic = Topic::Triggers;
const OUT: Topic = Topic::Events;
const SMALL: Topic = Topic::System;

/// Kafka's code for a transactional id that may not be used: a producer that hears it is at its end.
const NOT_AUTHORIZED: i16 = 53;

/// The stage's cluster through a proxy. A commit is given up after a second there.
async fn through_proxy(stage: &Stage) -> (Proxy, KafkaBus) {
    let proxy = Proxy::to(&stage.settings().brokers).await;
    let mut settings = stage.settings().clone();
    settings.brokers.clone_from(&proxy.address);
    settings.transaction_timeout = Duration::from_secs(1);
    (proxy, KafkaBus::new(settings).unwrap())
}

/// A role that has one record to work.
async fn set(stage: &Stage, bus: &KafkaBus) -> Role {
    stage.create(&[IN, OUT], 1).await;
    stage.publish(vec![placed(IN, 0, "cause")]).await;
    Role::assigned(bus, join("g", "m", &[IN])).await
}

/// The next life under the same name: it works what was not `done`. The effect is there once.
async fn goes_on(stage: &Stage, bus: &KafkaBus, done: bool) -> Role {
    let mut next = Role::assigned(bus, join("g", "m", &[IN])).await;
    assert_eq!(stage.bus.committed("g", IN).await.unwrap().get(&0), done.then_some(&1));
    assert_eq!(stage.texts(OUT).await, if done { &["effect"][..] } else { &[] }, "effect and offset go together");
    if !done {
        let records = next.take(1).await;
        next.commit(after(&records, vec![placed(OUT, 0, "effect")])).await.unwrap();
    }
    assert_eq!(stage.texts(OUT).await, ["effect"]);
    // It is a life like any other.
    stage.publish(vec![placed(IN, 0, "more")]).await;
    let records = next.take(1).await;
    assert_eq!(text(&records[0]), "more");
    next.commit(after(&records, vec![placed(OUT, 0, "more")])).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["effect", "more"]);
    next
}

/// The answer to a commit that meets this trouble.
async fn commit_meets(trouble: Trouble, proxy: &Proxy, role: &mut Role) -> BusError {
    let records = role.take(1).await;
    proxy.trouble(END_TXN, trouble);
    let error = role.commit(after(&records, vec![placed(OUT, 0, "effect")])).await.unwrap_err();
    proxy.met().await;
    // Behind it nothing is committed in this life.
    let behind = role.commit(after(&records, vec![placed(OUT, 0, "behind")])).await.unwrap_err();
    assert!(matches!(behind, BusError::Closed), "{behind}");
    error
}

pub async fn a_commit_that_happened_and_was_not_answered_is_not_made_again(stage: Stage) {
    let (proxy, bus) = through_proxy(&stage).await;
    let mut role = set(&stage, &bus).await;
    let error = commit_meets(Trouble::KeepAnswer, &proxy, &mut role).await;
    assert!(matches!(error, BusError::NotCommitted { .. }), "{error}");
    drop(role);
    goes_on(&stage, &bus, true).await;
}

pub async fn a_commit_that_arrives_too_late_does_nothing(stage: Stage) {
    let (proxy, bus) = through_proxy(&stage).await;
    let mut role = set(&stage, &bus).await;
    let error = commit_meets(Trouble::KeepRequest, &proxy, &mut role).await;
    assert!(matches!(error, BusError::NotCommitted { .. }), "{error}");
    drop(role);
    let mut role = goes_on(&stage, &bus, false).await;
    // Now the brokers hear of the first life's commit.
    proxy.mend();
    stage.publish(vec![placed(IN, 0, "last")]).await;
    let records = role.take(1).await;
    role.commit(after(&records, vec![placed(OUT, 0, "last")])).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["effect", "more", "last"]);
}

pub async fn a_fatal_error_ends_the_life_and_the_next_one_goes_on(stage: Stage) {
    let (proxy, bus) = through_proxy(&stage).await;
    let mut role = set(&stage, &bus).await;
    let error = commit_meets(Trouble::Answer(NOT_AUTHORIZED), &proxy, &mut role).await;
    assert!(matches!(error, BusError::NotCommitted { .. }), "{error}");
    assert!(error.to_string().to_lowercase().contains("authoriz"), "{error}");
    drop(role);
    // Only its answer said so.
    goes_on(&stage, &bus, true).await;
}

/// Somebody else created a topic that takes less than AUREN writes.
pub async fn a_record_that_the_brokers_refuse_takes_its_whole_transaction_back_at_once(stage: Stage) {
    stage.create(&[IN, OUT], 1).await;
    let settings = stage.settings();
    let client = ClientConfig::new().set("bootstrap.servers", &settings.brokers).clone();
    let admin: AdminClient<DefaultClientContext> = client.create().unwrap();
    let name = format!("{}{SMALL}", settings.prefix);
    let small = NewTopic::new(&name, 1, TopicReplication::Fixed(1)).set("max.message.bytes", "2000");
    admin.create_topics(&[small], &AdminOptions::new()).await.unwrap()[0].as_ref().unwrap();
    let there = || async { stage.bus.topics().await.unwrap().iter().any(|info| info.topic == SMALL) };
    until("the brokers have told each other", there).await;

    stage.publish(vec![placed(IN, 0, "cause")]).await;
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let records = role.take(1).await;
    // It does not compress.
    let large: String = (0..2000_u32).map(|n| format!("{:08x}", n.wrapping_mul(2_654_435_761))).collect();
    let outputs = vec![placed(OUT, 0, "effect"), placed(SMALL, 0, &large)];
    let error = role.commit(after(&records, outputs)).await.unwrap_err();
    assert!(matches!(error, BusError::NotCommitted { .. }), "{error}");
    assert!(error.to_string().to_lowercase().contains("size"), "{error}");
    // Nobody has to wait for a transaction that is open: what somebody writes now is read now.
    stage.publish(vec![placed(OUT, 0, "somebody else's")]).await;
    let asked = tokio::time::Instant::now();
    assert_eq!(stage.texts(OUT).await, ["somebody else's"]);
    assert!(asked.elapsed() < settings.transaction_timeout, "it was read only when the transaction had timed out");
    assert_eq!(stage.bus.committed("g", IN).await.unwrap().get(&0), None);
    drop(role);
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let records = role.take(1).await;
    role.commit(after(&records, vec![placed(OUT, 0, "effect")])).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["somebody else's", "effect"]);
}

pub async fn a_producer_that_somebody_else_took_over_is_fenced(stage: Stage) {
    stage.create(&[IN, OUT], 1).await;
    stage.publish(vec![placed(IN, 0, "cause")]).await;
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let settings = stage.settings();
    for turn in 0..2 {
        let thief: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", &settings.brokers)
            .set("transactional.id", format!("{}g-m-{turn}", settings.prefix))
            .create()
            .unwrap();
        tokio::task::block_in_place(|| thief.init_transactions(Duration::from_secs(10))).unwrap();
    }
    let records = role.take(1).await;
    let error = role.commit(after(&records, vec![placed(OUT, 0, "effect")])).await.unwrap_err();
    assert!(matches!(error, BusError::Fenced { .. }), "{error}");
    assert!(error.to_string().contains("node.id"), "{error}");
    assert_eq!(stage.texts(OUT).await, Vec::<String>::new());
}

pub async fn a_member_that_the_group_lost_commits_nothing_and_is_told_so(stage: Stage) {
    let (proxy, bus) = through_proxy(&stage).await;
    let mut role = set(&stage, &bus).await;
    let records = role.take(1).await;
    proxy.trouble(HEARTBEAT, Trouble::KeepAnswer);
    proxy.met().await;
    let Inlet::Revoked { partitions, lost, released } = role.next().await else { panic!("a revocation comes next") };
    assert_eq!((partitions, lost), (vec![0], true));
    let error = role.commit(after(&records, vec![placed(OUT, 0, "effect")])).await.unwrap_err();
    assert!(matches!(error, BusError::NotCommitted { .. }), "{error}");
    released.send(()).unwrap();
    assert_eq!(stage.texts(OUT).await, Vec::<String>::new());
    proxy.mend();
    drop(role);
    goes_on(&stage, &bus, false).await;
}

pub async fn a_member_that_does_not_let_go_loses_its_partitions_when_the_limit_is_over(stage: Stage) {
    stage.create(&[IN, OUT], 2).await;
    stage.publish((0..2).map(|partition| placed(IN, partition, "cause")).collect()).await;
    let mut slow = Role::assigned(&*stage.bus, join("g", "a", &[IN])).await;
    let records = slow.take(2).await;
    let mut other = Role::join(&*stage.bus, join("g", "b", &[IN]));
    let Inlet::Revoked { lost, released, .. } = slow.next().await else { panic!("a revocation comes next") };
    assert!(!lost);
    let began = tokio::time::Instant::now();
    while other.held.is_empty() {
        other.turn().await;
    }
    assert!(began.elapsed() + Duration::from_secs(2) > HAND_OVER_LIMIT, "{:?}", began.elapsed());
    let error = slow.commit(after(&records, vec![placed(OUT, 0, "too late")])).await.unwrap_err();
    assert!(matches!(error, BusError::NotCommitted { .. } | BusError::Fenced { .. }), "{error}");
    // Nobody waits for it any more.
    let _ = released.send(());
    let theirs = other.take(1).await;
    within(other.commit(after(&theirs, vec![placed(OUT, 0, "in time")]))).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["in time"]);
}
