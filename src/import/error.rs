//! What can be wrong with a mapping, a file, a line or a cell. No error repeats what is in a cell.

use auren_agents::text::Unfit;

/// What is wrong with a file or with one place in it.
#[derive(Debug, thiserror::Error)]
#[error("line {line}{}: {problem}", in_column(.column.as_deref()))]
pub struct ImportError {
    /// The line of the file where the record begins, from 1.
    pub line: u64,
    /// The header of the column, where one is to blame.
    pub column: Option<String>,
    /// What is wrong, and what to do.
    pub problem: Problem,
}

impl ImportError {
    /// Whether nothing more can be read after this error. All others concern one line or one cell only.
    #[must_use]
    pub fn is_fatal(&self) -> bool {
        match self.problem {
            Problem::Headers(_) | Problem::MissingColumn | Problem::TwiceThere | Problem::Mapping(_) => true,
            Problem::Read(_) | Problem::Endless => true,
            Problem::Fields { .. } | Problem::NotUtf8 | Problem::NoUser | Problem::EMail | Problem::User(_) => false,
            Problem::NoTime | Problem::Time | Problem::TimeRange | Problem::Text(_) => false,
            Problem::Number | Problem::Comma | Problem::Impossible { .. } => false,
        }
    }
}

fn in_column(column: Option<&str>) -> String {
    column.map(|column| format!(", column {column:?}")).unwrap_or_default()
}

/// What is wrong, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum Problem {
    /// The first line is no list of headers.
    #[error("{0}")]
    Headers(&'static str),
    /// A column of the mapping is not in the file.
    #[error("no such column; correct the mapping, its `delimiter` included, or the file's header line")]
    MissingColumn,
    /// A column of the mapping is in the file more than once.
    #[error("this column is there more than once; rename one of them in the file's header line")]
    TwiceThere,
    /// The mapping itself cannot be used.
    #[error("the mapping cannot be used: {0}")]
    Mapping(#[from] MappingError),
    /// The file could not be read.
    #[error("the file could not be read: {0}")]
    Read(std::io::Error),
    /// A record that does not end.
    #[error("the line does not end within {} KiB; look for a quotation mark that is not closed", super::LINE_MAX / 1024)]
    Endless,
    /// More or fewer cells than headers.
    #[error("{have} cells where the header line has {want}; look for a missing or unquoted delimiter")]
    Fields {
        /// Cells in the line.
        have: usize,
        /// Headers.
        want: usize,
    },
    /// Bytes that are no text.
    #[error("is not UTF-8; save the file as UTF-8")]
    NotUtf8,
    /// Nobody.
    #[error("says nobody; fill in the person's id")]
    NoUser,
    /// An e-mail address for an id.
    #[error("looks like an e-mail address; replace it by a random id that says nothing about the person")]
    EMail,
    /// An id out of bounds.
    #[error("cannot be a person's id: it {0}")]
    User(Unfit),
    /// No time.
    #[error("is blank; a line needs a time")]
    NoTime,
    /// A time in another form.
    #[error("is not a time in the expected form; set `time.format`, for example to \"%d/%m/%Y %H:%M\"")]
    Time,
    /// A time that no wearable has seen.
    #[error("lies before 1970 or after 2200; check `time.format`")]
    TimeRange,
    /// A device or a context out of bounds.
    #[error("does not fit: it {0}; shorten it")]
    Text(Unfit),
    /// A cell that is no number.
    #[error("is not a number; correct the cell or leave it empty")]
    Number,
    /// A number that may have a decimal comma.
    #[error("has a comma in it; set `decimal_comma = true` if 1,5 means one and a half, or remove group separators")]
    Comma,
    /// A number that cannot be.
    #[error("is outside {least} to {most} {unit}: a device fault, or another unit (see `factor` and `shift`)")]
    Impossible {
        /// The least that is possible.
        least: f64,
        /// The most that is possible.
        most: f64,
        /// The unit of both.
        unit: String,
    },
}

/// What is wrong with a mapping. `field` is as in the TOML form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum MappingError {
    /// Not TOML, or not the fields of a mapping.
    #[error("{0}")]
    Toml(String),
    /// A field with a value that it cannot have.
    #[error("{field} {hint}")]
    Field {
        /// The field.
        field: String,
        /// What it must be.
        hint: String,
    },
}

impl MappingError {
    pub(super) fn field(field: impl Into<String>, hint: impl ToString) -> Self {
        Self::Field { field: field.into(), hint: hint.to_string() }
    }
}
