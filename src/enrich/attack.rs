//! How closely metadata give a sealed value back: the attack that SECURITY.md speaks of, with which a profile is measured.
//!
//! The attacker sees the metadata of one person's events as they are published, knows how other people's values lie (those
//! of everybody else in the same data), and knows this code. It guesses each value in every way there is here, and the way
//! that errs least over all is the one that counts.

use std::collections::BTreeMap;

use auren_agents::{EventId, Text};

use super::{Judged, Point, baseline::window, judge, metadata, session::POINTS_MAX};
use crate::{config::PrivacyProfile, intake::SealedReading, phi::Measured, wearable::Row};

/// Values of one person from which on they take part.
const SERIES_MIN: usize = 20;

/// The profiles whose metadata are used; first none.
const PROFILES: [Option<PrivacyProfile>; 3] = [None, Some(PrivacyProfile::Coarse), Some(PrivacyProfile::Exact)];

/// The errors of each way of guessing, by its place in [`PROFILES`] and its name.
type Ways = BTreeMap<(usize, &'static str), Vec<f64>>;

/// How well one way of guessing did on one statistic.
#[derive(Debug, Clone, PartialEq)]
pub struct Guessed {
    /// The statistic.
    pub measure: String,
    /// The profile; none where no metadata were used.
    pub profile: Option<PrivacyProfile>,
    /// What was done.
    pub way: &'static str,
    /// On how many values it could be done.
    pub values: usize,
    /// The median of |guess − value| / value.
    pub median_error: f64,
}

/// Tries every way on every statistic, the best of each profile first.
#[must_use]
pub fn attack(rows: &[Row]) -> Vec<Guessed> {
    let mut measures: BTreeMap<&str, BTreeMap<(&str, &str), Vec<&Row>>> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.value > 0.0) {
        let people = measures.entry(&row.measure).or_default();
        people.entry((row.user.as_str(), &row.device)).or_default().push(row);
    }
    let mut found = Vec::new();
    for (measure, mut people) in measures {
        people.retain(|_, series| series.len() >= SERIES_MIN);
        let mut ways = Ways::new();
        for person in people.keys() {
            let others: Vec<f64> = people
                .iter()
                .filter(|(other, _)| other.0 != person.0)
                .flat_map(|(_, series)| series.iter().map(|row| row.value.ln()))
                .collect();
            if let Some(crowd) = Crowd::of(&others) {
                let mut series = people[person].clone();
                series.sort_by_key(|row| row.at.millis());
                guess_all(&series, &crowd, &mut ways);
            }
        }
        let mut of_measure: Vec<_> = ways
            .into_iter()
            .map(|((profile, way), mut errors)| {
                errors.sort_unstable_by(f64::total_cmp);
                let (values, median_error) = (errors.len(), errors[errors.len() / 2]);
                Guessed { measure: measure.to_owned(), profile: PROFILES[profile], way, values, median_error }
            })
            .collect();
        for of_profile in of_measure.chunk_by_mut(|one, other| one.profile == other.profile) {
            of_profile.sort_by(|one, other| one.median_error.total_cmp(&other.median_error));
        }
        found.extend(of_measure);
    }
    found
}

/// How other people's values lie, on a logarithmic scale.
struct Crowd {
    mean: f64,
    within: f64,
}

impl Crowd {
    #[expect(clippy::cast_precision_loss, reason = "a data set has far fewer than 2^52 values")]
    fn of(values: &[f64]) -> Option<Self> {
        if values.len() < 2 {
            return None;
        }
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        let squares = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>();
        let spread = (squares / (values.len() - 1) as f64).sqrt();
        // A person varies about half as much as people differ.
        Some(Self { mean, within: spread / 2.0 })
    }
}

fn guess_all(series: &[&Row], crowd: &Crowd, ways: &mut Ways) {
    let mut note = |profile, way, guess: f64, value: f64| {
        if guess.is_finite() {
            ways.entry((profile, way)).or_default().push(((guess - value) / value).abs());
        }
    };
    let mut past: Vec<Point> = Vec::new();
    let mut before: Option<(f64, f64, f64, i64)> = None;
    for row in series {
        let point = Point { at: row.at.millis().div_euclid(1000), value: row.value };
        let judged = judge(&row.measure, point, &past);
        note(0, "other people's median", crowd.mean.exp(), row.value);
        if judged.summary.is_some() {
            let coarse = published(row, &judged, PrivacyProfile::Coarse);
            note(
                1,
                "rank among other people's values",
                (crowd.mean + normal(coarse.0) * crowd.within).exp(),
                row.value,
            );
            let (rank, summary) = published(row, &judged, PrivacyProfile::Exact);
            if let Some((mean, stddev)) = summary {
                note(2, "rank, mean and deviation of one event", mean + normal(rank) * stddev, row.value);
                let usual = window(&past, point.at);
                // How many values the baseline rests on and since when: whoever counts events knows it.
                let (known, first) = (count(usual), usual.first().map_or(0, |point| point.at));
                // The mean of this event and that of the one before it differ by the value between them.
                if let Some((mean_before, count_before, value_before, first_before)) = before
                    && first_before == first
                    && (known - count_before - 1.0).abs() < 0.5
                {
                    note(2, "means of two events in a row", mean * known - mean_before * count_before, value_before);
                }
                before = Some((mean, known, row.value, first));
            }
        }
        past.push(point);
        if past.len() > POINTS_MAX {
            past.remove(0);
        }
    }
}

/// What is published of a value: rank, and mean and deviation where the profile tells them.
fn published(row: &Row, judged: &Judged, profile: PrivacyProfile) -> (f64, Option<(f64, f64)>) {
    let reading = SealedReading {
        event_id: EventId::derived(&["attack"]),
        user_id: row.user.clone(),
        event_type: row.event_type.clone(),
        token: Text::cut(""),
        source_device: row.device.clone(),
        measurement_context: row.context.clone(),
        timestamp: row.at.clone(),
        extra: serde_json::Map::new(),
    };
    let measured = Measured { value: row.value, measure: row.measure.to_string(), unit: row.unit.to_string() };
    let told = metadata(&reading, &measured, judged, profile);
    (told.percentile_rank.get(), told.statistical_summary.map(|summary| (summary.mean, summary.stddev)))
}

#[expect(clippy::cast_precision_loss, reason = "a history has some dozens of values")]
fn count(points: &[Point]) -> f64 {
    points.len() as f64
}

/// The standard normal value below which this share lies (Winitzki 2008).
fn normal(share: f64) -> f64 {
    let x = 2.0 * share.clamp(0.01, 0.99) - 1.0;
    let (a, ln) = (0.147, (1.0 - x * x).ln());
    let part = 2.0 / (std::f64::consts::PI * a) + ln / 2.0;
    x.signum() * ((part * part - ln / a).sqrt() - part).sqrt() * std::f64::consts::SQRT_2
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::{Settings, Simulation};

    #[test]
    fn the_coarse_profile_is_at_least_five_times_worse_for_the_attacker() {
        let settings = Settings { users: 10, days: 90, ..Settings::default() };
        let rows: Vec<Row> = Simulation::new(settings).unwrap().filter(|row| *row.measure == *"rmssd").collect();
        let found = attack(&rows);
        let best = |profile| {
            let of = found.iter().filter(|guessed| guessed.profile == Some(profile));
            of.map(|guessed| guessed.median_error).min_by(f64::total_cmp).unwrap()
        };
        let (coarse, exact) = (best(PrivacyProfile::Coarse), best(PrivacyProfile::Exact));
        assert!(coarse >= 5.0 * exact, "coarse {coarse}, exact {exact}");
        assert!(exact < 0.01, "the attack on exact numbers works: {exact}");
    }

    #[test]
    fn a_share_has_its_normal_value() {
        assert!(normal(0.5).abs() < 1e-9 && (normal(0.975) - 1.96).abs() < 0.01 && (normal(0.1) + 1.2816).abs() < 0.01);
    }
}
