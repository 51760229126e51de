//! What is done about one person's sealed values: `POST /v1/detokenize` opens tokens for a purpose, and
//! `DELETE /v1/users/{user}` erases somebody.

use std::sync::Arc;

use auren_agents::{EventId, SystemEvent, Text, Timestamp, UserId};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{delete, post},
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::{Callers, Part, Problem};
use crate::{
    bus::SharedBus,
    config::Scope,
    erase::{EraseError, erase},
    phi::{
        KeyError, Keys,
        detokenise::{Ask, Caps, Denied, Item, Mask, Purpose, detokenise},
    },
    wire,
};

/// What opens and erases.
#[derive(Debug)]
pub struct People {
    /// Whose bus and keys.
    pub bus: SharedBus,
    /// The keys.
    pub keys: Keys,
    /// Who may ask.
    pub callers: Callers,
    /// How much.
    pub caps: Caps,
    /// The node, for receipts.
    pub node: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Request {
    tokens: Vec<Item>,
    purpose: Purpose,
    #[serde(default)]
    mask: Option<Mask>,
    #[serde(default)]
    reason: Option<Text<512>>,
}

impl People {
    /// Its routes.
    #[must_use]
    pub fn part(self) -> Part {
        let routes = Router::new().route("/v1/detokenize", post(open)).route("/v1/users/{user}", delete(forget));
        Part(routes.with_state(Arc::new(self)))
    }

    /// An emergency is no secret: every log and every reader of `system.events` hears of it.
    async fn shout(&self, actor: &str, request: &Request) {
        tracing::error!(
            actor,
            tokens = request.tokens.len(),
            "the glass was broken: values were opened in an emergency"
        );
        let timestamp = Timestamp::now();
        let detail = json!({ "by": actor, "tokens": request.tokens.len() });
        let event = SystemEvent {
            event_id: EventId::derived(&["glass_broken", actor, timestamp.as_str()]),
            event_type: Text::cut("glass_broken"),
            node: Text::cut(self.node.as_str()),
            user_id: None,
            detail: detail.as_object().cloned().unwrap_or_default(),
            timestamp,
            extra: Map::new(),
        };
        if !matches!(self.bus.publish(vec![wire::outgoing(&event)]).await.as_slice(), [Ok(_)]) {
            tracing::warn!("that the glass was broken could not be told on the bus; the audit has it");
        }
    }
}

async fn open(State(people): State<Arc<People>>, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, Problem> {
    let request: Request = auren_agents::events::parse(&body)
        .map_err(|rejected| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, rejected.to_string()))?;
    let caller = people.callers.caller(&headers, Scope::Detokenize(request.purpose))?;
    let ask = Ask {
        actor: &caller.name,
        purpose: request.purpose,
        mask: request.mask.unwrap_or(Mask::Bucket),
        reason: request.reason.as_deref(),
    };
    let answers = detokenise(&people.keys, &people.caps, ask, &request.tokens).await.map_err(|why| denied(&why))?;
    if request.purpose == Purpose::BreakGlass {
        people.shout(&caller.name, &request).await;
    }
    let results: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer {
            Ok(told) => json!({ "measure": told.measure, "value": told.value, "unit": told.unit }),
            Err(unopened) => json!({ "code": unopened.class(), "error": unopened.to_string() }),
        })
        .collect();
    Ok(Json(json!({ "purpose": ask.purpose, "mask": ask.mask, "results": results })))
}

async fn forget(
    State(people): State<Arc<People>>,
    headers: HeaderMap,
    Path(user): Path<String>,
) -> Result<Json<SystemEvent>, Problem> {
    let caller = people.callers.caller(&headers, Scope::Erase)?;
    let user =
        UserId::new(user).map_err(|unfit| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("user: {unfit}")))?;
    let receipt = erase(&people.keys, &*people.bus, &people.node, &caller.name, &user).await;
    receipt.map(Json).map_err(|error| {
        tracing::error!(%error, "a person could not be erased");
        let words = match error {
            EraseError::Keys(_) => "nothing was erased; ask again",
            EraseError::Bus(_) => "the data key is destroyed, but the hub could not be told; ask again",
        };
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, words)
    })
}

fn denied(why: &Denied) -> Problem {
    let status = match why {
        Denied::TooMany(_) => StatusCode::PAYLOAD_TOO_LARGE,
        Denied::TooFine(_) => StatusCode::FORBIDDEN,
        Denied::NoReason => StatusCode::UNPROCESSABLE_ENTITY,
        Denied::Capped(_) => StatusCode::TOO_MANY_REQUESTS,
        Denied::Keys(error) => return unavailable(error),
    };
    Problem::new(status, why.to_string())
}

fn unavailable(error: &KeyError) -> Problem {
    tracing::error!(%error, "tokens could not be opened");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "keys or audit are not to be had now; nothing was opened")
}
