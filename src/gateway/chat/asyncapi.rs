//! `auren.v1` as an AsyncAPI 3 document, made from the types of its frames, so that the two cannot differ.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::State,
    http::{HeaderName, header::CONTENT_TYPE},
};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::{
    Chat,
    protocol::{ClientFrame, Close, SUBPROTOCOL, ServerFrame},
};
use crate::schema::as_prose;

static PLAIN: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document("ws")));
static OVER_TLS: LazyLock<String> = LazyLock::new(|| format!("{:#}\n", document("wss")));

/// `GET /asyncapi.json`.
pub(super) async fn show(State(chat): State<Arc<Chat>>) -> ([(HeaderName, &'static str); 1], &'static str) {
    ([(CONTENT_TYPE, "application/json")], if chat.tls { &OVER_TLS } else { &PLAIN })
}

fn document(protocol: &str) -> Value {
    let settings = SchemaSettings::draft07().with(|settings| settings.definitions_path = "/components/schemas".into());
    let mut schemas = settings.into_generator();
    let says = messages::<ServerFrame<'_>>(&mut schemas);
    let hears = messages::<ClientFrame>(&mut schemas);
    let refer = |to: &str, messages: &[(String, Value)]| -> Vec<Value> {
        messages.iter().map(|(name, _)| json!({ "$ref": format!("#/{to}/{name}") })).collect()
    };
    let of_channel = "channels/chat/messages";
    let (server, client) = (refer(of_channel, &says), refer(of_channel, &hears));
    let all: Vec<_> = says.into_iter().chain(hears).collect();
    let channel: Map<_, _> = all
        .iter()
        .map(|(name, _)| (name.clone(), json!({ "$ref": format!("#/components/messages/{name}") })))
        .collect();
    let closes =
        Close::ALL.iter().map(|why| format!("{}: {}", why.code(), why.reason())).collect::<Vec<_>>().join("; ");
    let mut document = json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "AUREN chat",
            "version": SUBPROTOCOL,
            "description": format!(
                "JSON text frames over a WebSocket of the subprotocol {SUBPROTOCOL}. Close codes 4000 to 4499: come back, after \
                 a random pause; 4500 to 4999: do not come back like that. {closes}."
            ),
        },
        "defaultContentType": "application/json",
        "servers": { "node": {
            "host": "127.0.0.1:8420", "protocol": protocol, "description": "A node, at its `http.address`, or a proxy in front of it.",
            "security": [{ "$ref": "#/components/securitySchemes/token" }, { "$ref": "#/components/securitySchemes/ticket" }],
        } },
        "channels": { "chat": {
            "address": "/v1/ws",
            "title": "One person's conversation",
            "messages": channel,
            "bindings": { "ws": {
                "method": "GET",
                "query": { "type": "object", "properties": {
                    "after": { "type": "string", "description": "Go on behind this cursor, or with the `earliest` that is kept; what comes from now on where it is missing." },
                    "ticket": { "type": "string", "description": "Of `POST /v1/ws-ticket`, instead of a token." },
                } },
                "bindingVersion": "0.1.0",
            } },
        } },
        "operations": {
            "says": {
                "action": "send", "channel": { "$ref": "#/channels/chat" }, "messages": server,
                "summary": "What the server says.",
            },
            "hears": {
                "action": "receive", "channel": { "$ref": "#/channels/chat" }, "messages": client,
                "summary": "What a client says.",
            },
        },
        "components": {
            "messages": all.into_iter().collect::<Map<_, _>>(),
            "schemas": schemas.take_definitions(true),
            "securitySchemes": {
                "token": {
                    "type": "http", "scheme": "bearer", "bearerFormat": "JWT",
                    "description": "A JSON Web Token with the scope `chat`; its `sub` is the person.",
                },
                "ticket": { "type": "httpApiKey", "in": "query", "name": "ticket", "description": "Good once, within 30 s." },
            },
        },
    });
    as_prose(&mut document);
    document
}

/// A message for each kind of frame, by its name.
fn messages<T: JsonSchema>(schemas: &mut SchemaGenerator) -> Vec<(String, Value)> {
    let frames = T::json_schema(schemas).to_value();
    let kinds = frames.get("oneOf").and_then(Value::as_array).cloned().unwrap_or_default();
    let message = |mut payload: Value| {
        let name = payload["properties"]["type"]["const"].as_str().unwrap_or_default().to_owned();
        let summary = payload.as_object_mut().and_then(|payload| payload.shift_remove("description"));
        (name.clone(), json!({ "name": name, "title": name, "summary": summary, "payload": payload }))
    };
    kinds.into_iter().map(message).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_frame_is_described_and_every_reference_leads_somewhere() {
        let document = document("ws");
        let names: Vec<_> =
            document["components"]["messages"].as_object().unwrap().keys().map(String::as_str).collect();
        let frames = [
            "hello", "event", "status", "delta", "reset", "ack", "marked", "gap", "pong", "error", "send", "stop",
            "seen", "ping",
        ];
        assert_eq!(names, frames);
        let text = document.to_string();
        for reference in text.split("\"$ref\":\"#").skip(1).filter_map(|rest| rest.split('"').next()) {
            assert!(document.pointer(reference).is_some(), "{reference} leads nowhere");
        }
        for (name, message) in document["components"]["messages"].as_object().unwrap() {
            assert!(message["summary"].is_string(), "{name}");
            for (field, schema) in message["payload"]["properties"].as_object().unwrap() {
                let told = field == "type" || schema["description"].is_string();
                assert!(told, "{name}.{field} is not described");
            }
        }
    }
}
