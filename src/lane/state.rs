//! The newest state of every user of the partitions held: restored from the compacted topic, kept up by every stimulus.

use std::collections::HashMap;

use auren_agents::UserId;
use bytes::Bytes;

use crate::bus::{BusError, Headers, Outgoing, Read, ReadFrom, ReadUntil, SharedBus, Topic};

/// A header of a state record: the session waits for something.
const OPEN: &str = "auren-open";

/// Saved states by user.
#[derive(Debug, Default)]
pub(super) struct States {
    users: HashMap<UserId, Saved>,
    /// How many of them wait for something.
    open: usize,
}

#[derive(Debug)]
struct Saved {
    partition: i32,
    state: Bytes,
    open: bool,
}

impl States {
    /// Reads the states of some partitions, to the end of what is committed.
    pub(super) async fn restore(&mut self, bus: &SharedBus, topic: Topic, partitions: &[i32]) -> Result<(), BusError> {
        if partitions.is_empty() {
            return Ok(());
        }
        let read = Read { topic, partitions: partitions.to_vec(), from: ReadFrom::Earliest, until: ReadUntil::End };
        let mut batches = bus.read(read);
        while let Some(batch) = batches.recv().await {
            for record in batch? {
                let user = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok());
                let Some(user) = user.and_then(|user| UserId::new(user).ok()) else {
                    tracing::warn!(%topic, cursor = %record.cursor(), "a state record without a user was passed over");
                    continue;
                };
                let open = record.header(OPEN).is_some();
                match record.payload {
                    Some(state) => self.put(user, record.partition, state, open),
                    None => self.remove(&user),
                }
            }
        }
        Ok(())
    }

    pub(super) fn get(&self, user: &UserId) -> Option<&[u8]> {
        self.users.get(user).map(|saved| &*saved.state)
    }

    pub(super) fn put(&mut self, user: UserId, partition: i32, state: Bytes, open: bool) {
        self.open += usize::from(open);
        if let Some(before) = self.users.insert(user, Saved { partition, state, open }) {
            self.open -= usize::from(before.open);
        }
    }

    pub(super) fn remove(&mut self, user: &UserId) {
        if let Some(before) = self.users.remove(user) {
            self.open -= usize::from(before.open);
        }
    }

    /// Forgets the users of some partitions.
    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.users.retain(|_, saved| !partitions.contains(&saved.partition));
        self.open = self.users.values().filter(|saved| saved.open).count();
    }

    pub(super) fn clear(&mut self) {
        self.users.clear();
        self.open = 0;
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

    /// The state of a user as a record: a tombstone where there is none.
    pub(super) fn record(&self, topic: Topic, user: &UserId, partition: i32) -> Outgoing {
        let saved = self.users.get(user);
        let mut headers = Headers::new();
        if saved.is_some_and(|saved| saved.open) {
            headers.push((OPEN.into(), Bytes::from_static(b"1")));
        }
        Outgoing {
            topic,
            partition: Some(partition),
            key: Some(Bytes::copy_from_slice(user.as_str().as_bytes())),
            payload: saved.map(|saved| saved.state.clone()),
            headers,
        }
    }
}
