//! A frontend in Python whose connection is cut at random, on two nodes by turns, while agents stream.

use std::{
    collections::{BTreeMap, HashSet},
    io::{BufRead as _, BufReader, Write as _},
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use auren::bus::{SharedBus, Topic, kafka::KafkaBus};
use axum::body::{Body, Bytes};
use futures::stream;
use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};
use serde_json::{Value, json};

use super::{Chatting, Day, note, so_many};
use crate::support::{
    Stage, event,
    far::{Far, python, response},
    keyed, own_name, service, trigger, until,
};

/// An agent that says some parts, one after the other, and now and then breaks off.
async fn speaks() -> Far {
    let count = Arc::new(AtomicU64::new(0));
    Far::plays(move |attempt| {
        let mut random = StdRng::seed_from_u64(count.fetch_add(1, Relaxed));
        let id = attempt.body["id"].as_str().unwrap().to_owned();
        let mut left = random.random_range(1..20);
        let parts = stream::unfold(random, move |mut random| {
            let text = json!({ "text": format!("{id} {left}, ") });
            left -= 1;
            async move {
                tokio::time::sleep(Duration::from_millis(random.random_range(0..10))).await;
                let said = match left {
                    ..-1 => return None,
                    -1 => "event: advice\ndata: {}\n\n".to_owned(),
                    _ if random.random_bool(0.02) => {
                        return Some((Err(std::io::Error::other("it breaks off")), random));
                    }
                    _ => format!("event: delta\ndata: {text}\n\n"),
                };
                Some((Ok::<_, std::io::Error>(Bytes::from(said)), random))
            }
        });
        async move { response("text/event-stream", Body::from_stream(parts)) }
    })
    .await
}

#[test]
fn a_frontend_in_python_that_is_cut_at_random_hears_the_log_and_keeps_nothing_provisional() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let cuts = so_many(60_u32, 1000);
        let brokers = service("AUREN_TEST_KAFKA");
        let mut day = Day::on_kafka(&brokers);
        let settings = day.program.kafka(&brokers);
        let stage = Stage::of(Arc::new(KafkaBus::new(settings.clone()).unwrap()), settings);
        let (far, near) = (speaks().await, speaks().await);
        for (key, value) in [
            ("agents.http.far.url", &*far.url),
            ("agents.http.far.guarded", "false"),
            ("agents.http.near.url", &near.url),
            ("agents.http.near.guarded", "false"),
            ("converse.agent_retry_ms", "1"),
            ("redis.url", &service("AUREN_TEST_REDIS")),
            ("redis.prefix", &own_name()),
        ] {
            day.set(key, value);
        }
        let chatting = Chatting::begin(&mut day);
        let (one, two) = (chatting.node(&day, "n1"), chatting.node(&day, "n2"));
        let addresses = [one.address, two.address];
        let options = json!({
            "addresses": addresses, "token": chatting.token("u-1"), "agent": "far", "cuts": cuts, "seed": rand::random::<u32>(),
        });
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/chaos/cuts.py");
        let mut frontend = Command::new(python("websockets"))
            .arg(script)
            .arg(options.to_string())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(frontend.stdout.take().unwrap()).lines();
        let (over, bus) = (Arc::new(AtomicBool::new(false)), stage.bus.clone());
        let noticing = tokio::spawn(notice(bus, Arc::clone(&over)));
        let (cut, mut lines) = tokio::task::spawn_blocking(move || (lines.next(), lines)).await.unwrap();
        over.store(true, Relaxed);
        let triggers = noticing.await.unwrap();
        assert_eq!(cut.expect("what is wrong stands above").unwrap(), "cut");
        // Each trigger has been answered, whatever with, and nobody is asked any more.
        until("all is answered", || async {
            let told = stage.all(Topic::Events).await;
            let causes: HashSet<_> = told.iter().map(|record| event(record).metadata.cause.to_string()).collect();
            let idle = one.figure("auren_lane_open_consults{role=\"converse\"}").await
                + two.figure("auren_lane_open_consults{role=\"converse\"}").await;
            triggers.iter().all(|trigger| causes.contains(trigger)) && idle == 0
        })
        .await;
        let all: Vec<_> = stage.all(Topic::Events).await;
        let log: Vec<_> = all
            .iter()
            .map(|record| (record.cursor().to_string(), event(record)))
            .map(|(cursor, event)| json!([cursor, event.event_id.as_str(), &*event.content]))
            .collect();
        let last = all.last().unwrap().cursor();
        writeln!(frontend.stdin.take().unwrap(), "{last}").unwrap();
        let said = tokio::task::spawn_blocking(move || lines.next()).await.unwrap();
        let heard: Value = serde_json::from_str(&said.expect("what is wrong stands above").unwrap()).unwrap();
        assert!(frontend.wait().unwrap().success());
        assert_eq!(heard["events"].as_array().unwrap(), &log);
        // Its own messages are in it, each once.
        let mut own: BTreeMap<String, usize> = BTreeMap::new();
        for id in all.iter().filter_map(|record| event(record).metadata.client_id) {
            *own.entry(id.to_string()).or_default() += 1;
        }
        let acked: BTreeMap<_, _> = heard["acked"].as_array().unwrap().iter().map(|id| (id.as_str().unwrap().to_owned(), 1)).collect();
        assert!(own == acked && !own.is_empty(), "{own:?} {acked:?}");
        let count = |kind: &str| heard["counts"][kind].as_u64().unwrap_or(0);
        let relayed = one.figure("auren_relay_heard_total").await + two.figure("auren_relay_heard_total").await;
        assert!(count("delta") > 20 && count("hello") > u64::from(cuts) / 4 && relayed > 0, "{} {relayed}", heard["counts"]);
        let sent = triggers.len() + own.len();
        note(&format!(
            "| a frontend in Python cut {cuts} times on two nodes by turns: {} events, {} parts of answers, {} taken back | {sent} | \
             {sent} | 0 | 0 | 0 | 0 | |",
            log.len(),
            count("delta"),
            count("reset"),
        ));
    });
}

/// Notices something again and again, until told that it is over.
async fn notice(bus: SharedBus, over: Arc<AtomicBool>) -> Vec<String> {
    let mut triggers = Vec::new();
    while !over.load(Relaxed) {
        let id = format!("t-{}", triggers.len());
        let record = keyed(Topic::Triggers, "u-1", &trigger("u-1", &id, &["far", "near"]).to_string());
        bus.publish_all(vec![record]).await.unwrap();
        triggers.push(id);
        let pause = rand::random_range(50..300);
        tokio::time::sleep(Duration::from_millis(pause)).await;
    }
    triggers
}
