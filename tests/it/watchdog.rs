//! A worker to whom nothing comes although records wait begins again, and no other does.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst},
    },
};

use async_trait::async_trait;
use auren::{
    app::Running,
    bus::{
        Bus, BusError, Cursor, Facts, Inlet, Join, Member, Outgoing, Read, Record, SharedBus, Topic, TopicInfo,
        TopicSpec,
    },
    config::Role,
};
use tokio::sync::{Notify, mpsc};

use crate::support::{Kind, River, mission_trigger, on_system, settled, speakers, until};

/// A real bus whose members can be made deaf or dumb: batches do not reach the role, or commits do not reach the bus.
#[derive(Debug)]
struct Impaired {
    bus: SharedBus,
    /// Memberships that were begun.
    joins: AtomicUsize,
    /// The first membership hears no batch.
    deaf: bool,
    /// While it is set, no commit is passed on.
    dumb: Arc<AtomicBool>,
    held_up: Arc<Notify>,
}

impl Impaired {
    fn new(bus: &SharedBus, deaf: bool, dumb: bool) -> Arc<Self> {
        Arc::new(Self {
            bus: Arc::clone(bus),
            joins: AtomicUsize::new(0),
            deaf,
            dumb: Arc::new(AtomicBool::new(dumb)),
            held_up: Arc::default(),
        })
    }
}

#[async_trait]
impl Bus for Impaired {
    fn describe(&self) -> String {
        self.bus.describe()
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, BusError> {
        self.bus.topics().await
    }

    async fn create_topics(&self, specs: &[TopicSpec]) -> Result<Vec<Topic>, BusError> {
        self.bus.create_topics(specs).await
    }

    async fn publish(&self, records: Vec<Outgoing>) -> Vec<Result<Cursor, BusError>> {
        self.bus.publish(records).await
    }

    async fn watermarks(&self, topic: Topic) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
        self.bus.watermarks(topic).await
    }

    async fn committed(&self, group: &str, topic: Topic) -> Result<BTreeMap<i32, i64>, BusError> {
        self.bus.committed(group, topic).await
    }

    async fn facts(&self) -> Result<Facts, BusError> {
        self.bus.facts().await
    }

    fn read(&self, read: Read) -> mpsc::Receiver<Result<Vec<Record>, BusError>> {
        self.bus.read(read)
    }

    fn join(&self, join: Join) -> Result<Member, BusError> {
        let deaf = self.joins.fetch_add(1, SeqCst) == 0 && self.deaf;
        let Member { inlet: mut real, outlet: commits } = self.bus.join(join)?;
        let (hear, inlet) = mpsc::channel(2);
        let (outlet, mut told) = mpsc::channel(1);
        tokio::spawn(async move {
            loop {
                tokio::select! {
                    news = real.recv() => match news {
                        Some(Inlet::Batch(_)) if deaf => {}
                        Some(news) => match hear.send(news).await {
                            Ok(()) => {}
                            Err(_) => return,
                        },
                        None => return,
                    },
                    () = hear.closed() => return,
                }
            }
        });
        let (dumb, held_up) = (Arc::clone(&self.dumb), Arc::clone(&self.held_up));
        tokio::spawn(async move {
            while let Some(commit) = told.recv().await {
                while dumb.load(SeqCst) {
                    held_up.notified().await;
                }
                if commits.send(commit).await.is_err() {
                    return;
                }
            }
        });
        Ok(Member { inlet, outlet })
    }
}

/// A river whose hubs have these roles and a watchdog of one second.
async fn river(kind: Kind, roles: &[Role]) -> River {
    let mut river = River::open(kind).await.roles(roles);
    river.config.lanes.watchdog_seconds = 1;
    river
}

async fn a_worker_to_whom_nothing_comes_begins_again(kind: Kind) {
    let river = river(kind, &[Role::Converse]).await;
    let bus = Impaired::new(&river.stage.bus, true, false);
    let hub = river.hub_on(bus.clone()).await;
    let stats = hub.stats(Role::Converse).unwrap();
    river.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
    until("the watchdog bites", || async { stats.totals().stalls == 1 }).await;
    settled(&hub).await;
    assert_eq!(speakers(&river.said().await), ["neuroscientist", "coach"]);
    let totals = stats.totals();
    assert_eq!((totals.stalls, totals.rejoins, bus.joins.load(SeqCst)), (1, 1, 2));
    hub.stop().await;
}

#[test]
fn a_worker_to_whom_nothing_comes_begins_again_on_the_embedded_bus() {
    on_system(a_worker_to_whom_nothing_comes_begins_again(Kind::Embedded));
}

#[test]
fn a_worker_to_whom_nothing_comes_begins_again_on_kafka() {
    on_system(a_worker_to_whom_nothing_comes_begins_again(Kind::Kafka));
}

/// Two sound workers beside each other: one has nothing to do, the other waits for a commit, both for longer than the
/// watchdog's patience. What the time is measured by is a third, a deaf one, that is bitten meanwhile.
#[test]
fn a_worker_that_is_idle_or_waits_for_its_commit_goes_on() {
    on_system(async {
        let waiting = river(Kind::Embedded, &[Role::Converse]).await;
        let dumb = Impaired::new(&waiting.stage.bus, false, true);
        let waits = waiting.hub_on(dumb.clone()).await;
        // The markers of its transactions are nothing that waits.
        let idle = river(Kind::Kafka, &[Role::Detect, Role::Converse]).await;
        let idles = idle.hub_on(idle.stage.bus.clone()).await;
        idle.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
        settled(&idles).await;
        waiting.json(Topic::Triggers, "user_hash", &mission_trigger()).await;

        for _ in 0..2 {
            let clock = river(Kind::Embedded, &[Role::Converse]).await;
            let deaf = clock.hub_on(Impaired::new(&clock.stage.bus, true, false)).await;
            clock.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
            until("the clock's watchdog bites", || async { deaf.stats(Role::Converse).unwrap().totals().stalls == 1 })
                .await;
            deaf.stop().await;
        }
        let of = |hub: &Running, role| hub.stats(role).unwrap().totals();
        assert_eq!(of(&waits, Role::Converse).commits, 0);
        dumb.dumb.store(false, SeqCst);
        dumb.held_up.notify_one();
        settled(&waits).await;
        for (hub, role) in [(&waits, Role::Converse), (&idles, Role::Converse), (&idles, Role::Detect)] {
            assert_eq!((of(hub, role).stalls, of(hub, role).rejoins), (0, 0), "{role:?}");
        }
        assert_eq!(waiting.said().await.len(), 2);
        waits.stop().await;
        idles.stop().await;
    });
}
