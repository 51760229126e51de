//! Who is to be woken when: the sessions that asked for it, found again after a restart in the headers of their states.
//!
//! They are in memory, also where the states themselves are in Redis: some hundred bytes a person who waits for a time.

use std::{
    collections::{BTreeSet, hash_map::Entry},
    fmt,
    str::FromStr,
};

use auren_agents::UserId;

use super::Users;

/// A time at which a session wants to be woken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wake {
    /// In milliseconds since the epoch.
    pub at: i64,
    /// What that time follows from ([`super::Processor::timing`]); where it is another by now, the session is asked anew.
    pub timing: u64,
}

/// As it stands in a header, and in Redis.
impl fmt::Display for Wake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {:x}", self.at, self.timing)
    }
}

impl FromStr for Wake {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (at, timing) = text.split_once(' ').ok_or(())?;
        Ok(Self { at: at.parse().map_err(drop)?, timing: u64::from_str_radix(timing, 16).map_err(drop)? })
    }
}

/// The sessions of a worker that wait for a time.
#[derive(Debug, Default)]
pub(super) struct Wakes {
    timing: u64,
    users: Users<(Wake, i32)>,
    by_time: BTreeSet<(i64, UserId)>,
    /// Those to be asked anew, whatever their time is.
    anew: BTreeSet<UserId>,
    /// The partitions of which everybody who waits is here.
    complete: BTreeSet<i32>,
}

impl Wakes {
    /// What a session wants now.
    pub(super) fn set(&mut self, user: &UserId, partition: i32, wake: Option<Wake>) {
        match wake {
            Some(wake) => {
                if wake.timing == self.timing {
                    self.anew.remove(user);
                } else {
                    self.anew.insert(user.clone());
                }
                match self.users.entry(user.clone()) {
                    Entry::Vacant(entry) => drop(entry.insert((wake, partition))),
                    Entry::Occupied(mut entry) => {
                        let (before, _) = entry.insert((wake, partition));
                        if before.at == wake.at {
                            return;
                        }
                        self.by_time.remove(&(before.at, user.clone()));
                    }
                }
                self.by_time.insert((wake.at, user.clone()));
            }
            // Most roles and most rules wait for nothing.
            None if self.users.is_empty() => {}
            None => {
                if let Some((before, _)) = self.users.remove(user) {
                    self.by_time.remove(&(before.at, user.clone()));
                    self.anew.remove(user);
                }
            }
        }
    }

    /// A session that could not be woken is let be until then.
    pub(super) fn postpone(&mut self, user: &UserId, partition: i32, at: i64) {
        self.set(user, partition, Some(Wake { at, timing: self.timing }));
    }

    /// What was saved of a session, as its partition is taken; later it is known better here.
    pub(super) fn learn(&mut self, user: &UserId, partition: i32, wake: Option<Wake>) {
        if !self.complete.contains(&partition) {
            self.set(user, partition, wake);
        }
    }

    /// All that was saved of these partitions has been learned.
    pub(super) fn learned(&mut self, partitions: &[i32]) {
        self.complete.extend(partitions);
    }

    /// When a session wants to be woken.
    pub(super) fn of(&self, user: &UserId) -> Option<Wake> {
        self.users.get(user).map(|(wake, _)| *wake)
    }

    /// The earliest time at which there is something to do.
    pub(super) fn next(&self) -> Option<i64> {
        if self.anew.is_empty() { self.by_time.first().map(|(at, _)| *at) } else { Some(i64::MIN) }
    }

    /// Some of those whose time has come, of the partitions that are ready.
    pub(super) fn due(&self, now: i64, most: usize, ready: impl Fn(i32) -> bool) -> Vec<(UserId, i32)> {
        let come = self.by_time.iter().take_while(|(at, _)| *at <= now).map(|(_, user)| user);
        let come = come.filter(|user| !self.anew.contains(*user));
        let waiting = self.anew.iter().chain(come);
        // Many may wait behind a backlog, and are looked through again and again.
        let of = waiting.filter_map(|user| Some((user, self.users.get(user)?.1)));
        let ready = of.filter(|(_, partition)| ready(*partition)).take(most);
        ready.map(|(user, partition)| (user.clone(), partition)).collect()
    }

    /// What times follow from may have changed: those who asked under something else are asked anew.
    pub(super) fn follow(&mut self, timing: u64) {
        if self.timing == timing {
            return;
        }
        self.timing = timing;
        let other = self.users.iter().filter(|(_, (wake, _))| wake.timing != timing);
        self.anew = other.map(|(user, _)| user.clone()).collect();
    }

    pub(super) fn forget(&mut self, partitions: &[i32]) {
        self.complete.retain(|partition| !partitions.contains(partition));
        self.users.retain(|_, (_, partition)| !partitions.contains(partition));
        let users = &self.users;
        self.by_time.retain(|(_, user)| users.contains_key(user));
        self.anew.retain(|user| users.contains_key(user));
    }

    pub(super) fn clear(&mut self) {
        *self = Self { timing: self.timing, ..Self::default() };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn user(name: &str) -> UserId {
        UserId::new(name).unwrap()
    }

    fn wake(at: i64) -> Option<Wake> {
        Some(Wake { at, timing: 7 })
    }

    fn due(wakes: &Wakes, now: i64) -> Vec<String> {
        wakes.due(now, 10, |_| true).iter().map(|(user, _)| user.to_string()).collect()
    }

    #[test]
    fn a_wake_is_read_as_it_is_written_and_anything_else_is_none() {
        for wake in [Wake { at: 1_800_000_000_000, timing: u64::MAX }, Wake { at: -1, timing: 0 }] {
            assert_eq!(wake.to_string().parse(), Ok(wake));
        }
        for text in ["", "12", "12 x y", "x 1"] {
            assert_eq!(text.parse::<Wake>(), Err(()), "{text}");
        }
    }

    #[test]
    fn those_whose_time_has_come_are_due_in_its_order_until_they_say_something_else() {
        let mut wakes = Wakes::default();
        wakes.follow(7);
        for (name, at) in [("a", 30), ("b", 10), ("c", 20)] {
            wakes.set(&user(name), 0, wake(at));
        }
        assert_eq!((wakes.next(), due(&wakes, 9), due(&wakes, 25)), (Some(10), vec![], vec!["b".into(), "c".into()]));
        wakes.set(&user("b"), 0, wake(40));
        wakes.set(&user("c"), 0, None);
        assert_eq!((wakes.next(), due(&wakes, 35)), (Some(30), vec!["a".into()]));
        assert_eq!(wakes.due(99, 10, |_| false), []);
        assert_eq!(wakes.due(99, 1, |_| true).len(), 1);
    }

    #[test]
    fn what_is_known_here_is_not_learned_again_and_goes_with_its_partition() {
        let mut wakes = Wakes::default();
        wakes.follow(7);
        wakes.learn(&user("a"), 1, wake(10));
        wakes.learn(&user("a"), 1, wake(20));
        wakes.learned(&[1]);
        wakes.learn(&user("a"), 1, None);
        wakes.set(&user("b"), 2, wake(5));
        assert_eq!((wakes.of(&user("a")), wakes.next()), (wake(20), Some(5)));
        wakes.forget(&[2]);
        assert_eq!((wakes.next(), wakes.of(&user("b"))), (Some(20), None));
    }

    #[test]
    fn who_asked_under_something_else_is_asked_anew_at_once() {
        let mut wakes = Wakes::default();
        wakes.follow(7);
        wakes.set(&user("a"), 0, wake(1000));
        wakes.set(&user("old"), 0, Some(Wake { at: 2000, timing: 6 }));
        assert_eq!((wakes.next(), due(&wakes, 0)), (Some(i64::MIN), vec!["old".into()]));
        wakes.set(&user("old"), 0, wake(2000));
        assert_eq!(wakes.next(), Some(1000));
        wakes.follow(8);
        assert_eq!(due(&wakes, 0), ["a", "old"]);
        wakes.set(&user("a"), 0, Some(Wake { at: 500, timing: 8 }));
        wakes.set(&user("old"), 0, None);
        assert_eq!((wakes.next(), due(&wakes, 0)), (Some(500), vec![]));
    }
}
