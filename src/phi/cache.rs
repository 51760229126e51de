//! Unwrapped data keys, for a while: few, soon forgotten, and wiped when they go.

use std::{
    collections::HashMap,
    sync::{Arc, atomic::AtomicI64},
    time::{Duration, Instant},
};

use auren_agents::UserId;

use super::UserKey;

/// How long an unwrapped key is used before the keyring is asked again. A person who was erased elsewhere can be read here
/// for so long, where nobody tells this node before.
pub(super) const KEPT: Duration = Duration::from_secs(60);
/// Most keys at a time.
const MOST: usize = 50_000;

/// Keys by person.
#[derive(Debug, Default)]
pub(super) struct Cache {
    users: HashMap<UserId, Kept>,
    /// How many seals are set aside for each. They outlive the unwrapped key: a person who sends something every few minutes
    /// does not need more set aside each time.
    left: HashMap<UserId, Arc<AtomicI64>>,
    /// How often a key was forgotten.
    forgotten: u64,
}

#[derive(Debug)]
struct Kept {
    key: UserKey,
    until: Instant,
}

impl Cache {
    pub(super) fn get(&self, user: &UserId, now: Instant) -> Option<UserKey> {
        self.users.get(user).filter(|kept| now < kept.until).map(|kept| kept.key.clone())
    }

    /// Keeps a key. Where there is no room those that are over go, and where most are left, the older half too: so there
    /// is room for many more, and not each that comes looks through them all.
    pub(super) fn put(&mut self, user: UserId, key: UserKey, now: Instant) {
        if self.users.len() >= MOST {
            self.tidy(now);
            let mut ends: Vec<_> = self.users.values().map(|kept| kept.until).collect();
            if ends.len() > MOST / 2 {
                let older = ends.len() - MOST / 2;
                let (_, middle, _) = ends.select_nth_unstable(older);
                let middle = *middle;
                self.users.retain(|_, kept| kept.until > middle);
            }
        }
        self.users.insert(user, Kept { key, until: now + KEPT });
    }

    /// The seals that are set aside for a person. Where too many are counted all go, and are set aside again.
    pub(super) fn left(&mut self, user: &UserId) -> Arc<AtomicI64> {
        if self.left.len() >= 2 * MOST && !self.left.contains_key(user) {
            self.left.clear();
        }
        Arc::clone(self.left.entry(user.clone()).or_default())
    }

    /// Wipes the keys whose time is up.
    pub(super) fn tidy(&mut self, now: Instant) {
        self.users.retain(|_, kept| now < kept.until);
    }

    pub(super) fn forget(&mut self, user: &UserId) {
        self.users.remove(user);
        self.left.remove(user);
        self.forgotten += 1;
    }

    pub(super) fn clear(&mut self) {
        self.users.clear();
        self.forgotten += 1;
    }

    /// How often a key was forgotten: whoever unwraps one sees by it whether that happened meanwhile.
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    #[test]
    fn keys_are_kept_for_a_while_and_never_too_many() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let user = |number: usize| UserId::new(format!("u-{number}")).unwrap();
        for number in 0..MOST + 10 {
            let at = now + Duration::from_micros(number as u64);
            cache.put(
                user(number),
                UserKey::new("t", user(number), [0; 12], Zeroizing::new([0; 32]), Arc::default()),
                at,
            );
            assert!(cache.users.len() <= MOST);
        }
        let newest = user(MOST + 9);
        assert!(cache.get(&newest, now).is_some() && cache.get(&user(0), now).is_none());
        assert!(cache.get(&newest, now + 2 * KEPT).is_none());
        cache.forget(&newest);
        assert!(cache.get(&newest, now).is_none());
    }

    #[test]
    fn what_is_over_is_wiped_and_a_full_cache_makes_room_for_many() {
        let (mut cache, now) = (Cache::default(), Instant::now());
        let user = |number: usize| UserId::new(format!("u-{number}")).unwrap();
        let put = |cache: &mut Cache, number: usize, at| {
            cache.put(
                user(number),
                UserKey::new("t", user(number), [0; 12], Zeroizing::new([0; 32]), Arc::default()),
                at,
            );
        };
        put(&mut cache, 0, now);
        put(&mut cache, 1, now + KEPT / 2);
        cache.tidy(now + KEPT);
        assert_eq!(cache.users.keys().collect::<Vec<_>>(), [&user(1)], "it is gone, not only passed over");
        cache.tidy(now + 2 * KEPT);
        assert!(cache.users.is_empty());

        put(&mut cache, 0, now);
        for number in 1..MOST {
            put(&mut cache, number, now + Duration::from_secs(1) + Duration::from_micros(number as u64));
        }
        // One is over; that much room would be gone with the next.
        put(&mut cache, MOST, now + KEPT);
        assert!(cache.users.len() <= MOST / 2 + 1 && cache.users.contains_key(&user(MOST - 1)));
    }
}
