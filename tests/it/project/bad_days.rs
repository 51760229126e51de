//! What PostgreSQL can do to a node with a history: it has no connection to spare, its disk is full, it holds up a transaction
//! in the middle, its tables are of a newer version, somebody asks it for a year. The river goes on, and nothing is lost or
//! doubled. A server that is killed or away is in `killed` and `node`.

use std::net::SocketAddr;

use auren::{app::Running, bus::Topic, config::Role, project::row};
use serde_json::json;
use sqlx::{AssertSqlSafe, Connection as _, PgConnection};

use super::{
    Server, all_of, count, database,
    node::{ready, says},
    reaches, sql,
};
use crate::support::{DEADLINE, Kind, River, chatter::token, http, on_system, settled, trigger, until};

/// A node with all roles and this history.
async fn node(url: &str) -> (River, Running, SocketAddr) {
    let mut river = River::open(Kind::Embedded).await.roles(Role::ALL);
    river.config.project.url = Some(url.to_owned().into());
    river.config.project.read_limit_ms = 1000;
    let (hub, address) = river.served().await;
    (river, hub, address)
}

/// Triggers that are answered, whatever becomes of the history.
async fn talk(river: &River, hub: &Running, name: &str, triggers: u32, note: &str) {
    let before = all_of(&river.stage.bus, Topic::Events).await.len();
    for number in 0..triggers {
        let user = format!("u-{}", number % 5);
        let mut event = trigger(&user, &format!("{name}-{number}"), &["coach"]);
        event["note"] = json!(note);
        river.json(Topic::Triggers, &user, &event).await;
    }
    settled(hub).await;
    let answers = all_of(&river.stage.bus, Topic::Events).await.len() - before;
    assert_eq!(answers, usize::try_from(triggers).unwrap(), "the river went on");
}

/// In the end every record is a row once.
async fn nothing_is_lost(river: &River, url: &str) {
    let mut records = 0;
    for topic in row::TOPICS {
        records += all_of(&river.stage.bus, topic).await.len();
    }
    let all = reaches(&river.stage.bus, url, records as u64).await;
    assert_eq!((all.equal, all.differences()), (records as u64, 0), "{:?}", all.faults);
}

#[test]
fn a_server_without_a_connection_to_spare_is_waited_for() {
    let mut server = Server::start();
    on_system(async move {
        sql(&server.url(), "ALTER SYSTEM SET max_connections = 12").await;
        server.kill();
        server.again();
        let url = server.url();
        let (river, hub, address) = node(&url).await;
        talk(&river, &hub, "before", 5, "").await;
        nothing_is_lost(&river, &url).await;
        // One that ends the projector's whenever it has one, and others that take every place.
        let mut takers = vec![PgConnection::connect(&url).await.unwrap()];
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'auren-project'";
        let limit = tokio::time::Instant::now() + DEADLINE;
        while !says(&ready(address).await.1, "too many clients") {
            assert!(tokio::time::Instant::now() < limit, "{}", ready(address).await.1);
            sqlx::raw_sql(end).execute(&mut takers[0]).await.unwrap();
            while let Ok(connection) = PgConnection::connect(&url).await {
                takers.push(connection);
            }
        }
        talk(&river, &hub, "meanwhile", 5, "").await;
        let bearer = format!("Bearer {}", token(&river.config, "u-1"));
        let page = http::send(address, "GET /v1/history/triggers", &[("Authorization", &bearer)], "").await;
        assert_eq!(page.status, 503, "{}", page.body);
        drop(takers);
        nothing_is_lost(&river, &url).await;
        hub.stop().await;
    });
}

#[test]
fn a_full_disk_under_postgres_is_told_and_loses_nothing() {
    let mut server = Server::start();
    on_system(async move {
        let url = server.url();
        let (river, hub, address) = node(&url).await;
        talk(&river, &hub, "before", 5, "").await;
        nothing_is_lost(&river, &url).await;
        // A file of its log has a megabyte, so that only tables get too long.
        server.kill();
        server.again_with(Some(1024));
        let note: String = (0..30_000).map(|_| char::from(rand::random_range(b'a'..=b'z'))).collect();
        talk(&river, &hub, "meanwhile", 80, &note).await;
        until("it is told", || async { says(&ready(address).await.1, "File too large") }).await;
        server.kill();
        server.again();
        nothing_is_lost(&river, &url).await;
        hub.stop().await;
    });
}

#[test]
fn a_projector_that_ends_in_the_middle_of_a_transaction_has_written_nothing_of_it() {
    on_system(async {
        let url = database().await;
        let (river, hub, _) = node(&url).await;
        talk(&river, &hub, "before", 5, "").await;
        nothing_is_lost(&river, &url).await;
        let offsets = "SELECT sum(next)::bigint FROM auren_offsets WHERE topic = 'conversations.events'";
        let before = count(&url, offsets).await;
        // It has moved the offsets when it comes to the rows of what people said, and waits there.
        let mut holder = PgConnection::connect(&url).await.unwrap();
        sqlx::raw_sql("BEGIN; LOCK TABLE auren_conversation_events").execute(&mut holder).await.unwrap();
        talk(&river, &hub, "meanwhile", 10, "").await;
        let waits = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'auren-project' AND datname = \
                     current_database() AND wait_event_type = 'Lock'";
        until("it waits in the middle", || async { count(&url, waits).await == 1 }).await;
        let end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'auren-project' AND \
                   datname = current_database()";
        sql(&url, end).await;
        until("it waits there again", || async { count(&url, waits).await == 1 }).await;
        assert_eq!(count(&url, offsets).await, before);
        hub.stop().await;
        drop(holder);
        assert_eq!(count(&url, "SELECT count(*) FROM auren_conversation_events").await, 5);
        let hub = river.node("node-2").await;
        nothing_is_lost(&river, &url).await;
        hub.stop().await;
    });
}

#[test]
fn a_node_whose_history_is_of_a_newer_version_goes_on_without_it() {
    on_system(async {
        let url = database().await;
        let (river, hub, address) = node(&url).await;
        talk(&river, &hub, "before", 5, "").await;
        nothing_is_lost(&river, &url).await;
        let newer = "INSERT INTO auren_migrations (version, description, success, checksum, execution_time) VALUES (99, \
                     'later', true, '\\x00', 0)";
        sql(&url, newer).await;
        sql(
            &url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'auren-project' AND \
             datname = current_database()",
        )
        .await;
        until("it is told", || async { says(&ready(address).await.1, "a newer AUREN (migration 99)") }).await;
        let rows = count(&url, "SELECT count(*) FROM auren_triggers").await;
        talk(&river, &hub, "meanwhile", 5, "").await;
        assert_eq!(count(&url, "SELECT count(*) FROM auren_triggers").await, rows);
        sql(&url, "DELETE FROM auren_migrations WHERE version = 99").await;
        nothing_is_lost(&river, &url).await;
        hub.stop().await;
    });
}

#[test]
fn who_asks_for_a_year_holds_up_neither_the_projector_nor_the_pages() {
    let server = Server::start();
    on_system(async move {
        let url = server.url();
        let (river, hub, address) = node(&url).await;
        talk(&river, &hub, "before", 5, "").await;
        nothing_is_lost(&river, &url).await;
        // A year of two hundred people, in a partition that the log does not have.
        sql(
            &url,
            "INSERT INTO auren_biometrics SELECT timestamptz '2023-01-01' + n * interval '100 s', now(), 99, n, 'e-' || n, \
             'year-' || n % 200, 'hrv_measurement', 'rmssd', 0.5, 0.5, 't', '{}' FROM generate_series(1, 300000) n",
        )
        .await;
        // Each day beside each other one: more than anybody waits for.
        let year = "SELECT /* a year */ one.day, sum(other.events) FROM auren_user_days one, auren_user_days other WHERE \
                    one.day BETWEEN '2023-01-01' AND '2023-12-31' GROUP BY 1";
        let asking: Vec<_> = (0..3)
            .map(|_| {
                let url = url.clone();
                tokio::spawn(async move {
                    let mut connection = PgConnection::connect(&url).await.unwrap();
                    sqlx::raw_sql(AssertSqlSafe(year)).execute(&mut connection).await.map(drop)
                })
            })
            .collect();
        let active = "SELECT count(*) FROM pg_stat_activity WHERE state = 'active' AND backend_type = 'client backend' AND \
                      query LIKE 'SELECT /* a year */%'";
        until("they are asked", || async { count(&url, active).await == 3 }).await;
        talk(&river, &hub, "meanwhile", 10, "").await;
        nothing_is_lost(&river, &url).await;
        let bearer = format!("Bearer {}", token(&river.config, "u-1"));
        let page = http::send(address, "GET /v1/history/triggers", &[("Authorization", &bearer)], "").await;
        assert_eq!(page.status, 200, "{}", page.body);
        assert_eq!(count(&url, active).await, 3, "they were answered: the test asks for too little");
        sql(&url, "SELECT pg_cancel_backend(pid) FROM pg_stat_activity WHERE query LIKE 'SELECT /* a year */%'").await;
        for one in asking {
            assert!(one.await.unwrap().is_err());
        }
        hub.stop().await;
    });
}
