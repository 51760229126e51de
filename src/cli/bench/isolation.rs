//! `auren bench isolation`: what everybody else on a partition notices of one person whose agent takes long.

use std::{
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::Context as _;
use auren::{
    app::{Hub, Running, connect, create_topics},
    bus::{Read, ReadFrom, ReadUntil, Record, SharedBus, Topic, key_partition},
    config::{Config, Role},
    consult::Agents,
    phi::Keys,
    wire,
};
use auren_agents::{Advice, Agent, AgentCard, AgentError, AgentId, Consult, EventId, TriggerEvent, UserId};
use tokio::sync::mpsc;

use super::pace::{Pace, Sentence, percentile, spread, trigger};
use crate::cli::{
    Context, Exit,
    context::{aside, remove},
};

const EXAMPLES: &str = "\
Examples:
  auren bench isolation                                         on an embedded bus of its own
  auren --brokers 127.0.0.1:9092 bench isolation --rounds 5
  auren bench isolation --slow-ms 2000 --seconds 2              a quick look
  auren bench isolation --slow-ms 1                             no slow agent at all: what the machine itself adds

All users, and the one with the slow agent, are in one partition. Every round measures once without and once with that \
user's triggers, which come once a second; both in one run, on one hub, by turns. On Kafka the topics begin with `bench-` \
and a number and are left behind. Run it on a quiet machine.";

/// The person whose agent takes long, and that agent.
const SLOW: &str = "slow";
/// How often that person has a trigger.
const SLOW_EVERY: Duration = Duration::from_secs(1);
/// How long events may be missing at the end of a round, and how long the slow agent's answers.
const GRACE: Duration = Duration::from_secs(60);

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Triggers a second of everybody else.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=100_000))]
    rate: u32,
    /// Seconds that each half of a round measures.
    #[arg(long, value_name = "N", default_value_t = 30, value_parser = clap::value_parser!(u64).range(1..=3600))]
    seconds: u64,
    /// Rounds; in each both halves are measured once, by turns first.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: u64,
    /// How long the slow agent takes.
    #[arg(long, value_name = "MS", default_value_t = 30_000, value_parser = clap::value_parser!(u64).range(1..=1_800_000))]
    slow_ms: u64,
    /// Everybody else.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    users: u32,
    /// Partitions of each topic; one of them has all the load.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(i32).range(1..=1024))]
    partitions: i32,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let mut stage = Stage::set(&args, &context.config).await?;
    let measured = stage.measure(&args, context).await;
    stage.clear().await;
    measured.map(|()| Exit::Done)
}

/// A hub, the people of one partition, and somebody who reads what is said.
struct Stage {
    bus: SharedBus,
    running: Running,
    users: Vec<UserId>,
    events: mpsc::Receiver<Result<Vec<Record>, auren::bus::BusError>>,
    folder: Option<PathBuf>,
}

impl Stage {
    async fn set(args: &Args, config: &Config) -> anyhow::Result<Self> {
        let (mut config, folder) = aside(config, "bench");
        config.topics.partitions = args.partitions;
        config.node.roles = vec![Role::Converse];
        config.converse.agent_deadline_ms = args.slow_ms * 2;
        let bus = connect(&config).await?;
        create_topics(&bus, &config).await?;
        let slow = Slow(Duration::from_millis(args.slow_ms));
        let agents = Agents::none().with(Sentence("neuroscientist")).with(Sentence("coach")).with(slow);
        let hub = Hub::builder().config(config).bus(Arc::clone(&bus)).keys(Keys::ephemeral("bench")).agents(agents);
        let running = hub.build().await?.start().await?;
        running.settled().await?;
        let read =
            Read { topic: Topic::Events, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::Follow };
        let events = bus.read(read);
        let home = key_partition(SLOW.as_bytes(), args.partitions);
        let users = (0_u64..)
            .filter_map(|number| UserId::new(format!("user-{number}")).ok())
            .filter(|user| key_partition(user.as_str().as_bytes(), args.partitions) == home)
            .take(args.users as usize)
            .collect();
        Ok(Self { bus, running, users, events, folder })
    }

    async fn measure(&mut self, args: &Args, context: &mut Context) -> anyhow::Result<()> {
        // The first seconds of a hub are slower than those that follow, and belong to neither half.
        self.half(args, "warm", args.seconds.min(5), false).await?;
        let (mut without, mut with, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for round in 1..=args.rounds {
            let mut halves = [Vec::new(), Vec::new()];
            for slow in [round % 2 == 0, round % 2 != 0] {
                let name = format!("{round} {slow}");
                halves[usize::from(slow)] = self.half(args, &name, args.seconds, slow).await?;
            }
            let [alone, beside] = halves;
            let ratio = percentile(&beside, 0.99).as_secs_f64() / percentile(&alone, 0.99).as_secs_f64().max(1e-9);
            context.console.line(format_args!("round {round}: {}", compared(&alone, &beside)))?;
            context.console.flush()?;
            ratios.push(ratio);
            without.extend(alone);
            with.extend(beside);
        }
        without.sort_unstable();
        with.sort_unstable();
        context.console.line(format_args!("all:     {}", compared(&without, &with)))?;
        let [least, middle, most] = spread(ratios);
        context
            .console
            .line(format_args!("p99 with / without, by round: min {least:.2}   median {middle:.2}   max {most:.2}"))?;
        Ok(())
    }

    /// The time from each trigger of everybody else to its first committed event, sorted; beside the slow agent, or not.
    async fn half(&mut self, args: &Args, name: &str, seconds: u64, slow: bool) -> anyhow::Result<Vec<Duration>> {
        let over = Arc::new(AtomicBool::new(false));
        let asking = slow.then(|| actix::spawn(ask_slowly(Arc::clone(&self.bus), name.to_owned(), Arc::clone(&over))));
        let (mut users, name) = (self.users.clone().into_iter().cycle(), name.to_owned());
        let make = move |number| of(users.next().expect("at least one user is asked for"), &name, number);
        let pace = Pace { rate: args.rate, seconds, grace: GRACE };
        let measured = pace.keep(&self.bus, &mut self.events, make).await;
        over.store(true, Relaxed);
        if let Some(asking) = asking {
            asking.await?;
            let limit = Duration::from_millis(args.slow_ms) + GRACE;
            tokio::time::timeout(limit, self.running.settled()).await.context("the slow agent did not end")??;
        }
        measured
    }

    async fn clear(self) {
        self.running.stop().await;
        drop((self.bus, self.events));
        remove(self.folder);
    }
}

/// Publishes the slow person's triggers until the half is over.
async fn ask_slowly(bus: SharedBus, name: String, over: Arc<AtomicBool>) {
    let (Ok(user), Ok(agent)) = (UserId::new(SLOW), AgentId::new(SLOW)) else { return };
    let mut ticks = tokio::time::interval(SLOW_EVERY);
    let mut number = 0;
    while !over.load(Relaxed) {
        ticks.tick().await;
        let one = TriggerEvent { recommended_agents: vec![agent.clone()], ..of(user.clone(), &name, number) };
        bus.publish(vec![wire::outgoing(&one)]).await;
        number += 1;
    }
}

fn of(user: UserId, name: &str, number: u64) -> TriggerEvent {
    let trigger_id = EventId::derived(&["isolation", user.as_str(), name, &number.to_string()]);
    TriggerEvent { trigger_id, user_id: user, ..trigger(number, 1) }
}

fn compared(without: &[Duration], with: &[Duration]) -> String {
    let of = |sorted: &[Duration], share| percentile(sorted, share).as_secs_f64() * 1e3;
    let ratio = |share| of(with, share) / of(without, share).max(1e-6);
    format!(
        "without p50 {:.1} p99 {:.1} ms   with p50 {:.1} p99 {:.1} ms   ratio p50 {:.2} p99 {:.2}",
        of(without, 0.5),
        of(without, 0.99),
        of(with, 0.5),
        of(with, 0.99),
        ratio(0.5),
        ratio(0.99)
    )
}

/// An agent that takes long.
#[derive(Debug, Clone, Copy)]
struct Slow(Duration);

impl Agent for Slow {
    fn card(&self) -> AgentCard {
        AgentCard::new(SLOW, "1", "Takes its time.")
    }

    async fn consult(&self, _: Consult) -> Result<Advice, AgentError> {
        tokio::time::sleep(self.0).await;
        Ok(Advice::say("At last."))
    }
}
