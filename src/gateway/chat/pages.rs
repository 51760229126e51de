//! The same events without a WebSocket: a page of them, and a stream of server-sent events. Their cursors are the same.

use std::{convert::Infallible, sync::Arc};

use auren_agents::ConversationEvent;
use axum::{
    Extension, Json,
    extract::{Path, Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::sse::{Event, Sse},
};
use futures::Stream;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::json;
use tokio::time::sleep;

use super::{
    Chat,
    feed::{Told, told},
    listener::{Listener, Next, NoListener},
    protocol::{After, Behind},
    sse::{self, Gone, Way},
};
use crate::{
    bus::{BusError, Cursor, Read, ReadFrom, ReadUntil, Topic},
    gateway::{Problem, address::Asker, server, tokens::Person},
};

/// Most events of one page.
const PAGE_MAX: usize = 500;
/// Most records of the log that one page looks through.
const SCAN_MAX: i64 = 50_000;
/// How many of them a page that goes back looks through first; each further step is twice as long.
const STEP_BACK: i64 = 1_000;

/// What is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::gateway) struct Asked {
    after: Option<String>,
    /// The newest events before this place, or the newest of all (`latest`), instead of those behind one.
    before: Option<String>,
    limit: Option<usize>,
    ticket: Option<String>,
}

/// A page of a person's events.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::gateway) struct Page {
    events: Vec<Placed>,
    /// Where the next page begins.
    next: String,
    /// Where a page goes on that goes back; none where nothing older is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    prev: Option<String>,
    /// Whether there is more already.
    more: bool,
    /// Where the page began instead, when older events are not kept any more.
    #[serde(skip_serializing_if = "Option::is_none")]
    gap: Option<String>,
}

/// An event and its place.
#[derive(Debug, Serialize, JsonSchema)]
pub(super) struct Placed {
    cursor: String,
    pub(super) event: ConversationEvent,
    #[serde(skip)]
    pub(super) offset: i64,
}

/// `GET /v1/conversations/events`.
pub(super) async fn page(
    State(chat): State<Arc<Chat>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let person = chat.access.person(&headers).await?;
    let Query(asked) = asked?;
    chat.page(&person, &asked).await.map(Json)
}

/// `GET /v1/conversations/{user}/events`: the same, for who wants to name the person.
pub(super) async fn page_of(
    State(chat): State<Arc<Chat>>,
    headers: HeaderMap,
    Path(user): Path<String>,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<Page>, Problem> {
    let person = chat.access.person(&headers).await?;
    let Query(asked) = asked?;
    if user != person.user.as_str() {
        return Err(Problem::new(StatusCode::FORBIDDEN, "the token is somebody else's"));
    }
    chat.page(&person, &asked).await.map(Json)
}

/// `GET /v1/conversations/events/stream`.
pub(super) async fn stream_of(
    State(chat): State<Arc<Chat>>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    chat.origin(&headers)?;
    let Query(asked) = asked?;
    let person = chat.person(asked.ticket.as_deref(), &headers).await?;
    // What a browser comes back with wins over the address that it came with first.
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(asked.after.as_deref());
    let after = place(last)?.unwrap_or(After::Now);
    let seat = chat.seat(asker)?;
    let mut listener = chat.listen(&person, after).await.map_err(NoListener::problem)?;
    let (way, take) = Way::open(&chat, seat);
    let (heartbeat_ms, mut stopping, left) = (chat.settings.heartbeat_ms, chat.stopping.clone(), person.left());
    tokio::spawn(async move {
        tokio::select! {
            () = server::told(&mut stopping) => {}
            () = sleep(left) => {}
            _ = flow(&way, &mut listener) => {}
        }
    });
    Ok(sse::answer(take, heartbeat_ms))
}

async fn flow(way: &Way, listener: &mut Listener) -> Result<(), Gone> {
    while let Some(Ok(next)) = way.next(listener).await {
        match next {
            Next::CaughtUp => {}
            Next::Events(events) => {
                for told in events {
                    way.hand(written(&told), listener).await?;
                    way.told();
                }
            }
            Next::Gap(after, resumes_at) => way.hand(gap(after, resumes_at), listener).await?,
        }
    }
    Ok(())
}

fn gap(after: Behind, resumes_at: Behind) -> Event {
    let data = json!({ "after": after.to_string(), "resumes_at": resumes_at.to_string() });
    Event::default().event("gap").id(resumes_at.to_string()).data(data.to_string())
}

fn written(told: &Told) -> Event {
    let json = serde_json::to_string(&*told.event).expect("events are plain data with text keys");
    Event::default().event("event").id(told.cursor.to_string()).data(json)
}

/// Where a partition of the log begins and ends.
struct Kept {
    partition: i32,
    first: i64,
    end: i64,
}

impl Chat {
    async fn page(&self, person: &Person, asked: &Asked) -> Result<Page, Problem> {
        let limit = asked.limit.unwrap_or(100).clamp(1, PAGE_MAX);
        let partition = self.feed.partition(&person.user).await.map_err(away)?;
        let marks = self.feed.bus.watermarks(Topic::Events).await.map_err(away)?;
        let (first, end) = marks.get(&partition).copied().unwrap_or_default();
        let kept = Kept { partition, first, end };
        let _permit = self.feed.reads.acquire().await.map_err(|_| away(BusError::Closed))?;
        match (&asked.after, asked.before.as_deref()) {
            (None, Some(before)) => self.page_back(person, &kept, before, limit).await,
            (after, None) => self.page_on(person, &kept, after.as_deref(), limit).await,
            (Some(_), Some(_)) => Err(Problem::new(StatusCode::BAD_REQUEST, "name one place: after, or before")),
        }
    }

    /// The oldest events behind a place.
    async fn page_on(&self, person: &Person, kept: &Kept, after: Option<&str>, limit: usize) -> Result<Page, Problem> {
        let Kept { partition, first, end } = *kept;
        let asked = match place(after)?.unwrap_or(After::Earliest) {
            After::Now => end,
            After::Earliest => first,
            After::Place(cursor) => kept.offset(cursor).map_err(|why| bad_place("after", why))? + 1,
        };
        let next = asked.max(first);
        let gap = (next > asked).then(|| Behind { partition, next }.to_string());
        let stop = end.min(next.saturating_add(SCAN_MAX));
        let (events, next) = self.own(person, partition, next, stop, Some(limit)).await?;
        Ok(Page { events, next: Behind { partition, next }.to_string(), prev: None, more: next < end, gap })
    }

    /// The newest events before a place. The log is read forwards only, so it is read in steps that go back.
    async fn page_back(&self, person: &Person, kept: &Kept, before: &str, limit: usize) -> Result<Page, Problem> {
        let Kept { partition, first, end } = *kept;
        let until = if before == "latest" {
            end
        } else {
            let cursor =
                before.parse().map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("before: {error}")))?;
            kept.offset(cursor).map_err(|why| bad_place("before", why))?
        };
        let floor = first.max(until.saturating_sub(SCAN_MAX));
        let (mut events, mut low, mut step) = (Vec::new(), until.max(first), STEP_BACK);
        while low > floor && events.len() < limit {
            let from = floor.max(low.saturating_sub(step));
            let (mut older, _) = self.own(person, partition, from, low, None).await?;
            older.append(&mut events);
            events = older;
            (low, step) = (from, step.saturating_mul(2));
        }
        if events.len() >= limit {
            events.drain(..events.len() - limit);
            low = events.first().map_or(low, |placed| placed.offset);
        }
        let prev = (low > first).then(|| Cursor { partition, offset: low }.to_string());
        let next = Behind { partition, next: until }.to_string();
        Ok(Page { events, next, prev, more: until < end, gap: None })
    }

    /// The events of a person between two offsets, and where it ended: so many from the first on, or else the newest ones.
    pub(super) async fn own(
        &self,
        person: &Person,
        partition: i32,
        from: i64,
        stop: i64,
        limit: Option<usize>,
    ) -> Result<(Vec<Placed>, i64), Problem> {
        let (mut next, mut events) = (from, Vec::new());
        let (topic, from) = (Topic::Events, ReadFrom::Offset(from));
        let mut batches = self.feed.bus.read(Read { topic, partitions: vec![partition], from, until: ReadUntil::End });
        self.stats.log_read();
        'log: while next < stop {
            let Some(batch) = batches.recv().await else {
                next = stop;
                break;
            };
            for record in batch.map_err(away)? {
                if record.offset >= stop || limit == Some(events.len()) {
                    break 'log;
                }
                next = record.offset + 1;
                if let Some(Told { cursor, event, .. }) = told(&record, person.user.as_str()) {
                    let event = Arc::unwrap_or_clone(event);
                    events.push(Placed { cursor: cursor.to_string(), event, offset: cursor.offset });
                    if events.len() == 2 * PAGE_MAX {
                        events.drain(..PAGE_MAX);
                    }
                }
            }
        }
        Ok((events, next))
    }
}

impl Kept {
    /// The offset of a place that a client names.
    fn offset(&self, cursor: Cursor) -> Result<i64, &'static str> {
        if cursor.partition != self.partition {
            return Err("it is in another partition than your events");
        }
        if cursor.offset >= self.end {
            return Err("nothing has been written there yet");
        }
        Ok(cursor.offset)
    }
}

fn bad_place(name: &str, why: &str) -> Problem {
    Problem::new(StatusCode::BAD_REQUEST, format!("{name}: {why}"))
}

/// The place that a client names.
pub(super) fn place(after: Option<&str>) -> Result<Option<After>, Problem> {
    let parsed = after.map(str::parse::<After>).transpose();
    parsed.map_err(|error| Problem::new(StatusCode::BAD_REQUEST, format!("after: {error}")))
}

impl NoListener {
    /// What is wrong, as a request is told it.
    pub(super) fn problem(self) -> Problem {
        match self {
            Self::BadCursor(why) => bad_place("after", why),
            Self::TooMany => Problem::new(StatusCode::TOO_MANY_REQUESTS, "too many sockets and streams of yours"),
            Self::Bus(error) => away(error),
        }
    }
}

pub(super) fn away(error: BusError) -> Problem {
    tracing::warn!(%error, "a conversation cannot be read");
    Problem::new(StatusCode::SERVICE_UNAVAILABLE, "the log cannot be read now; try again")
}
