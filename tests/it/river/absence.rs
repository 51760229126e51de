//! What nobody sent is found when its time has come, without an event: once, whatever happens to the node meanwhile.

use std::time::Duration;

use auren::{
    bus::{Outgoing, Topic},
    config::{Role, Secret},
    detect::{Mode, RuleText, Rules, pushing},
    rehearsal::rehearse,
};
use auren_agents::{BiometricEvent, TriggerEvent, events};
use chrono::{DateTime, SecondsFormat, Utc};
use redis::AsyncCommands;
use serde_json::json;

use super::redis::{connect, empty, keys, mirrored};
use crate::support::{DEADLINE, Node, Program, River, Stage, keyed, service, until};

/// A rule that speaks where no mood has come for so long.
fn no_mood(id: &str, version: u32, seconds: u32) -> String {
    format!(
        "id: {id}\nversion: {version}\nowner: tests\ntitle: no mood\nsource: none\ntrigger: stress_escalation\n\
         agents: [coach]\ninputs: {{ mood: {{ type: mood_tracking, measure: mood }} }}\n\
         signals: {{ gone: {{ input: mood, absent: {:.9}m }} }}\nwhen: gone.absent\nseverity: '0.5'\nmessage: No mood.\n",
        // A little more than whole milliseconds, which what is written in minutes may fall short of.
        f64::from(seconds) / 60.0 + 1e-8
    )
}

fn push(id: &str, version: u32, seconds: u32) -> Outgoing {
    pushing(id, Some(&no_mood(id, version, seconds)), Mode::Live)
}

/// A mood of a person, of this moment.
fn mood(user: &str, id: &str, at: DateTime<Utc>) -> Outgoing {
    let at = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let event = json!({
        "event_id": id, "user_id": user, "event_type": "mood_tracking", "token": "t", "timestamp": at,
        "metadata": {
            "percentile_rank": 0.5, "severity_score": 0.0, "trend": "stable", "timestamp_iso": at,
            "source_device": "phone", "measurement_context": "evening", "measure": "mood",
        },
    });
    keyed(Topic::Biometrics, user, &event.to_string())
}

/// Rules that were said, with the event before the silence and its length in milliseconds.
async fn said(stage: &Stage) -> Vec<(String, String, i64)> {
    let records = stage.all(Topic::Triggers).await;
    let said = |record: &auren::bus::Record| {
        let (trigger, _): (TriggerEvent, i64) = read(record);
        let of = trigger.evidence.last().unwrap();
        let silence = trigger.timestamp.millis() - of.timestamp.millis();
        (trigger.rule.unwrap().id.to_string(), of.event_id.as_str().to_owned(), silence)
    };
    records.iter().map(said).collect()
}

fn one(id: &str, event: &str, seconds: i64) -> (String, String, i64) {
    (id.to_owned(), event.to_owned(), seconds * 1000)
}

async fn are_said(stage: &Stage, expected: &[(String, String, i64)]) {
    until("what was awaited is said", || async { said(stage).await.len() >= expected.len() }).await;
    // Two people may be in two partitions.
    let mut said = said(stage).await;
    said.sort();
    assert_eq!(said, expected);
}

/// Waits until the state of somebody says when they are to be woken.
async fn armed(stage: &Stage, many: usize) {
    until("a state says when its session is to be woken", || async {
        let states = stage.all(Topic::StateDetect).await;
        states.iter().filter(|record| record.header("auren-wake").is_some()).count() >= many
    })
    .await;
}

pub async fn an_absence_is_said_without_an_event_once_and_again_after_the_next_one(river: River) {
    let river = river.roles(&[Role::Detect]);
    river.stage.publish(vec![push("no_mood", 1, 2)]).await;
    let hub = river.hub().await;
    river.stage.publish(vec![mood("u-1", "a", Utc::now())]).await;
    are_said(&river.stage, &[one("no_mood", "a", 2)]).await;
    // Two of one moment: the first is followed in time, and is no silence.
    let now = Utc::now();
    let earlier = now - Duration::from_millis(900);
    river.stage.publish(vec![mood("u-1", "b", earlier), mood("u-1", "c", now)]).await;
    are_said(&river.stage, &[one("no_mood", "a", 2), one("no_mood", "c", 2)]).await;
    hub.stop().await;
    // The same past, judged anew.
    let text = RuleText { file: "rule".to_owned(), text: no_mood("no_mood", 1, 2), shadow: false };
    let rules = Rules::compile(&[text]).unwrap();
    let past: Vec<(BiometricEvent, i64)> = river.stage.all(Topic::Biometrics).await.iter().map(read).collect();
    let past = past.iter().map(|(event, written)| (event, *written));
    let again = rehearse(&rules, past, Some(Utc::now().timestamp_millis()));
    let live: Vec<TriggerEvent> = river.stage.all(Topic::Triggers).await.iter().map(|record| read(record).0).collect();
    assert_eq!(again.triggers, live, "replay equals live");
}

/// An event, and when it was written.
fn read<E: serde::de::DeserializeOwned>(record: &auren::bus::Record) -> (E, i64) {
    (events::parse(record.payload.as_deref().unwrap()).unwrap(), record.timestamp_ms)
}

pub async fn an_absence_is_said_once_although_the_node_is_gone_when_its_time_comes(river: River) {
    let river = river.roles(&[Role::Detect]);
    river.stage.publish(vec![push("no_mood", 1, 3)]).await;
    let hub = river.apart().await;
    river.stage.publish(vec![mood("u-1", "a", Utc::now())]).await;
    armed(&river.stage, 1).await;
    hub.abandon();
    let hub = river.hub().await;
    are_said(&river.stage, &[one("no_mood", "a", 3)]).await;
    hub.stop().await;
    let hub = river.hub().await;
    river.stage.publish(vec![mood("u-2", "b", Utc::now())]).await;
    are_said(&river.stage, &[one("no_mood", "a", 3), one("no_mood", "b", 3)]).await;
    hub.stop().await;
}

pub async fn what_people_sent_while_the_node_was_away_comes_before_what_they_did_not(river: River) {
    let river = river.roles(&[Role::Detect]);
    river.stage.publish(vec![push("no_mood", 1, 8)]).await;
    let hub = river.apart().await;
    river.stage.publish(vec![mood("u-1", "a", Utc::now())]).await;
    armed(&river.stage, 1).await;
    hub.abandon();
    // In time, and nobody is there to hear it until the time is over.
    river.stage.publish(vec![mood("u-1", "b", Utc::now())]).await;
    let over = Utc::now() + Duration::from_secs(9);
    until("the time is over", || async { Utc::now() > over }).await;
    let hub = river.hub().await;
    are_said(&river.stage, &[one("no_mood", "b", 8)]).await;
    hub.stop().await;
}

pub async fn a_rule_that_is_changed_or_taken_back_changes_what_is_waited_for(river: River) {
    let river = river.roles(&[Role::Detect]);
    river.stage.publish(vec![push("longer", 1, 3600), push("shorter", 1, 2), push("stays", 1, 3)]).await;
    let hub = river.hub().await;
    river.stage.publish(vec![mood("u-1", "a", Utc::now())]).await;
    armed(&river.stage, 1).await;
    river.stage.publish(vec![pushing("shorter", Some(""), Mode::Off), push("longer", 2, 4)]).await;
    let expected = [one("stays", "a", 3), one("longer", "a", 4)];
    until("both are said", || async {
        said(&river.stage).await.iter().filter(|said| said.0 != "shorter").count() == 2
    })
    .await;
    // On a slow machine it may have spoken before it was taken back.
    let said = said(&river.stage).await;
    assert_eq!(said.iter().filter(|said| said.0 != "shorter").cloned().collect::<Vec<_>>(), expected);
    hub.stop().await;
}

pub async fn who_is_to_be_woken_is_known_from_redis_and_without_it(river: River) {
    let mut river = river.roles(&[Role::Detect]);
    river.config.redis.prefix = crate::support::own_name();
    river.config.redis.url = Some(Secret::from(service("AUREN_TEST_REDIS")));
    river.config.redis.flush_ms = 1;
    river.config.lanes.max_resident = 1;
    river.stage.publish(vec![push("no_mood", 1, 5)]).await;
    let mut expected = Vec::new();
    for emptied in [false, true] {
        let hub = river.apart().await;
        let ids = [format!("a-{emptied}"), format!("b-{emptied}")];
        let (first, second) = (format!("u-1-{emptied}"), format!("u-2-{emptied}"));
        let now = Utc::now();
        river.stage.publish(vec![mood(&first, &ids[0], now), mood(&second, &ids[1], now)]).await;
        until("Redis knows who is to be woken", || async {
            let mut known = 0;
            for key in keys(&river).await {
                let fields: Vec<String> = connect().await.hkeys(key).await.unwrap();
                known += fields
                    .iter()
                    .filter(|field| [&first, &second].iter().any(|user| **field == format!("\t{user}")))
                    .count();
            }
            known == 2
        })
        .await;
        hub.abandon();
        if emptied {
            assert!(empty(&river).await > 0);
        }
        let hub = river.hub().await;
        expected.extend(ids.iter().map(|id| one("no_mood", id, 5)));
        until("all are said", || async { said(&river.stage).await.len() >= expected.len() }).await;
        let mut said = said(&river.stage).await;
        said.sort();
        expected.sort();
        assert_eq!(said, expected);
        mirrored(&hub).await;
        hub.stop().await;
    }
    empty(&river).await;
}

/// On Kafka: nodes are processes, and are killed.
pub async fn an_absence_is_said_once_although_nodes_are_killed(_: River) {
    let program = Program::new();
    let brokers = service("AUREN_TEST_KAFKA");
    let settings = program.kafka(&brokers);
    let stage = Stage::of(std::sync::Arc::new(auren::bus::kafka::KafkaBus::new(settings.clone()).unwrap()), settings);
    stage.create(Topic::ALL, 2).await;
    stage.publish(vec![push("no_mood", 1, 10)]).await;
    let mut flags = program.kafka_flags(&brokers);
    flags.extend(["--set", "node.roles=[\"detect\"]"].map(ToOwned::to_owned));
    let mut node = Node::start(&program, &flags, "n1");
    stage.publish((0..20).map(|user| mood(&format!("u-{user}"), &format!("e-{user}"), Utc::now())).collect()).await;
    armed(&stage, 20).await;
    // Again and again, also while it writes what is due.
    let limit = std::time::Instant::now() + 3 * DEADLINE;
    while said(&stage).await.len() < 20 {
        assert!(std::time::Instant::now() < limit, "{:?}\n{}", said(&stage).await, node.said());
        node.kill();
        node = Node::start(&program, &flags, "n1");
        let patience = std::time::Instant::now() + Duration::from_secs(6);
        while said(&stage).await.len() < 20 && std::time::Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    node.terminate();
    let mut said: Vec<_> = said(&stage).await.into_iter().map(|(_, of, silence)| (of, silence)).collect();
    said.sort();
    let mut expected: Vec<_> = (0..20).map(|user| (format!("e-{user}"), 10_000)).collect();
    expected.sort();
    assert_eq!(said, expected);
}
