//! `auren bench sessions`: what a person costs in memory, with a session in it and without.

use std::{
    fs,
    sync::Arc,
    time::{Duration, Instant},
};

use anyhow::Context as _;
use auren::{
    app::{Hub, connect, create_topics},
    config::{Config, Role},
    consult::Agents,
    phi::Keys,
    wire,
};

use super::pace::{Sentence, trigger};
use crate::cli::{
    Context, Exit,
    context::{aside, remove},
};

const EXAMPLES: &str = "\
Examples:
  auren bench sessions                                  on an embedded bus of its own
  auren bench sessions --users 1000000

Three hubs one after the other work as many triggers as there are users: first all of one user, then one of each user \
with few sessions in memory, then one of each with all of them in memory. The differences of the process's resident memory, \
divided by the users, are what a person costs. Redis is left out: with it the saved states are not in memory.";

/// Triggers published in one call.
const CHUNK: u64 = 5000;
/// Sessions in memory where nearly all are asleep.
const FEW: usize = 1000;
/// How long one hub may take before the bench gives up.
const LIMIT: Duration = Duration::from_secs(600);
/// The bytes of a page of memory, as the kernel counts in `statm`.
const PAGE: f64 = 4096.0;

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Users that have a session.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(2000..=10_000_000))]
    pub(super) users: u32,
    /// Triggers that each of them has had.
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub(super) triggers: u32,
}

pub(super) async fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let [asleep, resident] = each(args, &context.config, [FEW, usize::MAX]).await?;
    context.console.line(format_args!("{} users, {} triggers of each", args.users, args.triggers))?;
    context.console.line(format_args!("asleep:    {asleep:>6.0} bytes a user (the saved state)"))?;
    context
        .console
        .line(format_args!("in memory: {resident:>6.0} bytes a user (the session actor and the saved state)"))?;
    Ok(Exit::Done)
}

/// Bytes of memory that each user adds to a process that has done nothing before, with at most so many sessions in it.
pub(super) async fn each<const N: usize>(args: &Args, config: &Config, most: [usize; N]) -> anyhow::Result<[f64; N]> {
    let one = memory(args, config, 1, usize::MAX).await?;
    let mut each = [0.0; N];
    for (each, most) in each.iter_mut().zip(most) {
        *each = (memory(args, config, args.users, most).await? - one) / f64::from(args.users);
    }
    Ok(each)
}

/// The process's resident memory after a hub of its own has worked the triggers, in bytes.
async fn memory(args: &Args, config: &Config, users: u32, resident: usize) -> anyhow::Result<f64> {
    let (mut config, folder) = aside(config, "bench");
    config.topics.partitions = 1;
    config.node.roles = vec![Role::Converse];
    config.lanes.max_batch = 5000;
    config.lanes.max_resident = resident;
    let measured = worked(args, config, users).await;
    remove(folder);
    measured
}

async fn worked(args: &Args, config: Config, users: u32) -> anyhow::Result<f64> {
    let bus = connect(&config).await?;
    create_topics(&bus, &config).await?;
    let agents = Agents::none().with(Sentence("neuroscientist")).with(Sentence("coach"));
    let hub = Hub::builder().config(config).bus(Arc::clone(&bus)).keys(Keys::ephemeral("bench")).agents(agents);
    let running = hub.build().await?.start().await?;
    running.settled().await?;
    let stats = running.stats(Role::Converse).context("the hub converses")?;
    let count = u64::from(args.users) * u64::from(args.triggers);
    let mut sent = 0;
    while sent < count {
        let end = (sent + CHUNK).min(count);
        bus.publish_all((sent..end).map(|number| wire::outgoing(&trigger(number, u64::from(users)))).collect()).await?;
        sent = end;
        // What waits is not to be measured.
        let limit = Instant::now() + LIMIT;
        while stats.totals().records < sent {
            anyhow::ensure!(Instant::now() < limit, "the hub worked {} of {sent} triggers", stats.totals().records);
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }
    let bytes = resident_bytes();
    running.stop().await;
    bytes
}

fn resident_bytes() -> anyhow::Result<f64> {
    let unknown = "the process's memory is read from /proc/self/statm, which Linux has";
    let text = fs::read_to_string("/proc/self/statm").context(unknown)?;
    let pages: f64 = text.split_whitespace().nth(1).and_then(|pages| pages.parse().ok()).context(unknown)?;
    Ok(pages * PAGE)
}
