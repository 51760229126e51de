//! Reads a turn from the log: what there is of it, and what comes.

use std::sync::Arc;

use auren_agents::{Timestamp, UserId};
use serde_json::Value;
use tokio::time::{Instant, timeout_at};

use super::{
    super::{
        Chat,
        feed::told,
        listener::{Listener, Next},
        turns::{LOOK_BACK, LOOK_BACK_MAX},
    },
    rpc::Fault,
    turn::Turn,
};
use crate::bus::{BusError, Cursor, Read, ReadFrom, ReadUntil, Record, Topic};

type Frames = Vec<(Option<Cursor>, Value)>;

/// A turn that is followed.
pub(super) struct Following {
    chat: Arc<Chat>,
    user: UserId,
    pub(super) listener: Listener,
    pub(super) turn: Turn,
    /// Up to where nothing need be told.
    silent: Option<Cursor>,
    looked_back: bool,
    since: Instant,
}

impl Following {
    pub(super) fn new(chat: Arc<Chat>, user: UserId, listener: Listener, turn: Turn) -> Self {
        let looked_back = turn.number.is_some();
        Self { chat, user, listener, turn, silent: None, looked_back, since: Instant::now() }
    }

    /// What lies up to this place has been told.
    pub(super) fn silent_to(&mut self, cursor: Cursor) {
        self.silent = Some(cursor);
    }

    /// Waits for what changes next; nothing where the turn is over and has been told.
    pub(super) async fn next(&mut self) -> Result<Frames, Fault> {
        while !self.turn.is_over() {
            let frames = self.hear().await?;
            if !frames.is_empty() {
                return Ok(frames);
            }
        }
        Ok(Frames::new())
    }

    async fn hear(&mut self) -> Result<Frames, Fault> {
        let away = |error: BusError| Fault::away(&error, "SubscribeToTask goes on");
        let next = if self.looked_back {
            self.listener.next().await
        } else {
            match timeout_at(self.since + LOOK_BACK, self.listener.next()).await {
                Ok(next) => next,
                Err(_) => {
                    self.looked_back = true;
                    self.listener.give_way();
                    let mut frames = Frames::new();
                    look_back(&self.chat, self.user.as_str(), &mut self.turn, &mut frames).await?;
                    return Ok(self.fresh(frames));
                }
            }
        };
        match next.map_err(away)? {
            Next::Events(events) => {
                let turn = &mut self.turn;
                let frames = events.iter().flat_map(|told| turn.hear(told.cursor, &told.event)).collect();
                self.looked_back |= self.turn.number.is_some();
                Ok(self.fresh(frames))
            }
            Next::CaughtUp => Ok(Frames::new()),
            Next::Gap(..) => Err(Fault::internal("events of the task are not kept any more")),
        }
    }

    /// Without what was told before. An update without a place belongs to the one behind it.
    fn fresh(&self, frames: Frames) -> Frames {
        let Some(silent) = self.silent else { return frames };
        let known = frames.iter().rposition(|(cursor, _)| cursor.is_some_and(|cursor| cursor.offset <= silent.offset));
        frames.into_iter().skip(known.map_or(0, |index| index + 1)).collect()
    }

    /// Waits until the turn is over, until then at most.
    pub(super) async fn ended(&mut self, until: Instant) -> Result<(), Fault> {
        let over = async {
            while !self.turn.is_over() {
                self.hear().await?;
            }
            Ok(())
        };
        timeout_at(until, over).await.unwrap_or(Ok(()))
    }

    /// The turn's number, once it has one, until then at most.
    pub(super) async fn begun(&mut self, until: Instant) -> Result<Option<u64>, Fault> {
        let begun = async {
            while self.turn.number.is_none() {
                self.hear().await?;
            }
            Ok(())
        };
        timeout_at(until, begun).await.unwrap_or(Ok(()))?;
        Ok(self.turn.number)
    }
}

/// What the log has of a turn. One that does not lie near behind its message began when that was first sent, or so much of
/// others lies between that the rest of the log is read.
pub(super) async fn catch_up(chat: &Chat, user: &str, turn: &mut Turn) -> Result<(), Fault> {
    let from = turn.next();
    let near = from.saturating_add(LOOK_BACK_MAX);
    let goes_on = read(chat, user, turn, from, near, &mut Frames::new()).await?;
    if turn.is_missed(&Timestamp::now()) {
        look_back(chat, user, turn, &mut Frames::new()).await?;
    }
    if goes_on && !turn.is_over() {
        read(chat, user, turn, near, i64::MAX, &mut Frames::new()).await?;
    }
    Ok(())
}

/// Looks for a turn before its message: where the message was sent before, it began then.
async fn look_back(chat: &Chat, user: &str, turn: &mut Turn, frames: &mut Frames) -> Result<(), Fault> {
    let to = turn.id.behind;
    if to == 0 {
        return Ok(());
    }
    read(chat, user, turn, to.saturating_sub(LOOK_BACK_MAX).max(0), to, frames).await?;
    Ok(())
}

/// Reads the events of a partition from one offset to before another, or to the end, until the turn is over. Whether the log
/// goes on there.
async fn read(
    chat: &Chat,
    user: &str,
    turn: &mut Turn,
    from: i64,
    to: i64,
    frames: &mut Frames,
) -> Result<bool, Fault> {
    let away = |error: &BusError| Fault::away(error, "ask again");
    let _permit = chat.feed.reads.acquire().await.map_err(|_| away(&BusError::Closed))?;
    let (topic, partitions) = (Topic::Events, vec![turn.id.partition]);
    let mut batches =
        chat.feed.bus.read(Read { topic, partitions, from: ReadFrom::Offset(from), until: ReadUntil::End });
    chat.stats.log_read();
    while let Some(batch) = batches.recv().await {
        for record in batch.map_err(|error| away(&error))? {
            if record.offset >= to || turn.is_over() {
                return Ok(true);
            }
            if let Some(told) = told(&record, user) {
                frames.extend(turn.hear(told.cursor, &told.event));
            }
        }
    }
    Ok(false)
}

/// The record at a place; none where none is, or not any more.
pub(super) async fn one(chat: &Chat, topic: Topic, partition: i32, offset: i64) -> Result<Option<Record>, Fault> {
    let away = |error: BusError| Fault::away(&error, "ask again");
    let _permit = chat.feed.reads.acquire().await.map_err(|_| away(BusError::Closed))?;
    let read = Read { topic, partitions: vec![partition], from: ReadFrom::Offset(offset), until: ReadUntil::End };
    let first = chat.feed.bus.read(read).recv().await.transpose().map_err(away)?;
    Ok(first.and_then(|batch| batch.into_iter().next()).filter(|record| record.offset == offset))
}
