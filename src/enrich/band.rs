//! Bands: which published range a value lies in, as a word. A band is the coarsest thing that can be said of a value beside
//! nothing, and rules need no more.

use crate::wearable::Measure;

/// The word for a value; none where it lies in its usual range, or there is no range for its statistic.
///
/// - Sleep: adults do well on seven hours or more, and less than six is agreed to be too little (Watson et al. 2015).
/// - Glucose: 70 to 180 mg/dL is the range, below 54 and above 250 is far outside it (Battelino et al. 2019); fasting, from
///   126 on is above it (American Diabetes Association, Standards of Care).
/// - Pressure, measured at home: from 135/85 mmHg on is high (European Society of Hypertension 2023), from 180/120 on far
///   above it (American Heart Association 2017).
#[must_use]
pub fn band(measure: &str, context: &str, value: f64) -> Option<&'static str> {
    let above = |high: f64, very_high: f64| match value {
        value if value >= very_high => Some("very_high"),
        value if value >= high => Some("high"),
        _ => None,
    };
    match Measure::named(measure)? {
        Measure::Asleep => match value {
            minutes if minutes < 300.0 => Some("very_short"),
            minutes if minutes < 360.0 => Some("short"),
            _ => None,
        },
        Measure::Glucose => match value {
            glucose if glucose < 54.0 => Some("very_low"),
            glucose if glucose < 70.0 => Some("low"),
            _ => above(if context == "fasting" { 126.0 } else { 180.1 }, 250.1),
        },
        Measure::Systolic => above(135.0, 180.0),
        Measure::Diastolic => above(85.0, 120.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_band_begins_where_its_source_says() {
        for (measure, context, value, expected) in [
            ("asleep", "sleep", 299.9, Some("very_short")),
            ("asleep", "sleep", 300.0, Some("short")),
            ("asleep", "sleep", 360.0, None),
            ("glucose", "fasting", 126.0, Some("high")),
            ("glucose", "after_meal", 180.0, None),
            ("glucose", "after_meal", 181.0, Some("high")),
            ("glucose", "after_meal", 251.0, Some("very_high")),
            ("glucose", "fasting", 69.0, Some("low")),
            ("glucose", "fasting", 53.0, Some("very_low")),
            ("systolic", "morning", 134.0, None),
            ("systolic", "morning", 180.0, Some("very_high")),
            ("diastolic", "morning", 85.0, Some("high")),
            ("rmssd", "sleep", 10.0, None),
        ] {
            assert_eq!(band(measure, context, value), expected, "{measure} {value} {context}");
        }
    }
}
