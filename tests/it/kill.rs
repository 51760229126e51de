//! A node killed in the middle of its work, again and again: nothing acknowledged is lost, and no effect happens twice.

use std::{
    collections::{BTreeMap, HashSet},
    process::{Child, Stdio},
    sync::Arc,
    time::Duration,
};

use auren::{
    bus::{Read, ReadFrom, ReadUntil, SharedBus, Topic, embedded::EmbeddedBus, kafka::KafkaBus},
    demo::publish,
    wire,
};
use auren_agents::{ConversationEvent, TriggerEvent, events};

use crate::support::{Program, run, service};

const TRIGGERS: usize = 3000;
const USERS: usize = 40;

/// How often the node is killed.
fn kills() -> usize {
    if std::env::var_os("AUREN_TEST_QUICK").is_some() { 3 } else { 8 }
}

#[test]
fn killed_nodes_lose_nothing_and_double_nothing_on_kafka() {
    let program = Program::new();
    let flags = program.kafka_flags(&service("AUREN_TEST_KAFKA"));
    run(async {
        let bus: SharedBus = Arc::new(KafkaBus::new(program.kafka(&service("AUREN_TEST_KAFKA"))).unwrap());
        killed(&program, &flags, bus).await;
    });
}

#[test]
fn killed_nodes_lose_nothing_and_double_nothing_on_the_embedded_bus() {
    let program = Program::new();
    run(async {
        let file = program.folder().join("auren-data/auren.db");
        let bus: SharedBus = Arc::new(EmbeddedBus::open(file).await.unwrap());
        killed(&program, &[], bus).await;
    });
}

async fn killed(program: &Program, flags: &[String], bus: SharedBus) {
    let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
    let created = program.run(&[&flags[..], &["topics", "create"]].concat());
    assert!(created.status.success(), "{}", String::from_utf8_lossy(&created.stderr));
    // Small batches, so that there is always something half done.
    let serve = [&flags[..], &["--set", "lanes.max_batch=7", "serve"]].concat();
    let start = || program.command(&serve).stderr(Stdio::null()).spawn().unwrap();
    let mut node = start();
    let feeding = Arc::clone(&bus);
    let feeder = tokio::spawn(async move {
        for batch in (0..TRIGGERS).collect::<Vec<_>>().chunks(25) {
            let records = batch.iter().map(|number| wire::outgoing(&trigger(*number))).collect();
            publish(&feeding, records).await.unwrap();
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    });
    for round in 0..kills() {
        // The moments are spread over start-up, restoring and work.
        tokio::time::sleep(Duration::from_millis(350 + 190 * (u64::try_from(round).unwrap() % 5))).await;
        kill(&mut node);
        node = start();
    }
    feeder.await.unwrap();
    let read =
        Read { topic: Topic::Events, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::Follow };
    let mut said = Vec::new();
    let mut batches = bus.read(read);
    while said.len() < TRIGGERS * 2 {
        let batch = tokio::time::timeout(Duration::from_secs(60), batches.recv()).await;
        let batch = batch.unwrap_or_else(|_| panic!("{} of {} events", said.len(), TRIGGERS * 2));
        said.extend(batch.unwrap().unwrap());
    }
    kill(&mut node);
    // Whatever might be too much is there by now: the last life's commits are decided before a bounded read ends.
    let read = Read { topic: Topic::Events, partitions: Vec::new(), from: ReadFrom::Earliest, until: ReadUntil::End };
    let mut batches = bus.read(read);
    let (mut ids, mut turns) = (HashSet::new(), BTreeMap::<String, Vec<u64>>::new());
    while let Some(batch) = batches.recv().await {
        for record in batch.unwrap() {
            let event: ConversationEvent = events::parse(record.payload.as_deref().unwrap()).unwrap();
            assert!(ids.insert(event.event_id.clone()), "{} twice", event.event_id);
            turns.entry(event.user_id.as_str().to_owned()).or_default().push(event.metadata.turn);
        }
    }
    assert_eq!(ids.len(), TRIGGERS * 2);
    for (user, turns) in turns {
        // Two events a turn, every turn, in order: the saved state was never behind nor ahead of the log.
        let due: Vec<u64> = (1..=u64::try_from(TRIGGERS / USERS).unwrap()).flat_map(|turn| [turn, turn]).collect();
        assert_eq!(turns, due, "{user}");
    }
}

fn kill(node: &mut Child) {
    // SIGKILL: it has no say in it.
    node.kill().unwrap();
    node.wait().unwrap();
}

fn trigger(number: usize) -> TriggerEvent {
    serde_json::from_value(serde_json::json!({
        "trigger_id": format!("t-{number}"), "user_id": format!("user-{}", number % USERS), "trigger_type": "hrv_drop",
        "severity": 0.8, "context_window": [], "recommended_agents": ["neuroscientist", "coach"],
        "message": "low", "timestamp": "2024-01-01T10:00:00Z",
    }))
    .unwrap()
}
