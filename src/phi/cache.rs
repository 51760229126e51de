//! Unwrapped data keys, for a while: few, soon forgotten, and wiped when they go.

use std::{
    collections::HashMap,
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

    /// Keeps a key. Where there is no room those that are over go, and where none is, the older half.
    pub(super) fn put(&mut self, user: UserId, key: UserKey, now: Instant) {
        if self.users.len() >= MOST {
            self.users.retain(|_, kept| now < kept.until);
        }
        if self.users.len() >= MOST {
            let mut ends: Vec<_> = self.users.values().map(|kept| kept.until).collect();
            let (_, middle, _) = ends.select_nth_unstable(MOST / 2);
            let middle = *middle;
            self.users.retain(|_, kept| kept.until > middle);
        }
        self.users.insert(user, Kept { key, until: now + KEPT });
    }

    pub(super) fn forget(&mut self, user: &UserId) {
        self.users.remove(user);
    }

    pub(super) fn clear(&mut self) {
        self.users.clear();
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
            cache.put(user(number), UserKey::new("t", user(number), [0; 12], Zeroizing::new([0; 32])), at);
            assert!(cache.users.len() <= MOST);
        }
        let newest = user(MOST + 9);
        assert!(cache.get(&newest, now).is_some() && cache.get(&user(0), now).is_none());
        assert!(cache.get(&newest, now + 2 * KEPT).is_none());
        cache.forget(&newest);
        assert!(cache.get(&newest, now).is_none());
    }
}
