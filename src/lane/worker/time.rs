//! What a worker does when a session's time has come: the session is told, and what it makes of it goes into the next
//! commit.

use std::{mem, time::Instant};

use super::Worker;
use crate::{
    bus::BusError,
    lane::{
        Processor, Stimulus,
        alarm::{Ring, now_ms},
    },
};

impl<P: Processor> Worker<P> {
    pub(super) async fn time(&mut self, ring: Ring) -> Result<(), BusError> {
        match ring {
            Ring::Due => {
                self.states.wakes.follow(self.processor.timing());
                if self.states.wakes.next().is_some_and(|next| next <= now_ms()) {
                    self.alarm.look(&self.bus, self.role(), &self.held, &self.positions);
                }
                Ok(())
            }
            Ring::Wake => self.wake().await,
        }
    }

    /// Wakes some of those whose time had come when the log was looked at, where what it held then has been worked.
    async fn wake(&mut self) -> Result<(), BusError> {
        let Some(look) = self.alarm.looked() else { return Ok(()) };
        let (now, most) = (look.at, self.share());
        let users = self.states.wakes.due(now, most, |partition| look.is_worked(partition, &self.positions));
        if users.is_empty() {
            // The others wait for the records before them.
            if self.states.wakes.due(now, 1, |_| true).is_empty() {
                self.alarm.rest();
            }
            return Ok(());
        }
        self.load(users.iter().cloned()).await?;
        let mut batch = mem::take(&mut self.next);
        for (user, partition) in users {
            batch.stimuli += 1;
            let tried = self.parked.refuses(&user, Instant::now).is_none();
            if tried && self.without_record(&user, partition, Some(Stimulus::Time(now)), &mut batch).await {
                self.went_well(&user, partition);
            } else {
                // Not before a parked user is tried again.
                let pause = i64::try_from(self.settings.parking.pause.as_millis()).unwrap_or(i64::MAX);
                self.states.wakes.postpone(&user, partition, now_ms().saturating_add(pause).saturating_add(1));
            }
            self.load_fallen().await?;
            self.pulse.beat();
        }
        self.next = batch;
        self.states.batch_worked();
        self.sessions.passivate(self.settings.max_resident, &self.states);
        Ok(())
    }
}
