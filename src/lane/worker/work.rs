//! What a worker does with records and with what comes late: session by session, into the next commit.

use std::{
    iter, mem,
    panic::{self, AssertUnwindSafe},
    time::Instant,
};

use actix::Addr;
use auren_agents::UserId;
use bytes::Bytes;

use super::Worker;
use crate::{
    bus::{BusError, Record, key_partition},
    lane::{
        Effects, Input, Processor, Refusal, Stimulus,
        batch::Batch,
        dead_letter::dead_letter,
        refusal::{Envelope, envelope, moved, user_of},
    },
    trace::{self, Kind, Step, Trace},
    wire::TRACEPARENT,
};

/// A longer `traceparent` is none, and is not carried on: today's are 55 bytes long.
const TRACE_MAX: usize = 128;

impl<P: Processor> Worker<P> {
    /// Works a batch of records, one after the other.
    pub(super) async fn work(&mut self, records: Vec<Record>) -> Result<(), BusError> {
        let user = |record: &Record| Some((user_of(record.key.as_deref()?)?, record.partition));
        self.load(records.iter().filter_map(user)).await?;
        let mut batch = mem::take(&mut self.next);
        for record in records {
            self.record(&record, &mut batch).await;
            self.load_fallen().await?;
            self.pulse.beat();
            let next = record.offset + 1;
            self.positions.insert((record.topic, record.partition), next);
            batch.worked(record.topic, record.partition, next);
            batch.counts.records += 1;
            batch.stimuli += 1;
        }
        self.next = batch;
        self.states.batch_worked();
        self.sessions.passivate(self.settings.max_resident, &self.states);
        Ok(())
    }

    async fn record(&mut self, record: &Record, batch: &mut Batch) {
        let answers = self.role().answers_for(record.topic);
        let refusal = match envelope(record, self.partitions) {
            Envelope::Good(user, payload) => match self.turn(&user, record, payload, batch).await {
                Ok(()) => return,
                Err(refusal) => refusal,
            },
            Envelope::Forget(user) => {
                self.sessions.remove(&user);
                let tell = self.role().passes_on();
                batch.forget(&user, record.partition, &mut self.states, tell);
                return;
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

    /// Works a good record of a user, unless the user is parked.
    async fn turn(&mut self, user: &UserId, record: &Record, payload: Bytes, batch: &mut Batch) -> Result<(), Refusal> {
        if let Some(refusal) = self.parked.refuses(user, Instant::now) {
            return Err(refusal);
        }
        let came = record.header(TRACEPARENT).filter(|trace| trace.len() <= TRACE_MAX);
        let mut step = self.step(record, came);
        let trace = step.as_ref().map(Step::place);
        // What follows is named after this step, or after what the record was where nobody tells of it.
        let goes_on = trace.as_ref().map(Trace::header);
        batch.traces.extend(trace.clone());
        let (topic, cursor, written_ms) = (record.topic, record.cursor(), record.timestamp_ms);
        let input = Stimulus::Record(Input { topic, cursor, written_ms, payload, trace });
        let end = self.stimulate(user, record.partition, input, goes_on.as_deref().or(came), batch).await;
        if let (Err(refusal), Some(step)) = (&end, &mut step) {
            step.failed(refusal.class);
        }
        match &end {
            Ok(()) => self.went_well(user, record.partition),
            Err(refusal) if !refusal.is_of_record() => {
                self.failed(user, record.partition, refusal);
                self.await_again(user, record.partition, batch).await;
            }
            _ => {}
        }
        end
    }

    /// The work on a record, where it is traced.
    fn step(&self, record: &Record, traceparent: Option<&str>) -> Option<Step> {
        let name = || format!("{} {}", self.role().name(), record.topic).into();
        let mut step = trace::step(traceparent, Kind::Consumer, name)?;
        step.note("auren.role", self.role().name());
        step.note("messaging.destination.name", record.topic.name());
        step.note("messaging.destination.partition.id", record.partition.to_string());
        step.note("messaging.kafka.offset", record.offset);
        Some(step)
    }

    /// Works what came late for a user, and whatever else has come late meanwhile.
    pub(super) async fn work_late(&mut self, user: UserId, late: P::Late) -> Result<(), BusError> {
        let mut lates = vec![(user, late)];
        while lates.len() < self.share()
            && let Ok(late) = self.late.try_recv()
        {
            lates.push(late);
        }
        let count = self.partitions;
        // Otherwise whoever holds the partition now asks again.
        let here = lates.into_iter().filter_map(|(user, late)| {
            let partition = key_partition(user.as_str().as_bytes(), count);
            self.held.contains(&partition).then_some((user, partition, late))
        });
        let lates: Vec<_> = here.collect();
        self.load(lates.iter().map(|(user, partition, _)| (user.clone(), *partition))).await?;
        let mut batch = mem::take(&mut self.next);
        for (user, partition, late) in lates {
            batch.stimuli += 1;
            self.without_record(&user, partition, Some(Stimulus::Late(late)), &mut batch).await;
            self.load_fallen().await?;
        }
        self.next = batch;
        self.states.batch_worked();
        Ok(())
    }

    /// Wakes the sessions that were waiting for something when these were last held.
    pub(super) async fn resume(&mut self, partitions: &[i32]) {
        let mut batch = mem::take(&mut self.next);
        for user in self.states.waiting(partitions) {
            let partition = key_partition(user.as_str().as_bytes(), self.partitions);
            self.without_record(&user, partition, None, &mut batch).await;
        }
        self.next = batch;
    }

    /// Works what is no record; without a stimulus the session is only begun again. False where it failed.
    pub(super) async fn without_record(
        &mut self,
        user: &UserId,
        partition: i32,
        stimulus: Option<Stimulus<P::Late>>,
        batch: &mut Batch,
    ) -> bool {
        let was_late = matches!(stimulus, Some(Stimulus::Late(_)));
        let done = match stimulus {
            Some(stimulus) => self.stimulate(user, partition, stimulus, None, batch).await,
            None => self.session(user, partition, batch).await.map(drop),
        };
        let went_well = done.is_ok();
        if let Err(refusal) = done {
            tracing::error!(partition, class = refusal.class, error = %refusal, "a session could not go on");
            self.failed(user, partition, &refusal);
            // What fails whenever it comes is not waited for again and again.
            if was_late && !self.parked.holds(user) {
                self.await_again(user, partition, batch).await;
            }
        }
        batch.guard(self.positions.iter().filter(|((_, p), _)| *p == partition).map(|(place, next)| (*place, *next)));
        went_well
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

    /// A turn succeeded, and ends the parking of its user.
    pub(super) fn went_well(&mut self, user: &UserId, partition: i32) {
        if self.parked.went_well(user) {
            tracing::info!(role = self.role().name(), partition, "a user is no longer parked");
        }
    }

    /// Counts a turn that failed, and says where it parks its user.
    fn failed(&mut self, user: &UserId, partition: i32, refusal: &Refusal) {
        if let Some(times) = self.parked.failed(user, refusal.class, Instant::now()) {
            // The dead letters say who it is.
            tracing::warn!(
                role = self.role().name(), partition, times, class = refusal.class, error = %refusal,
                "a user whose turns keep failing is parked: further records become dead letters of class parked untried"
            );
        }
    }

    /// Begins the session of a user again that has gone with a failed turn, where somebody is still to answer it.
    async fn await_again(&mut self, user: &UserId, partition: i32, batch: &mut Batch) {
        if self.states.is_open(user)
            && let Err(refusal) = self.session(user, partition, batch).await
        {
            tracing::error!(partition, class = refusal.class, error = %refusal, "a session could not go on");
        }
    }

    async fn send(
        &mut self,
        user: &UserId,
        addr: &Addr<P::Session>,
        stimulus: Stimulus<P::Late>,
    ) -> Result<Effects, Refusal> {
        let why = match addr.send(stimulus).await {
            Ok(answer) => {
                let effects = match answer {
                    Ok(effects) => effects,
                    Err(refusal) => {
                        if !refusal.is_of_record() {
                            self.let_fall(user);
                        }
                        return Err(refusal);
                    }
                };
                // Written all the same it would fail its whole batch, again and again.
                let state_topic = self.role().state_topic().expect("a role on lanes has states");
                let Some(topic) = effects.too_large_for(state_topic) else { return Ok(effects) };
                format!("brings about a record that is larger than {topic} takes")
            }
            Err(_) => {
                "made its session fail; the session goes on without it, and the log of this node says where".to_owned()
            }
        };
        // The next stimulus finds it rebuilt from its saved state.
        self.let_fall(user);
        Err(Refusal::new("turn_failed", "record", why))
    }

    fn let_fall(&mut self, user: &UserId) {
        self.sessions.remove(user);
        self.fallen = Some(user.clone());
    }

    /// Loads the state of a session that failed, which nobody expected to be needed again so soon.
    pub(super) async fn load_fallen(&mut self) -> Result<(), BusError> {
        let Some(user) = self.fallen.take() else { return Ok(()) };
        let partition = key_partition(user.as_str().as_bytes(), self.partitions);
        self.load(iter::once((user, partition))).await
    }

    /// Loads the states of those whose sessions are not in memory, where states are elsewhere.
    pub(super) async fn load(&mut self, users: impl Iterator<Item = (UserId, i32)>) -> Result<(), BusError> {
        if !self.states.are_mirrored() {
            return Ok(());
        }
        let asleep: Vec<_> = users.filter(|(user, _)| !self.sessions.has(user)).collect();
        self.states.load(&self.bus, asleep).await
    }

    /// The session of a user: the one in memory, or one begun from the saved state, which first asks for what it awaits.
    async fn session(&mut self, user: &UserId, partition: i32, batch: &mut Batch) -> Result<Addr<P::Session>, Refusal> {
        if let Some(addr) = self.sessions.get(user) {
            return Ok(addr);
        }
        debug_assert!(self.states.knows(user, partition), "a state that was not loaded is not one that does not exist");
        // It runs on the worker itself, which nobody would begin again.
        let begun = AssertUnwindSafe(|| self.processor.open(user, self.states.get(user), self.lates.clone()));
        let session = panic::catch_unwind(begun).unwrap_or_else(|_| {
            Err(Refusal::new("state_unreadable", "state", "makes its session fail; the log of this node says where"))
        })?;
        let addr = self.sessions.start(user.clone(), session);
        if self.states.is_open(user) {
            let effects = self.send(user, &addr, Stimulus::Resumed).await?;
            batch.take(user, partition, None, effects, &mut self.states);
        }
        Ok(addr)
    }
}
