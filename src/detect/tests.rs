//! What rules do: bad input, where rules come from, time, order, and the engine beside a naive reference.

mod absence;
mod bad_input;
mod feed;
mod reference;
mod time;

use auren_agents::{BiometricEvent, UserId, events};
use serde_json::json;

use super::*;

const HOUR_MS: i64 = 3_600_000;

/// A rule over sleep and mood with the parts that a test is about.
fn rule(parts: &str) -> String {
    format!(
        "id: r\nversion: 1\nowner: t\ntitle: t\nsource: t\ntrigger: hrv_drop\nagents: [coach]\nseverity: '0.5'\nmessage: m\n{parts}"
    )
}

const INPUTS: &str =
    "inputs:\n  night: { type: sleep_analysis, measure: asleep }\n  mood: { type: mood_tracking, measure: mood }\n";

fn compiled(texts: &[String]) -> Rules {
    let text = |text: &String| RuleText { file: "rule.yaml".to_owned(), text: text.clone(), shadow: false };
    Rules::compile(&texts.iter().map(text).collect::<Vec<_>>()).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    })
}

/// An event, hours after the beginning of 2024.
fn event(id: &str, hours: i64, measure: &str, severity: f64, band: &str) -> BiometricEvent {
    let at = chrono::DateTime::from_timestamp_millis(1_704_067_200_000 + hours * HOUR_MS).unwrap();
    let kind = if measure == "mood" { "mood_tracking" } else { "sleep_analysis" };
    let event = json!({
        "event_id": id, "user_id": "u-1", "event_type": kind, "token": "t", "timestamp": at.to_rfc3339(),
        "metadata": {
            "percentile_rank": 0.5, "severity_score": severity, "trend": "stable", "timestamp_iso": at.to_rfc3339(),
            "source_device": "watch", "measurement_context": "sleep", "measure": measure, "band": band,
        },
    });
    events::parse(event.to_string().as_bytes()).unwrap()
}

/// Works an event that was written at its own time; false where there is nothing to write.
fn work(rules: &Rules, memory: &mut Memory, event: &BiometricEvent, found: &mut Vec<Finding>) -> bool {
    let (noted, stream) = Noted::of(event);
    rules.work(memory, noted, &stream, event.timestamp.millis(), found)
}

/// Works events in this order and gives the triggers as they would be written. The memory is saved and read between events.
fn written(rules: &Rules, past: &[&BiometricEvent]) -> Vec<String> {
    let user = UserId::new("u-1").unwrap();
    let (mut memory, mut triggers) = (Memory::default(), Vec::new());
    for event in past {
        let mut found = Vec::new();
        work(rules, &mut memory, event, &mut found);
        let all = found.iter().filter_map(|finding| trigger(&user, rules, finding));
        triggers.extend(all.map(|trigger| serde_json::to_string(&trigger).unwrap()));
        memory = Memory::read(&memory.saved().unwrap()).unwrap();
    }
    triggers
}

#[test]
fn the_shipped_rules_compile_and_pass_their_own_tests() {
    let all = Rules::compile(&shipped());
    let all = all.map_err(|problems| problems.iter().map(ToString::to_string).collect::<Vec<_>>());
    assert_eq!(all.err(), None);
    for text in shipped() {
        let trialled = try_rule(&text).unwrap();
        assert!(!trialled.is_empty(), "{} has no tests", text.file);
        let wrong: Vec<_> = trialled.into_iter().filter(|trial| trial.wrong.is_some()).collect();
        assert_eq!(wrong, []);
    }
}

#[test]
fn every_trigger_type_has_a_rule_and_no_rule_names_a_disease_or_a_dose() {
    let rules = Rules::compile(&shipped()).unwrap();
    for trigger in library::TRIGGERS {
        assert!(rules.in_force().iter().any(|known| known.rule.trigger == *trigger), "{}", trigger.as_str());
    }
    for text in shipped() {
        let message = Rule::parse(&text.file, &text.text).unwrap().message.value.to_lowercase();
        for word in ["diabet", "tension", "infection", "depress", "insulin", " mg", "milligram", "tablet", "diagnos"] {
            assert!(!message.contains(word), "{} says {word}", text.file);
        }
    }
}
