//! Requests and answers of JSON-RPC 2.0, with the codes of A2A 1.0.

use axum::http::HeaderMap;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::super::protocol::depth;
use crate::{bus::BusError, gateway::Problem};

pub(super) const TASK_NOT_FOUND: i64 = -32001;
pub(super) const TASK_NOT_CANCELABLE: i64 = -32002;
const PUSH_NOT_SUPPORTED: i64 = -32003;
pub(super) const UNSUPPORTED_OPERATION: i64 = -32004;
pub(super) const CONTENT_TYPE_NOT_SUPPORTED: i64 = -32005;
const NO_EXTENDED_CARD: i64 = -32007;
const VERSION_NOT_SUPPORTED: i64 = -32009;
const PARSE_ERROR: i64 = -32700;
const INVALID_REQUEST: i64 = -32600;
const METHOD_NOT_FOUND: i64 = -32601;
pub(super) const INVALID_PARAMS: i64 = -32602;
const INTERNAL: i64 = -32603;

/// What is called.
pub(super) struct Call {
    pub(super) id: Value,
    pub(super) method: String,
    pub(super) params: Map<String, Value>,
}

#[derive(Deserialize)]
struct Written {
    jsonrpc: String,
    method: String,
    #[serde(default)]
    params: Map<String, Value>,
}

/// Why a call has no result.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    code: i64,
    message: String,
    of_log: bool,
}

impl Fault {
    pub(super) fn new(code: i64, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), of_log: false }
    }

    pub(super) fn internal(message: impl Into<String>) -> Self {
        Self::new(INTERNAL, message)
    }

    /// The log does not answer.
    pub(super) fn away(error: &BusError, then: &str) -> Self {
        tracing::warn!(%error, "the log does not answer a caller over A2A");
        Self { of_log: true, ..Self::internal(format!("the log does not answer now; {then}")) }
    }

    /// Whether it is that the log does not answer.
    pub(super) fn is_of_log(&self) -> bool {
        self.of_log
    }

    /// There is no place for another one.
    pub(super) fn busy(problem: Problem) -> Self {
        Self::internal(problem.into_detail())
    }

    /// A method that is not offered.
    pub(super) fn of_method(method: &str) -> Self {
        match method {
            "ListTasks" => Self::new(UNSUPPORTED_OPERATION, "tasks are not listed here; GetTask takes an id"),
            "GetExtendedAgentCard" => {
                Self::new(NO_EXTENDED_CARD, "the card at /.well-known/agent-card.json is all there is")
            }
            push if push.ends_with("PushNotificationConfig") || push.ends_with("PushNotificationConfigs") => {
                Self::new(PUSH_NOT_SUPPORTED, "nothing is pushed; SubscribeToTask goes on where a stream was cut")
            }
            _ => Self::new(METHOD_NOT_FOUND, "A2A 1.0 has no such method, or it is not offered here"),
        }
    }

    pub(super) fn response(&self, id: &Value) -> Value {
        json!({ "jsonrpc": "2.0", "id": id, "error": { "code": self.code, "message": self.message } })
    }
}

pub(super) fn result(id: &Value, result: &Value) -> Value {
    json!({ "jsonrpc": "2.0", "id": id, "result": result })
}

/// Reads a call of at most this depth; the id is told with what is wrong, as far as it can be seen.
pub(super) fn read(headers: &HeaderMap, body: &[u8], max_depth: usize) -> Result<Call, (Value, Fault)> {
    let nameless = |code, words: &str| (Value::Null, Fault::new(code, words));
    let text = std::str::from_utf8(body).map_err(|_| nameless(PARSE_ERROR, "the body must be UTF-8"))?;
    if depth(text) > max_depth {
        return Err(nameless(INVALID_REQUEST, &format!("the body's JSON must have at most {max_depth} levels")));
    }
    let value: Value = serde_json::from_str(text).map_err(|error| {
        nameless(
            PARSE_ERROR,
            &format!("the body is not JSON: look at line {}, column {}", error.line(), error.column()),
        )
    })?;
    let id = value.get("id").filter(|id| id.is_string() || id.is_number()).cloned().unwrap_or_default();
    let version = headers.get("a2a-version").and_then(|version| version.to_str().ok()).unwrap_or_default();
    if version != "1" && !version.starts_with("1.") {
        let words = "this is A2A 1.0: say so with the header A2A-Version: 1.0";
        return Err((id, Fault::new(VERSION_NOT_SUPPORTED, words)));
    }
    let bad = |words: &str| (id.clone(), Fault::new(INVALID_REQUEST, words));
    if id.is_null() {
        return Err(bad("id: must be text or a number, so that there can be an answer"));
    }
    let Written { jsonrpc, method, params } =
        serde_json::from_value(value).map_err(|_| bad("a request has jsonrpc, id, method and params, an object"))?;
    if jsonrpc != "2.0" {
        return Err(bad("jsonrpc: must be \"2.0\""));
    }
    Ok(Call { id, method, params })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(version: Option<&str>, body: &str) -> (Value, i64) {
        let mut headers = HeaderMap::new();
        if let Some(version) = version {
            headers.insert("a2a-version", version.parse().unwrap());
        }
        match read(&headers, body.as_bytes(), 4) {
            Ok(_) => (json!("none"), 0),
            Err((id, fault)) => (id, fault.code),
        }
    }

    #[test]
    fn a_call_is_read_or_its_fault_has_its_code_and_its_id() {
        let good = r#"{"jsonrpc":"2.0","id":7,"method":"GetTask","params":{"id":"t"}}"#;
        assert_eq!(fault(Some("1.0"), good), (json!("none"), 0));
        assert_eq!(fault(None, good), (json!(7), VERSION_NOT_SUPPORTED));
        assert_eq!(fault(Some("0.3"), good), (json!(7), VERSION_NOT_SUPPORTED));
        for (body, id, code) in [
            ("{", json!(null), PARSE_ERROR),
            ("[[[[[1]]]]]", json!(null), INVALID_REQUEST),
            ("[]", json!(null), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","method":"GetTask"}"#, json!(null), INVALID_REQUEST),
            (r#"{"jsonrpc":"1.0","id":"a","method":"GetTask"}"#, json!("a"), INVALID_REQUEST),
            (r#"{"jsonrpc":"2.0","id":"a","method":"GetTask","params":[]}"#, json!("a"), INVALID_REQUEST),
        ] {
            assert_eq!(fault(Some("1.0"), body), (id, code), "{body}");
        }
    }
}
