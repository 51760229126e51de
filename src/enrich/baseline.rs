//! How a value compares with a person's own past. Nothing here knows tokens, records or privacy.
//!
//! Variability is compared on a logarithmic scale: ln rMSSD is close to normal where rMSSD is not (Plews et al. 2012). A
//! week is compared with what came before it by the mean of at least three nights (Plews et al. 2014: 3 valid days a week
//! are enough), in standard deviations of single nights.

use crate::{seen::BASELINE_FORMING, wearable::Measure};

/// How far back a person's usual range reaches.
const BASELINE_DAYS: i64 = 42;
/// The week that is compared with what came before it.
const WEEK_DAYS: i64 = 7;
/// Values that a baseline needs.
pub const MIN_SAMPLE: usize = 10;
/// Values that a week needs.
pub const WEEK_SAMPLE: usize = 3;
/// The shortest run of falling or rising values that is called a trend.
const TREND: usize = 3;
const DAY: i64 = 86_400;

/// One value of a person's history.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Point {
    /// When it was measured, in seconds since the epoch.
    pub at: i64,
    /// The value, in its unit.
    pub value: f64,
}

/// In which direction a change is unwelcome.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unwelcome {
    /// Less is worse.
    Low,
    /// More is worse.
    High,
    /// Neither.
    Neither,
}

/// In which direction a change of this statistic is unwelcome.
#[must_use]
pub fn unwelcome(measure: &str) -> Unwelcome {
    match Measure::named(measure) {
        Some(Measure::Rmssd | Measure::Sdnn | Measure::Asleep | Measure::SleepEfficiency | Measure::Mood) => {
            Unwelcome::Low
        }
        Some(
            Measure::RestingHeartRate
            | Measure::BreathingRate
            | Measure::SkinTemperature
            | Measure::Systolic
            | Measure::Diastolic
            | Measure::Glucose
            | Measure::WorkoutLoad
            | Measure::StressScore,
        ) => Unwelcome::High,
        Some(Measure::Steps | Measure::Energy) | None => Unwelcome::Neither,
    }
}

/// What a value is, beside a person's own past.
#[derive(Debug, Clone, PartialEq)]
pub struct Judged {
    /// Share of the past that is lower, ties counted half. A half where there is too little past.
    pub rank: f64,
    /// How far outside the usual range, from 0 (within one standard deviation) to 1 (3.5 of them), where that is
    /// unwelcome.
    pub severity: f64,
    /// `declining_3_days`, `rising_4_days`, `stable`, or `baseline_forming`.
    pub trend: String,
    /// Mean and standard deviation of the past, in the value's unit.
    pub summary: Option<(f64, f64)>,
    /// How far the mean of the last week lies on the unwelcome side of what came before it, in standard deviations of
    /// single values.
    pub week: Option<f64>,
}

/// Judges a value beside the person's past values, which are in order of time and none newer than it.
#[must_use]
pub fn judge(measure: &str, value: Point, past: &[Point]) -> Judged {
    let past = window(past, value.at);
    let known: Vec<f64> = past.iter().map(|point| scale(measure, point.value)).collect();
    if known.len() < MIN_SAMPLE {
        return Judged { rank: 0.5, severity: 0.0, trend: BASELINE_FORMING.to_owned(), summary: None, week: None };
    }
    let scaled = scale(measure, value.value);
    let (mean, sd) = usual(&known);
    let away = signed(measure, (scaled - mean) / sd);
    let plain: Vec<f64> = past.iter().map(|point| point.value).collect();
    let (plain_mean, plain_sd) = mean_sd(&plain);
    Judged {
        rank: rank(scaled, &known),
        severity: ((away - 1.0) / 2.5).clamp(0.0, 1.0),
        trend: trend(measure, value, past, sd).unwrap_or_else(|| "stable".to_owned()),
        summary: Some((plain_mean, plain_sd)),
        week: week(measure, value, past),
    }
}

/// Those of the past values, in order of time, that a value of this time is compared with.
pub(super) fn window(past: &[Point], at: i64) -> &[Point] {
    let begin = at - BASELINE_DAYS * DAY;
    &past[past.partition_point(|point| point.at < begin)..]
}

fn week(measure: &str, value: Point, past: &[Point]) -> Option<f64> {
    let begin = value.at - WEEK_DAYS * DAY + DAY / 2;
    let split = past.partition_point(|point| point.at < begin);
    let before: Vec<f64> = past[..split].iter().map(|point| scale(measure, point.value)).collect();
    let within = past[split..].iter().chain(std::iter::once(&value));
    let within: Vec<f64> = within.map(|point| scale(measure, point.value)).collect();
    if before.len() < MIN_SAMPLE || within.len() < WEEK_SAMPLE {
        return None;
    }
    let (mean, sd) = usual(&before);
    Some(signed(measure, (mean_sd(&within).0 - mean) / sd))
}

/// The run of days on which the value went one way, where it is long enough and adds up to half a standard deviation.
fn trend(measure: &str, value: Point, past: &[Point], sd: f64) -> Option<String> {
    let mut newer = value;
    let mut run = 1_usize;
    let mut falls: Option<bool> = None;
    for older in past.iter().rev() {
        let fell = newer.value < older.value;
        if newer.at - older.at > 2 * DAY || newer.value == older.value || falls.is_some_and(|falls| falls != fell) {
            break;
        }
        falls = Some(fell);
        run += 1;
        newer = *older;
    }
    let moved = (scale(measure, value.value) - scale(measure, newer.value)).abs();
    let enough = moved >= 0.5 * sd;
    let word = if falls? { "declining" } else { "rising" };
    (run >= TREND && enough).then(|| format!("{word}_{}_days", run.min(14)))
}

fn scale(measure: &str, value: f64) -> f64 {
    match Measure::named(measure) {
        Some(Measure::Rmssd | Measure::Sdnn) => value.max(1.0).ln(),
        _ => value,
    }
}

fn signed(measure: &str, away: f64) -> f64 {
    match unwelcome(measure) {
        Unwelcome::Low => -away,
        Unwelcome::High => away,
        Unwelcome::Neither => 0.0,
    }
}

/// Mean and standard deviation; the latter never so small that a value like all others looks far away.
fn usual(values: &[f64]) -> (f64, f64) {
    let (mean, sd) = mean_sd(values);
    (mean, sd.max(0.01 * mean.abs()).max(1e-6))
}

#[expect(clippy::cast_precision_loss, reason = "a history has some dozens of values")]
fn mean_sd(values: &[f64]) -> (f64, f64) {
    let count = values.len() as f64;
    let mean = values.iter().sum::<f64>() / count;
    let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
    (mean, (squares / (count - 1.0).max(1.0)).sqrt())
}

#[expect(clippy::cast_precision_loss, reason = "a history has some dozens of values")]
fn rank(value: f64, known: &[f64]) -> f64 {
    let lower = known.iter().filter(|other| **other < value).count() as f64;
    let ties = known.iter().filter(|other| **other == value).count() as f64;
    (lower + ties / 2.0) / known.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nights(values: &[f64]) -> Vec<Point> {
        values.iter().zip(0..).map(|(value, day)| Point { at: day * DAY, value: *value }).collect()
    }

    fn judged(measure: &str, values: &[f64]) -> Judged {
        let all = nights(values);
        let (last, past) = all.split_last().unwrap();
        judge(measure, *last, past)
    }

    /// Twenty nights around 40 ms.
    const USUAL: [f64; 20] = [
        38.0, 42.0, 40.0, 37.0, 44.0, 41.0, 39.0, 43.0, 40.0, 38.0, 41.0, 42.0, 39.0, 40.0, 43.0, 37.0, 41.0, 40.0,
        39.0, 42.0,
    ];

    fn then(values: &[f64]) -> Vec<f64> {
        USUAL.iter().chain(values).copied().collect()
    }

    #[test]
    fn a_usual_night_is_nothing_and_a_low_one_is_something() {
        let usual = judged("rmssd", &then(&[40.0]));
        assert!(usual.severity == 0.0 && (0.3..0.7).contains(&usual.rank), "{usual:?}");
        let low = judged("rmssd", &then(&[30.0]));
        assert!(low.severity == 1.0 && low.rank == 0.0, "{low:?}");
        let high = judged("rmssd", &then(&[55.0]));
        assert!(high.severity == 0.0 && high.rank == 1.0, "more variability is not unwelcome: {high:?}");
        assert!(judged("resting_heart_rate", &then(&[55.0])).severity > 0.9);
    }

    #[test]
    fn without_a_past_nothing_is_claimed() {
        let judged = judged("rmssd", &USUAL[..5]);
        assert_eq!((judged.severity, judged.rank, judged.summary, judged.week), (0.0, 0.5, None, None));
    }

    #[test]
    fn a_week_is_compared_with_what_came_before_it() {
        let week = judged("rmssd", &then(&[36.0, 36.5, 35.0, 36.0, 37.0, 35.5, 36.0])).week.unwrap();
        assert!((1.5..2.5).contains(&week), "{week}");
        let same = judged("rmssd", &then(&[40.0, 41.0, 39.0, 40.0, 42.0, 38.0, 40.0])).week.unwrap();
        assert!(same.abs() < 0.5, "{same}");
        assert_eq!(judged("steps", &then(&[10.0])).week, Some(0.0), "neither direction is unwelcome");
    }

    #[test]
    fn a_trend_is_a_run_of_days_without_a_gap() {
        assert_eq!(judged("rmssd", &then(&[40.0, 37.0, 34.0])).trend, "declining_4_days");
        assert_eq!(judged("rmssd", &then(&[41.0, 40.0, 41.0])).trend, "stable");
        let mut gap = nights(&then(&[38.0, 36.0]));
        for point in &mut gap[20..] {
            point.at += 5 * DAY;
        }
        let (last, past) = gap.split_last().unwrap();
        assert_eq!(judge("rmssd", *last, past).trend, "stable");
    }

    #[test]
    fn what_is_older_than_the_window_does_not_count() {
        let mut all = nights(&then(&[40.0]));
        for point in &mut all[..15] {
            point.at -= 60 * DAY;
        }
        let (last, past) = all.split_last().unwrap();
        assert_eq!(judge("rmssd", *last, past).trend, "baseline_forming");
    }
}
