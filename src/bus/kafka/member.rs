//! A member of a consumer group: a poll thread that brings assignments and batches, and a commit thread that writes.
//!
//! The order of a life is what makes effects happen once. First every producer calls `init_transactions`, which fences
//! and aborts what an earlier life under the same name left open. Then the group is joined; on assignment the role
//! restores its state to the end of the log, and only then do records flow. A commit that fails in any way ends the
//! membership: the next life begins at the committed offsets. Nothing is retried on a producer whose state is unclear.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use rdkafka::{
    ClientConfig, ClientContext, TopicPartitionList,
    consumer::{BaseConsumer, Consumer, ConsumerContext, ConsumerGroupMetadata, Rebalance},
    error::KafkaError,
    types::RDKafkaErrorCode,
};
use tokio::sync::{mpsc, oneshot};

use super::{
    ASK_LIMIT, BATCH_BYTES, KafkaSettings,
    aside::Living,
    errors,
    heir::Heir,
    probe::Probe,
    reader,
    transaction::{Committer, Writer},
};
use crate::bus::{Begin, BusError, Commit, Guarantee, HAND_OVER_LIMIT, Inlet, Join, Member, co_partitioned};

/// How long a poll waits when there is nothing to do; also how soon a dropped member is noticed.
const IDLE_POLL: Duration = Duration::from_millis(50);

/// While the brokers are away it is said this often.
const TROUBLE_SAID: Duration = Duration::from_secs(30);

pub(super) type GroupConsumer = BaseConsumer<Group>;

/// How often a thread that waits for the role looks whether it has answered.
const LOOK: Duration = Duration::from_millis(1);

pub(super) fn spawn(settings: Arc<KafkaSettings>, probe: Arc<Probe>, join: Join) -> Result<Member, BusError> {
    let (events, inlet) = mpsc::channel(2);
    let (outlet, commits) = mpsc::channel(1);
    let (name, living) = (format!("auren-poll-{}", join.member), Living::of(&settings));
    thread::Builder::new()
        .name(name)
        .spawn(move || {
            let _living = living;
            if let Err(error) = live(&settings, &probe, &join, &events, commits) {
                // A member that was dropped needs no error.
                let _ = events.blocking_send(Inlet::Failed(error));
            }
        })
        .map_err(|error| BusError::Refused { what: "a poll thread".to_owned(), why: error.to_string() })?;
    Ok(Member { inlet, outlet })
}

fn live(
    settings: &Arc<KafkaSettings>,
    probe: &Arc<Probe>,
    join: &Join,
    events: &mpsc::Sender<Inlet>,
    commits: mpsc::Receiver<Commit>,
) -> Result<(), BusError> {
    co_partitioned(&probe.topics()?, &join.topics)?;
    let committer = match join.guarantee {
        Guarantee::ExactlyOnce => Committer::transactional(settings, join)?,
        Guarantee::AtLeastOnce => Committer::offsets_only(),
    };
    let consumer = Arc::new(consumer(settings, join, events, Heir::new(settings, probe, join))?);
    let topics: Vec<_> = join.topics.iter().map(|topic| settings.topic(*topic)).collect();
    // Once a broker is known; a coordinator that is asked for before that is asked for again only later.
    consumer
        .fetch_metadata(topics.first().map(String::as_str), ASK_LIMIT)
        .map_err(|error| errors::unreachable(&settings.brokers, &error))?;
    let topics: Vec<_> = topics.iter().map(String::as_str).collect();
    consumer.subscribe(&topics).map_err(|error| errors::refused(&format!("joining group {}", join.group), &error))?;

    let writer = Writer::new(Arc::clone(settings), Arc::clone(probe), Arc::clone(&consumer), join);
    let living = Living::of(settings);
    let commit_thread = thread::Builder::new()
        .name(format!("auren-commit-{}", join.member))
        .spawn(move || {
            let _living = living;
            commit_loop(committer, writer, commits);
        })
        .map_err(|error| BusError::Refused { what: "a commit thread".to_owned(), why: error.to_string() })?;

    let end = poll_loop(settings, join, &consumer, events);
    if end.is_ok() {
        // The role has dropped its inlet. What its outlet still brings is committed, until that is dropped too.
        let limit = Instant::now() + HAND_OVER_LIMIT;
        while !commit_thread.is_finished() && Instant::now() < limit {
            thread::sleep(LOOK);
        }
        if !commit_thread.is_finished() {
            tracing::warn!("a member was dropped and its outlet kept; its partitions are given up all the same");
        }
    }
    consumer.context().let_go();
    // The commit thread may hold the consumer for longer; without a subscription it leaves the group.
    consumer.unsubscribe();
    end
}

/// Commits strictly one after the other. The first failure ends it, and with the channel every commit behind it.
fn commit_loop(mut committer: Committer, writer: Writer, mut commits: mpsc::Receiver<Commit>) {
    while let Some(Commit { transaction, done }) = commits.blocking_recv() {
        let answer = committer.commit(&writer, &transaction);
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
    let most = join.max_batch.max(1);
    let (mut batch, mut bytes) = (Vec::new(), 0);
    let mut epoch = consumer.context().epoch();
    let mut trouble: Option<Instant> = None;
    loop {
        let wait = if batch.is_empty() { IDLE_POLL } else { Duration::ZERO };
        let polled = consumer.poll(wait);
        let now = consumer.context().epoch();
        if now != epoch {
            // What was gathered before the hand-over is the next owner's.
            batch.clear();
            bytes = 0;
            epoch = now;
        }
        let drained = match polled {
            Some(Ok(message)) => {
                if let Some(topic) = settings.named(message_topic(&message)) {
                    if trouble.take().is_some() {
                        tracing::info!(group = %join.group, "kafka answers again");
                    }
                    let record = reader::record(topic, &message);
                    bytes += record.payload.as_ref().map_or(0, bytes::Bytes::len);
                    batch.push(record);
                }
                false
            }
            Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                // The code of a fatal error may only say that it is one.
                let (code, why) = consumer.client().fatal_error().unwrap_or((code, code.to_string()));
                return Err(match code {
                    RDKafkaErrorCode::FencedInstanceId => BusError::Fenced { member: join.member.clone() },
                    _ => BusError::Refused { what: format!("group {}", join.group), why },
                });
            }
            Some(Err(error)) => match error.rdkafka_error_code() {
                Some(code) if errors::passes(code) => {
                    if trouble.is_none_or(|said| said.elapsed() >= TROUBLE_SAID) {
                        trouble = Some(Instant::now());
                        tracing::warn!(
                            group = %join.group, brokers = %settings.brokers, %code,
                            "kafka does not answer, the client keeps trying; check that the brokers run"
                        );
                    }
                    true
                }
                Some(RDKafkaErrorCode::UnknownTopicOrPartition | RDKafkaErrorCode::UnknownTopic) => {
                    let missing = join.topics.iter().map(|topic| settings.topic(*topic)).collect::<Vec<_>>().join(", ");
                    return Err(BusError::TopicMissing { topic: format!("(one of {missing})") });
                }
                Some(RDKafkaErrorCode::InvalidSessionTimeout) => {
                    let millis = settings.session_timeout.as_millis();
                    return Err(BusError::Refused {
                        what: format!("joining group {} with kafka.session_timeout_ms = {millis}", join.group),
                        why:
                            "the brokers take what is between their group.min.session.timeout.ms (6000 by default) and \
                              group.max.session.timeout.ms"
                                .to_owned(),
                    });
                }
                _ => return Err(errors::refused(&format!("reading for group {}", join.group), &error)),
            },
            None => true,
        };
        let full = batch.len() >= most || bytes >= BATCH_BYTES;
        if (drained || full) && !batch.is_empty() {
            bytes = 0;
            // Blocks while the role is busy: back-pressure reaches the broker as fetches that are not sent.
            if events.blocking_send(Inlet::Batch(std::mem::take(&mut batch))).is_err() {
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

fn consumer(
    settings: &KafkaSettings,
    join: &Join,
    events: &mpsc::Sender<Inlet>,
    heir: Heir,
) -> Result<GroupConsumer, BusError> {
    config(settings, join)
        .create_with_context(Group { events: events.clone(), heir, epoch: AtomicU64::new(0), held: Mutex::default() })
        .map_err(|error| errors::refused("the Kafka client's configuration", &error))
}

/// How a group member consumes.
pub(super) fn config(settings: &KafkaSettings, join: &Join) -> ClientConfig {
    let group = format!("{}{}", settings.prefix, join.group);
    let session = settings.session_timeout.as_millis().to_string();
    // Members hear of a rebalance with the answer to a heartbeat.
    let heartbeat = (settings.session_timeout / 12).as_millis().max(1).to_string();
    let begin = match join.begin {
        Begin::Earliest => "earliest",
        Begin::Latest => "latest",
    };
    settings.client(&[
        ("group.id", &group),
        // A restart under the same name takes its partitions over at once.
        ("group.instance.id", &join.member),
        ("enable.auto.commit", "false"),
        ("auto.offset.reset", begin),
        ("isolation.level", "read_committed"),
        // `range` gives partition p of every topic to the same member; `cooperative-sticky` does not.
        ("partition.assignment.strategy", "range"),
        ("session.timeout.ms", &session),
        ("heartbeat.interval.ms", &heartbeat),
        ("max.poll.interval.ms", "120000"),
        ("fetch.wait.max.ms", "50"),
        ("queued.max.messages.kbytes", "32768"),
        ("fetch.queue.backoff.ms", "10"),
        ("topic.metadata.refresh.interval.ms", "30000"),
    ])
}

/// Hears of assignments, on the poll thread, and holds it until the role is ready for them.
pub(super) struct Group {
    events: mpsc::Sender<Inlet>,
    heir: Heir,
    /// Counts hand-overs: records polled under an older epoch are not this member's any more.
    epoch: AtomicU64,
    held: Mutex<Option<Arc<Held>>>,
}

/// What is assigned, and under which generation of the group. A commit shows this very generation, so that the brokers
/// refuse one that began before a hand-over and arrives behind it.
pub(super) struct Held {
    pub(super) partitions: Vec<i32>,
    pub(super) metadata: ConsumerGroupMetadata,
}

impl Group {
    fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// What the member may commit; none while it has no assignment.
    pub(super) fn held(&self) -> Option<Arc<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on nothing of what was assigned can be committed.
    fn let_go(&self) {
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }

    fn assigned(&self, partitions: Vec<i32>, metadata: Option<ConsumerGroupMetadata>) {
        let held = metadata.map(|metadata| Arc::new(Held { partitions: partitions.clone(), metadata }));
        *self.held.lock().unwrap_or_else(PoisonError::into_inner) = held;
        self.heir.settle(&partitions);
        let (ready, wait) = oneshot::channel();
        if self.events.blocking_send(Inlet::Assigned { partitions, ready }).is_ok() {
            self.answered(wait, None);
        }
    }

    fn revoked(&self, partitions: Vec<i32>, lost: bool) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        if lost {
            self.let_go();
        }
        let limit = Instant::now() + HAND_OVER_LIMIT;
        let (released, wait) = oneshot::channel();
        if !self.tell(Inlet::Revoked { partitions, lost, released }, limit) || !self.answered(wait, Some(limit)) {
            tracing::warn!("a hand-over took too long, partitions are given up; what was in flight is fenced");
        }
        self.let_go();
    }

    /// Tells the role, unless it takes nothing until the limit.
    fn tell(&self, mut news: Inlet, limit: Instant) -> bool {
        loop {
            match self.events.try_send(news) {
                Ok(()) | Err(mpsc::error::TrySendError::Closed(_)) => return true,
                Err(mpsc::error::TrySendError::Full(back)) if Instant::now() < limit => news = back,
                Err(mpsc::error::TrySendError::Full(_)) => return false,
            }
            thread::sleep(LOOK);
        }
    }

    /// Waits until the role answers or is gone; false where it took too long.
    fn answered(&self, mut wait: oneshot::Receiver<()>, limit: Option<Instant>) -> bool {
        while let Err(oneshot::error::TryRecvError::Empty) = wait.try_recv() {
            if self.events.is_closed() {
                return true;
            }
            if limit.is_some_and(|limit| Instant::now() > limit) {
                return false;
            }
            thread::sleep(LOOK);
        }
        true
    }
}

impl ClientContext for Group {
    fn error(&self, error: KafkaError, reason: &str) {
        // The poll loop hears of it too, and says what matters once.
        tracing::debug!(%error, reason, "kafka client");
    }
}

impl ConsumerContext for Group {
    fn pre_rebalance(&self, consumer: &BaseConsumer<Self>, rebalance: &Rebalance<'_>) {
        match rebalance {
            Rebalance::Assign(list) => self.assigned(partitions(list), consumer.group_metadata()),
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
