//! When sessions are woken: once their time has come by this node's clock, and everything has been worked that was written
//! before. A node that was away therefore first hears what people sent meanwhile, and only then what they did not.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    bus::{BusError, SharedBus, Topic, waiting},
    config::Role,
};

/// How often a log is looked at, and what times follow from, while somebody waits for a time.
const LOOK: Duration = Duration::from_secs(1);
/// How soon it is tried again to wake those before whom records wait.
const AGAIN: Duration = Duration::from_millis(10);

/// The next offset to work of every input partition.
pub(super) type Positions = BTreeMap<(Topic, i32), i64>;

/// What the log held at a time.
#[derive(Debug)]
pub(super) struct Look {
    /// That time, in milliseconds since the epoch.
    pub(super) at: i64,
    partitions: Vec<i32>,
    /// Up to where a partition has to be worked, where there was something left.
    ends: Positions,
}

impl Look {
    /// Whether everything of this partition that the log held has been worked.
    pub(super) fn is_worked(&self, partition: i32, positions: &Positions) -> bool {
        let reached = |(place, end): (&(Topic, i32), &i64)| {
            place.1 != partition || positions.get(place).is_some_and(|next| next >= end)
        };
        self.partitions.contains(&partition) && self.ends.iter().all(reached)
    }
}

/// What the alarm's owner is to do.
#[derive(Debug)]
pub(super) enum Ring {
    /// See whether somebody's time has come, and look at the log.
    Due,
    /// Wake those whose partitions are worked.
    Wake,
}

/// The alarm of a worker.
#[derive(Debug)]
pub(super) struct Alarm {
    state: State,
    /// When it rings next at the earliest.
    not_before: Instant,
}

#[derive(Debug)]
enum State {
    Resting,
    Looking(oneshot::Receiver<Result<Look, BusError>>),
    Looked(Look),
}

impl Alarm {
    pub(super) fn new() -> Self {
        Self { state: State::Resting, not_before: Instant::now() }
    }

    /// Waits until there is something to do, where the earliest time that somebody waits for is `next`; never where nobody
    /// does. Cancelled, it has taken nothing.
    pub(super) async fn ring(&mut self, next: Option<i64>) -> Ring {
        match &mut self.state {
            State::Resting => {
                let Some(next) = next else { return std::future::pending().await };
                let left = u64::try_from(next.saturating_sub(now_ms())).unwrap_or(0);
                let due = Instant::now() + LOOK.min(Duration::from_millis(left));
                tokio::time::sleep_until(due.max(self.not_before).into()).await;
                Ring::Due
            }
            State::Looking(look) => {
                match look.await {
                    Ok(Ok(look)) => self.state = State::Looked(look),
                    Ok(Err(error)) => {
                        tracing::debug!(%error, "the log could not be looked at; who waits for a time waits on");
                        // Brokers that refuse at once are asked no more often than others.
                        self.rest_for(LOOK);
                    }
                    Err(_) => self.rest(),
                }
                Ring::Wake
            }
            State::Looked(_) => {
                tokio::time::sleep(AGAIN).await;
                Ring::Wake
            }
        }
    }

    /// Looks at the log's ends.
    pub(super) fn look(&mut self, bus: &SharedBus, role: Role, partitions: &[i32], positions: &Positions) {
        let (bus, partitions, positions) = (bus.clone(), partitions.to_vec(), positions.clone());
        let (looked, look) = oneshot::channel();
        self.state = State::Looking(look);
        self.not_before = Instant::now() + LOOK;
        actix::spawn(async move {
            // Whoever has forgotten the partitions meanwhile does not listen.
            let _ = looked.send(look_at(&bus, role, partitions, &positions).await);
        });
    }

    /// What was looked at.
    pub(super) fn looked(&self) -> Option<&Look> {
        match &self.state {
            State::Looked(look) => Some(look),
            State::Resting | State::Looking(_) => None,
        }
    }

    /// It has rung for all; the next look is another one.
    pub(super) fn rest(&mut self) {
        self.rest_for(AGAIN);
    }

    fn rest_for(&mut self, pause: Duration) {
        self.state = State::Resting;
        self.not_before = Instant::now() + pause;
    }
}

async fn look_at(bus: &SharedBus, role: Role, partitions: Vec<i32>, positions: &Positions) -> Result<Look, BusError> {
    let (at, mut ends) = (now_ms(), Positions::new());
    for topic in role.inputs() {
        let mut marks = bus.watermarks(*topic).await?;
        marks.retain(|partition, _| partitions.contains(partition));
        let left = waiting(&**bus, *topic, &marks, |partition| positions.get(&(*topic, partition)).copied()).await?;
        ends.extend(left.into_iter().map(|(partition, (_, newest))| ((*topic, partition), newest + 1)));
    }
    Ok(Look { at, partitions, ends })
}

pub(super) fn now_ms() -> i64 {
    chrono::Utc::now().timestamp_millis()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_worked_up_to_what_the_log_held_and_no_further() {
        let place = (Topic::Biometrics, 3);
        let look = Look { at: 0, partitions: vec![1, 3], ends: Positions::from([(place, 10)]) };
        let worked = |partition, next| look.is_worked(partition, &Positions::from([(place, next)]));
        assert!(worked(1, 0) && !worked(3, 9) && worked(3, 10));
        assert!(!look.is_worked(3, &Positions::new()), "nothing of it has been worked");
        assert!(!worked(2, 99), "it was not looked at");
    }

    #[tokio::test]
    async fn a_look_that_fails_is_not_taken_again_at_once() {
        let mut alarm = Alarm::new();
        let (looked, look) = oneshot::channel();
        alarm.state = State::Looking(look);
        looked.send(Err(BusError::Closed)).unwrap();
        let failed = Instant::now();
        assert!(matches!(alarm.ring(Some(0)).await, Ring::Wake));
        assert!(alarm.looked().is_none() && alarm.not_before >= failed + LOOK);
    }
}
