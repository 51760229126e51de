//! The session actors in memory: who is there, who was used last, and who leaves when there are too many.

use actix::{Actor, Addr};
use auren_agents::UserId;

use super::{Processor, Users, state::States};

/// Session actors by user. One that leaves is begun again from its saved state when it is needed.
pub(super) struct Residents<P: Processor> {
    users: Users<Resident<P>>,
    tick: u64,
}

struct Resident<P: Processor> {
    addr: Addr<P::Session>,
    used: u64,
}

impl<P: Processor> Residents<P> {
    pub(super) fn new() -> Self {
        Self { users: Users::default(), tick: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.users.len()
    }

    pub(super) fn has(&self, user: &UserId) -> bool {
        self.users.contains_key(user)
    }

    /// The session of a user who is about to use it.
    pub(super) fn get(&mut self, user: &UserId) -> Option<Addr<P::Session>> {
        self.tick += 1;
        let resident = self.users.get_mut(user)?;
        resident.used = self.tick;
        Some(resident.addr.clone())
    }

    /// Starts a session on this arbiter.
    pub(super) fn start(&mut self, user: UserId, session: P::Session) -> Addr<P::Session> {
        let addr = session.start();
        self.users.insert(user, Resident { addr: addr.clone(), used: self.tick });
        addr
    }

    pub(super) fn remove(&mut self, user: &UserId) {
        self.users.remove(user);
    }

    pub(super) fn retain(&mut self, stays: impl Fn(&UserId) -> bool) {
        self.users.retain(|user, _| stays(user));
    }

    pub(super) fn clear(&mut self) {
        self.users.clear();
    }

    /// Puts those to sleep that have been idle longest, where there are more than `most`; an eighth more makes room for a
    /// while. Those that wait for something stay.
    pub(super) fn passivate(&mut self, most: usize, states: &States) {
        if self.users.len() <= most {
            return;
        }
        let mut idle: Vec<u64> =
            self.users.iter().filter(|(user, _)| !states.is_open(user)).map(|(_, resident)| resident.used).collect();
        let leave = (self.users.len() - most + most / 8).min(idle.len());
        if leave == 0 {
            return;
        }
        let (_, last, _) = idle.select_nth_unstable(leave - 1);
        let last = *last;
        self.users.retain(|user, resident| resident.used > last || states.is_open(user));
    }
}
