//! The OpenAPI document of every HTTP route of any node, made from the types that the routes read and write. [`routes`] lists
//! them, [`shapes`] says what answers look like that are put together field by field.
//!
//! One document for all nodes: which parts a node has follows from its configuration.

mod routes;
mod shapes;

use axum::{Json, Router, routing::get};
use schemars::{JsonSchema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use super::Part;

/// What the parts of the API are for.
const TAGS: &[(&str, &str)] = &[
    ("node", "Whether the node lives, whether it can work, and what it has done."),
    ("readings", "Measured values come in."),
    ("people", "Sealed values are opened for a purpose, and people are erased."),
    ("chat", "A person's conversation: a WebSocket, and the same events without one."),
    ("a2a", "The same conversation for agents and clients that speak A2A 1.0."),
    ("history", "What happened, from the database."),
    ("operators", "What the hub does and how it fares, for its operators."),
    ("pages", "The pages that the node serves, and what describes it."),
];

const ABOUT: &str = "Whoever asks shows a token: `Authorization: Bearer TOKEN`. Its scopes say what it allows; each operation \
                     names the one it needs. What is wrong is told as problem details (RFC 9457).";

/// The document.
#[must_use]
pub fn document() -> Value {
    let mut book = Book::new();
    routes::all(&mut book);
    book.document()
}

/// `GET /openapi.json`.
#[must_use]
pub fn part() -> Part {
    let document = document();
    Part(Router::new().route("/openapi.json", get(move || std::future::ready(Json(document)))))
}

/// The document in the making.
struct Book {
    /// For what is named and used more than once.
    named: SchemaGenerator,
    /// For what stands in its place.
    inline: SchemaGenerator,
    paths: Map<String, Value>,
}

/// One operation in the making.
struct Operation<'a> {
    book: &'a mut Book,
    path: &'static str,
    method: &'static str,
    parameters: Vec<Value>,
    answers: Map<String, Value>,
    fields: Map<String, Value>,
}

impl Book {
    fn new() -> Self {
        let mut settings = SchemaSettings::draft2020_12();
        settings.meta_schema = None;
        let mut inline = settings.clone();
        inline.inline_subschemas = true;
        settings.definitions_path = "/components/schemas".into();
        Self { named: settings.into_generator(), inline: inline.into_generator(), paths: Map::new() }
    }

    /// An operation that anybody may ask for.
    fn open(&mut self, method: &'static str, path: &'static str, tag: &str, id: &str, summary: &str) -> Operation<'_> {
        let mut fields = Map::new();
        for (name, value) in
            [("operationId", json!(id)), ("summary", json!(summary)), ("tags", json!([tag])), ("security", json!([]))]
        {
            fields.insert(name.to_owned(), value);
        }
        Operation { book: self, path, method, parameters: Vec::new(), answers: Map::new(), fields }
    }

    fn document(mut self) -> Value {
        let problem = self.schema::<shapes::Problem>();
        let mut schemas = self.named.take_definitions(true);
        for schema in schemas.values_mut() {
            crate::schema::as_prose(schema);
        }
        let problems = json!({ "application/problem+json": { "schema": problem } });
        json!({
            "openapi": "3.1.0",
            "info": {
                "title": "AUREN",
                "version": env!("CARGO_PKG_VERSION"),
                "description": ABOUT,
                "license": { "name": "Apache-2.0", "identifier": "Apache-2.0" },
            },
            "servers": [{ "url": "/", "description": "The node that this document came from." }],
            "tags": TAGS.iter().map(|(name, about)| json!({ "name": name, "description": about })).collect::<Vec<_>>(),
            "paths": self.paths,
            "components": {
                "schemas": schemas,
                "responses": { "Problem": { "description": "What is wrong.", "content": problems } },
                "securitySchemes": { "token": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT" } },
            },
        })
    }

    fn schema<T: JsonSchema>(&mut self) -> Value {
        let mut schema = self.named.subschema_for::<T>().to_value();
        crate::schema::as_prose(&mut schema);
        schema
    }
}

impl Operation<'_> {
    /// Only whoever has the scope may ask.
    fn scope(mut self, scope: &str) -> Self {
        self.fields.insert("security".to_owned(), json!([{ "token": [] }]));
        self.fields.insert("description".to_owned(), format!("Needs the scope {scope}.").into());
        self.problem("401", "Nobody knows who asks.").problem("403", "The token does not allow it.")
    }

    /// What its address takes behind the `?`.
    fn query<T: JsonSchema>(mut self) -> Self {
        let mut schema = self.book.inline.subschema_for::<T>().to_value();
        crate::schema::as_prose(&mut schema);
        let required: Vec<_> = schema["required"].as_array().cloned().unwrap_or_default();
        let Some(properties) = schema["properties"].as_object() else { return self };
        for (name, property) in properties {
            let mut property = property.clone();
            let about = property.as_object_mut().and_then(|fields| fields.remove("description"));
            let required = required.iter().any(|one| one == name);
            let mut parameter = json!({ "name": name, "in": "query", "required": required, "schema": property });
            if let (Some(about), Some(fields)) = (about, parameter.as_object_mut()) {
                fields.insert("description".to_owned(), about);
            }
            self.parameters.push(parameter);
        }
        self.problem("400", "What is asked cannot be asked.")
    }

    /// A part of its path.
    fn place(mut self, name: &str, about: &str) -> Self {
        let schema = json!({ "type": "string", "minLength": 1 });
        self.parameters
            .push(json!({ "name": name, "in": "path", "required": true, "description": about, "schema": schema }));
        self
    }

    /// What it takes as its body.
    fn takes<T: JsonSchema>(mut self, medium: &str) -> Self {
        let schema = self.book.schema::<T>();
        let body = self.fields.entry("requestBody").or_insert_with(|| json!({ "required": true, "content": {} }));
        body["content"][medium] = json!({ "schema": schema });
        self
    }

    /// Takes text of this kind as well.
    fn takes_text(mut self, medium: &str) -> Self {
        let body = self.fields.entry("requestBody").or_insert_with(|| json!({ "required": true, "content": {} }));
        body["content"][medium] = json!({ "schema": { "type": "string" } });
        self
    }

    /// Answers JSON with this status.
    fn json<T: JsonSchema>(mut self, status: &str, about: &str) -> Self {
        let schema = self.book.schema::<T>();
        let content = json!({ "application/json": { "schema": schema } });
        self.answers.insert(status.to_owned(), json!({ "description": about, "content": content }));
        self
    }

    /// Answers something else.
    fn text(mut self, status: &str, medium: &str, about: &str) -> Self {
        let content = json!({ medium: { "schema": { "type": "string" } } });
        self.answers.insert(status.to_owned(), json!({ "description": about, "content": content }));
        self
    }

    /// Answers nothing but its head.
    fn bare(mut self, status: &str, about: &str) -> Self {
        self.answers.insert(status.to_owned(), json!({ "description": about }));
        self
    }

    /// Says so what is wrong.
    fn problem(mut self, status: &str, about: &str) -> Self {
        let answer = json!({ "$ref": "#/components/responses/Problem", "description": about });
        self.answers.entry(status).or_insert(answer);
        self
    }

    /// It belongs to the document.
    fn done(mut self) {
        self.answers.sort_keys();
        if !self.parameters.is_empty() {
            self.fields.insert("parameters".to_owned(), self.parameters.into());
        }
        self.fields.insert("responses".to_owned(), self.answers.into());
        let path = self.book.paths.entry(self.path).or_insert_with(|| json!({}));
        path[self.method] = self.fields.into();
    }
}
