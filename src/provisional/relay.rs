//! Carries what boards tell each other, by Redis's publish and subscribe: a channel for each person, and one on which nodes
//! ask.
//!
//! A node subscribes to the people who have onlookers here. What it tells of others goes to whoever subscribes to them, and
//! Redis answers by how many those were: where there are none it tells no more of that answer. Nothing waits for Redis but
//! this task; while Redis is away sockets hear of their own node's answers, and of all events.

use std::{collections::HashSet, convert::Infallible, fmt, sync::Arc, sync::atomic::Ordering::Relaxed, time::Duration};

use auren_agents::UserId;
use futures::StreamExt as _;
use redis::{
    AsyncConnectionConfig, Client, ErrorKind, RedisError, RedisResult,
    aio::{MultiplexedConnection, PubSubSink, PubSubStream},
};
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};

use super::{
    Board, Provisional,
    across::{BEAT, Tidings, Todo},
};

/// How often something is carried, at most: what comes faster is told together.
const EVERY: Duration = Duration::from_millis(40);
/// How long Redis is left alone after it failed: from the shortest, doubled up to the longest.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));
/// People of one call that names them, and of one that tells what is said to them.
const CALL: usize = 500;
const TELL: usize = 64;
/// The largest message that is read: some answers of the greatest length.
const MESSAGE_BYTES: usize = 512 * 1024;

/// Where Redis is, and how long it may take.
#[derive(Clone)]
pub struct RelaySettings {
    client: Client,
    prefix: String,
    limit: Duration,
    speaks: bool,
}

impl RelaySettings {
    /// A Redis that may take so long for an answer; `prefix` stands before every channel. A node that `speaks` has sessions.
    #[must_use]
    pub fn new(client: Client, prefix: &str, limit: Duration, speaks: bool) -> Self {
        Self { client, prefix: format!("{prefix}provisional:"), limit, speaks }
    }
}

impl fmt::Debug for RelaySettings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RelaySettings").field("prefix", &self.prefix).finish_non_exhaustive()
    }
}

/// What was carried, at one moment.
#[derive(Debug, Clone, Copy, Default)]
pub struct RelayCount {
    /// Messages to other nodes.
    pub told: u64,
    /// Messages of other nodes.
    pub heard: u64,
    /// Times that Redis failed.
    pub failures: u64,
    /// People whom this node listens to.
    pub people: u64,
}

impl Provisional {
    /// Carries what this board and those of other nodes tell each other, until told to stop.
    pub async fn relay(self, settings: RelaySettings, mut stop: watch::Receiver<bool>) {
        let Some(board) = self.0 else { return };
        let beats = async {
            let mut beats = interval(BEAT);
            beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
            loop {
                beats.tick().await;
                board.tend(std::time::Instant::now());
            }
        };
        tokio::select! {
            () = carry(&board, &settings) => {}
            () = beats => {}
            // Nobody is left to tell, or it is told.
            _ = stop.wait_for(|stop| *stop) => {}
        }
        board.end_errands();
    }

    /// What was carried so far.
    #[must_use]
    pub fn relayed(&self) -> RelayCount {
        self.0.as_ref().map_or_else(RelayCount::default, |board| {
            let counts = &board.errands.counts;
            RelayCount {
                told: counts.told.load(Relaxed),
                heard: counts.heard.load(Relaxed),
                failures: counts.failures.load(Relaxed),
                people: counts.people.load(Relaxed),
            }
        })
    }
}

/// Carries again and again, whatever happens to Redis.
async fn carry(board: &Arc<Board>, settings: &RelaySettings) {
    let mut pause = PAUSES.0;
    loop {
        let begun = Instant::now();
        let Err(error) = Relay::open(board, settings).await;
        board.end_errands();
        let counts = &board.errands.counts;
        counts.failures.fetch_add(1, Relaxed);
        counts.people.store(0, Relaxed);
        if begun.elapsed() > PAUSES.1 {
            pause = PAUSES.0;
        }
        tracing::warn!(
            %error, again_in_ms = pause.as_millis(),
            "Redis does not carry what agents say to other nodes' sockets, which hear the events only{}", next(&error)
        );
        sleep(pause).await;
        pause = (pause * 2).min(PAUSES.1);
    }
}

/// What to do where Redis is there and does not let this client.
fn next(error: &RedisError) -> &'static str {
    if error.to_string().contains("NOPERM") {
        "; its user must be allowed the commands and channels that docs/production.md names"
    } else {
        ""
    }
}

/// A connection to Redis, and who is listened to over it.
struct Relay<'a> {
    board: &'a Board,
    settings: &'a RelaySettings,
    publishing: MultiplexedConnection,
    sink: PubSubSink,
    listens: HashSet<UserId>,
    node: u64,
}

impl<'a> Relay<'a> {
    async fn open(board: &'a Board, settings: &'a RelaySettings) -> RedisResult<Infallible> {
        let limit = settings.limit;
        let config = AsyncConnectionConfig::new().set_connection_timeout(Some(limit)).set_response_timeout(Some(limit));
        let publishing = settings.client.get_multiplexed_async_connection_with_config(&config).await?;
        let (sink, stream) = within(limit, settings.client.get_async_pubsub()).await?.split();
        let mut relay = Self { board, settings, publishing, sink, listens: HashSet::new(), node: rand::random() };
        if settings.speaks {
            within(limit, relay.sink.subscribe(relay.asks())).await?;
        }
        let own = (relay.node, relay.asks());
        let look = board.begin_errands().into_iter().collect();
        let todo = Todo { look, ..Todo::default() };
        tokio::select! {
            end = hear(board, settings, own, stream) => end,
            end = relay.work(todo) => end,
        }
    }

    async fn work(&mut self, mut todo: Todo) -> RedisResult<Infallible> {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            self.listen(todo.look, &mut todo.ask).await?;
            self.ask(todo.ask).await?;
            self.tell(todo.tell).await?;
            tokio::select! {
                () = self.board.errands.wake.notified() => {}
                // A connection that is dead and does not say so is noticed.
                _ = beats.tick() => within(self.settings.limit, self.sink.ping()).await?,
            }
            sleep(EVERY).await;
            todo = self.board.errands.take();
        }
    }

    /// Listens to those who have onlookers, and no more to those who have none; asks for those who are new.
    async fn listen(&mut self, people: HashSet<UserId>, ask: &mut HashSet<UserId>) -> RedisResult<()> {
        let (come, gone): (Vec<_>, Vec<_>) = people
            .into_iter()
            .map(|user| (self.board.has_onlookers(&user), user))
            .filter(|(looked_at, user)| *looked_at != self.listens.contains(user))
            .partition(|(looked_at, _)| *looked_at);
        let limit = self.settings.limit;
        for people in gone.chunks(CALL) {
            let channels: Vec<_> = people.iter().map(|(_, user)| self.channel(user)).collect();
            within(limit, self.sink.unsubscribe(channels)).await?;
            for (_, user) in people {
                self.listens.remove(user);
            }
        }
        for people in come.chunks(CALL) {
            let channels: Vec<_> = people.iter().map(|(_, user)| self.channel(user)).collect();
            within(limit, self.sink.subscribe(channels)).await?;
            self.listens.extend(people.iter().map(|(_, user)| user.clone()));
            ask.extend(people.iter().map(|(_, user)| user.clone()));
        }
        self.board.errands.counts.people.store(self.listens.len() as u64, Relaxed);
        Ok(())
    }

    /// Asks every node that speaks for what it says to these people.
    async fn ask(&mut self, people: HashSet<UserId>) -> RedisResult<()> {
        let people: Vec<_> = people.into_iter().collect();
        for people in people.chunks(CALL) {
            let asked = serde_json::to_vec(&(self.node, people)).expect("ids are plain data");
            let () = redis::cmd("PUBLISH").arg(self.asks()).arg(asked).query_async(&mut self.publishing).await?;
        }
        Ok(())
    }

    /// Tells others what is said here.
    async fn tell(&mut self, people: HashSet<UserId>) -> RedisResult<()> {
        let people: Vec<_> = people.into_iter().collect();
        for people in people.chunks(TELL) {
            let mut publish = redis::pipe();
            let mut told = Vec::with_capacity(people.len());
            for user in people {
                let tidings = Tidings { node: self.node, answers: self.board.tidings(user) };
                if !tidings.answers.is_empty() {
                    let text = serde_json::to_vec(&tidings).expect("tidings are plain data with text keys");
                    publish.cmd("PUBLISH").arg(self.channel(user)).arg(text);
                    told.push(user);
                }
            }
            if told.is_empty() {
                continue;
            }
            let listeners: Vec<u64> = publish.query_async(&mut self.publishing).await?;
            self.board.errands.counts.told.fetch_add(listeners.len() as u64, Relaxed);
            for (user, listeners) in told.into_iter().zip(listeners) {
                // This node is one of them where it has onlookers itself.
                self.board.listened(user, listeners > u64::from(self.listens.contains(user)));
            }
        }
        Ok(())
    }

    fn asks(&self) -> String {
        format!("{}asks", self.settings.prefix)
    }

    fn channel(&self, user: &UserId) -> String {
        format!("{}of:{user}", self.settings.prefix)
    }
}

/// Hears what other nodes say and ask. It does nothing else, so that nothing piles up before it.
async fn hear(
    board: &Board,
    settings: &RelaySettings,
    (node, asks): (u64, String),
    mut stream: PubSubStream,
) -> RedisResult<Infallible> {
    let people = format!("{}of:", settings.prefix);
    while let Some(message) = stream.next().await {
        let (channel, payload) = (message.get_channel_name(), message.get_payload_bytes());
        if payload.len() > MESSAGE_BYTES {
            continue;
        }
        if channel == asks {
            match serde_json::from_slice::<(u64, Vec<UserId>)>(payload) {
                Ok((from, users)) if from != node => board.asked(&users),
                _ => {}
            }
        } else if let Some(user) = channel.strip_prefix(&people).and_then(|user| UserId::new(user).ok())
            && let Ok(tidings) = serde_json::from_slice::<Tidings>(payload)
            && tidings.node != node
        {
            board.errands.counts.heard.fetch_add(1, Relaxed);
            board.hear(&user, tidings, std::time::Instant::now());
        }
    }
    Err((ErrorKind::Io, "the connection that hears has ended").into())
}

/// An answer of Redis that comes in time.
async fn within<T>(limit: Duration, answer: impl Future<Output = RedisResult<T>>) -> RedisResult<T> {
    timeout(limit, answer).await.unwrap_or_else(|_| Err((ErrorKind::Io, "no answer in time").into()))
}
