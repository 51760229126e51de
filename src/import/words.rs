//! The words that exports use in their headers.

use crate::wearable::Measure;

/// What a header seems to mean. Ranks are by preference: 0 is best.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    User(u8),
    /// A date or a full time.
    Time(u8),
    /// A time, perhaps of day only.
    Clock,
    Device(u8),
    /// A measure whose cells are multiplied by `factor`, then `shift` is added. `from` is the unit where another.
    Measured {
        measure: Measure,
        from: Option<&'static str>,
        factor: f64,
        shift: f64,
    },
    /// Not to be read, and why.
    Unclear(&'static str),
}

const USERS: &[&str] = &[
    "user_id",
    "person_id",
    "participant_id",
    "subject_id",
    "patient_id",
    "member_id",
    "user",
    "person",
    "participant",
    "subject",
    "patient",
    "member",
    "id",
];
/// Full times first, then days; what ends a night before what begins it.
const TIMES: &[&str] = &[
    "timestamp",
    "device_timestamp",
    "datetime",
    "date_time",
    "time_stamp",
    "measured_at",
    "recorded_at",
    "end_time",
    "end_date",
    "wake_onset",
    "cycle_start_time",
    "start_time",
    "start_date",
    "created_at",
    "date",
    "day",
    "calendar_date",
    "summary_date",
];
const DEVICES: &[&str] = &["source_device", "device", "device_name", "device_model", "source_name", "source"];

/// Names without their unit. The second word is the unit where the header names none.
const MEASURES: &[(Measure, &str, &[&str])] = &[
    (Measure::Rmssd, "ms", &["rmssd", "hrv_rmssd", "heart_rate_variability_rmssd", "daily_rmssd", "nightly_rmssd"]),
    // Oura's and Garmin's names; both are rMSSD.
    (Measure::Rmssd, "ms", &["average_hrv", "overnight_hrv", "last_night_average_hrv", "avg_overnight_hrv"]),
    (Measure::Sdnn, "ms", &["sdnn", "hrv_sdnn", "heart_rate_variability_sdnn"]),
    (Measure::RestingHeartRate, "bpm", &["resting_heart_rate", "resting_hr", "rhr", "average_resting_heart_rate"]),
    (Measure::Asleep, "min", &["asleep", "minutes_asleep", "time_asleep", "asleep_duration", "sleep_minutes"]),
    (Measure::Asleep, "min", &["total_sleep_time", "total_minutes_asleep", "sleep_analysis_asleep"]),
    (Measure::Asleep, "s", &["total_sleep_duration", "sleep_time_seconds"]),
    (Measure::SleepEfficiency, "percent", &["sleep_efficiency", "efficiency"]),
    (Measure::BreathingRate, "per_min", &["breathing_rate", "respiratory_rate", "respiration_rate"]),
    (Measure::BreathingRate, "per_min", &["average_respiratory_rate", "average_breath", "avg_sleep_respiration"]),
    (Measure::SkinTemperature, "celsius", &["skin_temperature", "skin_temp", "nightly_temperature"]),
    (Measure::SkinTemperature, "celsius", &["nightly_skin_temperature", "wrist_temperature"]),
    (Measure::Systolic, "mmHg", &["systolic", "sys", "blood_pressure_systolic", "systolic_blood_pressure"]),
    (Measure::Diastolic, "mmHg", &["diastolic", "dia", "blood_pressure_diastolic", "diastolic_blood_pressure"]),
    (Measure::Glucose, "mg/dL", &["glucose", "blood_glucose", "glucose_value", "glucose_level", "historic_glucose"]),
    (Measure::WorkoutLoad, "au", &["workout_load", "training_load", "session_load", "trimp"]),
    (Measure::StressScore, "score", &["stress_score", "average_stress_level", "avg_stress", "average_stress"]),
    (Measure::Mood, "score", &["mood", "mood_score"]),
    (Measure::Steps, "count", &["steps", "step_count", "total_steps", "daily_steps"]),
    (Measure::Energy, "kcal", &["energy", "active_energy", "active_energy_burned", "active_calories", "activity_burn"]),
];

const UNCLEAR: &[(&str, &[&str])] = &[
    (
        "may be rmssd or sdnn; name the right one in a mapping",
        &["hrv", "heart_rate_variability", "avg_hrv", "hrv_average", "mean_hrv"],
    ),
    (
        "may be the time in bed; what is wanted is the time asleep",
        &["sleep_duration", "sleep", "duration", "time_in_bed", "sleep_time", "in_bed_duration", "hours_slept"],
    ),
    ("a deviation, not a temperature", &["temperature_deviation", "skin_temperature_deviation", "temp_deviation"]),
    ("an answer without a scale from 1 to 5", &["tired", "tense", "alert", "happy", "sad", "rested", "stress"]),
    (
        "says who somebody is; it is not read",
        &["email", "e_mail", "mail", "name", "full_name", "first_name", "last_name", "phone", "address", "birthday"],
    ),
];

/// The units that can end a header, as written there, with the unit they are, and what makes the measure's unit of it.
const UNITS: &[(&str, &str, Conversion)] = &[
    ("milliseconds", "ms", None),
    ("ms", "ms", Some((Measure::Asleep, 1.0 / 60_000.0, 0.0))),
    ("seconds", "s", Some((Measure::Asleep, 1.0 / 60.0, 0.0))),
    ("sec", "s", Some((Measure::Asleep, 1.0 / 60.0, 0.0))),
    ("s", "s", Some((Measure::Asleep, 1.0 / 60.0, 0.0))),
    ("minutes", "min", None),
    ("mins", "min", None),
    ("min", "min", None),
    ("hours", "h", Some((Measure::Asleep, 60.0, 0.0))),
    ("hr", "h", Some((Measure::Asleep, 60.0, 0.0))),
    ("h", "h", Some((Measure::Asleep, 60.0, 0.0))),
    ("bpm", "bpm", None),
    ("count_min", "bpm", None),
    ("beats_min", "bpm", None),
    ("percent", "percent", None),
    ("pct", "percent", None),
    ("per_min", "per_min", None),
    ("per_minute", "per_min", None),
    ("brpm", "per_min", None),
    ("rpm", "per_min", None),
    ("celsius", "celsius", None),
    ("deg_c", "celsius", None),
    ("c", "celsius", None),
    ("fahrenheit", "fahrenheit", Some((Measure::SkinTemperature, 5.0 / 9.0, -160.0 / 9.0))),
    ("deg_f", "fahrenheit", Some((Measure::SkinTemperature, 5.0 / 9.0, -160.0 / 9.0))),
    ("f", "fahrenheit", Some((Measure::SkinTemperature, 5.0 / 9.0, -160.0 / 9.0))),
    ("mmhg", "mmHg", None),
    ("mm_hg", "mmHg", None),
    ("mg_dl", "mg/dL", None),
    ("mg_d_l", "mg/dL", None),
    ("mmol_l", "mmol/L", Some((Measure::Glucose, 18.016, 0.0))),
    ("au", "au", None),
    ("count", "count", None),
    ("steps", "count", None),
    ("kcal", "kcal", None),
    ("cal", "kcal", None),
    ("k_j", "kJ", Some((Measure::Energy, 1.0 / 4.184, 0.0))),
    ("kj", "kJ", Some((Measure::Energy, 1.0 / 4.184, 0.0))),
];

type Conversion = Option<(Measure, f64, f64)>;

/// What a header seems to mean.
pub(super) fn meaning(header: &str) -> Meaning {
    let name = plain(header);
    if let Some(rank) = rank(USERS, &name) {
        return Meaning::User(rank);
    }
    if let Some(rank) = rank(TIMES, &name) {
        return Meaning::Time(rank);
    }
    if matches!(&*name, "time" | "time_of_day" | "clock") {
        return Meaning::Clock;
    }
    if let Some(rank) = rank(DEVICES, &name) {
        return Meaning::Device(rank);
    }
    // The whole name first: the unit in "minutes_asleep" is part of it, and "steps" is a name and a unit.
    let bare = UNITS.iter().filter_map(|unit| {
        let bare = name.strip_suffix(unit.0)?.strip_suffix('_')?;
        Some((bare, Some(unit)))
    });
    for (bare, unit) in [(&*name, None)].into_iter().chain(bare) {
        for (measure, usual, names) in MEASURES {
            if names.contains(&bare) {
                return measured(*measure, usual, unit.map(|unit| (unit.1, unit.2)));
            }
        }
        for (why, names) in UNCLEAR {
            if names.contains(&bare) {
                return Meaning::Unclear(why);
            }
        }
    }
    Meaning::Unclear("no measure is known by this name; name one in a mapping")
}

/// Whether a header means a day rather than a full time.
pub(super) fn is_date(header: &str) -> bool {
    matches!(&*plain(header), "date" | "day" | "calendar_date" | "summary_date")
}

fn measured(measure: Measure, usual: &str, unit: Option<(&'static str, Conversion)>) -> Meaning {
    let seconds = ("s", Some((Measure::Asleep, 1.0 / 60.0, 0.0)));
    let (unit, conversion) = match unit {
        Some(unit) => unit,
        None if usual == "s" => seconds,
        None => (measure.unit(), None),
    };
    // Apple writes count/min for whatever is counted.
    let same = unit == measure.unit() || (unit == "bpm" && measure == Measure::BreathingRate);
    match conversion {
        _ if same => Meaning::Measured { measure, from: None, factor: 1.0, shift: 0.0 },
        Some((of, factor, shift)) if of == measure => Meaning::Measured { measure, from: Some(unit), factor, shift },
        _ => Meaning::Unclear("the unit in its name is not one of this measure; give `factor` in a mapping"),
    }
}

fn rank(names: &[&str], name: &str) -> Option<u8> {
    (0..).zip(names).find(|(_, known)| **known == name).map(|(rank, _)| rank)
}

/// Lower case, with `_` for everything that is neither letter nor digit, and between the words of `camelCase`.
fn plain(header: &str) -> String {
    let header = header.replace('%', " percent ").replace("°", " deg");
    let mut name = String::with_capacity(header.len() + 4);
    let mut lower = false;
    for letter in header.chars() {
        if letter.is_alphanumeric() {
            if letter.is_uppercase() && lower {
                name.push('_');
            }
            lower = letter.is_lowercase();
            name.extend(letter.to_lowercase());
        } else {
            lower = false;
            if !name.is_empty() && !name.ends_with('_') {
                name.push('_');
            }
        }
    }
    name.truncate(name.trim_end_matches('_').len());
    name
}
