//! What the stream promises, seen from outside.

use std::collections::{BTreeMap, HashMap};

use super::*;

fn simulation(users: u32, days: u32, seed: u64) -> Simulation {
    Simulation::new(Settings { users, days, seed, ..Settings::default() }).unwrap()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sd(values: &[f64]) -> f64 {
    let mean = mean(values);
    (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (values.len() - 1) as f64).sqrt()
}

fn date(row: &Row) -> NaiveDate {
    row.at.at().date_naive()
}

/// Values of one measure by wearer and local day.
fn by_day(rows: &[Row], measure: Measure) -> HashMap<UserId, BTreeMap<NaiveDate, f64>> {
    let mut days: HashMap<UserId, BTreeMap<NaiveDate, f64>> = HashMap::new();
    for row in rows.iter().filter(|row| row.measure == measure.name()) {
        days.entry(row.user.clone()).or_default().insert(date(row), row.value);
    }
    days
}

/// For each whole episode of this kind: the wearer's values before any episode, and those within it.
fn before_and_within(kind: EpisodeKind, measure: Measure, change: fn(f64) -> f64) -> Vec<(Vec<f64>, Vec<f64>)> {
    let (users, days) = (300, 100);
    let simulation = simulation(users, days, 5);
    let end = simulation.settings().start + TimeDelta::days(i64::from(days) - 1);
    let labels: Vec<Vec<Episode>> = (0..users).map(|user| simulation.episodes(user)).collect();
    let values = by_day(&simulation.collect::<Vec<_>>(), measure);
    let mut found = Vec::new();
    for episodes in labels {
        for episode in episodes.iter().filter(|episode| episode.kind == kind && episode.to < end) {
            let Some(of_wearer) = values.get(&episode.user) else { continue };
            let usual = of_wearer.range(..episodes[0].from).map(|(_, value)| change(*value)).collect::<Vec<_>>();
            let within =
                of_wearer.range(episode.from..=episode.to).map(|(_, value)| change(*value)).collect::<Vec<_>>();
            if !within.is_empty() {
                found.push((usual, within));
            }
        }
    }
    assert!(found.len() > 40, "{} episodes", found.len());
    found
}

fn share(found: &[(Vec<f64>, Vec<f64>)], holds: impl Fn(&[f64], &[f64]) -> bool) -> f64 {
    found.iter().filter(|(usual, within)| holds(usual, within)).count() as f64 / found.len() as f64
}

#[test]
fn the_same_settings_give_the_same_stream_and_another_seed_another() {
    let rows: Vec<Row> = simulation(20, 30, 3).collect();
    assert_eq!(rows, simulation(20, 30, 3).collect::<Vec<_>>());
    assert_ne!(rows, simulation(20, 30, 4).collect::<Vec<_>>());
}

#[test]
fn more_wearers_and_more_days_change_nothing_for_the_others() {
    let few: Vec<Row> = simulation(5, 30, 3).collect();
    let many = simulation(12, 45, 3);
    let known: Vec<UserId> = (0..5).filter_map(|user| many.user(user).cloned()).collect();
    let end = many.settings().start + TimeDelta::days(30);
    let same: Vec<Row> = many.filter(|row| known.contains(&row.user) && date(row) < end).collect();
    assert_eq!(few, same);
}

#[test]
fn time_never_goes_back() {
    let mut simulation = simulation(60, 90, 8);
    let mut last = simulation.next().unwrap().at;
    let mut rows = 1;
    for row in simulation {
        assert!(row.at >= last, "{} after {last}", row.at);
        last = row.at;
        rows += 1;
    }
    assert!(rows > 60 * 90 * 9, "{rows} rows");
}

#[test]
fn nights_are_most_of_a_day_apart_even_across_zones() {
    let mut woke: HashMap<UserId, Timestamp> = HashMap::new();
    let mut nights = 0;
    for row in simulation(200, 90, 8).filter(|row| row.measure == "asleep") {
        nights += 1;
        if let Some(before) = woke.insert(row.user.clone(), row.at.clone()) {
            assert!(row.at.at() - before.at() >= TimeDelta::hours(13), "{before} and {}", row.at);
        }
    }
    let missing = 1.0 - f64::from(nights) / (200.0 * 90.0);
    assert!((0.05..0.10).contains(&missing), "{missing} of the nights are missing");
}

#[test]
fn without_device_errors_every_value_is_possible_and_with_them_nothing_else_changes() {
    let clean: Vec<Row> = simulation(200, 60, 2).collect();
    for row in &clean {
        let measure = Measure::named(&row.measure).unwrap();
        assert!(measure.possible().contains(&row.value), "{} {}", row.measure, row.value);
    }
    let settings = Settings { users: 200, days: 60, seed: 2, artefacts: true, ..Settings::default() };
    let erring: Vec<Row> = Simulation::new(settings).unwrap().collect();
    let mut errors = 0;
    for (clean, erring) in clean.iter().zip(&erring) {
        errors += u32::from(clean.value != erring.value);
        assert_eq!(*clean, Row { value: clean.value, ..erring.clone() });
    }
    assert_eq!(clean.len(), erring.len());
    let share = f64::from(errors) / (200.0 * 60.0);
    assert!((0.006..0.016).contains(&share), "{share} of the nights err");
}

#[test]
fn an_illness_shows_in_variability_and_heart_rate() {
    let hrv = before_and_within(EpisodeKind::Illness, Measure::Rmssd, f64::ln);
    let deep = share(&hrv, |usual, within| mean(within) < mean(usual) - sd(usual));
    assert!(deep >= 0.9, "{deep} of {} illnesses", hrv.len());
    let heart = before_and_within(EpisodeKind::Illness, Measure::RestingHeartRate, |bpm| bpm);
    let high = share(&heart, |usual, within| mean(within) > mean(usual) + 3.0);
    assert!(high >= 0.9, "{high}");
    let skin = before_and_within(EpisodeKind::Illness, Measure::SkinTemperature, |celsius| celsius);
    assert!(share(&skin, |usual, within| mean(within) > mean(usual) + 0.3) >= 0.9);
}

#[test]
fn poor_sleep_is_short_and_overtraining_is_a_slow_fall_under_load() {
    let sleep = before_and_within(EpisodeKind::PoorSleep, Measure::Asleep, |minutes| minutes / 60.0);
    assert!(sleep.iter().all(|(_, within)| within.iter().all(|hours| (3.5..=5.5).contains(hours))));
    let load = before_and_within(EpisodeKind::Overtraining, Measure::WorkoutLoad, |load| load);
    assert!(share(&load, |usual, within| mean(within) > 1.2 * mean(usual)) > 0.9);
    let hrv = before_and_within(EpisodeKind::Overtraining, Measure::Rmssd, f64::ln);
    let falls = share(&hrv, |_, within| {
        let half = within.len() / 2;
        mean(&within[half..]) < mean(&within[..half])
    });
    assert!(falls > 0.85, "{falls}");
}

#[test]
fn a_journey_changes_the_offset_and_nothing_else_does() {
    let simulation = simulation(100, 90, 4);
    let journeys: Vec<Vec<Episode>> = (0..100).map(|user| simulation.episodes(user)).collect();
    let number: HashMap<UserId, usize> =
        (0..100).filter_map(|user| Some((simulation.user(user)?.clone(), user as usize))).collect();
    let mut home: HashMap<UserId, i32> = HashMap::new();
    for row in simulation {
        let offset = row.at.at().offset().local_minus_utc();
        let home = *home.entry(row.user.clone()).or_insert(offset);
        let away = |episode: &Episode| {
            episode.kind == EpisodeKind::Travel && (episode.from..=episode.to).contains(&date(&row))
        };
        assert_eq!(offset != home, journeys[number[&row.user]].iter().any(away), "{row:?}");
    }
}

/// The bounds are around what a published Fitbit data set of 20 people shows (see the module's documentation).
#[test]
fn wearers_scatter_as_people_do() {
    let rows: Vec<Row> = simulation(300, 65, 6).collect();
    let mut between = Vec::new();
    let mut within = Vec::new();
    let (mut product, mut square) = (0.0, 0.0);
    for nights in by_day(&rows, Measure::Rmssd).values() {
        let values: Vec<f64> = nights.values().map(|rmssd| rmssd.ln()).collect();
        let usual = mean(&values);
        between.push(usual);
        within.push(sd(&values));
        for pair in values.windows(2) {
            product += (pair[0] - usual) * (pair[1] - usual);
            square += (pair[0] - usual).powi(2);
        }
    }
    let (people, spread) = (mean(&between), sd(&between));
    assert!((3.55..3.80).contains(&people) && (0.30..0.42).contains(&spread), "{people} {spread}");
    let nightly = mean(&within);
    assert!((0.20..0.27).contains(&nightly), "{nightly}");
    let tomorrow = product / square;
    assert!((0.15..0.35).contains(&tomorrow), "{tomorrow}");
}

#[test]
fn settings_out_of_range_are_refused() {
    let refused = |settings| Simulation::new(settings).map(|_| ()).unwrap_err();
    assert_eq!(refused(Settings { users: 0, ..Settings::default() }), SettingsError::Users);
    assert_eq!(refused(Settings { days: DAYS_MAX + 1, ..Settings::default() }), SettingsError::Days);
    let start = NaiveDate::from_ymd_opt(9999, 12, 31).unwrap();
    assert_eq!(refused(Settings { start, ..Settings::default() }), SettingsError::Start);
}

#[test]
fn the_ends_of_the_calendar_can_be_simulated() {
    for year in [1970, 2200] {
        let start = NaiveDate::from_ymd_opt(year, 1, 1).unwrap();
        let settings = Settings { users: 20, days: 2, start, ..Settings::default() };
        assert!(Simulation::new(settings).unwrap().count() > 200);
    }
}
