//! A stream of server-sent events on its way to a client: what a listener hears is handed over one by one, and a client that
//! takes nothing holds nobody up.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use tokio::sync::mpsc::{self, error::SendTimeoutError};

use super::{
    Chat, Seat,
    listener::{Listener, Next},
    protocol::Close,
    stats::{Open, Stats},
};
use crate::bus::BusError;

/// Nobody takes what is handed over any more.
pub(super) struct Gone;

/// A stream's events on their way. It belongs to a task of its own, so that one that nobody reads ends all the same.
pub(super) struct Way {
    give: mpsc::Sender<Event>,
    /// How long an event may wait to be taken.
    limit: Duration,
    stats: Arc<Stats>,
    _seat: Seat,
    _open: Open,
}

impl Way {
    /// The way of a stream that has this seat; what is handed over comes out of the other end.
    pub(super) fn open(chat: &Chat, seat: Seat) -> (Self, mpsc::Receiver<Event>) {
        let (give, take) = mpsc::channel(1);
        let (limit, stats) = (Duration::from_millis(chat.settings.slow_ms), Arc::clone(&chat.stats));
        (Self { give, limit, stats, _seat: seat, _open: chat.stats.open() }, take)
    }

    /// What its listener hears next. None where nobody takes it any more.
    pub(super) async fn next(&self, listener: &mut Listener) -> Option<Result<Next, BusError>> {
        self.unless_gone(listener.next()).await.map(|next| {
            next.inspect_err(|error| {
                tracing::warn!(%error, "an event stream cannot go on");
                self.cut();
            })
        })
    }

    /// What a wait brings. None where nobody takes it any more.
    pub(super) async fn unless_gone<T>(&self, wait: impl Future<Output = T>) -> Option<T> {
        tokio::select! {
            brought = wait => Some(brought),
            () = self.give.closed() => None,
        }
    }

    /// Hands an event over. While it is not taken others may read the log before this listener.
    pub(super) async fn hand(&self, event: Event, listener: &mut Listener) -> Result<(), Gone> {
        let sent = listener.telling(self.give.send_timeout(event, self.limit)).await;
        sent.map_err(|why| {
            if matches!(why, SendTimeoutError::Timeout(_)) {
                self.stats.closed(Close::Slow);
            }
            Gone
        })
    }

    /// It ends because the log cannot be read.
    pub(super) fn cut(&self) {
        self.stats.closed(Close::LogAway);
    }

    /// An event of the person has been handed over.
    pub(super) fn told(&self) {
        self.stats.event();
    }
}

/// The answer that is made of what is handed over.
pub(super) fn answer(
    take: mpsc::Receiver<Event>,
    heartbeat_ms: u64,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let events = stream::unfold(take, async |mut take| Some((Ok(take.recv().await?), take)));
    Sse::new(events).keep_alive(KeepAlive::new().interval(Duration::from_millis(heartbeat_ms)))
}
