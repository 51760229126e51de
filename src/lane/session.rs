//! What a role implements: how a session begins, and what it makes of a stimulus.

use actix::{Actor, Context, Handler, Message};
use auren_agents::UserId;
use bytes::Bytes;
use tokio::sync::mpsc;

use super::{Refusal, Wake};
use crate::{
    bus::{Cursor, Outgoing, Topic},
    config::Role,
    trace::Trace,
};

/// What the worker adds to a record: a state's key, a trace, a mark.
const ENVELOPE_BYTES: usize = 512;

/// What a role does with one user's records.
pub trait Processor: 'static {
    /// Whether its sessions may ask to be woken.
    const WAKES: bool = false;
    /// What may come to a session later than the record that caused it.
    type Late: Send + 'static;
    /// The session actor of one user.
    type Session: Actor<Context = Context<Self::Session>> + Handler<Stimulus<Self::Late>>;

    /// The role.
    fn role(&self) -> Role;

    /// What the times follow from at which sessions want to be woken: where this number is another one, those who wait are
    /// asked anew. Always the same where nothing but their records decides.
    fn timing(&self) -> u64 {
        0
    }

    /// Begins a session of a user from the newest saved state.
    ///
    /// # Errors
    /// [`Refusal`] where the state cannot be read; every record of the user is then a dead letter.
    fn open(&self, user: &UserId, saved: Option<&[u8]>, lates: Lates<Self::Late>) -> Result<Self::Session, Refusal>;
}

/// Something a session reacts to. The worker sends them one after the other and awaits each answer.
#[derive(Debug)]
pub enum Stimulus<L> {
    /// A record of an input topic.
    Record(Input),
    /// What was awaited has come, without a record.
    Late(L),
    /// It is this time, in milliseconds since the epoch, and the session wanted to be woken by then. All that was written
    /// before has been worked.
    Time(i64),
    /// The session had something open when its node died or handed it over: it is to ask again.
    Resumed,
}

impl<L: 'static> Message for Stimulus<L> {
    type Result = Result<Effects, Refusal>;
}

/// A record as a session sees it.
#[derive(Debug)]
pub struct Input {
    /// Where it was read.
    pub topic: Topic,
    /// Its place there.
    pub cursor: Cursor,
    /// When it was written there, in milliseconds since the epoch.
    pub written_ms: i64,
    /// Its payload.
    pub payload: Bytes,
    /// Where what follows from it begins, where it is traced.
    pub trace: Option<Trace>,
}

/// What a stimulus brought about. Outputs get the user's partition and the cause's trace from the worker.
#[derive(Debug, Default)]
pub struct Effects {
    /// Records to write.
    pub outputs: Vec<Outgoing>,
    /// The user's new state; none where it did not change.
    pub state: Option<Bytes>,
    /// Whether the session is waiting for something that will come as [`Stimulus::Late`].
    pub open: bool,
    /// When the session is to be woken if nothing comes until then. It is saved with the state: whoever changes it gives
    /// the state, too.
    pub wake: Option<Wake>,
    /// The trace of what caused it, where that was no record that the worker knows.
    pub trace: Option<Trace>,
}

impl Effects {
    /// The topic that could not take one of these records, if there is one.
    pub(super) fn too_large_for(&self, state_topic: Topic) -> Option<Topic> {
        let fits = |topic: Topic, bytes: usize| bytes + ENVELOPE_BYTES <= topic.max_record_bytes();
        let output = self.outputs.iter().find(|output| !fits(output.topic, output.bytes())).map(|output| output.topic);
        output
            .or_else(|| self.state.as_ref().is_some_and(|state| !fits(state_topic, state.len())).then_some(state_topic))
    }
}

/// Brings a session what it was waiting for, through the worker, so that it is committed like everything else.
#[derive(Debug)]
pub struct Lates<L>(mpsc::Sender<(UserId, L)>);

impl<L> Lates<L> {
    pub(crate) fn new(sender: mpsc::Sender<(UserId, L)>) -> Self {
        Self(sender)
    }

    /// Hands over what came for a user; waits while the worker is behind.
    pub async fn bring(&self, user: UserId, late: L) {
        // A worker that is gone has forgotten the session; whoever takes it over asks again.
        let _ = self.0.send((user, late)).await;
    }
}

impl<L> Clone for Lates<L> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

/// Nothing ever comes late.
#[derive(Debug, Clone, Copy)]
pub enum Never {}

/// A session that decides at once: a state and what a record makes of it.
pub trait Reduce: 'static + Unpin {
    /// Works one record.
    ///
    /// # Errors
    /// [`Refusal`] where the record cannot be used; the state must then be as before.
    fn apply(&mut self, input: Input) -> Result<Effects, Refusal>;

    /// Time has passed up to a moment that it asked to be woken by.
    ///
    /// # Errors
    /// [`Refusal`] where it cannot go on.
    fn time(&mut self, _now: i64) -> Result<Effects, Refusal> {
        Ok(Effects::default())
    }
}

/// Makes a [`Reduce`] an actor.
#[derive(Debug)]
pub struct Pure<R>(pub R);

impl<R: Reduce> Actor for Pure<R> {
    type Context = Context<Self>;
}

/// Sent by the worker, which awaits the answer before it sends the next.
impl<R: Reduce> Handler<Stimulus<Never>> for Pure<R> {
    type Result = Result<Effects, Refusal>;

    fn handle(&mut self, stimulus: Stimulus<Never>, _: &mut Self::Context) -> Self::Result {
        match stimulus {
            Stimulus::Record(input) => self.0.apply(input),
            Stimulus::Time(now) => self.0.time(now),
            Stimulus::Late(never) => match never {},
            Stimulus::Resumed => Ok(Effects::default()),
        }
    }
}
