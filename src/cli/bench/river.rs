//! `auren bench river`: the same triggers through the hub and through a bare passthrough, by turns, on one cluster.

use std::{
    collections::HashMap,
    num::NonZeroU32,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use auren::{
    app::{Hub, Running, connect, create_topics},
    bus::{BusError, Outgoing, Read, ReadFrom, ReadUntil, SharedBus, Topic, kafka::Passthrough},
    config::{BusKind, Config, Role},
    consult::Agents,
    phi::Keys,
    wire,
};
use auren_agents::{
    AgentId, ConsultId, ConversationEvent, ConversationId, ConversationMetadata, EventId, MessageType, Text,
    TriggerEvent, events,
};
use tokio::{sync::oneshot, time::interval};

use super::{
    pace::{Pace, SENTENCE, Sentence, percentile, spread, trigger},
    sessions,
};
use crate::cli::{Context, Exit, context::aside};

const EXAMPLES: &str = "\
Examples:
  auren --brokers 127.0.0.1:9092 bench river
  auren --brokers 127.0.0.1:9092 bench river --triggers 500000 --max-batch 5000 --rounds 5
  auren --brokers 127.0.0.1:9092 bench river --agents built-in

Both read the same triggers and write two conversation events for each in exactly-once transactions; the hub also \
keeps a session actor and a saved state for each user. What these take of memory is measured first, on an embedded bus \
as `auren bench sessions` does it. The topics begin with `bench-` and a number and are left \
behind. Run it on a quiet machine: a load on one core nearly doubles the ratio.";

/// Triggers published in one call.
const CHUNK: u32 = 5000;
/// So many calls a second where a rate is kept.
const CHUNKS_A_SECOND: u32 = 50;
/// How long a figure may take before the bench gives up.
const LIMIT: Duration = Duration::from_secs(300);

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Triggers of one round.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    triggers: u64,
    /// Users they are about.
    #[arg(long, value_name = "N", default_value_t = 100_000)]
    users: u64,
    /// Partitions of each topic.
    #[arg(long, value_name = "N", default_value_t = 8)]
    partitions: i32,
    /// Rounds; in each both contestants run once.
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Most records of one commit.
    #[arg(long, value_name = "N", default_value_t = 5000)]
    max_batch: usize,
    /// Triggers a second while latency is measured; 0 leaves it out.
    #[arg(long, value_name = "N", default_value_t = 200)]
    rate: u64,
    /// Seconds that latency is measured for.
    #[arg(long, value_name = "N", default_value_t = 10)]
    seconds: u64,
    /// Who answers: two agents that say one sentence, or the built-in experts.
    #[arg(long, value_enum, default_value_t = Who::Sentence)]
    agents: Who,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Who {
    Sentence,
    BuiltIn,
}

pub(super) fn needs_kafka(config: &Config) -> anyhow::Result<()> {
    anyhow::ensure!(
        config.bus.kind == BusKind::Kafka,
        "the bench compares with a Kafka client: name a cluster with --brokers HOST:PORT"
    );
    Ok(())
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    needs_kafka(&context.config)?;
    // Before anything else has grown the process.
    let resident = Box::pin(session_bytes(&args, &context.config)).await?;
    let mut rates: Vec<(f64, f64)> = Vec::new();
    for round in 1..=args.rounds {
        let stage = Stage::set(&args, &context.config).await?;
        stage.fill(&args, 0, None).await?;
        let (hub, bare);
        if round % 2 == 0 {
            bare = stage.bare_rate(&args).await?;
            hub = stage.hub_rate(&args).await?;
        } else {
            hub = stage.hub_rate(&args).await?;
            bare = stage.bare_rate(&args).await?;
        }
        context.console.line(format_args!(
            "round {round}: hub {hub:>8.0}/s   passthrough {bare:>8.0}/s   ratio {:.2}",
            hub / bare
        ))?;
        context.console.flush()?;
        rates.push((hub, bare));
        if round == args.rounds {
            context.console.line(format_args!(
                "state: {:.0} bytes per user   session: {resident:.0} bytes of memory per user",
                stage.state_bytes().await?
            ))?;
        }
    }
    let ratios: Vec<f64> = rates.iter().map(|(hub, bare)| hub / bare).collect();
    for (name, values) in [
        ("hub, triggers/s", rates.iter().map(|(hub, _)| *hub).collect()),
        ("passthrough, triggers/s", rates.iter().map(|(_, bare)| *bare).collect()),
        ("ratio", ratios),
    ] {
        let [least, middle, most] = spread(values);
        let digits = if name == "ratio" { 2 } else { 0 };
        context.console.line(format_args!(
            "{name:<24} min {least:>9.digits$}   median {middle:>9.digits$}   max {most:>9.digits$}"
        ))?;
    }
    if args.rate > 0 {
        let stage = Stage::set(&args, &context.config).await?;
        for (name, latency) in
            [("hub", stage.hub_latency(&args).await?), ("passthrough", stage.bare_latency(&args).await?)]
        {
            let of = |share: f64| percentile(&latency, share).as_secs_f64() * 1e3;
            context.console.line(format_args!(
                "{name:<12} trigger to committed event at {}/s: p50 {:.1} ms   p90 {:.1} ms   p99 {:.1} ms   max {:.1} ms",
                args.rate,
                of(0.5),
                of(0.9),
                of(0.99),
                of(1.0)
            ))?;
            context.console.flush()?;
        }
    }
    Ok(Exit::Done)
}

/// Bytes of memory that a session takes, without a cluster's client beside it.
async fn session_bytes(args: &Args, config: &Config) -> anyhow::Result<f64> {
    let mut config = config.clone();
    config.bus.kind = BusKind::Embedded;
    let users = u32::try_from(args.users).unwrap_or(u32::MAX).clamp(2000, 100_000);
    let [resident] = sessions::each(&sessions::Args { users, triggers: 2 }, &config, [usize::MAX]).await?;
    Ok(resident)
}

/// Topics of one round's own.
pub(super) struct Stage {
    config: Config,
    bus: SharedBus,
}

impl Stage {
    async fn set(args: &Args, config: &Config) -> anyhow::Result<Self> {
        let (config, _) = aside(config, "bench");
        let stage = Self::given(args, config).await?;
        create_topics(&stage.bus, &stage.config).await?;
        Ok(stage)
    }

    /// On topics that are there.
    pub(super) async fn given(args: &Args, mut config: Config) -> anyhow::Result<Self> {
        config.http.address.clear();
        config.redis.url = None;
        config.topics.partitions = args.partitions;
        config.node.roles = vec![Role::Converse];
        config.lanes.max_batch = args.max_batch;
        config.lanes.max_resident = usize::try_from(args.users).unwrap_or(usize::MAX).max(1);
        let bus = connect(&config).await?;
        Ok(Self { config, bus })
    }

    /// Publishes the triggers that are numbered from `first` on, so many a second, or as fast as they are taken.
    pub(super) async fn fill(&self, args: &Args, first: u64, rate: Option<NonZeroU32>) -> anyhow::Result<()> {
        let chunk = rate.map_or(CHUNK, |rate| (rate.get() / CHUNKS_A_SECOND).max(1));
        let mut due = rate.map(|rate| interval(Duration::from_secs(1) * chunk / rate.get()));
        let (mut sent, all) = (first, first + args.triggers);
        while sent < all {
            if let Some(due) = &mut due {
                due.tick().await;
            }
            let end = (sent + u64::from(chunk)).min(all);
            let chunk = (sent..end).map(|number| wire::outgoing(&trigger(number, args.users))).collect();
            self.bus.publish_all(chunk).await?;
            sent = end;
        }
        Ok(())
    }

    pub(super) async fn hub(&self, args: &Args) -> anyhow::Result<Running> {
        let agents = match args.agents {
            Who::Sentence => Agents::none().with(Sentence("neuroscientist")).with(Sentence("coach")),
            Who::BuiltIn => Agents::built_in(),
        };
        let hub = Hub::builder().config(self.config.clone()).bus(Arc::clone(&self.bus)).keys(Keys::ephemeral("bench"));
        Ok(hub.agents(agents).build().await?.start().await?)
    }

    /// Triggers a second from the first commit to the last.
    async fn hub_rate(&self, args: &Args) -> anyhow::Result<f64> {
        let running = self.hub(args).await?;
        let stats = running.stats(Role::Converse).context("the hub converses")?;
        let mut begun = None;
        let limit = Instant::now() + LIMIT;
        let rate = loop {
            let records = stats.totals().records;
            if begun.is_none() && records > 0 {
                begun = Some((Instant::now(), records));
            }
            let (at, first) = begun.unwrap_or_else(|| (Instant::now(), 0));
            if records >= args.triggers {
                break per_second(records - first, at.elapsed());
            }
            anyhow::ensure!(Instant::now() < limit, "the hub worked {records} of {} triggers", args.triggers);
            tokio::time::sleep(Duration::from_millis(1)).await;
        };
        running.stop().await;
        Ok(rate)
    }

    /// The bare loop on a thread of its own, without end.
    pub(super) fn bare(&self, args: &Args) -> oneshot::Receiver<Result<(), BusError>> {
        let (settings, bare) = (self.config.kafka.settings(), passthrough(args));
        let (ended, end) = oneshot::channel();
        std::thread::spawn(move || ended.send(bare.run(&settings, u64::MAX, transform, |_| {})));
        end
    }

    async fn bare_rate(&self, args: &Args) -> anyhow::Result<f64> {
        let (settings, count, bare) = (self.config.kafka.settings(), args.triggers, passthrough(args));
        let rate = tokio::task::spawn_blocking(move || {
            let mut begun = None;
            let mut rate = 0.0;
            bare.run(&settings, count, transform, |done| {
                let (at, first) = *begun.get_or_insert((Instant::now(), done));
                rate = per_second(done - first, at.elapsed());
            })
            .map(|()| rate)
        });
        Ok(rate.await??)
    }

    async fn hub_latency(&self, args: &Args) -> anyhow::Result<Vec<Duration>> {
        let running = self.hub(args).await?;
        running.settled().await?;
        let latency = self.latency(args, "h").await;
        running.stop().await;
        latency
    }

    async fn bare_latency(&self, args: &Args) -> anyhow::Result<Vec<Duration>> {
        let (settings, bare) = (self.config.kafka.settings(), passthrough(args));
        // Everything that the hub was given, once more, and then its own.
        let count = args.rate * args.seconds * 2;
        let running = tokio::task::spawn_blocking(move || bare.run(&settings, count, transform, |_| {}));
        tokio::time::sleep(Duration::from_secs(5)).await;
        let latency = self.latency(args, "p").await?;
        running.await??;
        Ok(latency)
    }

    /// Publishes at the rate asked for, and takes the time until the first event of each trigger can be read.
    async fn latency(&self, args: &Args, mark: &str) -> anyhow::Result<Vec<Duration>> {
        let read =
            Read { topic: Topic::Events, partitions: Vec::new(), from: ReadFrom::Latest, until: ReadUntil::Follow };
        let mut events = self.bus.read(read);
        tokio::time::sleep(Duration::from_secs(2)).await;
        let (users, mark) = (args.users, mark.to_owned());
        let make = move |number: u64| TriggerEvent {
            trigger_id: EventId::derived(&[&mark, &number.to_string()]),
            ..trigger(number, users)
        };
        let pace = Pace { rate: u32::try_from(args.rate)?, seconds: args.seconds, grace: Duration::from_secs(30) };
        pace.keep(&self.bus, &mut events, make).await
    }

    /// Mean size of a user's newest state.
    async fn state_bytes(&self) -> anyhow::Result<f64> {
        let read = Read {
            topic: Topic::StateConverse,
            partitions: Vec::new(),
            from: ReadFrom::Earliest,
            until: ReadUntil::End,
        };
        let mut batches = self.bus.read(read);
        let mut newest = HashMap::new();
        while let Some(batch) = batches.recv().await {
            for record in batch? {
                newest.insert(record.key, record.payload.map_or(0, |payload| payload.len()));
            }
        }
        let (users, bytes) = (newest.len(), newest.values().sum::<usize>());
        #[expect(clippy::cast_precision_loss, reason = "a mean")]
        Ok(bytes as f64 / users.max(1) as f64)
    }
}

fn passthrough(args: &Args) -> Passthrough {
    Passthrough { group: "auren-bench".to_owned(), topic: Topic::Triggers, max_batch: args.max_batch }
}

/// What the passthrough makes of a trigger: two events like the hub's.
fn transform(payload: &[u8]) -> Vec<Outgoing> {
    let Ok(trigger) = events::parse::<TriggerEvent>(payload) else { return Vec::new() };
    trigger.recommended_agents.iter().map(|agent| wire::outgoing(&echo(&trigger, agent))).collect()
}

fn echo(trigger: &TriggerEvent, agent: &AgentId) -> ConversationEvent {
    let ids = [trigger.user_id.as_str(), trigger.trigger_id.as_str(), agent.as_str()];
    ConversationEvent {
        event_id: EventId::derived(&ids),
        conversation_id: ConversationId::derived(&ids[..2]),
        user_id: trigger.user_id.clone(),
        specialist_id: agent.clone(),
        message_type: MessageType::SpecialistResponse,
        content: Text::cut(SENTENCE),
        metadata: ConversationMetadata {
            trigger_type: Some(Text::cut(trigger.trigger_type.as_str())),
            severity: Some(trigger.severity),
            consult_id: Some(ConsultId::derived(&ids)),
            agent_version: Some(Text::cut("1")),
            panel: Some(events::PanelSeat { seat: 1, seats: 2, ..events::PanelSeat::default() }),
            ..ConversationMetadata::new(trigger.trigger_id.clone(), events::CauseKind::Trigger, 1)
        },
        timestamp: trigger.timestamp.clone(),
        extra: serde_json::Map::new(),
    }
}

#[expect(clippy::cast_precision_loss, reason = "a rate")]
fn per_second(count: u64, time: Duration) -> f64 {
    count as f64 / time.as_secs_f64().max(1e-9)
}
