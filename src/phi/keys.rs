//! One tenant's keys: a data key for every person, made when first needed, unwrapped for a while, destroyed for good.

use std::{
    sync::{Arc, Mutex, MutexGuard},
    time::Instant,
};

use auren_agents::UserId;
use serde_json::json;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use super::{
    KeyError, UserKey,
    audit::{Act, Checkpoint, Deed, Entry, Verdict},
    binding::length_prefixed,
    cache::Cache,
    master::{self, Local, Master},
    sealed::{KEY_ID, KEYRING_ID, REFERENCE},
    store::{KeptKey, MemoryStore, Store},
};

/// Seals that one data key may do in all. Each takes a key and a nonce of its own from a random salt of 16 bytes; after
/// 2^48 of them, that two salts were ever the same has a probability of 2^-33.
const BUDGET: i64 = 1 << 48;
/// Seals that a node sets aside at a time, so that it counts in the keyring only now and then.
const BLOCK: i64 = 1 << 20;
/// So many more than asked for, because several tasks seal with one key at a time.
const MARGIN: i64 = 1 << 10;
/// The owner of the key that signs the audit. No user's id has a control character.
const SIGNER: &str = "\u{1}audit";
/// Keys that are wrapped anew between two audit entries.
const PAGE: i64 = 500;

/// The keys of one tenant. Cheap to clone; it prints nothing of what it holds.
#[derive(Clone)]
pub struct Keys(Arc<Held>);

struct Held {
    tenant: String,
    keyring: [u8; KEYRING_ID],
    /// The least version of the master key whose wrapping is taken.
    minimum: u32,
    master: Box<dyn Master>,
    store: Box<dyn Store>,
    cache: Mutex<Cache>,
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keys").field("tenant", &self.0.tenant).field("keyring", &self.0.store).finish_non_exhaustive()
    }
}

/// What was destroyed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Destroyed {
    /// Whether there was a key. If not, the person is erased all the same: none is made for them any more.
    pub had_key: bool,
}

/// How far a rewrapping came.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rewrapped {
    /// Keys that are wrapped anew.
    pub rewrapped: u64,
    /// Keys that were under the primary version already.
    pub current: u64,
    /// Keys that were destroyed.
    pub destroyed: u64,
}

impl Keys {
    /// The keys that a keyring holds, under a master key. Keys that are wrapped by a version below `minimum` are refused.
    ///
    /// # Errors
    /// [`KeyError`] where the keyring does not answer.
    pub async fn open(
        tenant: &str,
        master: Box<dyn Master>,
        store: Box<dyn Store>,
        minimum: u32,
    ) -> Result<Self, KeyError> {
        let keyring = store.id(&random::<KEYRING_ID>()).await?.try_into().map_err(|_| KeyError::Damaged)?;
        Ok(Self(Arc::new(Held { tenant: tenant.to_owned(), keyring, minimum, master, store, cache: Mutex::default() })))
    }

    /// Keys that are gone with the process: for demonstrations and tests.
    #[must_use]
    pub fn ephemeral(tenant: &str) -> Self {
        Self(Arc::new(Held {
            tenant: tenant.to_owned(),
            keyring: random(),
            minimum: 0,
            master: Box::new(Local::ephemeral()),
            store: Box::new(MemoryStore::default()),
            cache: Mutex::default(),
        }))
    }

    /// Where master key and keyring are, in words.
    #[must_use]
    pub fn describe(&self) -> String {
        format!("keyring {}, master key {}", self.0.store.describe(), self.0.master.describe())
    }

    /// The keyring itself, for what goes beyond keys.
    #[must_use]
    pub fn store(&self) -> &dyn Store {
        &*self.0.store
    }

    /// The key of a person, with so many seals set aside. A person who has none gets one; of several nodes that make it at
    /// once, all go on with the first one's.
    ///
    /// # Errors
    /// [`KeyError::Erased`], [`KeyError::Spent`], and whatever keyring or master key say.
    pub async fn make(&self, user: &UserId, seals: i64) -> Result<UserKey, KeyError> {
        self.key(user, seals, true).await
    }

    /// The key of a person who has one, with so many seals set aside; none need be set aside to open.
    ///
    /// # Errors
    /// [`KeyError::NoKey`], and as [`Keys::make`].
    pub async fn find(&self, user: &UserId, seals: i64) -> Result<UserKey, KeyError> {
        self.key(user, seals, false).await
    }

    async fn key(&self, user: &UserId, seals: i64, make: bool) -> Result<UserKey, KeyError> {
        let (cached, forgotten) = {
            let cache = self.cache();
            (cache.get(user, Instant::now()), cache.forgotten())
        };
        let key = match cached {
            Some(key) => key,
            None => {
                // The key is good from when it was asked for, not from when the answer came.
                let asked = Instant::now();
                let (reference, key) = self.unwrapped(user.as_str(), make).await?;
                let mut id = [0; KEY_ID];
                id[..KEYRING_ID].copy_from_slice(&self.0.keyring);
                id[KEYRING_ID..].copy_from_slice(&reference);
                let made = |left| UserKey::new(&self.0.tenant, user.clone(), id, key, left);
                let mut cache = self.cache();
                // One that was forgotten while it was unwrapped must not come back.
                if cache.forgotten() == forgotten {
                    let key = made(cache.left(user));
                    cache.put(user.clone(), key.clone(), asked);
                    key
                } else {
                    made(Arc::default())
                }
            }
        };
        if seals > 0 && key.left() < seals + MARGIN {
            let block = BLOCK.max(seals + MARGIN);
            if !self.0.store.reserve(user.as_str(), block, BUDGET).await? {
                self.forget(user);
                // It is spent, or was destroyed since.
                let kept = self.0.store.key(user.as_str()).await?;
                let there = kept.is_some_and(|kept| kept.wrapped.is_some());
                return Err(if there { KeyError::Spent } else { KeyError::Erased });
            }
            key.set_aside(block);
        }
        Ok(key)
    }

    /// The unwrapped key of an owner, and what it is named by.
    async fn unwrapped(&self, owner: &str, make: bool) -> Result<([u8; REFERENCE], Zeroizing<[u8; 32]>), KeyError> {
        let kept = match self.0.store.key(owner).await? {
            Some(kept) => kept,
            None if make => {
                let reference = random::<REFERENCE>();
                let mut plain = Zeroizing::new([0; 64]);
                rand::fill(&mut plain[..32]);
                plain[32..].copy_from_slice(&self.bound_to(owner, &reference));
                let wrapped = Some(self.0.master.wrap(plain.as_slice()).await?);
                self.0.store.insert(owner, &KeptKey { reference: reference.to_vec(), wrapped }).await?;
                self.0.store.key(owner).await?.ok_or(KeyError::Damaged)?
            }
            None => return Err(KeyError::NoKey),
        };
        let wrapped = kept.wrapped.ok_or(KeyError::Erased)?;
        let version = master::version(&wrapped).ok_or(KeyError::Damaged)?;
        if version < self.0.minimum {
            return Err(KeyError::TooOld { version, minimum: self.0.minimum });
        }
        let plain = self.0.master.unwrap(&wrapped).await?;
        let reference: [u8; REFERENCE] = kept.reference.try_into().map_err(|_| KeyError::Damaged)?;
        let (key, bound) = plain.split_at_checked(32).ok_or(KeyError::Damaged)?;
        // Wrapped keys that changed places in the keyring are nobody's.
        if !bool::from(bound.ct_eq(&self.bound_to(owner, &reference))) {
            return Err(KeyError::Damaged);
        }
        let mut held = Zeroizing::new([0; 32]);
        held.copy_from_slice(key);
        Ok((reference, held))
    }

    /// What stands beside a key when it is wrapped: whose it is. Any master key can then be used, also one that cannot
    /// authenticate anything besides.
    fn bound_to(&self, owner: &str, reference: &[u8]) -> [u8; 32] {
        let mut digest = Sha256::new_with_prefix(b"auren phi1 data key");
        digest.update(length_prefixed(&[&self.0.tenant, owner]));
        digest.update(reference);
        digest.finalize().into()
    }

    /// Forgets the unwrapped key of a person: the next who asks for it asks the keyring.
    pub fn forget(&self, user: &UserId) {
        self.cache().forget(user);
    }

    /// Wipes unwrapped keys whose time is up. A node does it every few seconds.
    pub fn tidy(&self) {
        self.cache().tidy(Instant::now());
    }

    /// Destroys the key of a person for good, and lets none be made again. It is written down first who did it.
    ///
    /// # Errors
    /// [`KeyError`] where it could not be written down or done; it can be asked for again.
    pub async fn destroy(&self, user: &UserId, actor: &str) -> Result<Destroyed, KeyError> {
        self.record(&Act::new(Deed::Erase, actor).about(user)).await?;
        let destroyed = self.0.store.destroy(user.as_str(), &random::<REFERENCE>()).await;
        // Where that failed the key may be gone all the same.
        self.forget(user);
        Ok(Destroyed { had_key: destroyed? })
    }

    /// Wraps every key anew that is not under the primary version. It can be ended and begun again at any time.
    ///
    /// # Errors
    /// [`KeyError`] where keyring or master key do not answer; what is done stays done.
    pub async fn rewrap(&self, actor: &str) -> Result<Rewrapped, KeyError> {
        let primary = self.0.master.primary().await?;
        let mut done = Rewrapped::default();
        let mut after = String::new();
        loop {
            let page = self.0.store.owners(&after, PAGE).await?;
            let Some((last, _)) = page.last() else { break };
            after.clone_from(last);
            let mut old = Vec::new();
            for (owner, key) in page {
                match key.wrapped {
                    None => done.destroyed += 1,
                    Some(wrapped) if master::version(&wrapped) == Some(primary) => done.current += 1,
                    Some(wrapped) => old.push((owner, wrapped)),
                }
            }
            if !old.is_empty() {
                let detail = json!({ "keys": old.len(), "version": primary });
                self.record(&Act::new(Deed::Rewrap, actor).with(detail)).await?;
            }
            for (owner, wrapped) in old {
                let anew = self.0.master.rewrap(&wrapped).await?;
                // Where it is no longer what it was, it was destroyed, or another node was faster.
                done.rewrapped += u64::from(self.0.store.replace(&owner, &wrapped, &anew).await?);
            }
        }
        // So that what cannot be unwrapped any more shows at once.
        self.cache().clear();
        Ok(done)
    }

    /// How many keys each version of the master key wraps, and how many were destroyed (version 0).
    ///
    /// # Errors
    /// [`KeyError`] where the keyring does not answer.
    pub async fn versions(&self) -> Result<std::collections::BTreeMap<u32, u64>, KeyError> {
        let mut versions = std::collections::BTreeMap::new();
        let mut after = String::new();
        loop {
            let page = self.0.store.owners(&after, PAGE).await?;
            let Some((last, _)) = page.last() else { return Ok(versions) };
            after.clone_from(last);
            for (_, key) in &page {
                let version = key.wrapped.as_deref().map_or(Some(0), master::version).ok_or(KeyError::Damaged)?;
                *versions.entry(version).or_default() += 1;
            }
        }
    }

    /// The version of the master key that wraps now.
    ///
    /// # Errors
    /// [`KeyError`] where the master key cannot be asked.
    pub async fn primary(&self) -> Result<u32, KeyError> {
        self.0.master.primary().await
    }

    /// Writes down who did what. What cannot be written down must not be done.
    ///
    /// # Errors
    /// [`KeyError::Keyring`] where the keyring does not answer.
    pub async fn record(&self, act: &Act) -> Result<Entry, KeyError> {
        let body = serde_json::to_string(act).map_err(|_| KeyError::Damaged)?;
        loop {
            let next = Entry::after(self.0.store.head().await?.as_ref(), body.clone());
            if self.0.store.append(&next).await? {
                return Ok(next);
            }
        }
    }

    /// Signs the audit up to its newest entry; none where nothing was written down behind this place.
    ///
    /// # Errors
    /// [`KeyError`] where keyring or master key do not answer.
    pub async fn checkpoint(&self, before: i64) -> Result<Option<Checkpoint>, KeyError> {
        let Some(head) = self.0.store.head().await?.filter(|head| head.seq > before) else { return Ok(None) };
        let (_, seed) = self.unwrapped(SIGNER, true).await?;
        let checkpoint = Checkpoint::sign(&self.0.tenant, &head, &seed);
        self.0.store.sign(&checkpoint).await?;
        Ok(Some(checkpoint))
    }

    /// Looks whether the audit is whole: against itself, its own checkpoints, and those that somebody kept elsewhere.
    ///
    /// # Errors
    /// [`KeyError`] where keyring or master key do not answer. What is wrong with the audit is in the [`Verdict`].
    pub async fn verify(&self, kept_elsewhere: &[Checkpoint]) -> Result<Verdict, KeyError> {
        let (_, seed) = self.unwrapped(SIGNER, true).await?;
        let mut checkpoints = self.0.store.checkpoints().await?;
        checkpoints.extend_from_slice(kept_elsewhere);
        let mut verdict = Verdict::new(&self.0.tenant, &seed, checkpoints);
        let mut after = 0;
        loop {
            let page = self.0.store.entries(after, PAGE).await?;
            let Some(last) = page.last() else { return Ok(verdict.end()) };
            after = last.seq;
            page.iter().for_each(|entry| verdict.see(entry));
        }
    }

    fn cache(&self) -> MutexGuard<'_, Cache> {
        self.0.cache.lock().expect("nobody panics while holding it")
    }
}

fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    rand::fill(&mut bytes);
    bytes
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use tokio::sync::Notify;

    use super::*;
    use crate::phi::cache::KEPT;

    #[tokio::test]
    async fn seals_that_were_set_aside_outlive_the_unwrapped_key_and_not_its_destruction() {
        let keys = Keys::ephemeral("t");
        let user = UserId::new("u-1").unwrap();
        let key = keys.make(&user, 1).await.unwrap();
        key.seal_state("role", b"state").unwrap();
        assert_eq!(key.left(), BLOCK - 1);
        keys.cache().tidy(Instant::now() + 2 * KEPT);
        assert!(keys.cache().get(&user, Instant::now()).is_none(), "it must be unwrapped anew");
        assert_eq!(keys.make(&user, 1).await.unwrap().left(), BLOCK - 1, "nothing more was set aside");
        keys.forget(&user);
        assert_eq!(keys.make(&user, 1).await.unwrap().left(), BLOCK, "what was forgotten is set aside anew");
    }

    /// A master key that unwraps only when it is let.
    #[derive(Debug)]
    struct Slow {
        local: Local,
        asked: Arc<Notify>,
        go: Arc<Notify>,
    }

    #[async_trait]
    impl Master for Slow {
        fn describe(&self) -> String {
            self.local.describe()
        }

        async fn wrap(&self, plain: &[u8]) -> Result<String, KeyError> {
            self.local.wrap(plain).await
        }

        async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError> {
            self.asked.notify_one();
            self.go.notified().await;
            self.local.unwrap(wrapped).await
        }

        async fn rewrap(&self, wrapped: &str) -> Result<String, KeyError> {
            self.local.rewrap(wrapped).await
        }

        async fn primary(&self) -> Result<u32, KeyError> {
            self.local.primary().await
        }
    }

    #[tokio::test]
    async fn a_key_that_is_destroyed_while_it_is_unwrapped_is_not_kept() {
        let (asked, go) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
        let master = Slow { local: Local::ephemeral(), asked: Arc::clone(&asked), go: Arc::clone(&go) };
        let keys = Keys::open("t", Box::new(master), Box::new(MemoryStore::default()), 0).await.unwrap();
        let user = UserId::new("u-1").unwrap();
        go.notify_one();
        keys.make(&user, 1).await.unwrap();
        asked.notified().await;
        keys.forget(&user);
        let destroyed = async {
            asked.notified().await;
            keys.destroy(&user, "test").await.unwrap();
            go.notify_one();
        };
        // Who asked before has it; nobody after.
        let (found, ()) = tokio::join!(keys.find(&user, 0), destroyed);
        assert!(found.is_ok());
        assert_eq!(keys.find(&user, 0).await.unwrap_err(), KeyError::Erased);
    }
}
