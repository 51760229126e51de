//! One client's place in its person's events: memory first, and the log for what memory has not.
//!
//! A place moves only over what was handed out or is known to be somebody else's, so there is no seam between what was
//! and what comes.

use std::{collections::VecDeque, pin::pin, sync::Arc, time::Duration};

use auren_agents::UserId;
use futures::future::Either;
use tokio::{
    sync::{OwnedSemaphorePermit, mpsc, watch},
    time::{Instant, timeout_at},
};

use super::{
    feed::{Feed, Look, Told, told},
    protocol::{After, Behind},
    stats::Tier,
};
use crate::bus::{BusError, Read, ReadFrom, ReadUntil, Record, Topic};

/// A client that takes longer than this for what it is handed gives way to others that wait to read the log.
const TELL_LIMIT: Duration = Duration::from_millis(250);

/// Why nobody listens.
#[derive(Debug)]
pub(super) enum NoListener {
    /// The place is none of this person's, and why.
    BadCursor(&'static str),
    /// The person has too many listeners.
    TooMany,
    /// The log does not answer.
    Bus(BusError),
}

/// What comes next.
#[derive(Debug)]
pub(super) enum Next {
    Events(VecDeque<Told>),
    /// Everything that was there when it began has been handed out. It comes once.
    CaughtUp,
    /// What lies between the two places is not kept any more.
    Gap(Behind, Behind),
}

/// A place in a person's events.
#[derive(Debug)]
pub(super) struct Listener {
    feed: Arc<Feed>,
    user: UserId,
    at: Behind,
    news: watch::Receiver<()>,
    reading: Option<Reading>,
    /// What there was when it began, until all of it has been handed out.
    catches_up: Option<i64>,
}

/// A read of the log under way.
#[derive(Debug)]
struct Reading {
    batches: mpsc::Receiver<Result<Vec<Record>, BusError>>,
    until: i64,
    /// When it was last handed something to tell.
    handed: Instant,
    _permit: OwnedSemaphorePermit,
}

impl Listener {
    /// Begins to listen behind this place.
    pub(super) async fn open(feed: &Arc<Feed>, user: &UserId, after: After, most: usize) -> Result<Self, NoListener> {
        let partition = feed.partition(user).await.map_err(NoListener::Bus)?;
        let Some((now, news)) = feed.enter(user, partition, most) else { return Err(NoListener::TooMany) };
        let (feed, user) = (Arc::clone(feed), user.clone());
        // From here on it leaves when it is dropped.
        let at = Behind { partition, next: now };
        let mut listener = Self { feed, user, at, news, reading: None, catches_up: Some(now) };
        listener.at.next = match after {
            After::Now => now,
            After::Earliest => listener.feed.first(partition).await.map_err(NoListener::Bus)?,
            After::Place(cursor) if cursor.partition != partition => {
                return Err(NoListener::BadCursor("it is in another partition than your events"));
            }
            After::Place(cursor) if cursor.offset < now => cursor.offset + 1,
            After::Place(cursor) if cursor.offset < listener.kept().await?.1 => cursor.offset + 1,
            After::Place(_) => return Err(NoListener::BadCursor("nothing has been written there yet")),
        };
        Ok(listener)
    }

    /// What comes next follows this place.
    pub(super) fn at(&self) -> Behind {
        self.at
    }

    /// Lets others read the log. It goes on reading at its place when its turn comes again.
    pub(super) fn give_way(&mut self) {
        self.reading = None;
    }

    /// Tells a client what it has been handed, however long that takes; where it cannot be told quickly, others read the log
    /// meanwhile. What that needs is boxed, so that the many that only listen have no room for it.
    pub(super) fn telling<F: Future>(&mut self, telling: F) -> impl Future<Output = F::Output> {
        let Some(reading) = &self.reading else { return Either::Left(telling) };
        let limit = reading.handed + TELL_LIMIT;
        Either::Right(Box::pin(async move {
            let mut telling = pin!(telling);
            match timeout_at(limit, telling.as_mut()).await {
                Ok(told) => told,
                Err(_) => {
                    self.give_way();
                    telling.await
                }
            }
        }))
    }

    /// Waits for what comes next. A wait may be given up at any time.
    pub(super) async fn next(&mut self) -> Result<Next, BusError> {
        loop {
            if self.catches_up.is_some_and(|now| self.at.next >= now) {
                self.catches_up = None;
                return Ok(Next::CaughtUp);
            }
            if self.reading.is_some() {
                if let Some(events) = self.read().await? {
                    return Ok(Next::Events(events));
                }
                continue;
            }
            self.news.borrow_and_update();
            match self.feed.look(&self.user, self.at.next) {
                Look::Here(events, tier) => {
                    self.feed.stats.handed(tier, events.len());
                    self.at.next = events.last().map_or(self.at.next, |told| told.cursor.offset + 1);
                    return Ok(Next::Events(events.into()));
                }
                Look::Log(until) => {
                    if let Some(gap) = self.begin_to_read(until).await? {
                        return Ok(gap);
                    }
                }
                Look::Nothing(seen) => {
                    self.at.next = seen;
                    if self.catches_up.is_some() {
                        continue;
                    }
                    // A feed that has ended tells nothing more; whoever waits is ended by the node.
                    if self.news.changed().await.is_err() {
                        std::future::pending::<()>().await;
                    }
                }
            }
        }
    }

    async fn begin_to_read(&mut self, until: i64) -> Result<Option<Next>, BusError> {
        let permit = Arc::clone(&self.feed.reads).acquire_owned().await.map_err(|_| BusError::Closed)?;
        let (first, _) = self.kept_or_error().await?;
        if self.at.next < first {
            let before = self.at;
            self.at.next = first;
            return Ok(Some(Next::Gap(before, self.at)));
        }
        let batches = self.feed.bus.read(Read {
            topic: Topic::Events,
            partitions: vec![self.at.partition],
            from: ReadFrom::Offset(self.at.next),
            until: ReadUntil::End,
        });
        self.feed.stats.log_read();
        self.reading = Some(Reading { batches, until, handed: Instant::now(), _permit: permit });
        Ok(None)
    }

    /// The events of the person in the next batch of the log; none where it has none or the read is over.
    async fn read(&mut self) -> Result<Option<VecDeque<Told>>, BusError> {
        let Some(reading) = &mut self.reading else { return Ok(None) };
        let until = reading.until;
        let batch = reading.batches.recv().await.transpose();
        reading.handed = Instant::now();
        let batch = batch.inspect_err(|_| self.reading = None)?;
        // A bounded read ends behind everything that was committed when it began, and the follower had seen `until`.
        let Some(batch) = batch else {
            self.reading = None;
            self.at.next = self.at.next.max(until);
            return Ok(None);
        };
        let from = self.at.next;
        let fresh = batch.iter().filter(|record| record.offset >= from && record.offset < until);
        let events: VecDeque<_> = fresh.filter_map(|record| told(record, self.user.as_str())).collect();
        let end = batch.last().map_or(from, |record| record.offset + 1);
        self.at.next = from.max(end.min(until));
        if end >= until {
            self.reading = None;
        }
        self.feed.stats.handed(Tier::Log, events.len());
        Ok((!events.is_empty()).then_some(events))
    }

    /// The first offset kept, and the next to be written.
    async fn kept_or_error(&self) -> Result<(i64, i64), BusError> {
        let marks = self.feed.bus.watermarks(Topic::Events).await?;
        marks.get(&self.at.partition).copied().ok_or(BusError::Closed)
    }

    async fn kept(&self) -> Result<(i64, i64), NoListener> {
        self.kept_or_error().await.map_err(NoListener::Bus)
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.feed.leave(&self.user);
    }
}
