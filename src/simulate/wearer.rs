//! What a wearer is like: body, habits, home and devices, drawn once.

use auren_agents::UserId;

use super::draw::Draw;

/// The watches and rings that wearers have.
pub(super) const WATCHES: [&str; 5] = ["Apple Watch", "Fitbit Sense", "Garmin Venu", "Oura Ring", "Polar Vantage"];
/// What measures blood pressure.
pub(super) const CUFF: &str = "Omron Evolv";
/// What measures glucose.
pub(super) const METER: &str = "Contour Next";
/// What people say themselves.
pub(super) const PHONE: &str = "phone";

/// A person with a wearable.
#[derive(Debug, Clone)]
pub(super) struct Wearer {
    /// A random surrogate.
    pub(super) id: UserId,
    /// Index into [`WATCHES`].
    pub(super) watch: usize,
    /// Offset of home from UTC, in minutes. Clocks are not put forward in summer.
    pub(super) home: i32,
    /// Mean of ln rMSSD (rMSSD in ms) on undisturbed nights, and its SD from night to night.
    pub(super) hrv: f64,
    pub(super) hrv_sd: f64,
    /// ln sdnn over ln rmssd that is the wearer's own.
    pub(super) sdnn_gap: f64,
    /// Resting heart rate and its SD from day to day, in bpm.
    pub(super) heart: f64,
    pub(super) heart_sd: f64,
    /// Minutes asleep and their SD from night to night.
    pub(super) sleep: f64,
    pub(super) sleep_sd: f64,
    /// Sleep efficiency, in percent.
    pub(super) efficiency: f64,
    /// Breaths per minute.
    pub(super) breathing: f64,
    /// Skin temperature at night, in degrees Celsius.
    pub(super) skin: f64,
    /// Local minute of the day of waking on work days, and the delay on free days.
    pub(super) wakes: f64,
    pub(super) free_delay: f64,
    /// Mean of ln steps.
    pub(super) steps: f64,
    /// Workouts a week, and the load of a usual one, in arbitrary units.
    pub(super) workouts: f64,
    pub(super) load: f64,
    /// Usual stress score, 0 to 100.
    pub(super) stress: f64,
    /// Usual mood, 1 to 5, and the probability of stating it on a day.
    pub(super) mood: f64,
    pub(super) talkative: f64,
    /// Usual systolic and diastolic pressure in mmHg of those who measure it.
    pub(super) pressure: Option<(f64, f64)>,
    /// Usual fasting glucose in mg/dL of those who measure it.
    pub(super) glucose: Option<f64>,
    /// Length of the menstrual cycle and the day in it on day 0.
    pub(super) cycle: Option<(u32, u32)>,
    /// Probability of a night without the watch.
    pub(super) forgets: f64,
}

impl Wearer {
    /// A wearer as drawn.
    pub(super) fn new(draw: &mut Draw) -> Self {
        let id = surrogate(draw);
        let age = draw.near(42.0, 12.0, 19.0, 78.0);
        let fitness = draw.near(0.0, 1.0, -2.2, 2.2);
        // Variability falls with age and rises with fitness; most of what differs between people is neither.
        let hrv = (3.69 - 0.012 * (age - 42.0) + 0.19 * fitness + 0.26 * draw.normal()).clamp(2.7, 4.6);
        let typical = (hrv - 3.69) / 0.36;
        let heart = (66.5 - 3.8 * typical - 1.0 * fitness + 4.8 * draw.normal()).clamp(42.0, 92.0);
        let workouts = draw.near(2.6 + 1.3 * fitness, 1.0, 0.0, 6.0);
        let menstruates = age < 50.0 && draw.chance(0.4);
        let systolic = draw.near(106.0 + 0.45 * (age - 20.0) - 3.0 * fitness, 9.0, 92.0, 165.0);
        let diastolic = draw.near(0.48 * systolic + 20.0, 4.0, 55.0, 105.0);
        let diabetic = draw.chance(0.5);
        Self {
            id,
            watch: draw.pick(&[0, 1, 2, 3, 4]),
            home: draw.pick(&[-480, -420, -360, -300, -300, -180, 0, 0, 60, 60, 60, 120, 180, 330, 480, 540, 600]),
            hrv,
            hrv_sd: draw.near(0.225, 0.06, 0.12, 0.34),
            sdnn_gap: draw.near(0.18, 0.12, -0.1, 0.5),
            heart,
            heart_sd: draw.near(2.7, 0.5, 1.5, 3.9),
            sleep: draw.near(402.0, 32.0, 320.0, 490.0),
            sleep_sd: draw.near(52.0, 11.0, 28.0, 85.0),
            efficiency: draw.near(94.2, 1.6, 86.0, 98.0),
            breathing: draw.near(14.8, 2.1, 10.5, 20.5),
            skin: draw.near(33.6, 0.6, 31.8, 35.2),
            wakes: draw.near(420.0, 45.0, 320.0, 560.0),
            free_delay: draw.near(60.0, 30.0, 0.0, 150.0),
            steps: draw.near(8.87 + 0.10 * fitness, 0.3, 7.9, 9.7),
            workouts,
            load: draw.near(260.0 + 50.0 * fitness, 60.0, 90.0, 560.0),
            stress: draw.near(36.0, 8.0, 15.0, 60.0),
            mood: draw.near(3.6, 0.4, 2.4, 4.6),
            talkative: draw.between(0.2, 0.9),
            pressure: draw.chance(0.25).then_some((systolic, diastolic)),
            glucose: draw.chance(0.12).then_some(if diabetic { 138.0 } else { 94.0 } * draw.between(0.9, 1.1)),
            cycle: menstruates.then(|| (draw.whole(26, 32), draw.whole(0, 25))),
            forgets: draw.between(0.04, 0.11),
        }
    }

    /// Whether they train enough to overdo it.
    pub(super) fn trains(&self) -> bool {
        self.workouts >= 2.5
    }
}

/// A name that says nothing about anybody: `u-` and 128 random bits in hexadecimal.
fn surrogate(draw: &mut Draw) -> UserId {
    let bits = (u128::from(draw.bits()) << 64) | u128::from(draw.bits());
    UserId::new(format!("u-{bits:032x}")).unwrap_or_else(|_| UserId::derived(&["simulated"]))
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::{super::draw::TRAITS, *};

    #[test]
    fn wearers_differ_within_what_people_are() {
        let wearers: Vec<Wearer> = (0..2000).map(|number| Wearer::new(&mut Draw::new(11, number, TRAITS))).collect();
        assert_eq!(wearers.iter().map(|wearer| wearer.id.clone()).collect::<HashSet<_>>().len(), 2000);
        assert!(wearers.iter().all(|wearer| (2.7..=4.6).contains(&wearer.hrv)));
        let mean = |of: fn(&Wearer) -> f64| wearers.iter().map(of).sum::<f64>() / 2000.0;
        let (hrv, heart) = (mean(|wearer| wearer.hrv), mean(|wearer| wearer.heart));
        let (mut both, mut one, mut other) = (0.0, 0.0, 0.0);
        for wearer in &wearers {
            both += (wearer.hrv - hrv) * (wearer.heart - heart);
            one += (wearer.hrv - hrv).powi(2);
            other += (wearer.heart - heart).powi(2);
        }
        let correlation = both / (one * other).sqrt();
        assert!((-0.8..-0.4).contains(&correlation), "{correlation}");
    }

    #[test]
    fn an_id_is_a_surrogate() {
        let id = Wearer::new(&mut Draw::new(1, 0, TRAITS)).id;
        assert!(id.as_str().starts_with("u-") && id.as_str().len() == 34, "{id}");
    }
}
