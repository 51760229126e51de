//! Questions of the past, rebuilt from the log, are those that were put.

use std::sync::{Arc, Mutex};

use auren::{
    bus::Topic,
    config::Role,
    consult::Agents,
    converse::{Recorded, recorded},
};
use auren_agents::{Advice, AgentId, Consult, EventId, Finding, Score, Text, Timestamp, UserId};
use serde_json::{Value, json};

use crate::support::{Player, River, message, settled, trigger};

/// Remembers its questions, and has something to say and to note.
fn diarist(asked: &Arc<Mutex<Vec<Consult>>>) -> Player {
    let asked = Arc::clone(asked);
    Player::new("diarist", move |consult| {
        let number = {
            let mut asked = asked.lock().unwrap();
            asked.push(consult.clone());
            asked.len()
        };
        let finding = Finding {
            subject: Text::cut("sleep"),
            statement: Text::cut("Short."),
            confidence: Score::clamped(0.5),
            events: consult.recent.iter().map(|seen| seen.event_id.clone()).collect(),
            alternatives: Vec::new(),
        };
        let note = Text::cut(format!("note {number}"));
        async move { Ok(Advice { findings: vec![finding], note, ..Advice::say(format!("Page {number}.")) }) }
    })
}

fn measured(user: &str, hour: u32, rank: f64) -> Value {
    let at = format!("2024-01-01T{hour:02}:00:00+01:00");
    json!({
        "event_id": format!("{user}-{hour}"), "user_id": user, "event_type": "hrv_measurement", "token": "t",
        "metadata": {
            "percentile_rank": rank, "severity_score": 0.15, "trend": "stable", "measure": "rmssd",
            "timestamp_iso": at, "source_device": "watch", "measurement_context": "night",
        },
        "timestamp": at,
    })
}

pub async fn a_question_is_rebuilt_from_the_log_as_it_was_put(river: River) {
    let asked = Arc::default();
    let agents = Agents::none().with(diarist(&asked)).with(Player::says("coach", "Rest today."));
    let river = river.roles(&[Role::Converse]).agents(agents);
    let hub = river.hub().await;
    let mut evidence = trigger("u-1", "t-2", &["coach", "diarist"]);
    evidence["evidence"] = json!([{
        "event_id": "e", "event_type": "sleep_analysis", "timestamp": "2024-01-01T07:00:00Z", "percentile_rank": 0.2,
        "severity_score": 0.6, "trend": "declining_3_days",
    }]);
    for user in ["u-2", "u-1"] {
        for hour in 3..8 {
            river.json(Topic::Biometrics, user, &measured(user, hour, f64::from(hour) / 10.0)).await;
        }
    }
    settled(&hub).await;
    let own = |words, minute| message("u-1", &format!("m-{minute}"), minute, words, Some("diarist"));
    for step in 0..5 {
        match step {
            0 => river.send(&[own("Hello", 0)]).await,
            1 => river.json(Topic::Triggers, "u-1", &trigger("u-1", "t-1", &["diarist", "coach", "nobody"])).await,
            2 => river.json(Topic::Triggers, "u-1", &evidence).await,
            3 => river.send(&[message("u-2", "m-9", 9, "Hello", Some("diarist"))]).await,
            // Again, and a new one.
            _ => river.send(&[own("Hello", 0), own("And now?", 5)]).await,
        }
        settled(&hub).await;
    }
    // What was not known then is not shown.
    river.json(Topic::Biometrics, "u-1", &measured("u-1", 2, 0.9)).await;
    settled(&hub).await;
    let deadline = std::time::Duration::from_millis(river.config.converse.agent_deadline_ms);
    let (user, agent) = (UserId::new("u-1").unwrap(), AgentId::new("diarist").unwrap());
    let all = recorded(&river.stage.bus, &user, &agent, (None, None), deadline).await.unwrap();
    let rebuilt: Vec<_> = all.iter().map(|one| one.consult.clone().unwrap()).collect();
    let mut put = asked.lock().unwrap().clone();
    put.retain(|consult| consult.user == user);
    assert_eq!(rebuilt.len(), 4);
    for (rebuilt, put) in rebuilt.iter().zip(&put) {
        assert_eq!(rebuilt, put);
    }
    assert_eq!((put[2].panel.len(), put[2].recent.len(), put[3].recent.len(), put[3].past.len()), (1, 1, 3, 5));
    let noon = Timestamp::parse("2024-01-01T12:00:00+01:00").unwrap();
    let from = recorded(&river.stage.bus, &user, &agent, (Some(&noon), None), deadline).await.unwrap();
    assert_eq!(from.len(), 2, "the messages");
    let to = recorded(&river.stage.bus, &user, &agent, (None, Some(&noon)), deadline).await.unwrap();
    assert_eq!(to.len(), 3);
    // Somebody else may write to the topic, and a cause may be forgotten.
    let mut strange = all[0].event.clone();
    strange.event_id = EventId::new("strange").unwrap();
    strange.metadata.cause = EventId::new("long ago").unwrap();
    river.send(&[strange]).await;
    let all = recorded(&river.stage.bus, &user, &agent, (None, None), deadline).await.unwrap();
    let lost: Vec<bool> = all.iter().map(|Recorded { consult, .. }| consult.is_none()).collect();
    assert_eq!(lost, [false, false, false, false, true]);
    hub.stop().await;
}
