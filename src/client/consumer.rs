//! Being told of events: a member of a consumer group that calls handlers, at least once for every record.

use std::{collections::BTreeMap, future::Future, sync::Arc, time::Duration};

use auren_agents::{BiometricEvent, ConversationEvent, InboxRecord, Rejected, TriggerEvent, events, events::Rejection};
use futures::future::BoxFuture;
use serde::de::DeserializeOwned;
use tokio::{
    sync::oneshot,
    task::{JoinError, JoinHandle},
    time::sleep,
};

use crate::{
    bus::{
        Begin, BusError, Commit, Cursor, Guarantee, Headers, Inlet, Join, Member, Record, SharedBus, Topic,
        Transaction, kafka::KafkaBus, kafka::KafkaSettings,
    },
    client::{ClientError, HandlerError},
};

/// Most records between two commits, where nothing else is said.
const BATCH: usize = 100;
/// How long a consumer waits before it joins again, the first time; later ones wait up to eight times as long.
const REJOIN_PAUSE: Duration = Duration::from_millis(500);

type Handler<E> = Box<dyn Fn(Received<E>) -> BoxFuture<'static, Result<(), HandlerError>> + Send + Sync>;
type OnRejected = Box<dyn Fn(RejectedRecord) -> BoxFuture<'static, ()> + Send + Sync>;

/// An event as a handler gets it.
#[derive(Debug, Clone)]
pub struct Received<E> {
    /// The event.
    pub event: E,
    /// Where it stands in its topic.
    pub cursor: Cursor,
    /// When it was written, in milliseconds since the epoch.
    pub timestamp_ms: i64,
    /// Its headers: CloudEvents attributes, and `traceparent` where there is one.
    pub headers: Headers,
}

/// A record that is no event of its topic.
#[derive(Debug, Clone)]
pub struct RejectedRecord {
    /// The record as it came. Its payload may be private: do not log it.
    pub record: Record,
    /// Which field is at fault, and why, without its value.
    pub why: Rejected,
}

/// Calls handlers for the events of the topics that they are for.
///
/// Handlers are called one after the other, in the order of the log within a partition. Offsets are committed after the
/// handlers ran: a record is handled at least once, and after a crash those since the last commit come again. Handlers
/// that act on the outside world should therefore know the event by its id.
///
/// - A record that cannot be read goes to the `on_rejected` handler and stops nothing.
/// - A handler that returns an error stops the consumer at that record; [`Consuming::stop`] and [`Consuming::ended`]
///   say where and why.
/// - A bus that is away for a while is waited for.
///
/// Start several with one group name, on as many machines, and the partitions are shared out among them.
pub struct EventConsumer {
    bus: SharedBus,
    join: Join,
    handlers: Handlers,
}

struct Handlers {
    biometric: Option<Handler<BiometricEvent>>,
    trigger: Option<Handler<TriggerEvent>>,
    conversation: Option<Handler<ConversationEvent>>,
    inbox: Option<Handler<InboxRecord>>,
    rejected: OnRejected,
}

impl EventConsumer {
    /// A consumer of a group that begins behind the newest record, with no handler yet.
    #[must_use]
    pub fn new(bus: SharedBus, group: impl Into<String>) -> Self {
        let join = Join {
            group: group.into(),
            member: format!("client-{:016x}", rand::random::<u64>()),
            topics: Vec::new(),
            begin: Begin::Latest,
            guarantee: Guarantee::AtLeastOnce,
            max_batch: BATCH,
        };
        let rejected = Box::new(|rejected: RejectedRecord| log(&rejected));
        let handlers = Handlers { biometric: None, trigger: None, conversation: None, inbox: None, rejected };
        Self { bus, join, handlers }
    }

    /// A consumer on a Kafka cluster. It connects when it is started.
    ///
    /// # Errors
    /// A property that librdkafka does not know, or a value it does not take.
    pub fn kafka(settings: KafkaSettings, group: impl Into<String>) -> Result<Self, BusError> {
        Ok(Self::new(Arc::new(KafkaBus::new(settings)?), group))
    }

    /// Where the group begins if it has never committed.
    #[must_use]
    pub fn begin(mut self, begin: Begin) -> Self {
        self.join.begin = begin;
        self
    }

    /// This consumer's own name in the group, stable over restarts and no other process's: with it a restart on Kafka
    /// takes over at once; with the random one it waits until the session of its former life has timed out.
    #[must_use]
    pub fn member(mut self, name: impl Into<String>) -> Self {
        self.join.member = name.into();
        self
    }

    /// Most records between two commits, at least 1.
    #[must_use]
    pub fn max_batch(mut self, records: usize) -> Self {
        self.join.max_batch = records.max(1);
        self
    }

    /// Reads `health.biometrics` with this handler.
    #[must_use]
    pub fn on_biometric<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(Received<BiometricEvent>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.handlers.biometric = Some(Box::new(move |received| Box::pin(handler(received))));
        self
    }

    /// Reads `triggers.detected` with this handler.
    #[must_use]
    pub fn on_trigger<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(Received<TriggerEvent>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.handlers.trigger = Some(Box::new(move |received| Box::pin(handler(received))));
        self
    }

    /// Reads `conversations.events` with this handler.
    #[must_use]
    pub fn on_conversation<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(Received<ConversationEvent>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.handlers.conversation = Some(Box::new(move |received| Box::pin(handler(received))));
        self
    }

    /// Reads `conversations.inbox` with this handler: what people say, stop, and have seen. A mark that something has been
    /// seen ([`InboxAction::Seen`](auren_agents::InboxAction)) names a place in `conversations.events`.
    #[must_use]
    pub fn on_inbox<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(Received<InboxRecord>) -> R + Send + Sync + 'static,
        R: Future<Output = Result<(), HandlerError>> + Send + 'static,
    {
        self.handlers.inbox = Some(Box::new(move |received| Box::pin(handler(received))));
        self
    }

    /// Hears of records that cannot be read. Without it they are logged, without what they hold.
    #[must_use]
    pub fn on_rejected<F, R>(mut self, handler: F) -> Self
    where
        F: Fn(RejectedRecord) -> R + Send + Sync + 'static,
        R: Future<Output = ()> + Send + 'static,
    {
        self.handlers.rejected = Box::new(move |rejected| Box::pin(handler(rejected)));
        self
    }

    /// Joins the group and begins to read, on the tokio runtime that it is called on.
    ///
    /// # Errors
    /// [`ClientError::NoHandler`], or the bus does not let it join. What the bus finds out later ends the consumer:
    /// [`Consuming::ended`] tells.
    pub fn start(mut self) -> Result<Consuming, ClientError> {
        self.join.topics = self.handlers.topics();
        if self.join.topics.is_empty() {
            return Err(ClientError::NoHandler);
        }
        let member = self.bus.join(self.join.clone())?;
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(self.run(member, stopped));
        Ok(Consuming { stop, task: Some(task) })
    }

    async fn run(self, mut member: Member, mut stop: oneshot::Receiver<()>) -> Result<(), ClientError> {
        let mut pause = REJOIN_PAUSE;
        loop {
            let error = match self.live(member, &mut stop, &mut pause).await? {
                End::Stopped => return Ok(()),
                End::Failed(error) => error,
            };
            if !passes(&error) {
                return Err(error.into());
            }
            tracing::warn!(group = %self.join.group, %error, "the consumer lost its membership and joins again");
            tokio::select! {
                _ = &mut stop => return Ok(()),
                () = sleep(pause) => {}
            }
            pause = (pause * 2).min(REJOIN_PAUSE * 8);
            member = self.bus.join(self.join.clone())?;
        }
    }

    /// One membership, from joining to its end.
    async fn live(
        &self,
        mut member: Member,
        stop: &mut oneshot::Receiver<()>,
        pause: &mut Duration,
    ) -> Result<End, ClientError> {
        loop {
            let event = tokio::select! {
                _ = &mut *stop => return Ok(End::Stopped),
                event = member.inlet.recv() => event,
            };
            match event {
                // There is no state to restore, and nothing is in flight between two batches.
                Some(Inlet::Assigned { ready, .. }) => drop(ready.send(())),
                Some(Inlet::Revoked { released, .. }) => drop(released.send(())),
                Some(Inlet::Batch(records)) => {
                    let (offsets, end) = self.work(records, stop).await;
                    if let Err(error) = commit(&member, offsets).await {
                        end?;
                        return Ok(End::Failed(error));
                    }
                    *pause = REJOIN_PAUSE;
                    if end? == Worked::Stopped {
                        return Ok(End::Stopped);
                    }
                }
                Some(Inlet::Failed(error)) => return Ok(End::Failed(error)),
                None => return Ok(End::Failed(BusError::Closed)),
            }
        }
    }

    /// Handles records until one fails or the consumer is stopped; says how far it came all the same.
    async fn work(
        &self,
        records: Vec<Record>,
        stop: &mut oneshot::Receiver<()>,
    ) -> (BTreeMap<(Topic, i32), i64>, Result<Worked, ClientError>) {
        let mut offsets = BTreeMap::new();
        for record in records {
            if !matches!(stop.try_recv(), Err(oneshot::error::TryRecvError::Empty)) {
                return (offsets, Ok(Worked::Stopped));
            }
            let (topic, cursor) = (record.topic, record.cursor());
            if let Err(source) = self.handlers.handle(record).await {
                return (offsets, Err(ClientError::Handler { topic, cursor, source }));
            }
            offsets.insert((topic, cursor.partition), cursor.offset + 1);
        }
        (offsets, Ok(Worked::All))
    }
}

impl Handlers {
    fn topics(&self) -> Vec<Topic> {
        let wanted = [
            (Topic::Biometrics, self.biometric.is_some()),
            (Topic::Triggers, self.trigger.is_some()),
            (Topic::Events, self.conversation.is_some()),
            (Topic::Inbox, self.inbox.is_some()),
        ];
        wanted.into_iter().filter_map(|(topic, wanted)| wanted.then_some(topic)).collect()
    }

    async fn handle(&self, record: Record) -> Result<(), HandlerError> {
        match record.topic {
            Topic::Biometrics => self.call(self.biometric.as_ref(), record).await,
            Topic::Triggers => self.call(self.trigger.as_ref(), record).await,
            Topic::Events => self.call(self.conversation.as_ref(), record).await,
            Topic::Inbox => self.call(self.inbox.as_ref(), record).await,
            // No other topic is read.
            _ => Ok(()),
        }
    }

    async fn call<E: DeserializeOwned>(
        &self,
        handler: Option<&Handler<E>>,
        record: Record,
    ) -> Result<(), HandlerError> {
        let Some(handler) = handler else { return Ok(()) };
        match read(&record) {
            Ok(event) => {
                let (cursor, timestamp_ms) = (record.cursor(), record.timestamp_ms);
                handler(Received { event, cursor, timestamp_ms, headers: record.headers }).await
            }
            Err(why) => {
                (self.rejected)(RejectedRecord { record, why }).await;
                Ok(())
            }
        }
    }
}

/// A consumer at work. Dropping it stops it too, without waiting until it has.
#[derive(Debug)]
pub struct Consuming {
    stop: oneshot::Sender<()>,
    /// None once it has ended and said why.
    task: Option<JoinHandle<Result<(), ClientError>>>,
}

impl Consuming {
    /// Stops after the record that is being handled, commits, and leaves the group.
    ///
    /// # Errors
    /// Why it had ended before, where [`Consuming::ended`] has not said so yet: a handler's error, or one of the bus.
    pub async fn stop(mut self) -> Result<(), ClientError> {
        let (dropped, _) = oneshot::channel();
        // It may have ended by itself.
        let _ = std::mem::replace(&mut self.stop, dropped).send(());
        self.ended().await
    }

    /// Waits until it ends by itself, which it does only for an error.
    ///
    /// # Errors
    /// Why it ended.
    pub async fn ended(&mut self) -> Result<(), ClientError> {
        let Some(task) = &mut self.task else { return Ok(()) };
        let end = task.await;
        self.task = None;
        end.unwrap_or_else(|error| Err(ended(&error)))
    }
}

/// How a membership ends.
enum End {
    Stopped,
    Failed(BusError),
}

#[derive(PartialEq, Eq)]
enum Worked {
    All,
    Stopped,
}

async fn commit(member: &Member, offsets: BTreeMap<(Topic, i32), i64>) -> Result<(), BusError> {
    if offsets.is_empty() {
        return Ok(());
    }
    let (done, answer) = oneshot::channel();
    let transaction = Transaction { outputs: Vec::new(), offsets };
    member.outlet.send(Commit { transaction, done }).await.map_err(|_| BusError::Closed)?;
    answer.await.map_err(|_| BusError::Closed)?.map(|_| ())
}

/// Whether joining again may help.
fn passes(error: &BusError) -> bool {
    match error {
        BusError::Unreachable { .. } | BusError::NotCommitted { .. } | BusError::Stalled { .. } | BusError::Closed => {
            true
        }
        BusError::TopicMissing { .. } | BusError::NotCoPartitioned { .. } | BusError::TooLarge { .. } => false,
        BusError::Refused { .. } | BusError::NotLetIn { .. } | BusError::Fenced { .. } | BusError::Storage { .. } => {
            false
        }
    }
}

fn read<E: DeserializeOwned>(record: &Record) -> Result<E, Rejected> {
    match record.payload.as_deref() {
        Some(payload) => events::parse(payload),
        None => {
            Err(Rejected { class: Rejection::WrongShape, field: "record".to_owned(), why: "has no payload".to_owned() })
        }
    }
}

fn log(rejected: &RejectedRecord) -> BoxFuture<'static, ()> {
    let (record, why) = (&rejected.record, &rejected.why);
    tracing::warn!(topic = %record.topic, cursor = %record.cursor(), %why, "a record cannot be read and is passed over");
    Box::pin(std::future::ready(()))
}

fn ended(error: &JoinError) -> ClientError {
    let why = if error.is_panic() { "a handler panicked" } else { "its runtime was shut down" };
    ClientError::Ended { why: why.to_owned() }
}
