//! A worker: one group member of one role on one thread, from joining to the last commit.
//!
//! A life ends with the first commit that is not known to have gone through. Then everything is forgotten (sessions,
//! states, what was in flight) and the next life begins with the committed offsets and states, so that no effect is
//! lost and none happens twice.

mod show;
mod time;
mod work;

use std::{
    collections::HashSet,
    mem,
    rc::Rc,
    sync::{Arc, atomic::Ordering::Relaxed},
    time::{Duration, Instant},
};

use auren_agents::UserId;
use tokio::sync::{mpsc, oneshot, watch};

use super::{
    LaneStats, Lates, Processor,
    alarm::{Alarm, Positions, Ring},
    batch::{Batch, Counts},
    flight::Flights,
    mirror::{Mirror, Turn},
    parked::{Parked, Parking},
    patience::{Life, Patience},
    residents::Residents,
    snapshots::SnapshotSettings,
    state::{States, Written},
    stats::{Share, Standing},
    watchdog::{self, Pulse},
};
use crate::{
    bus::{Begin, BusError, Commit, Guarantee, HAND_OVER_LIMIT, Inlet, Join, Member, SharedBus, Topic, key_partition},
    config::Role,
    trace::{Kind, Step, Trace},
};

/// One commit is being written while a full one waits behind it; nothing more is begun then.
const IN_FLIGHT: usize = 2;
/// How many late stimuli may wait for the worker.
const LATES: usize = 1024;

/// How a worker works.
#[derive(Debug, Clone)]
pub struct WorkerSettings {
    /// The worker's own name in the group, stable over restarts.
    pub member: String,
    /// Most records of one commit.
    pub max_batch: usize,
    /// Most session actors in memory.
    pub max_resident: usize,
    /// Where states are mirrored, if they are.
    pub snapshots: Option<SnapshotSettings>,
    /// When a user whose turns fail is parked.
    pub parking: Parking,
    /// A worker to whom nothing comes for so long although records wait begins again.
    pub stalled_after: Duration,
    /// Of whom nothing is heard for so long, the others take the partitions.
    pub session: Duration,
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
    positions: Positions,
    lates: Lates<P::Late>,
    late: mpsc::Receiver<(UserId, P::Late)>,
    /// What has been worked and not handed over: it grows while a commit is under way.
    next: Batch,
    in_flight: Flights,
    /// Rings where a session is to be woken.
    alarm: Alarm,
    /// Whose session failed just now.
    fallen: Option<UserId>,
    /// The kinds of dead letters that were warned of.
    warned: HashSet<(Topic, &'static str)>,
    /// Users whose turns fail.
    parked: Parked,
    standing: Standing,
    /// What the watchdog sees.
    pulse: Rc<Pulse>,
    shares: [Share; 11],
}

enum Next<L> {
    Stop,
    Committed(Result<(Counts, Vec<Written>), BusError>),
    States(Turn),
    Late(UserId, L),
    Time(Ring),
    Inlet(Option<Inlet>),
}

impl<P: Processor> Worker<P> {
    /// A worker that has not joined yet.
    pub fn new(bus: SharedBus, processor: P, settings: WorkerSettings, stats: Arc<LaneStats>) -> Self {
        let (sender, late) = mpsc::channel(LATES);
        let topic = processor.role().state_topic().expect("a role on lanes has states");
        let mirror = settings.snapshots.as_ref().map(|snapshots| Mirror::new(snapshots, topic, P::WAKES));
        Self {
            bus,
            processor: Rc::new(processor),
            parked: Parked::new(settings.parking),
            settings,
            stats,
            partitions: 0,
            sessions: Residents::new(),
            states: States::new(topic, mirror),
            held: Vec::new(),
            positions: Positions::new(),
            lates: Lates::new(sender),
            late,
            next: Batch::default(),
            in_flight: Flights::default(),
            alarm: Alarm::new(),
            fallen: None,
            warned: HashSet::new(),
            standing: Standing::Joining,
            pulse: Rc::new(Pulse::new()),
            shares: std::array::from_fn(|_| Share::new()),
        }
    }

    /// Works until told to stop; begins again whenever a life ends.
    ///
    /// # Errors
    /// [`BusError::Fenced`] where somebody else keeps working under this worker's name.
    pub async fn run(mut self, mut stop: watch::Receiver<bool>) -> Result<(), BusError> {
        let mut patience = Patience::new(self.settings.session);
        loop {
            let (began, committed) = (Instant::now(), self.stats.commits.load(Relaxed));
            let (bus, pulse) = (Arc::clone(&self.bus), Rc::clone(&self.pulse));
            let (role, member, after) = (self.role(), self.settings.member.clone(), self.settings.stalled_after);
            let end = tokio::select! {
                end = self.life(&mut stop) => end,
                error = watchdog::stalled(&bus, role, &member, &pulse, after) => Err(error),
            };
            self.forget_everything();
            let Err(error) = end else { return Ok(()) };
            let life = Life { was_good: self.stats.commits.load(Relaxed) > committed, lasted: began.elapsed() };
            let Some(pause) = patience.pause(&error, life) else { return Err(error) };
            self.stats.rejoins.fetch_add(1, Relaxed);
            if matches!(error, BusError::Stalled { .. }) {
                self.stats.stalls.fetch_add(1, Relaxed);
            }
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
            max_batch: self.share(),
        })?;
        loop {
            self.fly(&outlet).await?;
            let free = !self.is_full();
            self.pulse.waits(true);
            let wake = self.states.wakes.next();
            let next = tokio::select! {
                biased;
                () = stopped(stop) => Next::Stop,
                done = self.in_flight.decided(&self.settings.member) => Next::Committed(done),
                turn = self.states.turn() => Next::States(turn),
                Some((user, late)) = self.late.recv(), if free => Next::Late(user, late),
                ring = self.alarm.ring(wake), if free => Next::Time(ring),
                event = inlet.recv(), if free => Next::Inlet(event),
            };
            self.pulse.waits(false);
            if !matches!(next, Next::States(_) | Next::Time(_)) {
                self.pulse.beat();
            }
            match next {
                Next::Stop => {
                    self.finish(&outlet).await?;
                    return self.states.leave(&self.held, &self.bus).await;
                }
                Next::Committed(done) => self.committed(done)?,
                Next::States(turn) => {
                    self.states.go_on(turn, &self.bus).await?;
                    self.show();
                }
                Next::Late(user, late) => self.work_late(user, late).await?,
                Next::Time(ring) => self.time(ring).await?,
                Next::Inlet(Some(Inlet::Batch(records))) => self.work(records).await?,
                Next::Inlet(Some(Inlet::Assigned { partitions, ready })) => {
                    self.assigned(&partitions).await?;
                    let _ = ready.send(());
                    self.resume(&partitions).await;
                }
                Next::Inlet(Some(Inlet::Revoked { partitions, lost, released })) => {
                    let mut end = self.finish(&outlet).await;
                    if end.is_ok() && !lost {
                        end = self.states.leave(&partitions, &self.bus).await;
                    }
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
        self.stand(Standing::Restoring);
        self.states.wakes.follow(self.processor.timing());
        // What it looked at was not these partitions.
        self.alarm.rest();
        self.states.restore(&self.bus, partitions).await?;
        for topic in self.role().inputs() {
            for (partition, next) in self.bus.committed(self.role().group(), *topic).await? {
                if partitions.contains(&partition) {
                    self.positions.insert((*topic, partition), next);
                }
            }
        }
        self.held.extend_from_slice(partitions);
        let took = u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.stats.see(&self.settings.member, |seen| seen.restored_ms = Some(took));
        self.stand(Standing::Working);
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
        let stays = |user: &UserId| !partitions.contains(&key_partition(user.as_str().as_bytes(), count));
        self.sessions.retain(stays);
        self.parked.retain(stays);
        self.states.forget(partitions);
        self.alarm.rest();
        self.stand(if self.held.is_empty() { Standing::Joining } else { Standing::Working });
        tracing::info!(group = self.role().group(), member = %self.settings.member, ?partitions, lost, "partitions released");
    }

    /// Most records that one inlet batch brings: two of them fill a commit.
    fn share(&self) -> usize {
        self.settings.max_batch.div_ceil(2)
    }

    /// Whether another inlet batch might make the next commit too large.
    fn is_full(&self) -> bool {
        self.next.stimuli + self.share() > self.settings.max_batch.max(self.share())
    }

    /// Hands over what has been worked, at once where nothing is under way. Behind a commit that is under way it waits and
    /// grows, so that a slow commit makes the next one larger and not the queue longer; once full it goes and waits there.
    async fn fly(&mut self, outlet: &mpsc::Sender<Commit>) -> Result<(), BusError> {
        let under_way = self.in_flight.len();
        let goes = under_way == 0 || under_way < IN_FLIGHT && self.is_full();
        if goes { self.commit(outlet).await } else { Ok(()) }
    }

    async fn commit(&mut self, outlet: &mpsc::Sender<Commit>) -> Result<(), BusError> {
        if self.next.is_empty() {
            return Ok(());
        }
        // It is counted before others may see it on the bus.
        self.show();
        let next = Batch::like(&self.next);
        let batch = mem::replace(&mut self.next, next);
        let counts = batch.counts;
        let steps = self.commit_steps(&batch);
        let (transaction, written) = batch.transaction(&mut self.states);
        let (sender, done) = oneshot::channel();
        if outlet.send(Commit { transaction, done: sender }).await.is_err() {
            // A commit before this one failed, and says why.
            return self.land().await.and(Err(BusError::Closed));
        }
        self.in_flight.push(done, counts, written, steps);
        self.show();
        Ok(())
    }

    fn committed(&mut self, done: Result<(Counts, Vec<Written>), BusError>) -> Result<(), BusError> {
        self.show();
        let (counts, written) = done?;
        self.stats.committed(counts);
        let now = chrono::Utc::now().timestamp_millis();
        self.stats.see(&self.settings.member, |seen| seen.last_commit_ms = Some(now));
        self.states.committed(written);
        Ok(())
    }

    /// Hands over what has been worked, and waits until all is decided.
    async fn finish(&mut self, outlet: &mpsc::Sender<Commit>) -> Result<(), BusError> {
        self.commit(outlet).await?;
        self.land().await
    }

    async fn land(&mut self) -> Result<(), BusError> {
        while self.in_flight.len() > 0 {
            match tokio::time::timeout(HAND_OVER_LIMIT, self.in_flight.decided(&self.settings.member)).await {
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
        self.parked.retain(|_| false);
        self.states.clear();
        self.held.clear();
        self.positions.clear();
        self.next = Batch::default();
        self.in_flight.clear();
        self.alarm.rest();
        // What came late belongs to sessions that are gone; those that follow ask again.
        while self.late.try_recv().is_ok() {}
        self.stand(Standing::Joining);
    }

    /// The commit of a batch, for the traces of what is in it.
    fn commit_steps(&self, batch: &Batch) -> Vec<Step> {
        let step = |trace: &Trace| {
            let mut step = trace.step(Kind::Internal, "commit")?;
            step.note("auren.role", self.role().name());
            step.note("auren.records", i64::try_from(batch.counts.records).unwrap_or(i64::MAX));
            Some(step)
        };
        batch.traces.iter().filter_map(step).collect()
    }
}

/// Told to stop, or nobody is left to tell.
async fn stopped(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
