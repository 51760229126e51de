//! The same history in a real TimescaleDB: hypertables, sums that follow by themselves, compression, an age at which rows go,
//! and people who are forgotten out of all of it. It takes one client at a time and has no workers, so its jobs are called; a
//! projector has one connection, and so it is written by real ones.

use std::{
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
};

use auren::{
    app::Running,
    bus::Topic,
    config::Role,
    project::{self, Database, ProjectStats, verify::verify},
    wire,
};
use auren_agents::UserId;
use sqlx::{Connection as _, PgConnection};
use tokio::sync::watch;

use super::{count, publish, settings, sql};
use crate::support::{Kind, River, Stage, free_port, on_system, run, settled, trigger, until};

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

/// A projector works until nothing waits, and ends.
async fn write(stage: &Stage, url: &str) {
    let stats = Arc::<ProjectStats>::default();
    let (stop, stopped) = watch::channel(false);
    let working = tokio::spawn(project::run(Arc::clone(&stage.bus), settings(url), Arc::clone(&stats), stopped));
    until("nothing waits", || async { stats.totals().behind() == Some(0) }).await;
    assert_eq!(stats.totals().failures, 0, "{:?}", stats.totals());
    stop.send(true).unwrap();
    working.await.unwrap();
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

/// All that the node has worked is a row; then it ends, which makes room for another client.
async fn written(hub: Running, url: &str) {
    settled(&hub).await;
    let stats = hub.projector().unwrap();
    until("nothing waits", || async { stats.totals().behind() == Some(0) }).await;
    assert_eq!(stats.totals().failures, 0, "{:?}", stats.totals());
    hub.stop().await;
    until("it takes another client", || async { PgConnection::connect(url).await.is_ok() }).await;
}

/// A whole node, with the role beside the others: what it makes of TimescaleDB, and what it writes there while people talk,
/// also into what is compressed already.
#[test]
fn a_node_at_work_projects_into_timescale() {
    on_system(async {
        let server = Server::start().await;
        let url = &server.1;
        let mut river = River::open(Kind::Embedded).await.roles(Role::ALL);
        river.config.project.url = Some(url.clone().into());
        river.config.project.max_batch = 7;
        (river.config.project.compress_after_days, river.config.project.keep_days) = (1, 36_500);
        let hub = river.hub().await;
        publish(&river.stage).await;
        written(hub, url).await;
        let (equal, _, differences) = compare(&river.stage, url).await;
        // Each of the twenty triggers was answered.
        assert!(equal > 60 && differences == 0, "{equal} equal, {differences} differences");
        let jobs = async |kind: &str| {
            count(url, &format!("SELECT count(*) FROM timescaledb_information.jobs WHERE proc_name = '{kind}'")).await
        };
        let hypertables =
            "SELECT count(*) FROM timescaledb_information.hypertables WHERE hypertable_name LIKE 'auren%'";
        let sums = "SELECT count(*) FROM timescaledb_information.continuous_aggregates WHERE view_name LIKE 'auren%'";
        assert_eq!((count(url, hypertables).await, count(url, sums).await), (3, 2));
        assert_eq!((jobs("policy_compression").await, jobs("policy_retention").await), (2, 3));
        assert_eq!(jobs("policy_refresh_continuous_aggregate").await, 2);
        work(url, "policy_compression").await;
        let compressed = "SELECT count(*) FROM timescaledb_information.chunks WHERE is_compressed";
        assert!(count(url, compressed).await > 0);

        let hub = river.hub().await;
        for number in 0..10 {
            let user = format!("u-{}", number % 3);
            river.json(Topic::Triggers, &user, &trigger(&user, &format!("again-{number}"), &["coach"])).await;
        }
        written(hub, url).await;
        let (more, _, differences) = compare(&river.stage, url).await;
        assert!(more >= equal + 20 && differences == 0, "{more} after {equal} equal, {differences} differences");
        work(url, "policy_retention").await;
        work(url, "policy_refresh_continuous_aggregate").await;
        assert_eq!(compare(&river.stage, url).await.2, 0);
        // The rules have found some of their own.
        let triggers = count(url, "SELECT count(*) FROM auren_triggers").await;
        let summed = count(url, "SELECT sum(triggers)::bigint FROM auren_rule_hours").await;
        assert!(triggers >= 30 && summed == triggers, "{summed} of {triggers}");
    });
}
