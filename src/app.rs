//! Wiring: a hub is a bus, keys, agents and the roles that run on them; what starts last stops first.
//!
//! ```no_run
//! use auren::app::Hub;
//! use auren_agents::{Advice, Agent, AgentCard, AgentError, Consult};
//!
//! #[derive(Clone)]
//! struct Sleeper;
//!
//! impl Agent for Sleeper {
//!     fn card(&self) -> AgentCard {
//!         AgentCard::new("sleeper", "0.1.0", "Says good night.").topics(["night"])
//!     }
//!
//!     async fn consult(&self, consult: Consult) -> Result<Advice, AgentError> {
//!         Ok(Advice::say(format!("Good night, after {} readings.", consult.recent.len())))
//!     }
//! }
//!
//! fn main() -> Result<(), auren::app::HubError> {
//!     actix::System::new().block_on(async { Hub::builder().agent(Sleeper).serve().await })
//! }
//! ```

mod builder;
mod gateway;
mod open;
mod rules;
mod settle;
mod witness;

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc, time::Duration};

use actix::Arbiter;
use auren_agents::SystemEvent;
use tokio::sync::{mpsc, watch};

use crate::{
    bus::{BusError, SharedBus},
    config::{BusKind, Config, ConfigError, Role},
    consult::{Agents, Hosted},
    converse::Converse,
    detect::{Detect, Problem},
    enrich::Enrich,
    gateway::{Gateway, GatewayError, RoleWatch, Watches},
    guarantee,
    lane::{LaneStats, Parking, Processor, Worker, WorkerSettings},
    phi::{KeyError, Keys},
    project::{self, ProjectError, ProjectStats},
    provisional::Provisional,
    wire,
};

pub use builder::HubBuilder;
pub use open::{check_master, connect, create_topics, open_keys, snapshots, with_configured};
pub use witness::{sign_audit, signed_audits};

/// How long stopping may take: what is in flight is committed within it.
const STOP_LIMIT: Duration = Duration::from_secs(25);

/// Why a hub does not run.
#[derive(Debug, thiserror::Error)]
pub enum HubError {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The bus.
    #[error(transparent)]
    Bus(#[from] BusError),
    /// The master key.
    #[error(transparent)]
    Keys(#[from] KeyError),
    /// The HTTP server.
    #[error(transparent)]
    Gateway(#[from] GatewayError),
    /// The history.
    #[error(transparent)]
    History(#[from] ProjectError),
    /// A rule.
    #[error("rules: {0}")]
    Rules(#[from] Problem),
}

/// A hub that is put together and does not run yet.
#[derive(Debug)]
pub struct Hub {
    config: Config,
    bus: SharedBus,
    /// There where a role needs them.
    keys: Option<Keys>,
    agents: Agents,
}

impl Hub {
    /// A hub with the built-in agents, configured as the environment and `auren.toml` say.
    #[must_use]
    pub fn builder() -> HubBuilder {
        HubBuilder::default()
    }

    /// Starts the roles and returns once their workers have been spawned. It must be called within an actix `System`.
    ///
    /// # Errors
    /// [`HubError::Bus`] where the bus cannot be reached or its topics are missing or not co-partitioned;
    /// [`HubError::Gateway`] where the HTTP server's address cannot be had, or the key for tokens cannot be read;
    /// [`HubError::History`] where `project.url` is no address of a database.
    pub async fn start(self) -> Result<Running, HubError> {
        let Self { config, bus, keys, agents } = self;
        if config.bus.kind == BusKind::Embedded {
            create_topics(&bus, &config).await?;
        }
        bus.partitions().await?;
        open::topics_of_agents(&bus, &config).await?;
        let snapshots = snapshots(&config)?;
        let (stop, stopped) = watch::channel(false);
        let watched = |role: &Role| RoleWatch {
            role: *role,
            stats: Arc::new(LaneStats::default()),
            workers: config.lanes.threads_per_role,
        };
        let on_lanes: Vec<_> = config.node.roles.iter().copied().filter(|role| Role::ON_LANES.contains(role)).collect();
        let watched: Vec<_> = on_lanes.iter().map(watched).collect();
        let facts = guarantee::watch(Arc::clone(&bus), on_lanes);
        let cards = agents.cards();
        let agents = agents.hosted(config.converse.consults()).noting(Arc::clone(&bus));
        let history = open::project(&config).map(|settings| (settings, Arc::new(ProjectStats::default())));
        let projector = history.as_ref().map(|(_, stats)| Arc::clone(stats));
        let rules =
            if config.node.roles.contains(&Role::Detect) { Some(rules::in_force(&bus, &config).await?) } else { None };
        // Who looks on comes over HTTP, here or at another node.
        let relay = snapshots.as_ref().map(|snapshots| open::relay(&config, snapshots));
        let shown = !config.http.address.is_empty() || relay.is_some();
        let provisional = if shown { Provisional::shown() } else { Provisional::hidden() };
        let watches = Watches {
            roles: watched.clone(),
            agents: agents.clone(),
            projector: projector.clone(),
            chat: None,
            relay: relay.is_some().then(|| provisional.clone()),
            rules: rules.clone().map(rules::seen),
            facts,
            refusals: Arc::default(),
            published: None,
        };
        let inside = gateway::Inside {
            bus: &bus,
            keys: keys.as_ref(),
            watches,
            cards: cards.clone(),
            provisional: provisional.clone(),
            stopping: stopped.clone(),
        };
        let gateway = gateway::open(&config, inside).await?;
        let (ended, ends) = mpsc::channel(config.node.roles.len() * config.lanes.threads_per_role);
        let mut running = Running {
            bus,
            node: config.node.id.clone(),
            agents: agents.clone(),
            stats: watched.iter().map(|watch| (watch.role, Arc::clone(&watch.stats))).collect(),
            projector,
            gateway,
            stop,
            ends,
            arbiters: Vec::new(),
            working: 0,
        };
        let talk = config.converse.talk(cards);
        for RoleWatch { role, stats, workers } in &watched {
            for thread in 0..*workers {
                let spawn = Spawn {
                    bus: Arc::clone(&running.bus),
                    settings: WorkerSettings {
                        member: format!("{}-{}-{thread}", config.node.id, role.name()),
                        max_batch: config.lanes.max_batch,
                        max_resident: config.lanes.max_resident,
                        snapshots: snapshots.clone(),
                        parking: Parking {
                            after: config.lanes.park_after,
                            pause: Duration::from_millis(config.lanes.park_ms),
                        },
                        stalled_after: Duration::from_secs(config.lanes.watchdog_seconds),
                        session: Duration::from_millis(config.kafka.session_timeout_ms),
                    },
                    stats: Arc::clone(stats),
                    stopped: stopped.clone(),
                    ended: ended.clone(),
                };
                let arbiter = Arbiter::new();
                match role {
                    Role::Enrich => {
                        let keys = keys.clone().expect("a hub that enriches is built with keys");
                        let enrich = Enrich::new(keys, config.phi.profile);
                        spawn.on(&arbiter, move || enrich);
                    }
                    Role::Detect => {
                        let detect = Detect::new(rules.clone().expect("a hub that detects has rules"));
                        spawn.on(&arbiter, move || detect);
                    }
                    Role::Converse => {
                        let (talk, agents, provisional) = (talk.clone(), agents.clone(), provisional.clone());
                        spawn.on(&arbiter, move || Converse::new(talk, agents.open_desk(), provisional));
                    }
                    Role::Project => unreachable!("it has no lanes"),
                }
                running.arbiters.push(arbiter);
                running.working += 1;
            }
        }
        if let Some((settings, stats)) = history {
            let (bus, stopped) = (Arc::clone(&running.bus), stopped.clone());
            tokio::spawn(async move {
                project::run(bus, settings, stats, stopped).await;
                // A node that does nothing else goes on as long as this does.
                drop(ended);
            });
        }
        if let Some(relay) = relay {
            tokio::spawn(provisional.relay(relay, stopped.clone()));
        }
        if let Some(keys) = keys {
            tokio::spawn(witness::witness(Arc::clone(&running.bus), keys, running.node.clone(), stopped.clone()));
        }
        let agents: Vec<_> = talk.cards.iter().map(|card| card.id.as_str()).collect();
        let roles: Vec<_> = config.node.roles.iter().map(|role| role.name()).collect();
        tracing::info!(node = %running.node, bus = %running.bus.describe(), ?roles, ?agents, "hub started");
        running.tell("hub_started").await;
        Ok(running)
    }
}

/// A hub at work.
#[derive(Debug)]
pub struct Running {
    bus: SharedBus,
    node: String,
    agents: Hosted,
    stats: BTreeMap<Role, Arc<LaneStats>>,
    projector: Option<Arc<ProjectStats>>,
    /// None where the configuration wants no HTTP server.
    gateway: Option<Gateway>,
    stop: watch::Sender<bool>,
    ends: mpsc::Receiver<Result<(), BusError>>,
    arbiters: Vec<Arbiter>,
    /// Workers that have not ended.
    working: usize,
}

impl Running {
    /// The bus it works on.
    #[must_use]
    pub fn bus(&self) -> &SharedBus {
        &self.bus
    }

    /// What a role of this node has done on its lanes; none where it does not run here, or has none.
    #[must_use]
    pub fn stats(&self, role: Role) -> Option<Arc<LaneStats>> {
        self.stats.get(&role).cloned()
    }

    /// What the role `project` of this node has done; none where it does not run here.
    #[must_use]
    pub fn projector(&self) -> Option<Arc<ProjectStats>> {
        self.projector.clone()
    }

    /// The agents of this node, and how they do.
    #[must_use]
    pub fn agents(&self) -> &Hosted {
        &self.agents
    }

    /// Where its HTTP server listens; none where it has none.
    #[must_use]
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.gateway.as_ref().map(Gateway::address)
    }

    /// Waits until everything that is on the bus now has been worked, with all that follows from it.
    ///
    /// # Errors
    /// [`BusError`] where the bus does not answer.
    pub async fn settled(&self) -> Result<(), BusError> {
        settle::settled(&self.bus, &self.stats).await
    }

    /// Works until `end` comes, or a worker gives up; then stops.
    ///
    /// # Errors
    /// [`HubError::Bus`] where a worker gave up.
    pub async fn until(mut self, end: impl Future<Output = ()>) -> Result<(), HubError> {
        let gave_up = tokio::select! {
            () = end => None,
            end = self.ends.recv() => end,
        };
        self.working -= usize::from(gave_up.is_some());
        self.stop().await;
        gave_up.unwrap_or(Ok(())).map_err(HubError::Bus)
    }

    /// Commits what is in flight, releases the partitions, ends the threads, and at last the HTTP server, which has told of
    /// it so long.
    pub async fn stop(mut self) {
        self.tell("hub_stopped").await;
        // Nobody listening means that every worker has ended.
        let _ = self.stop.send(true);
        let all = async {
            for _ in 0..self.working {
                if let Some(Err(error)) = self.ends.recv().await {
                    tracing::error!(%error, "a worker ended with an error");
                }
            }
        };
        if tokio::time::timeout(STOP_LIMIT, all).await.is_err() {
            tracing::warn!(
                limit_s = STOP_LIMIT.as_secs(),
                "stopping took too long; what was in flight is worked again"
            );
        }
        for arbiter in &self.arbiters {
            arbiter.stop();
        }
        if let Some(gateway) = self.gateway {
            gateway.stop().await;
        }
        tracing::info!(node = %self.node, "hub stopped");
    }

    /// Says on `system.events` what happens to this node. Nothing depends on it.
    async fn tell(&self, what: &str) {
        let event = SystemEvent::now(what, &self.node, &self.node, serde_json::json!({}));
        let told =
            tokio::time::timeout(Duration::from_secs(5), self.bus.publish_all(vec![wire::outgoing(&event)])).await;
        if !matches!(told, Ok(Ok(()))) {
            tracing::warn!(what, "a system event could not be written");
        }
    }
}

struct Spawn {
    bus: SharedBus,
    settings: WorkerSettings,
    stats: Arc<LaneStats>,
    stopped: watch::Receiver<bool>,
    ended: mpsc::Sender<Result<(), BusError>>,
}

impl Spawn {
    fn on<P: Processor>(self, arbiter: &Arbiter, processor: impl FnOnce() -> P + Send + 'static) {
        arbiter.spawn_fn(move || {
            let member = self.settings.member.clone();
            let worker = Worker::new(self.bus, processor(), self.settings, self.stats);
            let working = actix::spawn(worker.run(self.stopped));
            actix::spawn(async move {
                // A node must not go on without a worker that panicked, as if nothing were amiss.
                let panicked = |_| Err(BusError::NotCommitted { member, why: "its worker panicked".to_owned() });
                let end = working.await.unwrap_or_else(panicked);
                // A hub that is gone needs no word.
                let _ = self.ended.send(end).await;
            });
        });
    }
}

/// Ends when the process is told to.
pub async fn told_to_end() {
    let interrupted = async {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    #[cfg(unix)]
    let terminated = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(_) => std::future::pending().await,
        }
    };
    #[cfg(not(unix))]
    let terminated = std::future::pending::<()>();
    tokio::select! {
        () = interrupted => {}
        () = terminated => {}
    }
}
