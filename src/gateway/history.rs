//! The history over HTTP: a person's conversations, triggers and measurements in pages, and why something was said.
//!
//! [`asked`] is what a request may say, [`shown`] what comes of a row. All of it reads from the database and touches nothing
//! that works: a few connections, a time for each answer, and whoever finds too many waiting is told to come again.

mod asked;
mod shown;

use std::sync::Arc;

use auren_agents::EventId;
use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    routing::get,
};
use serde_json::{Value, json};
use tokio::sync::Semaphore;

use self::asked::cursor;
pub(super) use self::asked::{OfPerson, Paged, Spanned};
use super::{Access, Part, Problem};
use crate::{
    bus::{SharedBus, Topic},
    project::{
        ProjectError,
        database::{Order, Place, Readers},
        row::Row,
        why::{Chain, why},
    },
};

/// How many may wait for each connection, the one that is served included.
const WAITING: usize = 8;

/// What shows the history.
#[derive(Debug)]
pub struct History {
    readers: Readers,
    /// For what a person wrote, which is not in the history.
    bus: SharedBus,
    access: Access,
    seats: Semaphore,
}

impl History {
    /// Shows what these readers read to whoever may see it.
    #[must_use]
    pub fn new(readers: Readers, bus: SharedBus, access: Access) -> Self {
        let seats = Semaphore::new(WAITING.saturating_mul(readers.most() as usize));
        Self { readers, bus, access, seats }
    }

    /// Its routes.
    #[must_use]
    pub fn part(self) -> Part {
        let routes = Router::new()
            .route("/v1/history/conversations", get(conversations))
            .route("/v1/history/triggers", get(triggers))
            .route("/v1/history/biometrics", get(biometrics))
            .route("/v1/why/{event_id}", get(because));
        Part(routes.with_state(Arc::new(self)))
    }

    /// The answer, where it comes in time.
    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, ProjectError>>) -> Result<T, Problem> {
        let unavailable = |words: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, words);
        let _seat = self.seats.try_acquire().map_err(|_| unavailable("too many ask for the history; try again"))?;
        match tokio::time::timeout(self.readers.limit(), asked).await {
            Ok(Err(ProjectError::NoEvent(_))) => {
                Err(Problem::new(StatusCode::NOT_FOUND, "there is no such answer or trigger in the history"))
            }
            Ok(Err(error)) => {
                tracing::warn!(%error, "the history cannot be read");
                Err(unavailable("the history cannot be read now; try again"))
            }
            Ok(Ok(answer)) => Ok(answer),
            Err(_) => {
                let limit_ms = self.readers.limit().as_millis();
                tracing::warn!(limit_ms, "the history has not answered in time (project.read_limit_ms)");
                Err(unavailable("the history does not answer in time; try again"))
            }
        }
    }

    /// A page of a topic's rows, and the place behind which the next one begins.
    async fn page(
        &self,
        headers: &HeaderMap,
        asked: Result<Query<Spanned>, QueryRejection>,
        topic: Topic,
        order: Order,
    ) -> Result<(Vec<Row>, Option<String>), Problem> {
        let Query(asked) = asked?;
        let user = self.access.whose(headers, asked.user.as_deref()).await?;
        let asked = asked.check()?;
        let reading = async {
            let mut reader = self.readers.reader().await?;
            let rows = reader.page(topic, asked.wanted(user.as_str()), order, asked.after.as_ref()).await?;
            reader.give_back();
            Ok(rows)
        };
        let (rows, next) = split(self.in_time(reading).await?, asked.limit, Row::place);
        Ok((rows, next.as_ref().map(cursor::<Place>)))
    }
}

/// One more than a page was asked for: what belongs on the page, and its last place where there is more.
fn split<T, P>(mut all: Vec<T>, limit: u16, place: impl Fn(&T) -> P) -> (Vec<T>, Option<P>) {
    let limit = usize::from(limit);
    let more = all.len() > limit;
    all.truncate(limit);
    let last = all.last().filter(|_| more).map(place);
    (all, last)
}

/// `GET /v1/history/conversations`.
async fn conversations(
    State(history): State<Arc<History>>,
    headers: HeaderMap,
    asked: Result<Query<Paged>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let Query(asked) = asked?;
    let user = history.access.whose(&headers, asked.user.as_deref()).await?;
    let (limit, after) = asked.check()?;
    let reading = async {
        let mut reader = history.readers.reader().await?;
        let all = reader.conversations(user.as_str(), limit + 1, after.as_ref()).await?;
        reader.give_back();
        Ok(all)
    };
    let all = history.in_time(reading).await?;
    let (conversations, next) = split(all, limit, |one| (one.last.clone(), one.conversation_id.clone()));
    Ok(Json(json!({ "conversations": conversations, "next": next.as_ref().map(cursor) })))
}

/// `GET /v1/history/triggers`, the newest first.
async fn triggers(
    State(history): State<Arc<History>>,
    headers: HeaderMap,
    asked: Result<Query<Spanned>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let (rows, next) = history.page(&headers, asked, Topic::Triggers, Order::Newest).await?;
    Ok(Json(json!({ "triggers": rows.iter().map(shown::trigger).collect::<Vec<_>>(), "next": next })))
}

/// `GET /v1/history/biometrics`: a series, so the oldest first.
async fn biometrics(
    State(history): State<Arc<History>>,
    headers: HeaderMap,
    asked: Result<Query<Spanned>, QueryRejection>,
) -> Result<Json<Value>, Problem> {
    let (rows, next) = history.page(&headers, asked, Topic::Biometrics, Order::Oldest).await?;
    Ok(Json(json!({ "biometrics": rows.iter().map(shown::biometric).collect::<Vec<_>>(), "next": next })))
}

/// `GET /v1/why/{event_id}`.
async fn because(
    State(history): State<Arc<History>>,
    headers: HeaderMap,
    Path(id): Path<String>,
    asked: Result<Query<OfPerson>, QueryRejection>,
) -> Result<Json<Chain>, Problem> {
    let Query(asked) = asked?;
    let user = history.access.whose(&headers, asked.user.as_deref()).await?;
    let reading = async {
        // What is no id is no event's.
        EventId::new(&id).map_err(|_| ProjectError::NoEvent(id.clone()))?;
        let mut reader = history.readers.reader().await?;
        let chain = why(&history.bus, Some(&mut reader), Some(user.as_str()), &id).await;
        if matches!(chain, Ok(_) | Err(ProjectError::NoEvent(_))) {
            reader.give_back();
        }
        chain
    };
    history.in_time(reading).await.map(Json)
}
