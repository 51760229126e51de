//! A group member's life: assignment, batch, and one atomic commit.

use std::collections::BTreeMap;

use auren::bus::{Begin, BusError, Guarantee, Inlet, Join, Outgoing, Topic, Transaction};
use bytes::Bytes;

use crate::support::{Role, Stage, after, join, keyed, placed, text};

const IN: Topic = Topic::Triggers;
const OUT: Topic = Topic::Events;
const STATE: Topic = Topic::StateConverse;

async fn set(stage: &Stage, partitions: i32) {
    stage.create(&[IN, OUT, STATE], partitions).await;
}

pub async fn records_come_only_after_the_member_is_ready(stage: Stage) {
    set(&stage, 2).await;
    stage.publish(vec![placed(IN, 0, "early")]).await;
    let mut role = Role::join(&*stage.bus, join("g", "m", &[IN]));
    let Inlet::Assigned { partitions, ready } = role.next().await else { panic!("an assignment comes first") };
    assert_eq!(partitions, [0, 1]);
    stage.publish(vec![placed(IN, 0, "late")]).await;
    assert_eq!(stage.texts(IN).await, ["early", "late"]);
    assert!(role.member.inlet.try_recv().is_err(), "something came before the member was ready");
    role.held.extend(partitions);
    ready.send(()).unwrap();
    assert_eq!(role.take(2).await.iter().map(text).collect::<Vec<_>>(), ["early", "late"]);
}

pub async fn a_commit_becomes_visible_as_a_whole(stage: Stage) {
    set(&stage, 3).await;
    stage.publish((0..3).flat_map(|p| [placed(IN, p, "one"), placed(IN, p, "two")]).collect()).await;
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let records = role.take(6).await;
    for round in 0..3 {
        let outputs = vec![
            placed(OUT, 2, &format!("told {round}")),
            keyed(OUT, "user", &format!("also told {round}")),
            placed(STATE, 1, &format!("state {round}")),
            placed(OUT, 2, &format!("told last {round}")),
            Outgoing { payload: None, headers: vec![("cause".into(), Bytes::from_static(b"x"))], ..placed(OUT, 0, "") },
        ];
        let topics: Vec<_> = outputs.iter().map(|output| output.topic).collect();
        let payloads: Vec<_> = outputs.iter().map(|output| output.payload.clone()).collect();
        let cursors = role.commit(after(&records, outputs)).await.unwrap();
        assert_eq!(cursors.len(), 5);
        assert_eq!((cursors[0].partition, cursors[2].partition, cursors[4].partition), (2, 1, 0));
        assert!(cursors[0].offset < cursors[3].offset);
        for topic in [OUT, STATE] {
            let read: BTreeMap<_, _> =
                stage.all(topic).await.into_iter().map(|record| (record.cursor(), record.payload)).collect();
            for (_, (cursor, payload)) in topics.iter().zip(cursors.iter().zip(&payloads)).filter(|(t, _)| **t == topic)
            {
                assert_eq!(read.get(cursor), Some(payload), "round {round}, {topic} {cursor}");
            }
        }
        let committed = stage.bus.committed("g", IN).await.unwrap();
        assert_eq!(committed, BTreeMap::from([(0, 2), (1, 2), (2, 2)]));
    }
    assert_eq!(stage.all(OUT).await.len(), 12);
    assert_eq!(stage.texts(STATE).await, ["state 0", "state 1", "state 2"]);
}

/// Whatever a refused commit carried, it leaves nothing, and the successor gets the same records.
async fn refused(stage: &Stage, bad: Outgoing) {
    set(stage, 1).await;
    stage.publish(vec![placed(IN, 0, "cause")]).await;
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let records = role.take(1).await;
    let outputs = vec![placed(OUT, 0, "before"), bad, placed(STATE, 0, "behind")];
    let error = role.commit(after(&records, outputs)).await.unwrap_err();
    assert!(matches!(error, BusError::NotCommitted { .. }), "{error}");
    let error = role.commit(after(&records, vec![placed(OUT, 0, "too late")])).await.unwrap_err();
    assert!(matches!(error, BusError::Closed), "after an error the membership is over, not {error}");
    drop(role);
    assert_eq!((stage.all(OUT).await.len(), stage.all(STATE).await.len()), (0, 0));
    assert!(stage.bus.committed("g", IN).await.unwrap().is_empty());

    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let records = role.take(1).await;
    assert_eq!(text(&records[0]), "cause");
    role.commit(after(&records, vec![placed(OUT, 0, "effect")])).await.unwrap();
    assert_eq!(stage.texts(OUT).await, ["effect"]);
}

pub async fn a_refused_commit_leaves_nothing(stage: Stage) {
    let huge = Bytes::from(vec![b'x'; OUT.max_record_bytes() + 1]);
    refused(&stage, Outgoing { payload: Some(huge), ..placed(OUT, 0, "huge") }).await;
}

pub async fn a_commit_to_no_partition_leaves_nothing(stage: Stage) {
    refused(&stage, placed(OUT, 7, "nowhere")).await;
}

pub async fn commits_are_worked_in_order(stage: Stage) {
    set(&stage, 1).await;
    stage.publish((0..40).map(|n| placed(IN, 0, &n.to_string())).collect()).await;
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let mut answers = Vec::new();
    for record in role.take(40).await {
        // As soon as there is room: one is being committed while the next one waits.
        answers.push(role.send(after(std::slice::from_ref(&record), vec![placed(OUT, 0, &text(&record))])).await);
    }
    let mut last = -1;
    for answer in answers {
        let offset = crate::support::within(answer).await.unwrap().unwrap()[0].offset;
        assert!(offset > last);
        last = offset;
    }
    assert_eq!(stage.texts(OUT).await, (0..40).map(|n| n.to_string()).collect::<Vec<_>>());
    assert_eq!(stage.bus.committed("g", IN).await.unwrap(), BTreeMap::from([(0, 40)]));
}

pub async fn offsets_alone_can_be_committed(stage: Stage) {
    set(&stage, 1).await;
    stage.publish(vec![placed(IN, 0, "one"), placed(IN, 0, "two")]).await;
    let asked = Join { guarantee: Guarantee::AtLeastOnce, ..join("project", "m", &[IN]) };
    let mut role = Role::assigned(&*stage.bus, asked.clone()).await;
    let records = role.take(2).await;
    assert_eq!(role.commit(after(&records[..1], vec![])).await.unwrap(), []);
    assert_eq!(stage.bus.committed("project", IN).await.unwrap(), BTreeMap::from([(0, 1)]));
    drop(role);
    let mut role = Role::assigned(&*stage.bus, asked).await;
    assert_eq!(text(&role.take(1).await[0]), "two");
}

pub async fn a_membership_for_offsets_takes_no_outputs(stage: Stage) {
    set(&stage, 1).await;
    stage.publish(vec![placed(IN, 0, "one")]).await;
    let asked = Join { guarantee: Guarantee::AtLeastOnce, ..join("project", "m", &[IN]) };
    let mut role = Role::assigned(&*stage.bus, asked).await;
    let records = role.take(1).await;
    let error = role.commit(after(&records, vec![placed(OUT, 0, "lost")])).await.unwrap_err();
    assert!(matches!(error, BusError::NotCommitted { .. }), "{error}");
    assert_eq!(stage.all(OUT).await.len(), 0);
    assert!(stage.bus.committed("project", IN).await.unwrap().is_empty());
}

pub async fn a_group_can_begin_at_the_newest_end(stage: Stage) {
    set(&stage, 1).await;
    stage.publish(vec![placed(IN, 0, "old")]).await;
    let asked = Join { begin: Begin::Latest, ..join("g", "m", &[IN]) };
    let mut role = Role::assigned(&*stage.bus, asked.clone()).await;
    // Where the newest end is, is asked of the log while others write: something is written until it is seen.
    let mut news = None;
    for n in 0..500 {
        stage.publish(vec![placed(IN, 0, &format!("new {n}"))]).await;
        news = tokio::time::timeout(std::time::Duration::from_millis(20), role.next()).await.ok();
        if news.is_some() {
            break;
        }
    }
    role.hear(news.expect("a member sees nothing"));
    let first = role.take(1).await;
    assert!(text(&first[0]).starts_with("new"));
    role.commit(after(&first, vec![])).await.unwrap();
    drop(role);
    // Once it has committed, it goes on from there.
    stage.publish(vec![placed(IN, 0, "meanwhile")]).await;
    let mut role = Role::assigned(&*stage.bus, asked).await;
    let mut seen = role.take(1).await;
    assert_eq!(seen[0].offset, first[0].offset + 1);
    while text(&seen[0]) != "meanwhile" {
        seen = role.take(1).await;
    }
}

pub async fn a_group_reads_only_its_own_topics(stage: Stage) {
    set(&stage, 1).await;
    stage.publish(vec![placed(IN, 0, "mine"), placed(STATE, 0, "not mine")]).await;
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    let records = role.take(1).await;
    assert_eq!((text(&records[0]), role.pending()), ("mine".to_owned(), 0));
    let foreign = Transaction { outputs: vec![], offsets: BTreeMap::from([((STATE, 0), 1)]) };
    let error = role.commit(foreign).await.unwrap_err();
    assert!(matches!(error, BusError::NotCommitted { .. }), "{error}");
}

pub async fn two_groups_read_the_same_records(stage: Stage) {
    set(&stage, 1).await;
    stage.publish(vec![placed(IN, 0, "shared")]).await;
    for group in ["one", "two"] {
        let mut role = Role::assigned(&*stage.bus, join(group, "m", &[IN])).await;
        let records = role.take(1).await;
        role.commit(after(&records, vec![placed(OUT, 0, group)])).await.unwrap();
    }
    assert_eq!(stage.texts(OUT).await, ["one", "two"]);
}
