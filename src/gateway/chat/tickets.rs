//! One-use tickets, which stand for a token where a browser cannot send one in a header. They are known to the node that
//! gave them only.

use std::{
    collections::HashMap,
    sync::{Mutex, MutexGuard},
    time::{Duration, Instant},
};

use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};

use crate::gateway::{Problem, tokens::Person};

/// How long a ticket holds.
pub(super) const TICKET_LIFE: Duration = Duration::from_secs(30);
/// Most tickets that wait to be used, and most of them of one person; the oldest go first.
const TICKETS_MAX: usize = 10_000;
const TICKETS_OF_ONE_MAX: usize = 32;

/// Tickets that wait to be used.
#[derive(Debug, Default)]
pub(super) struct Tickets(Mutex<HashMap<String, (Instant, Person)>>);

impl Tickets {
    /// A ticket that stands for this person once, within [`TICKET_LIFE`].
    pub(super) fn give(&self, person: Person) -> String {
        let ticket = BASE64_URL_SAFE_NO_PAD.encode(rand::random::<[u8; 32]>());
        let mut waiting = self.waiting();
        let now = Instant::now();
        waiting.retain(|_, (until, _)| *until > now);
        let own = waiting.iter().filter(|(_, (_, other))| other.user == person.user);
        if own.clone().count() >= TICKETS_OF_ONE_MAX {
            let oldest = oldest(own);
            waiting.remove(&oldest);
        } else if waiting.len() >= TICKETS_MAX {
            let oldest = oldest(waiting.iter());
            waiting.remove(&oldest);
        }
        waiting.insert(ticket.clone(), (now + TICKET_LIFE, person));
        ticket
    }

    /// Whom a ticket stands for; it is used up by that.
    pub(super) fn redeem(&self, ticket: &str) -> Result<Person, Problem> {
        match self.waiting().remove(ticket) {
            Some((until, person)) if until > Instant::now() && !person.left().is_zero() => Ok(person),
            _ => Err(Problem::unknown(
                "the ticket is not known here, has been used, or is older than 30 s; get a new one",
            )),
        }
    }

    fn waiting(&self) -> MutexGuard<'_, HashMap<String, (Instant, Person)>> {
        self.0.lock().expect("nobody panics while holding tickets")
    }
}

fn oldest<'a>(tickets: impl Iterator<Item = (&'a String, &'a (Instant, Person))>) -> String {
    tickets.min_by_key(|(_, (until, _))| *until).map(|(ticket, _)| ticket.clone()).unwrap_or_default()
}
