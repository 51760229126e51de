//! Users whose turns keep failing: after some failures in a row a user is parked alone, and only now and then one record
//! tries whether the turns succeed again.
//!
//! A turn that fails costs its session and a rebuilt one; nobody else should pay for that again and again. What a parked
//! user sends goes to the dead letters without being tried, so that it can be sent again once the cause is mended. Only
//! the worker's memory holds this: a new life tries everybody once more.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use auren_agents::UserId;

use super::Refusal;

/// Most users whose failures are remembered; those that were tried longest ago are forgotten first.
const USERS_MAX: usize = 10_000;

/// When a user is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parking {
    /// So many failed turns in a row park a user.
    pub after: u32,
    /// The time after which one record of a parked user is tried.
    pub pause: Duration,
}

/// The users whose last turn failed.
#[derive(Debug)]
pub(super) struct Parked {
    rules: Parking,
    users: HashMap<UserId, Failing>,
    /// How many of them are parked.
    parked: usize,
}

#[derive(Debug)]
struct Failing {
    in_a_row: u32,
    last: &'static str,
    tried: Instant,
}

impl Parked {
    pub(super) fn new(rules: Parking) -> Self {
        Self { rules, users: HashMap::new(), parked: 0 }
    }

    /// How many users are parked now.
    pub(super) fn len(&self) -> usize {
        self.parked
    }

    /// Whether this user is parked.
    pub(super) fn holds(&self, user: &UserId) -> bool {
        self.users.get(user).is_some_and(|failing| failing.in_a_row >= self.rules.after)
    }

    /// Why a record of this user is not tried; none where it is.
    pub(super) fn refuses(&mut self, user: &UserId, now: impl FnOnce() -> Instant) -> Option<Refusal> {
        if self.parked == 0 {
            return None;
        }
        let failing = self.users.get_mut(user).filter(|failing| failing.in_a_row >= self.rules.after)?;
        let now = now();
        if now.saturating_duration_since(failing.tried) >= self.rules.pause {
            failing.tried = now;
            return None;
        }
        let why = format!(
            "was not tried: the user's turns failed {} times in a row, the last with {}; send it again once that is mended",
            failing.in_a_row, failing.last
        );
        Some(Refusal::new(Refusal::PARKED, "record", why))
    }

    /// A turn failed; says how many have in a row where this one parks the user.
    pub(super) fn failed(&mut self, user: &UserId, class: &'static str, now: Instant) -> Option<u32> {
        if self.users.len() >= USERS_MAX && !self.users.contains_key(user) {
            self.forget_oldest();
        }
        let failing = self.users.entry(user.clone()).or_insert(Failing { in_a_row: 0, last: class, tried: now });
        failing.in_a_row = failing.in_a_row.saturating_add(1);
        failing.last = class;
        failing.tried = now;
        let parks = failing.in_a_row == self.rules.after;
        self.parked += usize::from(parks);
        parks.then_some(failing.in_a_row)
    }

    /// A turn went well; says whether the user was parked.
    pub(super) fn went_well(&mut self, user: &UserId) -> bool {
        if self.users.is_empty() {
            return false;
        }
        let was = self.users.remove(user).is_some_and(|failing| failing.in_a_row >= self.rules.after);
        self.parked -= usize::from(was);
        was
    }

    pub(super) fn retain(&mut self, stays: impl Fn(&UserId) -> bool) {
        self.users.retain(|user, _| stays(user));
        self.parked = self.users.values().filter(|failing| failing.in_a_row >= self.rules.after).count();
    }

    fn forget_oldest(&mut self) {
        let oldest = self.users.iter().min_by_key(|(_, failing)| failing.tried).map(|(user, _)| user.clone());
        if let Some(user) = oldest {
            self.went_well(&user);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PAUSE: Duration = Duration::from_secs(60);

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn parked(now: Instant) -> Parked {
        let mut parked = Parked::new(Parking { after: 3, pause: PAUSE });
        let failures = [(); 3].map(|()| parked.failed(&user("u-1"), "turn_failed", now));
        assert_eq!(failures, [None, None, Some(3)]);
        parked
    }

    #[test]
    fn failures_in_a_row_park_a_user_alone() {
        let now = Instant::now();
        let mut parked = parked(now);
        let refusal = parked.refuses(&user("u-1"), || now).unwrap();
        assert_eq!(refusal.class, "parked");
        assert!(refusal.why.contains("3 times") && refusal.why.contains("turn_failed"), "{refusal}");
        assert!(parked.refuses(&user("u-2"), || now).is_none());
        for _ in 0..5 {
            parked.failed(&user("u-2"), "turn_failed", now);
            parked.failed(&user("u-2"), "turn_failed", now);
            assert!(!parked.went_well(&user("u-2")));
        }
        assert!(parked.refuses(&user("u-2"), || now).is_none());
        assert_eq!(parked.len(), 1);
    }

    #[test]
    fn after_the_pause_one_record_is_tried_and_decides() {
        let now = Instant::now();
        let mut parked = parked(now);
        let later = now + PAUSE;
        assert!(parked.refuses(&user("u-1"), || later).is_none());
        assert!(parked.refuses(&user("u-1"), || later).is_some(), "one is enough");
        assert_eq!(parked.failed(&user("u-1"), "turn_failed", later), None, "it is parked already");
        assert!(parked.refuses(&user("u-1"), || later).is_some());
        assert!(parked.went_well(&user("u-1")));
        assert!(parked.refuses(&user("u-1"), || later).is_none());
        assert_eq!(parked.len(), 0);
    }

    #[test]
    fn so_many_users_are_remembered_and_no_more() {
        let now = Instant::now();
        let mut parked = parked(now);
        for number in 0..u32::try_from(USERS_MAX).unwrap() {
            parked.failed(&user(&format!("other-{number}")), "turn_failed", now + Duration::from_secs(1));
        }
        assert_eq!((parked.users.len(), parked.len()), (USERS_MAX, 0));
        parked.retain(|user| user.as_str() == "other-1");
        assert_eq!(parked.users.len(), 1);
    }
}
