//! A user whose turns keep failing is parked alone: nobody else is held up, nothing is lost, and what was put aside comes
//! back once the cause is mended.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use actix::{Actor, AtomicResponse, Context, Handler, WrapFuture};
use auren::{
    bus::{BusError, Topic},
    config::Role,
    lane::{
        DeadLetter, Effects, LaneStats, Lates, Parking, Processor, Refusal, Stimulus, Wake, Worker, WorkerSettings,
    },
};
use auren_agents::UserId;
use bytes::Bytes;
use tokio::{
    sync::{Semaphore, watch},
    task::JoinHandle,
};

use crate::support::{DEADLINE, River, keyed, placed, settled, trigger, until, within};

/// A role whose turns fail over one user while they are told to.
#[derive(Clone)]
struct Fragile {
    records_fail: Arc<AtomicBool>,
    lates_fail: Arc<AtomicBool>,
    times_fail: Arc<AtomicBool>,
    /// Lets so much through that comes late.
    gate: Arc<Semaphore>,
    turns: Arc<AtomicUsize>,
}

struct Session {
    user: UserId,
    role: Fragile,
    /// How many turns it has had; saved.
    turns: u8,
    lates: Lates<()>,
}

impl Actor for Session {
    type Context = Context<Self>;
}

/// Sent by the worker. A record that says so leaves something open, which comes late, or waits for a time, which has come.
impl Handler<Stimulus<()>> for Session {
    type Result = AtomicResponse<Self, Result<Effects, Refusal>>;

    fn handle(&mut self, stimulus: Stimulus<()>, ctx: &mut Self::Context) -> Self::Result {
        self.role.turns.fetch_add(1, Relaxed);
        let fails = |told: &AtomicBool| self.user.as_str() == "u-1" && told.load(Relaxed);
        let (mut open, mut wake) = (false, None);
        match &stimulus {
            Stimulus::Record(input) => {
                assert!(!fails(&self.role.records_fail), "the test wants it");
                open = input.payload.starts_with(b"wait");
                wake = input.payload.starts_with(b"wake").then_some(Wake { at: input.written_ms, timing: 0 });
            }
            Stimulus::Resumed => open = true,
            Stimulus::Time(_) => assert!(!fails(&self.role.times_fail), "the test wants it"),
            Stimulus::Late(()) => assert!(!fails(&self.role.lates_fail), "the test wants it"),
        }
        if open {
            let (lates, user, gate) = (self.lates.clone(), self.user.clone(), Arc::clone(&self.role.gate));
            let late = async move {
                gate.acquire().await.unwrap().forget();
                lates.bring(user, ()).await;
            };
            actix::AsyncContext::spawn(ctx, late.into_actor(self));
        }
        self.turns += 1;
        let outputs = match stimulus {
            Stimulus::Record(_) => vec![keyed(Topic::Triggers, self.user.as_str(), "heard")],
            Stimulus::Late(()) => vec![keyed(Topic::Triggers, self.user.as_str(), "at last")],
            Stimulus::Time(_) => vec![keyed(Topic::Triggers, self.user.as_str(), "in time")],
            Stimulus::Resumed => Vec::new(),
        };
        let effects = Effects { outputs, state: Some(Bytes::copy_from_slice(&[self.turns])), open, wake, trace: None };
        AtomicResponse::new(Box::pin(actix::fut::ready(Ok(effects))))
    }
}

impl Processor for Fragile {
    type Late = ();
    type Session = Session;

    fn role(&self) -> Role {
        Role::Detect
    }

    fn open(&self, user: &UserId, saved: Option<&[u8]>, lates: Lates<()>) -> Result<Session, Refusal> {
        assert!(user.as_str() != "u-0", "the test wants it");
        let turns = saved.and_then(|saved| saved.first()).copied().unwrap_or(0);
        Ok(Session { user: user.clone(), role: self.clone(), turns, lates })
    }
}

/// A worker of a fragile role, and how to stop it.
struct Working {
    role: Fragile,
    stats: Arc<LaneStats>,
    stop: watch::Sender<bool>,
    end: JoinHandle<Result<(), BusError>>,
}

impl Working {
    fn on(river: &River, pause: Duration) -> Self {
        let role = Fragile {
            records_fail: Arc::new(AtomicBool::new(true)),
            lates_fail: Arc::default(),
            times_fail: Arc::default(),
            gate: Arc::new(Semaphore::new(0)),
            turns: Arc::default(),
        };
        let (stop, stopped) = watch::channel(false);
        let stats = Arc::new(LaneStats::default());
        let settings = WorkerSettings {
            member: "fragile".to_owned(),
            max_batch: 100,
            snapshots: None,
            stalled_after: DEADLINE,
            session: DEADLINE,
            max_resident: 100,
            parking: Parking { after: 3, pause },
        };
        let worker = Worker::new(river.stage.bus.clone(), role.clone(), settings, Arc::clone(&stats));
        Self { role, stats, stop, end: actix::spawn(worker.run(stopped)) }
    }

    async fn has_worked(&self, records: u64) {
        until("the records are worked", || async {
            let totals = self.stats.totals();
            totals.records == records && totals.open == 0 && totals.unfinished == 0
        })
        .await;
    }

    async fn stop(self) {
        assert_eq!(self.stats.totals().rejoins, 0, "no turn ends a worker's life");
        self.stop.send(true).unwrap();
        within(self.end).await.unwrap().unwrap();
    }
}

/// How many dead letters of each class there are.
async fn letters(river: &River, topic: Topic) -> BTreeMap<String, usize> {
    let mut classes = BTreeMap::new();
    for letter in river.stage.all(topic).await {
        *classes.entry(letter.header("auren-dlq-class").unwrap().to_owned()).or_default() += 1;
    }
    classes
}

async fn heard(river: &River, user: &str) -> usize {
    let of = |record: &&auren::bus::Record| record.key.as_deref() == Some(user.as_bytes());
    river.stage.all(Topic::Triggers).await.iter().filter(of).count()
}

fn word(user: &str, text: &str) -> auren::bus::Outgoing {
    keyed(Topic::Biometrics, user, text)
}

pub async fn a_user_whose_turns_panic_is_parked_alone_and_comes_back(river: River) {
    let working = Working::on(&river, Duration::from_secs(3600));
    let both = (0..10).flat_map(|_| [word("u-1", "hello"), word("u-2", "hello")]);
    river.stage.publish(both.collect()).await;
    working.has_worked(20).await;
    assert_eq!((heard(&river, "u-1").await, heard(&river, "u-2").await), (0, 10));
    let classes = letters(&river, Topic::BiometricsDlq).await;
    assert_eq!(classes, BTreeMap::from([("turn_failed".to_owned(), 3), ("parked".to_owned(), 7)]));
    assert_eq!((working.stats.totals().parked, working.role.turns.load(Relaxed)), (1, 13));
    working.stop().await;

    // The cause is mended, and the worker that comes next tries everybody once more.
    let working = Working::on(&river, Duration::from_secs(3600));
    working.role.records_fail.store(false, Relaxed);
    let letters = river.stage.all(Topic::BiometricsDlq).await;
    let again = letters.into_iter().map(|letter| DeadLetter::of(letter).unwrap().again().unwrap());
    river.stage.publish(again.collect()).await;
    working.has_worked(10).await;
    assert_eq!((heard(&river, "u-1").await, working.stats.totals().parked), (10, 0));
    working.stop().await;
}

pub async fn a_session_that_fails_at_its_beginning_takes_nobody_with_it(river: River) {
    let working = Working::on(&river, Duration::from_secs(3600));
    let both = (0..5).flat_map(|_| [word("u-0", "hello"), word("u-2", "hello")]);
    river.stage.publish(both.collect()).await;
    working.has_worked(10).await;
    assert_eq!((heard(&river, "u-0").await, heard(&river, "u-2").await), (0, 5));
    let classes = letters(&river, Topic::BiometricsDlq).await;
    assert_eq!(classes, BTreeMap::from([("state_unreadable".to_owned(), 3), ("parked".to_owned(), 2)]));
    working.stop().await;
}

pub async fn a_parked_user_is_tried_now_and_then_and_goes_on_once_a_turn_succeeds(river: River) {
    let working = Working::on(&river, Duration::from_millis(50));
    river.stage.publish((0..3).map(|_| word("u-1", "hello")).collect()).await;
    working.has_worked(3).await;
    assert_eq!(working.stats.totals().parked, 1);
    working.role.records_fail.store(false, Relaxed);
    let mut sent = 3;
    while working.stats.totals().parked == 1 {
        sent += 1;
        river.stage.publish(vec![word("u-1", "hello")]).await;
        working.has_worked(sent).await;
    }
    river.stage.publish(vec![word("u-1", "hello"), word("u-1", "hello")]).await;
    working.has_worked(sent + 2).await;
    assert_eq!(heard(&river, "u-1").await, 3, "the one that was tried, and those behind it");
    working.stop().await;
}

pub async fn what_a_user_waits_for_comes_although_a_turn_behind_it_fails(river: River) {
    let working = Working::on(&river, Duration::from_secs(3600));
    working.role.records_fail.store(false, Relaxed);
    river.stage.publish(vec![word("u-1", "wait")]).await;
    until("it waits", || async { working.stats.totals().open == 1 }).await;
    working.role.records_fail.store(true, Relaxed);
    river.stage.publish((0..5).map(|_| word("u-1", "hello")).collect()).await;
    until("the turns have failed", || async { working.stats.totals().records == 6 }).await;
    assert_eq!(working.stats.totals().parked, 1);
    working.role.gate.add_permits(1);
    working.has_worked(6).await;
    assert_eq!(heard(&river, "u-1").await, 2, "heard, and answered at last");
    working.stop().await;
}

pub async fn what_fails_whenever_it_comes_is_not_waited_for_for_ever(river: River) {
    let working = Working::on(&river, Duration::from_secs(3600));
    working.role.records_fail.store(false, Relaxed);
    working.role.lates_fail.store(true, Relaxed);
    working.role.gate.add_permits(100);
    river.stage.publish(vec![word("u-1", "wait")]).await;
    until("the user is parked", || async { working.stats.totals().parked == 1 }).await;
    river.stage.publish(vec![word("u-1", "hello"), word("u-2", "hello")]).await;
    until("the others go on", || async { working.stats.totals().records == 3 }).await;
    assert_eq!((heard(&river, "u-1").await, heard(&river, "u-2").await), (1, 1));
    assert_eq!(working.role.turns.load(Relaxed), 1 + 3 + 2 + 1, "the wait, its failures, its new beginnings, and u-2");
    working.stop().await;
}

pub async fn who_waits_for_a_time_and_is_parked_is_told_it_later_without_a_record(river: River) {
    let working = Working::on(&river, Duration::from_millis(50));
    working.role.records_fail.store(false, Relaxed);
    working.role.times_fail.store(true, Relaxed);
    river.stage.publish(vec![word("u-1", "wake")]).await;
    until("the user is parked", || async { working.stats.totals().parked == 1 }).await;
    working.role.times_fail.store(false, Relaxed);
    until("the user is told the time", || async { heard(&river, "u-1").await == 2 }).await;
    until("the user is not parked any more", || async { working.stats.totals().parked == 0 }).await;
    working.stop().await;
}

pub async fn a_user_whose_state_cannot_be_read_is_parked_alone_and_comes_back(river: River) {
    let river = river.roles(&[Role::Converse]);
    let home = auren::bus::key_partition(b"u-1", 2);
    let state = |payload: Option<&'static [u8]>| auren::bus::Outgoing {
        key: Some("u-1".into()),
        payload: payload.map(Bytes::from_static),
        ..placed(Topic::StateConverse, home, "")
    };
    river.stage.publish(vec![state(Some(b"\xffnot a state of AUREN"))]).await;
    let hub = river.hub().await;
    for number in 0..5 {
        for user in ["u-1", "u-2"] {
            river.json(Topic::Triggers, user, &trigger(user, &format!("t-{number}"), &["coach"])).await;
        }
    }
    settled(&hub).await;
    let said = river.said().await;
    assert_eq!(said.len(), 5);
    assert!(said.iter().all(|event| event.user_id.as_str() == "u-2"));
    let classes = letters(&river, Topic::TriggersDlq).await;
    assert_eq!(classes, BTreeMap::from([("state_unreadable".to_owned(), 3), ("parked".to_owned(), 2)]));
    let totals = hub.stats(Role::Converse).unwrap().totals();
    assert_eq!((totals.parked, totals.rejoins), (1, 0));
    hub.stop().await;

    river.stage.publish(vec![state(None)]).await;
    let hub = river.hub().await;
    let letters = river.stage.all(Topic::TriggersDlq).await;
    let again = letters.into_iter().map(|letter| DeadLetter::of(letter).unwrap().again().unwrap());
    river.stage.publish(again.collect()).await;
    settled(&hub).await;
    assert_eq!(river.said().await.len(), 10);
    hub.stop().await;
}
