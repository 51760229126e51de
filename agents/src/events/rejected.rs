//! Reading a record, and saying why one cannot be read without repeating what it holds.

use serde::de::DeserializeOwned;

use crate::text::Unfit;

/// The class of a rejection: what a dead letter is filed under.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rejection {
    /// The bytes are not JSON.
    BrokenJson,
    /// The JSON lacks a field, or a field has the wrong type.
    WrongShape,
    /// A field has the right type and a value that it must not have.
    OutOfBounds,
}

impl Rejection {
    /// The class as a dead letter's header names it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BrokenJson => "broken_json",
            Self::WrongShape => "wrong_shape",
            Self::OutOfBounds => "out_of_bounds",
        }
    }
}

/// A record that cannot be read: which field, and why. It never repeats a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {why}")]
pub struct Rejected {
    /// What kind of fault it is.
    pub class: Rejection,
    /// The path of the field, such as `metadata.percentile_rank`; `record` for the whole.
    pub field: String,
    /// What is wrong with it.
    pub why: String,
}

impl Rejected {
    /// A field whose value breaks a bound.
    #[must_use]
    pub fn unfit(field: &str, why: Unfit) -> Self {
        Self { class: Rejection::OutOfBounds, field: field.to_owned(), why: why.to_string() }
    }
}

/// Reads one record from JSON.
///
/// # Errors
/// [`Rejected`], with the path of the field at fault. A good record is parsed once; only a bad one is parsed again, to
/// find that path.
pub fn parse<T: DeserializeOwned>(json: &[u8]) -> Result<T, Rejected> {
    serde_json::from_slice(json).map_err(|_| diagnose::<T>(json))
}

fn diagnose<T: DeserializeOwned>(json: &[u8]) -> Rejected {
    let mut input = serde_json::Deserializer::from_slice(json);
    let (path, error) = match serde_path_to_error::deserialize::<_, T>(&mut input) {
        Err(error) => (error.path().to_string(), error.into_inner()),
        // The value itself was fine, so what follows it is not.
        Ok(_) => {
            return Rejected {
                class: Rejection::BrokenJson,
                field: "record".to_owned(),
                why: "has characters after the end of the JSON value".to_owned(),
            };
        }
    };
    let field = if path == "." { "record".to_owned() } else { path };
    if error.is_data() {
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        if text.starts_with("invalid type") || text.starts_with("invalid value") {
            // serde repeats the value in front of what it expected; only the latter is ours to show.
            let expected = text.rsplit_once(", expected ").map_or("something else", |(_, expected)| expected);
            Rejected { class: Rejection::WrongShape, field, why: format!("must be {expected}") }
        } else if text.starts_with("missing field") || text.starts_with("duplicate field") {
            Rejected { class: Rejection::WrongShape, field, why: text.to_owned() }
        } else if text.starts_with("unknown variant") {
            let expected = text.rsplit_once(", expected ").map_or("another word", |(_, expected)| expected);
            Rejected { class: Rejection::OutOfBounds, field, why: format!("must be {expected}") }
        } else {
            // Written by this crate's own bounds, which never repeat a value.
            Rejected { class: Rejection::OutOfBounds, field, why: text.to_owned() }
        }
    } else {
        let why = format!("is not JSON (line {}, column {})", error.line(), error.column());
        Rejected { class: Rejection::BrokenJson, field, why }
    }
}

/// Reads a list of `MIN` to `MAX` items.
pub(crate) fn bounded_list<'de, D, T, const MIN: usize, const MAX: usize>(input: D) -> Result<Vec<T>, D::Error>
where
    D: serde::Deserializer<'de>,
    T: serde::Deserialize<'de>,
{
    let items = <Vec<T> as serde::Deserialize>::deserialize(input)?;
    if items.len() < MIN {
        return Err(serde::de::Error::custom(Unfit::Empty));
    }
    if items.len() > MAX {
        return Err(serde::de::Error::custom(Unfit::TooMany { max: MAX, len: items.len() }));
    }
    Ok(items)
}
