//! One agent's post on a node: requests go out, answers come in, and each answer finds the question it belongs to.
//!
//! Every node reads all partitions of the reply topic, without a group, and passes over what others asked. A group would have
//! to give each node the partitions whose people it has at the moment, and agents would have to partition as AUREN does;
//! answers are few, and reading all of them needs neither. So an answer that came while its node died is also at hand on
//! the node that asks again: it is kept for a while, and the agent need not answer twice.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, Weak,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use auren_agents::{Consult, ConsultId};
use bytes::Bytes;
use tokio::{sync::oneshot, task::JoinHandle};

use super::{CONSULT, DEADLINE, KafkaAgentSettings, REPLY_TO};
use crate::{
    bus::{BusError, Headers, Outgoing, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic},
    consult::{ServiceError, health::Dropped},
    wire::TRACEPARENT,
};

/// So many of a partition's newest offsets are looked at by a node that begins to read: one to two for each answer.
const BACKLOG: i64 = 128;
/// Most answers that are kept although nobody asks for them, and most bytes of them all.
const KEPT_MAX: usize = 1024;
const KEPT_BYTES: usize = 4 * 1024 * 1024;
/// Most questions that are over and still known.
const OVER_MAX: usize = 4096;
/// The pause after the reply topic could not be read.
const PAUSE: Duration = Duration::from_millis(500);

/// One agent's post.
#[derive(Debug)]
pub(in crate::consult) struct Post {
    bus: SharedBus,
    requests: Topic,
    answers: Topic,
    letters: Mutex<Letters>,
    reader: Mutex<Option<JoinHandle<()>>>,
    counts: Counts,
}

/// What became of answers that nobody took.
#[derive(Debug, Default)]
struct Counts {
    duplicate: AtomicU64,
    late: AtomicU64,
    elsewhere: AtomicU64,
    nameless: AtomicU64,
}

/// Questions and answers that have not met, and those that have.
#[derive(Debug, Default)]
struct Letters {
    waiting: HashMap<ConsultId, oneshot::Sender<Bytes>>,
    over: HashMap<ConsultId, Over>,
    /// Those that are over, oldest first.
    order: VecDeque<ConsultId>,
    kept: HashMap<ConsultId, Bytes>,
    /// Those that are kept, oldest first.
    kept_order: VecDeque<ConsultId>,
    kept_bytes: usize,
}

/// How a question ended here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Over {
    Answered,
    LeftOff,
}

/// Why an answer reached nobody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stray {
    /// Its question has been answered.
    Duplicate,
    /// Its question is not waited for any more.
    Late,
    /// Nobody asked on this node.
    Elsewhere,
}

impl Post {
    pub(in crate::consult) fn new(bus: SharedBus, settings: &KafkaAgentSettings) -> Arc<Self> {
        let KafkaAgentSettings { requests, answers, .. } = settings;
        Arc::new(Self {
            bus,
            requests: *requests,
            answers: *answers,
            letters: Mutex::default(),
            reader: Mutex::default(),
            counts: Counts::default(),
        })
    }

    /// Writes a question and waits for its answer. Dropped, nobody waits any more.
    pub(super) async fn ask(self: &Arc<Self>, consult: &Consult) -> Result<Bytes, ServiceError> {
        self.read_on();
        let answer = match self.letters().open(&consult.id) {
            Opened::Here(answer) => return Ok(answer),
            Opened::Waits(answer) => answer,
        };
        let mut waiting = Waiting { post: self, id: consult.id.clone(), answer };
        let request = self.request(consult)?;
        self.bus.publish_all(vec![request]).await.map_err(|error| away(&error))?;
        let answer = (&mut waiting.answer).await;
        // Somebody else on this node asks the same: the answer is theirs.
        answer.map_err(|_| ServiceError::BrokenOff("the question was asked a second time".to_owned()))
    }

    /// What was dropped so far.
    pub(in crate::consult) fn dropped(&self) -> Dropped {
        let Counts { duplicate, late, elsewhere, nameless } = &self.counts;
        let [duplicate, late, elsewhere, nameless] =
            [duplicate, late, elsewhere, nameless].map(|count| count.load(Relaxed));
        Dropped { duplicate, late, elsewhere, nameless }
    }

    /// Counts are right even where a thread ended while it counted.
    fn letters(&self) -> MutexGuard<'_, Letters> {
        self.letters.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn request(&self, consult: &Consult) -> Result<Outgoing, ServiceError> {
        let payload = serde_json::to_vec(consult).map_err(|error| ServiceError::Settings(error.to_string()))?;
        let until = chrono::Utc::now() + consult.deadline;
        let mut headers: Headers = vec![
            ("ce_specversion".into(), Bytes::from_static(b"1.0")),
            ("ce_id".into(), bytes(consult.id.as_str())),
            ("ce_type".into(), Bytes::from_static(b"auren.consult.v1")),
            ("ce_source".into(), Bytes::from_static(b"/auren")),
            ("content-type".into(), Bytes::from_static(b"application/json")),
            (CONSULT.into(), bytes(consult.id.as_str())),
            (REPLY_TO.into(), bytes(&self.bus.full_name(self.answers))),
            (DEADLINE.into(), bytes(&until.to_rfc3339_opts(chrono::SecondsFormat::Millis, true))),
        ];
        headers.extend(consult.trace.as_deref().map(|trace| (TRACEPARENT.into(), bytes(trace))));
        let key = Some(bytes(consult.user.as_str()));
        Ok(Outgoing { topic: self.requests, partition: None, key, payload: Some(payload.into()), headers })
    }

    /// Reads answers from now on, if nobody does. A reader ends with the thread that began it, and with the post.
    fn read_on(self: &Arc<Self>) {
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        if reader.as_ref().is_none_or(JoinHandle::is_finished) {
            *reader = Some(tokio::spawn(follow(Arc::downgrade(self), Arc::clone(&self.bus), self.answers)));
        }
    }

    fn take(&self, record: Record, began: i64) {
        let place = record.cursor();
        let old = record.timestamp_ms < began;
        let Some(id) = record.header(CONSULT).and_then(|id| ConsultId::new(id).ok()) else {
            if !old {
                self.counts.nameless.fetch_add(1, Relaxed);
                tracing::warn!(
                    topic = %self.answers, %place,
                    "an answer names no question: it needs the header auren-consult of its request; it is dropped"
                );
            }
            return;
        };
        let stray = self.letters().answer(&id, record.payload.unwrap_or_default());
        // What was written before this node read is no news.
        let Some(stray) = stray.filter(|_| !old) else { return };
        let count = match stray {
            Stray::Duplicate => &self.counts.duplicate,
            Stray::Late => &self.counts.late,
            Stray::Elsewhere => &self.counts.elsewhere,
        };
        count.fetch_add(1, Relaxed);
        tracing::debug!(topic = %self.answers, %place, consult = %id, ?stray, "an answer was dropped");
    }
}

/// Reads the reply topic until the post is gone.
async fn follow(post: Weak<Post>, bus: SharedBus, topic: Topic) {
    let began = chrono::Utc::now().timestamp_millis();
    let mut next = BTreeMap::new();
    while let Err(error) = take_all(&post, &bus, topic, began, &mut next).await {
        if post.strong_count() == 0 {
            return;
        }
        tracing::warn!(%topic, %error, "answers of an agent cannot be read; it is tried again");
        tokio::time::sleep(PAUSE).await;
    }
}

/// Reads on behind what was read until the post is gone. What was not read before it begins with its newest answers.
async fn take_all(
    post: &Weak<Post>,
    bus: &SharedBus,
    topic: Topic,
    began: i64,
    next: &mut BTreeMap<i32, i64>,
) -> Result<(), BusError> {
    if next.is_empty() {
        let marks = bus.watermarks(topic).await?;
        next.extend(marks.into_iter().map(|(partition, (_, high))| (partition, high.saturating_sub(BACKLOG))));
    }
    // A partition that was not there yet is read from its beginning.
    let from = ReadFrom::Offsets(next.clone());
    let mut batches = bus.read(Read { topic, partitions: Vec::new(), from, until: ReadUntil::Follow });
    while let Some(batch) = batches.recv().await {
        let batch = batch?;
        let Some(post) = post.upgrade() else { return Ok(()) };
        for record in batch {
            next.insert(record.partition, record.offset + 1);
            post.take(record, began);
        }
    }
    Err(BusError::Closed)
}

fn bytes(text: &str) -> Bytes {
    Bytes::copy_from_slice(text.as_bytes())
}

/// The request topic does not take the question.
fn away(error: &BusError) -> ServiceError {
    ServiceError::Unreachable(error.to_string())
}

/// A question that is waited for.
struct Waiting<'p> {
    post: &'p Post,
    id: ConsultId,
    answer: oneshot::Receiver<Bytes>,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.answer.close();
        self.post.letters().leave(&self.id);
    }
}

/// A question that has just been asked.
enum Opened {
    /// Its answer is there already.
    Here(Bytes),
    /// It comes here.
    Waits(oneshot::Receiver<Bytes>),
}

impl Letters {
    fn open(&mut self, id: &ConsultId) -> Opened {
        if let Some(answer) = self.kept.remove(id) {
            self.kept_bytes -= answer.len();
            self.kept_order.retain(|kept| kept != id);
            self.end(id, Over::Answered);
            return Opened::Here(answer);
        }
        let (give, take) = oneshot::channel();
        self.waiting.insert(id.clone(), give);
        Opened::Waits(take)
    }

    /// Brings an answer to its question; says why it reached nobody.
    fn answer(&mut self, id: &ConsultId, answer: Bytes) -> Option<Stray> {
        if let Some(waiting) = self.waiting.remove(id) {
            let given = waiting.send(answer).is_ok();
            self.end(id, if given { Over::Answered } else { Over::LeftOff });
            return (!given).then_some(Stray::Late);
        }
        match self.over.get(id) {
            Some(Over::Answered) => Some(Stray::Duplicate),
            Some(Over::LeftOff) => Some(Stray::Late),
            None if self.kept.contains_key(id) => Some(Stray::Duplicate),
            None => {
                self.keep(id, answer);
                Some(Stray::Elsewhere)
            }
        }
    }

    /// Nobody waits for the answer any more.
    fn leave(&mut self, id: &ConsultId) {
        // Another asking of the same question may have taken its place.
        if self.waiting.get(id).is_some_and(oneshot::Sender::is_closed) {
            self.waiting.remove(id);
            self.end(id, Over::LeftOff);
        }
    }

    fn end(&mut self, id: &ConsultId, how: Over) {
        if self.over.insert(id.clone(), how).is_none() {
            self.order.push_back(id.clone());
        }
        if self.order.len() > OVER_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.over.remove(&oldest);
        }
    }

    fn keep(&mut self, id: &ConsultId, answer: Bytes) {
        self.kept_bytes += answer.len();
        self.kept.insert(id.clone(), answer);
        self.kept_order.push_back(id.clone());
        while self.kept_order.len() > KEPT_MAX || self.kept_bytes > KEPT_BYTES {
            let Some(oldest) = self.kept_order.pop_front() else { break };
            self.kept_bytes -= self.kept.remove(&oldest).map_or(0, |answer| answer.len());
        }
    }
}

#[cfg(test)]
mod tests {
    use auren_agents::AgentCard;

    use super::*;
    use crate::bus::{TopicSpec, embedded::EmbeddedBus};

    fn id(name: &str) -> ConsultId {
        ConsultId::new(name).unwrap()
    }

    fn waits(letters: &mut Letters, name: &str) -> oneshot::Receiver<Bytes> {
        match letters.open(&id(name)) {
            Opened::Waits(answer) => answer,
            Opened::Here(answer) => panic!("nobody has answered, and not {answer:?}"),
        }
    }

    /// Reads until an answer has come, and breaks off.
    async fn reads_until(post: &Arc<Post>, next: &mut BTreeMap<i32, i64>, answer: oneshot::Receiver<Bytes>) -> Bytes {
        let weak = Arc::downgrade(post);
        let reading = take_all(&weak, &post.bus, post.answers, 0, next);
        let come = async {
            tokio::select! {
                answer = answer => answer.unwrap(),
                end = reading => panic!("{end:?}"),
            }
        };
        tokio::time::timeout(Duration::from_secs(60), come).await.unwrap()
    }

    #[test]
    fn an_answer_is_taken_once_and_everything_else_is_told_apart() {
        let mut letters = Letters::default();
        let mut first = waits(&mut letters, "c-1");
        assert_eq!(letters.answer(&id("c-1"), Bytes::from_static(b"one")), None);
        assert_eq!(letters.answer(&id("c-1"), Bytes::from_static(b"two")), Some(Stray::Duplicate));
        assert_eq!(first.try_recv().unwrap(), "one");
        drop(waits(&mut letters, "c-2"));
        letters.leave(&id("c-2"));
        assert_eq!(letters.answer(&id("c-2"), Bytes::new()), Some(Stray::Late));
        assert_eq!(letters.answer(&id("c-3"), Bytes::new()), Some(Stray::Elsewhere));
        // Asked again: it is waited for anew.
        let mut again = waits(&mut letters, "c-2");
        assert_eq!(letters.answer(&id("c-2"), Bytes::from_static(b"now")), None);
        assert_eq!(again.try_recv().unwrap(), "now");
    }

    #[test]
    fn an_answer_that_came_before_its_question_is_at_hand() {
        let mut letters = Letters::default();
        letters.answer(&id("c-1"), Bytes::from_static(b"early"));
        assert!(matches!(letters.open(&id("c-1")), Opened::Here(answer) if answer == "early"));
        assert_eq!(letters.answer(&id("c-1"), Bytes::new()), Some(Stray::Duplicate));
        assert_eq!(letters.kept_bytes, 0);
    }

    #[tokio::test]
    async fn a_reader_that_begins_again_goes_on_where_it_was_however_much_has_come() {
        let folder = tempfile::tempdir().unwrap();
        let bus: SharedBus = Arc::new(EmbeddedBus::open(folder.path().join("auren.db")).await.unwrap());
        let [requests, answers] = ["agents.post.requests", "agents.post.answers"].map(Topic::configured);
        let spec = TopicSpec { topic: answers, partitions: 2, replication: 1 };
        bus.create_topics(&[spec]).await.unwrap();
        let answer = |partition: i32, consult: &str| Outgoing {
            topic: answers,
            partition: Some(partition),
            key: None,
            payload: Some(Bytes::from_static(b"yes")),
            headers: vec![(CONSULT.into(), bytes(consult))],
        };
        let many =
            |partition, name: &str| (0..300).map(|n| answer(partition, &format!("{name}-{n}"))).collect::<Vec<_>>();
        bus.publish_all(many(0, "old")).await.unwrap();
        let card = AgentCard::new("post", "1", "Tests.");
        let settings = KafkaAgentSettings { card, requests, answers, guarded: true, max_answer_bytes: 1024 };
        let post = Post::new(Arc::clone(&bus), &settings);
        let mut next = BTreeMap::new();
        let asked = waits(&mut post.letters(), "old-299");
        assert_eq!(reads_until(&post, &mut next, asked).await, "yes");
        assert_eq!((next[&0], post.letters().kept.len()), (300, 127), "its newest only");
        // A partition of which something was read, and one of which nothing was.
        for partition in [0, 1] {
            let asked = waits(&mut post.letters(), &format!("new-{partition}-0"));
            bus.publish_all(many(partition, &format!("new-{partition}"))).await.unwrap();
            assert_eq!(reads_until(&post, &mut next, asked).await, "yes");
        }
    }

    #[test]
    fn what_is_kept_is_bounded_in_number_and_size() {
        let mut letters = Letters::default();
        let large = Bytes::from(vec![b'x'; KEPT_BYTES / 2]);
        for number in 0..5 {
            letters.answer(&id(&format!("l-{number}")), large.clone());
        }
        assert_eq!((letters.kept.len(), letters.kept_bytes), (2, KEPT_BYTES));
        for number in 0..2 * KEPT_MAX {
            letters.answer(&id(&format!("s-{number}")), Bytes::new());
        }
        assert_eq!((letters.kept.len(), letters.kept_order.len()), (KEPT_MAX, KEPT_MAX));
        for number in 0..2 * OVER_MAX {
            letters.end(&id(&format!("o-{number}")), Over::Answered);
        }
        assert_eq!((letters.over.len(), letters.order.len()), (OVER_MAX, OVER_MAX));
    }
}
