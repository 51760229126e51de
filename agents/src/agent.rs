//! The trait an agent implements, and the actor that hosts it.

use std::{
    future::poll_fn,
    panic::{self, AssertUnwindSafe},
    pin::Pin,
    rc::Rc,
    task::{self, Poll, Waker},
};

use actix::{
    Actor, Context, Handler,
    dev::{MessageResponse, OneshotSender},
};
use serde::{Deserialize, Serialize};

use crate::{
    consult::{Advice, Consult},
    ids::AgentId,
    text::Text,
};

/// Somebody a person can be advised by.
pub trait Agent: 'static {
    /// Who the agent is and what it is for. Asked once, when the agent is registered.
    fn card(&self) -> AgentCard;

    /// Answers one question.
    ///
    /// The same question may come again under the same id, after a crash or an attempt that failed; only one answer is ever
    /// shown.
    /// An agent that can answer at once should: its answer then leaves in the same commit as its cause.
    ///
    /// Where nobody waits for the answer any more (the deadline has passed, the person stopped the turn), the future is
    /// dropped, and with it whatever the agent had under way in it.
    ///
    /// # Errors
    /// [`AgentError`] when there is no answer. Where no further attempt brings one either, the person is told so, and the
    /// panel goes on.
    fn consult(&self, consult: Consult) -> impl Future<Output = Result<Advice, AgentError>>;
}

/// Why an agent gave no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error, Serialize, Deserialize)]
pub enum AgentError {
    /// The agent cannot answer now, and asking again may help: it is asked again while its deadline allows.
    #[error("the agent is not available: {0}")]
    Unavailable(String),
    /// The agent cannot answer this, and asking again does not help.
    #[error("the agent refused: {0}")]
    Refused(String),
    /// The agent has used up what it may cost for now, and is not asked again: whoever answers instead is.
    #[error("the agent has used up its budget")]
    Spent,
    /// The agent failed at it, as one that panics does. It is asked again while its deadline allows.
    #[error("the agent failed: {0}")]
    Failed(String),
}

/// Who an agent is and what it is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AgentCard {
    /// The name that `recommended_agents` and mentions use.
    pub id: AgentId,
    /// The agent's own version.
    pub version: Text<32>,
    /// What it is for, in a sentence.
    pub purpose: Text<512>,
    /// Lower-case words that make a person's message this agent's business.
    pub topics: Vec<String>,
}

impl AgentCard {
    /// A card without topics.
    ///
    /// # Panics
    /// Where `id` is no id (empty, longer than 128 bytes): a programming error, met at the first start.
    #[must_use]
    pub fn new(id: &str, version: &str, purpose: &str) -> Self {
        Self {
            id: AgentId::new(id).expect("an agent's id is short printable text"),
            version: Text::cut(version),
            purpose: Text::cut(purpose),
            topics: Vec::new(),
        }
    }

    /// The same card with the words that make a message this agent's business.
    #[must_use]
    pub fn topics<'a>(mut self, topics: impl IntoIterator<Item = &'a str>) -> Self {
        self.topics = topics.into_iter().map(str::to_lowercase).collect();
        self
    }
}

/// Makes any [`Agent`] an actix actor.
///
/// Each arbiter that runs sessions starts its own, so that asking costs no thread switch. Consults of several people run
/// side by side; the agent itself decides what they share.
#[derive(Debug)]
pub struct AgentActor<A> {
    agent: Rc<A>,
}

impl<A: Agent> AgentActor<A> {
    /// Hosts an agent.
    #[must_use]
    pub fn new(agent: A) -> Self {
        Self { agent: Rc::new(agent) }
    }
}

impl<A: Agent> Actor for AgentActor<A> {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // Every session of the arbiter may ask at the same moment; one that finds the box full waits.
        ctx.set_mailbox_capacity(1024);
    }
}

/// Sent by a session actor, answered by the agent; a sender that finds the mailbox full waits until its deadline.
impl<A: Agent> Handler<Consult> for AgentActor<A> {
    type Result = Reply;

    fn handle(&mut self, consult: Consult, _: &mut Self::Context) -> Self::Result {
        let agent = Rc::clone(&self.agent);
        let mut answer: Answering = Box::pin(async move { agent.consult(consult).await });
        // An agent that need not wait for anything answers within the message; no task is made for it. A panic ends this
        // one consult: whoever asks beside it is still answered.
        let begun = panic::catch_unwind(AssertUnwindSafe(|| {
            answer.as_mut().poll(&mut task::Context::from_waker(Waker::noop()))
        }));
        match begun {
            Ok(Poll::Ready(answer)) => Reply::Now(answer),
            Ok(Poll::Pending) => Reply::Later(answer),
            Err(_) => Reply::Never,
        }
    }
}

/// An answer that is being worked on.
pub type Answering = Pin<Box<dyn Future<Output = Result<Advice, AgentError>>>>;

/// How a hosted agent answers.
pub enum Reply {
    /// The answer is there.
    Now(Result<Advice, AgentError>),
    /// It is being worked on.
    Later(Answering),
    /// The agent failed; the sender is told that nothing comes.
    Never,
}

impl<A: Agent> MessageResponse<AgentActor<A>, Consult> for Reply {
    fn handle(self, _: &mut Context<AgentActor<A>>, sender: Option<OneshotSender<Result<Advice, AgentError>>>) {
        let Some(mut sender) = sender else { return };
        match self {
            // Whoever asked may have stopped waiting.
            Self::Now(answer) => drop(sender.send(answer)),
            Self::Later(mut answer) => {
                actix::spawn(async move {
                    let answer = poll_fn(|cx| match answer.as_mut().poll(cx) {
                        Poll::Ready(answer) => Poll::Ready(Some(answer)),
                        Poll::Pending => sender.poll_closed(cx).map(|()| None),
                    });
                    if let Some(answer) = answer.await {
                        drop(sender.send(answer));
                    }
                });
            }
            Self::Never => {}
        }
    }
}
