//! What befalls a wearer: the labelled spells of illness, travel and strain, and what each does to a day.

use auren_agents::UserId;
use chrono::NaiveDate;
use serde::Serialize;

use super::draw::{Draw, PLAN};

/// Days at the beginning that are always undisturbed, so that a baseline can form.
pub const UNDISTURBED_DAYS: u32 = 21;

/// What kind of spell it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum EpisodeKind {
    /// A feverish infection of 3 to 6 days: variability down by 1.5 to 3 of the wearer's own SD, resting heart rate up
    /// by 6 to 12 bpm, skin warmer, breathing faster, no training.
    Illness,
    /// 4 to 9 days in another time zone, the first 2 to 4 nights short, variability slightly down in them.
    Travel,
    /// 10 to 14 days of rising load, variability sinking slowly.
    Overtraining,
    /// 3 to 6 nights of 3.5 to 5.5 hours.
    PoorSleep,
    /// 4 to 8 days of strain at work: stress scores up, sleep somewhat shorter.
    Stress,
}

impl EpisodeKind {
    /// The kind as written in labels.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Illness => "illness",
            Self::Travel => "travel",
            Self::Overtraining => "overtraining",
            Self::PoorSleep => "poor_sleep",
            Self::Stress => "stress",
        }
    }
}

/// One label of the ground truth.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Episode {
    /// Whose episode it is.
    pub user: UserId,
    /// What happened.
    pub kind: EpisodeKind,
    /// The first local day whose readings it changes. The night is a reading of the day it ends on.
    pub from: NaiveDate,
    /// The last such day (included); the last simulated day where the episode would go on.
    pub to: NaiveDate,
}

/// An episode as a wearer lives it. Days count from 0 at the simulation's start.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spell {
    pub(super) kind: EpisodeKind,
    pub(super) from: u32,
    pub(super) to: u32,
    /// How far the variability falls, in the wearer's own SD: on average over an illness, at the end of overtraining.
    depth: f64,
    /// How hard it is otherwise, from 0 to 1.
    force: f64,
    /// The change of the offset from UTC, in minutes.
    shift: i32,
}

/// What a spell does to one day. The default does nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Strain {
    /// Fall of ln rMSSD, in the wearer's own SD.
    pub(super) hrv: f64,
    /// Share of the usual night-to-night scatter that is left.
    pub(super) scatter: f64,
    /// Rise of the resting heart rate, in bpm.
    pub(super) heart: f64,
    /// Rise of the skin temperature, in degrees Celsius.
    pub(super) skin: f64,
    /// Rise of the breathing rate, per minute.
    pub(super) breathing: f64,
    /// Rise of the stress score.
    pub(super) stress: f64,
    /// Fall of the mood.
    pub(super) mood: f64,
    /// Minutes of sleep the night cannot leave.
    pub(super) sleep: Option<(f64, f64)>,
    /// Change of the time asleep, in minutes.
    pub(super) rest: f64,
    /// Factor on the training load; 0 is no training, above 1 also means training every day.
    pub(super) load: f64,
    /// Change of the offset from UTC, in minutes.
    pub(super) shift: i32,
}

impl Default for Strain {
    fn default() -> Self {
        Self {
            hrv: 0.0,
            scatter: 1.0,
            heart: 0.0,
            skin: 0.0,
            breathing: 0.0,
            stress: 0.0,
            mood: 0.0,
            sleep: None,
            rest: 0.0,
            load: 1.0,
            shift: 0,
        }
    }
}

impl Spell {
    /// What it does to `day`.
    pub(super) fn strain(&self, day: u32) -> Strain {
        if !(self.from..=self.to).contains(&day) {
            return Strain::default();
        }
        let past = day - self.from;
        let days = f64::from(self.to - self.from + 1);
        let force = self.force;
        match self.kind {
            EpisodeKind::Illness => {
                // It comes and goes less hard than it is in between; on average over its days the factor is 1.
                let edge = if day == self.from || day == self.to { 0.75 } else { 1.15 };
                let shape = edge * days / (1.5 + 1.15 * (days - 2.0));
                Strain {
                    hrv: self.depth * shape,
                    scatter: 0.7,
                    heart: (6.0 + 6.0 * force) * shape,
                    skin: (0.6 + 0.9 * force) * shape,
                    breathing: (1.5 + 2.0 * force) * shape,
                    stress: (14.0 + 12.0 * force) * shape,
                    mood: 1.2 * shape,
                    rest: 30.0,
                    load: 0.0,
                    ..Strain::default()
                }
            }
            EpisodeKind::Travel => {
                let tired = f64::from(past) < 2.0 + 2.9 * force;
                let short = tired.then_some((240.0, 345.0));
                let hrv = if tired { self.depth } else { 0.0 };
                Strain { hrv, sleep: short, load: 0.4, shift: self.shift, ..Strain::default() }
            }
            EpisodeKind::Overtraining => {
                let so_far = f64::from(past + 1) / days;
                Strain {
                    hrv: self.depth * so_far,
                    heart: (3.0 + 3.0 * force) * so_far,
                    stress: 10.0 * so_far,
                    mood: so_far,
                    rest: -20.0 * so_far,
                    load: 1.3 + 0.9 * so_far,
                    ..Strain::default()
                }
            }
            EpisodeKind::PoorSleep => Strain {
                hrv: self.depth,
                heart: 1.0 + force,
                stress: 8.0,
                mood: 0.6,
                sleep: Some((210.0, 330.0)),
                ..Strain::default()
            },
            EpisodeKind::Stress => Strain {
                hrv: self.depth,
                heart: 1.0 + 2.0 * force,
                stress: 16.0 + 14.0 * force,
                mood: 0.8,
                rest: -40.0,
                load: 0.6,
                ..Strain::default()
            },
        }
    }
}

/// What decides which spells can befall a wearer.
#[derive(Debug, Clone, Copy)]
pub(super) struct Habits {
    /// Whether they train enough to overdo it.
    pub(super) trains: bool,
    /// Offset of home from UTC, in minutes.
    pub(super) home: i32,
}

/// The spells of a wearer that begin within `days`, in order and apart. More days never change the earlier ones.
pub(super) fn plan(seed: u64, wearer: u32, days: u32, habits: Habits) -> Box<[Spell]> {
    let mut draw = Draw::new(seed, wearer, PLAN);
    let mut spells = Vec::new();
    let mut from = UNDISTURBED_DAYS + draw.whole(0, 28);
    while from < days {
        let spell = befall(&mut draw, from, habits);
        from = spell.to + draw.whole(14, 45);
        spells.push(spell);
    }
    spells.into()
}

fn befall(draw: &mut Draw, from: u32, habits: Habits) -> Spell {
    let kind = match draw.whole(0, 99) {
        0..28 => EpisodeKind::Illness,
        28..50 => EpisodeKind::Travel,
        50..70 if habits.trains => EpisodeKind::Overtraining,
        50..85 => EpisodeKind::PoorSleep,
        _ => EpisodeKind::Stress,
    };
    let (least, most, shallow, deep) = match kind {
        EpisodeKind::Illness => (3, 6, 1.5, 3.0),
        EpisodeKind::Travel => (4, 9, 0.4, 0.9),
        EpisodeKind::Overtraining => (10, 14, 1.2, 2.2),
        EpisodeKind::PoorSleep => (3, 6, 0.3, 0.7),
        EpisodeKind::Stress => (4, 8, 0.5, 1.1),
    };
    let to = from + draw.whole(least, most) - 1;
    let depth = draw.between(shallow, deep);
    let force = draw.between(0.0, 1.0);
    let hours = draw.pick(&[-9, -8, -6, -5, -3, 3, 5, 6, 8, 9]);
    // Clocks are 12 hours behind UTC to 14 hours ahead of it; who would come out beyond goes the other way.
    let shift = match hours * 60 {
        _ if kind != EpisodeKind::Travel => 0,
        beyond if !(-720..=840).contains(&(habits.home + beyond)) => -beyond,
        within => within,
    };
    Spell { kind, from, to, depth, force, shift }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spells_come_late_apart_and_in_the_promised_number() {
        let mut spells = 0;
        for wearer in 0..1000 {
            let plan = plan(1, wearer, 60, Habits { trains: wearer % 2 == 0, home: 0 });
            assert!(plan.iter().all(|spell| spell.from >= UNDISTURBED_DAYS && spell.from < 60));
            assert!(plan.windows(2).all(|pair| pair[0].to + 14 <= pair[1].from));
            spells += plan.len();
        }
        assert!((1000..2000).contains(&spells), "{spells}");
        assert!(plan(1, 1, UNDISTURBED_DAYS, Habits { trains: true, home: 0 }).is_empty());
    }

    #[test]
    fn a_longer_life_begins_the_same() {
        let habits = Habits { trains: true, home: 60 };
        let starts = |days| plan(9, 4, days, habits).iter().map(|spell| (spell.from, spell.to)).collect::<Vec<_>>();
        let (short, long) = (starts(80), starts(400));
        assert_eq!(short, long[..short.len()]);
        assert!(long.len() > short.len());
    }

    #[test]
    fn an_illness_is_as_deep_on_average_as_planned() {
        for days in 3..=6 {
            let spell = Spell { kind: EpisodeKind::Illness, from: 30, to: 29 + days, depth: 2.0, force: 0.5, shift: 0 };
            let mean = (30..30 + days).map(|day| spell.strain(day).hrv).sum::<f64>() / f64::from(days);
            assert!((mean - 2.0).abs() < 1e-9);
        }
    }
}
