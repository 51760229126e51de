//! The same history in a real TimescaleDB: hypertables, sums that follow by themselves, compression, an age at which rows go,
//! and people who are forgotten out of all of it. It takes one client at a time and has no workers, so its jobs are called.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
};

use auren::{
    bus::Topic,
    project::{Database, row::TOPICS, verify::verify},
    wire,
};
use auren_agents::UserId;
use sqlx::{Connection as _, PgConnection};

use super::{all_of, count, publish, sql};
use crate::support::{Kind, Stage, free_port, run};

/// How long it may take to start: the extension is compiled when it is loaded.
const START: std::time::Duration = std::time::Duration::from_secs(60);

struct Server(Child, String);

impl Server {
    async fn start() -> Self {
        let port = free_port();
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/services/timescale");
        let mut command = Command::new(script);
        command.arg(port.to_string()).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let url = format!("postgres://postgres:postgres@127.0.0.1:{port}/postgres?sslmode=disable");
        let server = Self(command.spawn().unwrap(), url);
        let limit = tokio::time::Instant::now() + START;
        while PgConnection::connect(&server.1).await.is_err() {
            assert!(tokio::time::Instant::now() < limit, "TimescaleDB does not start");
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        server
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Writes what is not written yet.
async fn write(stage: &Stage, url: &str) {
    let mut database = Database::open(url).await.unwrap();
    let places: Vec<_> = TOPICS.iter().map(|topic| (*topic, 0)).collect();
    let mut offsets = database.offsets(&places).await.unwrap();
    for topic in TOPICS {
        let mut records = all_of(&stage.bus, topic).await;
        records.retain(|record| record.offset >= offsets[&(topic, 0)]);
        database.write(&mut offsets, &records).await.unwrap();
    }
}

/// Calls the jobs of one kind, as a worker of the database would.
async fn work(url: &str, job: &str) -> i64 {
    let jobs = format!("SELECT job_id FROM timescaledb_information.jobs WHERE proc_name = '{job}'");
    let mut connection = PgConnection::connect(url).await.unwrap();
    let ids: Vec<i32> = sqlx::query_scalar(sqlx::AssertSqlSafe(jobs)).fetch_all(&mut connection).await.unwrap();
    drop(connection);
    for id in &ids {
        sql(url, &format!("CALL run_job({id})")).await;
    }
    i64::try_from(ids.len()).unwrap()
}

async fn compare(stage: &Stage, url: &str) -> (u64, u64, u64) {
    let mut database = Database::open(url).await.unwrap();
    let (mut equal, mut refused, mut differences) = (0, 0, 0);
    for (_, one) in verify(&stage.bus, &mut database).await.unwrap() {
        (equal, refused, differences) = (equal + one.equal, refused + one.refused, differences + one.differences());
    }
    (equal, refused, differences)
}

#[test]
fn timescale_holds_sums_up_compresses_forgets_and_drops() {
    run(async {
        let server = Server::start().await;
        let url = &server.1;
        let stage = Stage::open(Kind::Embedded).await;
        stage.create(Topic::ALL, 1).await;
        publish(&stage).await;
        write(&stage, url).await;
        assert_eq!(compare(&stage, url).await, (41, 3, 0));
        let hypertables =
            "SELECT count(*) FROM timescaledb_information.hypertables WHERE hypertable_name LIKE 'auren%'";
        assert_eq!(count(url, hypertables).await, 3);

        // The sums are there at once, and still once they are kept.
        let sums = "SELECT sum(events)::bigint FROM auren_user_days";
        let triggers = "SELECT sum(triggers)::bigint FROM auren_rule_hours";
        assert_eq!((count(url, sums).await, count(url, triggers).await), (20, 20));
        assert_eq!(work(url, "policy_refresh_continuous_aggregate").await, 2);
        assert_eq!((count(url, sums).await, count(url, triggers).await), (20, 20));
        // Once again, nothing is made anew.
        let mut database = Database::open(url).await.unwrap();
        assert!(database.has_timescale().await.unwrap());
        database.keep(1, 0).await.unwrap();
        drop(database);

        // Compressed rows are the same rows.
        assert_eq!(work(url, "policy_compression").await, 2);
        let compressed = "SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed";
        assert!(count(url, compressed).await > 0);
        assert_eq!(compare(&stage, url).await, (41, 3, 0));

        // A person is forgotten out of them, too, and out of the sums.
        let person = UserId::new("u-1").unwrap();
        stage.publish(vec![wire::forget(Topic::Biometrics, &person), wire::forget(Topic::Triggers, &person)]).await;
        write(&stage, url).await;
        for table in ["auren_biometrics", "auren_triggers"] {
            assert_eq!(count(url, &format!("SELECT count(*) FROM {table} WHERE user_id = 'u-1'")).await, 0);
        }
        assert_eq!(compare(&stage, url).await.2, 0);
        work(url, "policy_refresh_continuous_aggregate").await;
        assert_eq!(count(url, "SELECT count(*) FROM auren_user_days WHERE user_id = 'u-1'").await, 0);
        assert_eq!(count(url, sums).await, 16);

        // What is older than it may be goes, and it can all be made again.
        let mut database = Database::open(url).await.unwrap();
        database.keep(0, 30).await.unwrap();
        drop(database);
        assert_eq!(work(url, "policy_retention").await, 3);
        assert_eq!(count(url, "SELECT count(*) FROM auren_biometrics").await, 0);
        let mut database = Database::open(url).await.unwrap();
        database.empty().await.unwrap();
        drop(database);
        write(&stage, url).await;
        assert_eq!(count(url, "SELECT count(*) FROM auren_biometrics").await, 16);
    });
}
