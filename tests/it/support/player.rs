//! Agents that do what a test says, when it says so.

use std::{
    collections::HashMap,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex},
};

use auren_agents::{Advice, Agent, AgentCard, AgentError, Consult};
use tokio::sync::{Semaphore, watch};

type Playing = Pin<Box<dyn Future<Output = Result<Advice, AgentError>>>>;

/// An agent whose answers are a function of the question.
#[derive(Clone)]
pub struct Player {
    card: AgentCard,
    play: Arc<dyn Fn(Consult) -> Playing + Send + Sync>,
}

impl Player {
    pub fn new<F>(name: &str, play: impl Fn(Consult) -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Advice, AgentError>> + 'static,
    {
        Self {
            card: AgentCard::new(name, "1", "Plays its part in a test."),
            play: Arc::new(move |consult| Box::pin(play(consult))),
        }
    }

    /// Says the same to everybody, at once.
    pub fn says(name: &str, words: &'static str) -> Self {
        Self::new(name, move |_| async move { Ok(Advice::say(words)) })
    }

    /// Answers when the door lets it.
    pub fn behind(name: &str, door: &Door) -> Self {
        let door = door.clone();
        Self::new(name, move |consult| {
            let door = door.clone();
            async move {
                door.asked.lock().unwrap().push(consult);
                // A semaphore that is never closed always lets somebody in at last.
                door.open.acquire().await.unwrap().forget();
                Ok(Advice::say("At last."))
            }
        })
    }

    /// These words make a message its business.
    pub fn topics(mut self, words: &[&str]) -> Self {
        self.card = self.card.topics(words.iter().copied());
        self
    }
}

impl Agent for Player {
    fn card(&self) -> AgentCard {
        self.card.clone()
    }

    fn consult(&self, consult: Consult) -> impl Future<Output = Result<Advice, AgentError>> {
        (self.play)(consult)
    }
}

/// What an agent says to each turn, written while it speaks: however often it is asked, it says all of it from the beginning.
#[derive(Clone)]
pub struct Script(watch::Sender<HashMap<u64, (String, bool)>>);

impl Script {
    pub fn empty() -> Self {
        Self(watch::Sender::default())
    }

    /// The next words of a turn's answer.
    pub fn says(&self, turn: u64, words: &str) {
        self.0.send_modify(|turns| turns.entry(turn).or_default().0.push_str(words));
    }

    /// That was all.
    pub fn ends(&self, turn: u64) {
        self.0.send_modify(|turns| turns.entry(turn).or_default().1 = true);
    }

    /// The agent that speaks it.
    pub fn player(&self, name: &str) -> Player {
        let script = self.0.subscribe();
        Player::new(name, move |consult| {
            let mut script = script.clone();
            async move {
                let mut told = 0;
                loop {
                    let (words, over) = script.borrow_and_update().get(&consult.turn).cloned().unwrap_or_default();
                    if words.len() > told {
                        consult.parts.tell(&words[told..]);
                        told = words.len();
                    }
                    if over {
                        return Ok(Advice::say(words));
                    }
                    // A script that is dropped ends no test.
                    if script.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            }
        })
    }
}

/// Holds agents up, and remembers what they were asked.
#[derive(Clone)]
pub struct Door {
    open: Arc<Semaphore>,
    asked: Arc<Mutex<Vec<Consult>>>,
}

impl Door {
    pub fn closed() -> Self {
        Self { open: Arc::new(Semaphore::new(0)), asked: Arc::default() }
    }

    /// Lets so many answers out.
    pub fn lets(&self, answers: usize) {
        self.open.add_permits(answers);
    }

    /// What was asked so far.
    pub fn asked(&self) -> Vec<Consult> {
        self.asked.lock().unwrap().clone()
    }

    /// Waits until so many questions have been asked.
    pub async fn asked_times(&self, count: usize) -> Vec<Consult> {
        super::until("the agent is asked", || async { self.asked.lock().unwrap().len() >= count }).await;
        self.asked()
    }
}
