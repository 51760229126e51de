//! What agents say before it is committed: on its way from a session to whoever looks on.
//!
//! It is a board and no queue. A session gives each asking of a question a [`Voice`], which writes on the board what the
//! agent has said so far; an [`Onlooker`] remembers how far it has told its client and is handed the difference. So a session
//! waits for nobody, a slow client gets longer parts instead of more of them, and one that comes late is told from the
//! beginning. All of it may be withdrawn, none of it is in the log, and what replaces it is the committed event.
//!
//! The board holds at most what open questions have said, each as much as an event takes, and of those that are over only
//! what somebody looks on at. Boards of several nodes tell each other where a Redis is configured: [`across`] says what and
//! to whom, [`relay`] carries it.

mod across;
mod onlooker;
mod relay;
#[cfg(test)]
mod tests;

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
};

use auren_agents::{AgentId, Consult, ConsultId, ConversationEvent, MessageType, Parts, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use across::{Errands, Origin, Wanted};
pub use onlooker::{News, Onlooker, State};
pub use relay::{RelayCount, RelaySettings};

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
    errands: Errands,
}

/// What is being said to one person.
#[derive(Debug)]
struct Scene {
    answers: Vec<Answer>,
    onlookers: usize,
    news: watch::Sender<()>,
    /// Whether another node has onlookers.
    wanted: Wanted,
    /// The newest events that somebody here has been told, for what other nodes say too late.
    finals: VecDeque<Final>,
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
    origin: Origin,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
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

impl Board {
    /// Forgets what nobody looks on at any more, here or elsewhere.
    fn tidy(&self, scenes: &mut HashMap<UserId, Scene>, user: &UserId) {
        let Some(scene) = scenes.get_mut(user) else { return };
        if scene.onlookers == 0 {
            let told = self.errands.are_run() && scene.wanted != Wanted::No;
            scene.answers.retain(|answer| answer.is_kept_unseen(told));
        }
        if scene.is_empty() {
            scenes.remove(user);
        }
    }
}

impl Scene {
    fn new() -> Self {
        Self {
            answers: Vec::new(),
            onlookers: 0,
            news: watch::Sender::new(()),
            wanted: Wanted::Unknown,
            finals: VecDeque::new(),
        }
    }

    fn is_empty(&self) -> bool {
        self.onlookers == 0 && self.answers.is_empty()
    }
}

impl Answer {
    fn say(&mut self, part: &str) {
        let room = TEXT_BYTES.saturating_sub(self.text.len());
        self.text.push_str(&part[..part.floor_char_boundary(room)]);
    }

    /// The log has the final word: nothing provisional is told of it any more.
    fn settle(&mut self, event: &ConversationEvent) {
        if self.standing == Standing::Open {
            // The event of an answer on another node may be heard before its end. Or somebody else has had the last word.
            let follows =
                event.message_type == MessageType::SpecialistResponse && event.content.starts_with(&self.text);
            self.standing = if follows { Standing::Answered } else { Standing::Withdrawn };
        }
        self.settled = true;
        self.text = String::new();
    }
}

/// An event, as the final word on an answer.
#[derive(Debug)]
struct Final {
    consult: Option<ConsultId>,
    turn: u64,
    agent: AgentId,
}

impl Final {
    fn of(event: &ConversationEvent) -> Self {
        let consult = event.metadata.consult_id.clone();
        Self { consult, turn: event.metadata.turn, agent: event.specialist_id.clone() }
    }

    /// Whether it is that on the answer to this question.
    fn settles(&self, consult: &ConsultId, turn: u64, agent: &AgentId) -> bool {
        match &self.consult {
            Some(settled) => settled == consult,
            // The hub speaks for an agent that was stopped.
            None => self.turn == turn && self.agent == *agent,
        }
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
        answer.say(part);
        scene.news.send_replace(());
        self.board.errands.tell(&self.user, scene.wanted);
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
            origin: Origin::here(),
        };
        // Whether others listen shows once an answer.
        if scene.wanted == Wanted::No {
            scene.wanted = Wanted::Unknown;
        }
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
        let own = |answer: &&mut Answer| answer.run == self.run && answer.standing == Standing::Open;
        let Some(answer) = scene.answers.iter_mut().find(own) else { return };
        answer.standing = standing;
        let over = |answer: &Answer| answer.standing != Standing::Open;
        if scene.answers.iter().filter(|answer| over(answer)).count() > OVER_MAX
            && let Some(oldest) = scene.answers.iter().position(over)
        {
            scene.answers.remove(oldest);
        }
        scene.news.send_replace(());
        self.board.errands.tell(&self.user, scene.wanted);
        self.board.tidy(&mut scenes, &self.user);
    }
}
