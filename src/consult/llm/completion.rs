//! A model's words, as they come from an endpoint: whole, or in parts. Pure.

use auren_agents::events;
use serde::{Deserialize, de::IgnoredAny};

use crate::consult::{
    ServiceError,
    telling::{ENDS, fit},
};

/// What marks the end of a stream.
const DONE: &[u8] = b"[DONE]";
/// Most bytes that a model may say: as many as an advice takes.
const WORDS_MAX: usize = 16 * 1024;

/// What a model has said so far.
#[derive(Debug, Default)]
pub(super) struct Completion {
    words: String,
    end: Option<End>,
    usage: Option<Usage>,
}

/// Why a model stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    /// It had said what it wanted.
    Said,
    /// It had said as much as it may.
    Length,
}

/// What an answer cost, in tokens.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(default)]
#[derive(Default)]
pub(super) struct Usage {
    pub(super) prompt_tokens: u64,
    pub(super) completion_tokens: u64,
}

/// A part of an answer, or all of it: the two differ in one name.
#[derive(Deserialize)]
struct Chunk {
    #[serde(default)]
    choices: Vec<Choice>,
    usage: Option<Usage>,
    error: Option<IgnoredAny>,
}

#[derive(Deserialize)]
struct Choice {
    #[serde(alias = "message")]
    delta: Option<Spoken>,
    finish_reason: Option<String>,
}

#[derive(Deserialize)]
struct Spoken {
    content: Option<String>,
    tool_calls: Option<Vec<IgnoredAny>>,
}

impl Completion {
    /// The whole of an answer at once.
    pub(super) fn whole(json: &[u8]) -> Result<Self, ServiceError> {
        let mut completion = Self::default();
        completion.take(json)?;
        completion.end.get_or_insert(End::Said);
        Ok(completion)
    }

    /// The next part.
    pub(super) fn take(&mut self, data: &[u8]) -> Result<(), ServiceError> {
        if data.is_empty() {
            return Ok(());
        }
        if data == DONE {
            // Some endpoints never say why a model stopped.
            self.end.get_or_insert(End::Said);
            return Ok(());
        }
        let chunk: Chunk = events::parse(data).map_err(ServiceError::Unusable)?;
        if chunk.error.is_some() {
            return Err(ServiceError::NotAvailable);
        }
        self.usage = chunk.usage.or(self.usage);
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        if let Some(spoken) = choice.delta {
            if spoken.tool_calls.is_some_and(|calls| !calls.is_empty()) {
                return Err(tool());
            }
            self.words.push_str(&spoken.content.unwrap_or_default());
            if self.words.len() > WORDS_MAX {
                return Err(ServiceError::TooLong(WORDS_MAX));
            }
        }
        match choice.finish_reason.as_deref() {
            None | Some("") => {}
            Some("content_filter") => return Err(ServiceError::Refused),
            Some("tool_calls" | "function_call") => return Err(tool()),
            Some("length") => self.end = Some(End::Length),
            Some(_) => self.end = Some(End::Said),
        }
        Ok(())
    }

    /// Whether the model has said its last word.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What was said so far.
    pub(super) fn so_far(&self) -> &str {
        &self.words
    }

    /// All that was said; where the model was cut short, to its last whole sentence.
    pub(super) fn words(self) -> Result<String, ServiceError> {
        let words = self.words.trim();
        let words = match self.end {
            Some(End::Length) => words.rmatch_indices(ENDS).next().map_or("", |(at, end)| &words[..at + end.len()]),
            _ => words,
        };
        if words.is_empty() {
            return Err(ServiceError::unusable("answer", "must have at least one whole sentence"));
        }
        fit(words)?;
        Ok(words.to_owned())
    }
}

fn tool() -> ServiceError {
    ServiceError::unusable("tool_calls", "there are no tools to call")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(parts: &[serde_json::Value]) -> Result<Completion, ServiceError> {
        let mut completion = Completion::default();
        for part in parts {
            completion.take(part.to_string().as_bytes())?;
        }
        Ok(completion)
    }

    fn delta(content: &str, end: Option<&str>) -> serde_json::Value {
        json!({ "choices": [{ "delta": { "content": content }, "finish_reason": end }] })
    }

    fn said(parts: &[serde_json::Value]) -> String {
        after(parts).and_then(Completion::words).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn words_come_in_parts_and_end_where_the_model_says_so() {
        let parts = [json!({ "choices": [{ "delta": { "role": "assistant" } }] }), delta("Sleep well. The", None)];
        let completion = after(&parts).unwrap();
        assert_eq!((completion.so_far(), completion.is_over()), ("Sleep well. The", false));
        assert_eq!(said(&[delta("Sleep", None), delta(" well. ", Some("stop"))]), "Sleep well.");
        let usage = json!({ "choices": [], "usage": { "prompt_tokens": 7, "completion_tokens": 2 } });
        assert_eq!(after(&[usage]).unwrap().usage().unwrap().prompt_tokens, 7);
        let whole =
            json!({ "choices": [{ "message": { "role": "assistant", "content": "Rest." }, "finish_reason": "stop" }] });
        assert_eq!(Completion::whole(whole.to_string().as_bytes()).unwrap().words().unwrap(), "Rest.");
        let mut done = after(&[delta("Rest.", None)]).unwrap();
        done.take(DONE).unwrap();
        assert!(done.is_over());
    }

    #[test]
    fn a_model_that_is_cut_short_says_whole_sentences_or_nothing() {
        assert_eq!(said(&[delta("Rest today. Tomorrow you may", Some("length"))]), "Rest today.");
        assert!(said(&[delta("Tomorrow you may", Some("length"))]).contains("at least one whole sentence"));
        assert!(said(&[delta("  ", Some("stop"))]).contains("at least one whole sentence"));
    }

    #[test]
    fn what_cannot_be_said_is_an_error_that_does_not_repeat_it() {
        for (part, error) in [
            (delta("It may be diabetes.", Some("stop")), "answer: must name no disease"),
            (delta("Take 400mg at night.", Some("stop")), "answer: must name no disease"),
            (json!({ "choices": [{ "delta": { "tool_calls": [{}] } }] }), "tool_calls: there are no tools"),
            (json!({ "choices": [{ "delta": {}, "finish_reason": "tool_calls" }] }), "tool_calls: there are no tools"),
            (json!({ "choices": 7 }), "choices: must be a list"),
            (json!({ "error": { "message": "my secret" } }), "it says that it is not available"),
            (delta("", Some("content_filter")), "it refuses the question"),
        ] {
            let told = said(std::slice::from_ref(&part));
            assert!(told.contains(error) && !told.contains("secret") && !told.contains("diabetes"), "{part}: {told}");
        }
    }
}
