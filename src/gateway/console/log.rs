//! What the bus tells: how far topics reach, how far the roles' groups are and who works in them, and which rules spoke in
//! the last minutes.

use std::sync::Arc;

use axum::{Json, extract::State, http::HeaderMap};
use schemars::JsonSchema;
use serde::Serialize;

use super::Console;
use crate::{
    bus::BusError,
    config::Role,
    gateway::Problem,
    inspect::{
        lag::{self, GroupSeen},
        recent::{self, Recent},
        topics::{self, TopicSeen},
        written,
    },
};

/// How many minutes of triggers are shown.
const MINUTES: usize = 15;

/// Topics and groups at one moment.
#[derive(Debug)]
pub(super) struct Log {
    topics: TopicsSeen,
    groups: GroupsSeen,
}

/// The topics at one moment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::gateway) struct TopicsSeen {
    /// When the bus was asked.
    at: String,
    /// Those that exist, in the order of the river.
    topics: Vec<TopicSeen>,
}

/// The groups at one moment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub(in crate::gateway) struct GroupsSeen {
    /// When the bus was asked.
    at: String,
    /// Those of the roles on lanes.
    groups: Vec<GroupSeen>,
}

impl Console {
    async fn log(&self) -> Result<Arc<Log>, Problem> {
        let ask = async {
            let at = written(chrono::Utc::now().timestamp_millis());
            let topics = topics::topics(&self.bus).await?;
            let groups = futures::future::try_join_all(Role::ON_LANES.iter().map(|role| lag::group(&self.bus, *role)));
            let groups = groups.await?;
            let topics = TopicsSeen { at: at.clone(), topics };
            Ok::<_, BusError>(Log { topics, groups: GroupsSeen { at, groups } })
        };
        self.log.get(self.in_time(ask)).await
    }
}

/// `GET /v1/ops/topics`.
pub(super) async fn topics(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
) -> Result<Json<TopicsSeen>, Problem> {
    console.operator(&headers).await?;
    Ok(Json(console.log().await?.topics.clone()))
}

/// `GET /v1/ops/groups`.
pub(super) async fn groups(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
) -> Result<Json<GroupsSeen>, Problem> {
    console.operator(&headers).await?;
    Ok(Json(console.log().await?.groups.clone()))
}

/// `GET /v1/ops/triggers`.
pub(super) async fn triggers(State(console): State<Arc<Console>>, headers: HeaderMap) -> Result<Json<Recent>, Problem> {
    console.operator(&headers).await?;
    let now = chrono::Utc::now().timestamp_millis();
    let recent = console.recent.get(console.in_time(recent::triggers(&console.bus, MINUTES, now))).await?;
    Ok(Json(Recent::clone(&recent)))
}
