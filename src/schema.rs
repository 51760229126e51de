//! JSON Schema of every public record, made from the types that read them, so that the two cannot differ.
//!
//! A schema says what a reader accepts. Unknown fields are allowed wherever a record carries them on.

use auren_agents::{Advice, BiometricEvent, Consult, ConversationEvent, InboxRecord, SystemEvent, TriggerEvent};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

use crate::{
    bus::Topic,
    intake::{PlainReading, SealedReading},
};

/// The schema of one record.
#[derive(Debug, Clone, PartialEq)]
pub struct RecordSchema {
    /// What it is the schema of: a topic's name; `plain-reading` for what people give to `auren send reading`; `consult` and
    /// `advice` for what agents in other processes are asked and answer.
    pub name: &'static str,
    /// JSON Schema, draft 2020-12.
    pub schema: Value,
}

impl RecordSchema {
    /// The name of its file, such as `health.biometrics.schema.json`.
    #[must_use]
    pub fn file_name(&self) -> String {
        format!("{}.schema.json", self.name)
    }

    /// The file's text, the same for the same version of AUREN.
    #[must_use]
    pub fn text(&self) -> String {
        format!("{:#}\n", self.schema)
    }
}

/// The schema of every record, in the order of the river.
#[must_use]
pub fn all() -> Vec<RecordSchema> {
    vec![
        of::<PlainReading>("plain-reading"),
        of::<SealedReading>(Topic::Readings.name()),
        of::<BiometricEvent>(Topic::Biometrics.name()),
        of::<TriggerEvent>(Topic::Triggers.name()),
        of::<InboxRecord>(Topic::Inbox.name()),
        of::<ConversationEvent>(Topic::Events.name()),
        of::<SystemEvent>(Topic::System.name()),
        of::<Consult>("consult"),
        of::<Advice>("advice"),
    ]
}

fn of<T: JsonSchema>(name: &'static str) -> RecordSchema {
    let mut made = SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value();
    as_prose(&mut made);
    let mut schema = Map::new();
    if let Value::Object(mut fields) = made {
        fields.insert("$id".to_owned(), format!("urn:auren:schema:{name}:v1").into());
        // What a reader looks for first comes first.
        for first in ["$schema", "$id", "title", "description"] {
            schema.extend(fields.shift_remove(first).map(|value| (first.to_owned(), value)));
        }
        schema.append(&mut fields);
    }
    RecordSchema { name, schema: schema.into() }
}

/// Descriptions come from Rust's documentation, whose links lead nowhere from a schema and whose lines are the source's.
pub(crate) fn as_prose(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            for (name, field) in fields {
                match field {
                    Value::String(text) if name == "description" => {
                        *text = text.replace("[`", "`").replace("`]", "`").replace('\n', " ");
                    }
                    other => as_prose(other),
                }
            }
        }
        Value::Array(items) => items.iter_mut().for_each(as_prose),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use auren_agents::events;
    use serde::{Serialize, de::DeserializeOwned};

    use super::*;

    const BIOMETRIC: &str = r#"{"event_id":"uuid","user_id":"user_hash","event_type":"hrv_measurement","token":"TOKENIZED_PHI","metadata":{"percentile_rank":0.15,"severity_score":0.85,"trend":"declining_3_days","statistical_summary":{"mean":48.3,"stddev":5.2},"timestamp_iso":"2024-01-01T10:00:00Z","source_device":"Apple Watch","measurement_context":"morning"},"timestamp":"2024-01-01T10:00:00Z"}"#;
    const TRIGGER: &str = r#"{"trigger_id":"uuid","user_id":"user_hash","trigger_type":"hrv_drop","severity":0.8,"context_window":["event1","event2"],"recommended_agents":["neuroscientist","coach"],"message":"HRV dropped 25% below baseline","timestamp":"2024-01-01T10:00:00Z"}"#;

    fn comes_out_as_it_went_in<T: Serialize + DeserializeOwned>(json: &str) -> Value {
        let event: T = events::parse(json.as_bytes()).unwrap();
        let read: Value = serde_json::from_str(json).unwrap();
        assert_eq!(serde_json::to_value(&event).unwrap(), read);
        read
    }

    /// What a schema says about the structure: required fields are there, and every field is described.
    fn suits(schema: &Value, root: &Value, value: &Value, at: &str) {
        let schema = match schema.get("$ref").and_then(Value::as_str) {
            Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
            None => schema,
        };
        for required in schema["required"].as_array().into_iter().flatten() {
            assert!(value.get(required.as_str().unwrap()).is_some(), "{at} lacks {required}");
        }
        for (name, field) in value.as_object().into_iter().flatten() {
            let described = schema["properties"].get(name).unwrap_or_else(|| panic!("{at}.{name} is not described"));
            let described = described.get("anyOf").map_or(described, |choices| &choices[0]);
            suits(described, root, field, &format!("{at}.{name}"));
        }
    }

    #[test]
    fn the_documents_of_the_contract_parse_as_they_stand_and_suit_their_schemas() {
        let schemas = all();
        let schema = |name: &str| &schemas.iter().find(|schema| schema.name == name).unwrap().schema;
        let biometric = comes_out_as_it_went_in::<BiometricEvent>(BIOMETRIC);
        suits(schema("health.biometrics"), schema("health.biometrics"), &biometric, "biometric");
        let trigger = comes_out_as_it_went_in::<TriggerEvent>(TRIGGER);
        suits(schema("triggers.detected"), schema("triggers.detected"), &trigger, "trigger");
    }

    #[test]
    fn every_record_has_a_schema_with_an_id_a_title_and_its_bounds() {
        for RecordSchema { name, schema } in all() {
            assert_eq!(schema["$id"], format!("urn:auren:schema:{name}:v1"));
            assert!(schema["title"].is_string() && schema["description"].is_string(), "{name}");
            assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
            assert!(!schema.to_string().contains("[`"), "{name} has a link of the documentation in it");
        }
        let trigger = of::<TriggerEvent>("t").schema;
        assert_eq!(trigger["properties"]["severity"]["maximum"], 1);
        assert_eq!(trigger["properties"]["recommended_agents"]["minItems"], 1);
        assert_eq!(trigger["required"].as_array().unwrap().len(), 8);
    }
}
