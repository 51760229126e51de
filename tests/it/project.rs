//! The history: every committed record is a row once, whoever is killed meanwhile; rows are compared with the log, made
//! again from it, and followed back to what an answer rests on. All of it on a real PostgreSQL, and in a file where the bus is
//! one.

mod bad_days;
mod embedded;
mod erased;
mod killed;
mod node;
mod timescale;
mod why;

use std::{
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
    sync::Arc,
};

use auren::{
    bus::{Read, ReadFrom, ReadUntil, Record, SharedBus, Topic},
    project::{
        self, Database, ProjectError, ProjectSettings,
        database::Written,
        row::projected,
        verify::{Compared, verify},
    },
};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection, SqliteConnection};
use tokio::sync::watch;

use crate::support::{
    DEADLINE, Kind, Stage, drain, free_port, keyed, mission_biometric, mission_trigger, run, service, trigger, until,
};

/// A new database of the shared server.
pub async fn database() -> String {
    let server = service("AUREN_TEST_POSTGRES");
    let name = format!("t{:016x}", rand::random::<u64>());
    sql(&server, &format!("CREATE DATABASE {name}")).await;
    server.replace("/postgres?", &format!("/{name}?"))
}

/// What the history is kept in.
#[derive(Debug, Clone, Copy)]
pub enum Kept {
    Server,
    /// A file beside the embedded bus's.
    File,
}

impl Kept {
    /// A new history of a stage.
    pub async fn of(self, stage: &Stage) -> String {
        match self {
            Self::Server => database().await,
            Self::File => file(stage),
        }
    }
}

/// A file that is not there yet.
fn file(stage: &Stage) -> String {
    let name = format!("history-{:016x}.db", rand::random::<u64>());
    auren::project::database::in_file(&stage.file().with_file_name(name))
}

pub async fn count(url: &str, asked: &str) -> i64 {
    let asked = AssertSqlSafe(asked.to_owned());
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        return sqlx::query_scalar(asked).fetch_one(&mut connection).await.unwrap();
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    sqlx::query_scalar(asked).fetch_one(&mut connection).await.unwrap()
}

pub async fn sql(url: &str, statement: &str) {
    let statement = sqlx::raw_sql(AssertSqlSafe(statement.to_owned()));
    if url.starts_with("sqlite:") {
        let mut connection = SqliteConnection::connect(url).await.unwrap();
        statement.execute(&mut connection).await.unwrap();
        return;
    }
    let mut connection = PgConnection::connect(url).await.unwrap();
    statement.execute(&mut connection).await.unwrap();
}

fn settings(url: &str) -> ProjectSettings {
    ProjectSettings { url: url.to_owned(), max_batch: 7, compress_after_days: 30, keep_days: 0 }
}

/// A projector at work, until it is dropped.
fn projector(bus: &SharedBus, url: &str) -> watch::Sender<bool> {
    let (stop, stopped) = watch::channel(false);
    tokio::spawn(project::run(Arc::clone(bus), settings(url), Arc::default(), stopped));
    stop
}

/// What comparing all topics comes to.
async fn compared(bus: &SharedBus, url: &str) -> Compared {
    let mut database = Database::open(url).await.unwrap();
    let mut all = Compared::default();
    for (_, one) in verify(bus, &mut database).await.unwrap() {
        all.records += one.records;
        all.equal += one.equal;
        all.refused += one.refused;
        all.forgotten += one.forgotten;
        all.missing += one.missing;
        all.different += one.different;
        all.extra += one.extra;
        all.behind += one.behind;
        all.faults.extend(one.faults);
    }
    all
}

/// Waits until every one of so many records has been projected.
pub async fn reaches(bus: &SharedBus, url: &str, records: u64) -> Compared {
    until(&format!("{records} records are rows"), || async { compared(bus, url).await.records >= records }).await;
    compared(bus, url).await
}

pub async fn all_of(bus: &SharedBus, topic: Topic) -> Vec<Record> {
    let read = Read { topic, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::End };
    drain(bus.read(read)).await.unwrap()
}

/// What `auren project verify --json` says, where it says anything: the whole of it, and a sum over the topics.
fn verified(output: &Output) -> (serde_json::Value, impl Fn(&str) -> u64 + use<>) {
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let topics: Vec<_> = said["topics"].as_object().into_iter().flatten().map(|(_, topic)| topic.clone()).collect();
    (said, move |name: &str| topics.iter().map(|topic| topic[name].as_u64().unwrap()).sum::<u64>())
}

/// Twenty triggers and as many measurements of five people, a hub's own event, and three records that are no rows.
async fn publish(stage: &Stage) {
    let mut records = Vec::new();
    for number in 0..20 {
        let user = format!("u-{}", number % 5);
        let mut event = mission_biometric();
        event["user_id"] = json!(user);
        event["event_id"] = json!(format!("b-{number}"));
        // JSON has many ways to write a number.
        event["metadata"]["statistical_summary"]["mean"] = json!(1e10);
        records.push(keyed(Topic::Biometrics, &user, &event.to_string()));
        records.push(keyed(Topic::Triggers, &user, &trigger(&user, &format!("t-{number}"), &["coach"]).to_string()));
    }
    let system =
        json!({ "event_id": "s-1", "event_type": "hub_started", "node": "n", "timestamp": "2024-01-01T10:00:00Z" });
    records.push(keyed(Topic::System, "n", &system.to_string()));
    records.push(keyed(Topic::Biometrics, "u-1", "no JSON"));
    records.push(keyed(Topic::Triggers, "u-1", "{}"));
    // PostgreSQL keeps no U+0000, so that it is the database that refuses this one; SQLite keeps it.
    let mut hollow = mission_trigger();
    hollow["note"] = json!("a\u{0}b");
    records.push(keyed(Topic::Triggers, "u-1", &hollow.to_string()));
    stage.publish(records).await;
}

const TOPICS: [Topic; 5] = [Topic::Biometrics, Topic::Triggers, Topic::Events, Topic::System, Topic::Inbox];

async fn every_record_is_a_row_or_refused_and_every_difference_is_found(kind: Kind, kept: Kept) {
    let stage = Stage::open(kind).await;
    stage.create(Topic::ALL, 3).await;
    let url = kept.of(&stage).await;
    let (equal, refused) = match kept {
        Kept::Server => (41, 3),
        Kept::File => (42, 2),
    };
    publish(&stage).await;
    let stop = projector(&stage.bus, &url);
    let all = reaches(&stage.bus, &url, 44).await;
    assert_eq!((all.equal, all.refused, all.differences(), all.behind), (equal, refused, 0, 0), "{:?}", all.faults);
    drop(stop);

    // Whoever changes a row is found out, whatever they do.
    sql(&url, "DELETE FROM auren_triggers WHERE event_id = 't-3'").await;
    sql(&url, "UPDATE auren_triggers SET severity = 0.1 WHERE event_id = 't-4'").await;
    let (trend, later) = match kept {
        Kept::Server => ("jsonb_set(rest, '{metadata,trend}', '\"up\"')", "at + interval '1 s'"),
        Kept::File => ("json_set(rest, '$.metadata.trend', 'up')", "at || '1'"),
    };
    sql(&url, &format!("UPDATE auren_biometrics SET rest = {trend} WHERE event_id = 'b-5'")).await;
    sql(
        &url,
        &format!(
            "INSERT INTO auren_system_events SELECT {later}, logged_at, log_partition, log_offset, event_id, user_id, \
             event_type, node, rest FROM auren_system_events"
        ),
    )
    .await;
    let all = compared(&stage.bus, &url).await;
    assert_eq!((all.missing, all.different, all.extra), (1, 2, 1), "{:?}", all.faults);

    // Made again from the log, all is well, although nothing new comes.
    let stop = projector(&stage.bus, &url);
    Database::open(&url).await.unwrap().empty().await.unwrap();
    let all = reaches(&stage.bus, &url, 44).await;
    assert_eq!((all.equal, all.refused, all.differences()), (equal, refused, 0), "{:?}", all.faults);
    Database::open(&url).await.unwrap().empty().await.unwrap();
    let all = reaches(&stage.bus, &url, 44).await;
    assert_eq!((all.equal, all.refused, all.differences()), (equal, refused, 0), "{:?}", all.faults);
    drop(stop);
}

#[test]
fn every_record_is_a_row_or_refused_and_every_difference_is_found_on_kafka() {
    run(every_record_is_a_row_or_refused_and_every_difference_is_found(Kind::Kafka, Kept::Server));
}

#[test]
fn every_record_is_a_row_or_refused_and_every_difference_is_found_on_the_embedded_bus() {
    run(every_record_is_a_row_or_refused_and_every_difference_is_found(Kind::Embedded, Kept::Server));
}

#[test]
fn every_record_is_a_row_or_refused_and_every_difference_is_found_in_a_file() {
    run(every_record_is_a_row_or_refused_and_every_difference_is_found(Kind::Embedded, Kept::File));
}

#[test]
fn of_two_writers_at_the_same_offsets_one_writes_nothing() {
    for kept in [Kept::Server, Kept::File] {
        run(of_two_writers(kept));
    }
}

async fn of_two_writers(kept: Kept) {
    let stage = Stage::open(Kind::Embedded).await;
    stage.create(&TOPICS, 1).await;
    publish(&stage).await;
    let records = all_of(&stage.bus, Topic::Triggers).await;
    let url = kept.of(&stage).await;
    let (mut one, mut other) = (Database::open(&url).await.unwrap(), Database::open(&url).await.unwrap());
    let places = [(Topic::Triggers, 0)];
    let (mut here, mut there) = (one.offsets(&places).await.unwrap(), other.offsets(&places).await.unwrap());
    let batch = projected(records);
    let ends = tokio::join!(one.write(&mut here, batch.clone()), other.write(&mut there, batch));
    let stale = |end: &Result<Written, ProjectError>| matches!(end, Err(ProjectError::Stale { .. }));
    assert!(stale(&ends.0) != stale(&ends.1), "{ends:?}");
    let rows = match kept {
        Kept::Server => 20,
        Kept::File => 21,
    };
    assert_eq!(one.held(Topic::Triggers).await.unwrap().rows, rows);
    // Nor may both hold the lock.
    assert!(one.claim().await.unwrap() && !other.claim().await.unwrap());
    drop(one);
    until("the lock is free again", || async { Database::open(&url).await.unwrap().claim().await.unwrap() }).await;
}

#[test]
fn tables_of_a_newer_version_are_left_alone() {
    run(async {
        let stage = Stage::open(Kind::Embedded).await;
        for (kept, checksum) in [(Kept::Server, "'\\x00'"), (Kept::File, "x'00'")] {
            let url = kept.of(&stage).await;
            Database::open(&url).await.unwrap();
            sql(
                &url,
                &format!(
                    "INSERT INTO auren_migrations (version, description, success, checksum, execution_time) VALUES (99, \
                     'later', true, {checksum}, 0)"
                ),
            )
            .await;
            for error in [Database::open(&url).await.unwrap_err(), Database::look(&url).await.unwrap_err()] {
                assert!(matches!(error, ProjectError::Future { version: 99, .. }), "{error}");
                assert!(error.to_string().contains("nothing was written"), "{error}");
            }
        }
    });
}

#[test]
fn who_only_looks_makes_no_tables() {
    run(async {
        let url = database().await;
        let error = Database::look(&url).await.unwrap_err();
        assert!(matches!(error, ProjectError::NoTables { .. }), "{error}");
        assert_eq!(count(&url, "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'auren%'").await, 0);
        let stage = Stage::open(Kind::Embedded).await;
        let file = file(&stage);
        let error = Database::look(&file).await.unwrap_err();
        assert!(matches!(error, ProjectError::NoTables { .. }), "{error}");
        assert!(!std::path::Path::new(file.trim_start_matches("sqlite:")).exists());
        for url in [url, file] {
            let mut one = Database::open(&url).await.unwrap();
            let mut other = Database::look(&url).await.unwrap();
            assert!(!other.is_claimed().await.unwrap());
            assert!(one.claim().await.unwrap() && other.is_claimed().await.unwrap());
        }
    });
}

/// A PostgreSQL of a test's own. Dropped, it is killed, and its data are gone.
pub struct Server {
    child: Child,
    folder: tempfile::TempDir,
    port: u16,
    /// Where it speaks TLS alone: the certificates' folder.
    certificates: Option<PathBuf>,
    /// How long a file of its may get, in KiB.
    longest: Option<u32>,
}

impl Server {
    pub fn start() -> Self {
        Self::of(None)
    }

    /// One that wants TLS and a password.
    pub fn safe(certificates: &Path) -> Self {
        Self::of(Some(certificates.to_owned()))
    }

    fn of(certificates: Option<PathBuf>) -> Self {
        let (folder, port) = (tempfile::tempdir().unwrap(), free_port());
        let child = launch(folder.path(), port, certificates.as_deref(), None);
        let mut server = Self { child, folder, port, certificates, longest: None };
        server.answers();
        server
    }

    pub fn url(&self) -> String {
        match &self.certificates {
            None => format!("postgres://auren@127.0.0.1:{}/postgres?sslmode=disable", self.port),
            Some(folder) => self.url_with("postgres-s3cret", &folder.join("ca.pem")),
        }
    }

    /// How one that wants TLS is reached with this password, by whom trusts this authority.
    pub fn url_with(&self, password: &str, authority: &Path) -> String {
        let (port, authority) = (self.port, authority.display());
        format!("postgres://auren:{password}@127.0.0.1:{port}/postgres?sslmode=verify-full&sslrootcert={authority}")
    }

    /// SIGKILL; nobody is told.
    pub fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Runs it again on what it had written.
    pub fn again(&mut self) {
        self.again_with(None);
    }

    /// The same, and no file of its may get longer than so many KiB.
    pub fn again_with(&mut self, longest: Option<u32>) {
        self.longest = longest;
        self.child = self.launch();
        self.answers();
    }

    fn launch(&self) -> Child {
        launch(self.folder.path(), self.port, self.certificates.as_deref(), self.longest)
    }

    /// Waits until it answers. While processes of a killed one still end, it refuses to start.
    fn answers(&mut self) {
        let limit = std::time::Instant::now() + DEADLINE;
        let url = self.url();
        let answers = || {
            let url = url.clone();
            // A runtime of its own, on a thread of its own: whoever asks may be on a runtime already.
            let asked = std::thread::spawn(move || {
                let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                runtime.block_on(async { PgConnection::connect(&url).await.is_ok() })
            });
            asked.join().unwrap()
        };
        while !answers() {
            if self.child.try_wait().unwrap().is_some() {
                self.child = self.launch();
            }
            assert!(std::time::Instant::now() < limit, "PostgreSQL does not start");
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn launch(folder: &Path, port: u16, certificates: Option<&Path>, longest: Option<u32>) -> Child {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/postgres");
    let mut command = Command::new(script);
    command.arg(folder).arg(port.to_string()).args(certificates);
    command.envs(longest.map(|longest| ("POSTGRES_LONGEST_FILE", longest.to_string())));
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap()
}
