//! A member of a consumer group: a poll thread that brings assignments and batches, and a commit thread that writes.
//!
//! The order of a life is what makes effects happen once. First every producer calls `init_transactions`, which fences
//! and aborts what an earlier life under the same name left open. Then the group is joined; on assignment the role
//! restores its state to the end of the log, and only then do records flow. A commit that fails in any way ends the
//! membership: the next life begins at the committed offsets. Nothing is retried on a producer whose state is unclear.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

use rdkafka::{
    ClientContext, TopicPartitionList,
    config::RDKafkaLogLevel,
    consumer::{BaseConsumer, Consumer, ConsumerContext, Rebalance},
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    KafkaSettings, errors, reader,
    transaction::{Committer, Writer},
};
use crate::bus::{Begin, BusError, Commit, Guarantee, HAND_OVER_LIMIT, Inlet, Join, Member};

/// How long a poll waits when there is nothing to do; also how soon a dropped member is noticed.
const IDLE_POLL: Duration = Duration::from_millis(50);

pub(super) type GroupConsumer = BaseConsumer<Group>;

pub(super) fn spawn(settings: Arc<KafkaSettings>, join: Join) -> Result<Member, BusError> {
    let (events, inlet) = mpsc::channel(2);
    let (outlet, commits) = mpsc::channel(1);
    let name = format!("auren-poll-{}", join.member);
    thread::Builder::new()
        .name(name)
        .spawn(move || {
            if let Err(error) = live(&settings, &join, &events, commits) {
                // A member that was dropped needs no error.
                let _ = events.blocking_send(Inlet::Failed(error));
            }
        })
        .map_err(|error| BusError::Refused { what: "a poll thread".to_owned(), why: error.to_string() })?;
    Ok(Member { inlet, outlet })
}

fn live(
    settings: &Arc<KafkaSettings>,
    join: &Join,
    events: &mpsc::Sender<Inlet>,
    commits: mpsc::Receiver<Commit>,
) -> Result<(), BusError> {
    let mut committer = match join.guarantee {
        Guarantee::ExactlyOnce => Committer::transactional(settings, join)?,
        Guarantee::AtLeastOnce => Committer::offsets_only(),
    };
    let consumer = Arc::new(consumer(settings, join, events)?);
    let topics: Vec<_> = join.topics.iter().map(|topic| settings.topic(*topic)).collect();
    let topics: Vec<_> = topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(|error| errors::refused(&format!("joining group {}", join.group), &error))?;

    let mut writer = Writer::new(Arc::clone(settings), Arc::clone(&consumer), join);
    let commit_thread = thread::Builder::new()
        .name(format!("auren-commit-{}", join.member))
        .spawn(move || commit_loop(&mut committer, &mut writer, commits))
        .map_err(|error| BusError::Refused { what: "a commit thread".to_owned(), why: error.to_string() })?;

    let end = poll_loop(settings, join, &consumer, events);
    if end.is_ok() {
        // The member was dropped, its outlet with it: the commit thread has nothing more to come.
        let _ = commit_thread.join();
    }
    end
}

/// Commits strictly one after the other. The first failure ends it, and with the channel every commit behind it.
fn commit_loop(committer: &mut Committer, writer: &mut Writer, mut commits: mpsc::Receiver<Commit>) {
    while let Some(Commit { transaction, done }) = commits.blocking_recv() {
        let answer = committer.commit(writer, &transaction);
        let failed = answer.is_err();
        // The role may be gone; what is committed stays committed.
        let _ = done.send(answer);
        if failed {
            return;
        }
    }
}

fn poll_loop(
    settings: &KafkaSettings,
    join: &Join,
    consumer: &GroupConsumer,
    events: &mpsc::Sender<Inlet>,
) -> Result<(), BusError> {
    let mut batch = Vec::with_capacity(join.max_batch);
    let mut epoch = consumer.context().epoch();
    loop {
        let wait = if batch.is_empty() { IDLE_POLL } else { Duration::ZERO };
        let polled = consumer.poll(wait);
        let now = consumer.context().epoch();
        if now != epoch {
            // What was gathered before the hand-over is the next owner's.
            batch.clear();
            epoch = now;
        }
        let drained = match polled {
            Some(Ok(message)) => {
                if let Some(topic) = settings.named(message_topic(&message)) {
                    batch.push(reader::record(topic, &message));
                }
                false
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                return Err(match code {
                    RDKafkaErrorCode::FencedInstanceId => BusError::Fenced { member: join.member.clone() },
                    code => BusError::Refused { what: format!("group {}", join.group), why: code.to_string() },
                });
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(code) if reader::passes(code) => {
                    tracing::warn!(group = %join.group, %code, "kafka connection trouble, the client retries");
                    true
                }
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                    let missing = join.topics.iter().map(|topic| settings.topic(*topic)).collect::<Vec<_>>().join(", ");
                    return Err(BusError::TopicMissing { topic: format!("(one of {missing})") });
                }
                _ => return Err(errors::refused(&format!("reading for group {}", join.group), &error)),
            },
            None => true,
        };
        if (drained || batch.len() >= join.max_batch) && !batch.is_empty() {
            let full = std::mem::replace(&mut batch, Vec::with_capacity(join.max_batch));
            // Blocks while the role is busy: back-pressure reaches the broker as fetches that are not sent.
            if events.blocking_send(Inlet::Batch(full)).is_err() {
                return Ok(());
            }
        }
        if events.is_closed() {
            return Ok(());
        }
    }
}

fn message_topic<'a>(message: &'a rdkafka::message::BorrowedMessage<'_>) -> &'a str {
    rdkafka::Message::topic(message)
}

fn consumer(settings: &KafkaSettings, join: &Join, events: &mpsc::Sender<Inlet>) -> Result<GroupConsumer, BusError> {
    let group = format!("{}{}", settings.prefix, join.group);
    let session = settings.session_timeout.as_millis().to_string();
    let begin = match join.begin {
        Begin::Earliest => "earliest",
        Begin::Latest => "latest",
    };
    settings
        .client(&[
            ("group.id", &group),
            // A restart under the same name takes its partitions over at once.
            ("group.instance.id", &join.member),
            ("enable.auto.commit", "false"),
            ("auto.offset.reset", begin),
            ("isolation.level", "read_committed"),
            // `range` gives partition p of every topic to the same member; `cooperative-sticky` does not.
            ("partition.assignment.strategy", "range"),
            ("session.timeout.ms", &session),
            ("heartbeat.interval.ms", "1500"),
            ("max.poll.interval.ms", "120000"),
            ("fetch.wait.max.ms", "50"),
            ("queued.max.messages.kbytes", "32768"),
            ("topic.metadata.refresh.interval.ms", "30000"),
        ])
        .set_log_level(RDKafkaLogLevel::Warning)
        .create_with_context(Group { events: events.clone(), epoch: AtomicU64::new(0) })
        .map_err(|error| errors::refused("the Kafka client's configuration", &error))
}

/// Hears of assignments, on the poll thread, and holds it until the role is ready for them.
pub(super) struct Group {
    events: mpsc::Sender<Inlet>,
    /// Counts hand-overs: records polled under an older epoch are not this member's any more.
    epoch: AtomicU64,
}

impl Group {
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    fn assigned(&self, partitions: Vec<i32>) {
        let (ready, wait) = oneshot::channel();
        if self.events.blocking_send(Inlet::Assigned { partitions, ready }).is_ok() {
            // An error means the role is gone; the poll loop finds out right after.
            let _ = wait.blocking_recv();
        }
    }

    fn revoked(&self, partitions: Vec<i32>, lost: bool) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        let (released, mut wait) = oneshot::channel();
        if self.events.blocking_send(Inlet::Revoked { partitions, lost, released }).is_err() {
            return;
        }
        let limit = std::time::Instant::now() + HAND_OVER_LIMIT;
        while let Err(oneshot::error::TryRecvError::Empty) = wait.try_recv() {
            if std::time::Instant::now() > limit {
                tracing::warn!("a hand-over took too long, partitions are given up; what was in flight is fenced");
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

impl ClientContext for Group {
    fn error(&self, error: KafkaError, reason: &str) {
        tracing::warn!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.assigned(partitions(list)),
            Rebalance::Revoke(list) => self.revoked(partitions(list), consumer.assignment_lost()),
            Rebalance::Error(error) => tracing::error!(%error, "kafka rebalance failed"),
        }
    }
}

/// The partitions of a list, once each: a member has partition p of every input topic or of none.
fn partitions(list: &TopicPartitionList) -> Vec<i32> {
    let mut partitions: Vec<_> = list.elements().iter().map(|element| element.partition()).collect();
    partitions.sort_unstable();
    partitions.dedup();
    partitions
}
