//! What an A2A agent sends, as it comes, and the advice that is made of it. Pure.

use auren_agents::{Advice, Text, events};
use serde::Deserialize;
use serde_json::Value;

use super::ADVICE;
use crate::consult::ServiceError;

/// Most bytes of text of one answer: as many as an advice takes.
const WORDS_MAX: usize = 16 * 1024;
/// Most artifacts of one answer.
const ARTIFACTS_MAX: usize = 64;

/// How far an answer is.
#[derive(Debug, Default)]
pub(super) struct Progress {
    artifacts: Vec<Artifact>,
    /// What was said with the end.
    last: Vec<Part>,
    end: Option<End>,
    /// Something that was sent has been replaced, so its parts are told no more.
    replaced: bool,
    /// The task's id, where there is a task.
    id: String,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum End {
    Said,
    /// It wants to know something first: its question is what it says.
    Asks,
}

/// A response of JSON-RPC.
#[derive(Deserialize)]
struct Envelope {
    result: Option<Sent>,
    error: Option<Fault>,
}

#[derive(Deserialize)]
struct Fault {
    code: i64,
}

#[derive(Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Sent {
    task: Option<Task>,
    message: Option<Message>,
    status_update: Option<StatusUpdate>,
    artifact_update: Option<ArtifactUpdate>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Task {
    id: String,
    status: Status,
    artifacts: Vec<Artifact>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    state: String,
    message: Option<Message>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Message {
    parts: Vec<Part>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StatusUpdate {
    #[serde(default)]
    task_id: String,
    status: Status,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArtifactUpdate {
    #[serde(default)]
    task_id: String,
    artifact: Artifact,
    #[serde(default)]
    append: bool,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Artifact {
    artifact_id: String,
    parts: Vec<Part>,
}

/// A part of a message; files and addresses are passed over.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Part {
    text: Option<String>,
    data: Option<Value>,
    media_type: String,
}

impl Progress {
    /// The whole of an answer at once.
    pub(super) fn whole(json: &[u8]) -> Result<Self, ServiceError> {
        let mut progress = Self::default();
        progress.take(json)?;
        if progress.end.is_none() {
            return Err(ServiceError::BrokenOff("it answered before its task was over".to_owned()));
        }
        Ok(progress)
    }

    /// The next response.
    pub(super) fn take(&mut self, json: &[u8]) -> Result<(), ServiceError> {
        if json.is_empty() {
            return Ok(());
        }
        let Envelope { result, error } = events::parse(json).map_err(ServiceError::Unusable)?;
        if let Some(Fault { code }) = error {
            return Err(fault(code));
        }
        let Some(Sent { task, message, status_update, artifact_update }) = result else {
            return Err(ServiceError::unusable("result", "must be there where there is no error"));
        };
        if let Some(Task { id, status, artifacts }) = task {
            self.named(id);
            self.replaced |= !self.artifacts.is_empty();
            self.artifacts = artifacts;
            self.stands(status)?;
        }
        if let Some(message) = message {
            (self.end, self.last) = (Some(End::Said), message.parts);
        }
        if let Some(ArtifactUpdate { task_id, artifact, append }) = artifact_update {
            self.named(task_id);
            self.grow(artifact, append);
        }
        if let Some(StatusUpdate { task_id, status }) = status_update {
            self.named(task_id);
            self.stands(status)?;
        }
        let bytes: usize = self.artifacts.iter().flat_map(|artifact| &artifact.parts).map(Part::bytes).sum();
        if bytes > WORDS_MAX || self.artifacts.len() > ARTIFACTS_MAX {
            return Err(ServiceError::TooLong(WORDS_MAX));
        }
        Ok(())
    }

    fn named(&mut self, task: String) {
        if !task.is_empty() {
            self.id = task;
        }
    }

    fn grow(&mut self, artifact: Artifact, append: bool) {
        match self.artifacts.iter_mut().find(|known| known.artifact_id == artifact.artifact_id) {
            Some(known) if append => artifact.parts.into_iter().for_each(|part| known.append(part)),
            Some(known) => {
                *known = artifact;
                self.replaced = true;
            }
            None => self.artifacts.push(artifact),
        }
    }

    fn stands(&mut self, Status { state, message }: Status) -> Result<(), ServiceError> {
        if matches!(state.as_str(), "TASK_STATE_FAILED" | "TASK_STATE_REJECTED" | "TASK_STATE_CANCELED") {
            self.id.clear();
        }
        let end = match state.as_str() {
            "TASK_STATE_COMPLETED" => End::Said,
            "TASK_STATE_INPUT_REQUIRED" => End::Asks,
            "TASK_STATE_FAILED" => return Err(ServiceError::unusable("task", "failed, the agent says")),
            "TASK_STATE_REJECTED" => return Err(ServiceError::Refused),
            "TASK_STATE_CANCELED" | "TASK_STATE_AUTH_REQUIRED" => return Err(ServiceError::NotAvailable),
            // It is on its way.
            _ => return Ok(()),
        };
        (self.end, self.last) = (Some(end), message.unwrap_or_default().parts);
        Ok(())
    }

    /// Whether nothing more comes.
    pub(super) fn is_over(&self) -> bool {
        self.end.is_some()
    }

    /// The task that the agent is still at, if there is one.
    pub(super) fn unfinished(&self) -> Option<String> {
        (!self.is_over() && !self.id.is_empty()).then(|| self.id.clone())
    }

    /// The text of the artifacts so far; none where it does not only grow.
    pub(super) fn so_far(&self) -> Option<String> {
        (!self.replaced && self.end != Some(End::Asks)).then(|| self.artifacts_text())
    }

    fn artifacts_text(&self) -> String {
        let texts = self.artifacts.iter().map(|artifact| text(&artifact.parts));
        texts.filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n\n")
    }

    /// The advice.
    pub(super) fn advice(self) -> Result<Advice, ServiceError> {
        let parts = || self.artifacts.iter().flat_map(|artifact| &artifact.parts).chain(&self.last);
        let data = parts().find(|part| part.media_type == ADVICE).and_then(|part| part.data.as_ref());
        let mut advice = match data {
            Some(data) => events::parse(data.to_string().as_bytes()).map_err(ServiceError::Unusable)?,
            None => Advice::default(),
        };
        if advice.message.trim().is_empty() {
            let (artifacts, last) = (self.artifacts_text(), text(&self.last));
            let words = if artifacts.trim().is_empty() || self.end == Some(End::Asks) { last } else { artifacts };
            advice.message = Text::cut(words.trim());
        }
        Ok(advice)
    }
}

impl Artifact {
    /// Words go on where the last ones ended, however many pieces they come in.
    fn append(&mut self, part: Part) {
        let words = self.parts.last_mut().and_then(|last| last.text.as_mut());
        if let (Some(words), Some(more)) = (words, &part.text) {
            words.push_str(more);
        } else {
            self.parts.push(part);
        }
    }
}

impl Part {
    fn bytes(&self) -> usize {
        self.text.as_ref().map_or(0, String::len)
    }
}

fn text(parts: &[Part]) -> String {
    parts.iter().filter_map(|part| part.text.as_deref()).collect()
}

/// What an error of JSON-RPC or of A2A means for the question.
fn fault(code: i64) -> ServiceError {
    match code {
        // It failed at it, and may not the next time.
        -32603 | -32006 => ServiceError::NotAvailable,
        // It understands no such question, in no attempt.
        -32700 | -32602..=-32600 | -32009..=-32001 => ServiceError::Refused,
        _ => ServiceError::unusable("error", format!("has the code {code}")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn after(sent: &[Value]) -> Result<Progress, ServiceError> {
        let mut progress = Progress::default();
        for result in sent {
            progress.take(json!({ "jsonrpc": "2.0", "id": 1, "result": result }).to_string().as_bytes())?;
        }
        Ok(progress)
    }

    fn said(sent: &[Value]) -> Result<Advice, String> {
        after(sent).and_then(Progress::advice).map_err(|error| error.to_string())
    }

    fn artifact(id: &str, text: &str, append: bool) -> Value {
        json!({ "artifactUpdate": { "artifact": { "artifactId": id, "parts": [{ "text": text }] }, "append": append } })
    }

    fn status(state: &str, text: &str) -> Value {
        let message = json!({ "role": "ROLE_AGENT", "parts": [{ "text": text }] });
        json!({ "statusUpdate": { "status": { "state": format!("TASK_STATE_{state}"), "message": message } } })
    }

    #[test]
    fn a_task_s_answer_is_the_text_of_its_artifacts_in_their_order() {
        let begun = json!({ "task": { "id": "t", "status": { "state": "TASK_STATE_SUBMITTED" } } });
        let parts =
            [begun, status("WORKING", "thinking"), artifact("a", "Sleep ", false), artifact("a", "well.", true)];
        let progress = after(&parts).unwrap();
        assert_eq!((progress.so_far().as_deref(), progress.is_over()), (Some("Sleep well."), false));
        assert_eq!(after(&parts[..1]).unwrap().unfinished().as_deref(), Some("t"));
        let [begun, working, first, second] = parts;
        let more = artifact("b", "Rest.", false);
        let advice = said(&[begun, working, first, second, more, status("COMPLETED", "done")]).unwrap();
        assert_eq!(advice, Advice::say("Sleep well.\n\nRest."));
        let replaced = [artifact("a", "No.", false), artifact("a", "Yes.", false), status("COMPLETED", "")];
        assert_eq!(after(&replaced).unwrap().so_far(), None);
        assert_eq!(said(&replaced).unwrap(), Advice::say("Yes."));
    }

    #[test]
    fn a_message_a_last_word_or_a_question_is_an_answer_too_and_data_say_more() {
        assert_eq!(said(&[json!({ "message": { "parts": [{ "text": "Hi." }] } })]).unwrap(), Advice::say("Hi."));
        assert_eq!(said(&[status("COMPLETED", "Hi.")]).unwrap(), Advice::say("Hi."));
        let asks = [artifact("a", "Half.", false), status("INPUT_REQUIRED", "Since when?")];
        assert_eq!(said(&asks).unwrap(), Advice::say("Since when?"));
        let data = |kind: &str, data: Value| {
            let parts = json!([{ "text": "Hi." }, { "data": data, "mediaType": kind }]);
            said(&[json!({ "message": { "parts": parts } })])
        };
        let advice = data(ADVICE, json!({ "confidence": 0.5, "note": "greeted" })).unwrap();
        assert_eq!((&*advice.message, advice.confidence.unwrap().get(), &*advice.note), ("Hi.", 0.5, "greeted"));
        assert!(data(ADVICE, json!({ "confidence": 7 })).unwrap_err().contains("confidence"));
        assert_eq!(data("application/json", json!({ "confidence": 7 })).unwrap(), Advice::say("Hi."));
    }

    #[test]
    fn what_is_no_answer_is_an_error_that_repeats_nothing() {
        for (sent, error) in [
            (status("FAILED", "secret"), "task: failed"),
            (status("REJECTED", "secret"), "refuses"),
            (status("CANCELED", "secret"), "not available"),
            (status("AUTH_REQUIRED", "secret"), "not available"),
            (json!({ "task": { "status": 7 } }), "must be"),
            (artifact("a", &"word ".repeat(4000), false), "longer than 16384"),
        ] {
            let told = said(std::slice::from_ref(&sent)).unwrap_err();
            assert!(told.contains(error) && !told.contains("secret"), "{sent}: {told}");
        }
        let failed =
            |code: i64| Progress::whole(json!({ "error": { "code": code } }).to_string().as_bytes()).unwrap_err();
        assert_eq!((failed(-32603), failed(-32602)), (ServiceError::NotAvailable, ServiceError::Refused));
        assert_eq!((failed(-32009), failed(-32601)), (ServiceError::Refused, ServiceError::Refused));
        assert!(failed(7).to_string().contains("has the code 7"));
        let working = json!({ "result": { "task": { "status": { "state": "TASK_STATE_WORKING" } } } }).to_string();
        assert!(matches!(Progress::whole(working.as_bytes()), Err(ServiceError::BrokenOff(_))));
    }
}
