//! A keyring that is gone with the process.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
};

use async_trait::async_trait;

use super::{KeptKey, Store};
use crate::phi::{
    KeyError,
    audit::{Checkpoint, Entry},
};

/// A keyring in memory.
#[derive(Debug, Default)]
pub struct MemoryStore(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    id: Option<Vec<u8>>,
    keys: BTreeMap<String, (KeptKey, i64)>,
    entries: Vec<Entry>,
    checkpoints: Vec<Checkpoint>,
    counts: BTreeMap<(String, String), i64>,
}

impl MemoryStore {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().expect("nobody panics while holding it")
    }
}

#[async_trait]
impl Store for MemoryStore {
    fn describe(&self) -> String {
        "in memory".to_owned()
    }

    async fn id(&self, new: &[u8]) -> Result<Vec<u8>, KeyError> {
        Ok(self.held().id.get_or_insert_with(|| new.to_owned()).clone())
    }

    async fn key(&self, owner: &str) -> Result<Option<KeptKey>, KeyError> {
        Ok(self.held().keys.get(owner).map(|(key, _)| key.clone()))
    }

    async fn insert(&self, owner: &str, key: &KeptKey) -> Result<(), KeyError> {
        self.held().keys.entry(owner.to_owned()).or_insert_with(|| (key.clone(), 0));
        Ok(())
    }

    async fn reserve(&self, owner: &str, seals: i64, most: i64) -> Result<bool, KeyError> {
        let mut held = self.held();
        let Some((key, sealed)) = held.keys.get_mut(owner) else { return Ok(false) };
        let fits = key.wrapped.is_some() && *sealed <= most - seals;
        *sealed += if fits { seals } else { 0 };
        Ok(fits)
    }

    async fn destroy(&self, owner: &str, reference: &[u8]) -> Result<bool, KeyError> {
        let gone = KeptKey { reference: reference.to_owned(), wrapped: None };
        let mut held = self.held();
        let (key, _) = held.keys.entry(owner.to_owned()).or_insert((gone, 0));
        Ok(key.wrapped.take().is_some())
    }

    async fn replace(&self, owner: &str, expected: &str, wrapped: &str) -> Result<bool, KeyError> {
        let mut held = self.held();
        let Some((key, _)) = held.keys.get_mut(owner) else { return Ok(false) };
        let same = key.wrapped.as_deref() == Some(expected);
        if same {
            key.wrapped = Some(wrapped.to_owned());
        }
        Ok(same)
    }

    async fn owners(&self, after: &str, most: i64) -> Result<Vec<(String, KeptKey)>, KeyError> {
        let behind = (std::ops::Bound::Excluded(after.to_owned()), std::ops::Bound::Unbounded);
        let most = usize::try_from(most).unwrap_or_default();
        Ok(self.held().keys.range(behind).take(most).map(|(owner, (key, _))| (owner.clone(), key.clone())).collect())
    }

    async fn head(&self) -> Result<Option<Entry>, KeyError> {
        Ok(self.held().entries.last().cloned())
    }

    async fn append(&self, entry: &Entry) -> Result<bool, KeyError> {
        let mut held = self.held();
        let free = held.entries.last().is_none_or(|last| last.seq < entry.seq);
        if free {
            held.entries.push(entry.clone());
        }
        Ok(free)
    }

    async fn entries(&self, after: i64, most: i64) -> Result<Vec<Entry>, KeyError> {
        let most = usize::try_from(most).unwrap_or_default();
        Ok(self.held().entries.iter().filter(|entry| entry.seq > after).take(most).cloned().collect())
    }

    async fn sign(&self, checkpoint: &Checkpoint) -> Result<(), KeyError> {
        let mut held = self.held();
        if held.checkpoints.iter().all(|known| known.seq != checkpoint.seq) {
            held.checkpoints.push(checkpoint.clone());
        }
        Ok(())
    }

    async fn checkpoints(&self) -> Result<Vec<Checkpoint>, KeyError> {
        Ok(self.held().checkpoints.clone())
    }

    async fn count(&self, window: &str, who: &str, more: i64) -> Result<i64, KeyError> {
        let mut held = self.held();
        let used = held.counts.entry((window.to_owned(), who.to_owned())).or_default();
        *used += more;
        Ok(*used)
    }

    async fn forget_uses(&self, before: &str) -> Result<(), KeyError> {
        self.held().counts.retain(|(window, _), _| window.as_str() >= before);
        Ok(())
    }
}
