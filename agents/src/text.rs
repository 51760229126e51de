//! Bounded values: text with a longest length, and scores from 0 to 1.

use std::{borrow::Cow, fmt, ops::Deref};

use compact_str::CompactString;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize};

/// Why a value does not fit its field. It never repeats the value: what was sent may be private.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unfit {
    /// Nothing where something is needed.
    #[error("must not be empty")]
    Empty,
    /// More bytes than the field holds.
    #[error("is {len} bytes long, at most {max} are allowed")]
    TooLong {
        /// The bound in bytes.
        max: usize,
        /// The length that came.
        len: usize,
    },
    /// More items than the list holds.
    #[error("has {len} items, at most {max} are allowed")]
    TooMany {
        /// The bound in items.
        max: usize,
        /// The number that came.
        len: usize,
    },
    /// A control character in an id.
    #[error("must not contain control characters")]
    Control,
    /// A score outside its range, or not a number.
    #[error("must be a number from 0 to 1")]
    Score,
    /// A time that is not RFC 3339.
    #[error("must be an RFC 3339 time with an offset, such as 2024-01-01T10:00:00Z")]
    Time,
}

/// Text of at most `MAX` bytes. Short text, up to 24 bytes, lies in the value itself.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(try_from = "CompactString")]
pub struct Text<const MAX: usize>(CompactString);

impl<const MAX: usize> Text<MAX> {
    /// Takes text that fits.
    ///
    /// # Errors
    /// [`Unfit::TooLong`] past `MAX` bytes.
    pub fn new<'a>(text: impl Into<Cow<'a, str>>) -> Result<Self, Unfit> {
        Self::try_from(CompactString::from(text.into()))
    }

    /// Takes as much of the text as fits, cut at a character, and marked with an ellipsis where it was cut.
    #[must_use]
    pub fn cut<'a>(text: impl Into<Cow<'a, str>>) -> Self {
        let mut text = CompactString::from(text.into());
        if text.len() > MAX {
            let mut end = MAX.saturating_sub('…'.len_utf8());
            while !text.is_char_boundary(end) {
                end -= 1;
            }
            text.truncate(end);
            if MAX >= '…'.len_utf8() {
                text.push('…');
            }
        }
        Self(text)
    }

    /// The text itself.
    #[must_use]
    pub fn into_string(self) -> String {
        self.0.into_string()
    }
}

impl<const MAX: usize> Deref for Text<MAX> {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl<const MAX: usize> TryFrom<CompactString> for Text<MAX> {
    type Error = Unfit;

    fn try_from(text: CompactString) -> Result<Self, Unfit> {
        if text.len() > MAX { Err(Unfit::TooLong { max: MAX, len: text.len() }) } else { Ok(Self(text)) }
    }
}

impl<const MAX: usize> fmt::Display for Text<MAX> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "maxLength": MAX })
    }
}

/// Reads as much of a text as fits.
pub(crate) fn cut<'de, D: Deserializer<'de>, const MAX: usize>(input: D) -> Result<Text<MAX>, D::Error> {
    Cow::<str>::deserialize(input).map(Text::cut)
}

/// A number from 0 to 1.
#[derive(Debug, Clone, Copy, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(try_from = "f64")]
pub struct Score(f64);

impl Score {
    /// The least and the most a score can be.
    pub const ZERO: Score = Score(0.0);
    /// The most a score can be.
    pub const ONE: Score = Score(1.0);

    /// Takes a number from 0 to 1.
    ///
    /// # Errors
    /// [`Unfit::Score`] for anything else, NaN included.
    pub fn new(score: f64) -> Result<Self, Unfit> {
        if (0.0..=1.0).contains(&score) { Ok(Self(score)) } else { Err(Unfit::Score) }
    }

    /// The nearest score: what lies outside is moved to the edge, and NaN is 0.
    #[must_use]
    pub fn clamped(score: f64) -> Self {
        Self(if score.is_nan() { 0.0 } else { score.clamp(0.0, 1.0) })
    }

    /// The score as a number.
    #[must_use]
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Score {
    type Error = Unfit;

    fn try_from(score: f64) -> Result<Self, Unfit> {
        Self::new(score)
    }
}

impl JsonSchema for Score {
    fn schema_name() -> Cow<'static, str> {
        "Score".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "number", "minimum": 0, "maximum": 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cut_text_fits_and_stays_text() {
        assert_eq!(&*Text::<8>::cut("ääääää"), "ää…");
        assert_eq!(&*Text::<8>::cut("short"), "short");
        assert!(Text::<3>::new("four").is_err());
    }

    #[test]
    fn a_score_is_a_number_from_zero_to_one() {
        assert_eq!(Score::new(1.0), Ok(Score::ONE));
        assert_eq!(Score::new(1.0001), Err(Unfit::Score));
        assert_eq!(Score::new(f64::NAN), Err(Unfit::Score));
        assert_eq!(Score::clamped(f64::NAN), Score::ZERO);
    }
}
