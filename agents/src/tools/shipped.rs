//! The tools that AUREN ships. Both look at what the session remembers of the person, and leave out ids.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Tool;
use crate::{
    Consult, Observation,
    events::BiometricType,
    text::{Score, Text},
};

const NIGHTS: usize = 7;

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Nights {
    /// How many of the newest nights; 7 where it is left out.
    #[serde(default = "a_week")]
    nights: usize,
    /// Only this statistic, such as `rmssd`, `resting_heart_rate` or `asleep`; all where it is left out.
    measure: Option<Text<32>>,
}

fn a_week() -> usize {
    NIGHTS
}

/// A night, by the day on which it ended.
#[derive(Serialize)]
struct Night {
    night: String,
    measured: Vec<Measured>,
}

#[derive(Serialize)]
struct Measured {
    what: String,
    rank: Score,
    severity: Score,
    trend: Text<64>,
}

/// How the person's newest nights compare with their own past: rank, severity and trend of each statistic.
#[must_use]
pub fn recent_nights() -> Tool {
    let about = "How the person's newest nights compare with their own past, newest first: of each statistic its rank (0 \
                 lowest, 1 highest), its severity (0 usual, 1 far outside) and its trend.";
    Tool::new("recent_nights", about, |consult, asked: Nights| Ok(nights(consult, &asked)))
}

fn nights(consult: &Consult, asked: &Nights) -> Vec<Night> {
    let mut nights: BTreeMap<String, Vec<Measured>> = BTreeMap::new();
    let of_a_night =
        |seen: &&Observation| matches!(seen.event_type, BiometricType::HrvMeasurement | BiometricType::SleepAnalysis);
    for seen in consult.recent.iter().filter(of_a_night) {
        let what = seen.measure.as_deref().unwrap_or(seen.event_type.as_str());
        if asked.measure.as_deref().is_some_and(|only| only != what) {
            continue;
        }
        nights.entry(seen.timestamp.at().date_naive().to_string()).or_default().push(Measured {
            what: what.to_owned(),
            rank: seen.percentile_rank,
            severity: seen.severity_score,
            trend: seen.trend.clone(),
        });
    }
    let newest = nights.into_iter().rev().take(asked.nights);
    newest.map(|(night, measured)| Night { night, measured }).collect()
}

#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct Before {
    /// Only what was said about this: a trigger's type such as `hrv_drop`, or `message`.
    about: Option<Text<64>>,
    /// Only what this agent said.
    by: Option<Text<128>>,
}

#[derive(Serialize)]
struct Said {
    at: String,
    by: String,
    about: Text<64>,
    severity: Score,
    note: Text<64>,
}

/// What agents said to the person before, as they noted it.
#[must_use]
pub fn said_before() -> Tool {
    let about = "What agents told the person before, oldest first: when, who, about what, how much it mattered, and the note \
                 that the agent left.";
    Tool::new("said_before", about, |consult, asked: Before| Ok(said(consult, &asked)))
}

fn said(consult: &Consult, asked: &Before) -> Vec<Said> {
    let past = consult.past.iter().filter(|said| {
        asked.about.as_deref().is_none_or(|only| only == &*said.about)
            && asked.by.as_deref().is_none_or(|only| only == said.agent.as_str())
    });
    past.map(|said| Said {
        at: said.at.as_str().to_owned(),
        by: said.agent.as_str().to_owned(),
        about: said.about.clone(),
        severity: said.severity,
        note: said.note.clone(),
    })
    .collect()
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use crate::{Consult, events::parse, tools::Tools};

    fn consult() -> Consult {
        let seen = |number: usize, kind: &str, measure: &str, at: &str| {
            json!({
                "event_id": format!("e-{number}"), "event_type": kind, "measure": measure, "timestamp": at,
                "percentile_rank": 0.25, "severity_score": 0.5, "trend": "stable",
            })
        };
        let said = |agent: &str, about: &str| json!({ "at": "2024-01-01T10:00:00Z", "agent": agent, "about": about, "severity": 0.5, "note": "rest" });
        let consult = json!({
            "id": "c", "agent": "far", "user_id": "u-1", "conversation_id": "k", "turn": 1,
            "cause": { "kind": "message", "id": "m", "text": "hi" }, "at": "2024-01-03T10:00:00Z",
            "recent": [
                seen(1, "hrv_measurement", "rmssd", "2024-01-02T07:00:00+01:00"),
                // Still the night before where the person is.
                seen(2, "sleep_analysis", "asleep", "2024-01-02T23:30:00-08:00"),
                seen(3, "stress_indicator", "stress", "2024-01-03T12:00:00Z"),
                seen(4, "hrv_measurement", "rmssd", "2024-01-03T07:00:00+01:00"),
            ],
            "past": [said("coach", "hrv_drop"), said("neuroscientist", "message")],
            "panel": [], "deadline_ms": 1000,
        });
        parse(consult.to_string().as_bytes()).unwrap()
    }

    fn call(name: &str, arguments: &Value) -> Value {
        let said = Tools::shipped().call(&consult(), name, &arguments.to_string()).unwrap();
        serde_json::from_str(&said).unwrap()
    }

    #[test]
    fn nights_come_newest_first_and_only_those_that_are_asked_for() {
        let all = call("recent_nights", &json!({}));
        let days: Vec<_> = all.as_array().unwrap().iter().map(|night| night["night"].as_str().unwrap()).collect();
        assert_eq!(days, ["2024-01-03", "2024-01-02"]);
        assert_eq!(all[1]["measured"].as_array().unwrap().len(), 2);
        let newest = json!([{ "night": "2024-01-03",
            "measured": [{ "what": "rmssd", "rank": 0.25, "severity": 0.5, "trend": "stable" }] }]);
        assert_eq!(call("recent_nights", &json!({ "nights": 1, "measure": "rmssd" })), newest);
        assert_eq!(call("recent_nights", &json!({ "measure": "glucose" })), json!([]));
    }

    #[test]
    fn what_was_said_is_found_by_subject_and_speaker() {
        assert_eq!(call("said_before", &json!({})).as_array().unwrap().len(), 2);
        let coach = call("said_before", &json!({ "by": "coach" }));
        assert_eq!(
            (&coach[0]["about"], &coach[0]["note"], coach.as_array().unwrap().len()),
            (&json!("hrv_drop"), &json!("rest"), 1)
        );
        assert_eq!(call("said_before", &json!({ "about": "message", "by": "coach" })), json!([]));
    }
}
