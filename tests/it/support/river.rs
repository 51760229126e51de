//! The river as a test sees it: hubs on a stage of its own, what goes in, and what is said.
//!
//! A hub runs on the actix system of the test's thread ([`on_system`]), or [`Apart`] on one of its own that can be ended
//! in the middle of whatever it does.

use std::{future::Future, net::SocketAddr, thread};

use actix::System;
use auren::{
    app::{Hub, Running},
    bus::{Headers, Outgoing, Record, SharedBus, Topic},
    config::{BusKind, Config, Role},
    consult::Agents,
    demo::DataSet,
    intake::SealedReading,
    phi::Keys,
    simulate::Settings,
    wearable::Row,
    wire::{self, Wire},
};
use auren_agents::{ConversationEvent, MessageType, events};
use serde_json::Value;
use tokio::sync::oneshot;

use super::{DEADLINE, Ear, Kind, Stage, keyed, within};

/// An empty bus with the topics of the river, and how hubs on it are configured.
pub struct River {
    pub stage: Stage,
    pub config: Config,
    pub agents: Agents,
    pub keys: Keys,
}

impl River {
    pub async fn open(kind: Kind) -> Self {
        Self::without(kind, &[]).await
    }

    /// All topics but these, which the test creates itself.
    pub async fn without(kind: Kind, topics: &[Topic]) -> Self {
        Self::on(Stage::open(kind).await, topics).await
    }

    /// On an empty stage: all topics but these, which the test creates itself.
    pub async fn on(stage: Stage, topics: &[Topic]) -> Self {
        let created: Vec<_> = Topic::ALL.iter().copied().filter(|topic| !topics.contains(topic)).collect();
        stage.create(&created, 2).await;
        let mut config = Config::default();
        // The bus is given, and its topics are there.
        config.bus.kind = BusKind::Kafka;
        config.node.roles = auren::config::Role::ON_LANES.to_vec();
        // Tests run beside each other; one that wants a server takes a free port.
        config.http.address.clear();
        // Nor does a test keep a secret in the folder it runs in.
        config.tokens.secret = Some("a secret that everybody knows, for tests".to_owned().into());
        Self { stage, config, agents: Agents::built_in(), keys: Keys::ephemeral("tests") }
    }

    /// Hubs run only these roles.
    pub fn roles(mut self, roles: &[Role]) -> Self {
        self.config.node.roles = roles.to_vec();
        self
    }

    /// Hubs have these agents.
    pub fn agents(mut self, agents: Agents) -> Self {
        self.agents = agents;
        self
    }

    /// Starts a hub.
    pub async fn hub(&self) -> Running {
        self.node("node-1").await
    }

    /// Starts a hub of this name.
    pub async fn node(&self, id: &str) -> Running {
        let mut config = self.config.clone();
        config.node.id = id.to_owned();
        start(config, self.stage.bus.clone(), self.keys.clone(), self.agents.clone()).await
    }

    /// Starts a hub on another way to the same log.
    pub async fn hub_on(&self, bus: SharedBus) -> Running {
        start(self.config.clone(), bus, self.keys.clone(), self.agents.clone()).await
    }

    /// Starts a hub with an HTTP server on a free port.
    pub async fn served(&mut self) -> (Running, SocketAddr) {
        self.config.http.address = "127.0.0.1:0".to_owned();
        let hub = self.hub().await;
        let address = hub.http_address().unwrap();
        (hub, address)
    }

    /// Starts a hub on a system of its own.
    pub async fn apart(&self) -> Apart {
        let (config, bus, keys, agents) =
            (self.config.clone(), self.stage.bus.clone(), self.keys.clone(), self.agents.clone());
        let (started, system) = oneshot::channel();
        let thread = thread::spawn(move || {
            let runner = System::new();
            let running = runner.block_on(start(config, bus, keys, agents));
            started.send(System::current()).unwrap();
            runner.run().unwrap();
            drop(running);
        });
        Apart { system: within(system).await.unwrap(), thread }
    }

    /// Publishes records of the river.
    pub async fn send<E: Wire>(&self, events: &[E]) {
        self.stage.publish(events.iter().map(wire::outgoing).collect()).await;
    }

    /// Publishes JSON as an outside producer does: a key and a payload, nothing else.
    pub async fn json(&self, topic: Topic, key: &str, json: &Value) {
        self.stage.publish(vec![keyed(topic, key, &json.to_string())]).await;
    }

    /// Seals readings and publishes them.
    pub async fn read(&self, rows: &[Row]) {
        let mut sealed = Vec::new();
        for row in rows {
            sealed.push(self::sealed(&self.keys, row).await);
        }
        self.send(&sealed).await;
    }

    /// Listens to the conversation from its beginning.
    pub fn listen(&self) -> Ear {
        Ear::on(&*self.stage.bus)
    }

    /// The whole conversation, in order of time, then of user, then as it was written.
    pub async fn said(&self) -> Vec<ConversationEvent> {
        let mut said: Vec<_> =
            self.stage.all(Topic::Events).await.iter().map(|record| (event(record), record.offset)).collect();
        said.sort_by(|(one, at), (other, then)| {
            (one.timestamp.millis(), &one.user_id, at).cmp(&(other.timestamp.millis(), &other.user_id, then))
        });
        said.into_iter().map(|(event, _)| event).collect()
    }
}

/// A reading, sealed under its person's key.
pub async fn sealed(keys: &Keys, row: &Row) -> SealedReading {
    SealedReading::seal(row, &keys.make(&row.user, 1).await.unwrap()).unwrap()
}

async fn start(config: Config, bus: SharedBus, keys: Keys, agents: Agents) -> Running {
    let hub = Hub::builder().config(config).bus(bus).keys(keys).agents(agents).build().await.unwrap();
    hub.start().await.unwrap()
}

/// A hub on a system of its own.
pub struct Apart {
    system: System,
    thread: thread::JoinHandle<()>,
}

impl Apart {
    /// Ends its threads wherever they are: nothing is finished, nothing is committed, nobody is told.
    pub fn abandon(self) {
        self.system.stop();
        self.thread.join().unwrap();
    }
}

/// Runs a test on an actix system, as hubs need one.
pub fn on_system(test: impl Future<Output = ()>) {
    System::new().block_on(async {
        match tokio::time::timeout(DEADLINE * 3, test).await {
            Ok(()) => {}
            Err(_) => panic!("the test hangs"),
        }
    });
}

/// Waits until a hub has worked everything.
pub async fn settled(hub: &Running) {
    within(hub.settled()).await.unwrap();
}

/// The conversation event of a record.
pub fn event(record: &Record) -> ConversationEvent {
    assert_eq!(record.topic, Topic::Events);
    let event: ConversationEvent = events::parse(record.payload.as_deref().unwrap()).unwrap();
    assert_eq!(record.key.as_deref(), Some(event.user_id.as_str().as_bytes()), "an event is keyed by its user");
    assert_eq!(record.header("ce_id"), Some(event.event_id.as_str()));
    event
}

/// Who said what kind of thing: `coach`, `user: …` and `auren says code` in short.
pub fn speakers(said: &[ConversationEvent]) -> Vec<String> {
    let short = |event: &ConversationEvent| match event.message_type {
        MessageType::SpecialistResponse => event.specialist_id.to_string(),
        MessageType::UserInput => "user".to_owned(),
        MessageType::SystemMessage => {
            format!("{}: {}", event.specialist_id, event.metadata.code.as_deref().unwrap_or_default())
        }
    };
    said.iter().map(short).collect()
}

/// A small data set that has everything: triggers of both kinds, and questions.
pub fn data_set() -> DataSet {
    DataSet::of(&Settings { users: 4, days: 42, seed: 1, ..Settings::default() }).unwrap()
}

/// A record of these parts, as a careless producer makes one.
pub fn careless(topic: Topic, partition: Option<i32>, key: Option<&[u8]>, payload: Option<&[u8]>) -> Outgoing {
    let bytes = |part: &[u8]| bytes::Bytes::copy_from_slice(part);
    Outgoing { topic, partition, key: key.map(bytes), payload: payload.map(bytes), headers: Headers::new() }
}
