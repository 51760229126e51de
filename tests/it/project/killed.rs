//! Projectors and PostgreSQL killed at random while people talk.

use std::{process::Stdio, sync::Arc, time::Duration};

use auren::{
    bus::{SharedBus, Topic, kafka::KafkaBus},
    project::row,
};
use serde_json::Value;

use super::{Server, all_of, sql, verified};
use crate::support::{DEADLINE, Node, Program, run, service};

#[test]
fn projectors_and_postgres_are_killed_at_random_and_every_record_is_a_row_once() {
    let kills: u64 = if std::env::var_os("AUREN_CHAOS_LONG").is_some() { 50 } else { 8 };
    let mut server = Server::start();
    let program = Program::new();
    let brokers = service("AUREN_TEST_KAFKA");
    let mut flags = program.kafka_flags(&brokers);
    flags.extend(["--set".to_owned(), format!("project.url={}", server.url())]);
    flags.extend(["--set", "project.max_batch=20"].map(ToOwned::to_owned));
    let auren = |arguments: &[&str]| {
        let flags = flags.iter().map(String::as_str);
        program.command(&flags.chain(arguments.iter().copied()).collect::<Vec<_>>())
    };
    assert!(auren(&["topics", "create", "--partitions", "4"]).status().unwrap().success());
    let projector = |name: &str| {
        let log = program.folder().join(format!("{name}.log"));
        Node::spawn(auren(&["serve", "--node", name, "--roles", "project"]), log)
    };
    let _river = Node::spawn(
        auren(&["serve", "--node", "river", "--roles", "enrich,detect,converse"]),
        program.folder().join("river.log"),
    );
    let mut projectors = [projector("p1"), projector("p2")];
    let seconds = (kills * 3 / 2).to_string();
    let mut load = auren(&["verify", "--users", "40", "--rate", "80", "--seconds", &seconds, "--json"]);
    let load = load.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    for kill in 0..kills {
        std::thread::sleep(Duration::from_millis(rand::random_range(250..1750)));
        if kill % 4 == 3 {
            server.kill();
            // Away for a while, too.
            std::thread::sleep(Duration::from_millis(rand::random_range(0..1500)));
            server.again();
        } else if kill % 4 == 1 {
            // Only the connections, in the middle of whatever they do.
            let url = server.url();
            run(async move {
                let ends =
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'auren-project'";
                sql(&url, ends).await;
            });
        } else {
            let which = usize::try_from(kill / 2 % 2).unwrap();
            projectors[which].kill();
            projectors[which] = projector(["p1", "p2"][which]);
        }
    }
    let load = load.wait_with_output().unwrap();
    let verdict: Value = serde_json::from_slice(&load.stdout).unwrap();
    assert!(load.status.success(), "the river went on: {verdict:#}");

    let bus: SharedBus = Arc::new(KafkaBus::new(program.kafka(&brokers)).unwrap());
    let (sender, committed) = std::sync::mpsc::channel();
    run(async move {
        let mut count = 0;
        for topic in row::TOPICS {
            count += all_of(&bus, topic).await.len();
        }
        sender.send(count).unwrap();
    });
    let committed = u64::try_from(committed.recv().unwrap()).unwrap();
    let limit = std::time::Instant::now() + DEADLINE;
    loop {
        let end = auren(&["project", "verify", "--json"]).output().unwrap();
        let (said, sum) = verified(&end);
        assert!(end.stdout.is_empty() || said["differences"] == 0, "{said:#}");
        if sum("records") >= committed {
            eprintln!("{kills} kills: {} records, {} equal rows, 0 differences", sum("records"), sum("equal"));
            assert_eq!(sum("equal"), sum("records"), "{said:#}");
            assert!(said["topics"][Topic::Events.name()]["records"].as_u64().unwrap() > 100, "{said:#}");
            return;
        }
        let notes = String::from_utf8_lossy(&end.stderr);
        let log = projectors[0].said() + &projectors[1].said();
        assert!(std::time::Instant::now() < limit, "{committed} records: {said:#}\n{notes}\n{log}");
    }
}
