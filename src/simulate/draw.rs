//! Random numbers that belong to one wearer and one page of their life.
//!
//! ChaCha8 can be set to any position, so each wearer has a stream and each day a page in it: what one day or one wearer
//! draws never moves what another gets, and no generator is kept between days.

use std::f64::consts::TAU;

use rand::{Rng as _, RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha8Rng;

/// 32-bit words of a page. A day draws about a hundred.
const PAGE: u128 = 4096;
/// What a wearer is like.
pub(super) const TRAITS: u32 = 0;
/// What befalls a wearer.
pub(super) const PLAN: u32 = 1;
/// The page of day 0.
pub(super) const FIRST_DAY: u32 = 2;

/// A source of draws.
pub(super) struct Draw {
    rng: ChaCha8Rng,
    spare: Option<f64>,
}

impl Draw {
    /// The draws of `wearer` on `page`.
    pub(super) fn new(seed: u64, wearer: u32, page: u32) -> Self {
        let mut key = *b"\0\0\0\0\0\0\0\0auren simulated wearers.";
        key[..8].copy_from_slice(&seed.to_le_bytes());
        let mut rng = ChaCha8Rng::from_seed(key);
        rng.set_stream(u64::from(wearer));
        rng.set_word_pos(u128::from(page) * PAGE);
        Self { rng, spare: None }
    }

    /// 64 random bits.
    pub(super) fn bits(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// Evenly from `low` up to, but without, `high`.
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.rng.random::<f64>()
    }

    /// Evenly from the whole numbers `low` to `high`, both included.
    pub(super) fn whole(&mut self, low: u32, high: u32) -> u32 {
        self.rng.random_range(low..=high)
    }

    /// True with this probability.
    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random::<f64>() < probability
    }

    /// One of them, evenly.
    pub(super) fn pick<T: Copy, const N: usize>(&mut self, of: &[T; N]) -> T {
        of[self.rng.random_range(0..N)]
    }

    /// From the standard normal distribution (Box and Muller).
    pub(super) fn normal(&mut self) -> f64 {
        if let Some(spare) = self.spare.take() {
            return spare;
        }
        let radius = (-2.0 * (1.0 - self.rng.random::<f64>()).ln()).sqrt();
        let (sin, cos) = (TAU * self.rng.random::<f64>()).sin_cos();
        self.spare = Some(radius * sin);
        radius * cos
    }

    /// From a normal distribution, moved to the edge where it lies outside `low..=high`.
    pub(super) fn near(&mut self, mean: f64, sd: f64, low: f64, high: f64) -> f64 {
        (mean + sd * self.normal()).clamp(low, high)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_is_the_same_however_one_gets_there() {
        let mut one = Draw::new(7, 3, 5);
        let mut other = Draw::new(7, 3, 5);
        let first: Vec<u64> = (0..8).map(|_| one.bits()).collect();
        assert_eq!(first, (0..8).map(|_| other.bits()).collect::<Vec<_>>());
        assert_ne!(first[0], Draw::new(7, 4, 5).bits());
        assert_ne!(first[0], Draw::new(7, 3, 6).bits());
        assert_ne!(first[0], Draw::new(8, 3, 5).bits());
    }

    #[test]
    fn normal_draws_are_normal() {
        let mut draw = Draw::new(1, 1, 1);
        let values: Vec<f64> = (0..20_000).map(|_| draw.normal()).collect();
        let mean = values.iter().sum::<f64>() / 20_000.0;
        let variance = values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / 20_000.0;
        let beyond = values.iter().filter(|value| value.abs() > 1.96).count();
        assert!(mean.abs() < 0.03 && (variance - 1.0).abs() < 0.05, "{mean} {variance}");
        assert!((800..1200).contains(&beyond), "{beyond}");
    }
}
