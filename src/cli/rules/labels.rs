//! What really happened, beside what rules said: precision and recall by rule, and of the naive rule at the same rate.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context as _;
use auren::wearable::{Measure, Row};
use auren_agents::{TriggerEvent, UserId};
use chrono::NaiveDate;
use serde::Deserialize;

use crate::cli::input::Documents;

/// An alert so many days after an episode's end still tells of it: a week's mean follows its nights.
const AFTER_DAYS: i64 = 3;
/// The naive rule's baseline.
const BASELINE_DAYS: i64 = 42;
const BASELINE_MIN: usize = 10;

/// An episode, as `auren simulate --labels` writes it.
#[derive(Debug, Deserialize)]
pub(super) struct Label {
    user: UserId,
    kind: String,
    from: NaiveDate,
    to: NaiveDate,
}

/// How good some alerts were.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Score {
    /// The share of the alerts that fall into an episode they could tell of.
    pub(super) precision: f64,
    /// The share of those episodes that an alert fell into.
    pub(super) recall: f64,
}

/// Which kinds of episodes a trigger type could tell of.
pub(super) fn kinds(trigger: &str) -> &'static [&'static str] {
    match trigger {
        "hrv_drop" => &["illness", "overtraining", "poor_sleep", "stress", "travel"],
        "sleep_deprivation" | "cognitive_fatigue" => &["poor_sleep", "travel"],
        "overtraining" => &["overtraining"],
        "stress_escalation" => &["stress", "illness"],
        "inflammation_risk" => &["illness"],
        _ => &[],
    }
}

pub(super) async fn read(file: &Path) -> anyhow::Result<Vec<Label>> {
    let mut documents = Documents::open(file)?;
    let mut labels = Vec::new();
    while let Some(document) = documents.receiver.recv().await {
        let document = document?;
        let text = document.text.unwrap_or_default();
        let label = serde_json::from_slice(&text).with_context(|| {
            format!("{}:{}: this is no label of `auren simulate --labels`", file.display(), document.line)
        })?;
        labels.push(label);
    }
    Ok(labels)
}

/// A person and the local day of an alert.
pub(super) type Day = (UserId, NaiveDate);

pub(super) fn day(trigger: &TriggerEvent) -> Day {
    (trigger.user_id.clone(), trigger.timestamp.at().date_naive())
}

/// None where no such episode is labelled.
#[expect(clippy::cast_precision_loss, reason = "some thousands of alerts")]
pub(super) fn score(alerts: &[Day], labels: &[Label], kinds: &[&str]) -> Option<Score> {
    let fits = |(user, day): &Day, label: &Label| {
        *user == label.user && *day >= label.from && *day <= label.to + chrono::TimeDelta::days(AFTER_DAYS)
    };
    let labels: Vec<&Label> = labels.iter().filter(|label| kinds.contains(&label.kind.as_str())).collect();
    if labels.is_empty() {
        return None;
    }
    let right = alerts.iter().filter(|alert| labels.iter().any(|label| fits(alert, label))).count();
    let told = labels.iter().filter(|label| alerts.iter().any(|alert| fits(alert, label))).count();
    Some(Score {
        precision: if alerts.is_empty() { 0.0 } else { right as f64 / alerts.len() as f64 },
        recall: told as f64 / labels.len() as f64,
    })
}

/// The naive rule: one night's rMSSD below a share of the mean of the six weeks before it.
pub(super) struct Naive {
    /// Every night that has a baseline: how far below it, as a share, and whose night.
    nights: Vec<(f64, Day)>,
}

impl Naive {
    #[expect(clippy::cast_precision_loss, reason = "some dozens of nights")]
    pub(super) fn of(rows: &[Row]) -> Self {
        let mut people: BTreeMap<&UserId, Vec<(NaiveDate, f64)>> = BTreeMap::new();
        let mut nights = Vec::new();
        for row in rows.iter().filter(|row| Measure::named(&row.measure) == Some(Measure::Rmssd)) {
            if !Measure::Rmssd.possible().contains(&row.value) {
                continue;
            }
            let past = people.entry(&row.user).or_default();
            let date = row.at.at().date_naive();
            past.retain(|(day, _)| (date - *day).num_days() <= BASELINE_DAYS);
            if past.len() >= BASELINE_MIN {
                let mean = past.iter().map(|(_, value)| value).sum::<f64>() / past.len() as f64;
                nights.push((1.0 - row.value / mean, (row.user.clone(), date)));
            }
            past.push((date, row.value));
        }
        nights.sort_by(|a, b| b.0.total_cmp(&a.0));
        Self { nights }
    }

    /// What it says from this share below the mean on.
    pub(super) fn below(&self, share: f64) -> Vec<Day> {
        self.nights.iter().take_while(|(below, _)| *below >= share).map(|(_, day)| day.clone()).collect()
    }

    /// Its so many strongest alerts.
    pub(super) fn strongest(&self, count: usize) -> Vec<Day> {
        self.nights.iter().take(count).map(|(_, day)| day.clone()).collect()
    }

    /// How many nights have a baseline.
    pub(super) fn nights(&self) -> usize {
        self.nights.len()
    }
}
