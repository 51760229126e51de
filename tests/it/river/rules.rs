//! Rules that change while events flow.

use auren::{
    bus::Topic,
    config::Role,
    detect::{Mode, pushing},
};
use auren_agents::{TriggerEvent, events};
use serde_json::json;

use crate::support::{River, keyed, settled};

const EVENTS: usize = 5000;
/// So many are published at a time.
const BATCH: usize = 250;

/// A rule that speaks of every mood.
pub fn every_mood(version: u32) -> String {
    format!(
        "id: every_mood\nversion: {version}\nowner: tests\ntitle: every mood\nsource: none\ntrigger: stress_escalation\n\
         agents: [coach]\ninputs: {{ mood: {{ type: mood_tracking, measure: mood }} }}\nwhen: event.severity >= 0.5\n\
         severity: '0.5'\nworse: 0.0\nmessage: A mood.\n"
    )
}

/// Moods of one person, a second apart, from this number on.
pub fn moods(from: usize, until: usize) -> Vec<auren::bus::Outgoing> {
    let mood = |number: usize| {
        let at = format!("2024-01-01T{:02}:{:02}:{:02}Z", number / 3600, number / 60 % 60, number % 60);
        let event = json!({
            "event_id": format!("e-{number}"), "user_id": "u-1", "event_type": "mood_tracking", "token": "t", "timestamp": at,
            "metadata": {
                "percentile_rank": 0.1, "severity_score": 0.5, "trend": "stable", "timestamp_iso": at,
                "source_device": "phone", "measurement_context": "evening", "measure": "mood",
            },
        });
        keyed(Topic::Biometrics, "u-1", &event.to_string())
    };
    (from..until).map(mood).collect()
}

/// The version that judged each event, in order.
async fn judged(river: &River) -> Vec<(String, u32)> {
    let records = river.stage.all(Topic::Triggers).await;
    let trigger = |record: &auren::bus::Record| {
        let trigger: TriggerEvent = events::parse(record.payload.as_deref().unwrap()).unwrap();
        let of = trigger.context_window.first().unwrap().as_str().to_owned();
        (of, trigger.rule.unwrap().version)
    };
    records.iter().map(trigger).collect()
}

pub async fn a_rule_pushed_while_events_flow_judges_each_event_once_and_skips_none(river: River) {
    let river = river.roles(&[Role::Detect]);
    river.stage.publish(vec![pushing("every_mood", Some(&every_mood(1)), Mode::Live)]).await;
    let hub = river.hub().await;
    river.stage.publish(moods(0, 100)).await;
    // The first version is at work before the second comes.
    settled(&hub).await;
    let began = std::time::Instant::now();
    for begin in (100..EVENTS).step_by(BATCH) {
        let mut records = moods(begin, EVENTS.min(begin + BATCH));
        if begin == 100 + 4 * BATCH {
            records.push(pushing("every_mood", Some(&every_mood(2)), Mode::Live));
        }
        river.stage.publish(records).await;
    }
    // Whenever it was taken over, what comes from then on is judged by it.
    let mut sent = EVENTS;
    settled(&hub).await;
    eprintln!("{EVENTS} events in {:?}", began.elapsed());
    loop {
        settled(&hub).await;
        if judged(&river).await.last().is_some_and(|(_, version)| *version == 2) {
            break;
        }
        river.stage.publish(moods(sent, sent + 10)).await;
        sent += 10;
    }
    let judged = judged(&river).await;
    let skipped = judged.iter().enumerate().find(|(number, (of, _))| *of != format!("e-{number}"));
    assert_eq!((judged.len(), skipped), (sent, None), "each once, in order");
    assert!(judged.is_sorted_by_key(|(_, version)| *version) && judged[0].1 == 1, "never back to the old one");
    hub.stop().await;
}

pub async fn a_bad_rule_is_refused_and_the_old_one_stays_also_after_a_restart(river: River) {
    let river = river.roles(&[Role::Detect]);
    let hub = river.hub().await;
    let bad = every_mood(3).replace("event.severity", "event.severty");
    river
        .stage
        .publish(vec![
            pushing("every_mood", Some(&every_mood(2)), Mode::Live),
            pushing("every_mood", Some(&bad), Mode::Live),
            pushing("every_mood", Some(&every_mood(1)), Mode::Live),
            pushing("another", Some(&every_mood(9)), Mode::Live),
        ])
        .await;
    hub.stop().await;
    let hub = river.hub().await;
    river.stage.publish(moods(0, 3)).await;
    settled(&hub).await;
    assert_eq!(judged(&river).await.iter().map(|(_, version)| *version).collect::<Vec<_>>(), [2, 2, 2]);
    hub.stop().await;
    // In the shadow it says nothing.
    river.stage.publish(vec![pushing("every_mood", Some(&every_mood(4)), Mode::Shadow)]).await;
    let hub = river.hub().await;
    river.stage.publish(moods(3, 6)).await;
    settled(&hub).await;
    assert_eq!(judged(&river).await.len(), 3);
    hub.stop().await;
}
