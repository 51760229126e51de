//! A model's words and the tools it calls, as they come from an endpoint: whole, or in parts. Pure.

use auren_agents::events;
use serde::{Deserialize, de::IgnoredAny};

use crate::consult::{
    ServiceError,
    telling::{ENDS, fit},
};

/// What marks the end of a stream.
const DONE: &[u8] = b"[DONE]";
/// Most bytes that a model may say: as many as an advice takes; and most bytes of the tools that it calls at a time.
const WORDS_MAX: usize = 16 * 1024;
/// Most tools that it may call at a time.
const CALLS_MAX: usize = 16;

/// What a model has said so far.
#[derive(Debug, Default)]
pub(super) struct Completion {
    words: String,
    /// How much of the words was said before the last tools were called.
    before: usize,
    calls: Vec<Call>,
    /// Whether there are tools to call.
    tools: bool,
    end: Option<End>,
    usage: Option<Usage>,
}

/// A tool that a model calls.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) id: String,
    pub(super) name: String,
    pub(super) arguments: String,
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
    tool_calls: Option<Vec<CallPart>>,
}

#[derive(Deserialize)]
struct CallPart {
    index: Option<usize>,
    id: Option<String>,
    function: Option<FunctionPart>,
}

#[derive(Deserialize)]
struct FunctionPart {
    name: Option<String>,
    arguments: Option<String>,
}

impl Completion {
    /// Of a model that may call tools, or has none.
    pub(super) fn with_tools(tools: bool) -> Self {
        Self { tools, ..Self::default() }
    }

    /// The whole of an answer at once.
    pub(super) fn whole(&mut self, json: &[u8]) -> Result<(), ServiceError> {
        self.take(json)?;
        self.end.get_or_insert(End::Said);
        Ok(())
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
        if self.is_over() {
            return Ok(());
        }
        let Some(choice) = chunk.choices.into_iter().next() else { return Ok(()) };
        if let Some(spoken) = choice.delta {
            for (place, part) in spoken.tool_calls.unwrap_or_default().into_iter().enumerate() {
                self.call(place, part)?;
            }
            self.words.push_str(&spoken.content.unwrap_or_default());
            if self.words.len() > WORDS_MAX {
                return Err(ServiceError::TooLong(WORDS_MAX));
            }
        }
        match choice.finish_reason.as_deref() {
            None | Some("") => {}
            Some("content_filter") => return Err(ServiceError::Refused),
            Some("tool_calls" | "function_call") if !self.tools => return Err(tool()),
            Some("length") => self.end = Some(End::Length),
            Some(_) => self.end = Some(End::Said),
        }
        Ok(())
    }

    /// Whether the model has said its last word.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    fn call(&mut self, place: usize, part: CallPart) -> Result<(), ServiceError> {
        if !self.tools {
            return Err(tool());
        }
        let index = part.index.unwrap_or(place);
        if index >= CALLS_MAX {
            return Err(ServiceError::unusable("tool_calls", "must not be more than 16 at a time"));
        }
        if self.calls.len() <= index {
            self.calls.resize(index + 1, Call::default());
        }
        let call = &mut self.calls[index];
        call.id.push_str(&part.id.unwrap_or_default());
        if let Some(function) = part.function {
            call.name.push_str(&function.name.unwrap_or_default());
            call.arguments.push_str(&function.arguments.unwrap_or_default());
        }
        let bytes = |call: &Call| call.id.len() + call.name.len() + call.arguments.len();
        if self.calls.iter().map(bytes).sum::<usize>() > WORDS_MAX {
            return Err(ServiceError::TooLong(WORDS_MAX));
        }
        Ok(())
    }

    /// Whether it has said its last word, and calls no tool.
    pub(super) fn is_final(&self) -> bool {
        self.is_over() && self.calls.is_empty()
    }

    /// The tools that are called, and what was said before them since the last ones. It goes on behind them.
    pub(super) fn calls(&mut self) -> (Vec<Call>, String) {
        let said = self.words[self.before..].to_owned();
        if !said.is_empty() {
            self.words.push(' ');
        }
        self.before = self.words.len();
        (self.end, self.usage) = (None, None);
        (std::mem::take(&mut self.calls), said)
    }

    /// What the last answer took, where the endpoint says it.
    pub(super) fn usage(&self) -> Option<Usage> {
        self.usage
    }

    /// What was said so far.
    pub(super) fn so_far(&self) -> &str {
        &self.words
    }

    /// How many bytes the last answer has so far, tools included.
    pub(super) fn bytes(&self) -> usize {
        let calls = self.calls.iter().map(|call| call.name.len() + call.arguments.len());
        self.words.len() - self.before + calls.sum::<usize>()
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
        let mut completion = Completion::default();
        completion.whole(whole.to_string().as_bytes()).unwrap();
        assert_eq!(completion.words().unwrap(), "Rest.");
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

    #[test]
    fn tools_are_called_in_parts_and_what_was_said_before_them_is_kept() {
        let call = |part: serde_json::Value| json!({ "choices": [{ "delta": { "tool_calls": [part] } }] });
        let mut completion = Completion::with_tools(true);
        for part in [
            delta("Let me look.", None),
            call(json!({ "index": 0, "id": "c-1", "function": { "name": "nights", "arguments": "" } })),
            call(json!({ "index": 1, "id": "c-2", "function": { "name": "before", "arguments": "{}" } })),
            call(json!({ "index": 0, "function": { "arguments": "{\"n\":" } })),
            call(json!({ "index": 0, "function": { "arguments": "3}" } })),
            delta("", Some("tool_calls")),
        ] {
            completion.take(part.to_string().as_bytes()).unwrap();
        }
        assert!(completion.is_over() && !completion.is_final());
        let (calls, said) = completion.calls();
        let calls: Vec<_> = calls.iter().map(|call| [&*call.id, &*call.name, &*call.arguments]).collect();
        assert_eq!((calls, &*said), (vec![["c-1", "nights", "{\"n\":3}"], ["c-2", "before", "{}"]], "Let me look."));
        assert!(!completion.is_over());
        completion.take(delta("You slept well.", Some("stop")).to_string().as_bytes()).unwrap();
        assert_eq!(completion.bytes(), "You slept well.".len());
        assert_eq!(completion.words().unwrap(), "Let me look. You slept well.");
    }

    #[test]
    fn of_tools_no_more_is_taken_than_there_is_room_for() {
        let mut completion = Completion::with_tools(true);
        let many = json!({ "choices": [{ "delta": { "tool_calls": [{ "index": 16 }] } }] });
        assert!(completion.take(many.to_string().as_bytes()).unwrap_err().to_string().contains("not be more than 16"));
        let long = json!({ "function": { "arguments": "a".repeat(9000) } });
        let long = json!({ "choices": [{ "delta": { "tool_calls": [long] } }] }).to_string();
        completion.take(long.as_bytes()).unwrap();
        assert_eq!(completion.take(long.as_bytes()), Err(ServiceError::TooLong(WORDS_MAX)));
    }
}
