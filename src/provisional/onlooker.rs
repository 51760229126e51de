//! Somebody who looks on: how far a client has been told, and what it is told next.

use std::{collections::VecDeque, sync::Arc, time::Duration};

use auren_agents::{AgentId, ConsultId, ConversationEvent, MessageType, UserId};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::{
    sync::watch,
    time::{Instant, sleep_until},
};

use super::{Answer, Board, Final, Scene, Standing};

/// How often there is something to look at, at most: parts that come faster are told together.
const LOOK_EVERY: Duration = Duration::from_millis(40);

/// What a client is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum News {
    /// What an agent is about.
    Status {
        /// The turn it answers.
        turn: u64,
        /// Who.
        agent: AgentId,
        /// What it does.
        state: State,
    },
    /// More of an answer.
    Delta {
        /// The turn it answers.
        turn: u64,
        /// Which asking of the question, from 1.
        attempt: u32,
        /// The how manieth part of this asking, from 0.
        seq: u64,
        /// Who speaks.
        agent: AgentId,
        /// What follows the part before.
        text: String,
    },
    /// What was told of an asking does not hold.
    Reset {
        /// The turn.
        turn: u64,
        /// The asking.
        attempt: u32,
        /// Who spoke.
        agent: AgentId,
    },
}

/// What an agent is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// It has been asked, and has said nothing.
    Thinking,
    /// It speaks.
    Answering,
    /// It is over: its event is on its way, or what was said has been withdrawn.
    Done,
}

/// One client that looks on.
#[derive(Debug)]
pub struct Onlooker {
    board: Option<(Arc<Board>, watch::Receiver<()>)>,
    user: UserId,
    known: Vec<Known>,
    /// Whether there is something that was not looked at.
    waiting: bool,
    next: Instant,
}

/// An answer that the client has been told of.
#[derive(Debug)]
struct Known {
    consult: ConsultId,
    turn: u64,
    agent: AgentId,
    run: u64,
    attempt: u32,
    state: Option<State>,
    /// Bytes of its text that were told, and in how many parts.
    told: usize,
    seq: u64,
}

impl Onlooker {
    pub(super) fn new(board: Option<Arc<Board>>, user: &UserId) -> Self {
        let board = board.map(|board| {
            let news = {
                let mut scenes = board.scenes();
                let scene = scenes.entry(user.clone()).or_insert_with(Scene::new);
                scene.onlookers += 1;
                if scene.onlookers == 1 {
                    board.errands.look(user);
                }
                scene.news.subscribe()
            };
            (board, news)
        });
        Self { board, user: user.clone(), known: Vec::new(), waiting: true, next: Instant::now() }
    }

    /// Waits until there is something to look at. A wait may be given up at any time.
    pub async fn changed(&mut self) {
        let Some((_, news)) = &mut self.board else { return std::future::pending().await };
        if !self.waiting {
            if news.changed().await.is_err() {
                return std::future::pending().await;
            }
            self.waiting = true;
        }
        sleep_until(self.next).await;
    }

    /// What the client has not been told yet.
    pub fn look(&mut self) -> Vec<News> {
        let mut told = Vec::new();
        self.waiting = false;
        self.next = Instant::now() + LOOK_EVERY;
        let Some((board, news)) = &mut self.board else { return told };
        news.borrow_and_update();
        let scenes = board.scenes();
        let Some(scene) = scenes.get(&self.user) else { return told };
        // What the board has forgotten is not remembered here, once the client knows how it ended.
        let stands = |known: &Known| scene.answers.iter().any(|answer| answer.consult == known.consult);
        self.known.retain(|known| known.state != Some(State::Done) || stands(known));
        for answer in &scene.answers {
            let index = self.known.iter().position(|known| known.consult == answer.consult);
            let index = match index {
                Some(index) => index,
                // Nothing is begun that is over.
                None if answer.standing != Standing::Open => continue,
                None => {
                    self.known.push(Known::of(answer));
                    self.known.len() - 1
                }
            };
            self.known[index].follow(answer, &mut told);
        }
        told
    }

    /// The client is about to be told an event. What was provisional of it is over with that; returned is what must be told
    /// first, because the event does not follow from what was said.
    pub fn settle(&mut self, event: &ConversationEvent) -> Vec<News> {
        let mut told = Vec::new();
        let Some((board, _)) = &self.board else { return told };
        let mut scenes = board.scenes();
        let Some(scene) = scenes.get_mut(&self.user) else { return told };
        if board.errands.are_run() {
            scene.remember(event);
        }
        let last = Final::of(event);
        for answer in &mut scene.answers {
            if last.settles(&answer.consult, answer.turn, &answer.agent) {
                answer.settle(event);
            }
        }
        self.known.retain_mut(|known| {
            let settled = last.settles(&known.consult, known.turn, &known.agent);
            if settled {
                let said = scene.answers.iter().find(|answer| answer.run == known.run);
                let holds = event.message_type == MessageType::SpecialistResponse
                    && said.is_some_and(|answer| answer.standing == Standing::Answered);
                if !holds {
                    known.withdraw(&mut told);
                }
            }
            !settled
        });
        told
    }
}

impl Drop for Onlooker {
    fn drop(&mut self) {
        let Some((board, _)) = &self.board else { return };
        let mut scenes = board.scenes();
        let Some(scene) = scenes.get_mut(&self.user) else { return };
        scene.onlookers -= 1;
        if scene.onlookers == 0 {
            scene.finals = VecDeque::new();
            board.errands.look(&self.user);
            board.tidy(&mut scenes, &self.user);
        }
    }
}

impl Known {
    fn of(answer: &Answer) -> Self {
        Self {
            consult: answer.consult.clone(),
            turn: answer.turn,
            agent: answer.agent.clone(),
            run: answer.run,
            attempt: answer.attempt,
            state: None,
            told: 0,
            seq: 0,
        }
    }

    fn follow(&mut self, answer: &Answer, news: &mut Vec<News>) {
        if self.run != answer.run {
            self.withdraw(news);
            *self = Self::of(answer);
        }
        if answer.standing == Standing::Withdrawn {
            self.withdraw(news);
            return self.be(State::Done, news);
        }
        if answer.text.len() > self.told {
            self.be(State::Answering, news);
            news.push(News::Delta {
                turn: self.turn,
                attempt: self.attempt,
                seq: self.seq,
                agent: self.agent.clone(),
                text: answer.text[self.told..].to_owned(),
            });
            self.told = answer.text.len();
            self.seq += 1;
        } else if self.told == 0 && answer.standing == Standing::Open {
            self.be(State::Thinking, news);
        }
        if answer.standing == Standing::Answered {
            self.be(State::Done, news);
        }
    }

    fn withdraw(&mut self, news: &mut Vec<News>) {
        if self.told > 0 {
            self.told = 0;
            news.push(News::Reset { turn: self.turn, attempt: self.attempt, agent: self.agent.clone() });
        }
    }

    fn be(&mut self, state: State, news: &mut Vec<News>) {
        if self.state != Some(state) {
            self.state = Some(state);
            news.push(News::Status { turn: self.turn, agent: self.agent.clone(), state });
        }
    }
}
