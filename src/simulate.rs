//! Simulated wearers: plausible months of readings, with labels that say what really happened.
//!
//! A wearer has a body (variability by age and fitness, a heart rate that goes against it), habits (work days and free
//! days, training in cycles of four weeks, nights without the watch), a home on the globe, and now and then an
//! [`Episode`]: an illness, a journey, too much training, poor sleep, strain. Nobody simulated is anybody real.
//!
//! The same [`Settings`] give the same stream. More wearers or more days never change what the others have read, and
//! device errors change nothing but the values in error. Memory follows the wearers, not the days.
//!
//! Set beside 1,129 nights of 19 people with a Fitbit (LifeSnaps, 2021 to 2022), 600 simulated wearers of 65 days show a
//! mean ln rMSSD of 3.67 (real 3.67), an SD of 0.35 between people (0.37) and of 0.23 from night to night (0.25, medians),
//! a correlation from one night to the next of 0.25 (0.23), and of -0.58 between rMSSD and resting heart rate within a
//! person (-0.53).
//! Real sleep scatters more (an SD of 82 minutes against 64): devices split nights, which is not simulated.

mod body;
mod day;
mod draw;
mod episode;
mod wearer;

use auren_agents::{Text, Timestamp, UserId};
use chrono::{DateTime, Datelike as _, FixedOffset, NaiveDate, TimeDelta};

use self::{
    body::Body,
    day::{FIRST_MINUTE, Reading, Today},
    draw::{Draw, FIRST_DAY, TRAITS},
    episode::{Habits, Spell, Strain},
    wearer::{CUFF, METER, PHONE, WATCHES, Wearer},
};
use crate::wearable::{Measure, Row};

pub use self::episode::{Episode, EpisodeKind, UNDISTURBED_DAYS};

/// The most wearers of one simulation.
pub const USERS_MAX: u32 = 10_000_000;
/// The most days of one simulation: a hundred years.
pub const DAYS_MAX: u32 = 36_525;

/// What to simulate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// How many wearers, 1 to [`USERS_MAX`].
    pub users: u32,
    /// How many local days each, 1 to [`DAYS_MAX`]. Episodes need more than [`UNDISTURBED_DAYS`].
    pub days: u32,
    /// What everything is drawn from.
    pub seed: u64,
    /// The first local day, from 1970 to 2200.
    pub start: NaiveDate,
    /// Whether devices err: on about 1 night of 100, a null, a spike or a watch that slipped.
    pub artefacts: bool,
}

impl Default for Settings {
    /// Ten wearers for sixty days from 1 January 2024, seed 1, without device errors.
    fn default() -> Self {
        let start = NaiveDate::from_ymd_opt(2024, 1, 1).unwrap_or_default();
        Self { users: 10, days: 60, seed: 1, start, artefacts: false }
    }
}

/// Why nothing can be simulated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SettingsError {
    /// No wearers, or too many.
    #[error("users must be from 1 to {USERS_MAX}")]
    Users,
    /// No days, or too many.
    #[error("days must be from 1 to {DAYS_MAX}")]
    Days,
    /// A start that is far from any wearable.
    #[error("start must be a day from 1970 to 2200")]
    Start,
}

/// A stream of readings in the order of time, over all wearers.
pub struct Simulation {
    settings: Settings,
    lives: Vec<Life>,
    /// The next day to live.
    day: u32,
    /// Readings in order; those before `safe` precede whatever the next day brings, those before `next` are out.
    waiting: Vec<Reading>,
    safe: usize,
    next: usize,
}

struct Life {
    wearer: Wearer,
    body: Body,
    spells: Box<[Spell]>,
}

impl Simulation {
    /// Draws the wearers and what will befall them; days are lived as they are asked for.
    ///
    /// # Errors
    /// [`SettingsError`] where a number or the start is out of range.
    pub fn new(settings: Settings) -> Result<Self, SettingsError> {
        if !(1..=USERS_MAX).contains(&settings.users) {
            return Err(SettingsError::Users);
        }
        if !(1..=DAYS_MAX).contains(&settings.days) {
            return Err(SettingsError::Days);
        }
        if !(1970..=2200).contains(&settings.start.year()) {
            return Err(SettingsError::Start);
        }
        let lives = (0..settings.users).map(|number| Life::new(&settings, number)).collect();
        Ok(Self { settings, lives, day: 0, waiting: Vec::new(), safe: 0, next: 0 })
    }

    /// What is simulated.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// How many days have been lived, of the settings' `days`: for showing progress.
    #[must_use]
    pub fn day(&self) -> u32 {
        self.day
    }

    /// The id of a wearer, counted from 0.
    #[must_use]
    pub fn user(&self, user: u32) -> Option<&UserId> {
        self.lives.get(user as usize).map(|life| &life.wearer.id)
    }

    /// The ground truth of a wearer, counted from 0, in order of time. Nothing needs to be streamed for it.
    #[must_use]
    pub fn episodes(&self, user: u32) -> Vec<Episode> {
        let Some(life) = self.lives.get(user as usize) else { return Vec::new() };
        let date = |day: u32| self.settings.start + TimeDelta::days(i64::from(day.min(self.settings.days - 1)));
        let label = |spell: &Spell| Episode {
            user: life.wearer.id.clone(),
            kind: spell.kind,
            from: date(spell.from),
            to: date(spell.to),
        };
        life.spells.iter().map(label).collect()
    }

    /// Lives the next day of every wearer; `false` when there is nothing left to read.
    fn advance(&mut self) -> bool {
        self.waiting.drain(..self.next);
        self.next = 0;
        if self.day == self.settings.days {
            self.safe = self.waiting.len();
            return self.safe > 0;
        }
        let weekday = (self.settings.start.weekday().num_days_from_monday() + self.day) % 7;
        let date = epoch_day(self.settings.start) + i64::from(self.day);
        for (wearer, life) in (0..).zip(&mut self.lives) {
            let strain = life.spells.iter().find(|spell| spell.to >= self.day);
            let strain = strain.map_or_else(Strain::default, |spell| spell.strain(self.day));
            let today = Today { wearer, day: self.day, date, weekday, strain, artefacts: self.settings.artefacts };
            let mut draw = Draw::new(self.settings.seed, wearer, FIRST_DAY + self.day);
            day::live(&life.wearer, &mut life.body, &today, &mut draw, &mut self.waiting);
        }
        self.day += 1;
        self.waiting.sort_unstable_by_key(|reading| (reading.at, reading.wearer, reading.measure));
        // The next day begins first where clocks are 14 hours ahead.
        let begins = (date + 1) * 86_400 - 14 * 3600;
        self.safe = self.waiting.partition_point(|reading| reading.at < begins);
        true
    }

    fn row(&self, reading: Reading) -> Option<Row> {
        let wearer = &self.lives.get(reading.wearer as usize)?.wearer;
        let measure = reading.measure;
        let device = match measure {
            Measure::Systolic | Measure::Diastolic => CUFF,
            Measure::Glucose => METER,
            Measure::Mood => PHONE,
            _ => WATCHES[wearer.watch],
        };
        let offset = FixedOffset::east_opt(i32::from(reading.offset) * 60)?;
        let at = DateTime::from_timestamp(reading.at, 0)?.with_timezone(&offset);
        Some(Row {
            user: wearer.id.clone(),
            event_type: measure.event_type(),
            measure: measure.name().into(),
            value: reading.value,
            unit: measure.unit().into(),
            at: Timestamp::from(at),
            device: Text::cut(device),
            context: Text::cut(reading.context.of(measure)),
        })
    }
}

impl Iterator for Simulation {
    type Item = Row;

    fn next(&mut self) -> Option<Row> {
        while self.next == self.safe {
            if !self.advance() {
                return None;
            }
        }
        let reading = *self.waiting.get(self.next)?;
        self.next += 1;
        // The settings were checked, so every time and every offset can be written.
        self.row(reading)
    }
}

impl Life {
    fn new(settings: &Settings, number: u32) -> Self {
        let mut draw = Draw::new(settings.seed, number, TRAITS);
        let wearer = Wearer::new(&mut draw);
        let body = Body::new(&wearer, &mut draw);
        let habits = Habits { trains: wearer.trains(), home: wearer.home };
        let spells = episode::plan(settings.seed, number, settings.days, habits);
        Self { wearer, body, spells }
    }
}

fn epoch_day(date: NaiveDate) -> i64 {
    (date - NaiveDate::default()).num_days()
}

const _: () = assert!(FIRST_MINUTE > 0.0, "a day's readings never precede its midnight");

#[cfg(test)]
mod tests;
