//! Records as they come, as server-sent events. Whoever looks is told of as many as a person can read; the others are
//! counted, so that a busy topic costs the node little and a slow browser nothing.

use std::{collections::VecDeque, convert::Infallible, sync::Arc, time::Duration};

use auren_agents::UserId;
use axum::{
    extract::{Query, State},
    http::{HeaderMap, StatusCode},
    response::sse::{Event, KeepAlive, Sse},
};
use futures::{Stream, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::{
    sync::{
        OwnedSemaphorePermit,
        mpsc::{self, error::TrySendError},
    },
    time::{MissedTickBehavior, interval, sleep},
};

use super::{Console, QueryRejection, bad, topic};
use crate::{
    bus::{Read, ReadFrom, ReadUntil, Record, key_partition},
    config::Scope,
    gateway::{
        Problem,
        access::{Operator, lacks},
        server,
    },
    inspect::trace::Trace,
};

/// How often what has come is told.
const TELL: Duration = Duration::from_millis(250);
/// Most records that wait to be told.
const WAITING_MAX: usize = 100;
/// Most records between two tellings that are looked into.
const LOOKED_MAX: usize = 500;
/// Most records of each partition that a tail may begin with.
const LAST_MAX: i64 = 200;
/// How often a sign of life is sent.
const SIGN: Duration = Duration::from_secs(15);

/// Which records are asked for.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::gateway) struct Asked {
    /// The topic.
    topic: String,
    /// Only this person's; only their partition is read.
    user: Option<String>,
    /// Only those of this kind, as `kind` of a record says it.
    #[serde(rename = "type")]
    kind: Option<String>,
    /// Begins with the last so many of each partition, at most 200.
    #[serde(default)]
    last: i64,
    /// Shows what records hold, for which the scope `ops:content` is needed.
    #[serde(default)]
    content: bool,
}

/// What is told at once.
#[derive(Debug, Serialize)]
struct Told {
    /// The newest records.
    records: VecDeque<Trace>,
    /// How many more came and are not shown.
    passed_over: u64,
}

/// `GET /v1/ops/tail`.
pub(super) async fn tail(
    State(console): State<Arc<Console>>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    let Operator { left, content: may, .. } = console.operator(&headers).await?;
    let Query(Asked { topic: name, user, kind, last, content }) = asked?;
    if content && !may {
        return Err(lacks(Scope::OpsContent));
    }
    let topic = topic(&name)?;
    if !(0..=LAST_MAX).contains(&last) {
        return Err(bad(format!("last: must be from 0 to {LAST_MAX}")));
    }
    let user = user.map(UserId::new).transpose().map_err(|unfit| bad(format!("user: {unfit}")))?;
    let seat = Arc::clone(&console.tails).try_acquire_owned();
    let seat =
        seat.map_err(|_| Problem::new(StatusCode::SERVICE_UNAVAILABLE, "too many look at records on this node"))?;
    let partitions = match &user {
        Some(user) => vec![key_partition(user.as_str().as_bytes(), console.in_time(console.bus.partitions()).await?)],
        None => Vec::new(),
    };
    let from = if last > 0 { ReadFrom::Last(last) } else { ReadFrom::Latest };
    let read = Read { topic, partitions, from, until: ReadUntil::Follow };
    let batches = console.bus.read(read);
    let (give, take) = mpsc::channel(1);
    let looking = Looking { user, kind, content, waiting: VecDeque::new(), passed_over: 0, looked: 0, _seat: seat };
    let mut stopping = console.stopping.clone();
    tokio::spawn(async move {
        let over = async {
            match left {
                Some(left) => sleep(left).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = server::told(&mut stopping) => {}
            () = over => {}
            () = looking.run(batches, give) => {}
        }
    });
    let events = stream::unfold(take, async |mut take| Some((Ok(take.recv().await?), take)));
    Ok(Sse::new(events).keep_alive(KeepAlive::new().interval(SIGN)))
}

/// Somebody who looks.
struct Looking {
    user: Option<UserId>,
    kind: Option<String>,
    content: bool,
    waiting: VecDeque<Trace>,
    passed_over: u64,
    /// Records looked into since the last telling.
    looked: usize,
    _seat: OwnedSemaphorePermit,
}

impl Looking {
    async fn run(
        mut self,
        mut batches: mpsc::Receiver<Result<Vec<Record>, crate::bus::BusError>>,
        give: mpsc::Sender<Event>,
    ) {
        let mut tell = interval(TELL);
        tell.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = give.closed() => return,
                _ = tell.tick() => {
                    self.looked = 0;
                    if !self.tell(&give) {
                        return;
                    }
                }
                batch = batches.recv() => match batch {
                    Some(Ok(records)) => records.iter().for_each(|record| self.take(record)),
                    Some(Err(error)) => {
                        tracing::warn!(%error, "a tail cannot go on");
                        let _ = give.send(Event::default().event("end").data(error.to_string())).await;
                        return;
                    }
                    None => return,
                }
            }
        }
    }

    fn take(&mut self, record: &Record) {
        if self.user.as_ref().is_some_and(|user| record.key.as_deref() != Some(user.as_str().as_bytes())) {
            return;
        }
        if self.looked >= LOOKED_MAX {
            self.passed_over += 1;
            return;
        }
        self.looked += 1;
        let trace = Trace::of(record);
        if self.kind.is_some() && trace.kind != self.kind {
            return;
        }
        self.waiting.push_back(if self.content { Trace::with_content(record) } else { trace });
        if self.waiting.len() > WAITING_MAX {
            self.waiting.pop_front();
            self.passed_over += 1;
        }
    }

    /// Tells what waits; false where nobody listens any more.
    fn tell(&mut self, give: &mpsc::Sender<Event>) -> bool {
        if self.waiting.is_empty() && self.passed_over == 0 {
            return true;
        }
        // What was told before has not been taken yet: this waits, and the oldest of it gives way.
        let Ok(place) = give.try_reserve() else { return !matches!(give.try_reserve(), Err(TrySendError::Closed(()))) };
        let told =
            Told { records: std::mem::take(&mut self.waiting), passed_over: std::mem::take(&mut self.passed_over) };
        let data = serde_json::to_string(&told).unwrap_or_default();
        place.send(Event::default().event("records").data(data));
        true
    }
}
