//! `auren bench project`: how fast records become rows, beside COPY of the same rows into the same tables, and how long a page of
//! somebody's past takes among many.

use std::time::{Duration, Instant};

use anyhow::Context as _;
use auren::{
    bus::{Record, Topic},
    project::{
        database::{Order, Place, Wanted, Yardstick},
        projector::make_rows,
    },
};
use serde_json::json;
use tokio::{sync::mpsc, task::JoinSet};

use super::pace::percentile;
use crate::cli::{Context, Exit};

/// Of five records one is a trigger, the others are measurements.
const TRIGGERS: usize = 5;
/// Records that a bus hands over at once.
const READ: usize = 1000;
/// Rows of a page, and pages that one person's past is asked for in a row.
const PAGE: u16 = 100;
const IN_A_ROW: u32 = 3;

const EXAMPLES: &str = "\
Examples:
  auren --set project.url=postgres://auren:...@127.0.0.1/auren bench project
  auren bench project --rows 200000 --stored 10000000 --pages 3000

It makes a database of its own beside the one of project.url, which takes the right to make databases, and drops it. Rounds go \
by turns; what is read and checked of a record counts, reading it from the bus does not. COPY gets all rows of a round at once, \
in one transaction. Measure a release build, and compare within one run only.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// Records a round.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(100..=10_000_000))]
    rows: u32,
    /// Rounds, of which the median counts.
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=99))]
    rounds: u32,
    /// Events stored while pages are asked for; none are asked for where 0.
    #[arg(long, value_name = "N", default_value_t = 0)]
    stored: u64,
    /// How many people they are of.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u32).range(1..))]
    people: u32,
    /// Pages asked for.
    #[arg(long, value_name = "N", default_value_t = 2000, value_parser = clap::value_parser!(u32).range(1..))]
    pages: u32,
}

pub(in crate::cli) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let url = context.config.project.url.as_ref().context("name a database: project.url (AUREN__PROJECT__URL)")?;
    if cfg!(debug_assertions) {
        context.console.note("this is a debug build: its numbers say nothing");
    }
    let mut yardstick = Yardstick::open(url.reveal()).await?;
    let measured = measure(&args, context, &mut yardstick).await;
    // Whatever came of it, nothing stays behind.
    yardstick.drop_it().await?;
    measured
}

async fn measure(args: &Args, context: &mut Context, yardstick: &mut Yardstick) -> anyhow::Result<Exit> {
    let records = records(args.rows as usize);
    let max_batch = context.config.project.max_batch;
    let (mut written, mut copied, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..args.rounds {
        let database = yardstick.database();
        database.empty().await?;
        let mut offsets = database.offsets(&[(Topic::Biometrics, 0), (Topic::Triggers, 0)]).await?;
        let began = Instant::now();
        // As the role does it: rows are made while the database writes those before them.
        let (read, inlet) = mpsc::channel(1);
        let (made, mut batches) = mpsc::channel(1);
        let mut tasks = JoinSet::new();
        tasks.spawn(make_rows(inlet, made, max_batch));
        let chunks: Vec<Vec<Record>> = records.chunks(READ).map(<[Record]>::to_vec).collect();
        tasks.spawn(async move {
            for chunk in chunks {
                if read.send(Ok(chunk)).await.is_err() {
                    return;
                }
            }
        });
        while let Some(batch) = batches.recv().await {
            database.write(&mut offsets, batch?).await?;
        }
        let ours = per_second(args.rows, began.elapsed());
        let rows = yardstick.copied().await?;
        yardstick.database().empty().await?;
        let began = Instant::now();
        yardstick.copy(&rows).await?;
        let bare = per_second(args.rows, began.elapsed());
        context.console.line(format_args!("rows/s {ours:>10.0}   COPY {bare:>10.0}   ratio {:.2}", ours / bare))?;
        context.console.flush()?;
        written.push(ours);
        copied.push(bare);
        ratios.push(ours / bare);
    }
    let [ours, bare, ratio] = [written, copied, ratios].map(median);
    context.console.line(format_args!("median {ours:>10.0}   COPY {bare:>10.0}   ratio {ratio:.2}"))?;
    if args.stored > 0 {
        let took = pages(args, yardstick).await?;
        context.console.line(format_args!(
            "a page of {PAGE} among {} events of {} people: p50 {:?}, p99 {:?}",
            args.stored,
            args.people,
            percentile(&took, 0.5),
            percentile(&took, 0.99)
        ))?;
    }
    Ok(Exit::Done)
}

/// How long pages of people's pasts take, sorted.
async fn pages(args: &Args, yardstick: &mut Yardstick) -> anyhow::Result<Vec<Duration>> {
    yardstick.database().empty().await?;
    yardstick.fill(args.stored, args.people).await?;
    let mut took = Vec::new();
    let mut after: Option<Place> = None;
    let mut user = String::new();
    for number in 0..args.pages {
        if number.is_multiple_of(IN_A_ROW) {
            user = format!("u-{}", rand::random_range(0..args.people));
            after = None;
        }
        let wanted = Wanted { user: &user, kind: None, from: None, to: None, limit: PAGE };
        let began = Instant::now();
        let rows = yardstick.database().page(Topic::Biometrics, wanted, Order::Newest, after.as_ref()).await?;
        took.push(began.elapsed());
        after = rows.last().map(auren::project::row::Row::place);
    }
    took.sort_unstable();
    Ok(took)
}

/// Records as enrich and detect write them.
fn records(count: usize) -> Vec<Record> {
    let mut offsets = [0_i64; 2];
    let record = |number: usize| {
        let (user, time) = (format!("u-{}", number % 1000), format!("2024-01-01T{:02}:00:00Z", number % 24));
        let (topic, document) = if number.is_multiple_of(TRIGGERS) {
            let trigger = json!({
                "trigger_id": format!("t-{number}"), "user_id": user, "trigger_type": "hrv_drop", "severity": 0.8,
                "context_window": [format!("b-{number}")], "recommended_agents": ["neuroscientist", "coach"],
                "message": "HRV dropped 25% below baseline", "timestamp": time
            });
            (Topic::Triggers, trigger)
        } else {
            let measurement = json!({
                "event_id": format!("b-{number}"), "user_id": user, "event_type": "hrv_measurement",
                "token": "t".repeat(160),
                "metadata": {
                    "percentile_rank": 0.15, "severity_score": 0.85, "trend": "declining_3_days",
                    "statistical_summary": { "mean": 48.3, "stddev": 5.2 }, "timestamp_iso": time,
                    "source_device": "watch", "measurement_context": "morning", "measure": "rmssd"
                },
                "timestamp": time
            });
            (Topic::Biometrics, measurement)
        };
        let offset = &mut offsets[usize::from(topic == Topic::Triggers)];
        *offset += 1;
        Record {
            topic,
            partition: 0,
            offset: *offset - 1,
            timestamp_ms: 1_704_100_000_000,
            key: Some(user.into()),
            payload: Some(document.to_string().into()),
            headers: Vec::new(),
        }
    };
    (0..count).map(record).collect()
}

fn per_second(rows: u32, took: Duration) -> f64 {
    f64::from(rows) / took.as_secs_f64()
}

fn median(mut figures: Vec<f64>) -> f64 {
    figures.sort_unstable_by(f64::total_cmp);
    figures[figures.len() / 2]
}
