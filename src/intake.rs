//! Where readings come in: a measured value in the clear is sealed at once, and only the sealed reading goes on.

use auren_agents::{BiometricType, EventId, Rejected, Text, Timestamp, UserId};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

mod door;
mod intervals;

pub use door::{Intake, Taken, Untaken};

use crate::{
    phi::{Binding, Measured, PhiError, UserKey},
    wearable::{Measure, Row},
};

/// One record of `health.readings`: a measured value as a token, and nothing about the value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SealedReading {
    /// The reading's own id; the biometric event that enrich makes of it keeps it, and with it the token stays good.
    pub event_id: EventId,
    /// Whose reading it is; also the record's key.
    pub user_id: UserId,
    /// What was measured.
    pub event_type: BiometricType,
    /// The sealed value. Only the sealed boundary can open it.
    pub token: Text<1024>,
    /// The device.
    pub source_device: Text<128>,
    /// The circumstances, such as `sleep`.
    pub measurement_context: Text<128>,
    /// When it was measured, with the person's own offset from UTC.
    pub timestamp: Timestamp,
    /// Fields this version does not know.
    #[serde(flatten)]
    pub extra: serde_json::Map<String, serde_json::Value>,
}

/// Why a reading was refused. It never repeats the value.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Refused {
    /// A value that no living person has, or in another unit.
    #[error("value: is outside {least} to {most} {unit} for {measure}: a device fault, or another unit")]
    Impossible {
        /// The statistic.
        measure: &'static str,
        /// The least that is possible.
        least: f64,
        /// The most that is possible.
        most: f64,
        /// The unit of both.
        unit: &'static str,
    },
    /// A value in a unit that the statistic is not kept in.
    #[error("unit: must be {unit} for {measure}")]
    Unit {
        /// The statistic.
        measure: &'static str,
        /// The unit it is kept in.
        unit: &'static str,
    },
    /// A value that is not a number.
    #[error("value: must be a finite number")]
    NotANumber,
    /// A name that does not fit the token.
    #[error("measure: {0}")]
    Sealing(#[from] PhiError),
}

impl SealedReading {
    /// Checks a measured value and seals it under its person's key.
    ///
    /// The id follows from who, what, with what and when, not from the value: the same reading sent twice is one event,
    /// and the id tells nothing.
    ///
    /// # Errors
    /// [`Refused`] where unit or value cannot be.
    pub fn seal(row: &Row, key: &UserKey) -> Result<Self, Refused> {
        check(row)?;
        let event_id =
            EventId::derived(&["reading", row.user.as_str(), &row.device, &row.measure, &row.at.millis().to_string()]);
        let measured = Measured { value: row.value, measure: row.measure.to_string(), unit: row.unit.to_string() };
        let token = Text::cut(key.seal(&Binding::value(&event_id, &row.event_type), &measured)?);
        Ok(Self {
            user_id: row.user.clone(),
            event_type: row.event_type.clone(),
            token,
            source_device: row.device.clone(),
            measurement_context: row.context.clone(),
            timestamp: row.at.clone(),
            extra: serde_json::Map::new(),
            event_id,
        })
    }

    /// Opens the value under its person's key. Only enrich does.
    ///
    /// # Errors
    /// [`PhiError`], without a word about what the token holds.
    pub fn open(&self, key: &UserKey) -> Result<Measured, PhiError> {
        key.open(&Binding::value(&self.event_id, &self.event_type), &self.token)
    }
}

/// Looks whether a measured value can be one.
///
/// # Errors
/// [`Refused`] where unit or value cannot be.
pub fn check(row: &Row) -> Result<(), Refused> {
    if !row.value.is_finite() {
        return Err(Refused::NotANumber);
    }
    let Some(known) = Measure::named(&row.measure) else { return Ok(()) };
    if row.unit != known.unit() {
        return Err(Refused::Unit { measure: known.name(), unit: known.unit() });
    }
    let possible = known.possible();
    if !possible.contains(&row.value) {
        let (least, most) = (*possible.start(), *possible.end());
        return Err(Refused::Impossible { measure: known.name(), least, most, unit: known.unit() });
    }
    Ok(())
}

/// A reading in the clear, as a person gives it to `auren send reading`: one JSON object.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PlainReading {
    /// Whose reading it is: a random surrogate, never an e-mail address.
    pub user_id: UserId,
    /// The statistic, such as `rmssd`.
    pub measure: Text<32>,
    /// The value, in `unit`.
    #[serde(default)]
    pub value: Option<f64>,
    /// In its place, for `rmssd` and `sdnn`: the intervals between normal heart beats, in milliseconds. They are kept nowhere.
    #[serde(default)]
    pub nn_ms: Option<Vec<f64>>,
    /// The unit; the statistic's own where it is left out.
    #[serde(default)]
    pub unit: Option<Text<32>>,
    /// The kind of event; the statistic's own where it is left out.
    #[serde(default)]
    pub event_type: Option<BiometricType>,
    /// The device.
    pub source_device: Text<128>,
    /// The circumstances; the statistic's usual ones where it is left out.
    #[serde(default)]
    pub measurement_context: Option<Text<128>>,
    /// When it was measured, with the person's own offset from UTC.
    pub timestamp: Timestamp,
}

impl PlainReading {
    /// The reading as a row, ready to be sealed.
    ///
    /// # Errors
    /// [`Rejected`] where a statistic that AUREN does not know comes without its unit or its kind of event, and where neither
    /// a value nor intervals to make it of are there, or both.
    pub fn into_row(self) -> Result<Row, Rejected> {
        let known = Measure::named(&self.measure);
        let missing = |field: &str| Rejected {
            class: auren_agents::events::Rejection::WrongShape,
            field: field.to_owned(),
            why: "must be given for a measure that AUREN does not know".to_owned(),
        };
        let value = match (self.value, &self.nn_ms) {
            (Some(value), None) => value,
            (None, Some(nn_ms)) => intervals::statistic(&self.measure, nn_ms)?,
            _ => {
                let why = "must be given, or nn_ms in its place".to_owned();
                return Err(Rejected {
                    class: auren_agents::events::Rejection::WrongShape,
                    field: "value".to_owned(),
                    why,
                });
            }
        };
        let unit = match (self.unit, known) {
            (Some(unit), _) => unit.into_string().into(),
            (None, Some(known)) => known.unit().into(),
            (None, None) => return Err(missing("unit")),
        };
        let event_type = self.event_type.or_else(|| known.map(Measure::event_type));
        let context = known.map_or("", Measure::context);
        Ok(Row {
            user: self.user_id,
            event_type: event_type.ok_or_else(|| missing("event_type"))?,
            measure: self.measure.into_string().into(),
            value,
            unit,
            at: self.timestamp,
            device: self.source_device,
            context: self.measurement_context.unwrap_or_else(|| Text::cut(context)),
        })
    }
}

#[cfg(test)]
mod tests {
    use auren_agents::events;

    use super::*;
    use crate::phi::Keys;

    fn row(value: f64, unit: &'static str) -> Row {
        Row {
            user: UserId::new("u-1").unwrap(),
            event_type: BiometricType::HrvMeasurement,
            measure: "rmssd".into(),
            value,
            unit: unit.into(),
            at: Timestamp::parse("2024-01-01T07:00:00+01:00").unwrap(),
            device: Text::cut("watch"),
            context: Text::cut("sleep"),
        }
    }

    async fn key() -> UserKey {
        Keys::ephemeral("t").make(&UserId::new("u-1").unwrap(), 1).await.unwrap()
    }

    #[tokio::test]
    async fn a_reading_is_sealed_under_an_id_that_does_not_depend_on_its_value() {
        let keys = key().await;
        let first = SealedReading::seal(&row(41.5, "ms"), &keys).unwrap();
        assert_eq!(first.event_id, SealedReading::seal(&row(52.0, "ms"), &keys).unwrap().event_id);
        assert!((first.open(&keys).unwrap().value - 41.5).abs() < f64::EPSILON);
        let json = serde_json::to_vec(&first).unwrap();
        let read: SealedReading = events::parse(&json).unwrap();
        assert_eq!(read, first);
        assert!(!String::from_utf8(json).unwrap().contains("41.5"));
    }

    #[tokio::test]
    async fn what_cannot_be_is_refused_and_the_value_is_not_repeated() {
        let keys = key().await;
        let refused = |row: &Row| SealedReading::seal(row, &keys).unwrap_err().to_string();
        let error = refused(&row(4150.25, "ms"));
        assert!(error.starts_with("value: is outside 2 to 400 ms") && !error.contains("4150"), "{error}");
        assert_eq!(refused(&row(41.5, "s")), "unit: must be ms for rmssd");
        assert_eq!(refused(&row(f64::NAN, "ms")), "value: must be a finite number");
    }

    #[test]
    fn a_plain_reading_takes_what_its_measure_says() {
        let json = br#"{"user_id":"u-1","measure":"rmssd","value":41.5,"source_device":"watch","timestamp":"2024-01-01T07:00:00+01:00"}"#;
        let plain: PlainReading = events::parse(json).unwrap();
        assert_eq!(plain.into_row().unwrap(), row(41.5, "ms"));
    }

    #[test]
    fn a_plain_reading_brings_a_value_or_the_intervals_to_make_it_of() {
        let row = |of: &str| {
            let json = format!(
                r#"{{"user_id":"u-1","measure":"rmssd",{of}"source_device":"watch","timestamp":"2024-01-01T07:00:00+01:00"}}"#
            );
            events::parse::<PlainReading>(json.as_bytes()).unwrap().into_row()
        };
        let made = row(r#""nn_ms":[800,810,790,820],"#).unwrap();
        assert!((made.value - 21.602).abs() < 0.001 && made.unit == "ms");
        for of in ["", r#""value":41.5,"nn_ms":[800,810,790],"#] {
            assert_eq!(row(of).unwrap_err().to_string(), "value: must be given, or nn_ms in its place");
        }
    }
}
