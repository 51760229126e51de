//! What is wrong with a rule, where, and what to do about it. Every check of a rule ends here; nothing of a person does.

use std::fmt;

use serde_saphyr::Location;

/// A place in a file, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The character in it.
    pub column: u64,
}

impl From<Location> for Place {
    fn from(location: Location) -> Self {
        Self { line: location.line().max(1), column: location.column().max(1) }
    }
}

/// Something wrong with a rule.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The file, or the record, that the rule stands in.
    pub file: String,
    /// Where in it.
    pub place: Place,
    /// What is wrong.
    pub what: String,
    /// What to do.
    pub hint: Option<String>,
}

impl Problem {
    /// Something wrong with a file as a whole.
    pub(super) fn whole(file: &str, what: String) -> Self {
        Self { file: file.to_owned(), place: Place { line: 1, column: 1 }, what, hint: None }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}: {}", self.file, self.place.line, self.place.column, self.what)?;
        match &self.hint {
            Some(hint) => write!(f, " ({hint})"),
            None => Ok(()),
        }
    }
}

impl std::error::Error for Problem {}

/// Gathers the problems of one rule, so that its writer sees all of them at once.
pub(super) struct Problems<'a> {
    file: &'a str,
    found: Vec<Problem>,
}

impl<'a> Problems<'a> {
    pub(super) fn new(file: &'a str) -> Self {
        Self { file, found: Vec::new() }
    }

    pub(super) fn add(&mut self, place: impl Into<Place>, what: impl Into<String>) {
        self.push(place.into(), what.into(), None);
    }

    pub(super) fn hint(&mut self, place: impl Into<Place>, what: impl Into<String>, hint: impl Into<String>) {
        self.push(place.into(), what.into(), Some(hint.into()));
    }

    pub(super) fn push(&mut self, place: Place, what: String, hint: Option<String>) {
        self.found.push(Problem { file: self.file.to_owned(), place, what, hint });
    }

    pub(super) fn found(self) -> Vec<Problem> {
        self.found
    }

    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }
}

/// What to do about a name that is not known: the nearest that is, or, behind `all`, every one there is.
pub(super) fn meant<'n>(name: &str, all: &str, known: impl Iterator<Item = &'n str> + Clone) -> String {
    match nearest(name, known.clone()) {
        Some(near) => format!("did you mean {near}?"),
        None => format!("{all} {}", known.collect::<Vec<_>>().join(", ")),
    }
}

/// The known name nearest to one that is not known, if any is near.
pub(super) fn nearest<'n>(name: &str, known: impl IntoIterator<Item = &'n str>) -> Option<&'n str> {
    let near = known.into_iter().map(|known| (distance(name, known), known)).min()?;
    (near.0 <= 1 + near.1.len() / 4).then_some(near.1)
}

/// How many characters to change, add or take away (Levenshtein).
fn distance(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let change = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}
