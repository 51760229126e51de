//! What agents say before it is committed: on its way from a session to whoever looks on at the same node.
//!
//! It is a board and no queue. A session gives each asking of a question a [`Voice`], which writes on the board what the
//! agent has said so far; an [`Onlooker`] remembers how far it has told its client and is handed the difference. So a session
//! waits for nobody, a slow client gets longer parts instead of more of them, and one that comes late is told from the
//! beginning. All of it may be withdrawn, none of it is in the log, and what replaces it is the committed event.
//!
//! The board holds at most what open questions have said, each as much as an event takes, and of those that are over only
//! what somebody looks on at.

mod onlooker;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use auren_agents::{AgentId, Consult, ConsultId, ConversationEvent, Parts, UserId};
use tokio::sync::watch;

pub use onlooker::{News, Onlooker, State};

/// Most bytes of an answer that are shown before it is committed: as many as its event has.
const TEXT_BYTES: usize = 16 * 1024;
/// Most answers of one person that are remembered when they are over, for onlookers that have not looked yet.
const OVER_MAX: usize = 16;

/// The node's board. Its clones are the same.
#[derive(Debug, Clone, Default)]
pub struct Provisional(Option<Arc<Board>>);

#[derive(Debug, Default)]
struct Board {
    scenes: Mutex<HashMap<UserId, Scene>>,
    runs: AtomicU64,
}

/// What is being said to one person.
#[derive(Debug)]
struct Scene {
    answers: Vec<Answer>,
    onlookers: usize,
    news: watch::Sender<()>,
}

/// An answer in the making.
#[derive(Debug)]
struct Answer {
    consult: ConsultId,
    turn: u64,
    agent: AgentId,
    /// Which asking it is, unlike any other of this node.
    run: u64,
    /// Which asking of the question it is, from 1.
    attempt: u32,
    text: String,
    standing: Standing,
    /// Whether the log has the final word, and somebody here has been told it.
    settled: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    Open,
    /// Its event is on its way.
    Answered,
    /// What was said does not hold.
    Withdrawn,
}

impl Provisional {
    /// A board on which somebody may look.
    #[must_use]
    pub fn shown() -> Self {
        Self(Some(Arc::default()))
    }

    /// No board: nobody can look on, and saying costs nothing.
    #[must_use]
    pub fn hidden() -> Self {
        Self(None)
    }

    /// The voice of one asking of a question.
    #[must_use]
    pub fn voice(&self, consult: &Consult) -> Voice {
        Voice(self.0.as_ref().map(|board| {
            Arc::new(Saying {
                board: Arc::clone(board),
                user: consult.user.clone(),
                consult: consult.id.clone(),
                turn: consult.turn,
                agent: consult.agent.clone(),
                run: board.runs.fetch_add(1, Relaxed),
                begun: AtomicBool::new(false),
            })
        }))
    }

    /// Somebody who looks on at what is said to this person.
    #[must_use]
    pub fn look_on(&self, user: &UserId) -> Onlooker {
        Onlooker::new(self.0.clone(), user)
    }
}

impl Board {
    fn scenes(&self) -> MutexGuard<'_, HashMap<UserId, Scene>> {
        self.scenes.lock().expect("nobody panics while holding the board")
    }
}

impl Scene {
    fn new() -> Self {
        Self { answers: Vec::new(), onlookers: 0, news: watch::Sender::new(()) }
    }

    fn is_empty(&self) -> bool {
        self.onlookers == 0 && self.answers.is_empty()
    }
}

impl Answer {
    /// The log has the final word: nothing provisional is told of it any more.
    fn settle(&mut self) {
        self.settled = true;
        self.text = String::new();
        // Somebody else has had the last word, on another node.
        if self.standing == Standing::Open {
            self.standing = Standing::Withdrawn;
        }
    }
}

/// Whether an event is the final word on the answer to this question.
fn settles(event: &ConversationEvent, consult: &ConsultId, turn: u64, agent: &AgentId) -> bool {
    match &event.metadata.consult_id {
        Some(settled) => settled == consult,
        // The hub speaks for an agent that was stopped.
        None => event.metadata.turn == turn && event.specialist_id == *agent,
    }
}

/// What an agent says to one asking. Dropped without an answer, it is withdrawn.
#[derive(Debug)]
pub struct Voice(Option<Arc<Saying>>);

#[derive(Debug)]
struct Saying {
    board: Arc<Board>,
    user: UserId,
    consult: ConsultId,
    turn: u64,
    agent: AgentId,
    run: u64,
    /// Whether it has been on the board: what is no longer there does not come back.
    begun: AtomicBool,
}

impl Voice {
    /// What the agent is given.
    #[must_use]
    pub fn parts(&self) -> Parts {
        self.0.as_ref().map_or_else(Parts::default, |saying| {
            let saying = Arc::clone(saying);
            Parts::to(move |part| saying.say(part))
        })
    }

    /// The answer takes time: until something is said, the agent is seen thinking.
    pub fn thinks(&self) {
        if let Some(saying) = &self.0 {
            saying.say("");
        }
    }

    /// The agent has answered, and the event that says so is on its way.
    pub fn answered(self) {
        if let Some(saying) = &self.0 {
            saying.over(Standing::Answered);
        }
    }
}

impl Drop for Voice {
    fn drop(&mut self) {
        if let Some(saying) = &self.0 {
            saying.over(Standing::Withdrawn);
        }
    }
}

impl Saying {
    fn say(&self, part: &str) {
        let mut scenes = self.board.scenes();
        if !self.begun.swap(true, Relaxed) {
            self.begin(scenes.entry(self.user.clone()).or_insert_with(Scene::new));
        }
        let Some(scene) = scenes.get_mut(&self.user) else { return };
        let own = |answer: &&mut Answer| answer.run == self.run && answer.standing == Standing::Open;
        let Some(answer) = scene.answers.iter_mut().find(own) else { return };
        let room = TEXT_BYTES.saturating_sub(answer.text.len());
        answer.text.push_str(&part[..part.floor_char_boundary(room)]);
        scene.news.send_replace(());
    }

    fn begin(&self, scene: &mut Scene) {
        let before = scene.answers.iter_mut().find(|answer| answer.consult == self.consult);
        if before.as_ref().is_some_and(|before| before.settled) {
            return;
        }
        let attempt = before.as_ref().map_or(1, |before| before.attempt + 1);
        let answer = Answer {
            consult: self.consult.clone(),
            turn: self.turn,
            agent: self.agent.clone(),
            run: self.run,
            attempt,
            text: String::new(),
            standing: Standing::Open,
            settled: false,
        };
        match before {
            Some(before) => *before = answer,
            None => scene.answers.push(answer),
        }
    }

    fn over(&self, standing: Standing) {
        // What never began does not begin any more.
        if !self.begun.swap(true, Relaxed) {
            return;
        }
        let mut scenes = self.board.scenes();
        let Some(scene) = scenes.get_mut(&self.user) else { return };
        let own = |answer: &Answer| answer.run == self.run && answer.standing == Standing::Open;
        let Some(index) = scene.answers.iter().position(own) else { return };
        if scene.onlookers == 0 {
            scene.answers.remove(index);
            if scene.is_empty() {
                scenes.remove(&self.user);
            }
            return;
        }
        scene.answers[index].standing = standing;
        let over = |answer: &Answer| answer.standing != Standing::Open;
        if scene.answers.iter().filter(|answer| over(answer)).count() > OVER_MAX
            && let Some(oldest) = scene.answers.iter().position(over)
        {
            scene.answers.remove(oldest);
        }
        scene.news.send_replace(());
    }
}
