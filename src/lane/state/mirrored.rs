//! What Redis is for: states are loaded when they are needed, and what was committed is written behind. Nothing of it
//! happens where there is no Redis.

use std::{collections::BTreeMap, mem};

use auren_agents::UserId;

use super::{States, Written};
use crate::{
    bus::{BusError, SharedBus},
    lane::mirror::{Flush, Landed, Mirror, Turn},
};

impl States {
    /// Whether anybody has to say what was committed, and what is about to be used.
    pub(in crate::lane) fn are_mirrored(&self) -> bool {
        self.mirror.is_some()
    }

    /// How many partitions are in Redis, and how many are not although they should be.
    pub(in crate::lane) fn mirrors(&self) -> (usize, usize) {
        self.mirror.as_ref().map_or((0, 0), Mirror::counts)
    }

    /// Loads the states of users who are about to be used, where they are not in memory.
    pub(in crate::lane) async fn load(
        &mut self,
        bus: &SharedBus,
        users: impl IntoIterator<Item = (UserId, i32)>,
    ) -> Result<(), BusError> {
        let mut wanted: BTreeMap<i32, Vec<UserId>> = BTreeMap::new();
        for (user, partition) in users {
            wanted.entry(partition).or_default().push(user);
        }
        for attempt in 0.. {
            wanted.retain(|partition, users| {
                users.retain(|user| !self.knows(user, *partition));
                users.sort_unstable();
                users.dedup();
                !users.is_empty()
            });
            if wanted.is_empty() {
                return Ok(());
            }
            // What is under way moves the marks that the answers are compared with.
            self.settle(bus).await?;
            let Some(mirror) = &mut self.mirror else { return Ok(()) };
            wanted.retain(|partition, _| mirror.holds(*partition));
            let (loaded, doubtful) = mirror.load(mem::take(&mut wanted)).await;
            self.loaded.extend(loaded);
            let partitions: Vec<_> = doubtful.keys().copied().collect();
            wanted = doubtful;
            // Once it may have been emptied, and was written anew; twice is no Redis to rely on.
            match attempt {
                0 => self.rebuild(bus, &partitions).await?,
                _ => self.read_whole(bus, &partitions).await?,
            }
        }
        Ok(())
    }

    /// Whether the state of a user is in memory, or Redis was asked for it, so that what is not known does not exist.
    pub(in crate::lane) fn knows(&self, user: &UserId, partition: i32) -> bool {
        let here = || self.users.contains_key(user) || self.loaded.contains_key(user);
        self.mirror.as_ref().is_none_or(|mirror| !mirror.holds(partition) || here())
    }

    /// Forgets what was loaded for a batch.
    pub(in crate::lane) fn batch_worked(&mut self) {
        self.loaded.clear();
    }

    /// These states are committed.
    pub(in crate::lane) fn committed(&mut self, written: Vec<Written>) {
        for written in written {
            let Some(mirror) = &mut self.mirror else { return };
            mirror.due_soon();
            // A partition that was released meanwhile is somebody else's to mirror.
            let Some(saved) = self.users.get_mut(&written.user) else { continue };
            let same = match (&saved.state, &written.state) {
                (Some(one), Some(other)) => one.as_ptr() == other.as_ptr() && one.len() == other.len(),
                (one, other) => one.is_none() && other.is_none(),
            };
            if same {
                saved.offset = Some(written.offset);
            }
            // What was read from the topic while this was on its way may be newer.
            if !mirror.has(written.partition, written.offset) {
                saved.lacking = Some(Box::new(written));
            } else if same && !saved.open {
                self.let_go_of(&written.user);
            }
        }
    }

    /// What is to be done for Redis next; never where there is none. Cancelled, it has taken nothing.
    pub(in crate::lane) async fn turn(&mut self) -> Turn {
        match &mut self.mirror {
            Some(mirror) => mirror.turn().await,
            None => std::future::pending().await,
        }
    }

    /// Does it.
    pub(in crate::lane) async fn go_on(&mut self, turn: Turn, bus: &SharedBus) -> Result<(), BusError> {
        let done = self.turned(turn, bus).await;
        self.loaded.clear();
        done
    }

    async fn turned(&mut self, turn: Turn, bus: &SharedBus) -> Result<(), BusError> {
        match turn {
            Turn::Flushed(flushed) => self.flushed(flushed, bus).await,
            Turn::Due => {
                let Some(mirror) = &mut self.mirror else { return Ok(()) };
                let retries = mirror.retries();
                if !retries.is_empty()
                    && let Some(warming) = mirror.warm(&retries).await
                {
                    // Where it fails they are in memory as before.
                    self.warm(bus, &retries, warming).await?;
                }
                self.flush();
                Ok(())
            }
        }
    }

    /// Writes what was committed, before partitions go to somebody else. Where Redis fails, they read the topic.
    pub(in crate::lane) async fn leave(&mut self, going: &[i32], bus: &SharedBus) -> Result<(), BusError> {
        self.settle(bus).await?;
        self.flush();
        let Some(mirror) = &mut self.mirror else { return Ok(()) };
        let flushed = mirror.settled().await;
        mirror.forget(going);
        self.flushed(flushed, bus).await
    }

    async fn settle(&mut self, bus: &SharedBus) -> Result<(), BusError> {
        match &mut self.mirror {
            Some(mirror) => {
                let flushed = mirror.settled().await;
                self.flushed(flushed, bus).await
            }
            None => Ok(()),
        }
    }

    fn flush(&mut self) {
        let Some(mirror) = &mut self.mirror else { return };
        let mut lacking: BTreeMap<i32, Vec<Written>> = BTreeMap::new();
        for written in self.users.values().filter_map(|saved| saved.lacking.as_deref()) {
            if mirror.holds(written.partition) {
                lacking.entry(written.partition).or_default().push(written.clone());
            }
        }
        mirror.flush(lacking);
    }

    async fn flushed(&mut self, flushed: Vec<Flush>, bus: &SharedBus) -> Result<(), BusError> {
        let mut doubtful = Vec::new();
        for flush in flushed {
            let Some(mirror) = &mut self.mirror else { return Ok(()) };
            match mirror.landed(flush) {
                Landed::Written(written) => written.iter().for_each(|written| self.landed(written)),
                Landed::Nowhere => {}
                Landed::Doubtful(partition) => doubtful.push(partition),
            }
        }
        self.rebuild(bus, &doubtful).await
    }

    /// Redis holds this one: it leaves memory, unless a newer one is on its way or its session waits for something.
    fn landed(&mut self, written: &Written) {
        let Some(saved) = self.users.get_mut(&written.user) else { return };
        saved.lacking.take_if(|lacking| lacking.offset == written.offset);
        if !saved.open && saved.offset == Some(written.offset) {
            self.let_go_of(&written.user);
        }
    }
}
