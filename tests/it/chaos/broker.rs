//! Brokers that are killed, and that cannot be reached.

use super::{Day, so_many, some_moment};
use crate::support::Broker;

#[test]
fn a_broker_that_is_killed_and_comes_back_costs_nothing_but_time() {
    let mut broker = Broker::start();
    let day = Day::on_kafka(&broker.address());
    let node = day.node("n1");
    node.says("partitions taken", 3);
    let times = so_many(2, 20);
    let verifying = day.verify(&format!("broker killed {times} times"), times * 14);
    for _ in 0..times {
        some_moment(1500..4000);
        broker.kill();
        some_moment(200..2000);
        broker.again();
        // Long enough for some to be answered before it is killed again.
        broker.answers();
        some_moment(3000..6000);
    }
    verifying.ends_well();
}

#[test]
fn a_broker_that_nobody_can_reach_for_a_while_costs_nothing_but_time() {
    let broker = Broker::start();
    let day = Day::on_kafka(&broker.address());
    let node = day.node("n1");
    node.says("partitions taken", 3);
    let seconds = so_many(8, 60);
    let verifying = day.verify(&format!("broker unreachable for {seconds} s"), seconds + 6);
    some_moment(2000..3000);
    broker.freeze();
    some_moment(seconds * 1000..seconds * 1000 + 500);
    broker.thaw();
    verifying.ends_well();
}
