//! Rules as records of a compacted topic, so that they change without a restart.
//!
//! A record's key is the rule's id, its value the YAML, and a header says whether the rule speaks, is only counted, or is
//! off. A node begins with the shipped rules and those of its folder, puts the records on top, and follows the topic. Each
//! change makes a new set of rules, and sessions take the newest set before each event: no event is judged by two sets, and
//! none by no set. A record that cannot be used is refused, and what was in force stays.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use tokio::sync::watch;

use super::{
    problem::{Place, Problem},
    rule::Rule,
    rules::{RuleText, Rules},
};
use crate::bus::{BusError, Outgoing, Read, ReadFrom, ReadUntil, Record, SharedBus, Topic};

/// The header that says what the rule does.
const MODE: &str = "auren-mode";

/// What a pushed rule does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It speaks.
    Live,
    /// What it finds is counted and logged, and not said.
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

/// A rule of the topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pushed {
    /// What it does.
    pub mode: Mode,
    /// Its text and where it was read.
    pub text: RuleText,
}

/// The rules of the topic, and where each partition has been read to.
#[derive(Debug, Default)]
pub struct Feed {
    /// By id.
    pub pushed: BTreeMap<String, Pushed>,
    read: HashMap<i32, i64>,
}

impl Feed {
    /// Reads the topic to its end. A record that cannot be used is passed over and logged.
    ///
    /// # Errors
    /// [`BusError`] where the topic cannot be read.
    pub async fn read(bus: &SharedBus, base: &[RuleText]) -> Result<Self, BusError> {
        let mut feed = Self::default();
        let mut batches = bus.read(whole(bus, ReadUntil::End).await?);
        while let Some(batch) = batches.recv().await {
            for record in batch? {
                feed.take(&record, base);
            }
        }
        Ok(feed)
    }

    /// The rules that follow from what is shipped or in the folder, and from the topic.
    #[must_use]
    pub fn texts(&self, base: &[RuleText]) -> Vec<RuleText> {
        let id = |text: &RuleText| Rule::parse(&text.file, &text.text).map(|rule| rule.id.value).unwrap_or_default();
        let mut texts: Vec<_> = base.iter().filter(|text| !self.pushed.contains_key(&id(text))).cloned().collect();
        texts.extend(self.pushed.values().filter(|pushed| pushed.mode != Mode::Off).map(|pushed| pushed.text.clone()));
        texts
    }

    /// Follows the topic and puts each change in force, until nobody judges any more.
    pub async fn follow(mut self, bus: SharedBus, base: Vec<RuleText>, rules: watch::Sender<Arc<Rules>>) {
        let read = match whole(&bus, ReadUntil::Follow).await {
            Ok(read) => read,
            Err(error) => return tracing::error!(%error, "rules cannot be followed; those in force stay"),
        };
        let mut batches = bus.read(read);
        while let Some(batch) = batches.recv().await {
            let batch = match batch {
                Ok(batch) => batch,
                Err(error) => return tracing::error!(%error, "rules are not followed any more; those in force stay"),
            };
            let changed = batch.iter().filter(|record| self.take(record, &base)).count();
            if changed == 0 {
                continue;
            }
            match Rules::compile(&self.texts(&base)) {
                Ok(compiled) => {
                    tracing::info!(changed, rules = compiled.in_force().len(), "rules in force have changed");
                    if rules.send(Arc::new(compiled)).is_err() {
                        return;
                    }
                }
                Err(problems) => {
                    tracing::error!(problem = %problems[0], "rules do not go together; those in force stay")
                }
            }
        }
    }

    /// Takes over a record; false where it changes nothing.
    fn take(&mut self, record: &Record, base: &[RuleText]) -> bool {
        let read = self.read.entry(record.partition).or_insert(-1);
        if record.offset <= *read {
            return false;
        }
        *read = record.offset;
        let cursor = record.cursor();
        let Some(id) = record.key.as_deref().and_then(|key| std::str::from_utf8(key).ok()) else {
            tracing::warn!(%cursor, "a record without a rule's id was refused");
            return false;
        };
        let Some(payload) = &record.payload else { return self.pushed.remove(id).is_some() };
        let mode = match record.header(MODE) {
            Some("shadow") => Mode::Shadow,
            Some("off") => Mode::Off,
            _ => Mode::Live,
        };
        let file = format!("{}/{cursor}", Topic::Rules);
        let text = String::from_utf8_lossy(payload).into_owned();
        let text = RuleText { file, text, shadow: mode == Mode::Shadow };
        let mut all = self.texts(base);
        let refused = if mode == Mode::Off { None } else { self.refused(id, &text, &mut all) };
        if let Some(problem) = refused {
            tracing::error!(rule = id, %problem, "a rule was refused; the one in force stays");
            return false;
        }
        self.pushed.insert(id.to_owned(), Pushed { mode, text });
        true
    }

    /// Why a rule cannot be put in force.
    fn refused(&self, id: &str, text: &RuleText, all: &mut Vec<RuleText>) -> Option<Problem> {
        let problem =
            |what: String| Problem { file: text.file.clone(), place: Place { line: 1, column: 1 }, what, hint: None };
        let rule = match Rule::parse(&text.file, &text.text) {
            Ok(rule) => rule,
            Err(problem) => return Some(problem),
        };
        if rule.id.value != id {
            return Some(problem(format!("the record's key is {id}, and the rule's id is {}", rule.id.value)));
        }
        let version = |known: &RuleText| {
            let known = Rule::parse(&known.file, &known.text).ok()?;
            (known.id.value == id).then_some(known.version.value)
        };
        if let Some(known) = all.iter().find_map(version).filter(|known| *known > rule.version.value) {
            return Some(problem(format!("version {} does not replace version {known}", rule.version.value)));
        }
        all.retain(|known| version(known).is_none());
        all.push(text.clone());
        Rules::compile(all).err()?.into_iter().next()
    }
}

async fn whole(bus: &SharedBus, until: ReadUntil) -> Result<Read, BusError> {
    let partitions = (0..bus.partitions().await?).collect();
    Ok(Read { topic: Topic::Rules, partitions, from: ReadFrom::Earliest, until })
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
/// [`Problem`] where the folder cannot be read, or a file in it is no rule.
pub fn with_folder(shipped: Vec<RuleText>, folder: Option<&Path>) -> Result<Vec<RuleText>, Problem> {
    let Some(folder) = folder else { return Ok(shipped) };
    let unreadable = |file: &Path| {
        let (file, place) = (file.display().to_string(), Place { line: 1, column: 1 });
        move |error: std::io::Error| Problem { file, place, what: format!("cannot be read: {error}"), hint: None }
    };
    let mut feed = Feed::default();
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(unreadable(folder))? {
        files.push(entry.map_err(unreadable(folder))?.path());
    }
    files.sort();
    for file in files.iter().filter(|file| file.extension().is_some_and(|end| end == "yaml")) {
        let text = fs::read_to_string(file).map_err(unreadable(file))?;
        let text = RuleText { file: file.display().to_string(), text, shadow: false };
        let id = Rule::parse(&text.file, &text.text)?.id.value;
        feed.pushed.insert(id, Pushed { mode: Mode::Live, text });
    }
    Ok(feed.texts(&shipped))
}
