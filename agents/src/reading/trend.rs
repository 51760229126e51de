//! Trend words, such as `declining_3_days`, and what they say.

use super::{Direction, Sign};

/// Where a sign is going.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trend {
    /// Down, for this many days where it was said.
    Falling(Option<u32>),
    /// Up, for this many days where it was said.
    Rising(Option<u32>),
    /// Neither.
    Steady,
    /// No trend, or a word that is new here.
    Unknown,
}

impl Trend {
    pub(crate) fn parse(word: &str) -> Self {
        let word = word.to_lowercase();
        let mut parts = word.split(|c: char| !c.is_ascii_alphanumeric()).filter(|part| !part.is_empty());
        let first = parts.next().unwrap_or_default();
        let days = parts.find_map(|part| part.parse().ok()).filter(|days| (2..=30).contains(days));
        match first {
            "declining" | "falling" | "decreasing" | "dropping" => Self::Falling(days),
            "rising" | "increasing" | "climbing" | "elevated" => Self::Rising(days),
            "stable" | "steady" | "flat" => Self::Steady,
            _ => Self::Unknown,
        }
    }

    /// For how many days it has moved the unwelcome way; `None` where it has not, `Some(None)` where no days were
    /// said.
    pub(crate) fn worsening(self, sign: Sign) -> Option<Option<u32>> {
        match (self, sign.unwelcome()) {
            (Self::Falling(days), Direction::Low) | (Self::Rising(days), Direction::High) => Some(days),
            _ => None,
        }
    }

    /// Whether it moves the welcome way.
    pub(crate) fn recovering(self, sign: Sign) -> bool {
        matches!((self, sign.unwelcome()), (Self::Falling(_), Direction::High) | (Self::Rising(_), Direction::Low))
    }
}

/// "three days"; "several days" past ten.
pub(crate) fn days_in_words(days: u32) -> String {
    format!("{} days", number(days))
}

/// A small number as a word.
pub(super) fn number(count: u32) -> &'static str {
    const WORDS: [&str; 11] = ["no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    usize::try_from(count).ok().and_then(|count| WORDS.get(count)).copied().unwrap_or("several")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trend_words_are_read_and_new_ones_are_let_be() {
        assert_eq!(Trend::parse("declining_3_days"), Trend::Falling(Some(3)));
        assert_eq!(Trend::parse("Rising-2-days"), Trend::Rising(Some(2)));
        assert_eq!(Trend::parse("rising"), Trend::Rising(None));
        assert_eq!(Trend::parse("stable"), Trend::Steady);
        assert_eq!(Trend::parse("wobbling_9999999999_days"), Trend::Unknown);
        assert_eq!(Trend::parse(""), Trend::Unknown);
    }

    #[test]
    fn whether_a_trend_is_welcome_depends_on_the_sign() {
        assert_eq!(Trend::Rising(Some(3)).worsening(Sign::RestingHeart), Some(Some(3)));
        assert_eq!(Trend::Rising(Some(3)).worsening(Sign::Variability), None);
        assert!(Trend::Rising(None).recovering(Sign::Variability));
    }
}
