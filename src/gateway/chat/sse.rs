//! A stream of server-sent events on its way to a client: what its listener hears is handed over one by one, and a client
//! that takes nothing holds nobody up.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::response::sse::{Event, KeepAlive, Sse};
use futures::{Stream, stream};
use tokio::sync::mpsc::{self, error::SendTimeoutError};

use super::{
    Chat, Seat,
    listener::{Listener, Next, NoListener, TELL_LIMIT},
    protocol::{After, Close},
    stats::{Open, Stats},
};
use crate::{
    bus::BusError,
    gateway::{Problem, address::Asker, tokens::Person},
};

/// Nobody takes what is handed over any more.
pub(super) struct Gone;

/// A stream's events on their way. It belongs to a task of its own, so that one that nobody reads ends all the same.
pub(super) struct Way {
    listener: Listener,
    give: mpsc::Sender<Event>,
    /// How long an event may wait to be taken.
    limit: Duration,
    stats: Arc<Stats>,
    _seat: Seat,
    _open: Open,
}

impl Way {
    /// Takes a place among the streams and listens behind this place; what is handed over comes out of the other end.
    pub(super) async fn open(
        chat: &Chat,
        person: &Person,
        asker: Asker,
        after: After,
    ) -> Result<(Self, mpsc::Receiver<Event>), Problem> {
        let seat = chat.seat(asker)?;
        let most = chat.settings.max_sockets_per_user;
        let listener = Listener::open(&chat.feed, &person.user, after, most).await.map_err(NoListener::problem)?;
        let (give, take) = mpsc::channel(1);
        let (limit, stats) = (Duration::from_millis(chat.settings.slow_ms), Arc::clone(&chat.stats));
        let open = chat.stats.open();
        Ok((Self { listener, give, limit, stats, _seat: seat, _open: open }, take))
    }

    /// What comes next. None where nobody listens any more.
    pub(super) async fn next(&mut self) -> Option<Result<Next, BusError>> {
        tokio::select! {
            next = self.listener.next() => Some(next.inspect_err(|error| {
                tracing::warn!(%error, "an event stream cannot go on");
                self.stats.closed(Close::LogAway);
            })),
            () = self.give.closed() => None,
        }
    }

    /// Hands an event over.
    pub(super) async fn hand(&mut self, event: Event) -> Result<(), Gone> {
        let sent = match self.give.send_timeout(event, TELL_LIMIT).await {
            Err(SendTimeoutError::Timeout(event)) => {
                self.listener.give_way();
                self.give.send_timeout(event, self.limit).await
            }
            sent => sent,
        };
        sent.map_err(|why| {
            if matches!(why, SendTimeoutError::Timeout(_)) {
                self.stats.closed(Close::Slow);
            }
            Gone
        })
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
