//! What a worker does with records and with what comes late: session by session, into the next commit.

use std::mem;

use actix::Addr;
use auren_agents::UserId;

use super::Worker;
use crate::{
    bus::{Record, key_partition},
    lane::{
        Effects, Input, Processor, Refusal, Stimulus,
        batch::Batch,
        dead_letter::dead_letter,
        refusal::{Envelope, envelope, moved},
    },
    wire::TRACEPARENT,
};

/// A longer `traceparent` is none, and is not carried on: today's are 55 bytes long.
const TRACE_MAX: usize = 128;

impl<P: Processor> Worker<P> {
    /// Works a batch of records, one after the other.
    pub(super) async fn work(&mut self, records: Vec<Record>) {
        let mut batch = mem::take(&mut self.next);
        for record in records {
            self.record(&record, &mut batch).await;
            self.pulse.beat();
            let next = record.offset + 1;
            self.positions.insert((record.topic, record.partition), next);
            batch.worked(record.topic, record.partition, next);
            batch.counts.records += 1;
            batch.stimuli += 1;
        }
        self.next = batch;
        self.sessions.passivate(self.settings.max_resident, &self.states);
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

    /// Works what came late for a user, and whatever else has come late meanwhile.
    pub(super) async fn work_late(&mut self, user: UserId, late: P::Late) {
        let mut batch = mem::take(&mut self.next);
        self.late(user, late, &mut batch).await;
        for _ in 1..self.share() {
            let Ok((user, late)) = self.late.try_recv() else { break };
            self.late(user, late, &mut batch).await;
        }
        self.next = batch;
    }

    async fn late(&mut self, user: UserId, late: P::Late, batch: &mut Batch) {
        let partition = key_partition(user.as_str().as_bytes(), self.partitions);
        // Otherwise whoever holds the partition now asks again.
        if self.held.contains(&partition) {
            batch.stimuli += 1;
            self.without_record(&user, partition, Some(late), batch).await;
        }
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
}
