//! What may be known about a sealed value, in each privacy profile.

use auren_agents::{BiometricMetadata, Score, Text, events::StatisticalSummary};
use serde_json::{Map, Value, json};

use super::{Judged, band::band};
use crate::{config::PrivacyProfile, intake::SealedReading, phi::Measured};

/// Steps of rank and severity under the coarse profile.
const RANK_STEP: f64 = 0.2;
const SEVERITY_STEP: f64 = 0.25;
/// Steps of the week's deviation under the coarse profile, in standard deviations.
const WEEK_STEP: f64 = 0.5;

/// The metadata of a reading.
///
/// Besides the schema's fields it carries `measure` (the statistic), `week_deviation` (how far the last week lies on the
/// unwelcome side of what came before it, in standard deviations) and `band` (`short`, `very_high`, ...) where a
/// published range exists and the value lies outside it.
#[must_use]
pub fn metadata(
    reading: &SealedReading,
    measured: &Measured,
    judged: &Judged,
    profile: PrivacyProfile,
) -> BiometricMetadata {
    let coarse = profile == PrivacyProfile::Coarse;
    let (rank, severity) = if coarse {
        (middle(judged.rank, RANK_STEP), floor(judged.severity, SEVERITY_STEP))
    } else {
        (rounded(judged.rank), rounded(judged.severity))
    };
    let summary = judged.summary.filter(|_| !coarse);
    let mut extra = Map::new();
    extra.insert("measure".to_owned(), json!(measured.measure));
    if let Some(week) = judged.week {
        let week = if coarse { floor(week, WEEK_STEP) } else { rounded(week) };
        extra.insert("week_deviation".to_owned(), json!(week));
    }
    if let Some(band) = band(&measured.measure, &reading.measurement_context, measured.value) {
        extra.insert("band".to_owned(), Value::from(band));
    }
    BiometricMetadata {
        percentile_rank: Score::clamped(rank),
        severity_score: Score::clamped(severity),
        trend: Text::cut(judged.trend.as_str()),
        statistical_summary: summary
            .map(|(mean, stddev)| StatisticalSummary { mean: rounded(mean), stddev: rounded(stddev) }),
        timestamp_iso: reading.timestamp.clone(),
        source_device: reading.source_device.clone(),
        measurement_context: reading.measurement_context.clone(),
        extra,
    }
}

/// The middle of the step that a value is in: 0.1, 0.3, 0.5, 0.7 or 0.9.
fn middle(value: f64, step: f64) -> f64 {
    let steps = (1.0 / step).round();
    rounded(((value / step).floor().min(steps - 1.0) + 0.5) * step)
}

/// The step that a value has reached.
fn floor(value: f64, step: f64) -> f64 {
    (value / step).floor() * step
}

fn rounded(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

#[cfg(test)]
mod tests {
    use auren_agents::{BiometricType, Timestamp, UserId};

    use super::*;
    use crate::{phi::Keys, wearable::Row};

    async fn told(profile: PrivacyProfile) -> BiometricMetadata {
        let row = Row {
            user: UserId::new("u-1").unwrap(),
            event_type: BiometricType::SleepAnalysis,
            measure: "asleep".into(),
            value: 341.0,
            unit: "min".into(),
            at: Timestamp::parse("2024-01-01T07:00:00+01:00").unwrap(),
            device: Text::cut("watch"),
            context: Text::cut("sleep"),
        };
        let key = Keys::ephemeral("t").make(&row.user, 1).await.unwrap();
        let reading = SealedReading::seal(&row, &key).unwrap();
        let judged = Judged {
            rank: 0.137,
            severity: 0.61,
            trend: "declining_3_days".to_owned(),
            summary: Some((402.13, 48.7)),
            week: Some(1.234),
        };
        metadata(&reading, &reading.open(&key).unwrap(), &judged, profile)
    }

    #[tokio::test]
    async fn the_coarse_profile_tells_steps_and_no_summary() {
        let told = told(PrivacyProfile::Coarse).await;
        assert_eq!((told.percentile_rank.get(), told.severity_score.get()), (0.1, 0.5));
        assert_eq!(told.statistical_summary, None);
        assert_eq!((&told.extra["week_deviation"], &told.extra["band"]), (&json!(1.0), &json!("short")));
    }

    #[tokio::test]
    async fn the_exact_profile_tells_the_schema_s_numbers() {
        let told = told(PrivacyProfile::Exact).await;
        assert_eq!((told.percentile_rank.get(), told.severity_score.get()), (0.137, 0.61));
        assert_eq!(told.statistical_summary, Some(StatisticalSummary { mean: 402.13, stddev: 48.7 }));
    }
}
