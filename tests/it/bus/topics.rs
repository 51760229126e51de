//! Topics: created once, counted, and missed.

use auren::bus::{BusError, Inlet, Read, ReadFrom, ReadUntil, Topic, TopicInfo};

use crate::support::{Role, Stage, drain, join, keyed};

pub async fn topics_are_created_once_and_counted(stage: Stage) {
    assert_eq!(stage.bus.topics().await.unwrap(), []);
    assert_eq!(stage.create(&[Topic::Triggers, Topic::Events], 3).await, [Topic::Triggers, Topic::Events]);
    assert_eq!(stage.create(&[Topic::Events, Topic::StateDetect], 3).await, [Topic::StateDetect]);
    assert_eq!(stage.create(&[Topic::Triggers], 7).await, []);
    let three = |topic| TopicInfo { topic, partitions: 3 };
    let expected = [three(Topic::Triggers), three(Topic::Events), three(Topic::StateDetect)];
    assert_eq!(stage.bus.topics().await.unwrap(), expected);
    assert_eq!(stage.again().await.topics().await.unwrap(), expected);
}

pub async fn a_missing_topic_is_named_by_everything_that_needs_it(stage: Stage) {
    fn check(error: &BusError) {
        let BusError::TopicMissing { topic } = error else { panic!("{error}") };
        assert!(topic.ends_with("conversations.events"), "{topic}");
    }
    stage.create(&[Topic::Triggers], 1).await;
    let bus = &stage.bus;
    let answers = bus.publish(vec![keyed(Topic::Events, "k", "lost"), keyed(Topic::Triggers, "k", "kept")]).await;
    check(answers[0].as_ref().unwrap_err());
    answers[1].as_ref().unwrap();
    check(&bus.watermarks(Topic::Events).await.unwrap_err());
    check(&bus.committed("g", Topic::Events).await.unwrap_err());
    for partitions in [vec![], vec![0]] {
        let read = Read { topic: Topic::Events, partitions, from: ReadFrom::Earliest, until: ReadUntil::Follow };
        check(&drain(bus.read(read)).await.unwrap_err());
    }
    let mut role = Role::join(&**bus, join("g", "m", &[Topic::Triggers, Topic::Events]));
    let Inlet::Failed(error) = role.next().await else { panic!("a member of a missing topic") };
    check(&error);
    let BusError::TopicMissing { topic } = bus.partitions().await.unwrap_err() else { panic!("no topic is missing") };
    assert_eq!(topic, "health.readings");
}

pub async fn the_river_shares_one_partition_count(stage: Stage) {
    assert_eq!(stage.create(Topic::RIVER, 2).await, Topic::RIVER);
    assert_eq!(stage.bus.partitions().await.unwrap(), 2);
}

pub async fn differing_partition_counts_are_refused(stage: Stage) {
    fn check(error: &BusError) {
        let BusError::NotCoPartitioned { first_count, second_count, .. } = error else { panic!("{error}") };
        assert_eq!((*first_count, *second_count), (1, 2), "{error}");
    }
    let rest: Vec<_> = Topic::RIVER.iter().copied().filter(|topic| *topic != Topic::Inbox).collect();
    stage.create(&[Topic::Inbox], 2).await;
    stage.create(&rest, 1).await;
    check(&stage.bus.partitions().await.unwrap_err());
    let mut role = Role::join(&*stage.bus, join("g", "m", &[Topic::Triggers, Topic::Inbox]));
    let Inlet::Failed(error) = role.next().await else { panic!("a member of topics that differ") };
    check(&error);
}
