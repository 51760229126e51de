//! The session actor: performs what the state machine decided, and brings late answers back to it.

use std::{
    collections::VecDeque,
    pin::Pin,
    rc::Rc,
    task::{self, Poll},
};

use actix::{
    Actor, ActorFuture, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, SpawnHandle, WrapFuture, fut,
};
use auren_agents::{Consult, ConsultId, ConversationEvent, UserId};

use super::{
    memory::Memory,
    settings::TalkSettings,
    talk::{Outcome, Talk},
};
use crate::{
    config::Role,
    consult::{AT_ONCE, Answered, Asked, Desk, Heard, Unanswered},
    lane::{Effects, Lates, Processor, Refusal, Stimulus},
    provisional::{Provisional, Voice},
    trace::{Kind, Step, Trace},
    wire,
};

/// Most turns of which a session remembers when their cause was written.
const TURNS_MAX: usize = 9;

/// The role that converses.
#[derive(Clone)]
pub struct Converse {
    settings: Rc<TalkSettings>,
    desk: Desk,
    provisional: Provisional,
}

impl Converse {
    /// Converses with the agents of this arbiter's desk; what they say before it is committed goes on this board.
    #[must_use]
    pub fn new(settings: TalkSettings, desk: Desk, provisional: Provisional) -> Self {
        Self { settings: Rc::new(settings), desk, provisional }
    }
}

impl Processor for Converse {
    type Late = Answered;
    type Session = Session;

    fn role(&self) -> Role {
        Role::Converse
    }

    fn open(&self, user: &UserId, saved: Option<&[u8]>, lates: Lates<Answered>) -> Result<Session, Refusal> {
        let memory = saved.map(Memory::load).transpose()?.unwrap_or_default();
        let talk = Talk { user: user.clone(), memory };
        Ok(Session { talk, role: self.clone(), lates, aside: Vec::new(), trace: None, written: VecDeque::new() })
    }
}

/// One user's session.
pub struct Session {
    talk: Talk,
    role: Converse,
    lates: Lates<Answered>,
    /// The questions whose answers are awaited aside.
    aside: Vec<(ConsultId, SpawnHandle)>,
    /// The trace of the newest cause that has one, for what its agents say.
    trace: Option<Trace>,
    /// When the causes of the newest turns were written to the log. It is not saved: it is for measuring.
    written: VecDeque<(u64, i64)>,
}

impl Actor for Session {
    type Context = Context<Self>;
}

type Parked = Pin<Box<dyn ActorFuture<Session, Output = ()>>>;

/// Sent by the lane's worker, which awaits the answer before it sends this user's next stimulus.
impl Handler<Stimulus<Answered>> for Session {
    type Result = AtomicResponse<Self, Result<Effects, Refusal>>;

    fn handle(&mut self, stimulus: Stimulus<Answered>, ctx: &mut Self::Context) -> Self::Result {
        let settings = &Rc::clone(&self.role.settings);
        // The worker knows the trace of a record, and of nothing else.
        let late = !matches!(stimulus, Stimulus::Record(_));
        let outcome = match stimulus {
            Stimulus::Record(input) => {
                if input.trace.is_some() || self.talk.memory.open.is_empty() {
                    self.trace = input.trace;
                }
                let outcome = self.talk.hear(input.topic, &input.payload, settings);
                if let Ok(outcome) = &outcome {
                    self.caused(outcome, input.written_ms);
                }
                outcome
            }
            Stimulus::Late(answered) => {
                let mut outcome = Outcome::default();
                self.talk.answered(answered, settings, &mut outcome);
                Ok(outcome)
            }
            Stimulus::Resumed => Ok(self.talk.resumed(settings)),
            Stimulus::Time(_) => Ok(Outcome::default()),
        };
        self.let_go(ctx);
        AtomicResponse::new(match outcome {
            Ok(outcome) => Box::pin(Turn::new(outcome, late)),
            Err(refusal) => Box::pin(fut::ready(Err(refusal))),
        })
    }
}

impl Session {
    /// Lets go of the questions whose answers nobody awaits any more, and so of whoever still works on them.
    fn let_go(&mut self, ctx: &mut Context<Self>) {
        let talk = &self.talk;
        self.aside.retain(|(id, answer)| {
            let awaited = talk.awaits(id);
            if !awaited {
                ctx.cancel_future(*answer);
            }
            awaited
        });
    }

    /// One asking, whose voice the consult brings to its agent.
    fn asking(&self, consult: &mut Consult) -> Asking {
        let voice = self.voice(consult);
        let step = self.step(consult);
        consult.trace = step.as_ref().map(|step| step.place().header().into());
        Asking { voice, step }
    }

    fn voice(&self, consult: &mut Consult) -> Voice {
        let voice = self.role.provisional.voice(consult);
        consult.parts = voice.parts();
        voice
    }

    /// Awaits an answer aside, for as many attempts as there are. Let go of, it takes back what was said meanwhile.
    fn parked(&self, asked: Asked, asking: Asking) -> Parked {
        asking.voice.thinks();
        Box::pin(asked.into_actor(self).then(|heard, session: &mut Session, _| session.heard_aside(heard, asking)))
    }

    fn heard_aside(&self, heard: Heard, asking: Asking) -> Parked {
        match heard {
            Heard::Answered(answered) => {
                asking.over(&answered);
                let (lates, user) = (self.lates.clone(), self.talk.user.clone());
                Box::pin(async move { lates.bring(user, answered).await }.into_actor(self))
            }
            Heard::Again(question) => match self.talk.question(&question.consult, &self.role.settings) {
                Some(mut consult) => {
                    let Asking { voice, step } = asking;
                    consult.trace = step.as_ref().map(|step| step.place().header().into());
                    // What was said in the last attempt is taken back before the next one speaks.
                    drop(voice);
                    let asking = Asking { voice: self.voice(&mut consult), step };
                    self.parked(self.role.desk.ask_again(question, consult), asking)
                }
                // The turn was stopped meanwhile.
                None => Box::pin(fut::ready(())),
            },
        }
    }

    /// The question to an agent, where its cause is traced.
    fn step(&self, consult: &Consult) -> Option<Step> {
        let mut step = self.trace.as_ref()?.step(Kind::Client, "consult")?;
        step.note("auren.agent", consult.agent.to_string());
        Some(step)
    }

    /// Remembers when the cause of a turn that begins was written.
    fn caused(&mut self, outcome: &Outcome, written_ms: i64) {
        let turns = outcome.said.iter().map(|event| event.metadata.turn).chain(outcome.asks.iter().map(|ask| ask.turn));
        for turn in turns {
            if !self.written.iter().any(|(known, _)| *known == turn) {
                self.written.truncate(TURNS_MAX - 1);
                self.written.push_front((turn, written_ms));
            }
        }
    }

    fn effects(&self, outcome: &Outcome, late: bool) -> Result<Effects, Refusal> {
        let memory = &self.talk.memory;
        let written = |event: &ConversationEvent| {
            self.written.iter().find(|(turn, _)| *turn == event.metadata.turn).map(|(_, written)| *written)
        };
        Ok(Effects {
            outputs: outcome.said.iter().map(|event| wire::caused(wire::outgoing(event), written(event))).collect(),
            state: if outcome.changed { Some(memory.save()?) } else { None },
            open: !memory.open.is_empty(),
            wake: None,
            trace: self.trace.clone().filter(|_| late),
        })
    }
}

/// A question under way: what its agent says meanwhile, and the trace's step.
struct Asking {
    voice: Voice,
    step: Option<Step>,
}

impl Asking {
    /// The question is over; what was said holds where it became an answer.
    fn over(self, answered: &Answered) {
        match &answered.outcome {
            Ok(_) => self.voice.answered(),
            Err(why) => {
                if let Some(mut step) = self.step {
                    step.failed(match why {
                        Unanswered::Late => "late",
                        Unanswered::Failed => "failed",
                        Unanswered::Unavailable => "unavailable",
                        Unanswered::Spent => "spent",
                    });
                }
            }
        }
    }
}

/// A stimulus at work: asks whoever is to be asked, goes on at once with answers that are there at once, and parks the others.
struct Turn {
    outcome: Outcome,
    late: bool,
    asked: Option<Soon>,
}

/// A question whose answer may be there at once.
struct Soon {
    consult: ConsultId,
    answer: Asked,
    asking: Asking,
    /// So many turns of the arbiter it is waited for.
    patience: usize,
}

impl Turn {
    fn new(outcome: Outcome, late: bool) -> Self {
        Self { outcome, late, asked: None }
    }

    /// Asks the next question, in the order in which they were opened: a person's earlier turn is answered before the later
    /// one.
    fn ask(&mut self, session: &Session) -> Option<Soon> {
        if self.outcome.asks.is_empty() {
            return None;
        }
        let mut consult = self.outcome.asks.remove(0);
        let id = consult.id.clone();
        let asking = session.asking(&mut consult);
        Some(Soon { consult: id, answer: session.role.desk.ask(consult), asking, patience: AT_ONCE })
    }

    /// Goes on with what came of a question; none is one that takes time.
    fn heard(&mut self, heard: Option<Heard>, soon: Soon, session: &mut Session, ctx: &mut Context<Session>) {
        let Soon { consult, answer, asking, .. } = soon;
        match heard {
            Some(Heard::Answered(answered)) => {
                asking.over(&answered);
                session.talk.answered(answered, &session.role.settings, &mut self.outcome);
                // Whoever was to be asked with it may not be needed any more.
                self.outcome.asks.retain(|consult| session.talk.awaits(&consult.id));
                session.let_go(ctx);
            }
            Some(again @ Heard::Again(_)) => {
                session.aside.push((consult, ctx.spawn(session.heard_aside(again, asking))));
            }
            None => session.aside.push((consult, ctx.spawn(session.parked(answer, asking)))),
        }
    }
}

impl ActorFuture<Session> for Turn {
    type Output = Result<Effects, Refusal>;

    fn poll(
        mut self: Pin<&mut Self>,
        session: &mut Session,
        ctx: &mut Context<Session>,
        task: &mut task::Context<'_>,
    ) -> Poll<Self::Output> {
        loop {
            let Some(mut soon) = self.asked.take().or_else(|| self.ask(session)) else {
                return Poll::Ready(session.effects(&self.outcome, self.late));
            };
            let heard = match soon.answer.as_mut().poll(task) {
                Poll::Ready(heard) => Some(heard),
                Poll::Pending if soon.patience > 1 => {
                    soon.patience -= 1;
                    self.asked = Some(soon);
                    // Behind whoever is to run now. Yielding to the runtime would ask the kernel for news in between.
                    task.waker().wake_by_ref();
                    return Poll::Pending;
                }
                Poll::Pending => None,
            };
            self.heard(heard, soon, session, ctx);
        }
    }
}
