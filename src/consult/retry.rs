//! When a question is asked again.

use std::time::Duration;

/// The pause before the attempt that follows this many: doubled each time, with a random half of it left out, so that
/// those who failed together do not come back together.
pub(super) fn pause(first: Duration, attempts: u32) -> Duration {
    let whole = first.saturating_mul(2_u32.saturating_pow(attempts.saturating_sub(1)));
    whole.mul_f64(rand::random_range(0.5..=1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_and_are_never_more_than_half_random() {
        let first = Duration::from_millis(100);
        for (attempts, whole) in [(1, 100), (2, 200), (3, 400), (4, 800)] {
            let whole = Duration::from_millis(whole);
            for _ in 0..100 {
                let pause = pause(first, attempts);
                assert!(pause >= whole / 2 && pause <= whole, "{attempts}: {pause:?}");
            }
        }
        let long = Duration::from_secs(3600);
        assert!(pause(long, u32::MAX) > long);
    }
}
