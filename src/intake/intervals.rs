//! From the intervals between normal heart beats (NN) to the statistics that are kept of them, as the Task Force of the
//! European Society of Cardiology defines them (1996). The intervals themselves are kept nowhere.

use auren_agents::{Rejected, events::Rejection};

use crate::wearable::Measure;

/// Most intervals of one reading: a night of ten hours at 80 beats a minute.
const INTERVALS_MAX: usize = 50_000;
/// What an interval between two beats can be, in milliseconds.
const POSSIBLE: std::ops::RangeInclusive<f64> = 200.0..=3000.0;

/// The statistic of some intervals, in milliseconds.
///
/// # Errors
/// [`Rejected`] where the statistic is not made of intervals, or these cannot be some.
pub(super) fn statistic(measure: &str, nn_ms: &[f64]) -> Result<f64, Rejected> {
    let unfit = |why: &str| Rejected { class: Rejection::OutOfBounds, field: "nn_ms".to_owned(), why: why.to_owned() };
    let of = match Measure::named(measure) {
        Some(Measure::Rmssd) => rmssd,
        Some(Measure::Sdnn) => sdnn,
        _ => return Err(unfit("goes with the measures rmssd and sdnn only")),
    };
    if !(3..=INTERVALS_MAX).contains(&nn_ms.len()) {
        return Err(unfit("must be 3 to 50000 intervals"));
    }
    if !nn_ms.iter().all(|interval| POSSIBLE.contains(interval)) {
        return Err(unfit("holds an interval outside 200 to 3000 ms: leave out what is no normal beat"));
    }
    Ok(of(nn_ms))
}

/// The square root of the mean square of successive differences.
fn rmssd(nn_ms: &[f64]) -> f64 {
    let squares = nn_ms.windows(2).map(|pair| (pair[1] - pair[0]).powi(2));
    (squares.sum::<f64>() / count(nn_ms.len() - 1)).sqrt()
}

/// The standard deviation, of a sample.
fn sdnn(nn_ms: &[f64]) -> f64 {
    let mean = nn_ms.iter().sum::<f64>() / count(nn_ms.len());
    (nn_ms.iter().map(|interval| (interval - mean).powi(2)).sum::<f64>() / count(nn_ms.len() - 1)).sqrt()
}

fn count(number: usize) -> f64 {
    f64::from(u32::try_from(number).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_series_worked_by_hand() {
        let nn = [800.0, 810.0, 790.0, 820.0];
        // Differences 10, -20, 30; deviations from 805: -5, 5, -15, 15.
        assert!((statistic("rmssd", &nn).unwrap() - (1400.0_f64 / 3.0).sqrt()).abs() < 1e-12);
        assert!((statistic("sdnn", &nn).unwrap() - (500.0_f64 / 3.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn what_cannot_be_intervals_is_refused_and_not_repeated() {
        for (measure, nn, why) in [
            ("asleep", vec![800.0; 9], "rmssd and sdnn"),
            ("rmssd", vec![800.0; 2], "3 to 50000"),
            ("rmssd", vec![800.0, 0.0, 812.5], "outside 200 to 3000"),
            ("sdnn", vec![800.0, f64::NAN, 812.5], "outside 200 to 3000"),
        ] {
            let error = statistic(measure, &nn).unwrap_err().to_string();
            assert!(error.starts_with("nn_ms: ") && error.contains(why) && !error.contains("812"), "{error}");
        }
    }
}
