//! A member of a consumer group: one task that brings assignments and batches, and one that commits.
//!
//! The order of a life is the same as on Kafka. A member waits until its partitions are free, then until every commit
//! of whoever had them is decided; then the role restores its state; only then do records flow, from the committed
//! offsets on. Where partitions move, the member hears of it first and has [`HAND_OVER_LIMIT`] to commit what is in
//! flight. A commit that fails in any way ends the membership.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::{mpsc, oneshot, watch},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    Hub, errors,
    fetch::{Fetcher, Strand},
    group::{Groups, NoSeat, Pass, Place, Standing},
    job::Job,
    log, place,
};
use crate::bus::{Begin, BusError, Commit, HAND_OVER_LIMIT, Inlet, Join, Member, Record, co_partitioned};

/// How long a join waits for another process to leave the group.
const GROUP_LIMIT: Duration = Duration::from_secs(2);

/// How often it looks.
const GROUP_LOOK: Duration = Duration::from_millis(20);

pub(super) fn spawn(hub: &Arc<Hub>, join: Join) -> Member {
    let (events, inlet) = mpsc::channel(2);
    let (outlet, commits) = mpsc::channel(1);
    let member = Arc::clone(hub);
    hub.runtime.spawn(async move {
        if let Err(error) = live(&member, &join, &events, commits).await {
            // A member that was dropped needs no error.
            let _ = events.send(Inlet::Failed(error)).await;
        }
    });
    Member { inlet, outlet }
}

async fn live(
    hub: &Arc<Hub>,
    join: &Join,
    events: &mpsc::Sender<Inlet>,
    commits: mpsc::Receiver<Commit>,
) -> Result<(), BusError> {
    let seat = sit(hub, join).await?;
    let changes = seat.changes();
    let group = &seat.pass().group;
    group.epoch.get_or_try_init(|| hub.ask(|done| Job::Claim { group: group.name.clone(), done })).await?;

    let mut committing = hub.runtime.spawn(commit_loop(Arc::clone(hub), seat.pass().clone(), commits));
    let mut membership = Membership { hub, join, events, seat: &seat, changes, work: None };
    let end = membership.run().await;
    if end.is_ok() {
        // The inlet was dropped. The seat is kept until the outlet is dropped too and what it brought is committed.
        finish(&mut committing).await;
    }
    // Whatever the outlet still brings is answered: the writer refuses it, because the seat is gone.
    end
}

async fn finish(committing: &mut JoinHandle<()>) {
    if timeout(HAND_OVER_LIMIT, committing).await.is_err() {
        tracing::warn!("a member was dropped and its outlet kept; its partitions are given up all the same");
    }
}

/// Sits down in the group, which another process may be just leaving.
async fn sit(hub: &Hub, join: &Join) -> Result<Place, BusError> {
    let existing: Vec<_> = hub.topics().await?.iter().map(|numbered| numbered.info).collect();
    let count = co_partitioned(&existing, &join.topics)?;
    let limit = Instant::now() + GROUP_LIMIT;
    loop {
        match Groups::sit(&hub.groups, &hub.file, join, count) {
            Ok(seat) => return Ok(seat),
            Err(NoSeat::Taken(_)) if Instant::now() < limit => sleep(GROUP_LOOK).await,
            Err(NoSeat::Taken(error) | NoSeat::Never(error)) => return Err(error),
        }
    }
}

/// Commits strictly one after the other. The first failure ends it, and with the channel every commit behind it.
async fn commit_loop(hub: Arc<Hub>, pass: Pass, mut commits: mpsc::Receiver<Commit>) {
    while let Some(Commit { transaction, done }) = commits.recv().await {
        let pass = pass.clone();
        let answer = hub.ask(|done| Job::Commit { pass, transaction, done }).await;
        let failed = answer.is_err();
        // The role may be gone; what is committed stays committed.
        let _ = done.send(answer);
        if failed {
            return;
        }
    }
}

struct Membership<'a> {
    hub: &'a Hub,
    join: &'a Join,
    events: &'a mpsc::Sender<Inlet>,
    seat: &'a Place,
    changes: watch::Receiver<u64>,
    work: Option<Work>,
}

/// Reading what is assigned.
struct Work {
    fetcher: Fetcher,
    /// Read, and not yet taken by the role.
    batch: Vec<Record>,
}

/// The role has dropped its inlet.
struct Gone;

impl Membership<'_> {
    /// Lives until the role drops the inlet, or something ends the membership.
    async fn run(&mut self) -> Result<(), BusError> {
        loop {
            self.changes.mark_unchanged();
            let alive = match self.seat.stand() {
                Standing::Displaced => return Err(BusError::Fenced { member: self.join.member.clone() }),
                Standing::LetGo(partitions) => self.revoked(partitions).await,
                Standing::Taken(partitions) => self.assigned(partitions).await?,
                Standing::Settled | Standing::Waiting => self.step().await?,
            };
            if alive.is_err() {
                return Ok(());
            }
        }
    }

    /// Brings one batch, or waits for something to do.
    async fn step(&mut self) -> Result<Result<(), Gone>, BusError> {
        let Some(work) = &mut self.work else {
            return Ok(tokio::select! {
                () = self.events.closed() => Err(Gone),
                _ = self.changes.changed() => Ok(()),
            });
        };
        if work.batch.is_empty() {
            let fetched = work.fetcher.fetch(&self.hub.readers, self.join.max_batch.max(1)).await;
            work.batch = fetched.map_err(|error| errors::storage(&self.hub.file, &error))?;
        }
        if work.batch.is_empty() {
            return Ok(tokio::select! {
                () = self.events.closed() => Err(Gone),
                _ = self.changes.changed() => Ok(()),
                () = work.fetcher.more() => Ok(()),
            });
        }
        // While the role is busy nothing more is read.
        tokio::select! {
            permit = self.events.reserve() => match permit {
                Ok(permit) => permit.send(Inlet::Batch(std::mem::take(&mut work.batch))),
                Err(_) => return Ok(Err(Gone)),
            },
            _ = self.changes.changed() => {}
        }
        Ok(Ok(()))
    }

    async fn assigned(&mut self, partitions: Vec<i32>) -> Result<Result<(), Gone>, BusError> {
        // What an earlier owner had handed to the writer is decided before anybody reads state or offsets.
        let (done, decided) = oneshot::channel();
        self.hub.jobs.send(Job::Barrier { done }).await.map_err(|_| BusError::Closed)?;
        decided.await.map_err(|_| BusError::Closed)?;
        let (ready, wait) = oneshot::channel();
        if self.events.send(Inlet::Assigned { partitions: partitions.clone(), ready }).await.is_err() {
            return Ok(Err(Gone));
        }
        tokio::select! {
            () = self.events.closed() => return Ok(Err(Gone)),
            // A `ready` that is dropped counts: whoever dropped it is about to drop the inlet.
            _ = wait => {}
        }
        let strands = self.strands(&partitions).await?;
        self.work = Some(Work { fetcher: Fetcher::new(&self.hub.tide, strands), batch: Vec::new() });
        Ok(Ok(()))
    }

    async fn revoked(&mut self, partitions: Vec<i32>) -> Result<(), Gone> {
        // What was read and not taken is the next owner's.
        self.work = None;
        let (released, wait) = oneshot::channel();
        let told = async {
            if self.events.send(Inlet::Revoked { partitions, lost: false, released }).await.is_err() {
                return Err(Gone);
            }
            tokio::select! {
                () = self.events.closed() => Err(Gone),
                _ = wait => Ok(()),
            }
        };
        match timeout(HAND_OVER_LIMIT, told).await {
            Ok(Err(Gone)) => return Err(Gone),
            Ok(Ok(())) => {}
            Err(_) => tracing::warn!(
                group = %self.join.group,
                member = %self.join.member,
                "a hand-over took too long, partitions are given up; what was in flight is fenced"
            ),
        }
        self.seat.let_go();
        Ok(())
    }

    /// Where each assigned partition of each topic is read from: the committed offset, or where the group begins.
    async fn strands(&self, partitions: &[i32]) -> Result<Vec<Strand>, BusError> {
        let storage = |error: sqlx::Error| errors::storage(&self.hub.file, &error);
        let mut strands = Vec::with_capacity(partitions.len() * self.join.topics.len());
        for topic in &self.join.topics {
            let numbered = self.hub.topic(*topic).await?;
            let mut connection = self.hub.readers.acquire().await.map_err(storage)?;
            let committed =
                log::committed(&mut *connection, &self.join.group, numbered.number).await.map_err(storage)?;
            let marks = log::marks(&mut connection, &[numbered]).await.map_err(storage)?;
            let marks = marks.get(topic).map_or(&[][..], Vec::as_slice);
            for partition in partitions {
                let index = usize::try_from(*partition).unwrap_or(0);
                let (low, high) = marks.get(index).copied().unwrap_or((0, 0));
                let position = match (committed.get(partition), self.join.begin) {
                    (Some(offset), _) => (*offset).max(low),
                    (None, Begin::Earliest) => low,
                    (None, Begin::Latest) => high,
                };
                strands.push(Strand {
                    topic: *topic,
                    base: place::base(numbered.number, *partition),
                    position,
                    stop: None,
                });
            }
        }
        Ok(strands)
    }
}
