//! Reads a file line by line: headers first, then rows, going on after what cannot be read.

use std::{
    borrow::Cow,
    collections::VecDeque,
    io::{self, Read},
};

use auren_agents::{Text, Timestamp, UserId};
use csv::ByteRecord;

use super::{
    error::{ImportError, Problem},
    guess::Guess,
    mapping::{Mapping, Source},
    plan::{Cell, Plan, person},
    time::{self, When},
};
use crate::wearable::Row;

/// The most bytes of one record, line breaks in quoted cells included.
pub const LINE_MAX: usize = 1 << 20;

/// The headers of a file, and what stands between them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heading {
    /// The headers, in order.
    pub headers: Vec<String>,
    /// A comma, a semicolon, a tab or a bar: whichever gives the most headers.
    pub delimiter: char,
}

impl Heading {
    /// Reads the first line of a file.
    ///
    /// # Errors
    /// [`ImportError`] where there is no header line, or the first line looks like data.
    pub fn read(input: impl Read) -> Result<Self, ImportError> {
        let mut start = Vec::new();
        input.take(LINE_MAX as u64).read_to_end(&mut start).map_err(|error| at_start(Problem::Read(error)))?;
        if start.starts_with(&[0xff, 0xfe]) || start.starts_with(&[0xfe, 0xff]) {
            return Err(at_start(Problem::Headers("the file is UTF-16; save it as UTF-8")));
        }
        let mut best: Option<Self> = None;
        for delimiter in [b',', b';', b'\t', b'|'] {
            let mut reader = csv::ReaderBuilder::new().delimiter(delimiter).from_reader(&*start);
            let record = reader.byte_headers().map_err(|error| at_start(problem(error)))?;
            if best.as_ref().is_none_or(|best| best.headers.len() < record.len()) {
                best = Some(Self { headers: headers(record)?, delimiter: char::from(delimiter) });
            }
        }
        let found = best.filter(|found| found.headers.iter().any(|header| !header.is_empty()));
        let found = found.ok_or_else(|| at_start(Problem::Headers("the file has no header line; add one")))?;
        let utc = chrono::FixedOffset::east_opt(0);
        let data = |header: &String| {
            let day = |utc| time::read(header, &time::Format::Auto, utc).is_ok();
            header.parse::<f64>().is_ok_and(f64::is_finite) || utc.is_some_and(day)
        };
        if found.headers.iter().any(data) {
            let hint = "the first line looks like data; put a line with the columns' names before it";
            return Err(at_start(Problem::Headers(hint)));
        }
        Ok(found)
    }

    /// Proposes a mapping, with the delimiter found.
    #[must_use]
    pub fn guess(&self) -> Guess {
        let mut guess = Mapping::guess(&self.headers);
        guess.mapping.delimiter = self.delimiter;
        guess
    }
}

/// The rows of a file, in the file's order; within a line in the order of time.
///
/// After an error it goes on with the next cell or line, unless [`ImportError::is_fatal`]: then it has ended.
pub struct Importer<R> {
    reader: csv::Reader<Bounded<R>>,
    plan: Plan,
    seats: Seats,
    record: ByteRecord,
    ready: VecDeque<Result<Row, ImportError>>,
    ended: bool,
}

/// Where in a line things are.
struct Seats {
    headers: Vec<String>,
    user: Option<usize>,
    time: usize,
    clock: Option<usize>,
    device: Option<usize>,
    context: Option<usize>,
    cells: Vec<usize>,
}

impl<R: Read> Importer<R> {
    /// Reads the headers and finds the mapping's columns among them.
    ///
    /// # Errors
    /// [`ImportError`] where the mapping cannot be used, or not for this file.
    pub fn new(input: R, mapping: &Mapping) -> Result<Self, ImportError> {
        let plan = Plan::new(mapping).map_err(|error| at_start(Problem::Mapping(error)))?;
        let input = Bounded { input, left: LINE_MAX };
        let mut reader = csv::ReaderBuilder::new().delimiter(plan.delimiter).flexible(true).from_reader(input);
        let found = headers(reader.byte_headers().map_err(|error| at_start(problem(error)))?)?;
        let seats = Seats::new(found, mapping, &plan)?;
        Ok(Self { reader, plan, seats, record: ByteRecord::new(), ready: VecDeque::new(), ended: false })
    }

    /// How many bytes of the file have been read as records: for showing progress.
    pub fn bytes(&self) -> u64 {
        self.reader.position().byte()
    }

    /// Reads the next line; `false` at the end.
    fn advance(&mut self) -> bool {
        self.reader.get_mut().left = LINE_MAX;
        let line = self.reader.position().line();
        match self.reader.read_byte_record(&mut self.record) {
            Ok(more) => {
                if more {
                    self.line();
                }
                more
            }
            Err(error) => {
                self.ended = true;
                self.ready.push_back(Err(ImportError { line, column: None, problem: problem(error) }));
                true
            }
        }
    }

    fn line(&mut self) {
        let Self { plan, seats, record, ready, .. } = self;
        let line = record.position().map_or(0, csv::Position::line);
        let error = |seat: Option<usize>, problem| {
            let column = seat.and_then(|seat| seats.headers.get(seat).cloned());
            ImportError { line, column, problem }
        };
        let beyond = record.iter().skip(seats.headers.len()).any(|cell| !cell.trim_ascii().is_empty());
        if record.len() < seats.headers.len() || beyond {
            let problem = Problem::Fields { have: record.len(), want: seats.headers.len() };
            ready.push_back(Err(error(None, problem)));
            return;
        }
        // A line that measures nothing needs neither a person nor a time.
        if seats.cells.iter().all(|&seat| record.get(seat).is_none_or(is_blank)) {
            return;
        }
        let told = match seats.tell(plan, record) {
            Ok(told) => told,
            Err((seat, problem)) => return ready.push_back(Err(error(Some(seat), problem))),
        };
        for (cell, &seat) in plan.cells.iter().zip(&seats.cells) {
            let Some(bytes) = record.get(seat).filter(|bytes| !is_blank(bytes)) else { continue };
            let row = cell.row(bytes, plan, &told);
            ready.push_back(row.map_err(|(blamed, problem)| error(Some(blamed.unwrap_or(seat)), problem)));
        }
    }
}

impl<R: Read> Iterator for Importer<R> {
    type Item = Result<Row, ImportError>;

    fn next(&mut self) -> Option<Self::Item> {
        while self.ready.is_empty() && !self.ended {
            self.ended = !self.advance() || self.ended;
        }
        self.ready.pop_front()
    }
}

/// What a line says about all its cells.
struct Told {
    user: UserId,
    when: When,
    /// The seat to blame where a cell's time of day does not suit the date.
    time: usize,
    device: Text<128>,
    context: Option<Text<128>>,
}

impl Seats {
    fn new(headers: Vec<String>, mapping: &Mapping, plan: &Plan) -> Result<Self, ImportError> {
        let seat = |name: &str| {
            let mut found = headers.iter().enumerate().filter(|(_, header)| *header == name.trim());
            let problem = match (found.next(), found.next()) {
                (Some((seat, _)), None) => return Ok(seat),
                (None, _) => Problem::MissingColumn,
                (Some(_), Some(_)) => Problem::TwiceThere,
            };
            Err(ImportError { line: 1, column: Some(name.to_owned()), problem })
        };
        let of = |source: &Source| source.column.as_deref().map(seat).transpose();
        Ok(Self {
            user: of(&mapping.user)?,
            time: seat(&mapping.time.column)?,
            clock: mapping.time.clock.as_deref().map(seat).transpose()?,
            device: of(&mapping.device)?,
            context: of(&mapping.context)?,
            cells: plan.cells.iter().map(|cell| seat(&cell.header)).collect::<Result<_, _>>()?,
            headers,
        })
    }

    fn tell(&self, plan: &Plan, record: &ByteRecord) -> Result<Told, (usize, Problem)> {
        let text = |seat: usize| match str::from_utf8(record.get(seat).unwrap_or_default()) {
            Ok(text) => Ok(text.trim()),
            Err(_) => Err((seat, Problem::NotUtf8)),
        };
        let user = match (self.user, &plan.user) {
            (Some(seat), _) => person(text(seat)?).map_err(|problem| (seat, problem))?,
            (None, Some(user)) => user.clone(),
            (None, None) => return Err((self.time, Problem::NoUser)),
        };
        let date = text(self.time)?;
        if date.is_empty() {
            return Err((self.time, Problem::NoTime));
        }
        let written: Cow<'_, str> = match self.clock.map(text).transpose()? {
            None | Some("") => date.into(),
            Some(clock) => format!("{date} {clock}").into(),
        };
        let when = time::read(&written, &plan.format, plan.offset).map_err(|problem| (self.time, problem))?;
        let label = |seat: Option<usize>| match seat.map(|seat| Ok((seat, text(seat)?))).transpose()? {
            None | Some((_, "")) => Ok(None),
            Some((seat, text)) => Text::new(text).map(Some).map_err(|unfit| (seat, Problem::Text(unfit))),
        };
        let device = label(self.device)?.unwrap_or_else(|| plan.device.clone());
        let context = label(self.context)?.or_else(|| plan.context.clone());
        Ok(Told { user, when, time: self.time, device, context })
    }
}

impl Cell {
    /// Makes a row of a cell. An error names the seat to blame where it is not the cell's own.
    fn row(&self, bytes: &[u8], plan: &Plan, told: &Told) -> Result<Row, (Option<usize>, Problem)> {
        let text = str::from_utf8(bytes).map_err(|_| (None, Problem::NotUtf8))?;
        let value = number(text.trim(), plan.decimal_comma).map_err(|problem| (None, problem))?;
        let value = value * self.factor + self.shift;
        if !(self.least..=self.most).contains(&value) {
            let unit = self.unit.clone().into_owned();
            return Err((None, Problem::Impossible { least: self.least, most: self.most, unit }));
        }
        let at = told.when.moment(self.at, plan.offset).map_err(|problem| (Some(told.time), problem))?;
        Ok(Row {
            user: told.user.clone(),
            event_type: self.event_type.clone(),
            measure: self.measure.clone(),
            value,
            unit: self.unit.clone(),
            at: Timestamp::from(at),
            device: told.device.clone(),
            context: told.context.clone().unwrap_or_else(|| self.context.clone()),
        })
    }
}

/// Reads a number. Signs, dots and exponents are as usual; "inf" and "nan" are not numbers.
fn number(text: &str, decimal_comma: bool) -> Result<f64, Problem> {
    let text = match (decimal_comma, text.contains(',')) {
        (false, true) => return Err(Problem::Comma),
        (false, false) => Cow::Borrowed(text),
        (true, _) => ungrouped(text).ok_or(Problem::Number)?.into(),
    };
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(value),
        _ => Err(Problem::Number),
    }
}

/// 1.234,5 as 1234.5. Dots may only stand before groups of three digits.
fn ungrouped(text: &str) -> Option<String> {
    let (whole, fraction) = text.split_once(',').unwrap_or((text, "0"));
    let mut groups = whole.split('.');
    let first = groups.next()?;
    let mut number = first.to_owned();
    for group in groups {
        if group.len() != 3 || first.trim_start_matches(['-', '+']).len() > 3 {
            return None;
        }
        number.push_str(group);
    }
    Some(format!("{number}.{fraction}"))
}

/// Whether a cell says that nothing was measured.
fn is_blank(cell: &[u8]) -> bool {
    let cell = cell.trim_ascii();
    let words: [&[u8]; 8] = [b"", b"-", b"--", b"na", b"n/a", b"nan", b"none", b"null"];
    words.iter().any(|word| cell.eq_ignore_ascii_case(word))
}

fn headers(record: &ByteRecord) -> Result<Vec<String>, ImportError> {
    let text = |bytes| str::from_utf8(bytes).map(|text| text.trim_start_matches('\u{feff}').trim().to_owned());
    record
        .iter()
        .map(text)
        .collect::<Result<_, _>>()
        .map_err(|_| at_start(Problem::Headers("the header line is not UTF-8; save the file as UTF-8")))
}

fn at_start(problem: Problem) -> ImportError {
    ImportError { line: 1, column: None, problem }
}

fn problem(error: csv::Error) -> Problem {
    match error.into_kind() {
        csv::ErrorKind::Io(error) if error.get_ref().is_some_and(|inner| inner.is::<Endless>()) => Problem::Endless,
        csv::ErrorKind::Io(error) => Problem::Read(error),
        // Of the other kinds none can come from reading bytes without a fixed number of cells.
        _ => Problem::Read(io::ErrorKind::InvalidData.into()),
    }
}

/// A file of which no record may be endless.
struct Bounded<R> {
    input: R,
    /// Bytes that may still be read for this record.
    left: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("a record does not end")]
struct Endless;

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.left == 0 {
            return Err(io::Error::other(Endless));
        }
        let most = into.len().min(self.left);
        let read = self.input.read(&mut into[..most])?;
        self.left -= read;
        Ok(read)
    }
}
