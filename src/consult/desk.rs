//! One question to one agent: sent, awaited until its deadline, and asked again where that may help.

use std::{
    cell::RefCell,
    collections::HashMap,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    rc::Rc,
    sync::Arc,
    task::Poll,
};

use actix::Recipient;
use auren_agents::{Advice, AgentError, AgentId, Consult, ConsultId, Parts, Text};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Host, Start,
    reception::{Admission, End, Reception},
    retry,
    shadow::{Noted, Notes},
};

/// How often an answer is looked for before it counts as one that takes time. A built-in agent needs two or three turns of
/// its arbiter; one that waits for anything outside needs more than any number.
pub const AT_ONCE: usize = 8;

/// The agents of one arbiter.
#[derive(Clone)]
pub struct Desk {
    seats: Rc<Seats<Rc<Seat>>>,
    /// By whose shadows they are.
    shadows: Rc<Seats<Vec<Rc<Seat>>>>,
    notes: Option<Notes>,
}

/// Something of each agent, looked for at every question: the hash is a quick one.
type Seats<T> = HashMap<AgentId, T, foldhash::quality::RandomState>;

struct Seat {
    version: Text<32>,
    reception: Arc<Reception>,
    start: Start,
    /// The agent's actor, and how many there were before it.
    now: RefCell<(u64, Recipient<Consult>)>,
}

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
    /// The agent said that it has no answer to this, or failed at it.
    Failed,
    /// The agent has used up what it may cost for now.
    Spent,
    /// The agent cannot answer at the moment: it says so itself, or its circuit is open, or too many wait for it.
    Unavailable,
}

/// What one attempt came to.
#[derive(Debug)]
pub enum Heard {
    /// The question is over.
    Answered(Answered),
    /// The pause before the next attempt is over; whoever still waits asks again ([`Desk::ask_again`]).
    Again(Question),
}

/// A question that was asked and has neither an answer nor used up its attempts.
#[derive(Debug)]
pub struct Question {
    /// Its id, the same in every attempt.
    pub consult: ConsultId,
    attempts: u32,
    until: Instant,
    admission: Admission,
}

/// An attempt under way. Dropped, nobody waits for the answer any more.
pub type Asked = Pin<Box<dyn Future<Output = Heard>>>;

impl Desk {
    pub(super) fn new(hosts: &[(Host, Arc<Reception>)], notes: Option<Notes>) -> Self {
        let (mut seats, mut shadows) = (Seats::default(), Seats::<Vec<_>>::default());
        for (host, reception) in hosts {
            let Host { card, start, shadow_of, .. } = host;
            let now = RefCell::new((0, start()));
            let (version, reception) = (card.version.clone(), Arc::clone(reception));
            let seat = Rc::new(Seat { version, reception, start: Arc::clone(start), now });
            match shadow_of {
                Some(of) => shadows.entry(of.clone()).or_default().push(seat),
                None => drop(seats.insert(card.id.clone(), seat)),
            }
        }
        Self { seats: Rc::new(seats), shadows: Rc::new(shadows), notes }
    }

    /// Asks an agent, and its shadows aside. The attempt ends with the answer, at the deadline, or when it is time for the next
    /// one.
    #[must_use]
    pub fn ask(&self, consult: Consult) -> Asked {
        let (Some(notes), Some(shadows)) = (&self.notes, self.shadows.get(&consult.agent)) else {
            return self.ask_one(consult);
        };
        for shadow in shadows {
            Rc::clone(shadow).look_on(consult.clone(), notes.clone());
        }
        let version = self.seats.get(&consult.agent).map(|seat| seat.version.clone()).unwrap_or_default();
        let (noted, notes) = (Noted::of(&consult, &version, None), notes.clone());
        let asked = self.ask_one(consult);
        Box::pin(async move {
            let heard = asked.await;
            if let Heard::Answered(answered) = &heard {
                notes.note(&noted, answered);
            }
            heard
        })
    }

    fn ask_one(&self, consult: Consult) -> Asked {
        let seat = self.seats.get(&consult.agent);
        match seat.and_then(|seat| Some((Rc::clone(seat), seat.reception.admit()?))) {
            Some((seat, admission)) => {
                let until = Instant::now() + consult.deadline;
                let question = Question { consult: consult.id.clone(), attempts: 1, until, admission };
                Box::pin(seat.attempt(question, consult))
            }
            None => {
                tracing::debug!(agent = %consult.agent, consult = %consult.id, "an agent was not asked");
                let none = Answered { consult: consult.id, outcome: Err(Unanswered::Unavailable) };
                Box::pin(std::future::ready(Heard::Answered(none)))
            }
        }
    }

    /// Asks a question again, within what is left of its time. It is put anew by whoever asks, so that nobody need keep it
    /// while its first attempt, most often the only one, is under way.
    #[must_use]
    pub fn ask_again(&self, mut question: Question, mut consult: Consult) -> Asked {
        let Some(seat) = self.seats.get(&consult.agent).map(Rc::clone) else {
            return Box::pin(std::future::ready(question.over(End::Failed)));
        };
        question.attempts += 1;
        question.admission.retried();
        consult.deadline = question.until.saturating_duration_since(Instant::now());
        Box::pin(seat.attempt(question, consult))
    }
}

impl Seat {
    /// Is asked once, aside, what another one answers; only noted is what comes of it.
    fn look_on(self: Rc<Self>, mut consult: Consult, notes: Notes) {
        let of = std::mem::replace(&mut consult.agent, self.reception.agent.clone());
        consult.parts = Parts::default();
        let noted = Noted::of(&consult, &self.version, Some(of.as_str()));
        let Some(admission) = self.reception.admit() else { return };
        let until = Instant::now() + consult.deadline;
        // It has no further attempts.
        let question = Question { consult: consult.id.clone(), attempts: u32::MAX, until, admission };
        actix::spawn(async move {
            if let Heard::Answered(answered) = self.attempt(question, consult).await {
                notes.note(&noted, &answered);
            }
        });
    }

    async fn attempt(self: Rc<Self>, question: Question, consult: Consult) -> Heard {
        let (number, sent) = {
            let (number, agent) = &*self.now.borrow();
            (*number, agent.send(consult))
        };
        let mut sent = pin!(sent);
        // Most first answers are there at once and need no timer: whoever asks looks so often. A further attempt is awaited
        // aside, where only its timer wakes it.
        let mut patience = if question.attempts == 1 { AT_ONCE } else { 0 };
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
            None => timeout_at(question.until, sent).await,
        };
        let (agent, consult) = (&self.reception.agent, &question.consult);
        // What an agent says of itself is its own text; it may repeat what it was asked, so only its kind is logged.
        match answer {
            Ok(Ok(Ok(advice))) => question.answered(advice),
            Ok(Ok(Err(AgentError::Unavailable(_)))) => {
                tracing::warn!(%agent, %consult, attempt = question.attempts, "an agent is not available");
                question.again_or(End::Unavailable).await
            }
            Ok(Ok(Err(AgentError::Refused(_)))) => {
                tracing::warn!(%agent, %consult, "an agent refused a question");
                question.over(End::Refused)
            }
            Ok(Ok(Err(AgentError::Spent))) => {
                tracing::warn!(%agent, %consult, "an agent has used up its budget");
                question.over(End::Spent)
            }
            Ok(Ok(Err(AgentError::Failed(_)))) => {
                tracing::warn!(%agent, %consult, attempt = question.attempts, "an agent failed");
                question.again_or(End::Failed).await
            }
            Ok(Err(error)) => {
                tracing::error!(
                    %agent, %consult, %error, attempt = question.attempts, "an agent failed, it is started again"
                );
                self.start_again(number);
                question.again_or(End::Failed).await
            }
            Err(_) => {
                tracing::warn!(%agent, %consult, attempt = question.attempts, "an agent did not answer in time");
                question.over(End::Late)
            }
        }
    }

    /// Starts the agent again, unless somebody has since this actor was asked.
    fn start_again(&self, number: u64) {
        let mut now = self.now.borrow_mut();
        if now.0 == number {
            *now = (number + 1, (self.start)());
            self.reception.started_again();
        }
    }
}

impl Question {
    fn answered(self, advice: Advice) -> Heard {
        self.admission.end(End::Answered);
        Heard::Answered(Answered { consult: self.consult, outcome: Ok(advice) })
    }

    fn over(self, end: End) -> Heard {
        let why = match end {
            End::Late => Unanswered::Late,
            End::Unavailable => Unanswered::Unavailable,
            End::Spent => Unanswered::Spent,
            End::Answered | End::Refused | End::Failed => Unanswered::Failed,
        };
        self.admission.end(end);
        Heard::Answered(Answered { consult: self.consult, outcome: Err(why) })
    }

    /// Waits until it is time to ask again; where no attempt is left, or no time for one, the question ends so.
    async fn again_or(self, end: End) -> Heard {
        let settings = &self.admission.reception.settings;
        let pause = retry::pause(settings.retry_pause, self.attempts);
        let left = self.until.saturating_duration_since(Instant::now());
        if self.attempts >= settings.attempts || pause >= left || !self.admission.may_retry() {
            return self.over(end);
        }
        sleep(pause).await;
        Heard::Again(self)
    }
}
