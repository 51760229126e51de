//! A WebSocket from its hello to its close: one task, which waits for events, for frames, for acknowledgements and for
//! reasons to end.
//!
//! What a client sends is written in order, as many at once as have come while the log was busy. Events are no queue here:
//! a socket that is slow stays behind in the log and holds up nobody. Nor is what agents say before it is committed: the
//! socket looks on, and is told what it has not been told whenever it can take it.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use auren_agents::{EventId, InboxAction, InboxRecord, Text, Timestamp};
use axum::extract::ws::{CloseFrame, Message, WebSocket};
use futures::SinkExt;
use serde_json::Map;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep, timeout};

use super::{
    Chat,
    feed::Told,
    listener::{Listener, Next, NoListener},
    pace::Pace,
    protocol::{self, After, Behind, ClientFrame, Close, ServerFrame, Unfit},
};
use crate::{
    bus::{BusError, Cursor, Outgoing},
    client,
    gateway::{server::told, tokens::Person},
    provisional::{News, Onlooker},
    trace::{self, Kind},
    wire,
};

/// Most frames of a client that wait for the log.
const WAITING_MAX: usize = 64;
/// How long a close may take to be heard.
const CLOSE_LIMIT: Duration = Duration::from_secs(2);
/// When to try again where the log did not take a message, or too much came.
const RETRY_MS: u64 = 1000;

/// How a socket ends.
enum End {
    /// It is told why.
    Close(Close),
    /// It has gone.
    Gone,
}

type Step = Result<(), End>;
type Answers = Vec<Result<Cursor, BusError>>;
type Publishing = Pin<Box<dyn Future<Output = Answers> + Send>>;

/// Something of the client's that the log does not have yet.
struct Waiting {
    name: Name,
    since: Instant,
    record: Outgoing,
}

/// What it is acknowledged by.
enum Name {
    Message(Text<128>),
    Mark(Text<48>),
    /// A stop is seen by what it stops.
    Stop,
}

struct Session<'a> {
    chat: &'a Chat,
    person: &'a Person,
    socket: WebSocket,
    /// What the next event follows.
    behind: Behind,
    waiting: VecDeque<Waiting>,
    /// Who is acknowledged when what is being published has been, and since when they wait.
    published: Vec<(Name, Instant)>,
    frames: Pace,
    bytes: Pace,
    heard: Instant,
    onlooker: Onlooker,
    /// Whether frames wait for a flush.
    unsent: bool,
    /// Whether it has been told all that was there before it.
    live: bool,
}

/// Serves a socket until it ends.
pub(super) async fn serve(chat: Arc<Chat>, person: Person, after: Result<After, &'static str>, socket: WebSocket) {
    let _open = chat.stats.open();
    let mut session = Session {
        chat: &chat,
        person: &person,
        socket,
        behind: Behind { partition: 0, next: 0 },
        waiting: VecDeque::new(),
        published: Vec::new(),
        frames: Pace::new(chat.settings.frames_per_second),
        bytes: Pace::new(chat.settings.bytes_per_second),
        heard: Instant::now(),
        onlooker: chat.provisional.look_on(&person.user),
        unsent: false,
        live: false,
    };
    let Err(end) = session.live(after).await;
    if let End::Close(why) = end {
        session.close(why).await;
    }
}

impl Session<'_> {
    async fn live(&mut self, after: Result<After, &'static str>) -> Result<std::convert::Infallible, End> {
        let comes_back = !matches!(after, Ok(After::Now));
        let begun = Instant::now();
        let mut listener = self.begin(after).await?;
        self.behind = listener.at();
        let connection = format!("{:016x}", rand::random::<u64>());
        let (cursor, heartbeat_ms) = (self.behind.to_string(), self.chat.settings.heartbeat_ms);
        self.say(&ServerFrame::Hello { connection: &connection, heartbeat_ms, cursor: &cursor }).await?;
        let mut stopping = self.chat.stopping.clone();
        let expiry = sleep(self.person.left());
        tokio::pin!(expiry);
        let heartbeat = Duration::from_millis(heartbeat_ms);
        let mut beat = interval(heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut publishing: Option<Publishing> = None;
        loop {
            if publishing.is_none() && !self.waiting.is_empty() {
                publishing = Some(self.publish());
            }
            listener.telling(self.flush()).await?;
            tokio::select! {
                () = told(&mut stopping) => return Err(End::Close(Close::GoingAway)),
                () = &mut expiry => return Err(End::Close(Close::Expired)),
                _ = beat.tick() => {
                    if self.heard.elapsed() > heartbeat * 2 {
                        return Err(End::Close(Close::Silent));
                    }
                    self.put(Message::Ping(bytes::Bytes::new())).await?;
                }
                frame = self.socket.recv(), if self.waiting.len() < WAITING_MAX => self.hear(frame).await?,
                answers = async { match &mut publishing {
                    Some(publishing) => publishing.await,
                    None => std::future::pending().await,
                } } => {
                    publishing = None;
                    self.acknowledge(answers).await?;
                }
                next = listener.next() => match next {
                    Ok(Next::CaughtUp) => {
                        self.live = true;
                        if comes_back {
                            self.chat.stats.resumed(begun.elapsed());
                        }
                    }
                    Ok(next) => self.tell(next, &mut listener).await?,
                    Err(error) => {
                        tracing::warn!(%error, "a socket's events cannot be read");
                        return Err(End::Close(Close::LogAway));
                    }
                },
                () = self.onlooker.changed() => {
                    let news = self.onlooker.look();
                    self.tell_provisional(news).await?;
                }
            }
        }
    }

    async fn begin(&mut self, after: Result<After, &'static str>) -> Result<Listener, End> {
        let most = self.chat.settings.max_sockets_per_user;
        let opened = match after {
            Ok(after) => self.chat.listen(self.person, after).await,
            Err(why) => Err(NoListener::BadCursor(why)),
        };
        match opened {
            Ok(listener) => Ok(listener),
            Err(NoListener::BadCursor(why)) => {
                self.refuse("bad_cursor", &format!("after is no place to go on at: {why}"), None, None).await?;
                Err(End::Close(Close::BadCursor))
            }
            Err(NoListener::TooMany) => {
                self.refuse("too_many_sockets", &format!("at most {most} sockets a person"), None, None).await?;
                Err(End::Close(Close::TooMany))
            }
            Err(NoListener::Bus(error)) => {
                tracing::warn!(%error, "a socket cannot begin");
                Err(End::Close(Close::LogAway))
            }
        }
    }

    async fn tell(&mut self, next: Next, listener: &mut Listener) -> Step {
        match next {
            Next::CaughtUp => Ok(()),
            Next::Gap(after, resumes_at) => {
                self.behind = resumes_at;
                let (after, resumes_at) = (after.to_string(), resumes_at.to_string());
                self.say(&ServerFrame::Gap { after: &after, resumes_at: &resumes_at }).await
            }
            Next::Events(events) => {
                for told in events {
                    listener.telling(self.tell_event(&told)).await?;
                    self.behind = Behind { partition: told.cursor.partition, next: told.cursor.offset + 1 };
                    self.chat.stats.event();
                    if let Some(caused_ms) = told.caused_ms.filter(|_| self.live) {
                        self.chat.stats.told_since(caused_ms);
                    }
                }
                Ok(())
            }
        }
    }

    async fn tell_event(&mut self, told: &Told) -> Step {
        let withdrawn = self.onlooker.settle(&told.event);
        self.tell_provisional(withdrawn).await?;
        let (cursor, prev) = (told.cursor.to_string(), self.behind.to_string());
        let _frame = told.trace.as_ref().and_then(|trace| trace.step(Kind::Producer, "frame"));
        self.say(&ServerFrame::Event { cursor: &cursor, prev: &prev, event: &told.event }).await
    }

    async fn tell_provisional(&mut self, news: Vec<News>) -> Step {
        for news in news {
            let frame = match &news {
                News::Status { turn, agent, state } => ServerFrame::Status { turn: *turn, agent, state: *state },
                News::Delta { turn, attempt, seq, agent, text } => {
                    self.chat.stats.delta();
                    ServerFrame::Delta { turn: *turn, attempt: *attempt, seq: *seq, agent, text }
                }
                News::Reset { turn, attempt, agent } => ServerFrame::Reset { turn: *turn, attempt: *attempt, agent },
            };
            self.say(&frame).await?;
        }
        Ok(())
    }

    async fn hear(&mut self, frame: Option<Result<Message, axum::Error>>) -> Step {
        let Some(frame) = frame else { return Err(End::Gone) };
        let frame = frame.map_err(|_| End::Close(Close::Unreadable))?;
        self.heard = Instant::now();
        self.chat.stats.received(size(&frame));
        let settings = &self.chat.settings;
        let too_fast = if !self.frames.take(1) {
            Some(("too_many_frames", format!("at most {} frames a second", settings.frames_per_second)))
        } else if !self.bytes.take(u32::try_from(size(&frame)).unwrap_or(u32::MAX)) {
            Some(("too_many_bytes", format!("at most {} bytes a second", settings.bytes_per_second)))
        } else {
            None
        };
        if let Some((code, words)) = too_fast {
            self.refuse(code, &words, None, Some(RETRY_MS)).await?;
            return Err(End::Close(Close::TooFast));
        }
        match frame {
            Message::Text(text) => match protocol::read(&text, self.chat.settings.max_json_depth) {
                Ok(frame) => self.act(frame).await,
                Err(Unfit { code, message, client_id }) => {
                    self.refuse(code, &message, client_id.as_deref(), None).await
                }
            },
            Message::Binary(_) => self.refuse("binary_frame", "frames are JSON text", None, None).await,
            // The library has answered a ping.
            Message::Ping(_) | Message::Pong(_) => Ok(()),
            Message::Close(_) => {
                // The library answers it while it is read on.
                let _ = timeout(CLOSE_LIMIT, self.socket.recv()).await;
                Err(End::Gone)
            }
        }
    }

    async fn act(&mut self, frame: ClientFrame) -> Step {
        let (user, now) = (self.person.user.clone(), Timestamp::now());
        let derived = |kind: &str, what: &str| EventId::derived(&[kind, user.as_str(), what]);
        let (name, record) = match frame {
            ClientFrame::Ping => return self.say(&ServerFrame::Pong).await,
            ClientFrame::Send { client_id, text, to } => {
                let record = client::message(user, text, to, Some(client_id.clone()), now);
                (Name::Message(client_id), record)
            }
            ClientFrame::Stop { turn } => {
                let event_id = derived("inbox-stop", &turn.to_string());
                let action = InboxAction::Stop { turn, extra: Map::new() };
                (Name::Stop, InboxRecord { event_id, user_id: user, action, client_id: None, timestamp: now })
            }
            ClientFrame::Seen { cursor } => {
                let place: Option<Cursor> = cursor.parse().ok();
                if place.is_none_or(|place| place.partition != self.behind.partition) {
                    return self.refuse("bad_cursor", "seen names the cursor of an event of yours", None, None).await;
                }
                let event_id = derived("inbox-seen", &cursor);
                let action = InboxAction::Seen { cursor: cursor.clone(), extra: Map::new() };
                (Name::Mark(cursor), InboxRecord { event_id, user_id: user, action, client_id: None, timestamp: now })
            }
        };
        let trace = trace::step(None, Kind::Server, || "chat frame".into()).map(|step| step.place().header());
        let record = wire::traced(wire::outgoing(&record), trace.as_deref());
        self.waiting.push_back(Waiting { name, since: Instant::now(), record });
        Ok(())
    }

    /// Writes all that waits.
    fn publish(&mut self) -> Publishing {
        let split = |waiting: Waiting| ((waiting.name, waiting.since), waiting.record);
        let (names, records) = self.waiting.drain(..).map(split).unzip();
        self.published = names;
        let bus = Arc::clone(&self.chat.feed.bus);
        Box::pin(async move { bus.publish(records).await })
    }

    async fn acknowledge(&mut self, answers: Answers) -> Step {
        for ((name, since), answer) in std::mem::take(&mut self.published).into_iter().zip(answers) {
            match (name, answer) {
                (Name::Message(client_id), Ok(cursor)) => {
                    self.chat.stats.acknowledged(since.elapsed());
                    let cursor = cursor.to_string();
                    self.say(&ServerFrame::Ack { client_id: &client_id, cursor: &cursor }).await?;
                }
                (Name::Mark(cursor), Ok(_)) => self.say(&ServerFrame::Marked { cursor: &cursor }).await?,
                (Name::Stop, Ok(_)) => {}
                (name, Err(error)) => {
                    tracing::warn!(%error, "a client's frame was not taken");
                    let words = "it is not known to have been taken; send it again, which makes it no second one";
                    let client_id = if let Name::Message(client_id) = &name { Some(&**client_id) } else { None };
                    self.refuse("not_taken", words, client_id, Some(RETRY_MS)).await?;
                }
            }
        }
        Ok(())
    }

    async fn refuse(&mut self, code: &'static str, message: &str, client_id: Option<&str>, retry: Option<u64>) -> Step {
        self.chat.stats.refused(code);
        self.say(&ServerFrame::Error { code, message, client_id, retry_after_ms: retry }).await
    }

    async fn say(&mut self, frame: &ServerFrame<'_>) -> Step {
        let text = serde_json::to_string(frame).expect("frames are plain data with text keys");
        self.chat.stats.sent(text.len());
        self.put(Message::Text(text.into())).await
    }

    /// Puts a frame behind those that are on their way. It goes with the next flush, or sooner where much is.
    async fn put(&mut self, message: Message) -> Step {
        self.unsent = true;
        self.in_time(|socket| socket.feed(message)).await
    }

    /// Sends what is on its way: frames that were put one after the other leave together.
    async fn flush(&mut self) -> Step {
        if !std::mem::take(&mut self.unsent) {
            return Ok(());
        }
        self.in_time(SinkExt::flush).await
    }

    async fn in_time<'s, F>(&'s mut self, work: impl FnOnce(&'s mut WebSocket) -> F) -> Step
    where
        F: Future<Output = Result<(), axum::Error>> + 's,
    {
        let limit = Duration::from_millis(self.chat.settings.slow_ms);
        match timeout(limit, work(&mut self.socket)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(End::Gone),
            Err(_) => Err(End::Close(Close::Slow)),
        }
    }

    /// Says why, and waits a moment for the other side to hear it.
    async fn close(&mut self, why: Close) {
        let frame = CloseFrame { code: why.code(), reason: why.reason().into() };
        // A frame that cannot be read may be a connection that broke, which takes no close and is not one.
        let certain = why != Close::Unreadable;
        if certain {
            self.chat.stats.closed(why);
        }
        let said = timeout(CLOSE_LIMIT, self.socket.send(Message::Close(Some(frame)))).await;
        if matches!(said, Ok(Err(_))) {
            return;
        }
        if !certain {
            self.chat.stats.closed(why);
        }
        let heard = async { while let Some(Ok(_)) = self.socket.recv().await {} };
        // Who does not answer is left all the same.
        let _ = timeout(CLOSE_LIMIT, heard).await;
    }
}

/// How many bytes a frame holds.
fn size(frame: &Message) -> usize {
    match frame {
        Message::Text(text) => text.len(),
        Message::Binary(bytes) | Message::Ping(bytes) | Message::Pong(bytes) => bytes.len(),
        Message::Close(_) => 0,
    }
}
