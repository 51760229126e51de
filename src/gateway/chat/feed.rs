//! The node's one follower of `conversations.events`, and what it remembers for the people who listen.
//!
//! It begins with the first listener. Of everybody else's records it looks at the key only. The newest events of a person
//! who listens are kept in a ring, which says from which offset on it holds everything. What is older is looked for in the
//! [`tail`](super::tail) of the partition, and else read from the log. A listener is no queue but a place in the log, so that
//! nobody is held up by one that is slow.

use std::{
    collections::{BTreeMap, HashMap, VecDeque},
    sync::{Arc, Mutex, MutexGuard},
    time::{Duration, Instant},
};

use auren_agents::{ConversationEvent, UserId, events};
use futures::future::join;
use tokio::sync::{OnceCell, Semaphore, watch};

use super::{Stats, stats::Tier, tail::Tail};
use crate::gateway::server::told as told_to_end;
use crate::{
    bus::{BusError, Cursor, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic, key_partition},
    config::ChatSection,
    trace::Trace,
    wire::{CAUSE_WRITTEN, TRACEPARENT},
};

/// The pause after the log could not be read.
const PAUSE: Duration = Duration::from_millis(500);

/// How long it is believed where a partition begins.
const FIRSTS_LIFE: Duration = Duration::from_secs(1);

/// Records of all partitions that are read back when the follower begins, and how long that may take.
const WARM: i64 = 4_000;
const WARM_LIMIT: Duration = Duration::from_secs(5);

/// A committed event and its place.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) cursor: Cursor,
    pub(super) event: Arc<ConversationEvent>,
    pub(super) trace: Option<Trace>,
    /// When the log had its cause, in milliseconds since the epoch.
    pub(super) caused_ms: Option<i64>,
}

/// What listeners hear from.
#[derive(Debug)]
pub(super) struct Feed {
    pub(super) bus: SharedBus,
    pub(super) stats: Arc<Stats>,
    /// Reads of the log at a time.
    pub(super) reads: Arc<Semaphore>,
    ring_events: usize,
    ring_users: usize,
    tail_bytes: usize,
    stopping: watch::Receiver<bool>,
    /// Where each partition began, and when the bus said so: many who come at once ask it once.
    firsts: tokio::sync::Mutex<Option<(Instant, BTreeMap<i32, i64>)>>,
    begun: OnceCell<i32>,
    memory: Mutex<Memory>,
}

#[derive(Debug, Default)]
struct Memory {
    /// For each partition, the offset below which the follower has seen everything.
    places: Vec<i64>,
    /// The end of each partition.
    tails: Vec<Tail>,
    people: HashMap<Box<str>, Ring>,
    /// Who has no listener any more, in the order in which they left, and the number of their leaving.
    left: VecDeque<(Box<str>, u64)>,
    leavings: u64,
}

#[derive(Debug)]
struct Ring {
    partition: usize,
    newest: VecDeque<Told>,
    /// Every event of the person from this offset on that the follower has seen is in `newest`.
    whole_from: i64,
    news: watch::Sender<()>,
    listeners: usize,
    /// The number of the last leaving, where nobody listens.
    left: u64,
}

/// What there is for a listener at its place.
pub(super) enum Look {
    /// These.
    Here(Vec<Told>, Tier),
    /// Nothing yet: all below this offset has been seen.
    Nothing(i64),
    /// Only the log knows, up to this offset.
    Log(i64),
}

impl Feed {
    pub(super) fn new(
        bus: SharedBus,
        chat: &ChatSection,
        stats: Arc<Stats>,
        stopping: watch::Receiver<bool>,
    ) -> Arc<Self> {
        Arc::new(Self {
            bus,
            stats,
            reads: Arc::new(Semaphore::new(chat.max_log_reads)),
            ring_events: chat.ring_events,
            ring_users: chat.ring_users,
            tail_bytes: chat.tail_bytes,
            stopping,
            firsts: tokio::sync::Mutex::default(),
            begun: OnceCell::new(),
            memory: Mutex::default(),
        })
    }

    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.memory.lock().expect("nobody panics while holding the feed's memory")
    }

    /// The partition of a person's events.
    pub(super) async fn partition(self: &Arc<Self>, user: &UserId) -> Result<i32, BusError> {
        let count = *self.begun.get_or_try_init(|| self.begin()).await?;
        Ok(key_partition(user.as_str().as_bytes(), count))
    }

    async fn begin(self: &Arc<Self>) -> Result<i32, BusError> {
        // What is being committed at this moment is news to whoever listens from now on.
        let places: Vec<i64> = self.bus.decided(Topic::Events).await?.into_values().collect();
        let count = places.len();
        {
            let mut memory = self.memory();
            let most = self.tail_bytes / count.max(1);
            memory.tails = places.iter().map(|place| Tail::new(*place, most)).collect();
            memory.places = places;
        }
        tokio::spawn(Arc::clone(self).follow());
        i32::try_from(count).map_err(|_| BusError::Closed)
    }

    /// The first offset of a partition that was kept a moment ago.
    pub(super) async fn first(&self, partition: i32) -> Result<i64, BusError> {
        let mut firsts = self.firsts.lock().await;
        if firsts.as_ref().is_none_or(|(asked, _)| asked.elapsed() > FIRSTS_LIFE) {
            let marks = self.bus.watermarks(Topic::Events).await?;
            *firsts =
                Some((Instant::now(), marks.into_iter().map(|(partition, (first, _))| (partition, first)).collect()));
        }
        firsts.as_ref().and_then(|(_, firsts)| firsts.get(&partition).copied()).ok_or(BusError::Closed)
    }

    /// Follows the log until the node ends. What was there before is read meanwhile, so that nobody who is here waits for it.
    async fn follow(self: Arc<Self>) {
        let mut stopping = self.stopping.clone();
        // Each tail begins where its partition is followed from.
        let begun = self.memory().places.clone();
        let warm = async {
            if tokio::time::timeout(WARM_LIMIT, self.warm(&begun)).await.is_err() {
                tracing::warn!("conversations.events took too long; who comes back reads the log");
            }
        };
        let follow = async {
            loop {
                let Err(error) = self.follow_once().await;
                tracing::warn!(%error, "conversations.events cannot be followed; it is tried again");
                tokio::time::sleep(PAUSE).await;
            }
        };
        tokio::select! {
            () = told_to_end(&mut stopping) => {}
            _ = join(warm, follow) => {}
        }
    }

    /// Reads the newest records before these places, for those who come back now.
    async fn warm(&self, begun: &[i64]) {
        let partitions = begun.len();
        let Some(each) = i64::try_from(partitions).ok().and_then(|count| WARM.checked_div(count)) else { return };
        if self.tail_bytes == 0 {
            return;
        }
        let (topic, from) = (Topic::Events, ReadFrom::Last(each.max(1)));
        let mut batches = self.bus.read(Read { topic, partitions: Vec::new(), from, until: ReadUntil::End });
        let mut before: Vec<Vec<Record>> = vec![Vec::new(); partitions];
        while let Some(batch) = batches.recv().await {
            let Ok(batch) = batch else { return };
            for record in batch {
                if let Some(before) = usize::try_from(record.partition).ok().and_then(|index| before.get_mut(index)) {
                    before.push(record);
                }
            }
        }
        for ((tail, before), begun) in self.memory().tails.iter_mut().zip(before).zip(begun) {
            tail.prepend(&before, *begun);
        }
    }

    async fn follow_once(&self) -> Result<std::convert::Infallible, BusError> {
        let marks = self.bus.watermarks(Topic::Events).await?;
        let from: BTreeMap<i32, i64> = (0..).zip(self.memory().skip_to(&marks)).collect();
        let (topic, partitions) = (Topic::Events, Vec::new());
        let read = Read { topic, partitions, from: ReadFrom::Offsets(from), until: ReadUntil::Follow };
        let mut batches = self.bus.read(read);
        loop {
            let batch = batches.recv().await.ok_or(BusError::Closed)??;
            self.memory().take(&batch, self.ring_events);
        }
    }

    /// Begins to listen: from the returned offset on everything is in memory. None where too many listen already.
    pub(super) fn enter(&self, user: &UserId, partition: i32, most: usize) -> Option<(i64, watch::Receiver<()>)> {
        let mut memory = self.memory();
        let partition = usize::try_from(partition).unwrap_or_default();
        let place = memory.places.get(partition).copied().unwrap_or_default();
        let ring = memory.people.entry(user.as_str().into()).or_insert_with(|| Ring {
            partition,
            newest: VecDeque::new(),
            whole_from: place,
            news: watch::Sender::new(()),
            listeners: 0,
            left: 0,
        });
        if ring.listeners >= most {
            return None;
        }
        ring.listeners += 1;
        Some((place, ring.news.subscribe()))
    }

    /// Ends listening. The ring stays for those who come back soon.
    pub(super) fn leave(&self, user: &UserId) {
        let mut memory = self.memory();
        memory.leavings += 1;
        let number = memory.leavings;
        let Some(ring) = memory.people.get_mut(user.as_str()) else { return };
        ring.listeners -= 1;
        if ring.listeners > 0 {
            return;
        }
        ring.left = number;
        memory.left.push_back((user.as_str().into(), number));
        while memory.left.len() > self.ring_users {
            let Some((user, number)) = memory.left.pop_front() else { break };
            // Who has come back since is not forgotten.
            if memory.people.get(&user).is_some_and(|ring| ring.listeners == 0 && ring.left == number) {
                memory.people.remove(&user);
            }
        }
    }

    /// What there is from this offset on.
    pub(super) fn look(&self, user: &UserId, next: i64) -> Look {
        let memory = self.memory();
        let Some(ring) = memory.people.get(user.as_str()) else { return Look::Nothing(next) };
        let seen = memory.places[ring.partition].max(next);
        let (here, tier) = if next >= ring.whole_from {
            (ring.newest.iter().filter(|told| told.cursor.offset >= next).cloned().collect(), Tier::Ring)
        } else {
            let Some(records) = memory.tails[ring.partition].of(user.as_str().as_bytes(), next) else {
                return Look::Log(ring.whole_from);
            };
            // Nobody waits while they are read.
            drop(memory);
            (records.iter().filter_map(|record| told(record, user.as_str())).collect::<Vec<_>>(), Tier::Tail)
        };
        if here.is_empty() { Look::Nothing(seen) } else { Look::Here(here, tier) }
    }
}

impl Memory {
    /// Where to go on reading. What is not kept any more is passed over, and rings that lack it say so.
    fn skip_to(&mut self, marks: &BTreeMap<i32, (i64, i64)>) -> Vec<i64> {
        for (index, (place, (first, _))) in self.places.iter_mut().zip(marks.values()).enumerate() {
            if *first > *place {
                *place = *first;
                self.tails[index].restart(*first);
                for ring in self.people.values_mut().filter(|ring| ring.partition == index) {
                    ring.newest.clear();
                    ring.whole_from = *first;
                }
            }
        }
        self.places.clone()
    }

    fn take(&mut self, batch: &[Record], ring_events: usize) {
        for record in batch {
            let partition = usize::try_from(record.partition).unwrap_or_default();
            let Some(place) = self.places.get_mut(partition) else { continue };
            if record.offset < *place {
                continue;
            }
            *place = record.offset + 1;
            self.tails[partition].push(record);
            let key = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
            let Some(ring) = key.and_then(|key| self.people.get_mut(key)) else { continue };
            // An event in another partition than its person's has no place in the person's one order.
            if ring.partition != partition {
                continue;
            }
            let Some(told) = told(record, key.unwrap_or_default()) else { continue };
            ring.newest.push_back(told);
            if ring.newest.len() > ring_events
                && let Some(oldest) = ring.newest.pop_front()
            {
                ring.whole_from = oldest.cursor.offset + 1;
            }
            ring.news.send_replace(());
        }
    }
}

/// The event of a record, where it is one of this person. An outside producer may have written anything.
pub(super) fn told(record: &Record, user: &str) -> Option<Told> {
    if record.key.as_deref() != Some(user.as_bytes()) {
        return None;
    }
    let event: ConversationEvent = events::parse(record.payload.as_deref()?)
        .inspect_err(|why| tracing::warn!(cursor = %record.cursor(), %why, "no conversation event, passed over"))
        .ok()?;
    let trace = Trace::named(record.header(TRACEPARENT));
    let caused_ms = record.header(CAUSE_WRITTEN).and_then(|ms| ms.parse().ok());
    let cursor = record.cursor();
    (event.user_id.as_str() == user).then(|| Told { cursor, event: Arc::new(event), trace, caused_ms })
}
