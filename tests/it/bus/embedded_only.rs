//! The embedded bus's file: what it is, who may use it, and what is left of it.

use std::{collections::BTreeMap, path::Path};

use auren::bus::{Bus, BusError, Inlet, Read, ReadFrom, ReadUntil, Topic, embedded::EmbeddedBus};
use sqlx::{Connection, SqliteConnection, sqlite::SqliteConnectOptions};

use crate::support::{Kind, Role, Stage, after, join, keyed, placed, run, specs, text, until, within};

const IN: Topic = Topic::Triggers;
const OUT: Topic = Topic::Events;

async fn sql(file: &Path, statement: &'static str) {
    let options = SqliteConnectOptions::new().filename(file).create_if_missing(true);
    let mut connection = SqliteConnection::connect_with(&options).await.unwrap();
    sqlx::query(statement).execute(&mut connection).await.unwrap();
    connection.close().await.unwrap();
}

/// Why a file is not opened.
async fn refused(file: &Path) -> String {
    let error = EmbeddedBus::open(file).await.unwrap_err();
    let BusError::Storage { file: named, why } = &error else { panic!("{error}") };
    assert_eq!(Path::new(named), file);
    why.clone()
}

#[test]
fn a_file_of_another_program_is_refused_and_left_as_it_was() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let database = folder.path().join("photos.db");
        sql(&database, "CREATE TABLE photos (name TEXT)").await;
        let before = std::fs::read(&database).unwrap();
        let why = refused(&database).await;
        assert!(why.contains("another program"), "{why}");
        assert_eq!(std::fs::read(&database).unwrap(), before, "it was written to");

        let letter = folder.path().join("letter.txt");
        std::fs::write(&letter, "Dear Ann, this is no database at all. ".repeat(40)).unwrap();
        let why = refused(&letter).await;
        assert!(why.contains("no SQLite file"), "{why}");
        let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "{left:?}");
    });
}

#[test]
fn a_file_of_a_newer_schema_is_refused() {
    run(async {
        let stage = Stage::open(Kind::Embedded).await;
        let file = stage.file();
        sql(&file, "PRAGMA user_version = 99").await;
        let why = refused(&file).await;
        assert!(why.contains("newer AUREN (schema 99"), "{why}");
    });
}

#[test]
fn a_folder_is_refused_and_a_missing_one_is_made() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let why = refused(folder.path()).await;
        assert!(why.contains("this is a folder"), "{why}");
        let deep = folder.path().join("some/where/auren.db");
        let bus = EmbeddedBus::open(&deep).await.unwrap();
        assert_eq!(bus.describe(), format!("embedded {}", deep.display()));
        assert!(deep.is_file());
        let file = folder.path().join("some/where/auren.db/auren.db");
        let why = refused(&file).await;
        assert!(why.contains("folder cannot be created"), "{why}");
    });
}

#[test]
fn an_empty_file_becomes_a_bus() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auren.db");
        std::fs::write(&file, "").unwrap();
        assert_eq!(EmbeddedBus::open(&file).await.unwrap().topics().await.unwrap(), []);
    });
}

#[test]
fn a_bus_opened_again_has_everything() {
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("auren.db");
        for life in 0..3_usize {
            let bus = EmbeddedBus::open(&file).await.unwrap();
            let created = bus.create_topics(&specs(&[IN, OUT], 2)).await.unwrap();
            assert_eq!(created.len(), if life == 0 { 2 } else { 0 });
            let answers = bus.publish(vec![placed(IN, 1, &format!("life {life}"))]).await;
            assert_eq!(answers[0].as_ref().unwrap().offset, i64::try_from(life).unwrap());
            let mut role = Role::assigned(&bus, join("g", "m", &[IN])).await;
            let records = role.take(1).await;
            assert_eq!(text(&records[0]), format!("life {life}"));
            role.commit(after(&records, vec![placed(OUT, 0, &format!("done {life}"))])).await.unwrap();
        }
        let bus = EmbeddedBus::open(&file).await.unwrap();
        let read = |topic| Read { topic, partitions: vec![], from: ReadFrom::Earliest, until: ReadUntil::End };
        let records = crate::support::drain(bus.read(read(OUT))).await.unwrap();
        assert_eq!(records.iter().map(text).collect::<Vec<_>>(), ["done 0", "done 1", "done 2"]);
        assert_eq!(bus.committed("g", IN).await.unwrap(), BTreeMap::from([(1, 3)]));
    });
}

#[test]
fn a_dropped_bus_closes_its_file_and_its_locks() {
    run(async {
        let stage = Stage::open(Kind::Embedded).await;
        stage.create(&[IN, OUT], 1).await;
        let file = stage.file();
        let open = || {
            let files = std::fs::read_dir("/proc/self/fd").unwrap().filter_map(Result::ok);
            let files = files.filter_map(|entry| std::fs::read_link(entry.path()).ok());
            files.filter(|path| path.to_string_lossy().contains(&*file.to_string_lossy())).count()
        };
        let role = Role::assigned(&*stage.bus, join("g", "m", &[IN])).await;
        let read = Read { topic: IN, partitions: vec![], from: ReadFrom::Earliest, until: ReadUntil::Follow };
        let mut follower = stage.bus.read(read);
        stage.publish(vec![placed(IN, 0, "x")]).await;
        within(follower.recv()).await.unwrap().unwrap();
        assert!(open() > 0);
        drop((role, follower));
        let Stage { bus, .. } = &stage;
        assert_eq!(std::sync::Arc::strong_count(bus), 1);
        let folder = stage.into_folder();
        until("its file is closed", || async { open() == 0 }).await;
        // Whether its journal is left or not, whoever opens it next finds everything.
        let bus = EmbeddedBus::open(folder.path().join("auren.db")).await.unwrap();
        assert_eq!(bus.watermarks(IN).await.unwrap()[&0], (0, 1));
        let mut role = Role::assigned(&bus, join("g", "another", &[IN])).await;
        assert_eq!(text(&role.take(1).await[0]), "x");
    });
}

#[test]
fn a_group_lives_in_one_process() {
    run(async {
        let stage = Stage::open(Kind::Embedded).await;
        stage.create(&[IN, OUT], 2).await;
        let other = stage.again().await;
        let mut first = Role::assigned(&*stage.bus, join("g", "a", &[IN])).await;
        let mut second = Role::join(&*other, join("g", "b", &[IN]));
        let Inlet::Failed(error) = second.next().await else { panic!("two processes work in one group") };
        assert!(error.to_string().contains("another process works in it"), "{error}");
        // A group of another name is free, and the other process may publish.
        drop(Role::assigned(&*other, join("h", "b", &[IN])).await);
        for answer in other.publish(vec![placed(IN, 0, "one"), placed(IN, 1, "two")]).await {
            answer.unwrap();
        }
        let records = first.take(2).await;
        first.commit(after(&records[..1], vec![placed(OUT, 0, "first")])).await.unwrap();
        drop(first);
        let mut second = Role::assigned(&*other, join("g", "b", &[IN])).await;
        let records = second.take(1).await;
        second.commit(after(&records, vec![placed(OUT, 0, "second")])).await.unwrap();
        assert_eq!(stage.texts(OUT).await, ["first", "second"]);
    });
}

#[test]
fn compaction_keeps_the_newest_of_each_key() {
    run(async {
        const STATE: Topic = Topic::StateConverse;
        let stage = Stage::open(Kind::Embedded).await;
        stage.create(&[STATE, OUT], 1).await;
        let mut newest = BTreeMap::new();
        for round in 0..5 {
            let keys: Vec<_> = (0..800).map(|n| if n == 0 { round } else { 100 + n * 7 % 20 }).collect();
            let records =
                keys.iter().enumerate().map(|(n, key)| keyed(STATE, &key.to_string(), &format!("{round}-{n}")));
            let records: Vec<_> = records.collect();
            for (record, answer) in records.iter().zip(stage.bus.publish(records.clone()).await) {
                newest.insert(record.key.clone(), (answer.unwrap().offset, record.payload.clone()));
            }
            stage.publish((0..800).map(|n| keyed(OUT, &(n % 3).to_string(), "kept")).collect()).await;
        }
        until("old records go", || async { stage.all(STATE).await.len() < 1500 }).await;
        let mut left = BTreeMap::new();
        let records = stage.all(STATE).await;
        for record in &records {
            left.insert(record.key.clone(), (record.offset, record.payload.clone()));
        }
        assert_eq!(left, newest);
        assert!(records.is_sorted_by_key(|record| record.offset));
        assert_eq!(stage.bus.watermarks(STATE).await.unwrap()[&0].1, 4000, "offsets stay");
        assert_eq!(stage.all(OUT).await.len(), 4000, "what is no state is not compacted");
        let answer = stage.bus.publish(vec![keyed(STATE, "new", "x")]).await.remove(0).unwrap();
        assert_eq!(answer.offset, 4000);
    });
}
