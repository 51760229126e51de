//! `auren import csv`: the exports of wearables, read as a mapping says, sealed and published in the file's order.

use std::{
    fs,
    io::{Cursor, Read},
    path::{Path, PathBuf},
};

use anyhow::Context as _;
use auren::import::{Guess, Heading, Importer, LINE_MAX, Mapping, Source};
use auren_agents::UserId;
use clap::Subcommand;
use indicatif::HumanCount;

use super::{
    Context, Exit,
    console::{Console, Unit},
    context::{self, open_intake},
    input,
    ship::{Ship, Survey, left_out},
};

/// How many errors of lines are shown; the rest are counted.
const SHOWN_MAX: u64 = 20;

const EXAMPLES: &str = "\
Examples:
  auren import csv nights.csv --dry-run     shows what each column is taken for
  auren import csv nights.csv               seals and publishes it
  auren import csv my-watch.csv --user u-1 --offset +01:00

Where a column is not understood, or not rightly, write the mapping down and change it:
  auren import csv my-watch.csv --print-map > map.toml
  auren import csv my-watch.csv --map map.toml

The file's people must be random ids: e-mail addresses are refused. A bad line or cell is reported with line \
and column, never with what is in it, and the rest goes on. Exits with 1 if the file could not be read to its \
end, or nothing in it could be used.";

#[derive(Debug, Subcommand)]
pub(super) enum Args {
    /// Import a CSV file: one line a day or a night, one column a measure.
    #[command(after_help = EXAMPLES)]
    Csv(Csv),
}

#[derive(Debug, clap::Args)]
pub(super) struct Csv {
    /// The file, or - for standard input.
    file: PathBuf,
    /// Which column is what [default: as the headers suggest]
    #[arg(long, value_name = "FILE.toml")]
    map: Option<PathBuf>,
    /// Print the mapping as TOML, and import nothing.
    #[arg(long)]
    print_map: bool,
    /// Read everything and publish nothing.
    #[arg(long, conflicts_with = "print_map")]
    dry_run: bool,
    /// Whose values they are, for a file of one person.
    #[arg(long, value_name = "USER", value_parser = context::user)]
    user: Option<UserId>,
    /// Which device measured them.
    #[arg(long, value_name = "NAME")]
    device: Option<String>,
    /// Offset from UTC of times that say none, such as +01:00.
    #[arg(long, value_name = "OFFSET", allow_hyphen_values = true)]
    offset: Option<String>,
}

pub(super) async fn run(args: Args, context: &mut Context) -> anyhow::Result<Exit> {
    let Args::Csv(args) = args;
    let name = args.file.display().to_string();
    let (mut input, size) = input::open(&args.file)?;
    // The headers are looked at before the mapping is known, and standard input cannot be read twice.
    let mut start = Vec::new();
    input.by_ref().take(LINE_MAX as u64).read_to_end(&mut start).with_context(|| format!("cannot read {name}"))?;
    let heading = Heading::read(&*start).with_context(|| name.clone())?;
    let guess = heading.guess();
    let mapping = mapping(&args, &guess)?;
    if args.print_map {
        context.console.text(&mapping.to_toml()?)?;
        return Ok(Exit::Done);
    }
    let delimiter = match heading.delimiter {
        ',' => "commas",
        ';' => "semicolons",
        '\t' => "tabs",
        _ => "bars",
    };
    context.console.note(format_args!("{name}: {} columns between {delimiter}", heading.headers.len()));
    if args.map.is_some() {
        show_mapped(&heading, &mapping, &mut context.console);
    } else {
        show_guessed(&heading, &guess, &mapping, &mut context.console);
        demand(&guess, &mapping, &args.file)?;
    }
    let importer = Importer::new(Cursor::new(start).chain(input), &mapping).with_context(|| name.clone())?;
    let ship = if args.dry_run { None } else { Some(Ship::new(open_intake(&context.config).await?, "auren import")) };
    if let Some(size) = size {
        context.console.begin_quiet(size, Unit::Bytes);
    }
    import(importer, ship, &name, context).await
}

async fn import<R: Read>(
    mut importer: Importer<R>,
    mut ship: Option<Ship>,
    name: &str,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    let mut survey = Survey::default();
    let mut faults = Faults::default();
    let mut seen = 0_u64;
    while let Some(row) = importer.next() {
        match row {
            Err(error) => faults.tell(error.is_fatal(), || error.to_string(), &mut context.console),
            Ok(row) => match &mut ship {
                // What is loaded is entered when it is in the log.
                Some(ship) => {
                    if let Err(refused) = ship.load(&row) {
                        faults.tell(false, || left_out(&row, &refused), &mut context.console);
                    }
                }
                None => survey.add(&row),
            },
        }
        seen += 1;
        if seen.is_multiple_of(1000) {
            context.console.progress(importer.bytes(), || format!("{} readings", HumanCount(survey.count())));
            tokio::task::yield_now().await;
            if context.interrupt.came() {
                break;
            }
        }
        if let Some(ship) = ship.as_mut().filter(|ship| ship.is_full()) {
            faults.refused(ship.go(&mut survey).await?, &mut context.console);
        }
    }
    if let Some(ship) = &mut ship {
        faults.refused(ship.go(&mut survey).await?, &mut context.console);
    }
    context.console.end();
    finish(&survey, &faults, ship.as_ref(), name, context)
}

fn finish(
    survey: &Survey,
    faults: &Faults,
    ship: Option<&Ship>,
    name: &str,
    context: &mut Context,
) -> anyhow::Result<Exit> {
    faults.end(&mut context.console);
    if survey.count() == 0 {
        context.console.note(format_args!("{name}: nothing in it could be imported"));
    } else {
        match ship {
            Some(ship) => {
                context.console.line(format_args!("imported {} into {}", survey.summary(), ship.whereto()))?;
            }
            None => {
                context.console.line(format_args!("{} could be imported; nothing was published", survey.summary()))?
            }
        }
        context.console.line(format_args!("  {}", survey.measures()))?;
    }
    if context.interrupt.came() {
        context.console.note("interrupted: the rest of the file was not read");
        return Ok(Exit::Interrupted);
    }
    Ok(if faults.fatal || survey.count() == 0 { Exit::Failed } else { Exit::Done })
}

/// Errors of lines and cells.
#[derive(Default)]
struct Faults {
    count: u64,
    fatal: bool,
}

impl Faults {
    fn tell(&mut self, fatal: bool, say: impl FnOnce() -> String, console: &mut Console) {
        self.count += 1;
        self.fatal |= fatal;
        if self.count <= SHOWN_MAX || fatal {
            console.note(format_args!("  {}", say()));
        }
    }

    fn refused(&mut self, refused: Vec<String>, console: &mut Console) {
        for one in refused {
            self.tell(false, || one, console);
        }
    }

    fn end(&self, console: &mut Console) {
        if self.count > SHOWN_MAX {
            console.note(format_args!("… and {} more", HumanCount(self.count - SHOWN_MAX)));
        }
        if self.count > 0 {
            let plural = if self.count == 1 { "cell or line was" } else { "cells or lines were" };
            console.note(format_args!("{} {plural} left out", HumanCount(self.count)));
        }
    }
}

/// The mapping to be used: from its file or from the headers, with what the flags say.
fn mapping(args: &Csv, guess: &Guess) -> anyhow::Result<Mapping> {
    let mut mapping = match &args.map {
        None => guess.mapping.clone(),
        Some(file) => {
            let text = fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            Mapping::from_toml(&text).with_context(|| file.display().to_string())?
        }
    };
    if let Some(user) = &args.user {
        mapping.user = Source::value(user.as_str());
    }
    if let Some(device) = &args.device {
        mapping.device = Source::value(device);
    }
    if let Some(offset) = &args.offset {
        mapping.time.offset.clone_from(offset);
    }
    Ok(mapping)
}

/// Shows what a mapping makes of each column.
fn show_mapped(heading: &Heading, mapping: &Mapping, console: &mut Console) {
    let width = width(heading);
    for header in &heading.headers {
        let is = |name: &Option<String>| name.as_deref() == Some(header);
        let measured = mapping.columns.iter().find(|column| column.column == *header);
        let meaning = match measured {
            Some(column) => column.measure.as_str(),
            None if is(&mapping.user.column) => "user",
            None if mapping.time.column == *header => "time",
            None if is(&mapping.time.clock) => "time of day",
            None if is(&mapping.device.column) => "device",
            None if is(&mapping.context.column) => "context",
            None => "not read: the mapping does not name it",
        };
        console.note(format_args!("  {header:<width$}  {meaning}"));
    }
}

/// Shows what each column was taken for.
fn show_guessed(heading: &Heading, guess: &Guess, mapping: &Mapping, console: &mut Console) {
    let width = width(heading);
    for column in &guess.understood {
        let meaning = match column.meaning.as_str() {
            "user" if mapping.user.column.is_none() => "not read: --user says whose values they are",
            "time" if mapping.time.clock.is_none() => {
                let at = "time; where it is a date only, nights are put at 08:00, days at 22:00";
                &format!("{at}, offset {} where none is written", mapping.time.offset)
            }
            other => other,
        };
        console.note(format_args!("  {:<width$}  {meaning}", column.column));
    }
    for column in &guess.left_out {
        console.note(format_args!("  {:<width$}  not read: {}", column.column, column.why));
    }
}

fn width(heading: &Heading) -> usize {
    heading.headers.iter().map(|header| header.chars().count()).max().unwrap_or_default().min(40)
}

/// Checks that the headers said all that is needed.
fn demand(guess: &Guess, mapping: &Mapping, file: &Path) -> anyhow::Result<()> {
    let missing = guess.missing.iter().filter(|field| **field != "user" || mapping.user.is_empty());
    let said: Vec<_> = missing
        .map(|field| match *field {
            "user" => "whose values they are (give --user ID, or name the column in a mapping)",
            "time.column" => "when they were measured",
            _ => "which column holds a measurement",
        })
        .collect();
    let name = file.display();
    anyhow::ensure!(
        said.is_empty(),
        "the headers of {name} do not say {}; to say it, change a mapping: auren import csv {name} --print-map > \
         map.toml, then --map map.toml",
        said.join(", nor ")
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use auren::bus::Topic;

    use super::*;
    use crate::cli::context::tests::{Bench, bench};

    fn args(bench: &Bench, text: &str) -> Csv {
        let file = bench.folder.path().join("nights.csv");
        fs::write(&file, text).unwrap();
        Csv { file, map: None, print_map: false, dry_run: false, user: None, device: None, offset: None }
    }

    const NIGHTS: &str = "person,date,rmssd_ms,color\nP1,2024-01-01,41.5,red\nP1,2024-01-02,x,\nP2,2024-01-02,9941.5,\nP2,2024-01-03,52,\n";

    #[tokio::test]
    async fn columns_are_shown_and_good_cells_published() {
        let mut bench = bench();
        let csv = args(&bench, NIGHTS);
        assert_eq!(run(Args::Csv(csv), &mut bench.context).await.unwrap(), Exit::Done);
        let (out, notes) = (bench.captured.out(), bench.captured.notes());
        assert!(
            out.starts_with("imported 2 readings of 2 people (2024-01-01 to 2024-01-03) into health.readings"),
            "{out}"
        );
        assert!(notes.contains("  rmssd_ms  rmssd in ms\n") && notes.contains("  color     not read: "), "{notes}");
        assert!(notes.contains("line 3, column \"rmssd_ms\": is not a number"), "{notes}");
        assert!(notes.contains("2 cells or lines were left out") && !notes.contains("9941"), "{notes}");
        let bus = auren::app::connect(&bench.context.config).await.unwrap();
        let marks = bus.watermarks(Topic::Readings).await.unwrap();
        assert_eq!(marks.values().map(|(_, high)| high).sum::<i64>(), 2);
    }

    #[tokio::test]
    async fn who_was_erased_is_left_out_and_the_others_are_imported() {
        let mut bench = bench();
        let keys = auren::app::open_keys(&bench.context.config).await.unwrap();
        keys.destroy(&UserId::new("P1").unwrap(), "test").await.unwrap();
        let csv = args(&bench, "person,date,rmssd_ms\nP1,2024-01-01,41.5\nP2,2024-01-02,52\nP1,2024-01-03,43\n");
        assert_eq!(run(Args::Csv(csv), &mut bench.context).await.unwrap(), Exit::Done);
        let (out, notes) = (bench.captured.out(), bench.captured.notes());
        assert!(out.starts_with("imported 1 reading of 1 person (2024-01-02 to 2024-01-02)"), "{out}");
        assert!(notes.contains("  rmssd of P1 at 2024-01-01") && notes.contains("this person was erased"), "{notes}");
        assert!(notes.contains("2 cells or lines were left out") && !notes.contains("41.5"), "{notes}");
    }

    #[tokio::test]
    async fn a_dry_run_touches_nothing_and_a_printed_map_can_be_used() {
        let mut bench = bench();
        let dry = Csv { dry_run: true, ..args(&bench, NIGHTS) };
        assert_eq!(run(Args::Csv(dry), &mut bench.context).await.unwrap(), Exit::Done);
        assert!(bench.captured.out().contains("could be imported; nothing was published"));
        assert!(!bench.context.config.embedded.file.exists() && !bench.context.config.phi.key_file.exists());

        let print = Csv { print_map: true, ..args(&bench, NIGHTS) };
        run(Args::Csv(print), &mut bench.context).await.unwrap();
        let map = bench.folder.path().join("map.toml");
        fs::write(&map, bench.captured.out()).unwrap();
        let with = Csv { map: Some(map), dry_run: true, ..args(&bench, NIGHTS) };
        assert_eq!(run(Args::Csv(with), &mut bench.context).await.unwrap(), Exit::Done);
    }

    #[tokio::test]
    async fn what_the_headers_do_not_say_is_asked_for() {
        let mut bench = bench();
        let nobody = "date,rmssd_ms\n2024-01-01,41.5\n";
        let error = run(Args::Csv(args(&bench, nobody)), &mut bench.context).await.unwrap_err().to_string();
        assert!(error.contains("do not say whose values they are (give --user ID"), "{error}");
        let user = Some(UserId::new("u-1").unwrap());
        let csv = Csv { user, dry_run: true, ..args(&bench, nobody) };
        assert_eq!(run(Args::Csv(csv), &mut bench.context).await.unwrap(), Exit::Done);
        let none = Csv { dry_run: true, ..args(&bench, "person,date,rmssd_ms\n") };
        assert_eq!(run(Args::Csv(none), &mut bench.context).await.unwrap(), Exit::Failed);
    }
}
