//! Reading without a group.

use auren::bus::{Read, ReadFrom, ReadUntil, Topic, Transaction};
use tokio::sync::mpsc;

use crate::support::{Role, Stage, drain, join, placed, text, until, within};

const TOPIC: Topic = Topic::Events;

fn read(from: ReadFrom, until: ReadUntil) -> Read {
    Read { topic: TOPIC, partitions: vec![], from, until }
}

/// The texts that a bounded read brings, sorted by place.
async fn texts(stage: &Stage, from: ReadFrom) -> Vec<String> {
    let mut records = drain(stage.bus.read(read(from, ReadUntil::End))).await.unwrap();
    records.sort_by_key(auren::bus::Record::cursor);
    records.iter().map(text).collect()
}

/// Three records in partition 0, one in 1, none in 2.
async fn fill(stage: &Stage) {
    stage.create(&[TOPIC], 3).await;
    let records = [(0, "a0"), (0, "a1"), (0, "a2"), (1, "b0")];
    stage.publish(records.map(|(partition, text)| placed(TOPIC, partition, text)).to_vec()).await;
}

pub async fn a_read_to_the_end_brings_everything_and_ends(stage: Stage) {
    stage.create(&[Topic::Triggers], 3).await;
    assert_eq!(stage.texts(Topic::Triggers).await.len(), 0);
    fill(&stage).await;
    assert_eq!(texts(&stage, ReadFrom::Earliest).await, ["a0", "a1", "a2", "b0"]);
    let many: Vec<_> = (0..3000).map(|n| placed(TOPIC, n % 3, &n.to_string())).collect();
    stage.publish(many).await;
    let batches = stage.bus.read(read(ReadFrom::Earliest, ReadUntil::End));
    let records = drain(batches).await.unwrap();
    assert_eq!(records.len(), 3004);
    for partition in 0..3 {
        let offsets: Vec<_> = records.iter().filter(|r| r.partition == partition).map(|r| r.offset).collect();
        assert!(offsets.is_sorted() && offsets.len() >= 1000, "partition {partition} came out of order");
    }
}

pub async fn a_read_begins_where_it_is_told_to(stage: Stage) {
    fill(&stage).await;
    let none: [&str; 0] = [];
    assert_eq!(texts(&stage, ReadFrom::Offset(1)).await, ["a1", "a2"]);
    assert_eq!(texts(&stage, ReadFrom::Offset(0)).await.len(), 4);
    assert_eq!(texts(&stage, ReadFrom::Offset(-5)).await.len(), 4);
    assert_eq!(texts(&stage, ReadFrom::Offset(1000)).await, none);
    assert_eq!(texts(&stage, ReadFrom::Latest).await, none);
    assert_eq!(texts(&stage, ReadFrom::Last(2)).await, ["a1", "a2", "b0"]);
    assert_eq!(texts(&stage, ReadFrom::Last(0)).await, none);
    assert_eq!(texts(&stage, ReadFrom::Last(i64::MAX)).await.len(), 4);
    for (from, expected) in [(ReadFrom::Offset(2), "a2"), (ReadFrom::Last(1), "a2")] {
        let mut batches = stage.bus.read(Read { partitions: vec![0], ..read(from.clone(), ReadUntil::Follow) });
        assert_eq!(next(&mut batches, 1).await, [expected], "{from:?}");
    }
}

pub async fn the_last_records_are_counted_without_what_is_not_one(stage: Stage) {
    stage.create(&[TOPIC, Topic::Inbox], 1).await;
    let role = Role::assigned(&*stage.bus, join("g", "m", &[Topic::Inbox])).await;
    // Every transaction ends with a marker that takes an offset, where the log has such.
    for n in 0..12 {
        let outputs = vec![placed(TOPIC, 0, &n.to_string())];
        role.commit(Transaction { outputs, ..Transaction::default() }).await.unwrap();
    }
    assert_eq!(texts(&stage, ReadFrom::Last(3)).await, ["9", "10", "11"]);
    assert_eq!(texts(&stage, ReadFrom::Last(11)).await.len(), 11);
    assert_eq!(texts(&stage, ReadFrom::Last(40)).await.len(), 12);
    let mut batches = stage.bus.read(read(ReadFrom::Last(2), ReadUntil::Follow));
    assert_eq!(next(&mut batches, 2).await, ["10", "11"]);
}

pub async fn a_time_finds_the_first_record_not_older(stage: Stage) {
    fill(&stage).await;
    let last = stage.all(TOPIC).await.iter().map(|record| record.timestamp_ms).max().unwrap();
    until("the clock goes on", || async {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
        i64::try_from(now).unwrap() > last + 1
    })
    .await;
    stage.publish(vec![placed(TOPIC, 0, "later")]).await;
    let later = stage.all(TOPIC).await.iter().map(|record| record.timestamp_ms).max().unwrap();
    assert_eq!(texts(&stage, ReadFrom::Time(last + 1)).await, ["later"]);
    assert_eq!(texts(&stage, ReadFrom::Time(later)).await, ["later"]);
    assert_eq!(texts(&stage, ReadFrom::Time(0)).await.len(), 5);
    let none: [&str; 0] = [];
    assert_eq!(texts(&stage, ReadFrom::Time(later + 1)).await, none);
    let mut batches = stage.bus.read(read(ReadFrom::Time(last + 1), ReadUntil::Follow));
    assert_eq!(next(&mut batches, 1).await, ["later"]);
}

pub async fn a_follower_brings_what_is_written_later(stage: Stage) {
    fill(&stage).await;
    let mut batches = stage.bus.read(read(ReadFrom::Earliest, ReadUntil::Follow));
    assert_eq!(next(&mut batches, 4).await.len(), 4);
    for n in 0..5 {
        let (here, elsewhere) = (format!("here {n}"), format!("elsewhere {n}"));
        stage.publish(vec![placed(TOPIC, 2, &here)]).await;
        assert_eq!(next(&mut batches, 1).await, [here]);
        for answer in stage.again().await.publish(vec![placed(TOPIC, 1, &elsewhere)]).await {
            answer.unwrap();
        }
        assert_eq!(next(&mut batches, 1).await, [elsewhere]);
    }
}

pub async fn the_newest_end_skips_what_is_there(stage: Stage) {
    fill(&stage).await;
    let mut batches = stage.bus.read(read(ReadFrom::Latest, ReadUntil::Follow));
    // Where the newest end is, is asked of the log while others write: something is written until it is seen.
    let mut seen = Vec::new();
    for n in 0.. {
        stage.publish(vec![placed(TOPIC, 0, &format!("new {n}"))]).await;
        if let Ok(batch) = tokio::time::timeout(std::time::Duration::from_millis(20), batches.recv()).await {
            seen.extend(batch.unwrap().unwrap().iter().map(text));
            break;
        }
        assert!(n < 500, "a follower sees nothing");
    }
    stage.publish(vec![placed(TOPIC, 0, "last")]).await;
    while seen.last().is_none_or(|last| last != "last") {
        seen.extend(next(&mut batches, 1).await);
    }
    assert!(seen.iter().all(|seen| seen == "last" || seen.starts_with("new")), "{seen:?}");
}

pub async fn some_partitions_can_be_read_alone(stage: Stage) {
    fill(&stage).await;
    let one = Read { partitions: vec![1], ..read(ReadFrom::Earliest, ReadUntil::End) };
    assert_eq!(drain(stage.bus.read(one)).await.unwrap().iter().map(text).collect::<Vec<_>>(), ["b0"]);
    let none = Read { partitions: vec![1, 3], ..read(ReadFrom::Earliest, ReadUntil::End) };
    drain(stage.bus.read(none)).await.unwrap_err();
}

pub async fn watermarks_tell_how_far_each_partition_reaches(stage: Stage) {
    fill(&stage).await;
    let marks = stage.bus.watermarks(TOPIC).await.unwrap();
    assert_eq!(marks.into_iter().collect::<Vec<_>>(), [(0, (0, 3)), (1, (0, 1)), (2, (0, 0))]);
    assert!(stage.bus.committed("nobody", TOPIC).await.unwrap().is_empty());
}

/// The texts of the next records, at least so many.
async fn next(
    batches: &mut mpsc::Receiver<Result<Vec<auren::bus::Record>, auren::bus::BusError>>,
    count: usize,
) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.len() < count {
        let batch = within(batches.recv()).await.expect("a follower goes on").unwrap();
        texts.extend(batch.iter().map(text));
    }
    texts
}
