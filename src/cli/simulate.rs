//! `auren simulate`: invented wearers, published as sealed readings or written as plain JSON.

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use auren::{
    simulate::{Settings, Simulation, UNDISTURBED_DAYS},
    wearable::Row,
};
use chrono::NaiveDate;
use indicatif::HumanCount;
use serde::Serialize;

use super::{Context, Exit, console::Unit, context::open_intake, ship::Ship, ship::Survey};

const EXAMPLES: &str = "\
Examples:
  auren simulate --users 3 --days 60
  auren simulate --users 100 --days 90 --seed 7 --labels episodes.ndjson
  auren simulate --users 1 --days 2 --out - | head -3
  auren simulate --users 1 --days 30 --out - | auren send reading --json > sent.ndjson

Nobody invented is anybody real. The same numbers and seed give the same readings; more users or days change \
nothing of what the others have read. The first 21 days of everybody are undisturbed; then come illness, travel, \
overtraining, poor sleep and stress, and --labels says when they really were.";

#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub(super) struct Args {
    /// How many wearers.
    #[arg(long, value_name = "N", default_value_t = 10)]
    users: u32,
    /// How many days each.
    #[arg(long, value_name = "N", default_value_t = 60)]
    days: u32,
    /// What everything is drawn from.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// The first day.
    #[arg(long, value_name = "DATE", default_value_t = Settings::default().start)]
    start: NaiveDate,
    /// Let devices err on about 1 night of 100.
    #[arg(long)]
    artefacts: bool,
    /// Write what really happened to this file, one JSON object an episode.
    #[arg(long, value_name = "FILE")]
    labels: Option<PathBuf>,
    /// Publish nothing; write the readings in the clear (of invented people) to this file, - for standard output, as
    /// `auren send reading` takes them.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// A row as `auren send reading` takes it.
#[derive(Serialize)]
struct Line<'a> {
    user_id: &'a str,
    measure: &'a str,
    value: f64,
    unit: &'a str,
    event_type: &'a str,
    source_device: &'a str,
    measurement_context: &'a str,
    timestamp: &'a str,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let Args { users, days, seed, start, artefacts, labels, out } = args;
    let simulation = Simulation::new(Settings { users, days, seed, start, artefacts })?;
    if let Some(file) = labels {
        let count = write_labels(&simulation, &file)?;
        context.console.note(format_args!("{count} episodes are in {}", file.display()));
        if days <= UNDISTURBED_DAYS {
            context.console.note(format_args!("there are none in the first {UNDISTURBED_DAYS} days; simulate more"));
        }
    }
    context.console.begin_quiet(days.into(), Unit::Days);
    match out {
        None => publish(simulation, context).await,
        Some(file) if file.as_os_str() == "-" => to_stdout(simulation, context).await,
        Some(file) => to_file(simulation, &file, context).await,
    }
}

async fn publish(mut simulation: Simulation, context: &mut Context) -> anyhow::Result<Exit> {
    let mut ship = Ship::new(open_intake(&context.config).await?, "auren simulate");
    let (mut survey, mut impossible) = (Survey::default(), 0_u64);
    let (mut refused, mut first) = (0_u64, None);
    let mut note = |more: Vec<String>| {
        refused += more.len() as u64;
        first = first.take().or(more.into_iter().next());
    };
    while let Some(row) = simulation.next() {
        // A device that erred by more than intake lets through.
        impossible += u64::from(ship.load(&row).is_err());
        if ship.is_full() {
            note(ship.go(&mut survey).await?);
            context.console.progress(simulation.day().into(), || format!("{} published", HumanCount(ship.published())));
            if context.interrupt.came() {
                context.console.end();
                context.console.note(format_args!("interrupted: {} are in {}", survey.summary(), ship.whereto()));
                return Ok(Exit::Interrupted);
            }
        }
    }
    note(ship.go(&mut survey).await?);
    context.console.end();
    context.console.line(format_args!("published {} to {}", survey.summary(), ship.whereto()))?;
    context.console.line(format_args!("  {}", survey.measures()))?;
    if let Some(first) = first {
        context.console.note(format_args!("{} were refused; the first: {first}", HumanCount(refused)));
    }
    if impossible > 0 {
        context.console.note(format_args!("{impossible} device errors were impossible values, and refused as such"));
    }
    Ok(Exit::Done)
}

async fn to_stdout(mut simulation: Simulation, context: &mut Context) -> anyhow::Result<Exit> {
    let mut day = 0;
    while let Some(row) = simulation.next() {
        context.console.json(&line(&row))?;
        if simulation.day() != day {
            day = simulation.day();
            context.console.progress(day.into(), String::new);
            if is_interrupted(context).await {
                return Ok(Exit::Interrupted);
            }
        }
    }
    Ok(Exit::Done)
}

async fn to_file(mut simulation: Simulation, file: &Path, context: &mut Context) -> anyhow::Result<Exit> {
    let failed = || format!("cannot write {}", file.display());
    let mut output = BufWriter::new(File::create(file).with_context(failed)?);
    let (mut survey, mut day) = (Survey::default(), 0);
    while let Some(row) = simulation.next() {
        survey.add(&row);
        serde_json::to_writer(&mut output, &line(&row)).with_context(failed)?;
        output.write_all(b"\n").with_context(failed)?;
        if simulation.day() != day {
            day = simulation.day();
            context.console.progress(day.into(), String::new);
            if is_interrupted(context).await {
                output.flush().with_context(failed)?;
                context.console.end();
                context.console.note(format_args!("interrupted: {} holds {}", file.display(), survey.summary()));
                return Ok(Exit::Interrupted);
            }
        }
    }
    output.flush().with_context(failed)?;
    context.console.end();
    context.console.line(format_args!("wrote {} to {}", survey.summary(), file.display()))?;
    context.console.line(format_args!("  {}", survey.measures()))?;
    Ok(Exit::Done)
}

fn write_labels(simulation: &Simulation, file: &Path) -> anyhow::Result<u64> {
    let failed = || format!("cannot write {}", file.display());
    let mut output = BufWriter::new(File::create(file).with_context(failed)?);
    let mut count = 0;
    for episode in (0..simulation.settings().users).flat_map(|user| simulation.episodes(user)) {
        serde_json::to_writer(&mut output, &episode).with_context(failed)?;
        output.write_all(b"\n").with_context(failed)?;
        count += 1;
    }
    output.flush().with_context(failed)?;
    Ok(count)
}

fn line(row: &Row) -> Line<'_> {
    Line {
        user_id: row.user.as_str(),
        measure: &row.measure,
        value: row.value,
        unit: &row.unit,
        event_type: row.event_type.as_str(),
        source_device: &row.device,
        measurement_context: &row.context,
        timestamp: row.at.as_str(),
    }
}

/// Lets signals be heard; nothing else here waits for anything.
async fn is_interrupted(context: &Context) -> bool {
    tokio::task::yield_now().await;
    context.interrupt.came()
}

#[cfg(test)]
mod tests {
    use auren::intake::PlainReading;
    use auren_agents::events;

    use super::*;
    use auren::{app::connect, bus::Topic};

    use crate::cli::context::tests::bench;

    fn args(out: Option<PathBuf>, labels: Option<PathBuf>) -> Args {
        let start = Settings::default().start;
        Args { users: 2, days: 40, seed: 3, start, artefacts: false, labels, out }
    }

    #[tokio::test]
    async fn what_is_written_can_be_sent_as_readings_and_labels_name_episodes() {
        let mut bench = bench();
        let labels = bench.folder.path().join("labels");
        assert_eq!(run(args(Some("-".into()), Some(labels.clone())), &mut bench.context).await.unwrap(), Exit::Done);
        let out = bench.captured.out();
        assert!(out.lines().count() > 300);
        for line in out.lines() {
            events::parse::<PlainReading>(line.as_bytes()).unwrap().into_row().unwrap();
        }
        let labels = std::fs::read_to_string(labels).unwrap();
        assert!(labels.lines().all(|line| line.contains("\"kind\":")));
        assert_eq!(
            bench.captured.notes().split(' ').next(),
            Some(labels.lines().count().to_string().as_str()),
            "the count is told"
        );
    }

    #[tokio::test]
    async fn every_reading_is_published() {
        let mut bench = bench();
        let file = bench.folder.path().join("readings");
        run(args(Some(file.clone()), None), &mut bench.context).await.unwrap();
        run(args(None, None), &mut bench.context).await.unwrap();
        let bus = connect(&bench.context.config).await.unwrap();
        let marks = bus.watermarks(Topic::Readings).await.unwrap();
        let published: i64 = marks.values().map(|(_, high)| high).sum();
        let written = std::fs::read_to_string(file).unwrap().lines().count();
        assert_eq!(usize::try_from(published).unwrap(), written);
        assert!(
            bench.captured.out().contains(" of 2 people (2024-01-01 to 2024-02-09) to health.readings on embedded ")
        );
    }

    #[tokio::test]
    async fn numbers_out_of_range_are_refused() {
        let mut bench = bench();
        let error = run(Args { users: 0, ..args(None, None) }, &mut bench.context).await.unwrap_err();
        assert_eq!(error.to_string(), "users must be from 1 to 10000000");
    }
}
