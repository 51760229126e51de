//! What the parameters of a call may be. A message is text for an agent; who says it is in the token and nowhere else.

use auren_agents::{AgentId, InboxRecord, Text, Timestamp, UserId};
use serde_json::{Map, Value};

use super::rpc::{CONTENT_TYPE_NOT_SUPPORTED, Fault, INVALID_PARAMS};
use crate::client;

/// What somebody says.
pub(super) struct Message {
    /// The client's own id of it: sent again it is the same message.
    id: Text<128>,
    text: Text<4096>,
    pub(super) context: Option<String>,
    pub(super) task: Option<String>,
}

fn bad(words: impl Into<String>) -> Fault {
    Fault::new(INVALID_PARAMS, words)
}

impl Message {
    pub(super) fn of(params: &Map<String, Value>) -> Result<Self, Fault> {
        let message = params.get("message").and_then(Value::as_object).ok_or_else(|| bad("message: must be there"))?;
        let field = |name: &str| message.get(name).and_then(Value::as_str).filter(|text| !text.is_empty());
        if field("role").is_some_and(|role| role != "ROLE_USER") {
            return Err(bad("message.role: must be ROLE_USER"));
        }
        let id = field("messageId").ok_or_else(|| bad("message.messageId: must be there"))?;
        let id = Text::new(id).map_err(|unfit| bad(format!("message.messageId: {unfit}")))?;
        let parts =
            message.get("parts").and_then(Value::as_array).ok_or_else(|| bad("message.parts: must be there"))?;
        let mut texts = Vec::with_capacity(parts.len());
        for part in parts {
            let text = part
                .get("text")
                .and_then(Value::as_str)
                .ok_or_else(|| Fault::new(CONTENT_TYPE_NOT_SUPPORTED, "message.parts: only text can be read here"))?;
            texts.push(text);
        }
        let text = texts.join("\n");
        if text.trim().is_empty() {
            return Err(bad("message.parts: must say something"));
        }
        let text = Text::new(text).map_err(|unfit| bad(format!("message.parts: {unfit}")))?;
        let named = |name: &str| field(name).map(ToOwned::to_owned);
        Ok(Self { id, text, context: named("contextId"), task: named("taskId") })
    }

    pub(super) fn record(self, user: UserId, to: Option<AgentId>) -> InboxRecord {
        client::message(user, self.text, to, Some(self.id), Timestamp::now())
    }
}

/// The task that is named.
pub(super) fn task(params: &Map<String, Value>) -> Result<String, Fault> {
    let id = params.get("id").and_then(Value::as_str).ok_or_else(|| bad("id: must name a task"))?;
    Ok(id.to_owned())
}

/// Whether a task is to be shown with its message: as many messages as are wanted, where that is said.
pub(super) fn history(asked: Option<&Value>) -> Option<u64> {
    asked?.get("historyLength")?.as_u64()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_is_text_with_an_id_of_its_own() {
        let of = |message: Value| Message::of(json!({ "message": message }).as_object().unwrap());
        let good =
            of(json!({ "messageId": "m", "role": "ROLE_USER", "parts": [{ "text": "May I" }, { "text": "train?" }] }));
        let good = good.ok().unwrap();
        assert_eq!((&*good.text, &*good.id, good.task), ("May I\ntrain?", "m", None));
        for (message, words) in [
            (json!({ "parts": [{ "text": "hi" }] }), "messageId"),
            (json!({ "messageId": "m" }), "parts"),
            (json!({ "messageId": "m", "parts": [] }), "say something"),
            (json!({ "messageId": "m", "parts": [{ "text": "x".repeat(5000) }] }), "parts"),
            (json!({ "messageId": "m", "role": "ROLE_AGENT", "parts": [{ "text": "hi" }] }), "role"),
            (json!({ "messageId": "m", "parts": [{ "url": "file:///etc/passwd" }] }), "only text"),
        ] {
            let fault = of(message.clone()).err().unwrap();
            assert!(format!("{fault:?}").contains(words), "{message}: {fault:?}");
        }
        assert!(Message::of(&Map::new()).is_err());
    }
}
