//! A mapping that was checked: everything parsed, nothing left to go wrong but the file.

use std::borrow::Cow;

use auren_agents::{BiometricType, Text, UserId};
use chrono::{FixedOffset, NaiveTime};

use super::{
    error::{MappingError, Problem},
    mapping::{Column, Mapping, Source},
    time::{self, Format},
};
use crate::wearable::Measure;

/// The most columns that are read from a file.
const COLUMNS_MAX: usize = 256;
/// The most bytes of a measure's name, and of a unit.
const NAME_MAX: usize = 32;

/// What to do with each line.
#[derive(Debug)]
pub(super) struct Plan {
    pub(super) delimiter: u8,
    pub(super) decimal_comma: bool,
    /// The person of a file without a column for it.
    pub(super) user: Option<UserId>,
    pub(super) device: Text<128>,
    pub(super) context: Option<Text<128>>,
    pub(super) format: Format,
    pub(super) offset: FixedOffset,
    /// In the order of their times of day, so that a line comes out in the order of time.
    pub(super) cells: Vec<Cell>,
}

/// What to do with the cells of a column.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) header: String,
    pub(super) measure: Cow<'static, str>,
    pub(super) unit: Cow<'static, str>,
    pub(super) event_type: BiometricType,
    pub(super) factor: f64,
    pub(super) shift: f64,
    pub(super) least: f64,
    pub(super) most: f64,
    pub(super) at: NaiveTime,
    pub(super) context: Text<128>,
}

impl Plan {
    pub(super) fn new(mapping: &Mapping) -> Result<Self, MappingError> {
        let delimiter = match u8::try_from(mapping.delimiter) {
            Ok(byte) if byte.is_ascii_punctuation() && byte != b'"' || matches!(byte, b'\t' | b' ') => byte,
            _ => return Err(MappingError::field("delimiter", "must be one sign, such as , or ; or a tab")),
        };
        if mapping.user.is_empty() {
            let hint = "must name a column or a value: user = { column = \"person\" } or { value = \"u-1\" }";
            return Err(MappingError::field("user", hint));
        }
        let user = mapping.user.value.as_deref().map(person).transpose();
        let user = user.map_err(|problem| MappingError::field("user.value", problem))?;
        if mapping.time.column.is_empty() {
            return Err(MappingError::field("time.column", "must name the column with the date or the time"));
        }
        if !(1..=COLUMNS_MAX).contains(&mapping.columns.len()) {
            return Err(MappingError::field("columns", format!("must be 1 to {COLUMNS_MAX}")));
        }
        let morning = clock("time.at", &mapping.time.at)?;
        let mut cells = Vec::with_capacity(mapping.columns.len());
        for (number, column) in mapping.columns.iter().enumerate() {
            cells.push(Cell::new(&format!("columns[{number}]"), column, morning)?);
        }
        cells.sort_by_key(|cell| cell.at);
        Ok(Self {
            delimiter,
            decimal_comma: mapping.decimal_comma,
            user,
            device: constant("device.value", &mapping.device)?.unwrap_or_default(),
            context: constant("context.value", &mapping.context)?,
            format: format(&mapping.time.format)?,
            offset: offset(&mapping.time.offset)?,
            cells,
        })
    }
}

impl Cell {
    fn new(field: &str, column: &Column, morning: NaiveTime) -> Result<Self, MappingError> {
        let wrong = |part: &str, hint: &str| MappingError::field(format!("{field}.{part}"), hint);
        if column.column.is_empty() {
            return Err(wrong("column", "must name a column"));
        }
        let known = Measure::named(&column.measure);
        let name = |part: &str, text: &str| {
            let fits = (1..=NAME_MAX).contains(&text.len()) && !text.chars().any(char::is_control);
            let hint = "must be 1 to 32 bytes of plain text";
            if fits { Ok(Cow::<'static, str>::Owned(text.to_owned())) } else { Err(wrong(part, hint)) }
        };
        let (measure, unit, event_type) = match (known, column.unit.as_deref(), column.event_type.clone()) {
            (Some(known), Some(unit), _) if unit != known.unit() => {
                let hint = format!("must be {}; convert with `factor` and `shift`", known.unit());
                return Err(wrong("unit", &hint));
            }
            (Some(known), _, event) => {
                (known.name().into(), known.unit().into(), event.unwrap_or_else(|| known.event_type()))
            }
            (None, Some(unit), Some(event)) => (name("measure", &column.measure)?, name("unit", unit)?, event),
            (None, None, _) => return Err(wrong("unit", "must be given for a measure that AUREN does not know")),
            (None, _, None) => return Err(wrong("event_type", "must be given for a measure that AUREN does not know")),
        };
        let possible = known.map_or(f64::MIN..=f64::MAX, Measure::possible);
        let (least, most) = (column.least.unwrap_or(*possible.start()), column.most.unwrap_or(*possible.end()));
        if !(least.is_finite() && most.is_finite() && least <= most) {
            return Err(wrong("least", "must be a number that is not above `most`"));
        }
        let (factor, shift) = (column.factor.unwrap_or(1.0), column.shift.unwrap_or(0.0));
        if !(factor.is_finite() && factor != 0.0 && shift.is_finite()) {
            return Err(wrong("factor", "must be a number other than 0, and `shift` a number"));
        }
        let at = column.at.as_deref().map_or(Ok(morning), |at| clock(&format!("{field}.at"), at))?;
        let usual = known.map_or("", Measure::context);
        let context = Text::new(column.context.as_deref().unwrap_or(usual));
        let context = context.map_err(|unfit| wrong("context", &unfit.to_string()))?;
        let header = column.column.clone();
        Ok(Self { header, measure, unit, event_type, factor, shift, least, most, at, context })
    }
}

/// Takes a person's id as it is, where it can be one.
pub(super) fn person(text: &str) -> Result<UserId, Problem> {
    match text.trim() {
        "" => Err(Problem::NoUser),
        text if text.contains('@') => Err(Problem::EMail),
        text => UserId::new(text).map_err(Problem::User),
    }
}

fn constant(field: &str, source: &Source) -> Result<Option<Text<128>>, MappingError> {
    let text = source.value.as_deref().map(Text::new).transpose();
    text.map_err(|unfit| MappingError::field(field, unfit))
}

fn clock(field: &str, text: &str) -> Result<NaiveTime, MappingError> {
    time::clock(text).ok_or_else(|| MappingError::field(field, "must be a time of day, such as 08:00"))
}

fn offset(text: &str) -> Result<FixedOffset, MappingError> {
    let text = if matches!(text, "Z" | "z") { "+00:00" } else { text };
    text.parse().map_err(|_| MappingError::field("time.offset", "must be an offset from UTC, such as +01:00"))
}

fn format(text: &str) -> Result<Format, MappingError> {
    match text {
        "auto" => Ok(Format::Auto),
        "epoch_seconds" => Ok(Format::Seconds),
        "epoch_millis" => Ok(Format::Millis),
        pattern if time::is_pattern(pattern) => Ok(Format::Pattern(pattern.to_owned())),
        _ => {
            let hint = "must be auto, epoch_seconds, epoch_millis, or a pattern such as %d/%m/%Y %H:%M";
            Err(MappingError::field("time.format", hint))
        }
    }
}
