//! The past that rules are tried on: a CSV file of nights, readings as `auren simulate --out` writes them, or a topic.

use std::path::{Path, PathBuf};

use anyhow::Context as _;
use auren::{
    bus::{Read, ReadFrom, ReadUntil, Topic},
    import::{Heading, Importer, Mapping},
    intake::PlainReading,
    rehearsal::Rehearsal,
    wearable::Row,
};
use auren_agents::{BiometricEvent, UserId, events};

use super::Context;
use crate::cli::{
    input::{self, Documents},
    open_bus,
};

/// Where a past comes from.
#[derive(Debug, clap::Args)]
pub(super) struct PastArgs {
    /// A CSV file of nights, or a file of JSON readings; without one, the topic health.biometrics.
    past: Option<PathBuf>,
    /// Which column of a CSV file is what [default: as the headers suggest]
    #[arg(long, value_name = "FILE.toml")]
    map: Option<PathBuf>,
    /// From the topic: only the last so many records of every partition.
    #[arg(long, value_name = "N", conflicts_with = "past")]
    last: Option<i64>,
}

/// A past: the rows in the clear where it came from a file, and the events.
pub(super) struct Past {
    pub(super) rows: Vec<Row>,
    /// Each with the time of the wall clock at which it was written: its own where it comes from a file.
    pub(super) events: Vec<(BiometricEvent, i64)>,
    /// Lines and readings that could not be used.
    pub(super) unusable: u64,
}

impl Past {
    /// As [`auren::rehearsal::rehearse`] takes it.
    pub(super) fn events(&self) -> impl Iterator<Item = (&BiometricEvent, i64)> {
        self.events.iter().map(|(event, written)| (event, *written))
    }
}

impl PastArgs {
    /// Reads it, as a whole or for one person.
    pub(super) async fn read(&self, user: Option<&UserId>, context: &mut Context) -> anyhow::Result<Past> {
        let Some(file) = &self.past else { return self.topic(user, context).await };
        let is_json = file.extension().is_some_and(|end| end == "ndjson" || end == "json" || end == "jsonl");
        let (mut rows, mut unusable) = if is_json { json(file).await? } else { self.csv(file)? };
        rows.retain(|row| user.is_none_or(|user| *user == row.user));
        let mut rehearsal = Rehearsal::new(context.config.phi.profile);
        let events = rows.iter().filter_map(|row| rehearsal.event(row));
        let written = |event: BiometricEvent| {
            let at = event.timestamp.millis();
            (event, at)
        };
        let events: Vec<_> = events.map(written).collect();
        unusable += (rows.len() - events.len()) as u64;
        Ok(Past { rows, events, unusable })
    }

    fn csv(&self, file: &Path) -> anyhow::Result<(Vec<Row>, u64)> {
        let name = || file.display().to_string();
        let mapping = match &self.map {
            Some(map) => {
                let text = std::fs::read_to_string(map).with_context(|| format!("cannot read {}", map.display()))?;
                Mapping::from_toml(&text).with_context(|| map.display().to_string())?
            }
            None => Heading::read(input::open(file)?.0).with_context(name)?.guess().mapping,
        };
        let (mut rows, mut unusable) = (Vec::new(), 0);
        for row in Importer::new(input::open(file)?.0, &mapping).with_context(name)? {
            match row {
                Ok(row) => rows.push(row),
                Err(error) if error.is_fatal() => return Err(error).with_context(name),
                Err(_) => unusable += 1,
            }
        }
        Ok((rows, unusable))
    }

    async fn topic(&self, user: Option<&UserId>, context: &mut Context) -> anyhow::Result<Past> {
        let bus = open_bus(&context.config).await?;
        let partitions = (0..bus.partitions().await?).collect();
        let from = self.last.map_or(ReadFrom::Earliest, ReadFrom::Last);
        let mut batches = bus.read(Read { topic: Topic::Biometrics, partitions, from, until: ReadUntil::End });
        let (mut events, mut unusable) = (Vec::new(), 0);
        while let Some(batch) = batches.recv().await {
            for record in batch? {
                match record.payload.as_deref().map(events::parse::<BiometricEvent>) {
                    Some(Ok(event)) if user.is_none_or(|user| *user == event.user_id) => {
                        events.push((event, record.timestamp_ms))
                    }
                    Some(Ok(_)) => {}
                    _ => unusable += 1,
                }
            }
        }
        Ok(Past { rows: Vec::new(), events, unusable })
    }
}

async fn json(file: &Path) -> anyhow::Result<(Vec<Row>, u64)> {
    let mut documents = Documents::open(file)?;
    let (mut rows, mut unusable) = (Vec::new(), 0);
    while let Some(document) = documents.receiver.recv().await {
        let text = document?.text.unwrap_or_default();
        match events::parse::<PlainReading>(&text).ok().and_then(|reading| reading.into_row().ok()) {
            Some(row) => rows.push(row),
            None => unusable += 1,
        }
    }
    Ok((rows, unusable))
}
