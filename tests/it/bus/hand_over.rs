//! Members that come and go: who works which partitions, and who may still commit.

use std::collections::BTreeSet;

use auren::bus::{BusError, Inlet, Topic};

use crate::support::{Role, Stage, after, join, placed, text, within};

const IN: Topic = Topic::Triggers;
const ALSO: Topic = Topic::Inbox;
const OUT: Topic = Topic::Events;

async fn set(stage: &Stage, partitions: i32) {
    stage.create(&[IN, ALSO, OUT], partitions).await;
}

/// Lets two members take turns until they have divided so many partitions.
async fn divide(a: &mut Role, b: &mut Role, partitions: usize) {
    while a.held.is_empty() || b.held.is_empty() || a.held.len() + b.held.len() < partitions {
        both(a, b).await;
    }
    assert!(a.held.is_disjoint(&b.held), "{:?} and {:?}", a.held, b.held);
}

/// Whichever of two members hears something first.
async fn both(a: &mut Role, b: &mut Role) {
    within(async {
        tokio::select! {
            news = a.member.inlet.recv() => a.hear(news.unwrap()),
            news = b.member.inlet.recv() => b.hear(news.unwrap()),
        }
    })
    .await;
}

pub async fn two_members_divide_the_partitions_by_range(stage: Stage) {
    set(&stage, 5).await;
    let topics = [IN, ALSO];
    let mut a = Role::assigned(&*stage.bus, join("g", "a", &topics)).await;
    assert_eq!(a.held, BTreeSet::from([0, 1, 2, 3, 4]));
    let mut b = Role::join(&*stage.bus, join("g", "b", &topics));
    divide(&mut a, &mut b, 5).await;
    let lower = if a.held.contains(&0) { &a.held } else { &b.held };
    assert_eq!(*lower, BTreeSet::from([0, 1, 2]), "the first range is the longer one");

    // Partition p of every topic is where p is.
    let records = (0..5).flat_map(|p| topics.map(|topic| placed(topic, p, &format!("{topic} {p}"))));
    stage.publish(records.collect()).await;
    while a.pending() + b.pending() < 10 {
        both(&mut a, &mut b).await;
    }
    for role in [&mut a, &mut b] {
        assert_eq!(role.pending(), role.held.len() * 2);
        let records = role.take(role.pending()).await;
        let outputs = records.iter().map(|record| placed(OUT, record.partition, &text(record))).collect();
        role.commit(after(&records, outputs)).await.unwrap();
    }
    assert_eq!(stage.all(OUT).await.len(), 10);
    for topic in topics {
        assert!(stage.bus.committed("g", topic).await.unwrap().into_values().eq([1; 5]));
    }
}

pub async fn a_member_without_a_partition_waits_for_one(stage: Stage) {
    set(&stage, 1).await;
    let mut a = Role::assigned(&*stage.bus, join("g", "a", &[IN])).await;
    let mut b = Role::join(&*stage.bus, join("g", "b", &[IN]));
    // The newcomer is told that there is nothing for it, or has what the other one had.
    let mut heard = false;
    while !heard || a.held.len() + b.held.len() != 1 {
        within(async {
            tokio::select! {
                news = a.member.inlet.recv() => a.hear(news.unwrap()),
                news = b.member.inlet.recv() => {
                    heard = true;
                    b.hear(news.unwrap());
                }
            }
        })
        .await;
    }
    stage.publish(vec![placed(IN, 0, "one")]).await;
    while a.pending() + b.pending() < 1 {
        both(&mut a, &mut b).await;
    }
    let worker = if a.held.is_empty() { &mut b } else { &mut a };
    let records = worker.take(1).await;
    worker.commit(after(&records, vec![placed(OUT, 0, "done")])).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["done"]);
}

pub async fn a_dropped_member_leaves_its_records_to_its_successor(stage: Stage) {
    set(&stage, 2).await;
    stage.publish((0..6).map(|n| placed(IN, n % 2, &n.to_string())).collect()).await;
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let records = role.take(6).await;
    let first: Vec<_> = records.iter().filter(|record| record.offset == 0).cloned().collect();
    role.commit(after(&first, vec![])).await.unwrap();
    drop(role);
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let again: BTreeSet<_> = role.take(4).await.iter().map(text).collect();
    assert_eq!(again, ["2", "3", "4", "5"].map(str::to_owned).into());
}

pub async fn a_member_that_left_leaves_its_partitions_to_the_others(stage: Stage) {
    set(&stage, 2).await;
    let mut a = Role::assigned(&*stage.bus, join("g", "a", &[IN])).await;
    let mut b = Role::join(&*stage.bus, join("g", "b", &[IN]));
    divide(&mut a, &mut b, 2).await;
    drop(a);
    stage.publish(vec![placed(IN, 0, "for whom"), placed(IN, 1, "it may concern")]).await;
    while b.held.len() < 2 {
        b.turn().await;
    }
    let records = b.take(2).await;
    b.commit(after(&records, vec![placed(OUT, 0, "done")])).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["done"]);
}

pub async fn a_member_that_comes_back_under_its_name_fences_the_old_one(stage: Stage) {
    set(&stage, 2).await;
    stage.publish(vec![placed(IN, 0, "cause"), placed(IN, 1, "cause too")]).await;
    let mut old = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let records = old.take(2).await;
    let mut new = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    assert_eq!(new.held, BTreeSet::from([0, 1]));
    let error = old.commit(after(&records, vec![placed(OUT, 0, "from the old one")])).await.unwrap_err();
    assert!(matches!(error, BusError::Fenced { .. }), "{error}");
    let error = old.failure().await;
    assert!(matches!(error, BusError::Fenced { .. }), "{error}");

    let records = new.take(2).await;
    new.commit(after(&records, vec![placed(OUT, 0, "from the new one")])).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["from the new one"]);
    drop(old);
    stage.publish(vec![placed(IN, 0, "more")]).await;
    let records = new.take(1).await;
    new.commit(after(&records, vec![placed(OUT, 0, "still there")])).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["from the new one", "still there"]);
}

pub async fn what_is_in_flight_is_committed_before_a_hand_over(stage: Stage) {
    set(&stage, 2).await;
    stage.publish(vec![placed(IN, 0, "0"), placed(IN, 1, "1")]).await;
    let mut a = Role::assigned(&*stage.bus, join("g", "a", &[IN])).await;
    let records = a.take(2).await;
    let mut b = Role::join(&*stage.bus, join("g", "b", &[IN]));
    let revoked = a.next().await;
    let Inlet::Revoked { partitions, lost: false, .. } = &revoked else { panic!("{revoked:?}") };
    assert_eq!(*partitions, [0, 1]);
    a.commit(after(&records, vec![placed(OUT, 0, "in flight")])).await.unwrap();
    a.hear(revoked);
    divide(&mut a, &mut b, 2).await;
    stage.publish(vec![placed(IN, 0, "2"), placed(IN, 1, "3")]).await;
    while a.pending() + b.pending() < 2 {
        both(&mut a, &mut b).await;
    }
    let mut seen = [text(&a.take(1).await[0]), text(&b.take(1).await[0])];
    seen.sort();
    assert_eq!(seen, ["2", "3"]);
    assert_eq!(stage.texts(OUT).await, ["in flight"]);
}

pub async fn what_was_handed_over_cannot_be_committed(stage: Stage) {
    set(&stage, 2).await;
    stage.publish(vec![placed(IN, 0, "0"), placed(IN, 1, "1")]).await;
    let mut a = Role::assigned(&*stage.bus, join("g", "a", &[IN])).await;
    let records = a.take(2).await;
    let mut b = Role::join(&*stage.bus, join("g", "b", &[IN]));
    divide(&mut a, &mut b, 2).await;
    let gone: Vec<_> = records.into_iter().filter(|record| b.held.contains(&record.partition)).collect();
    let error = a.commit(after(&gone, vec![placed(OUT, 0, "from the old owner")])).await.unwrap_err();
    assert!(matches!(error, BusError::NotCommitted { .. }), "{error}");
    let records = b.take(1).await;
    b.commit(after(&records, vec![placed(OUT, 0, "from the new owner")])).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["from the new owner"]);
}
