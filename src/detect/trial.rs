//! The tests that stand in a rule: days as data, and on which of them it speaks.

use auren_agents::{BiometricEvent, BiometricMetadata, BiometricType, EventId, Score, Text, Timestamp, UserId};
use chrono::{DateTime, FixedOffset, NaiveDate, TimeDelta};
use serde_json::{Map, json};

use super::{
    compile::{Compiled, Stream},
    engine::{Finding, Memory},
    noted::Noted,
    rule::{Trial, TrialEvent, TrialEvents, minute},
    rules::{RuleText, Rules},
};

const DAY_MS: i64 = 86_400_000;

/// How a test went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trialled {
    /// The rule and the test.
    pub rule: String,
    /// See `rule`.
    pub test: String,
    /// What was wrong; none where it passed.
    pub wrong: Option<String>,
}

/// Runs the tests that stand in a rule, with that rule alone in force.
///
/// # Errors
/// What is wrong with the rule itself.
pub fn try_rule(text: &RuleText) -> Result<Vec<Trialled>, Vec<super::Problem>> {
    let text = RuleText { shadow: false, ..text.clone() };
    let rules = Rules::compile(&[text])?;
    let Some(known) = rules.in_force().first() else { return Ok(Vec::new()) };
    let rule = &known.rule;
    let run = |trial: &Trial| Trialled {
        rule: rule.id.clone(),
        test: trial.name.clone(),
        wrong: alerts(&rules, rule, trial).map_or_else(Some, |days| {
            (days != trial.alerts).then(|| format!("it spoke on days {days:?}, and should on {:?}", trial.alerts))
        }),
    };
    Ok(rule.tests.iter().map(run).collect())
}

fn alerts(rules: &Rules, rule: &Compiled, trial: &Trial) -> Result<Vec<usize>, String> {
    let mut events = Vec::new();
    for (day, inputs) in trial.days.iter().enumerate() {
        for (name, written) in inputs {
            let input = rule.inputs.get(name).ok_or_else(|| format!("day {day} names no input of the rule: {name}"))?;
            let several = match written {
                TrialEvents::One(one) => std::slice::from_ref(one),
                TrialEvents::Many(many) => many,
            };
            for (number, event) in several.iter().enumerate() {
                let id = format!("{name}-{day}-{number}");
                events.push(made(&id, day, input, event, trial.offset.as_deref())?);
            }
        }
    }
    events.sort_by_key(|event: &BiometricEvent| event.timestamp.millis());
    let (mut memory, mut found) = (Memory::default(), Vec::new());
    for event in &events {
        let (noted, stream) = Noted::of(event);
        let at = noted.at;
        rules.work(&mut memory, noted, &stream, at, &mut found);
    }
    // The last day goes by, too.
    let begin = midnight(0, trial.offset.as_deref())?.timestamp_millis();
    let end = begin + DAY_MS * i64::try_from(trial.days.len()).unwrap_or(0) - 1;
    rules.tick(&mut memory, end, &mut found);
    let day = |finding: &Finding| usize::try_from((finding.at - begin).div_euclid(DAY_MS)).unwrap_or(0);
    Ok(found.iter().map(day).collect())
}

/// Midnight before a day of a test, on the person's own clock.
fn midnight(day: usize, offset: Option<&str>) -> Result<DateTime<FixedOffset>, String> {
    let unfit = || "the offset cannot be used".to_owned();
    let offset: FixedOffset = offset.unwrap_or("+00:00").parse().map_err(|_| unfit())?;
    let date =
        NaiveDate::from_ymd_opt(2024, 1, 1).unwrap_or_default() + TimeDelta::days(i64::try_from(day).unwrap_or(0));
    date.and_time(chrono::NaiveTime::MIN).and_local_timezone(offset).single().ok_or_else(unfit)
}

fn made(
    id: &str,
    day: usize,
    input: &Stream,
    event: &TrialEvent,
    offset: Option<&str>,
) -> Result<BiometricEvent, String> {
    let unfit = |what: &str| format!("{id}: {what} cannot be used");
    let clock = event.at.as_deref().unwrap_or("07:00");
    let minutes = minute(clock).ok_or_else(|| format!("{id}: `{clock}` is no time, such as 07:30"))?;
    let timestamp = Timestamp::from(midnight(day, offset)? + TimeDelta::minutes(minutes));
    let mut extra = Map::new();
    let unnamed = event.unnamed && input.unnamed;
    if !unnamed {
        extra.insert("measure".to_owned(), json!(input.measure));
    }
    if let Some(week) = event.week {
        extra.insert("week_deviation".to_owned(), json!(week));
    }
    if let Some(band) = &event.band {
        extra.insert("band".to_owned(), json!(band));
    }
    Ok(BiometricEvent {
        event_id: EventId::new(id).map_err(|_| unfit("the id"))?,
        user_id: UserId::new("u-1").map_err(|_| unfit("the user"))?,
        event_type: BiometricType::try_from(input.event_type.clone()).map_err(|_| unfit("the type"))?,
        token: Text::cut("t"),
        metadata: BiometricMetadata {
            percentile_rank: Score::clamped(event.rank.unwrap_or(0.5)),
            severity_score: Score::clamped(event.severity.unwrap_or(0.0)),
            trend: Text::cut(event.trend.as_deref().unwrap_or("stable")),
            statistical_summary: None,
            timestamp_iso: timestamp.clone(),
            source_device: Text::cut("watch"),
            measurement_context: Text::cut(event.context.as_deref().unwrap_or("")),
            extra,
        },
        timestamp,
        extra: Map::new(),
    })
}
