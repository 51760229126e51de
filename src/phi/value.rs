//! One measured value in the clear, for as short as possible.

use zeroize::Zeroize;

/// A measured value with its statistic and its unit. It cannot be printed or serialised, and is wiped when dropped.
///
/// ```
/// let measured = auren::phi::Measured { value: 41.5, measure: "rmssd".into(), unit: "ms".into() };
/// assert_eq!(measured.measure, "rmssd");
/// ```
///
/// None of these compiles:
///
/// ```compile_fail,E0277
/// # let measured = auren::phi::Measured { value: 41.5, measure: "rmssd".into(), unit: "ms".into() };
/// println!("{measured:?}");
/// ```
///
/// ```compile_fail,E0277
/// # let measured = auren::phi::Measured { value: 41.5, measure: "rmssd".into(), unit: "ms".into() };
/// println!("{measured}");
/// ```
///
/// ```compile_fail,E0277
/// # let measured = auren::phi::Measured { value: 41.5, measure: "rmssd".into(), unit: "ms".into() };
/// serde_json::to_string(&measured);
/// ```
#[derive(Clone)]
pub struct Measured {
    /// The value, in `unit`.
    pub value: f64,
    /// The statistic, such as `rmssd`; at most [`Measured::MEASURE_MAX`] bytes.
    pub measure: String,
    /// The unit, such as `ms`; at most [`Measured::UNIT_MAX`] bytes.
    pub unit: String,
}

/// Bytes of the sealed form: the value, then measure and unit, each in a field of fixed width behind its length.
pub(super) const WIDTH: usize = 8 + (1 + Measured::MEASURE_MAX) + (1 + Measured::UNIT_MAX);

impl Measured {
    /// The longest name of a statistic, in bytes.
    pub const MEASURE_MAX: usize = 32;
    /// The longest unit, in bytes.
    pub const UNIT_MAX: usize = 32;

    /// The fixed-width form: whatever was measured, its token is as long as every other.
    pub(super) fn to_bytes(&self) -> Option<[u8; WIDTH]> {
        let mut bytes = [0; WIDTH];
        bytes[..8].copy_from_slice(&self.value.to_be_bytes());
        put(&mut bytes[8..9 + Self::MEASURE_MAX], &self.measure)?;
        put(&mut bytes[9 + Self::MEASURE_MAX..], &self.unit)?;
        Some(bytes)
    }

    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; WIDTH] = bytes.try_into().ok()?;
        let (value, rest) = bytes.split_at(8);
        let (measure, unit) = rest.split_at(1 + Self::MEASURE_MAX);
        Some(Self { value: f64::from_be_bytes(value.try_into().ok()?), measure: get(measure)?, unit: get(unit)? })
    }
}

impl Drop for Measured {
    fn drop(&mut self) {
        self.value.zeroize();
    }
}

fn put(field: &mut [u8], text: &str) -> Option<()> {
    let (length, place) = field.split_first_mut()?;
    *length = u8::try_from(text.len()).ok()?;
    place.get_mut(..text.len())?.copy_from_slice(text.as_bytes());
    Some(())
}

fn get(field: &[u8]) -> Option<String> {
    let (length, place) = field.split_first()?;
    Some(std::str::from_utf8(place.get(..usize::from(*length))?).ok()?.to_owned())
}
