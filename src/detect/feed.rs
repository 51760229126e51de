//! Rules as records of a compacted topic, so that they change without a restart.
//!
//! A record's key is the rule's id, its value the YAML, and a header says whether the rule speaks, is only counted, or is
//! off. A node begins with the shipped rules and those of its folder, puts the records on top, and follows the topic. Each
//! change makes a new set of rules, and sessions take the newest set before each event: no event is judged by two sets, and
//! none by no set. A record that cannot be used is refused, and what was in force stays, also after a restart as long as
//! compaction has left the record before it.

use std::{collections::BTreeMap, fs, path::Path, sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::sync::watch;

use super::{
    problem::Problem,
    rule::Rule,
    rules::{RuleText, Rules},
};
use crate::bus::{BusError, Outgoing, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic};

/// The header that says what the rule does.
const MODE: &str = "auren-mode";
/// How long a bus that failed is left alone.
const AGAIN: Duration = Duration::from_secs(1);

/// What a pushed rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It speaks.
    Live,
    /// What it finds is logged, and not said.
    Shadow,
    /// It is not in force; a shipped rule of its id is not either.
    Off,
}

impl Mode {
    /// Its name in the header.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Live => "live",
            Self::Shadow => "shadow",
            Self::Off => "off",
        }
    }
}

/// A rule's text, and what has been read in it.
#[derive(Debug, Clone)]
struct Known {
    id: String,
    version: u32,
    text: RuleText,
}

impl Known {
    fn read(text: RuleText) -> Result<Self, Problem> {
        let rule = Rule::parse(&text.file, &text.text)?;
        Ok(Self { id: rule.id.value, version: rule.version.value, text })
    }
}

/// The rules that are shipped or in a folder, those of the topic, and how far it has been read.
#[derive(Debug, Default)]
pub struct Feed {
    base: Vec<Known>,
    /// Those of the topic by id; none where it puts one out of force.
    pushed: BTreeMap<String, Option<Known>>,
    /// The next offset of each partition.
    next: BTreeMap<i32, i64>,
}

impl Feed {
    /// Reads the topic to its end, on top of what is shipped or in the folder. A record that cannot be used is passed over
    /// and logged.
    ///
    /// # Errors
    /// [`BusError`] where the topic cannot be read.
    pub async fn read(bus: &SharedBus, base: Vec<RuleText>) -> Result<Self, BusError> {
        let mut feed = Self::on(base);
        let mut batches = feed.batches(bus, ReadUntil::End);
        while let Some(batch) = batches.recv().await {
            for record in batch? {
                feed.take(&record);
            }
        }
        Ok(feed)
    }

    /// Nothing is pushed yet. What is no rule is left to whoever compiles, under no id.
    fn on(base: Vec<RuleText>) -> Self {
        let known = |text: RuleText| {
            Known::read(text.clone()).unwrap_or_else(|_| Known { id: String::new(), version: 0, text })
        };
        Self { base: base.into_iter().map(known).collect(), ..Self::default() }
    }

    /// The rules that follow from what is shipped or in the folder, and from the topic.
    #[must_use]
    pub fn texts(&self) -> Vec<RuleText> {
        self.in_force().map(|known| known.text.clone()).collect()
    }

    /// The version and the text of the rule of this id that is in force.
    #[must_use]
    pub fn named(&self, id: &str) -> Option<(u32, &str)> {
        self.in_force().find(|known| known.id == id).map(|known| (known.version, known.text.text.as_str()))
    }

    /// Why nodes would not put a rule in force under this id; none where they would.
    #[must_use]
    pub fn refused(&self, id: &str, text: &RuleText) -> Option<Problem> {
        self.checked(id, text.clone()).err()
    }

    /// Follows the topic and puts each change in force, until nobody judges any more. A bus that fails is asked again.
    pub async fn follow(mut self, bus: SharedBus, rules: watch::Sender<Arc<Rules>>) {
        let following = async {
            loop {
                if let Err(error) = self.changes(&bus, &rules).await {
                    tracing::warn!(%error, "rules cannot be followed now; those in force stay");
                }
                tokio::time::sleep(AGAIN).await;
            }
        };
        tokio::select! {
            () = rules.closed() => {}
            () = following => {}
        }
    }

    /// Puts changes in force as they come, until the bus has no more to give.
    async fn changes(&mut self, bus: &SharedBus, rules: &watch::Sender<Arc<Rules>>) -> Result<(), BusError> {
        let mut batches = self.batches(bus, ReadUntil::Follow);
        while let Some(batch) = batches.recv().await {
            let changed = batch?.iter().filter(|record| self.take(record)).count();
            if changed == 0 {
                continue;
            }
            match Rules::compile(&self.texts()) {
                Ok(mut compiled) => {
                    compiled.count_on(&rules.borrow());
                    tracing::info!(changed, rules = compiled.in_force().len(), "rules in force have changed");
                    rules.send_replace(Arc::new(compiled));
                }
                Err(problems) => {
                    tracing::error!(problem = %problems[0], "rules do not go together; those in force stay");
                }
            }
        }
        Ok(())
    }

    /// What has not been read yet.
    fn batches(&self, bus: &SharedBus, until: ReadUntil) -> tokio::sync::mpsc::Receiver<Result<Vec<Record>, BusError>> {
        let from = ReadFrom::Offsets(self.next.clone());
        bus.read(Read { topic: Topic::Rules, partitions: Vec::new(), from, until })
    }

    fn in_force(&self) -> impl Iterator<Item = &Known> {
        let base = self.base.iter().filter(|known| !self.pushed.contains_key(&known.id));
        base.chain(self.pushed.values().flatten())
    }

    /// Takes over a record; false where it changes nothing.
    fn take(&mut self, record: &Record) -> bool {
        self.next.insert(record.partition, record.offset + 1);
        let cursor = record.cursor();
        let Some(id) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else {
            tracing::warn!(%cursor, "a record without a rule's id was refused");
            return false;
        };
        let Some(payload) = &record.payload else { return self.pushed.remove(id).is_some() };
        let is = |mode: Mode| record.header(MODE) == Some(mode.name());
        if is(Mode::Off) {
            self.pushed.insert(id.to_owned(), None);
            return true;
        }
        let (file, text) = (format!("{}/{cursor}", Topic::Rules), String::from_utf8_lossy(payload).into_owned());
        match self.checked(id, RuleText { file, text, shadow: is(Mode::Shadow) }) {
            Ok(known) => {
                self.pushed.insert(id.to_owned(), Some(known));
                true
            }
            Err(problem) => {
                tracing::error!(rule = id, %problem, "a rule was refused; the one in force stays");
                false
            }
        }
    }

    /// A rule that can be put in force under this id, beside the others.
    fn checked(&self, id: &str, text: RuleText) -> Result<Known, Problem> {
        let known = Known::read(text)?;
        if known.id != id {
            let what = format!("the record's key is {id}, and the rule's id is {}", known.id);
            return Err(Problem::whole(&known.text.file, what));
        }
        if let Some((newer, _)) = self.named(id).filter(|(version, _)| *version > known.version) {
            let what = format!("version {} does not replace version {newer}", known.version);
            return Err(Problem::whole(&known.text.file, what));
        }
        let mut all: Vec<_> = self.in_force().filter(|other| other.id != id).map(|other| other.text.clone()).collect();
        all.push(known.text.clone());
        match Rules::compile(&all) {
            Ok(_) => Ok(known),
            Err(mut problems) => Err(problems.swap_remove(0)),
        }
    }
}

/// The record that pushes a rule; without a text, the one that takes back what was pushed.
#[must_use]
pub fn pushing(id: &str, text: Option<&str>, mode: Mode) -> Outgoing {
    Outgoing {
        topic: Topic::Rules,
        partition: None,
        key: Some(Bytes::copy_from_slice(id.as_bytes())),
        payload: text.map(|text| Bytes::copy_from_slice(text.as_bytes())),
        headers: vec![(MODE.into(), Bytes::from_static(mode.name().as_bytes()))],
    }
}

/// The shipped rules, with those of a folder added or put in their place.
///
/// # Errors
/// [`Problem`] where the folder cannot be read, a file in it is no rule, or two are rules of one id.
pub fn with_folder(shipped: Vec<RuleText>, folder: Option<&Path>) -> Result<Vec<RuleText>, Problem> {
    let Some(folder) = folder else { return Ok(shipped) };
    let mut feed = Feed::on(shipped);
    for text in in_folder(folder)? {
        let known = Known::read(text)?;
        let (file, id) = (known.text.file.clone(), known.id.clone());
        if feed.pushed.insert(id.clone(), Some(known)).is_some() {
            return Err(Problem::whole(&file, format!("there are two rules with the id {id}")));
        }
    }
    Ok(feed.texts())
}

/// What the files `*.yaml` of a folder hold, by name.
///
/// # Errors
/// [`Problem`] where the folder or one of them cannot be read.
pub fn in_folder(folder: &Path) -> Result<Vec<RuleText>, Problem> {
    let unreadable = |file: &Path, error: &std::io::Error| {
        Problem::whole(&file.display().to_string(), format!("cannot be read: {error}"))
    };
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(|error| unreadable(folder, &error))? {
        files.push(entry.map_err(|error| unreadable(folder, &error))?.path());
    }
    files.retain(|file| file.extension().is_some_and(|end| end == "yaml"));
    files.sort();
    let text = |file: &std::path::PathBuf| {
        let text = fs::read_to_string(file).map_err(|error| unreadable(file, &error))?;
        Ok(RuleText { file: file.display().to_string(), text, shadow: false })
    };
    files.iter().map(text).collect()
}
