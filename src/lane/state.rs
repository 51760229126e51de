//! The newest states of the users of the partitions held: restored from the compacted topic, kept up by every stimulus.
//!
//! Without Redis all of them are in memory, as bytes. With Redis the [`Mirror`] holds what was committed, and in memory are
//! only the states that it lacks and those of sessions that wait for something; a session that is begun again asks it. A
//! Redis that is away, empty or not to be trusted costs memory or time and nothing else: the topic is the truth.

mod mirrored;

use std::collections::{BTreeMap, hash_map::Entry};

use auren_agents::UserId;
use bytes::Bytes;

use super::{
    Users, Wake,
    mirror::{Held, Mirror, Warming},
    refusal::user_of,
    wakes::Wakes,
};
use crate::bus::{BusError, Headers, Outgoing, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic};

/// A header of a state record: the session waits for something.
const OPEN: &str = "auren-open";
/// Another: when the session is to be woken.
const WAKE: &str = "auren-wake";

/// Saved states by user.
#[derive(Debug)]
pub(super) struct States {
    topic: Topic,
    users: Users<Saved>,
    /// How many of them wait for something.
    open: usize,
    /// States that Redis holds too, or that it was asked for and does not hold; forgotten when the batch has been worked.
    loaded: Users<Option<Bytes>>,
    mirror: Option<Mirror>,
    /// Who is to be woken when, wherever the state is.
    pub(super) wakes: Wakes,
}

#[derive(Debug)]
struct Saved {
    partition: i32,
    /// None where it is gone, and Redis does not know yet.
    state: Option<Bytes>,
    open: bool,
    /// Whether it goes into the next commit.
    changed: bool,
    /// Where this state is committed; none where that is not known yet.
    offset: Option<i64>,
    /// The newest committed state that Redis lacks, which may be an older one than `state`. Always none without Redis.
    lacking: Option<Box<Written>>,
}

/// A state that is in the topic.
#[derive(Debug, Clone)]
pub(super) struct Written {
    pub(super) user: UserId,
    pub(super) partition: i32,
    pub(super) offset: i64,
    /// None where it is gone.
    pub(super) state: Option<Bytes>,
    pub(super) open: bool,
    pub(super) wake: Option<Wake>,
}

impl Written {
    fn of(record: Record) -> Option<Self> {
        let Some(user) = record.key.as_deref().and_then(user_of) else {
            tracing::warn!(topic = %record.topic, cursor = %record.cursor(), "a state without a user was passed over");
            return None;
        };
        let open = record.header(OPEN).is_some();
        let wake = record.header(WAKE).and_then(|wake| wake.parse().ok());
        Some(Self { user, partition: record.partition, offset: record.offset, state: record.payload, open, wake })
    }
}

impl States {
    /// None yet.
    pub(super) fn new(topic: Topic, mirror: Option<Mirror>) -> Self {
        Self { topic, users: Users::default(), open: 0, loaded: Users::default(), mirror, wakes: Wakes::default() }
    }

    /// Takes some partitions: what Redis holds of them and the rest of the topic, or all of the topic.
    pub(super) async fn restore(&mut self, bus: &SharedBus, partitions: &[i32]) -> Result<(), BusError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let mut marks = BTreeMap::new();
        if let Some(mirror) = &mut self.mirror {
            let held = mirror.take(partitions, &bus.watermarks(self.topic).await?).await;
            marks = held.iter().map(|(partition, held)| (*partition, held.mark.next())).collect();
            self.take_over(held);
        }
        let (tails, rest): (Vec<_>, Vec<_>) = partitions.iter().partition(|partition| marks.contains_key(partition));
        self.remember(bus, &tails, ReadFrom::Offsets(marks)).await?;
        self.rebuild(bus, &rest).await?;
        self.wakes.learned(partitions);
        Ok(())
    }

    /// Reads all of some partitions: into Redis where it answers, into memory otherwise.
    async fn rebuild(&mut self, bus: &SharedBus, partitions: &[i32]) -> Result<(), BusError> {
        let warming = match &mut self.mirror {
            Some(mirror) if !partitions.is_empty() => mirror.warm(partitions).await,
            _ => None,
        };
        if let Some(warming) = warming
            && self.warm(bus, partitions, warming).await?
        {
            return Ok(());
        }
        self.read_whole(bus, partitions).await
    }

    /// Reads all of some partitions into memory.
    async fn read_whole(&mut self, bus: &SharedBus, partitions: &[i32]) -> Result<(), BusError> {
        self.remember(bus, partitions, ReadFrom::Earliest).await?;
        if let Some(mirror) = &mut self.mirror {
            mirror.keep(partitions);
        }
        Ok(())
    }

    /// Reads some partitions into memory, from there on.
    async fn remember(&mut self, bus: &SharedBus, partitions: &[i32], from: ReadFrom) -> Result<(), BusError> {
        // No partition would mean all of them.
        if partitions.is_empty() {
            return Ok(());
        }
        let mut batches = bus.read(self.read(partitions, from));
        while let Some(batch) = batches.recv().await {
            batch?.into_iter().filter_map(Written::of).for_each(|written| self.restored(written));
        }
        Ok(())
    }

    /// Reads all of some partitions into Redis; false where Redis failed on the way.
    async fn warm(&mut self, bus: &SharedBus, partitions: &[i32], warming: Warming) -> Result<bool, BusError> {
        let held = self.warmed(bus, partitions, warming).await?;
        let Some(mirror) = &mut self.mirror else { return Ok(false) };
        let Some(held) = held else {
            mirror.leave_alone();
            return Ok(false);
        };
        mirror.hold(&held);
        self.let_go(&held);
        self.take_over(held);
        Ok(true)
    }

    async fn warmed(
        &self,
        bus: &SharedBus,
        partitions: &[i32],
        mut warming: Warming,
    ) -> Result<Option<BTreeMap<i32, Held>>, BusError> {
        let mut batches = bus.read(self.read(partitions, ReadFrom::Earliest));
        while let Some(batch) = batches.recv().await {
            if !warming.take(batch?.into_iter().filter_map(Written::of).collect()).await {
                return Ok(None);
            }
        }
        Ok(warming.finish().await)
    }

    /// Lets go of the states that Redis holds now. Until the batch is worked they stay at hand.
    fn let_go(&mut self, held: &BTreeMap<i32, Held>) {
        let leaving = self.users.extract_if(|_, saved| {
            let Some(held) = held.get(&saved.partition) else { return false };
            saved.lacking.take_if(|written| written.offset < held.mark.next());
            !saved.open && saved.offset.is_some_and(|offset| offset < held.mark.next())
        });
        self.loaded.extend(leaving.map(|(user, saved)| (user, saved.state)));
    }

    /// Lets go of a state that Redis holds now. Until the batch is worked it stays at hand.
    fn let_go_of(&mut self, user: &UserId) {
        if let Some((user, saved)) = self.users.remove_entry(user) {
            self.loaded.insert(user, saved.state);
        }
    }

    /// Takes the states of those who wait for something into memory, and who waits for a time.
    fn take_over(&mut self, held: BTreeMap<i32, Held>) {
        for (partition, held) in held {
            for (user, wake) in &held.wakes {
                self.wakes.learn(user, partition, Some(*wake));
            }
            for (user, state) in held.waiting {
                if !self.users.contains_key(&user) {
                    self.put(user, partition, Some(state), true, Some(held.mark.next() - 1));
                }
            }
        }
    }

    fn read(&self, partitions: &[i32], from: ReadFrom) -> Read {
        Read { topic: self.topic, partitions: partitions.to_vec(), from, until: ReadUntil::End }
    }

    /// A record of the topic. What is at work in memory is newer.
    fn restored(&mut self, written: Written) {
        self.wakes.learn(&written.user, written.partition, written.wake);
        let known = self.users.get(&written.user).map(|saved| saved.offset);
        if known.is_some_and(|offset| offset.is_none_or(|offset| offset >= written.offset)) {
            return;
        }
        let Written { user, partition, offset, state, open, .. } = written.clone();
        if self.mirror.is_none() && state.is_none() {
            self.remove(&user);
            return;
        }
        self.put(user, partition, state, open, Some(offset));
        if self.mirror.is_some() {
            self.lacks(written);
        }
    }

    /// Redis does not have this one yet.
    fn lacks(&mut self, written: Written) {
        if let Some(saved) = self.users.get_mut(&written.user) {
            saved.lacking = Some(Box::new(written));
        }
    }

    /// The newest state of a user, as far as it was loaded.
    pub(super) fn get(&self, user: &UserId) -> Option<&[u8]> {
        match self.users.get(user) {
            Some(saved) => saved.state.as_deref(),
            None => self.loaded.get(user)?.as_deref(),
        }
    }

    /// A state that was just worked; says whether it is the user's first that goes into the next commit.
    pub(super) fn worked(&mut self, user: UserId, partition: i32, state: Bytes, open: bool) -> bool {
        self.put(user, partition, Some(state), open, None)
    }

    /// When a session is to be woken; it goes into the record of its state.
    pub(super) fn waits_until(&mut self, user: &UserId, partition: i32, wake: Option<Wake>) {
        self.wakes.set(user, partition, wake);
    }

    /// A user of whom nothing is to be remembered: what goes into the commit is a tombstone. Says the same as `worked`.
    pub(super) fn gone(&mut self, user: UserId, partition: i32) -> bool {
        self.wakes.set(&user, partition, None);
        self.put(user, partition, None, false, None)
    }

    /// Says whether it has changed since the last commit for the first time.
    fn put(&mut self, user: UserId, partition: i32, state: Option<Bytes>, open: bool, offset: Option<i64>) -> bool {
        self.open += usize::from(open);
        let changed = offset.is_none();
        let saved = Saved { partition, state, open, changed, offset, lacking: None };
        match self.users.entry(user) {
            Entry::Vacant(entry) => {
                entry.insert(saved);
                changed
            }
            Entry::Occupied(mut entry) => {
                let before = entry.insert(saved);
                self.open -= usize::from(before.open);
                entry.get_mut().lacking = before.lacking;
                changed && !before.changed
            }
        }
    }

    fn remove(&mut self, user: &UserId) {
        if let Some(before) = self.users.remove(user) {
            self.open -= usize::from(before.open);
        }
    }

    /// Forgets the users of some partitions.
    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.users.retain(|_, saved| !partitions.contains(&saved.partition));
        self.open = self.users.values().filter(|saved| saved.open).count();
        self.wakes.forget(partitions);
        if let Some(mirror) = &mut self.mirror {
            mirror.forget(partitions);
        }
    }

    pub(super) fn clear(&mut self) {
        self.users.clear();
        self.open = 0;
        self.loaded.clear();
        self.wakes.clear();
        if let Some(mirror) = &mut self.mirror {
            mirror.clear();
        }
    }

    /// How many states are in memory.
    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    /// How many sessions wait for something.
    pub(super) fn open(&self) -> usize {
        self.open
    }

    /// Whether this session waits for something: it is then not put to sleep.
    pub(super) fn is_open(&self, user: &UserId) -> bool {
        self.open > 0 && self.users.get(user).is_some_and(|saved| saved.open)
    }

    /// The users of some partitions whose sessions wait for something, in a fixed order.
    pub(super) fn waiting(&self, partitions: &[i32]) -> Vec<UserId> {
        let of = |saved: &Saved| saved.open && partitions.contains(&saved.partition);
        let mut users: Vec<_> =
            self.users.iter().filter(|(_, saved)| of(saved)).map(|(user, _)| user.clone()).collect();
        users.sort_unstable();
        users
    }

    /// The state of a user that goes into a commit; where it will stand is not known yet.
    pub(super) fn being_written(&self, user: &UserId) -> Option<Written> {
        let Saved { partition, state, open, .. } = self.users.get(user)?;
        let (state, wake) = (state.clone(), self.wakes.of(user));
        Some(Written { user: user.clone(), partition: *partition, offset: -1, state, open: *open, wake })
    }

    /// The changed state of a user as the record that goes into the commit.
    pub(super) fn record(&mut self, user: &UserId) -> Option<Outgoing> {
        let saved = self.users.get_mut(user)?;
        saved.changed = false;
        let mut headers = Headers::new();
        if saved.open {
            headers.push((OPEN.into(), Bytes::from_static(b"1")));
        }
        if let Some(wake) = self.wakes.of(user) {
            headers.push((WAKE.into(), wake.to_string().into()));
        }
        Some(Outgoing {
            topic: self.topic,
            partition: Some(saved.partition),
            key: Some(Bytes::copy_from_slice(user.as_str().as_bytes())),
            payload: saved.state.clone(),
            headers,
        })
    }
}
