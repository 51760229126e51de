//! What a wearer's body carries from one day to the next, and what it makes of a night.

use super::{day::FIRST_MINUTE, day::Today, draw::Draw, wearer::Wearer};

/// How much of the slow part of variability is left after a day.
const SLOW: f64 = 0.93;
/// The same for the heart's own drift.
const DRIFT: f64 = 0.95;

/// The state of a body between days.
#[derive(Debug, Clone)]
pub(super) struct Body {
    /// Slow part of the deviation of ln rMSSD, in SD.
    slow: f64,
    /// Part of the heart rate's deviation that is not in the variability, in SD.
    drift: f64,
    /// Training load of a day: mean of about a week, mean of about a month, and yesterday's.
    acute: f64,
    chronic: f64,
    yesterday: f64,
    /// Minutes of sleep missed lately.
    debt: f64,
    /// Whether the watch was worn last night.
    worn: bool,
    /// Offset that the wearer is at, relative to home, and how far the inner clock still is from it, in minutes.
    shift: i32,
    lag: f64,
    /// Week in the four-week training cycle at the start.
    phase: u32,
}

/// A night as the body had it.
pub(super) struct Night {
    /// ln rMSSD (rMSSD in ms).
    pub(super) hrv: f64,
    /// Resting heart rate, in bpm.
    pub(super) heart: f64,
    /// Minutes asleep.
    pub(super) asleep: f64,
    /// Percent.
    pub(super) efficiency: f64,
    /// Breaths per minute.
    pub(super) breathing: f64,
    /// Degrees Celsius.
    pub(super) skin: f64,
    /// Local minute of the day of waking.
    pub(super) wakes: f64,
    /// Deviation of ln rMSSD in the wearer's SD, bounded: what the day feels of it.
    pub(super) ease: f64,
    /// Hours of sleep missed (negative: slept in).
    pub(super) short: f64,
}

impl Body {
    /// A body as it comes into the simulation.
    pub(super) fn new(wearer: &Wearer, draw: &mut Draw) -> Self {
        let usual = wearer.load * wearer.workouts / 7.0;
        Self {
            slow: draw.normal(),
            drift: draw.normal(),
            acute: usual,
            chronic: usual,
            yesterday: usual,
            debt: 0.0,
            worn: true,
            shift: 0,
            lag: 0.0,
            phase: draw.whole(0, 3),
        }
    }

    /// Sleeps through the night that ends today.
    pub(super) fn sleep(&mut self, wearer: &Wearer, today: &Today, draw: &mut Draw) -> Night {
        let strain = today.strain;
        let free = today.weekday >= 5;
        // Drinking goes with free days; so does sleeping in.
        let often = if free { 0.33 } else { 0.05 };
        let drank = if draw.chance(often) { 1.0 } else { 0.0 };
        let broken = if draw.chance(0.04) { draw.between(70.0, 190.0) } else { 0.0 };
        let scatter = wearer.sleep_sd * draw.normal();
        let asleep = match strain.sleep {
            Some((least, most)) => draw.between(least, most),
            None => {
                let slept_in = if free { 14.0 } else { -5.0 };
                (wearer.sleep + scatter + slept_in + 0.2 * self.debt + strain.rest - broken).clamp(90.0, 760.0)
            }
        };
        let short = (wearer.sleep - asleep) / 60.0;
        self.debt = 0.5 * self.debt + 30.0 * short;

        let fast = draw.normal();
        self.slow = SLOW * self.slow + (1.0 - SLOW * SLOW).sqrt() * draw.normal();
        self.drift = DRIFT * self.drift + (1.0 - DRIFT * DRIFT).sqrt() * draw.normal();
        let tired = self.fatigue(wearer);
        let late = luteal(wearer, today.day);
        let deviation = (0.52 * self.slow + 0.82 * fast) * strain.scatter
            - tired
            - 0.75 * (drank - 0.13)
            - 0.1 * short.clamp(-2.0, 3.0)
            - 0.25 * late
            - strain.hrv;
        let heart = wearer.heart
            + wearer.heart_sd * (-0.75 * self.slow + 0.55 * self.drift - 0.1 * fast)
            + 1.5 * drank
            + tired
            + 1.5 * late
            + strain.heart;
        let restless = 5.0 * broken / 190.0 + 1.2 * drank + if strain.sleep.is_some() { 2.5 } else { 0.0 };
        Night {
            hrv: wearer.hrv + wearer.hrv_sd * deviation,
            heart: heart.max(35.0),
            asleep,
            efficiency: (wearer.efficiency + 2.6 * draw.normal() - restless).clamp(60.0, 99.0),
            breathing: wearer.breathing + 0.7 * draw.normal() + strain.breathing,
            skin: wearer.skin + 0.40 * draw.normal() - 0.16 * self.slow + 0.35 * late + strain.skin,
            wakes: self.wakes(wearer, today, draw),
            ease: deviation.clamp(-3.0, 2.0),
            short: short.clamp(-2.0, 4.0),
        }
    }

    /// Local minute of waking. After a change of zone the inner clock follows over some days.
    fn wakes(&mut self, wearer: &Wearer, today: &Today, draw: &mut Draw) -> f64 {
        self.lag += f64::from(today.strain.shift - self.shift);
        self.shift = today.strain.shift;
        let free = if today.weekday >= 5 { wearer.free_delay } else { 0.0 };
        let wakes = wearer.wakes + free + 22.0 * draw.normal() + self.lag;
        self.lag *= 0.6;
        wakes.clamp(FIRST_MINUTE, 780.0)
    }

    /// What training takes from tonight's variability, in SD: yesterday's workout, and a week above the month.
    fn fatigue(&self, wearer: &Wearer) -> f64 {
        let usual = wearer.load * wearer.workouts / 7.0;
        let yesterday = (self.yesterday - usual) / wearer.load;
        let week = (self.acute - self.chronic) / (usual + 40.0);
        (0.3 * yesterday + 0.4 * week).clamp(-0.6, 0.9)
    }

    /// The load of today's workout, if there is one. Every fourth week is an easy one.
    pub(super) fn train(&mut self, wearer: &Wearer, today: &Today, draw: &mut Draw) -> Option<f64> {
        let easy = (today.day / 7 + self.phase) % 4 == 3;
        let factor = today.strain.load * if easy { 0.7 } else { 1.05 };
        let often = if today.strain.load > 1.0 { 0.9 } else { wearer.workouts / 7.0 * today.strain.load.min(1.0) };
        let load = (wearer.load * factor * (0.35 * draw.normal()).exp()).clamp(20.0, 1500.0);
        let trained = draw.chance(often).then_some(load);
        self.yesterday = trained.unwrap_or(0.0);
        self.acute += (self.yesterday - self.acute) / 7.0;
        self.chronic += (self.yesterday - self.chronic) / 28.0;
        trained
    }

    /// Whether the watch was worn tonight. Nights without it come in runs.
    pub(super) fn worn(&mut self, wearer: &Wearer, draw: &mut Draw) -> bool {
        let forgets = if self.worn { 0.65 * wearer.forgets / (1.0 - wearer.forgets) } else { 0.35 };
        self.worn = !draw.chance(forgets);
        self.worn
    }
}

/// Half up in the second half of the menstrual cycle, half down in the first; 0 without one.
fn luteal(wearer: &Wearer, day: u32) -> f64 {
    match wearer.cycle {
        Some((length, start)) if (day + start) % length >= length / 2 => 0.5,
        Some(_) => -0.5,
        None => 0.0,
    }
}
