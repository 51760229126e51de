//! The bus contract: a partitioned log with consumer groups, where outputs, state and input offsets commit as one.
//!
//! Two implementations stand behind it: [`kafka`] (a real Apache Kafka, through librdkafka) and [`embedded`] (one SQLite
//! file, one process, no service). Every behaviour of the river is tested on both from one body of test code.
//!
//! The hot path crosses this border by channels and plain structs, not by calls: a role joins a consumer group and gets a
//! [`Member`], whose [`Inlet`] brings assignments and batches and whose outlet takes [`Commit`]s.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use tokio::sync::{mpsc, oneshot};

pub mod embedded;
mod error;
mod facts;
mod holder;
pub mod kafka;
mod partition;
mod record;
mod topic;
mod waiting;

pub use error::BusError;
pub use facts::{Copies, Facts, Keeping, Override, Taken};
pub use holder::Holder;
pub use partition::{key_partition, murmur2};
pub use record::{Cursor, Headers, Outgoing, Record};
pub use topic::{Cleanup, Topic, TopicInfo, TopicSpec};
pub(crate) use waiting::waiting;

/// A bus that many parts of the process share.
pub type SharedBus = Arc<dyn Bus>;

/// What AUREN needs of a log.
#[async_trait]
pub trait Bus: std::fmt::Debug + Send + Sync + 'static {
    /// The bus in words, for logs and `doctor`: `kafka 127.0.0.1:9092`, `embedded auren-data/auren.db`.
    fn describe(&self) -> String;

    /// What a topic is called on the bus, for whoever else uses it.
    fn full_name(&self, topic: Topic) -> String {
        topic.name().to_owned()
    }

    /// The topics that exist, of those AUREN knows.
    async fn topics(&self) -> Result<Vec<TopicInfo>, BusError>;

    /// Creates the topics that do not exist; returns those it created.
    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<Topic>, BusError>;

    /// The partition count that the topics of the river share.
    ///
    /// # Errors
    /// A topic is missing, or two topics differ: co-partitioning is what keeps a user in one place.
    async fn partitions(&self) -> Result<i32, BusError> {
        co_partitioned(&self.topics().await?, Topic::RIVER)
    }

    /// Writes records outside any transaction and waits until each is acknowledged; one answer per record, in order.
    async fn publish(&self, records: Vec<Outgoing>) -> Vec<Result<Cursor, BusError>>;

    /// Writes records that must all be taken.
    ///
    /// # Errors
    /// The first record that was not.
    async fn publish_all(&self, records: Vec<Outgoing>) -> Result<(), BusError> {
        self.publish(records).await.into_iter().try_for_each(|answer| answer.map(drop))
    }

    /// The first offset still held and the next to be written, for each partition of a topic, committed or not.
    async fn watermarks(&self, topic: Topic) -> Result<BTreeMap<i32, (i64, i64)>, BusError>;

    /// The offset in each partition of a topic before which everything is decided. Behind it a transaction may be open, whose
    /// records a reader that begins at the end would miss.
    async fn decided(&self, topic: Topic) -> Result<BTreeMap<i32, i64>, BusError> {
        Ok(self.watermarks(topic).await?.into_iter().map(|(partition, (_, end))| (partition, end)).collect())
    }

    /// The offset each partition of a topic is committed up to, for a consumer group.
    async fn committed(&self, group: &str, topic: Topic) -> Result<BTreeMap<i32, i64>, BusError>;

    /// Who works which partitions in a consumer group, as far as the bus can tell. On the embedded bus only the members of
    /// this process are seen.
    async fn holders(&self, _group: &str) -> Result<Vec<Holder>, BusError> {
        Ok(Vec::new())
    }

    /// What the bus is seen to be able to do. Whoever asks waits for several answers of it; nothing is changed.
    ///
    /// # Errors
    /// [`BusError::Unreachable`]: nothing was seen.
    async fn facts(&self) -> Result<Facts, BusError>;

    /// Reads committed records without a group: for `tail`, for restoring state, for history.
    ///
    /// Batches arrive in offset order within a partition. With [`ReadUntil::End`] the channel closes once everything that
    /// was written when the read began has been delivered, or its transaction aborted.
    fn read(&self, read: Read) -> mpsc::Receiver<Result<Vec<Record>, BusError>>;

    /// Joins a consumer group. Leaving is dropping the [`Member`].
    ///
    /// A member that comes back under its name has its partitions at once. The other members get the partitions of one
    /// that left: at once on the embedded bus, on Kafka when its session has timed out, because there a member that
    /// has a name of its own is expected back.
    ///
    /// What is wrong with the topics, or found out later, comes as [`Inlet::Failed`].
    fn join(&self, join: Join) -> Result<Member, BusError>;
}

/// What to read, from where, to where.
#[derive(Debug, Clone)]
pub struct Read {
    /// The topic.
    pub topic: Topic,
    /// The partitions; all of them where empty.
    pub partitions: Vec<i32>,
    /// Where to begin.
    pub from: ReadFrom,
    /// Where to stop.
    pub until: ReadUntil,
}

/// Where a read begins.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReadFrom {
    /// The oldest record held.
    Earliest,
    /// Behind the newest: only what is written from now on. "Now" is when the log answers where it ends, shortly after
    /// the call; whoever must not miss a record asks for [`Bus::watermarks`] first.
    Latest,
    /// This offset in every partition read.
    Offset(i64),
    /// An offset for each partition; the oldest record held where none is given.
    Offsets(BTreeMap<i32, i64>),
    /// The last so many records of every partition read.
    Last(i64),
    /// The first record of every partition with this timestamp or a later one, in milliseconds since the epoch.
    Time(i64),
}

/// Where a read stops.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReadUntil {
    /// At what is the end when the read begins.
    End,
    /// Never: it waits for more.
    Follow,
}

/// How to join a consumer group.
#[derive(Debug, Clone)]
pub struct Join {
    /// The group.
    pub group: String,
    /// This member's own name, stable over restarts: a member that comes back under it takes over at once, and whoever
    /// still writes under it is fenced.
    pub member: String,
    /// The input topics, all with the same partition count.
    pub topics: Vec<Topic>,
    /// Where a group that has never committed begins.
    pub begin: Begin,
    /// Whether commits carry outputs ([`Guarantee::ExactlyOnce`]) or only offsets.
    pub guarantee: Guarantee,
    /// Most records of one batch.
    pub max_batch: usize,
}

/// Where a group that has never committed begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// At the oldest record held.
    Earliest,
    /// Behind the newest.
    Latest,
}

/// What a commit promises.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Guarantee {
    /// Outputs and input offsets are one transaction.
    ExactlyOnce,
    /// Only offsets are committed; what a handler did is the handler's own.
    AtLeastOnce,
}

/// A member of a consumer group.
#[derive(Debug)]
pub struct Member {
    /// Assignments and batches, in the order in which they must be worked.
    pub inlet: mpsc::Receiver<Inlet>,
    /// Commits, worked strictly one after the other. Capacity 1: one is being committed, one waits, a third is held up.
    pub outlet: mpsc::Sender<Commit>,
}

/// What a group member hears.
#[derive(Debug)]
pub enum Inlet {
    /// These partitions of every input topic are now this member's. Records follow only after `ready` is answered:
    /// until then the member restores its state.
    Assigned {
        /// The partitions.
        partitions: Vec<i32>,
        /// Answered when records may come.
        ready: oneshot::Sender<()>,
    },
    /// These partitions go to somebody else. They are handed over when `released` is answered: until then the member
    /// commits what is in flight.
    Revoked {
        /// The partitions.
        partitions: Vec<i32>,
        /// They are somebody else's already: nothing in flight can be committed any more.
        lost: bool,
        /// Answered when they may go.
        released: oneshot::Sender<()>,
    },
    /// Records of assigned partitions.
    Batch(Vec<Record>),
    /// The membership is over, and why. A new one must be joined.
    Failed(BusError),
}

/// One commit: all of it, or nothing.
#[derive(Debug)]
pub struct Commit {
    /// What is committed.
    pub transaction: Transaction,
    /// Answered with the place of every output, in order, or with the reason why nothing is known to have been
    /// written: [`BusError::Fenced`] or [`BusError::NotCommitted`]. A dropped sender means the same. After an error the
    /// membership is over: rejoin, restore, and work again from the committed offsets.
    pub done: oneshot::Sender<Result<Vec<Cursor>, BusError>>,
}

/// Outputs, state and input offsets that belong together.
#[derive(Debug, Default)]
pub struct Transaction {
    /// Outputs and state records, each with its partition set.
    pub outputs: Vec<Outgoing>,
    /// For every input partition worked on, the next offset to read.
    pub offsets: BTreeMap<(Topic, i32), i64>,
}

/// How long a member waits for a hand-over before it gives its partitions up all the same.
pub const HAND_OVER_LIMIT: Duration = Duration::from_secs(20);

/// The one partition count of these topics, or why there is none.
fn co_partitioned(existing: &[TopicInfo], wanted: &[Topic]) -> Result<i32, BusError> {
    let mut shared: Option<TopicInfo> = None;
    for topic in wanted {
        let Some(info) = existing.iter().find(|info| info.topic == *topic) else {
            return Err(BusError::TopicMissing { topic: topic.name().to_owned() });
        };
        match shared {
            None => shared = Some(*info),
            Some(first) if first.partitions != info.partitions => {
                return Err(BusError::NotCoPartitioned {
                    first: first.topic.name().to_owned(),
                    first_count: first.partitions,
                    second: topic.name().to_owned(),
                    second_count: info.partitions,
                });
            }
            Some(_) => {}
        }
    }
    shared.map(|info| info.partitions).ok_or(BusError::Refused {
        what: "a request that names no topic".to_owned(),
        why: "at least one is needed".to_owned(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_count_is_shared_or_the_two_that_differ_are_named() {
        let info = |topic, partitions| TopicInfo { topic, partitions };
        let there = [info(Topic::Triggers, 3), info(Topic::Inbox, 3), info(Topic::Events, 4)];
        assert_eq!(co_partitioned(&there, &[Topic::Inbox, Topic::Triggers]).unwrap(), 3);
        let error = co_partitioned(&there, &[Topic::Inbox, Topic::Triggers, Topic::Events]).unwrap_err();
        let said = "topics conversations.inbox (3 partitions) and conversations.events (4) differ";
        assert!(error.to_string().starts_with(said), "{error}");
        let error = co_partitioned(&there, &[Topic::System]).unwrap_err();
        assert!(matches!(error, BusError::TopicMissing { .. }), "{error}");
        co_partitioned(&there, &[]).unwrap_err();
    }
}
