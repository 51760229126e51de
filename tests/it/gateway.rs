//! The node's HTTP server: whether it lives, whether it is ready, what it has done, and how it says no.

mod a2a;
mod across;
mod agui;
mod asyncapi;
mod chat;
mod history;
mod keys;
mod limits;
mod openapi;
mod ops;
mod ops_page;
mod own;
mod past;
mod provisional;
mod tls;
mod typescript;

use std::{
    io::{BufRead as _, BufReader},
    net::{SocketAddr, TcpListener},
    process::Stdio,
};

use auren::{
    app::{Hub, HubError, Running},
    bus::Topic,
    config::Role,
};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};

use crate::support::{
    Kind, Program, River,
    http::{Answer, ask, get},
    mission_trigger, on_system, settled, signal, until, within,
};

/// A hub with a server on a free port.
async fn hub(kind: Kind) -> (River, Running, SocketAddr) {
    let mut river = River::open(kind).await;
    let (hub, address) = river.served().await;
    (river, hub, address)
}

async fn ready(address: SocketAddr) -> Answer {
    until("the node is ready", || async { get(address, "/readyz").await.status == 200 }).await;
    get(address, "/readyz").await
}

async fn a_node_is_ready_and_counts_what_it_does(kind: Kind) {
    let (river, hub, address) = hub(kind).await;
    let answer = ready(address).await;
    let checks = answer.json()["checks"].clone();
    let names: Vec<_> = checks.as_array().unwrap().iter().map(|check| check["check"].as_str().unwrap()).collect();
    assert_eq!(names, ["node", "bus", "enrich", "detect", "converse"]);
    assert_eq!(checks[4]["detail"], "1 of 1 workers hold 2 partitions");
    assert_eq!(get(address, "/livez").await.body, "alive\n");

    river.json(Topic::Triggers, "user_hash", &mission_trigger()).await;
    settled(&hub).await;
    let metrics = get(address, "/metrics").await;
    assert!(metrics.head.contains("content-type: application/openmetrics-text"), "{}", metrics.head);
    for line in [
        "auren_lane_records_total{role=\"converse\"} 1",
        "auren_lane_outputs_total{role=\"converse\"} 2",
        "auren_lane_partitions{role=\"enrich\"} 2",
        "auren_lane_sessions{role=\"converse\"} 1",
    ] {
        assert!(metrics.body.lines().any(|said| said == line), "{line} is not in {}", metrics.body);
    }
    assert!(!metrics.body.contains("user_hash"));
    let promised = || async { get(address, "/readyz").await.json()["guarantees"][2]["guarantee"] == "exactly_once" };
    until("the guarantee is known", promised).await;
    let metrics = get(address, "/metrics").await.body;
    assert!(metrics.contains("\nauren_guarantee{role=\"converse\",level=\"exactly_once\"} 1\n"), "{metrics}");
    assert!(metrics.contains("\nauren_durable_copies 1\n"), "{metrics}");
    hub.stop().await;
    TcpStream::connect(address).await.unwrap_err();
}

#[test]
fn a_node_on_the_embedded_bus_is_ready_and_counts_what_it_does() {
    on_system(a_node_is_ready_and_counts_what_it_does(Kind::Embedded));
}

#[test]
fn a_node_on_kafka_is_ready_and_counts_what_it_does() {
    on_system(a_node_is_ready_and_counts_what_it_does(Kind::Kafka));
}

#[test]
fn what_cannot_be_answered_is_a_problem_that_says_why() {
    on_system(async {
        let (_river, hub, address) = hub(Kind::Embedded).await;
        let answer = get(address, "/nothing?here").await;
        assert_eq!(answer.status, 404);
        assert!(answer.head.contains("content-type: application/problem+json"), "{}", answer.head);
        let problem = answer.json();
        assert_eq!((&problem["status"], &problem["title"]), (&404.into(), &"Not Found".into()));
        assert_eq!(problem["detail"], "there is nothing at /nothing");
        let answer = ask(address, "DELETE", "/metrics").await;
        assert_eq!(answer.status, 405);
        assert!(answer.head.contains("allow: get,head"), "{}", answer.head);
        assert_eq!(answer.json()["detail"], "/metrics does not take DELETE");
        let answer = get(address, &format!("/{}", "x".repeat(20_000))).await;
        assert!(matches!(answer.status, 414 | 431), "{}", answer.status);
        hub.stop().await;
    });
}

#[test]
fn an_address_that_is_taken_is_named_with_its_key() {
    on_system(async {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = taken.local_addr().unwrap().to_string();
        let mut river = River::open(Kind::Embedded).await;
        river.config.http.address.clone_from(&address);
        let hub = Hub::builder().config(river.config.clone()).bus(river.stage.bus.clone()).keys(river.keys.clone());
        let error = hub.build().await.unwrap().start().await.unwrap_err();
        assert!(matches!(error, HubError::Gateway(_)), "{error}");
        let said = error.to_string();
        assert!(said.starts_with(&format!("cannot listen on {address}: another process listens there")), "{said}");
        assert!(said.contains("http.address"), "{said}");
    });
}

#[test]
fn who_comes_when_all_connections_are_taken_waits_for_one() {
    on_system(async {
        let mut river = River::open(Kind::Embedded).await.roles(&[Role::Detect]);
        river.config.http.max_connections = 1;
        let (hub, address) = river.served().await;
        let mut first = TcpStream::connect(address).await.unwrap();
        let request = format!("GET /livez HTTP/1.1\r\nHost: {address}\r\n\r\n");
        first.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = [0; 12];
        within(first.read_exact(&mut bytes)).await.unwrap();
        assert_eq!(&bytes, b"HTTP/1.1 200");
        let mut second = tokio::spawn(async move { get(address, "/livez").await.status });
        // The first answers again while the second waits.
        first.write_all(request.as_bytes()).await.unwrap();
        let mut bytes = [0; 40];
        within(first.read_exact(&mut bytes)).await.unwrap();
        assert!(!second.is_finished());
        drop(first);
        assert_eq!(within(&mut second).await.unwrap(), 200);
        hub.stop().await;
    });
}

#[test]
fn a_served_node_says_where_it_listens_and_stops_listening_when_it_is_told_to_end() {
    let program = Program::new();
    let mut node = program.command(&["serve"]).stderr(Stdio::piped()).spawn().unwrap();
    let mut said = BufReader::new(node.stderr.take().unwrap()).lines();
    let line = said.by_ref().map(Result::unwrap).find(|line| line.contains("http server started")).unwrap();
    let address: SocketAddr = line.split("address=").nth(1).unwrap().trim().parse().unwrap();
    on_system(async {
        ready(address).await;
    });
    let ask =
        || program.command(&["doctor", "--ready"]).env("AUREN__HTTP__ADDRESS", address.to_string()).output().unwrap();
    let said_ready = ask();
    assert!(said_ready.status.success() && said_ready.stdout.starts_with(b"{\"ready\":true,"), "{said_ready:?}");
    signal(node.id(), "TERM");
    assert!(said.map(Result::unwrap).any(|line| line.contains("hub stopped")));
    assert!(node.wait().unwrap().success());
    std::net::TcpStream::connect(address).unwrap_err();
    let gone = ask();
    assert_eq!(gone.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&gone.stderr).contains(&format!("no node answers at {address}")), "{gone:?}");
}
