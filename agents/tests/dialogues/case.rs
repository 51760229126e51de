//! Asking the built-in agents, which answer at once.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use auren_agents::{Advice, Agent, Coach, Consult, Neuroscientist, UserId, dialogue::Dialogue};

/// What the agent of a case says to this person.
pub(crate) fn answer(case: &Dialogue, person: &UserId) -> Advice {
    let mut case = case.clone();
    case.user = person.clone();
    ask(case.consult())
}

/// Asks the agent that the consult names. It has to answer at once.
pub(crate) fn ask(consult: Consult) -> Advice {
    match consult.agent.as_str() {
        "neuroscientist" => at_once(Neuroscientist.consult(consult)),
        "coach" => at_once(Coach.consult(consult)),
        other => panic!("there is no agent {other}"),
    }
    .unwrap()
}

fn at_once<T>(answer: impl Future<Output = T>) -> T {
    match pin!(answer).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(answer) => answer,
        Poll::Pending => panic!("the agent does not answer at once"),
    }
}
