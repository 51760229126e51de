//! One local day of one wearer: the night that ended this morning, then what the day brought.

use super::{
    body::{Body, Night},
    draw::Draw,
    episode::Strain,
    wearer::Wearer,
};
use crate::wearable::Measure;

/// The circumstances of a reading.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Context {
    /// As is usual for the measure.
    Usual,
    Morning,
    Afternoon,
    Evening,
    AfterMeal,
}

impl Context {
    /// The word in a row.
    pub(super) fn of(self, measure: Measure) -> &'static str {
        match self {
            Self::Usual => measure.context(),
            Self::Morning => "morning",
            Self::Afternoon => "afternoon",
            Self::Evening => "evening",
            Self::AfterMeal => "after_meal",
        }
    }
}

/// A row before it has a name and a text: 24 bytes, so that a day of a hundred thousand wearers can wait in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    /// Seconds since the epoch.
    pub(super) at: i64,
    pub(super) wearer: u32,
    /// Minutes ahead of UTC.
    pub(super) offset: i16,
    pub(super) measure: Measure,
    pub(super) context: Context,
    pub(super) value: f64,
}

/// Which day it is, and what it has in store.
#[derive(Debug, Clone, Copy)]
pub(super) struct Today {
    /// The wearer's number.
    pub(super) wearer: u32,
    /// Days since the simulation's start.
    pub(super) day: u32,
    /// Days since the epoch.
    pub(super) date: i64,
    /// 0 is Monday.
    pub(super) weekday: u32,
    /// What a spell does to it.
    pub(super) strain: Strain,
    /// Whether the devices may err.
    pub(super) artefacts: bool,
}

/// The earliest minute of a local day at which anything is read.
pub(super) const FIRST_MINUTE: f64 = 210.0;

/// Lets a wearer live through a day, and notes what their devices read.
pub(super) fn live(wearer: &Wearer, body: &mut Body, today: &Today, draw: &mut Draw, out: &mut Vec<Reading>) {
    let offset = i16::try_from(wearer.home + today.strain.shift).unwrap_or(0);
    let mut log = Log { today, offset, night: out.len(), out };
    let night = body.sleep(wearer, today, draw);
    let worn = body.worn(wearer, draw);
    let synced = night.wakes + draw.between(2.0, 25.0);
    if worn {
        night_rows(wearer, &night, synced, draw, &mut log);
    }
    // Drawn whether or not it is wanted: the rest of the stream stays as it is.
    let error = device_error(draw);
    if let Some((measure, value)) = error.filter(|_| today.artefacts) {
        log.spoil(measure, value);
    }
    day_rows(wearer, body, &night, draw, &mut log);
}

fn night_rows(wearer: &Wearer, night: &Night, at: f64, draw: &mut Draw, log: &mut Log<'_>) {
    let sdnn = 0.8 * night.hrv + 0.2 * 3.69 + wearer.sdnn_gap + 0.1 * draw.normal();
    log.note(Measure::Rmssd, at, night.hrv.exp(), 10.0);
    log.note(Measure::Sdnn, at, sdnn.exp(), 10.0);
    log.note(Measure::RestingHeartRate, at, night.heart, 10.0);
    log.note(Measure::Asleep, at, night.asleep, 1.0);
    log.note(Measure::SleepEfficiency, at, night.efficiency, 1.0);
    log.note(Measure::BreathingRate, at, night.breathing, 10.0);
    log.note(Measure::SkinTemperature, at, night.skin, 100.0);
}

fn day_rows(wearer: &Wearer, body: &mut Body, night: &Night, draw: &mut Draw, log: &mut Log<'_>) {
    let Today { strain, .. } = *log.today;
    let working = log.today.weekday < 5;
    let ill = strain.load == 0.0;
    let load = body.train(wearer, log.today, draw);
    if let Some(load) = load {
        let hour = draw.pick(&[7.0, 12.5, 17.5, 18.0, 19.0]);
        log.note(Measure::WorkoutLoad, (hour * 60.0 + draw.between(0.0, 50.0)).max(night.wakes + 60.0), load, 1.0);
    }
    let steps = (wearer.steps + 0.47 * draw.normal()).exp() * if ill { 0.45 } else { 1.0 }
        + if load.is_some() { draw.between(500.0, 4000.0) } else { 0.0 };
    if !draw.chance(0.012) {
        let closes = draw.between(1320.0, 1438.0);
        log.note(Measure::Steps, closes, steps, 1.0);
        log.note(Measure::Energy, closes, 0.04 * steps + 1.1 * load.unwrap_or(0.0), 1.0);
    }
    let tense = wearer.stress + strain.stress - 4.0 * night.ease + 3.0 * night.short + if working { 4.0 } else { -4.0 };
    for (hour, context) in [(14.0, Context::Afternoon), (20.0, Context::Evening)] {
        let score = (tense + 7.0 * draw.normal()).clamp(1.0, 100.0);
        log.add(Measure::StressScore, hour * 60.0 + draw.between(0.0, 60.0), score, 1.0, context);
    }
    if draw.chance(wearer.talkative) {
        let mood = wearer.mood - strain.mood - 0.2 * night.short + 0.6 * draw.normal();
        log.note(Measure::Mood, draw.between(1230.0, 1310.0), mood.clamp(1.0, 5.0), 1.0);
    }
    if let Some(usual) = wearer.pressure {
        let after_waking = night.wakes + draw.between(26.0, 45.0);
        pressure(usual, strain.stress, (after_waking, Context::Morning), 0.75, draw, log);
        pressure(usual, strain.stress, (draw.between(1140.0, 1260.0), Context::Evening), 0.35, draw, log);
    }
    if let Some(usual) = wearer.glucose {
        let level = usual * if ill { 1.12 } else { 1.0 } * (1.0 + 0.06 * draw.normal());
        let rise = if usual > 115.0 { 75.0 } else { 35.0 };
        log.note(Measure::Glucose, night.wakes + draw.between(26.0, 50.0), level, 1.0);
        for minute in [825.0, 1200.0] {
            let after = level + rise * draw.between(0.4, 1.6);
            let at = minute + draw.between(0.0, 60.0);
            if draw.chance(0.6) {
                log.add(Measure::Glucose, at, after, 1.0, Context::AfterMeal);
            }
        }
    }
}

fn pressure(
    (systolic, diastolic): (f64, f64),
    stress: f64,
    (at, context): (f64, Context),
    often: f64,
    draw: &mut Draw,
    log: &mut Log<'_>,
) {
    let common = draw.normal();
    let upper = systolic + 0.2 * stress + 5.0 * common + 3.0 * draw.normal();
    let lower = diastolic + 0.1 * stress + 3.0 * common + 2.5 * draw.normal();
    if draw.chance(often) {
        log.add(Measure::Systolic, at, upper, 1.0, context);
        log.add(Measure::Diastolic, at, lower.min(upper - 15.0), 1.0, context);
    }
}

/// Where the readings of a day go.
struct Log<'a> {
    today: &'a Today,
    offset: i16,
    /// Where this night begins in `out`.
    night: usize,
    out: &'a mut Vec<Reading>,
}

impl Log<'_> {
    fn note(&mut self, measure: Measure, minute: f64, value: f64, steps: f64) {
        self.add(measure, minute, value, steps, Context::Usual);
    }

    /// Notes a value read at this local minute, rounded to whole `1 / steps`.
    fn add(&mut self, measure: Measure, minute: f64, value: f64, steps: f64, context: Context) {
        let at = self.today.date * 86_400 - i64::from(self.offset) * 60 + seconds(minute.max(FIRST_MINUTE));
        let value = (value * steps).round() / steps;
        self.out.push(Reading { at, wearer: self.today.wearer, offset: self.offset, measure, context, value });
    }

    /// Puts a false value into this night's readings.
    fn spoil(&mut self, measure: Measure, value: f64) {
        for reading in self.out[self.night..].iter_mut().filter(|reading| reading.measure == measure) {
            reading.value = value;
        }
    }
}

/// What a device makes of about 1 night of 100: a null, ectopic beats taken for variability, a watch that slipped.
fn device_error(draw: &mut Draw) -> Option<(Measure, f64)> {
    draw.chance(0.012).then(|| match draw.whole(0, 4) {
        0 | 1 => (Measure::Rmssd, 0.0),
        2 => (Measure::Rmssd, draw.between(150.0, 320.0).round()),
        3 => (Measure::BreathingRate, 0.0),
        _ => (Measure::SkinTemperature, draw.between(24.0, 28.5).round()),
    })
}

#[expect(clippy::cast_possible_truncation, reason = "a minute of a day, or of the next")]
fn seconds(minutes: f64) -> i64 {
    (minutes * 60.0) as i64
}
