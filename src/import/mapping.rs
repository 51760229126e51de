//! Which column is whose, when and what: plain data, as a person writes it in TOML.

use auren_agents::BiometricType;
use serde::{Deserialize, Serialize};

use super::{error::MappingError, plan::Plan};
use crate::wearable::Measure;

/// How to read a CSV file.
///
/// ```toml
/// delimiter = ","
/// user = { column = "person" }
/// time = { column = "date", at = "08:00", offset = "+01:00" }
/// device = { value = "Fitbit Sense" }
///
/// [[columns]]
/// column = "rmssd_ms"
/// measure = "rmssd"
///
/// [[columns]]
/// column = "glucose (mmol/L)"
/// measure = "glucose"
/// factor = 18.016
/// ```
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What stands between cells: one ASCII character. A comma if not said.
    #[serde(default = "comma")]
    pub delimiter: char,
    /// Whether 1,5 means one and a half. Dots between groups of three digits are then allowed.
    #[serde(default)]
    pub decimal_comma: bool,
    /// Whose values they are.
    pub user: Source,
    /// When they were measured.
    pub time: Time,
    /// What measured them, at most 128 bytes. `csv import` if not said.
    #[serde(default = "device")]
    pub device: Source,
    /// The circumstances, at most 128 bytes. If not said, the column's own, or what is usual for its measure.
    #[serde(default, skip_serializing_if = "Source::is_empty")]
    pub context: Source,
    /// What is measured in which column.
    pub columns: Vec<Column>,
}

/// Text that is in a column, or the same for the whole file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Source {
    /// The header of the column.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub column: Option<String>,
    /// The text for every line; where there is a column as well, for lines where it is blank (not for `user`: a blank
    /// cell there is an error).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub value: Option<String>,
}

impl Source {
    /// From a column.
    pub fn column(header: impl Into<String>) -> Self {
        Self { column: Some(header.into()), value: None }
    }

    /// The same for the whole file.
    pub fn value(text: impl Into<String>) -> Self {
        Self { column: None, value: Some(text.into()) }
    }

    /// Whether it says nothing.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.column.is_none() && self.value.is_none()
    }
}

/// When values were measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Time {
    /// The header of the column with the date or the time.
    pub column: String,
    /// The header of a second column with the time of day, where the two are apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock: Option<String>,
    /// `auto`, `epoch_seconds`, `epoch_millis`, or a pattern such as `%d/%m/%Y %H:%M`. `auto` takes RFC 3339 and its
    /// usual variants, dates such as 2023-01-31, and seconds or milliseconds since 1970.
    #[serde(default = "auto")]
    pub format: String,
    /// Offset from UTC of times that have none, such as `+01:00`. `+00:00` if not said.
    #[serde(default = "utc")]
    pub offset: String,
    /// Time of day of dates without one, such as `08:00`, for columns without an `at` of their own. `08:00` if not said.
    #[serde(default = "morning")]
    pub at: String,
}

/// What is measured in a column.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Column {
    /// The header.
    pub column: String,
    /// The statistic: a known one such as `rmssd`, or one's own of at most 32 bytes.
    pub measure: String,
    /// The unit after `factor` and `shift`. Known for a known measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The kind of event. Known for a known measure.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_type: Option<BiometricType>,
    /// The cell is multiplied by this. 1 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<f64>,
    /// This is then added. 0 if not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shift: Option<f64>,
    /// The least possible value, in `unit`. Known for a known measure; otherwise there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub least: Option<f64>,
    /// The greatest possible value, in `unit`. Known for a known measure; otherwise there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most: Option<f64>,
    /// Time of day of dates without one, such as `22:00`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The circumstances.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub context: Option<String>,
}

impl Column {
    /// A column of a known measure, in the measure's own unit.
    pub fn of(header: impl Into<String>, measure: Measure) -> Self {
        Self {
            column: header.into(),
            measure: measure.name().to_owned(),
            unit: None,
            event_type: None,
            factor: None,
            shift: None,
            least: None,
            most: None,
            at: None,
            context: None,
        }
    }
}

impl Mapping {
    /// Reads the TOML form and checks it.
    ///
    /// # Errors
    /// [`MappingError`] names the field, or the place in the text.
    pub fn from_toml(text: &str) -> Result<Self, MappingError> {
        let mapping: Self = toml::from_str(text).map_err(|error| MappingError::Toml(error.to_string()))?;
        mapping.check()?;
        Ok(mapping)
    }

    /// The TOML form, to be edited and read again.
    ///
    /// # Errors
    /// [`MappingError::Toml`] where it cannot be written.
    pub fn to_toml(&self) -> Result<String, MappingError> {
        toml::to_string_pretty(self).map_err(|error| MappingError::Toml(error.to_string()))
    }

    /// Checks everything that can be checked without a file.
    ///
    /// # Errors
    /// [`MappingError`] names the first field that cannot be used.
    pub fn check(&self) -> Result<(), MappingError> {
        Plan::new(self).map(|_| ())
    }
}

fn comma() -> char {
    ','
}

fn device() -> Source {
    Source::value("csv import")
}

fn auto() -> String {
    "auto".to_owned()
}

fn utc() -> String {
    "+00:00".to_owned()
}

fn morning() -> String {
    "08:00".to_owned()
}
