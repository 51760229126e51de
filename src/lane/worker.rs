//! A worker: one group member of one role on one thread, from joining to the last commit.
//!
//! A life ends with the first commit that is not known to have gone through. Then everything is forgotten (sessions,
//! states, what was in flight) and the next life begins with the committed offsets and states, so that no effect is
//! lost and none happens twice.

use std::{
    collections::{BTreeMap, HashSet},
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::Instant,
};

use actix::Addr;
use auren_agents::UserId;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    Effects, Input, LaneStats, Lates, Processor, Refusal, Stimulus,
    batch::{Batch, Counts},
    dead_letter::dead_letter,
    flight::Flights,
    patience::Patience,
    refusal::{Envelope, envelope, moved},
    residents::Residents,
    state::States,
    stats::Share,
};
use crate::{
    bus::{
        Begin, BusError, Commit, Guarantee, HAND_OVER_LIMIT, Inlet, Join, Member, Record, SharedBus, Topic,
        key_partition,
    },
    config::Role,
    wire::TRACEPARENT,
};

/// One commit is being written while the next waits behind it; a third batch is not begun.
const IN_FLIGHT: usize = 2;
/// How many late stimuli may wait for the worker.
const LATES: usize = 1024;

/// A longer `traceparent` is none, and is not carried on: today's are 55 bytes long.
const TRACE_MAX: usize = 128;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The worker's own name in the group, stable over restarts.
    pub member: String,
    /// Most records of one commit.
    pub max_batch: usize,
    /// Most session actors in memory.
    pub max_resident: usize,
}

/// One group member of one role.
pub struct Worker<P: Processor> {
    bus: SharedBus,
    processor: Rc<P>,
    settings: WorkerSettings,
    stats: Arc<LaneStats>,
    partitions: i32,
    sessions: Residents<P>,
    states: States,
    held: Vec<i32>,
    /// The next offset to read of every input partition worked or committed so far.
    positions: BTreeMap<(Topic, i32), i64>,
    lates: Lates<P::Late>,
    late: mpsc::Receiver<(UserId, P::Late)>,
    in_flight: Flights,
    /// The kinds of dead letters that were warned of.
    warned: HashSet<(Topic, &'static str)>,
    shares: [Share; 4],
}

enum Next<L> {
    Stop,
    Committed(Result<Counts, BusError>),
    Late(UserId, L),
    Inlet(Option<Inlet>),
}

impl<P: Processor> Worker<P> {
    /// A worker that has not joined yet.
    pub fn new(bus: SharedBus, processor: P, settings: WorkerSettings, stats: Arc<LaneStats>) -> Self {
        let (sender, late) = mpsc::channel(LATES);
        Self {
            bus,
            processor: Rc::new(processor),
            settings,
            stats,
            partitions: 0,
            sessions: Residents::new(),
            states: States::default(),
            held: Vec::new(),
            positions: BTreeMap::new(),
            lates: Lates::new(sender),
            late,
            in_flight: Flights::default(),
            warned: HashSet::new(),
            shares: std::array::from_fn(|_| Share::new()),
        }
    }

    /// Works until told to stop; begins again whenever a life ends.
    ///
    /// # Errors
    /// [`BusError::Fenced`] where somebody else keeps working under this worker's name.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), BusError> {
        let mut patience = Patience::new();
        loop {
            let committed = self.stats.commits.load(Relaxed);
            let end = self.life(&mut stop).await;
            self.forget_everything();
            let Err(error) = end else { return Ok(()) };
            let good = self.stats.commits.load(Relaxed) > committed;
            let Some(pause) = patience.pause(&error, good) else { return Err(error) };
            self.stats.rejoins.fetch_add(1, Relaxed);
            tracing::warn!(
                group = self.role().group(), member = %self.settings.member, %error, pause_ms = pause.as_millis(),
                "a worker begins again at the committed offsets"
            );
            tokio::select! {
                () = stopped(&mut stop) => return Ok(()),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn role(&self) -> Role {
        self.processor.role()
    }

    async fn life(&mut self, stop: &mut watch::Receiver<bool>) -> Result<(), BusError> {
        self.partitions = self.bus.partitions().await?;
        let Member { mut inlet, outlet } = self.bus.join(Join {
            group: self.role().group().to_owned(),
            member: self.settings.member.clone(),
            topics: self.role().inputs().to_vec(),
            begin: Begin::Earliest,
            guarantee: Guarantee::ExactlyOnce,
            max_batch: self.settings.max_batch,
        })?;
        loop {
            let free = self.in_flight.len() < IN_FLIGHT;
            let next = tokio::select! {
                biased;
                () = stopped(stop) => Next::Stop,
                done = self.in_flight.decided() => Next::Committed(done),
                Some((user, late)) = self.late.recv(), if free => Next::Late(user, late),
                event = inlet.recv(), if free => Next::Inlet(event),
            };
            match next {
                Next::Stop => return self.finish().await,
                Next::Committed(done) => self.committed(done)?,
                Next::Late(user, late) => {
                    let batch = self.work_late(user, late).await;
                    self.commit(&outlet, batch).await?;
                }
                Next::Inlet(Some(Inlet::Batch(records))) => {
                    let batch = self.work(records).await;
                    self.commit(&outlet, batch).await?;
                }
                Next::Inlet(Some(Inlet::Assigned { partitions, ready })) => {
                    self.assigned(&partitions).await?;
                    let _ = ready.send(());
                    let batch = self.resume(&partitions).await;
                    self.commit(&outlet, batch).await?;
                }
                Next::Inlet(Some(Inlet::Revoked { partitions, lost, released })) => {
                    let end = self.finish().await;
                    self.revoked(&partitions, lost);
                    let _ = released.send(());
                    end?;
                }
                Next::Inlet(Some(Inlet::Failed(error))) => return Err(error),
                Next::Inlet(None) => return Err(BusError::Closed),
            }
        }
    }

    async fn assigned(&mut self, partitions: &[i32]) -> Result<(), BusError> {
        let began = Instant::now();
        self.states.restore(&self.bus, self.role().state_topic(), partitions).await?;
        for topic in self.role().inputs() {
            for (partition, next) in self.bus.committed(self.role().group(), *topic).await? {
                if partitions.contains(&partition) {
                    self.positions.insert((*topic, partition), next);
                }
            }
        }
        self.held.extend_from_slice(partitions);
        self.show();
        tracing::info!(
            group = self.role().group(), member = %self.settings.member, ?partitions,
            restored_ms = began.elapsed().as_millis(), "partitions taken"
        );
        Ok(())
    }

    fn revoked(&mut self, partitions: &[i32], lost: bool) {
        self.held.retain(|held| !partitions.contains(held));
        self.positions.retain(|(_, partition), _| !partitions.contains(partition));
        let count = self.partitions;
        self.sessions.retain(|user| !partitions.contains(&key_partition(user.as_str().as_bytes(), count)));
        self.states.forget(partitions);
        self.show();
        tracing::info!(group = self.role().group(), member = %self.settings.member, ?partitions, lost, "partitions released");
    }

    /// Works a batch of records, one after the other.
    async fn work(&mut self, records: Vec<Record>) -> Batch {
        let mut batch = Batch::default();
        for record in records {
            self.record(&record, &mut batch).await;
            let next = record.offset + 1;
            self.positions.insert((record.topic, record.partition), next);
            batch.worked(record.topic, record.partition, next);
            batch.counts.records += 1;
        }
        self.sessions.passivate(self.settings.max_resident, &self.states);
        batch
    }

    async fn record(&mut self, record: &Record, batch: &mut Batch) {
        let answers = self.role().answers_for(record.topic);
        let refusal = match envelope(record, self.partitions) {
            Envelope::Good(user, payload) => {
                let input = Input { topic: record.topic, cursor: record.cursor(), payload };
                let trace = record.header(TRACEPARENT).filter(|trace| trace.len() <= TRACE_MAX);
                match self.stimulate(&user, record.partition, Stimulus::Record(input), trace, batch).await {
                    Ok(()) => return,
                    Err(refusal) => refusal,
                }
            }
            Envelope::Misplaced { .. } if !answers => return,
            Envelope::Misplaced { home } => {
                batch.moved(moved(record, home));
                Refusal::misplaced(record.partition, home)
            }
            Envelope::Bad(refusal) => refusal,
        };
        if refusal.is_of_record() && !answers {
            return;
        }
        // A producer that errs, errs often: the first of a kind is a warning, the dead letters hold all.
        if self.warned.insert((record.topic, refusal.class)) {
            tracing::warn!(
                topic = %record.topic, cursor = %record.cursor(), class = refusal.class, error = %refusal,
                "dead letter; further ones of this class are logged at debug level"
            );
        } else {
            tracing::debug!(
                topic = %record.topic, cursor = %record.cursor(), class = refusal.class, error = %refusal, "dead letter"
            );
        }
        if let Some(letter) = dead_letter(record, self.role().group(), self.role().name(), &refusal) {
            batch.dead_letter(letter);
        }
    }

    /// Works what came late for a user, and whatever else has come late meanwhile.
    async fn work_late(&mut self, user: UserId, late: P::Late) -> Batch {
        let mut batch = Batch::default();
        self.late(user, late, &mut batch).await;
        for _ in 1..self.settings.max_batch {
            let Ok((user, late)) = self.late.try_recv() else { break };
            self.late(user, late, &mut batch).await;
        }
        batch
    }

    async fn late(&mut self, user: UserId, late: P::Late, batch: &mut Batch) {
        let partition = key_partition(user.as_str().as_bytes(), self.partitions);
        // Otherwise whoever holds the partition now asks again.
        if self.held.contains(&partition) {
            self.without_record(&user, partition, Some(late), batch).await;
        }
    }

    /// Wakes the sessions that were waiting for something when these were last held.
    async fn resume(&mut self, partitions: &[i32]) -> Batch {
        let mut batch = Batch::default();
        for user in self.states.waiting(partitions) {
            let partition = key_partition(user.as_str().as_bytes(), self.partitions);
            self.without_record(&user, partition, None, &mut batch).await;
        }
        batch
    }

    async fn without_record(&mut self, user: &UserId, partition: i32, late: Option<P::Late>, batch: &mut Batch) {
        let done = match late {
            Some(late) => self.stimulate(user, partition, Stimulus::Late(late), None, batch).await,
            None => self.session(user, partition, batch).await.map(drop),
        };
        if let Err(refusal) = done {
            tracing::error!(partition, class = refusal.class, error = %refusal, "a session could not go on");
        }
        batch.guard(self.positions.iter().filter(|((_, p), _)| *p == partition).map(|(place, next)| (*place, *next)));
    }

    async fn stimulate(
        &mut self,
        user: &UserId,
        partition: i32,
        stimulus: Stimulus<P::Late>,
        trace: Option<&str>,
        batch: &mut Batch,
    ) -> Result<(), Refusal> {
        let addr = self.session(user, partition, batch).await?;
        let effects = self.send(user, &addr, stimulus).await?;
        batch.take(user, partition, trace, effects, &mut self.states);
        Ok(())
    }

    async fn send(
        &mut self,
        user: &UserId,
        addr: &Addr<P::Session>,
        stimulus: Stimulus<P::Late>,
    ) -> Result<Effects, Refusal> {
        let why = match addr.send(stimulus).await {
            Ok(answer) => {
                let effects = answer?;
                // Written all the same it would fail its whole batch, again and again.
                let Some(topic) = effects.too_large_for(self.role().state_topic()) else { return Ok(effects) };
                format!("brings about a record that is larger than {topic} takes")
            }
            Err(_) => {
                "made its session fail; the session goes on without it, and the log of this node says where".to_owned()
            }
        };
        // The next stimulus finds it rebuilt from its saved state.
        self.sessions.remove(user);
        Err(Refusal::new("turn_failed", "record", why))
    }

    /// The session of a user: the one in memory, or one begun from the saved state, which first asks for what it awaits.
    async fn session(&mut self, user: &UserId, partition: i32, batch: &mut Batch) -> Result<Addr<P::Session>, Refusal> {
        if let Some(addr) = self.sessions.get(user) {
            return Ok(addr);
        }
        let session = self.processor.open(user, self.states.get(user), self.lates.clone())?;
        let addr = self.sessions.start(user.clone(), session);
        if self.states.is_open(user) {
            let effects = self.send(user, &addr, Stimulus::Resumed).await?;
            batch.take(user, partition, None, effects, &mut self.states);
        }
        Ok(addr)
    }

    async fn commit(&mut self, outlet: &mpsc::Sender<Commit>, batch: Batch) -> Result<(), BusError> {
        if batch.is_empty() {
            return Ok(());
        }
        let counts = batch.counts;
        let transaction = batch.transaction(&self.states, self.role().state_topic());
        let (sender, done) = oneshot::channel();
        if outlet.send(Commit { transaction, done: sender }).await.is_err() {
            // A commit before this one failed, and says why.
            return self.finish().await.and(Err(BusError::Closed));
        }
        self.in_flight.push(done, counts);
        self.show();
        Ok(())
    }

    fn committed(&mut self, done: Result<Counts, BusError>) -> Result<(), BusError> {
        self.show();
        self.stats.committed(done?);
        Ok(())
    }

    /// Waits for what is in flight.
    async fn finish(&mut self) -> Result<(), BusError> {
        while self.in_flight.len() > 0 {
            match tokio::time::timeout(HAND_OVER_LIMIT, self.in_flight.decided()).await {
                Ok(done) => self.committed(done)?,
                Err(_) => {
                    let why = format!("it took longer than {} s", HAND_OVER_LIMIT.as_secs());
                    return Err(BusError::NotCommitted { member: self.settings.member.clone(), why });
                }
            }
        }
        Ok(())
    }

    fn forget_everything(&mut self) {
        self.sessions.clear();
        self.states.clear();
        self.held.clear();
        self.positions.clear();
        self.in_flight.clear();
        // What came late belongs to sessions that are gone; those that follow ask again.
        while self.late.try_recv().is_ok() {}
        self.show();
    }

    fn show(&mut self) {
        let [partitions, sessions, open, unfinished] = &mut self.shares;
        partitions.set(&self.stats.partitions, self.held.len());
        sessions.set(&self.stats.sessions, self.sessions.len());
        open.set(&self.stats.open, self.states.open());
        unfinished.set(&self.stats.unfinished, self.in_flight.len());
    }
}

/// Told to stop, or nobody is left to tell.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
