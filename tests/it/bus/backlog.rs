//! More than a role can take at once, and roles that die at any point of it.

use std::{collections::BTreeMap, time::Duration};

use auren::bus::{Inlet, Join, Read, ReadFrom, ReadUntil, Topic, Transaction};

use crate::support::{Role, Stage, after, drain, join, placed, text, until};

const IN: Topic = Topic::Biometrics;
const OUT: Topic = Topic::Triggers;
const STATE: Topic = Topic::StateDetect;

pub async fn a_role_that_takes_nothing_loses_nothing(stage: Stage) {
    stage.create(&[IN], 3).await;
    let mut role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
    for round in 0..6 {
        let records = (0..500).map(|n| placed(IN, n % 3, &format!("{round}-{n:03}")));
        stage.publish(records.collect()).await;
    }
    until("the inlet fills", || async { role.member.inlet.len() == role.member.inlet.max_capacity() }).await;
    assert!(role.member.inlet.max_capacity() <= 4, "what waits in memory is a few batches");
    let mut taken = role.take(3000).await;
    taken.sort_by_key(|record| record.partition);
    assert_eq!(taken.iter().map(text).collect::<Vec<_>>(), stage.texts(IN).await);
    assert_eq!(role.pending(), 0);
}

pub async fn batches_are_as_large_as_was_asked_at_most(stage: Stage) {
    stage.create(&[IN], 2).await;
    stage.publish((0..50).map(|n| placed(IN, n % 2, &n.to_string())).collect()).await;
    let mut role = Role::assigned(&*stage.bus, Join { max_batch: 7, ..join("g", "m", &[IN]) }).await;
    let mut count = 0;
    while count < 50 {
        let Inlet::Batch(records) = role.next().await else { panic!("no batch") };
        assert!((1..=7).contains(&records.len()), "{}", records.len());
        count += records.len();
    }
}

/// Where a life ends.
#[derive(Debug, Clone, Copy)]
enum Death {
    BeforeReady,
    WithBatch,
    WithCommitUnderway,
    AfterCommit,
}

pub async fn restarts_neither_lose_nor_repeat(stage: Stage) {
    const TOTAL: usize = 400;
    stage.create(&[IN, OUT, STATE], 3).await;
    // Partitions come out uneven, and some batches large.
    let records: Vec<_> = (0_i32..400).map(|n| placed(IN, (n / 7 + n / 50) % 3, &n.to_string())).collect();
    let mut parts = records.chunks(50);
    let mut state = 20_u32;
    let mut draw = |among: u32| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 16) % among
    };
    let mut lives = 0;
    while stage.all(OUT).await.len() < TOTAL {
        lives += 1;
        assert!(lives < 200, "it gets nowhere");
        if let Some(part) = parts.next() {
            stage.publish(part.to_vec()).await;
        }
        let commits = draw(6);
        let death = match draw(4) {
            0 => Death::BeforeReady,
            1 => Death::WithBatch,
            2 => Death::WithCommitUnderway,
            _ => Death::AfterCommit,
        };
        live(&stage, commits, death).await;
    }
    assert_eq!(stage.texts(OUT).await, stage.texts(IN).await, "after {lives} lives");
}

/// One life: restores, works, and dies after so many commits.
async fn live(stage: &Stage, mut commits: u32, death: Death) {
    let asked = Join { max_batch: 16, ..join("g", "m", &[IN]) };
    let mut role = Role::join(&*stage.bus, asked);
    let mut done: BTreeMap<i32, i64> = BTreeMap::new();
    loop {
        let news = match tokio::time::timeout(Duration::from_millis(200), role.next()).await {
            Ok(news) => news,
            Err(_) if stage.all(OUT).await.len() == stage.all(IN).await.len() => return,
            Err(_) => continue,
        };
        match news {
            Inlet::Assigned { partitions, ready } => {
                if matches!(death, Death::BeforeReady) && commits == 0 {
                    return;
                }
                let read = Read { topic: STATE, partitions, from: ReadFrom::Earliest, until: ReadUntil::End };
                for record in drain(stage.bus.read(read)).await.unwrap() {
                    done.insert(record.partition, text(&record).parse().unwrap());
                }
                ready.send(()).unwrap();
            }
            Inlet::Batch(records) => {
                for record in &records {
                    let before = done.insert(record.partition, record.offset).unwrap_or(-1);
                    assert_eq!(record.offset, before + 1, "state and offset of partition {} differ", record.partition);
                }
                let mut outputs: Vec<_> =
                    records.iter().map(|record| placed(OUT, record.partition, &text(record))).collect();
                outputs.extend(done.iter().map(|(partition, offset)| placed(STATE, *partition, &offset.to_string())));
                let transaction: Transaction = after(&records, outputs);
                match (commits, death) {
                    (0, Death::WithBatch | Death::BeforeReady) => return,
                    (0, Death::WithCommitUnderway) => {
                        drop(role.send(transaction).await);
                        return;
                    }
                    (0, Death::AfterCommit) => {
                        role.commit(transaction).await.unwrap();
                        return;
                    }
                    _ => {
                        role.commit(transaction).await.unwrap();
                        commits -= 1;
                    }
                }
            }
            Inlet::Revoked { .. } => panic!("nobody else is there"),
            Inlet::Failed(error) => panic!("{error}"),
        }
    }
}
