//! Whether this node's user may read what its roles read. Whether it may write is seen by writing only.

use std::collections::BTreeSet;

use auren::{
    bus::{Read, ReadFrom, ReadUntil, SharedBus, Topic},
    config::{Config, Role},
};

use super::{Finding, bad, good};

/// Reads a little of each.
pub(super) async fn rights(config: &Config, bus: &SharedBus) -> Finding {
    let roles = config.node.roles.iter().filter(|role| **role != Role::Project || config.history().is_some());
    let mut topics: BTreeSet<Topic> =
        roles.flat_map(|role| role.inputs().iter().copied().chain(role.state_topic())).collect();
    if config.node.roles.contains(&Role::Converse) {
        topics.extend(config.agents.kafka.iter().map(|(name, agent)| agent.settings(name).answers));
    }
    let mut refused = Vec::new();
    for topic in &topics {
        let read = Read { topic: *topic, partitions: Vec::new(), from: ReadFrom::Last(1), until: ReadUntil::End };
        if let Some(Err(error)) = bus.read(read).recv().await {
            refused.push(error.to_string());
        }
    }
    if refused.is_empty() {
        good("rights", format!("its {} topics can be read; docker/kafka/acls.txt has those to write", topics.len()))
    } else {
        let next = "docker/kafka/acls.txt has what each role needs";
        bad("rights", format!("{}; {next}", refused.join("; ")))
    }
}
