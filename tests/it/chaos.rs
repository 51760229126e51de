//! Bad days: real hubs, a real Kafka, and somebody who kills, stops and fills them, each day judged from outside by
//! `auren verify`. Nothing that was acknowledged may be lost, no effect may come twice, each person's in their order.
//!
//! `tests/chaos/run --long` makes the days longer (`AUREN_CHAOS_LONG=1`) and prints what came of each.

mod agents;
mod broker;
mod chatting;
mod cuts;
mod embedded;
mod nodes;
mod poison;
mod redis;
mod sockets;

use std::{
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use serde_json::Value;

use self::chatting::Chatting;
use crate::support::{Node, Program};

/// This many on a short day, that many on a long one.
fn so_many<T>(short: T, long: T) -> T {
    if std::env::var_os("AUREN_CHAOS_LONG").is_some() { long } else { short }
}

/// Waits for a random moment within these milliseconds.
fn some_moment(millis: std::ops::Range<u64>) {
    std::thread::sleep(Duration::from_millis(rand::random_range(millis)));
}

/// Says what came of a day, as a row of the table.
fn note(row: &str) {
    eprintln!("{row}");
    if let Some(table) = std::env::var_os("AUREN_CHAOS_TABLE") {
        writeln!(File::options().create(true).append(true).open(table).unwrap(), "{row}").unwrap();
    }
}

/// A bus of a day's own, with its topics.
struct Day {
    program: Program,
    flags: Vec<String>,
}

/// `auren verify` at work.
struct Verifying {
    child: Child,
    what: String,
    until: Instant,
    folder: PathBuf,
}

impl Day {
    fn on_kafka(brokers: &str) -> Self {
        let program = Program::new();
        let flags = program.kafka_flags(brokers);
        Self::with_topics(program, flags)
    }

    fn embedded() -> Self {
        Self::with_topics(Program::new(), Vec::new())
    }

    fn with_topics(program: Program, mut flags: Vec<String>) -> Self {
        // Small batches, so that there is always something half done.
        flags.extend(["--set", "lanes.max_batch=20"].map(ToOwned::to_owned));
        let day = Self { program, flags };
        let created = day.auren(&["topics", "create", "--partitions", "4"]).output().unwrap();
        assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
        day
    }

    /// Sets a key for everything that is started from now on.
    fn set(&mut self, key: &str, value: &str) {
        self.flags.extend(["--set".to_owned(), format!("{key}={value}")]);
    }

    /// The binary on this day's bus.
    fn auren(&self, arguments: &[&str]) -> Command {
        let flags = self.flags.iter().map(String::as_str);
        self.program.command(&flags.chain(arguments.iter().copied()).collect::<Vec<_>>())
    }

    fn node(&self, name: &str) -> Node {
        Node::start(&self.program, &self.flags, name)
    }

    /// Begins to send, for so many seconds.
    fn verify(&self, what: &str, seconds: u64) -> Verifying {
        let history = self.program.folder().join("history");
        let seconds_text = seconds.to_string();
        let mut command = self.auren(&["verify", "--users", "40", "--rate", "80", "--seconds", &seconds_text]);
        // What is late on a machine that has much else to do is not lost; whoever is quick does not wait for it.
        command.args(["--json", "--settle-seconds", "240", "--history"]).arg(history);
        let child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let (what, until) = (what.to_owned(), Instant::now() + Duration::from_secs(seconds));
        Verifying { child, what, until, folder: self.program.folder().to_owned() }
    }
}

impl Verifying {
    /// Whether inputs are still being sent.
    fn is_sending(&self) -> bool {
        Instant::now() < self.until
    }

    /// Waits for the verdict, which must be good.
    fn ends_well(self) {
        let what = self.what;
        let end = self.child.wait_with_output().unwrap();
        let notes = String::from_utf8_lossy(&end.stderr);
        let said: Value =
            serde_json::from_slice(&end.stdout).unwrap_or_else(|error| panic!("{what}: {error}\n{notes}"));
        let verdict = &said["verdict"];
        let count = |name: &str| verdict[name].as_u64().unwrap();
        let stalls = |name: &str| verdict["stalls"][name].as_u64().unwrap();
        let row = format!(
            "| {what} | {} | {} | {} | {} | {} | {} | {} / {} / {} |",
            count("sent"),
            count("acked"),
            count("lost"),
            count("duplicated"),
            count("out_of_order"),
            stalls("count"),
            stalls("p50_ms"),
            stalls("p99_ms"),
            stalls("max_ms")
        );
        note(&row);
        let good = end.status.success() && said["good"] == true;
        assert!(good, "{what}: {said:#}\n{notes}\n{}", logs(&self.folder));
        // A day on which nothing was sent, or hardly anything acknowledged, shows nothing.
        assert!(count("acked") >= 40 && count("effects") >= 2 * count("acked"), "{what}: {said:#}\n{notes}");
    }
}

/// The end of what each node said.
fn logs(folder: &Path) -> String {
    let paths = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let logs = paths.filter(|path| path.extension().is_some_and(|end| end == "log"));
    let ends = logs.map(|path| {
        let text = fs::read_to_string(&path).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        format!("── {}\n{}", path.display(), lines[lines.len().saturating_sub(60)..].join("\n"))
    });
    ends.collect::<Vec<_>>().join("\n")
}
