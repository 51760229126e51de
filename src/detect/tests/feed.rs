//! Rules that come from a folder and from a topic, of which a bus that fails tells late.

use std::{
    collections::{BTreeMap, VecDeque},
    fs,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use tokio::sync::{mpsc, watch};

use super::*;
use crate::bus::{
    Bus, BusError, Cursor, Facts, Join, Member, Outgoing, Read, ReadFrom, Record, SharedBus, Topic, TopicInfo,
    TopicSpec,
};

type Answer = Result<Vec<Record>, BusError>;

/// A bus that answers each read with what stands here for it, and then no more.
#[derive(Debug, Default)]
struct Scripted {
    answers: Mutex<VecDeque<Answer>>,
    asked: Mutex<Vec<ReadFrom>>,
}

#[async_trait]
impl Bus for Scripted {
    fn describe(&self) -> String {
        "scripted".to_owned()
    }

    async fn topics(&self) -> Result<Vec<TopicInfo>, BusError> {
        Ok(Vec::new())
    }

    async fn create_topics(&self, _: &[TopicSpec]) -> Result<Vec<Topic>, BusError> {
        Ok(Vec::new())
    }

    async fn publish(&self, _: Vec<Outgoing>) -> Vec<Result<Cursor, BusError>> {
        Vec::new()
    }

    async fn watermarks(&self, _: Topic) -> Result<BTreeMap<i32, (i64, i64)>, BusError> {
        Ok(BTreeMap::new())
    }

    async fn committed(&self, _: &str, _: Topic) -> Result<BTreeMap<i32, i64>, BusError> {
        Ok(BTreeMap::new())
    }

    async fn facts(&self) -> Result<Facts, BusError> {
        Err(gone())
    }

    fn read(&self, read: Read) -> mpsc::Receiver<Answer> {
        let (sender, answers) = mpsc::channel(1);
        self.asked.lock().unwrap().push(read.from);
        if let Some(answer) = self.answers.lock().unwrap().pop_front() {
            sender.try_send(answer).unwrap();
        }
        answers
    }

    fn join(&self, _: Join) -> Result<Member, BusError> {
        Err(gone())
    }
}

fn gone() -> BusError {
    BusError::Unreachable { what: "scripted".to_owned(), why: "it is gone".to_owned() }
}

fn version(version: u32) -> String {
    rule(&format!("{INPUTS}when: event.severity >= 0.5\n")).replace("version: 1", &format!("version: {version}"))
}

fn text(file: &str, text: String) -> RuleText {
    RuleText { file: file.to_owned(), text, shadow: false }
}

fn record(offset: i64, text: &str) -> Record {
    let Outgoing { topic, key, payload, headers, .. } = pushing("r", Some(text), Mode::Live);
    Record { topic, partition: 0, offset, timestamp_ms: 0, key, payload, headers }
}

fn in_force(rules: &Rules) -> Vec<u32> {
    rules.in_force().iter().map(|known| known.rule.version).collect()
}

#[tokio::test]
async fn rules_are_followed_on_after_the_bus_has_failed_from_where_they_were_read_to_until_nobody_judges() {
    let bus = Arc::new(Scripted::default());
    *bus.answers.lock().unwrap() =
        [Ok(vec![record(6, &version(1))]), Err(gone()), Ok(vec![record(7, &version(2))])].into();
    let shared: SharedBus = bus.clone();
    let feed = Feed::read(&shared, Vec::new()).await.unwrap();
    let (sender, mut rules) = watch::channel(Arc::new(Rules::compile(&feed.texts()).unwrap()));
    assert_eq!(in_force(&rules.borrow()), [1]);
    let following = tokio::spawn(feed.follow(shared, sender));
    rules.changed().await.unwrap();
    assert_eq!(in_force(&rules.borrow()), [2]);
    let from = ReadFrom::Offsets([(0, 7)].into());
    assert_eq!(bus.asked.lock().unwrap()[..3], [ReadFrom::Offsets(BTreeMap::new()), from.clone(), from]);
    drop(rules);
    following.await.unwrap();
}

#[tokio::test]
async fn a_rule_is_compared_with_those_of_the_folder_too() {
    let bus: SharedBus = Arc::new(Scripted::default());
    let feed = Feed::read(&bus, vec![text("folder/r.yaml", version(5))]).await.unwrap();
    assert_eq!(feed.named("r").map(|(version, _)| version), Some(5));
    let refused = |id: &str, number: u32| feed.refused(id, &text("r.yaml", version(number))).map(|why| why.to_string());
    assert_eq!(refused("r", 4).as_deref(), Some("r.yaml:1:1: version 4 does not replace version 5"));
    assert_eq!(refused("q", 6).as_deref(), Some("r.yaml:1:1: the record's key is q, and the rule's id is r"));
    assert_eq!(refused("r", 6), None);
}

#[test]
fn two_files_of_a_folder_with_one_id_are_refused_by_name() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("a.yaml", &version(1));
    write("c.yml", "no rule");
    let with = || with_folder(Vec::new(), Some(folder.path()));
    assert_eq!(with().unwrap().len(), 1);
    write("b.yaml", &version(2));
    let why = with().unwrap_err().to_string();
    assert!(why.ends_with("b.yaml:1:1: there are two rules with the id r"), "{why}");
}
