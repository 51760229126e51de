//! `POST /v1/readings`: measured values in the clear come in, one, a list, or one a line (NDJSON), and are answered for one
//! by one once the bus has each.

use std::sync::Arc;

use auren_agents::events;
use axum::{
    Json, Router,
    body::Bytes,
    extract::{DefaultBodyLimit, State},
    http::{HeaderMap, StatusCode, header::CONTENT_TYPE},
    routing::post,
};
use serde_json::{Value, json};

use super::{Access, Part, Problem};
use crate::{
    config::Scope,
    intake::{Intake, PlainReading, Taken, Untaken},
    trace::{self, Kind},
    wearable::Row,
    wire::TRACEPARENT,
};

/// The largest body.
const BODY_BYTES: usize = 8 * 1024 * 1024;
/// Most readings of one call.
const READINGS_MAX: usize = 10_000;

/// What takes readings in.
#[derive(Debug)]
pub struct Readings {
    intake: Intake,
    access: Access,
}

impl Readings {
    /// Takes readings in of whoever may send them.
    #[must_use]
    pub fn new(intake: Intake, access: Access) -> Self {
        Self { intake, access }
    }

    /// Its routes.
    #[must_use]
    pub fn part(self) -> Part {
        let routes = Router::new().route("/v1/readings", post(take)).layer(DefaultBodyLimit::max(BODY_BYTES));
        Part(routes.with_state(Arc::new(self)))
    }
}

async fn take(
    State(readings): State<Arc<Readings>>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<(StatusCode, Json<Value>), Problem> {
    let caller = readings.access.may(&headers, Scope::Readings).await?;
    let documents = documents(&headers, &body)?;
    if documents.len() > READINGS_MAX {
        return Err(Problem::new(StatusCode::PAYLOAD_TOO_LARGE, format!("at most {READINGS_MAX} readings a call")));
    }
    let (mut rows, mut read) = (Vec::new(), Vec::with_capacity(documents.len()));
    for document in &documents {
        let row = events::parse::<PlainReading>(document).and_then(PlainReading::into_row);
        read.push(row.map(|row: Row| rows.push(row)).map_err(|rejected| rejected.to_string()));
    }
    let came = headers.get(TRACEPARENT).and_then(|header| header.to_str().ok()).filter(|came| came.len() <= 128);
    let step = trace::step(came, Kind::Server, || "POST /v1/readings".into());
    let goes_on = step.as_ref().map(|step| step.place().header()).or_else(|| came.map(str::to_owned));
    let mut answers = readings.intake.of_trace(goes_on).take(&caller, &rows).await.into_iter();
    drop(step);
    let mut away = false;
    let results: Vec<_> = read
        .into_iter()
        .map(|one| match one {
            Err(error) => json!({ "error": error }),
            Ok(()) => told(answers.next(), &mut away),
        })
        .collect();
    let none = !results.iter().any(|result| result.get("cursor").is_some());
    let status = match (none && !results.is_empty(), away) {
        (true, true) => StatusCode::SERVICE_UNAVAILABLE,
        (true, false) => StatusCode::UNPROCESSABLE_ENTITY,
        (false, _) => StatusCode::OK,
    };
    Ok((status, Json(json!({ "results": results }))))
}

fn told(answer: Option<Result<Taken, Untaken>>, away: &mut bool) -> Value {
    match answer {
        Some(Ok(taken)) => json!({ "event_id": taken.event_id, "cursor": taken.cursor.to_string() }),
        Some(Err(untaken)) if untaken.is_of_the_reading() => json!({ "error": untaken.to_string() }),
        // Where the bus and the keyring are, is the operator's business.
        other => {
            if let Some(Err(error)) = other
                && !*away
            {
                tracing::warn!(%error, "readings were not taken");
            }
            *away = true;
            json!({ "error": "was not taken; send it again, which makes it no second one" })
        }
    }
}

/// The documents of a body: lines of NDJSON, the elements of a list, or the one object.
fn documents(headers: &HeaderMap, body: &[u8]) -> Result<Vec<Vec<u8>>, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or("application/json");
    if kind.starts_with("application/x-ndjson") {
        let lines = body.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty());
        return Ok(lines.map(<[u8]>::to_vec).collect());
    }
    if !kind.starts_with("application/json") {
        let words = "send application/json (one reading or a list) or application/x-ndjson (one a line)";
        return Err(Problem::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, words));
    }
    if body.trim_ascii_start().first() != Some(&b'[') {
        return Ok(vec![body.to_vec()]);
    }
    let list: Vec<Value> = serde_json::from_slice(body).map_err(|error| {
        let place = format!("is not JSON: look at line {}, column {}", error.line(), error.column());
        Problem::new(StatusCode::BAD_REQUEST, place)
    })?;
    Ok(list.iter().map(|value| value.to_string().into_bytes()).collect())
}
