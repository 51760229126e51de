//! A role as a test plays it: a group member that does one thing at a time, when the test says so.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use auren::bus::{
    Begin, Bus, BusError, Commit, Cursor, Guarantee, Inlet, Join, Member, Outgoing, Record, Topic, Transaction,
};
use tokio::sync::oneshot;

use super::within;

/// A join with what most tests want.
pub fn join(group: &str, member: &str, topics: &[Topic]) -> Join {
    Join {
        group: group.to_owned(),
        member: member.to_owned(),
        topics: topics.to_vec(),
        begin: Begin::Earliest,
        guarantee: Guarantee::ExactlyOnce,
        max_batch: 100,
    }
}

/// A group member.
pub struct Role {
    pub member: Member,
    /// What is assigned now.
    pub held: BTreeSet<i32>,
    /// Records that came and that the test has not looked at.
    records: VecDeque<Record>,
}

impl Role {
    /// Joins, and does nothing yet.
    pub fn join(bus: &dyn Bus, join: Join) -> Self {
        Self { member: bus.join(join).unwrap(), held: BTreeSet::new(), records: VecDeque::new() }
    }

    /// Joins and takes its first assignment.
    pub async fn assigned(bus: &dyn Bus, join: Join) -> Self {
        let mut role = Self::join(bus, join);
        match role.next().await {
            Inlet::Assigned { partitions, ready } => {
                role.held = partitions.into_iter().collect();
                ready.send(()).unwrap();
            }
            other => panic!("an assignment comes first, not {other:?}"),
        }
        role
    }

    /// What comes next.
    pub async fn next(&mut self) -> Inlet {
        within(self.member.inlet.recv()).await.expect("a membership ends with the reason why")
    }

    /// Takes one piece of news: remembers records, accepts assignments, lets go of what is revoked.
    pub async fn turn(&mut self) {
        let news = self.next().await;
        self.hear(news);
    }

    pub fn hear(&mut self, news: Inlet) {
        match news {
            Inlet::Assigned { partitions, ready } => {
                self.held.extend(partitions);
                let _ = ready.send(());
            }
            Inlet::Revoked { partitions, released, .. } => {
                self.held.retain(|held| !partitions.contains(held));
                self.records.retain(|record| !partitions.contains(&record.partition));
                let _ = released.send(());
            }
            Inlet::Batch(records) => {
                for record in &records {
                    assert!(self.held.contains(&record.partition), "a record of a partition that is not assigned");
                }
                self.records.extend(records);
            }
            Inlet::Failed(error) => panic!("the membership is over: {error}"),
        }
    }

    /// The next so many records.
    pub async fn take(&mut self, count: usize) -> Vec<Record> {
        while self.records.len() < count {
            self.turn().await;
        }
        self.records.drain(..count).collect()
    }

    /// Records that came already.
    pub fn pending(&self) -> usize {
        self.records.len()
    }

    /// Why the membership ends; everything else that comes is passed over.
    pub async fn failure(&mut self) -> BusError {
        loop {
            match self.next().await {
                Inlet::Failed(error) => return error,
                Inlet::Revoked { released, .. } => drop(released.send(())),
                Inlet::Assigned { .. } | Inlet::Batch(_) => {}
            }
        }
    }

    /// Commits and waits for the answer.
    pub async fn commit(&self, transaction: Transaction) -> Result<Vec<Cursor>, BusError> {
        within(self.send(transaction).await).await.unwrap_or(Err(BusError::Closed))
    }

    /// Hands a commit over; the answer comes through the channel.
    pub async fn send(&self, transaction: Transaction) -> oneshot::Receiver<Result<Vec<Cursor>, BusError>> {
        let (done, answer) = oneshot::channel();
        // Where the membership is over nobody takes it, and the answer's channel closes.
        let _ = within(self.member.outlet.send(Commit { transaction, done })).await;
        answer
    }
}

/// A commit of these outputs, behind these records.
pub fn after(records: &[Record], outputs: Vec<Outgoing>) -> Transaction {
    let mut offsets = BTreeMap::new();
    for record in records {
        let next: &mut i64 = offsets.entry((record.topic, record.partition)).or_default();
        *next = (*next).max(record.offset + 1);
    }
    Transaction { outputs, offsets }
}
