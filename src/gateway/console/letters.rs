//! Dead letters: how many of which cause there are, the newest of them, and sending one again.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    sync::Arc,
};

use auren_agents::{SystemEvent, UserId};
use axum::{
    Json,
    extract::{Path, Query, State},
    http::{HeaderMap, StatusCode},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{Console, PathRejection, QueryRejection, bad, living};
use crate::{
    bus::{BusError, Cursor, ReadFrom},
    config::Scope,
    gateway::{Problem, access::lacks},
    inspect::{
        letters::{self, Count, Counts, Wanted},
        trace, written,
    },
    lane::DeadLetter,
    wire,
};

/// So many newest dead letters of each partition are looked at.
const LAST: i64 = 1000;
/// Most that are shown, and how many where nobody says.
const SHOWN_MAX: usize = 500;
const SHOWN: usize = 50;
/// So many records are looked through for one that was sent again.
const SENT_AGAIN: usize = 100_000;
/// The longest cause that is shown; AUREN's own are shorter.
const ERROR_MAX: usize = 500;

/// A topic and a place in its dead letters, as an address names them.
type Named = Result<Path<(String, String)>, PathRejection>;

/// Which dead letters are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::gateway) struct Asked {
    /// Only those of this topic.
    topic: Option<String>,
    /// Only those of this class.
    class: Option<String>,
    /// Only this person's.
    user: Option<String>,
    /// At most so many, from 1 to 500.
    limit: Option<usize>,
}

/// Whether the record's content is asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::gateway) struct WithContent {
    /// Shows what the record holds, for which the scope `ops:content` is needed.
    #[serde(default)]
    content: bool,
}

/// Dead letters.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::gateway) struct LettersSeen {
    /// How many there are, by topic, class and group; of those that were looked at.
    counts: Vec<Count>,
    /// Whether all were looked at: at most the newest 1000 of each partition are.
    complete: bool,
    /// The newest of those asked for, the newest first.
    letters: Vec<LetterSeen>,
}

/// A dead letter without what its record holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
pub(in crate::gateway) struct LetterSeen {
    #[serde(skip)]
    written_ms: i64,
    #[serde(skip)]
    place: Cursor,
    /// The topic that the record came from.
    topic: &'static str,
    /// Where the dead letter stands in its `.dlq` topic: `partition:offset`.
    cursor: String,
    /// When it was written.
    written: String,
    /// Where the record stood.
    stood: String,
    /// Whose it is; none where it has no key, or one that is no id.
    key: Option<String>,
    /// The consumer group that could not use it.
    group: String,
    /// The class of its cause.
    class: String,
    /// Its cause.
    error: String,
    /// The size of what it holds; none where it holds nothing.
    bytes: Option<usize>,
    /// Whether it can be sent again: not what was moved and worked, nor what was too large to be kept.
    can_replay: bool,
}

/// One dead letter, with its content where that was asked for.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::gateway) struct LetterOpened {
    #[serde(flatten)]
    letter: LetterSeen,
    /// What the record holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<Value>,
}

/// A record that was sent again.
#[derive(Debug, Serialize, JsonSchema)]
pub(in crate::gateway) struct Replayed {
    /// Its topic.
    topic: &'static str,
    /// The dead letter's place.
    cursor: String,
    /// Where the record stands now in its topic.
    sent: String,
}

impl From<&DeadLetter> for LetterSeen {
    fn from(letter: &DeadLetter) -> Self {
        let DeadLetter { cursor, topic, stood, group, class, error, record } = letter;
        Self {
            written_ms: record.timestamp_ms,
            place: *cursor,
            topic: topic.name(),
            cursor: cursor.to_string(),
            written: written(record.timestamp_ms),
            stood: stood.to_string(),
            key: trace::key(record),
            group: group.clone(),
            class: class.clone(),
            error: error.chars().take(ERROR_MAX).collect(),
            bytes: record.payload.as_ref().map(|payload| payload.len()),
            can_replay: letter.again().is_some(),
        }
    }
}

/// `GET /v1/ops/dead-letters`.
pub(super) async fn list(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Json<LettersSeen>, Problem> {
    console.operator(&headers).await?;
    let Query(Asked { topic, class, user, limit }) = asked?;
    let limit = limit.unwrap_or(SHOWN);
    if !(1..=SHOWN_MAX).contains(&limit) {
        return Err(bad(format!("limit: must be from 1 to {SHOWN_MAX}")));
    }
    let topics = match topic {
        Some(name) => vec![living(&name)?],
        None => letters::topics().collect(),
    };
    let user = user.map(UserId::new).transpose().map_err(|unfit| bad(format!("user: {unfit}")))?;
    let wanted = Wanted { class: class.into_iter().collect(), user, at: None };
    let reading = async {
        let (mut counts, mut complete) = (Counts::default(), true);
        // The newest are kept: the oldest of them is on top, and goes first.
        let mut newest = BinaryHeap::new();
        for topic in topics {
            let mut read = BTreeMap::<i32, i64>::new();
            let take = |letter: DeadLetter| {
                *read.entry(letter.cursor.partition).or_default() += 1;
                counts.add(&letter);
                if wanted.is(&letter) {
                    newest.push(Reverse(LetterSeen::from(&letter)));
                    if newest.len() > limit {
                        newest.pop();
                    }
                }
            };
            let foreign = letters::each(&console.bus, topic, ReadFrom::Last(LAST), take).await?;
            complete &= foreign == 0 && read.values().all(|count| *count < LAST);
        }
        let letters = newest.into_sorted_vec().into_iter().map(|Reverse(letter)| letter).collect();
        Ok(LettersSeen { counts: counts.all(), complete, letters })
    };
    console.in_time(reading).await.map(Json)
}

/// `GET /v1/ops/dead-letters/{topic}/{cursor}`.
pub(super) async fn one(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    place: Named,
    asked: Result<Query<WithContent>, QueryRejection>,
) -> Result<Json<LetterOpened>, Problem> {
    let operator = console.operator(&headers).await?;
    let Query(WithContent { content }) = asked?;
    if content && !operator.content {
        return Err(lacks(Scope::OpsContent));
    }
    let letter = console.letter(place).await?;
    let content = content.then(|| trace::content(&letter.record));
    Ok(Json(LetterOpened { letter: LetterSeen::from(&letter), content }))
}

/// `POST /v1/ops/dead-letters/{topic}/{cursor}/replay`.
pub(super) async fn replay(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    place: Named,
) -> Result<Json<Replayed>, Problem> {
    let operator = console.operator(&headers).await?;
    // It goes to its end, whatever becomes of who asked.
    let sending = tokio::spawn(async move { console.send_again(&operator.name, place).await });
    let ended = |_| Problem::new(StatusCode::INTERNAL_SERVER_ERROR, "it is not known whether it was sent again");
    sending.await.map_err(ended)?.map(Json)
}

impl Console {
    async fn send_again(&self, by: &str, place: Named) -> Result<Replayed, Problem> {
        let conflict = |words: String| Problem::new(StatusCode::CONFLICT, words);
        let _one = self.sending.lock().await;
        let letter = self.letter(place).await?;
        let why = "was moved and has been worked, or was too large to be kept; it is not sent again";
        let again = letter.again().ok_or_else(|| conflict(format!("the record {why}")))?;
        if let Some(sent) = self.in_time(letters::sent_again(&self.bus, &letter, SENT_AGAIN)).await? {
            return Err(conflict(format!("it was sent again already and is at {sent} in {}", letter.topic)));
        }
        let publishing = async {
            let answers = self.bus.publish(vec![again]).await;
            answers.into_iter().next().unwrap_or(Err(BusError::Closed))
        };
        let sent = self.in_time(publishing).await?.to_string();
        let (topic, cursor) = (letter.topic.name(), letter.cursor.to_string());
        tracing::info!(by, topic, %cursor, %sent, "a dead letter was sent again");
        let detail = json!({ "by": by, "topic": topic, "cursor": cursor, "sent": sent });
        let event = SystemEvent::now("dead_letter_replayed", &format!("{topic}/{cursor}"), &self.node, detail);
        if let Err(error) = self.bus.publish_all(vec![wire::outgoing(&event)]).await {
            tracing::warn!(%error, "that a dead letter was sent again could not be told on the bus");
        }
        Ok(Replayed { topic, cursor, sent })
    }

    /// The dead letter that an address names.
    async fn letter(&self, place: Named) -> Result<DeadLetter, Problem> {
        let Path((topic, cursor)) = place.map_err(|rejection| bad(rejection.body_text()))?;
        let topic = living(&topic)?;
        let cursor: Cursor = cursor.parse().map_err(|error| bad(format!("cursor: {error}")))?;
        let found = self.in_time(letters::at(&self.bus, topic, cursor)).await?;
        found.ok_or_else(|| {
            Problem::new(StatusCode::NOT_FOUND, format!("there is no dead letter of {topic} at {cursor}"))
        })
    }
}
