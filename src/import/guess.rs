//! Proposes a mapping from headers, and says what it did not understand.

use super::{
    mapping::{Column, Mapping, Source, Time},
    words::{self, Meaning},
};
use crate::wearable::Measure;

/// A proposal, to be shown before it is used.
#[derive(Debug, Clone, PartialEq)]
pub struct Guess {
    /// The mapping. It can be used where `missing` is empty; otherwise what is missing must be filled in.
    pub mapping: Mapping,
    /// The columns that are read, in the file's order.
    pub understood: Vec<Understood>,
    /// The columns that are not.
    pub left_out: Vec<LeftOut>,
    /// Fields of the mapping that no column was found for: `user`, `time.column`, `columns`.
    pub missing: Vec<&'static str>,
}

/// A column and what it was taken for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Understood {
    /// The header.
    pub column: String,
    /// Such as `user`, `time`, or `asleep in min, from s`.
    pub meaning: String,
}

/// A column and why it is not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LeftOut {
    /// The header.
    pub column: String,
    /// Why.
    pub why: &'static str,
}

impl Mapping {
    /// Proposes a mapping for these headers. Where a header can mean two things it is left out, and says so.
    #[must_use]
    pub fn guess<S: AsRef<str>>(headers: &[S]) -> Guess {
        let mut guess = Guess {
            mapping: Mapping {
                delimiter: ',',
                decimal_comma: false,
                user: Source::default(),
                time: Time {
                    column: String::new(),
                    clock: None,
                    format: "auto".to_owned(),
                    offset: "+00:00".to_owned(),
                    at: "08:00".to_owned(),
                },
                device: Source::value("csv import"),
                context: Source::default(),
                columns: Vec::new(),
            },
            understood: Vec::new(),
            left_out: Vec::new(),
            missing: Vec::new(),
        };
        let headers: Vec<&str> = headers.iter().map(AsRef::as_ref).collect();
        let meanings: Vec<Meaning> = headers.iter().map(|header| words::meaning(header)).collect();
        let first = |wanted: fn(&Meaning) -> Option<u8>| {
            let ranked = meanings.iter().enumerate().filter_map(|(seat, meaning)| Some((wanted(meaning)?, seat)));
            ranked.min().map(|(_, seat)| seat)
        };
        let user = first(|meaning| if let Meaning::User(rank) = meaning { Some(*rank) } else { None });
        let device = first(|meaning| if let Meaning::Device(rank) = meaning { Some(*rank) } else { None });
        let clock = first(|meaning| matches!(meaning, Meaning::Clock).then_some(0));
        let date = first(|meaning| if let Meaning::Time(rank) = meaning { Some(*rank) } else { None });
        let time = date.or(clock);
        // A time of day completes a date; beside a full time stamp it says nothing new.
        let clock = clock.filter(|_| date.is_some_and(|date| words::is_date(headers[date])));
        for (seat, (&header, meaning)) in headers.iter().zip(&meanings).enumerate() {
            if Some(seat) == user {
                guess.mapping.user = Source::column(header);
                guess.understand(header, "user");
            } else if Some(seat) == time {
                guess.mapping.time.column = header.to_owned();
                guess.understand(header, "time");
            } else if Some(seat) == clock {
                guess.mapping.time.clock = Some(header.to_owned());
                guess.understand(header, "time of day");
            } else if Some(seat) == device {
                guess.mapping.device.column = Some(header.to_owned());
                guess.understand(header, "device");
            } else if headers.iter().filter(|other| **other == header).count() > 1 {
                guess.leave_out(header, "there are two columns of this name; rename one");
            } else {
                match meaning {
                    Meaning::Measured { measure, from, factor, shift } => {
                        guess.measured(header, *measure, *from, *factor, *shift);
                    }
                    Meaning::Unclear(why) => guess.leave_out(header, why),
                    _ => guess.leave_out(header, "another column says this already"),
                }
            }
        }
        for (field, found) in [("user", user.is_some()), ("time.column", time.is_some())] {
            if !found {
                guess.missing.push(field);
            }
        }
        if guess.mapping.columns.is_empty() {
            guess.missing.push("columns");
        }
        guess
    }
}

impl Guess {
    fn measured(&mut self, header: &str, measure: Measure, from: Option<&str>, factor: f64, shift: f64) {
        if self.mapping.columns.iter().any(|column| column.measure == measure.name()) {
            return self.leave_out(header, "another column says this already");
        }
        let mut column = Column::of(header, measure);
        column.factor = (factor != 1.0).then_some(factor);
        column.shift = (shift != 0.0).then_some(shift);
        // Of a day that is over; the night's values are known in the morning.
        column.at = matches!(measure.context(), "day" | "evening" | "workout").then(|| "22:00".to_owned());
        self.mapping.columns.push(column);
        let from = from.map(|unit| format!(", from {unit}")).unwrap_or_default();
        self.understand(header, &format!("{} in {}{from}", measure.name(), measure.unit()));
    }

    fn understand(&mut self, column: &str, meaning: &str) {
        self.understood.push(Understood { column: column.to_owned(), meaning: meaning.to_owned() });
    }

    fn leave_out(&mut self, column: &str, why: &'static str) {
        self.left_out.push(LeftOut { column: column.to_owned(), why });
    }
}
