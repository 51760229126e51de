//! `auren bench detect`: how fast rules judge on one core, and what is remembered of a person.

use std::time::{Duration, Instant};

use auren::detect::{Id, Memory, Noted, RuleText, Rules};
use auren_agents::{BiometricEvent, events};
use serde_json::json;

use super::{Context, Exit, pace::percentile};

/// Of so many events one is timed by itself.
const TIMED: usize = 8;
const DAY_MS: i64 = 86_400_000;

const EXAMPLES: &str = "\
Examples:
  auren bench detect
  auren bench detect --users 10000 --nights 40 --rules 10

One thread, no bus and no JSON: events in memory are judged by rules of one kind, three nights in a row above a \
threshold, per user, each with a threshold of its own. Every person has a night each day; people take turns. \
Measure a release build.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(in crate::cli) struct Args {
    /// How many people.
    #[arg(long, value_name = "N", default_value_t = 100_000, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    users: u32,
    /// How many nights of each.
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1000))]
    nights: u32,
    /// How many rules: one measurement each.
    #[arg(long, value_name = "N", default_values_t = [1, 10, 100, 1000], value_parser = clap::value_parser!(u32).range(1..=4000))]
    rules: Vec<u32>,
}

pub(super) fn run(args: &Args, context: &mut Context) -> anyhow::Result<Exit> {
    let console = &mut context.console;
    if cfg!(debug_assertions) {
        console.note("this is a debug build: its numbers say nothing");
    }
    console.line(format_args!(
        "{:>6} {:>12} {:>10} {:>10} {:>12} {:>12} {:>12}",
        "rules", "events", "events/s", "triggers", "p50", "p99", "bytes/user"
    ))?;
    for rules in &args.rules {
        let run = measure(*rules, args.users, args.nights)?;
        console.line(format_args!(
            "{rules:>6} {:>12} {:>10.0} {:>10} {:>12?} {:>12?} {:>12}",
            run.events, run.rate, run.triggers, run.p50, run.p99, run.bytes
        ))?;
        console.flush()?;
    }
    console.note(
        "p50 and p99: from an event to its triggers, of events that had any; bytes: as saved, with the last nights",
    );
    Ok(Exit::Done)
}

struct Run {
    events: u64,
    rate: f64,
    triggers: usize,
    p50: Duration,
    p99: Duration,
    bytes: usize,
}

#[expect(clippy::cast_precision_loss, reason = "some millions of events")]
fn measure(count: u32, users: u32, nights: u32) -> anyhow::Result<Run> {
    let texts: Vec<_> =
        (0..count).map(|rule| RuleText { file: format!("{rule}"), text: text(rule, count), shadow: false }).collect();
    let rules = Rules::compile(&texts).map_err(|problems| anyhow::anyhow!("{}", problems[0]))?;
    let kinds = (0..64).map(night).collect::<anyhow::Result<Vec<_>>>()?;
    let mut memories = vec![Memory::default(); users as usize];
    let (mut found, mut triggers, mut timed, mut number) = (Vec::new(), 0, Vec::new(), 0_usize);
    let began = Instant::now();
    for day in 0..nights {
        for (user, memory) in memories.iter_mut().enumerate() {
            number += 1;
            let mixed = mixed(user as u64 ^ u64::from(day) << 32);
            let (noted, stream) = &kinds[(mixed >> 58) as usize];
            let mut noted = noted.clone();
            noted.at += i64::from(day) * DAY_MS;
            let mut id = [0; 16];
            id[..8].copy_from_slice(&mixed.to_be_bytes());
            noted.id = Id::Uuid(id);
            let begins = number.is_multiple_of(TIMED).then(Instant::now);
            let at = noted.at;
            rules.work(memory, noted, stream, at, &mut found);
            if let Some(begins) = begins.filter(|_| !found.is_empty()) {
                timed.push(begins.elapsed());
            }
            triggers += found.len();
            found.clear();
        }
    }
    let took = began.elapsed();
    timed.sort_unstable();
    let bytes: usize = memories.iter().map(|memory| memory.saved().map_or(0, |saved| saved.len())).sum();
    let events = u64::from(users) * u64::from(nights);
    Ok(Run {
        events,
        rate: events as f64 / took.as_secs_f64(),
        triggers,
        p50: percentile(&timed, 0.5),
        p99: percentile(&timed, 0.99),
        bytes: bytes / memories.len().max(1),
    })
}

/// A rule with a threshold of its own, high enough that a trigger is rare.
fn text(rule: u32, of: u32) -> String {
    let threshold = 0.85 + 0.1 * f64::from(rule) / f64::from(of);
    format!(
        "id: bench_{rule}\nversion: 1\nowner: bench\ntitle: bench\nsource: bench\ntrigger: sleep_deprivation\n\
         agents: [coach]\ninputs: {{ night: {{ type: sleep_analysis, measure: asleep }} }}\n\
         signals: {{ bad: {{ input: night, nights: 3, where: 'severity >= {threshold}' }} }}\n\
         when: bad.run >= 3\nseverity: '0.5'\nmessage: Three nights in a row.\ncooldown: 1d\n"
    )
}

/// Scatters numbers, so that one night says nothing of the next (the finaliser of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    let number = (number ^ number >> 27).wrapping_mul(0x94D0_49BB_1331_11EB);
    number ^ number >> 31
}

/// A night, with a severity from 0 to 1.
fn night(step: u32) -> anyhow::Result<(Noted, auren::detect::Stream)> {
    let at = "2024-01-01T07:00:00Z";
    let event = json!({
        "event_id": "e", "user_id": "u", "event_type": "sleep_analysis", "token": "t", "timestamp": at,
        "metadata": {
            "percentile_rank": 0.5, "severity_score": f64::from(step) / 63.0, "trend": "stable", "timestamp_iso": at,
            "source_device": "watch", "measurement_context": "sleep", "measure": "asleep",
        },
    });
    let event: BiometricEvent = events::parse(event.to_string().as_bytes())?;
    Ok(Noted::of(&event))
}
