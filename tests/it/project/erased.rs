//! A person who is erased: no row is left, none comes, and making the history again does not bring them back.

use auren::{bus::Topic, erase::erase, phi::Keys, project::Database};
use auren_agents::UserId;

use super::{Kept, count, projector, publish, reaches};
use crate::support::{Kind, Stage, keyed, run, trigger, until};

const TABLES: [&str; 4] = ["auren_biometrics", "auren_triggers", "auren_conversation_events", "auren_system_events"];

/// Rows in which the person is named, wherever.
async fn named(url: &str, user: &str) -> i64 {
    let mut rows = 0;
    for table in TABLES {
        let named = if url.starts_with("sqlite:") {
            format!("coalesce(user_id, '') || event_id || rest LIKE '%{user}%'")
        } else {
            format!("t::text LIKE '%{user}%'")
        };
        rows += count(url, &format!("SELECT count(*) FROM {table} t WHERE {named}")).await;
    }
    rows
}

/// Whether words stand anywhere in the history's file or in the log beside it.
fn stands_in_files(url: &str, words: &str) -> bool {
    let file = url.strip_prefix("sqlite:").unwrap();
    let files = [file.to_owned(), format!("{file}-wal")].map(|file| std::fs::read(file).unwrap_or_default());
    files.iter().any(|bytes| bytes.windows(words.len()).any(|window| window == words.as_bytes()))
}

async fn who_is_erased_has_no_rows_and_gets_none(kind: Kind, kept: Kept) {
    let stage = Stage::open(kind).await;
    stage.create(Topic::ALL, 3).await;
    let url = kept.of(&stage).await;
    publish(&stage).await;
    let stop = projector(&stage.bus, &url);
    // SQLite keeps one that PostgreSQL refuses.
    let (equal, refused) = match kept {
        Kept::Server => (33, 3),
        Kept::File => (34, 2),
    };
    reaches(&stage.bus, &url, 44).await;
    assert_eq!(named(&url, "u-2").await, 8);
    if matches!(kept, Kept::File) {
        assert!(stands_in_files(&url, "t-17"), "a trigger of u-2");
    }

    let keys = Keys::ephemeral("tests");
    erase(&keys, &*stage.bus, "node-1", "test", &UserId::new("u-2").unwrap()).await.unwrap();
    let late = trigger("u-2", "t-late", &["coach"]).to_string();
    stage.publish(vec![keyed(Topic::Triggers, "u-2", &late)]).await;
    // The word in four topics, the receipt, and what came late.
    let all = reaches(&stage.bus, &url, 50).await;
    assert_eq!((all.equal, all.refused, all.forgotten, all.differences()), (equal, refused, 14, 0), "{:?}", all.faults);
    assert_eq!(named(&url, "u-2").await, 0);
    assert_eq!(count(&url, "SELECT count(*) FROM auren_erased WHERE user_id = 'u-2'").await, 1);
    if matches!(kept, Kept::File) {
        until("nothing of u-2 is left in the files", || async { !stands_in_files(&url, "t-17") }).await;
        assert!(stands_in_files(&url, "t-18"), "the others are");
    }

    Database::open(&url).await.unwrap().empty().await.unwrap();
    let all = reaches(&stage.bus, &url, 50).await;
    assert_eq!((all.equal, all.forgotten, all.differences()), (equal, 14, 0), "{:?}", all.faults);
    assert_eq!(named(&url, "u-2").await, 0);
    drop(stop);

    // In a new database, which has only the log to learn it from.
    let url = kept.of(&stage).await;
    let _stop = projector(&stage.bus, &url);
    let all = reaches(&stage.bus, &url, 50).await;
    assert_eq!((all.equal, all.forgotten, all.differences()), (equal, 14, 0), "{:?}", all.faults);
    assert_eq!(named(&url, "u-2").await, 0);
}

#[test]
fn who_is_erased_has_no_rows_and_gets_none_on_kafka() {
    run(who_is_erased_has_no_rows_and_gets_none(Kind::Kafka, Kept::Server));
}

#[test]
fn who_is_erased_has_no_rows_and_gets_none_on_the_embedded_bus() {
    run(who_is_erased_has_no_rows_and_gets_none(Kind::Embedded, Kept::Server));
}

#[test]
fn who_is_erased_has_no_rows_in_a_file_and_gets_none() {
    run(who_is_erased_has_no_rows_and_gets_none(Kind::Embedded, Kept::File));
}
