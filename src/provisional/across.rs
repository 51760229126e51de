//! What the boards of several nodes tell each other: a socket of one node looks on at what a session of another says.
//!
//! Only what somebody wants is told. Who begins to speak tells it once, and hears by that whether any other node listens to
//! this person; a node with an onlooker listens, and asks for what is being said already. Nobody queues: what is told is
//! whatever the board has that was not told yet, so a slow way is told longer parts and fewer of them. Parts may be lost.
//! Each says where it begins, so that a hole is seen and asked for; and who is not heard of any more is taken back.
//!
//! An answer from elsewhere stands on the board like one from here. What it may not do is come after its event: the events
//! that somebody here has been told are remembered a while.

use std::{
    collections::HashSet,
    mem,
    sync::{
        Mutex, MutexGuard,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use auren_agents::{AgentId, ConsultId, ConversationEvent, MessageType, UserId};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::{Answer, Board, Final, Scene, Standing};

/// How often an open answer is told of even where it has not changed.
pub(super) const BEAT: Duration = Duration::from_secs(2);
/// An answer from elsewhere that is not heard of for so long is taken back.
const SILENCE: Duration = Duration::from_secs(7);
/// Most answers of other nodes that one person's board takes.
const ELSEWHERE_MAX: usize = 16;
/// Most events of a person that are remembered for what comes too late.
const FINALS_MAX: usize = 8;

/// What one node tells of what is being said to a person.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Tidings {
    /// Who tells it; another number with each life.
    pub(super) node: u64,
    pub(super) answers: Vec<Tiding>,
}

/// What has become of an answer, and its text from somewhere on.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Tiding {
    consult: ConsultId,
    turn: u64,
    agent: AgentId,
    run: u64,
    at: usize,
    text: String,
    standing: Standing,
}

/// Whether another node has onlookers of a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wanted {
    /// It shows when something is told.
    Unknown,
    Yes,
    No,
}

/// Who speaks an answer.
#[derive(Debug)]
pub(super) enum Origin {
    /// A session of this node; and how far others have been told.
    Here { told: usize, standing: Option<Standing>, again: bool },
    /// Another node, by its number and its own number of the asking; and when it was last heard of.
    There { node: u64, run: u64, heard: Instant },
}

impl Origin {
    pub(super) fn here() -> Self {
        Self::Here { told: 0, standing: None, again: false }
    }

    fn is_here(&self) -> bool {
        matches!(self, Self::Here { .. })
    }
}

/// What is to be done for other nodes, person by person: each stands here once, however often there was cause.
#[derive(Debug, Default)]
pub(super) struct Errands {
    /// Whether somebody does them. Nothing is noted down where nobody does.
    run: AtomicBool,
    todo: Mutex<Todo>,
    pub(super) wake: Notify,
    pub(super) counts: Counts,
}

/// People, by what is to be done.
#[derive(Debug, Default)]
pub(super) struct Todo {
    /// Others are to be told of them.
    pub(super) tell: HashSet<UserId>,
    /// Their onlookers have come or gone.
    pub(super) look: HashSet<UserId>,
    /// Others are to be asked for them.
    pub(super) ask: HashSet<UserId>,
}

/// What was carried, counted as it happens.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) told: AtomicU64,
    pub(super) heard: AtomicU64,
    pub(super) failures: AtomicU64,
    pub(super) people: AtomicU64,
}

impl Errands {
    pub(super) fn are_run(&self) -> bool {
        self.run.load(Relaxed)
    }

    fn todo(&self) -> MutexGuard<'_, Todo> {
        self.todo.lock().expect("nobody panics while noting an errand")
    }

    /// Something of this person's board has changed.
    pub(super) fn tell(&self, user: &UserId, wanted: Wanted) {
        if wanted != Wanted::No {
            self.note(|todo| &mut todo.tell, user);
        }
    }

    /// The first onlooker of this person has come, or the last one gone.
    pub(super) fn look(&self, user: &UserId) {
        self.note(|todo| &mut todo.look, user);
    }

    fn note(&self, list: fn(&mut Todo) -> &mut HashSet<UserId>, user: &UserId) {
        if self.are_run() && list(&mut self.todo()).insert(user.clone()) {
            self.wake.notify_one();
        }
    }

    pub(super) fn take(&self) -> Todo {
        mem::take(&mut self.todo())
    }
}

impl Board {
    /// From now on errands are done; returned are those who have onlookers. What was told before is told anew.
    pub(super) fn begin_errands(&self) -> Vec<UserId> {
        let mut scenes = self.scenes();
        self.errands.run.store(true, Relaxed);
        for (user, scene) in scenes.iter_mut() {
            scene.tell_anew(Wanted::Unknown);
            if scene.answers.iter().any(|answer| answer.origin.is_here()) {
                self.errands.tell(user, scene.wanted);
            }
        }
        scenes.iter().filter(|(_, scene)| scene.onlookers > 0).map(|(user, _)| user.clone()).collect()
    }

    /// Nobody does errands any more.
    pub(super) fn end_errands(&self) {
        let mut scenes = self.scenes();
        self.errands.run.store(false, Relaxed);
        self.errands.take();
        let users: Vec<_> = scenes.keys().cloned().collect();
        for user in users {
            self.tidy(&mut scenes, &user);
        }
    }

    /// Whether a person has onlookers here.
    pub(super) fn has_onlookers(&self, user: &UserId) -> bool {
        self.scenes().get(user).is_some_and(|scene| scene.onlookers > 0)
    }

    /// What others have not been told of a person. It counts as told from here on.
    pub(super) fn tidings(&self, user: &UserId) -> Vec<Tiding> {
        let mut scenes = self.scenes();
        let Some(scene) = scenes.get_mut(user).filter(|scene| scene.wanted != Wanted::No) else { return Vec::new() };
        let tidings = scene.answers.iter_mut().filter_map(Answer::tiding).collect();
        self.tidy(&mut scenes, user);
        tidings
    }

    /// Whether others listened to what they were told of a person.
    pub(super) fn listened(&self, user: &UserId, others: bool) {
        let mut scenes = self.scenes();
        let Some(scene) = scenes.get_mut(user) else { return };
        // Who asked meanwhile has come since.
        if others || !scene.answers.iter().any(Answer::is_asked_for) {
            scene.wanted = if others { Wanted::Yes } else { Wanted::No };
        }
        self.tidy(&mut scenes, user);
    }

    /// Another node has an onlooker of these people, or has missed a part.
    pub(super) fn asked(&self, users: &[UserId]) {
        let mut scenes = self.scenes();
        for user in users {
            let Some(scene) = scenes.get_mut(user) else { continue };
            scene.tell_anew(Wanted::Yes);
            self.errands.tell(user, scene.wanted);
        }
    }

    /// Another node tells what is being said to a person.
    pub(super) fn hear(&self, user: &UserId, tidings: Tidings, now: Instant) {
        let mut scenes = self.scenes();
        let Some(scene) = scenes.get_mut(user).filter(|scene| scene.onlookers > 0) else { return };
        for tiding in tidings.answers {
            let run = || self.runs.fetch_add(1, Relaxed);
            if scene.hear(tidings.node, &tiding, now, run) == Heard::WithAHole {
                self.errands.note(|todo| &mut todo.ask, user);
            }
        }
        scene.news.send_replace(());
    }

    /// Takes back what is not heard of any more, and sees to it that others hear of what is open here.
    pub(super) fn tend(&self, now: Instant) {
        for (user, scene) in self.scenes().iter_mut() {
            let mut silent = false;
            for answer in scene.answers.iter_mut().filter(|answer| answer.standing != Standing::Withdrawn) {
                match &mut answer.origin {
                    Origin::Here { again, .. } if answer.standing == Standing::Open => {
                        *again = true;
                        self.errands.tell(user, scene.wanted);
                    }
                    Origin::There { heard, .. } if !answer.settled && now.duration_since(*heard) > SILENCE => {
                        answer.standing = Standing::Withdrawn;
                        silent = true;
                    }
                    _ => {}
                }
            }
            if silent {
                scene.news.send_replace(());
            }
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Whole,
    WithAHole,
}

impl Scene {
    /// An event that somebody here is told: what others say of it comes too late.
    pub(super) fn remember(&mut self, event: &ConversationEvent) {
        if event.message_type != MessageType::UserInput {
            self.finals.truncate(FINALS_MAX - 1);
            self.finals.push_front(Final::of(event));
        }
    }

    /// Others know nothing of what is said here, as far as anybody knows.
    fn tell_anew(&mut self, wanted: Wanted) {
        self.wanted = wanted;
        for answer in self.answers.iter_mut().filter(|answer| answer.origin.is_here()) {
            answer.origin = Origin::here();
        }
    }

    fn hear(&mut self, node: u64, tiding: &Tiding, now: Instant, run: impl FnOnce() -> u64) -> Heard {
        let known = self.answers.iter().position(|answer| answer.consult == tiding.consult);
        let index = match known {
            Some(index) if self.answers[index].is_of(node, tiding.run) => index,
            // What is over, or begins anew here, is not begun there.
            Some(index) if tiding.standing != Standing::Open || self.answers[index].rules_out_another() => {
                return Heard::Whole;
            }
            Some(index) => {
                self.answers[index] = Answer::there(node, tiding, now, run(), self.answers[index].attempt + 1);
                index
            }
            None if tiding.standing != Standing::Open || self.is_late(tiding) || self.is_full() => return Heard::Whole,
            None => {
                self.answers.push(Answer::there(node, tiding, now, run(), 1));
                self.answers.len() - 1
            }
        };
        self.answers[index].follow(tiding, now)
    }

    /// Whether somebody here has been told the event of it.
    fn is_late(&self, tiding: &Tiding) -> bool {
        self.finals.iter().any(|last| last.settles(&tiding.consult, tiding.turn, &tiding.agent))
    }

    /// Whether no more answers of other nodes find a place, after the oldest that is over has given its own.
    fn is_full(&mut self) -> bool {
        if self.answers.iter().filter(|answer| !answer.origin.is_here()).count() < ELSEWHERE_MAX {
            return false;
        }
        let over = |answer: &Answer| !answer.origin.is_here() && answer.standing != Standing::Open;
        let Some(oldest) = self.answers.iter().position(over) else { return true };
        self.answers.remove(oldest);
        false
    }
}

impl Answer {
    fn there(node: u64, tiding: &Tiding, heard: Instant, run: u64, attempt: u32) -> Self {
        Self {
            consult: tiding.consult.clone(),
            turn: tiding.turn,
            agent: tiding.agent.clone(),
            run,
            attempt,
            text: String::new(),
            standing: Standing::Open,
            settled: false,
            origin: Origin::There { node, run: tiding.run, heard },
        }
    }

    fn is_of(&self, node: u64, run: u64) -> bool {
        matches!(self.origin, Origin::There { node: of, run: its, .. } if (of, its) == (node, run))
    }

    /// Whether another node's asking of the same question is not begun in its place.
    fn rules_out_another(&self) -> bool {
        self.settled || (self.origin.is_here() && self.standing == Standing::Open)
    }

    fn is_asked_for(&self) -> bool {
        matches!(self.origin, Origin::Here { standing: None, .. })
    }

    /// Whether it stays though nobody here looks on: it goes on, or others are still to be told of its end.
    pub(super) fn is_kept_unseen(&self, others_are_told: bool) -> bool {
        let Origin::Here { standing, .. } = self.origin else { return false };
        self.standing == Standing::Open || (others_are_told && standing == Some(Standing::Open))
    }

    /// What of it others have not been told.
    fn tiding(&mut self) -> Option<Tiding> {
        let Origin::Here { told, standing, again } = &mut self.origin else { return None };
        // What they were never told of does not begin at its end.
        let news = *standing != Some(self.standing) || *told < self.text.len() || *again;
        if !news || (standing.is_none() && self.standing != Standing::Open) {
            return None;
        }
        let at = (*told).min(self.text.len());
        (*told, *standing, *again) = (self.text.len(), Some(self.standing), false);
        let (consult, turn, agent, run) = (self.consult.clone(), self.turn, self.agent.clone(), self.run);
        Some(Tiding { consult, turn, agent, run, at, text: self.text[at..].to_owned(), standing: self.standing })
    }

    /// Takes over what its node tells of it.
    fn follow(&mut self, tiding: &Tiding, now: Instant) -> Heard {
        if self.settled || self.standing != Standing::Open {
            return Heard::Whole;
        }
        if let Origin::There { heard, .. } = &mut self.origin {
            *heard = now;
        }
        self.standing = tiding.standing;
        match self.text.len().checked_sub(tiding.at) {
            // Some of it may have been heard before.
            Some(known) => self.say(tiding.text.get(known..).unwrap_or_default()),
            None if self.standing == Standing::Open => return Heard::WithAHole,
            None => {}
        }
        Heard::Whole
    }
}
