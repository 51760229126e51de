//! Nodes that are killed, restarted, stopped for too long, and that come and go.

use std::time::{Duration, Instant};

use super::{Day, so_many, some_moment};
use crate::support::{service, signal};

fn kafka() -> Day {
    Day::on_kafka(&service("AUREN_TEST_KAFKA"))
}

/// SIGKILL again and again, at random moments: in starting up, in restoring, at work.
fn killed_at_random(day: &Day, what: &str) {
    let kills = so_many(8, 100);
    let mut node = day.node("n1");
    let mean_ms = so_many(1000, 2000);
    let verifying = day.verify(&format!("{what} killed {kills} times"), kills * mean_ms / 1000);
    for _ in 0..kills {
        some_moment(250..2 * mean_ms - 250);
        node.kill();
        node = day.node("n1");
    }
    verifying.ends_well();
}

#[test]
fn a_node_that_is_killed_at_random_loses_and_doubles_nothing_on_kafka() {
    killed_at_random(&kafka(), "node on Kafka");
}

#[test]
fn a_node_that_is_killed_at_random_loses_and_doubles_nothing_on_the_embedded_bus() {
    killed_at_random(&Day::embedded(), "node on the embedded bus");
}

#[test]
fn three_nodes_are_restarted_one_after_the_other_while_people_talk() {
    let day = kafka();
    let rounds = so_many(1, 10);
    let mut nodes: Vec<_> = ["n1", "n2", "n3"].iter().map(|name| day.node(name)).collect();
    let verifying = day.verify(&format!("three nodes restarted in turn, {rounds} times"), rounds * 12);
    for _ in 0..rounds {
        for (node, name) in nodes.iter_mut().zip(["n1", "n2", "n3"]) {
            some_moment(1000..3000);
            node.terminate();
            *node = day.node(name);
        }
    }
    verifying.ends_well();
}

#[test]
fn a_node_that_is_killed_and_stays_away_leaves_its_people_to_the_others() {
    let mut day = kafka();
    // What it leaves open would hold them up for longer than the day is.
    day.flags.extend(["--set", "kafka.transaction_timeout_ms=900000"].map(ToOwned::to_owned));
    let times = so_many(1, 8);
    let (mut leaves, mut stays) = (day.node("n0"), day.node("n1"));
    leaves.says("partitions taken", 3);
    let verifying = day.verify(&format!("a node killed for good, {times} times"), times * 14);
    for time in 1..=times {
        some_moment(2000..4000);
        leaves.kill();
        some_moment(8000..9000);
        // Whoever comes has another name.
        (leaves, stays) = (stays, day.node(&format!("n{}", time + 1)));
    }
    verifying.ends_well();
    drop(stays);
}

#[test]
fn nodes_join_and_leave_every_five_seconds() {
    let day = kafka();
    let seconds = so_many(20, 120);
    let _stays = day.node("n1");
    let verifying = day.verify(&format!("nodes joining and leaving every 5 s for {seconds} s"), seconds);
    let mut guests = 0;
    let mut turn = Instant::now();
    while verifying.is_sending() {
        let mut guest = day.node("guest");
        guests += 1;
        turn += Duration::from_secs(5);
        std::thread::sleep(turn.saturating_duration_since(Instant::now()));
        // On a busy machine the turn may be over before the guest listens for signals at all.
        guest.says("hub started", guests);
        guest.terminate();
    }
    verifying.ends_well();
}

#[test]
fn a_node_that_was_stopped_past_its_session_writes_nothing_more_under_its_old_assignment() {
    let day = kafka();
    // More often in a minute than a node is fenced by a namesake before it gives up.
    let times = so_many(3, 8);
    let (stopped, other) = (day.node("n1"), day.node("n2"));
    other.says("partitions taken", 1);
    let verifying = day.verify(&format!("a node stopped for 9 s past its session of 6 s, {times} times"), times * 16);
    for time in 1..=usize::try_from(times).unwrap() {
        some_moment(2000..3000);
        let before = other.said().matches("partitions taken").count();
        signal(stopped.id(), "STOP");
        // The other one has all partitions of converse, and works them.
        std::thread::sleep(Duration::from_secs(9));
        other.says("partitions taken", before + 1);
        let before = stopped.said().matches("partitions taken").count();
        signal(stopped.id(), "CONT");
        // Each of its roles hears of it, or is fenced in the middle of a commit, and joins again.
        stopped.says("partitions taken", before + 3);
        let noticed = ["lost=true", "a worker begins again"].map(|words| stopped.said().matches(words).count());
        assert!(noticed.iter().sum::<usize>() >= time, "{noticed:?}");
    }
    verifying.ends_well();
}
