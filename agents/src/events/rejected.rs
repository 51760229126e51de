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
    let field = if path == "." || path == "?" { "record".to_owned() } else { path };
    if error.is_data() {
        let text = error.to_string();
        let text = text.split(" at line ").next().unwrap_or_default();
        if text.starts_with("invalid type") || text.starts_with("invalid value") {
            // serde repeats the value in front of what it expected; only the latter is ours to show.
            let expected = text.rsplit_once(", expected ").map_or("something else", |(_, expected)| in_words(expected));
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

/// What serde expected, in words that JSON knows.
fn in_words(expected: &str) -> &str {
    match expected {
        "f64" | "f32" => "a number",
        "u64" | "u32" | "u16" | "u8" | "usize" | "i64" | "i32" | "i16" | "i8" | "isize" => "a whole number",
        "a map" => "an object",
        "a sequence" => "a list",
        of if of.starts_with("struct ") || of.starts_with("internally tagged enum") => "an object",
        other => other,
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::events::TriggerEvent;

    const GOOD: &str = r#"{"trigger_id":"t","user_id":"u","trigger_type":"hrv_drop","severity":0.8,"context_window":[],
        "recommended_agents":["coach"],"message":"m","timestamp":"2024-01-01T10:00:00Z"}"#;

    fn refused(from: &str, to: &str) -> (Rejection, String) {
        assert!(GOOD.contains(from));
        let refused = parse::<TriggerEvent>(GOOD.replacen(from, to, 1).as_bytes()).unwrap_err();
        (refused.class, refused.to_string())
    }

    #[test]
    fn a_rejection_names_the_field_and_what_it_must_be_and_repeats_no_value() {
        use Rejection::{BrokenJson, OutOfBounds, WrongShape};
        for (from, to, class, says) in [
            ("0.8", "1.5", OutOfBounds, "severity: must be a number from 0 to 1"),
            ("0.8", "\"secret\"", WrongShape, "severity: must be a number"),
            ("[\"coach\"]", "[]", OutOfBounds, "recommended_agents: must not be empty"),
            ("[\"coach\"]", "7", WrongShape, "recommended_agents: must be a list"),
            ("[\"coach\"]", "[7]", WrongShape, "recommended_agents[0]: must be a string"),
            ("2024-01-01T10:00:00Z", "secret", OutOfBounds, "timestamp: must be an RFC 3339 time with an offset"),
            ("\"message\":\"m\",", "", WrongShape, "record: missing field `message`"),
        ] {
            let (found, text) = refused(from, to);
            assert!(found == class && text.starts_with(says) && !text.contains("secret"), "{to}: {found:?} {text}");
        }
        assert_eq!(parse::<TriggerEvent>(b"[1]").unwrap_err().why, "must be an object");
        assert_eq!(parse::<TriggerEvent>(b"{\"a\":").unwrap_err().class, BrokenJson);
        assert!(parse::<TriggerEvent>(b"{oops").unwrap_err().to_string().starts_with("record: is not JSON"));
        assert_eq!(parse::<TriggerEvent>(format!("{GOOD} x").as_bytes()).unwrap_err().class, BrokenJson);
    }
}
