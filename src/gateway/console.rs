//! The operators' console: what the hub does and how it fares, over HTTP and as a page, for whoever has the scope `ops`.
//!
//! [`node`] is what this node does, out of its own counters; [`log`] what the bus tells of topics and groups; [`letters`] are
//! the dead letters, and how they are sent again; [`tail`] shows records as they come; [`web`] is the page. [`fresh`] keeps
//! an answer of the bus for a moment, so that however many look, it is asked no more often. Nothing here waits for a lane
//! or makes one wait. What people write and are told is shown to whoever has the scope `ops:content` as well.

mod fresh;
mod letters;
mod log;
mod node;
mod tail;
mod web;

use std::{sync::Arc, time::Duration};

use axum::{
    Router,
    extract::rejection::{PathRejection, QueryRejection},
    http::{HeaderMap, StatusCode},
    routing::{get, post},
};
use tokio::sync::{Mutex, Semaphore, watch};

pub use self::node::{RuleSeen, RulesWatch};
use self::{fresh::Fresh, log::Log};
pub(super) use self::{
    letters::{Asked as LettersAsked, LetterOpened, LettersSeen, Replayed, WithContent},
    log::{GroupsSeen, TopicsSeen},
    node::NodeSeen,
    tail::Asked as TailAsked,
};
use super::{Access, Part, Problem, Watches, access::Operator};
use crate::{
    bus::{BusError, SharedBus, Topic},
    inspect::recent::Recent,
};

/// How long the bus may take for one answer.
const LIMIT: Duration = Duration::from_secs(15);
/// Answers that read many records, at a time.
const READS: usize = 4;
/// Streams of records at a time.
const TAILS: usize = 8;

/// The console of a node.
#[derive(Debug)]
pub struct Console {
    node: String,
    bus: SharedBus,
    access: Access,
    watches: Watches,
    stopping: watch::Receiver<bool>,
    log: Fresh<Log>,
    recent: Fresh<Recent>,
    reads: Semaphore,
    tails: Arc<Semaphore>,
    /// One dead letter is sent again at a time, so that none is twice.
    sending: Mutex<()>,
}

impl Console {
    /// The console of a node of this name, for those whom `access` knows.
    #[must_use]
    pub fn new(node: &str, bus: SharedBus, access: Access, watches: Watches, stopping: watch::Receiver<bool>) -> Self {
        Self {
            node: node.to_owned(),
            bus,
            access,
            watches,
            stopping,
            log: Fresh::default(),
            recent: Fresh::default(),
            reads: Semaphore::new(READS),
            tails: Arc::new(Semaphore::new(TAILS)),
            sending: Mutex::default(),
        }
    }

    /// Its routes.
    #[must_use]
    pub fn part(self) -> Part {
        let routes = Router::new()
            .route("/v1/ops/node", get(node::node))
            .route("/v1/ops/topics", get(log::topics))
            .route("/v1/ops/groups", get(log::groups))
            .route("/v1/ops/triggers", get(log::triggers))
            .route("/v1/ops/dead-letters", get(letters::list))
            .route("/v1/ops/dead-letters/{topic}/{cursor}", get(letters::one))
            .route("/v1/ops/dead-letters/{topic}/{cursor}/replay", post(letters::replay))
            .route("/v1/ops/tail", get(tail::tail))
            .with_state(Arc::new(self));
        Part(routes.merge(web::routes()))
    }

    async fn operator(&self, headers: &HeaderMap) -> Result<Operator, Problem> {
        self.access.operator(headers).await
    }

    /// An answer of the bus, where it comes in time and not too many ask.
    async fn in_time<T>(&self, asked: impl Future<Output = Result<T, BusError>>) -> Result<T, Problem> {
        let unavailable = |words: &str| Problem::new(StatusCode::SERVICE_UNAVAILABLE, words);
        let asked = async {
            let _permit = self.reads.acquire().await.map_err(|_| BusError::Closed)?;
            asked.await
        };
        match tokio::time::timeout(LIMIT, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) => {
                tracing::warn!(%error, "the console cannot read the bus");
                Err(unavailable(&error.to_string()))
            }
            Err(_) => Err(unavailable("the bus does not answer in time; try again")),
        }
    }
}

/// A topic by its name.
fn topic(name: &str) -> Result<Topic, Problem> {
    Topic::named(name).ok_or_else(|| bad("topic: is no topic of the river; /v1/ops/topics lists them"))
}

/// A topic whose records can become dead letters, by its name.
fn living(name: &str) -> Result<Topic, Problem> {
    let topic = topic(name)?;
    let has_letters = topic.dead_letters().is_some();
    if has_letters { Ok(topic) } else { Err(bad("topic: its records do not become dead letters")) }
}

fn bad(words: impl Into<String>) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, words)
}
