//! What is done about one person's sealed values: `POST /v1/detokenize` opens tokens for a purpose, and
//! `DELETE /v1/users/{user}` erases somebody.

use std::sync::Arc;

use auren_agents::{SystemEvent, Text, UserId};
use axum::{
    Json, Router,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    routing::{delete, post},
};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{Access, Part, Problem};
use crate::{
    bus::SharedBus,
    config::Scope,
    erase::erase,
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
    pub access: Access,
    /// How much.
    pub caps: Caps,
    /// The node, for receipts.
    pub node: String,
}

/// Tokens to be opened.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "Detokenize")]
pub(super) struct Request {
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
        let detail = json!({ "by": actor, "tokens": request.tokens.len() });
        let event = SystemEvent::now("glass_broken", actor, &self.node, detail);
        if let Err(error) = self.bus.publish_all(vec![wire::outgoing(&event)]).await {
            tracing::warn!(%error, "that the glass was broken could not be told on the bus; the audit has it");
        }
    }
}

async fn open(State(people): State<Arc<People>>, headers: HeaderMap, body: Bytes) -> Result<Json<Value>, Problem> {
    let request: Request = auren_agents::events::parse(&body)
        .map_err(|rejected| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, rejected.to_string()))?;
    let caller = people.access.may(&headers, Scope::Detokenize(request.purpose)).await?;
    let ask = Ask {
        actor: &caller,
        purpose: request.purpose,
        mask: request.mask.unwrap_or(Mask::Bucket),
        reason: request.reason.as_deref(),
    };
    let answers = detokenise(&people.keys, &people.caps, ask, &request.tokens).await.map_err(|why| denied(&why))?;
    if request.purpose == Purpose::BreakGlass {
        people.shout(&caller, &request).await;
    }
    let results: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer {
            Ok(told) => json!(told),
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
    let caller = people.access.may(&headers, Scope::Erase).await?;
    let user =
        UserId::new(user).map_err(|unfit| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, format!("user: {unfit}")))?;
    let receipt = erase(&people.keys, &*people.bus, &people.node, &caller, &user).await;
    receipt.map(Json).map_err(|error| {
        let cause = std::error::Error::source(&error).map(ToString::to_string);
        tracing::error!(%error, cause, "a person could not be erased");
        Problem::new(StatusCode::SERVICE_UNAVAILABLE, error.to_string())
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
