//! Hosting agents: who can be asked, and how a question reaches them.
//!
//! [`Agents`] is what a hub is built with; each arbiter that runs sessions opens a [`Desk`] of it, with agent actors of its
//! own, so that asking costs no thread switch.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use actix::{Actor, MailboxError, Recipient};
use auren_agents::{
    Advice, Agent, AgentActor, AgentCard, AgentError, AgentId, Coach, Consult, ConsultId, Neuroscientist,
};

/// The agents of a hub.
#[derive(Clone, Default)]
pub struct Agents {
    hosts: Vec<Host>,
}

#[derive(Clone)]
struct Host {
    card: AgentCard,
    start: Arc<dyn Fn() -> Recipient<Consult> + Send + Sync>,
}

impl std::fmt::Debug for Agents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_list().entries(self.hosts.iter().map(|host| host.card.id.as_str())).finish()
    }
}

impl Agents {
    /// Nobody.
    #[must_use]
    pub fn none() -> Self {
        Self::default()
    }

    /// The neuroscientist and the coach.
    #[must_use]
    pub fn built_in() -> Self {
        Self::none().with(Neuroscientist).with(Coach)
    }

    /// These and one more; one of the same name is replaced. Every arbiter runs a clone of the agent.
    #[must_use]
    pub fn with<A: Agent + Clone + Send + Sync>(self, agent: A) -> Self {
        let card = agent.card();
        let start = move || AgentActor::new(agent.clone()).start().recipient();
        self.host(Host { card, start: Arc::new(start) })
    }

    /// These and an actor that runs already and answers consults itself, wherever it lives.
    #[must_use]
    pub fn with_recipient(self, card: AgentCard, recipient: Recipient<Consult>) -> Self {
        self.host(Host { card, start: Arc::new(move || recipient.clone()) })
    }

    /// Their cards, in the order in which they were added.
    #[must_use]
    pub fn cards(&self) -> Vec<AgentCard> {
        self.hosts.iter().map(|host| host.card.clone()).collect()
    }

    fn host(mut self, host: Host) -> Self {
        match self.hosts.iter_mut().find(|known| known.card.id == host.card.id) {
            Some(known) => *known = host,
            None => self.hosts.push(host),
        }
        self
    }

    /// Starts the agents on this arbiter.
    #[must_use]
    pub fn open_desk(&self) -> Desk {
        let seats = self.hosts.iter().map(|host| {
            let seat = Seat { recipient: (host.start)(), start: Arc::clone(&host.start) };
            (host.card.id.clone(), seat)
        });
        Desk { seats: Rc::new(RefCell::new(seats.collect())) }
    }
}

/// The agents of one arbiter.
#[derive(Clone)]
pub struct Desk {
    seats: Rc<RefCell<HashMap<AgentId, Seat>>>,
}

struct Seat {
    recipient: Recipient<Consult>,
    start: Arc<dyn Fn() -> Recipient<Consult> + Send + Sync>,
}

/// How often an answer is looked for before it counts as one that takes time. A built-in agent needs two or three turns of
/// its arbiter; one that waits for anything outside needs more than any number.
pub const AT_ONCE: usize = 8;

/// What came of a question.
#[derive(Debug, Clone, PartialEq)]
pub struct Answered {
    /// The question.
    pub consult: ConsultId,
    /// The answer, or why there is none.
    pub outcome: Result<Advice, Unanswered>,
}

/// Why there is no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// The deadline passed.
    Late,
    /// The agent said that it has no answer, or failed.
    Failed,
}

/// An answer on its way.
pub type Asked = Pin<Box<dyn Future<Output = Answered>>>;

impl Desk {
    /// Asks an agent. The future ends with its answer, or at the deadline.
    #[must_use]
    pub fn ask(&self, consult: Consult) -> Asked {
        let (id, agent, deadline) = (consult.id.clone(), consult.agent.clone(), consult.deadline);
        let recipient = self.seats.borrow().get(&agent).map(|seat| seat.recipient.clone());
        let desk = self.clone();
        Box::pin(async move {
            let Some(recipient) = recipient else {
                return Answered { consult: id, outcome: Err(Unanswered::Failed) };
            };
            let mut sent = pin!(recipient.send(consult));
            // Most answers are there at once, and need no timer.
            let mut patience = AT_ONCE;
            let soon = poll_fn(|cx| match sent.as_mut().poll(cx) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if patience == 0 => Poll::Ready(None),
                Poll::Pending => {
                    patience -= 1;
                    Poll::Pending
                }
            });
            let answer = match soon.await {
                Some(answer) => Ok(answer),
                None => tokio::time::timeout(deadline, sent).await,
            };
            let outcome = match answer {
                Ok(Ok(Ok(advice))) => Ok(advice),
                Ok(Ok(Err(error))) => {
                    // What an agent says of itself is its own text; it may repeat what it was asked, so only its kind is logged.
                    let kind = match error {
                        AgentError::Unavailable(_) => "unavailable",
                        AgentError::Refused(_) => "refused",
                    };
                    tracing::warn!(%agent, consult = %id, kind, "an agent gave no answer");
                    Err(Unanswered::Failed)
                }
                Ok(Err(error)) => {
                    tracing::error!(%agent, consult = %id, %error, "an agent failed, it is started again");
                    if matches!(error, MailboxError::Closed) {
                        desk.start_again(&agent);
                    }
                    Err(Unanswered::Failed)
                }
                Err(_) => {
                    tracing::warn!(%agent, consult = %id, after_ms = deadline.as_millis(), "an agent did not answer in time");
                    Err(Unanswered::Late)
                }
            };
            Answered { consult: id, outcome }
        })
    }

    fn start_again(&self, agent: &AgentId) {
        if let Some(seat) = self.seats.borrow_mut().get_mut(agent) {
            seat.recipient = (seat.start)();
        }
    }
}
