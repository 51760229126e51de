//! AUREN's agents for whoever speaks A2A 1.0 (JSON-RPC): a card for the hub and one for each agent, and their conversations as
//! tasks.
//!
//! A message is a record of `conversations.inbox` like one of a socket, and a task is the turn that it begins. So a task's
//! id is two places in the log, the message's own and that behind which its events lie, and nothing about tasks is kept
//! anywhere else: any node can answer for any task of the person whose token is shown, also after a restart. [`card`] says
//! who there is, [`rpc`] what a request and its answer are, [`asked`] what a message may be, [`turn`] what becomes of it, and
//! [`follow`] reads that from the log.

mod asked;
mod card;
mod follow;
mod rpc;
mod turn;

use std::{sync::Arc, time::Duration};

use auren_agents::{AgentId, EventId, InboxAction, InboxRecord, Timestamp};
use axum::{
    Extension, Json,
    body::Bytes,
    extract::{Path, State},
    http::{HeaderMap, StatusCode},
    response::{IntoResponse as _, Response, sse::Event},
};
use serde_json::{Map, Value, json};
use tokio::time::{Instant, sleep};

use self::{
    asked::Message,
    follow::Following,
    rpc::{Call, Fault},
    turn::{State as TaskState, Turn},
};
use super::{
    Chat, Seat,
    listener::Listener,
    protocol::After,
    sse::{self, Gone, Way},
};
use crate::{
    bus::{Cursor, Topic},
    gateway::{Problem, address::Asker, server, tokens::Person},
    trace::{self, Kind},
    wire,
};

/// How long an answer waits for a turn to end, at most; then it says how the turn stands.
const WAIT_LIMIT: Duration = Duration::from_secs(120);
/// How long it may take until a turn that is taken back has begun and ended.
const CANCEL_LIMIT: Duration = Duration::from_secs(10);

/// `GET /.well-known/agent-card.json`: the hub, whose router finds who answers.
pub(super) async fn hub_card(State(chat): State<Arc<Chat>>, headers: HeaderMap) -> Json<Value> {
    Json(card::of_hub(&chat.cards, &card::base(&chat, &headers)))
}

/// `GET /a2a/{agent}/.well-known/agent-card.json`: one agent.
pub(super) async fn agent_card(
    State(chat): State<Arc<Chat>>,
    Path(agent): Path<String>,
    headers: HeaderMap,
) -> Result<Json<Value>, Problem> {
    let known = chat.cards.iter().find(|card| card.id.as_str() == agent).ok_or_else(no_agent)?;
    Ok(Json(card::of_agent(known, &card::base(&chat, &headers))))
}

/// `POST /a2a`: to whom it concerns.
pub(super) async fn hub(
    State(chat): State<Arc<Chat>>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let person = chat.access.person(&headers).await?;
    Ok(chat.called((person, asker), None, &headers, &body).await)
}

/// `POST /a2a/{agent}`: to this agent.
pub(super) async fn agent(
    State(chat): State<Arc<Chat>>,
    Extension(asker): Extension<Asker>,
    Path(agent): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Result<Response, Problem> {
    let person = chat.access.person(&headers).await?;
    let known = chat.cards.iter().find(|card| card.id.as_str() == agent).ok_or_else(no_agent)?;
    let to = Some(known.id.clone());
    Ok(chat.called((person, asker), to, &headers, &body).await)
}

fn no_agent() -> Problem {
    Problem::new(StatusCode::NOT_FOUND, "there is no agent of this name here; /.well-known/agent-card.json names all")
}

/// A result that is there at once.
fn once(id: &Value, result: &Value) -> Response {
    Json(rpc::result(id, result)).into_response()
}

impl Chat {
    async fn called(
        self: Arc<Self>,
        (person, asker): (Person, Asker),
        to: Option<AgentId>,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response {
        let Call { id, method, params } = match rpc::read(headers, body, self.settings.max_json_depth) {
            Ok(call) => call,
            Err((id, fault)) => return Json(fault.response(&id)).into_response(),
        };
        let answer = match method.as_str() {
            "SendMessage" => self.send(&person, asker, to, &params).await.map(|task| once(&id, &task)),
            "SendStreamingMessage" => self.send_and_stream((person, asker), to, &params, &id).await,
            "GetTask" => self.get(&person, &params).await.map(|task| once(&id, &task)),
            "CancelTask" => self.cancel(&person, &params).await.map(|task| once(&id, &task)),
            "SubscribeToTask" => {
                let last = headers.get("last-event-id").and_then(|id| id.to_str().ok());
                self.subscribe((person, asker), &params, last, &id).await
            }
            other => Err(Fault::of_method(other)),
        };
        answer.unwrap_or_else(|fault| Json(fault.response(&id)).into_response())
    }

    /// Begins a task: the message is in the log, and its events will lie behind the listener's place.
    async fn begin(
        self: &Arc<Self>,
        person: &Person,
        to: Option<AgentId>,
        message: Message,
    ) -> Result<Following, Fault> {
        if let Some(task) = &message.task {
            self.found(person, task).await?;
            let words = "each message begins a task of its own: leave taskId out";
            return Err(Fault::new(rpc::UNSUPPORTED_OPERATION, words));
        }
        let context = turn::context(&person.user);
        if message.context.as_ref().is_some_and(|named| *named != context) {
            let words = format!("message.contextId: must be left out, or be {context}, which all of your tasks have");
            return Err(Fault::new(rpc::INVALID_PARAMS, words));
        }
        let listener = self.listener(person, After::Now).await?;
        let record = message.record(person.user.clone(), to);
        let trace = trace::step(None, Kind::Server, || "a2a message".into()).map(|step| step.place().header());
        let outgoing = wire::traced(wire::outgoing(&record), trace.as_deref());
        let placed = self.feed.bus.publish(vec![outgoing]).await.pop();
        let Cursor { partition, offset } = match placed {
            Some(Ok(cursor)) => cursor,
            Some(Err(error)) => {
                return Err(Fault::away(&error, "the message is not known to have been taken; send it again"));
            }
            None => return Err(Fault::internal("the message was not taken")),
        };
        let task = turn::TaskId { partition, message: offset, behind: listener.at().next };
        Ok(Following::new(Arc::clone(self), person.user.clone(), listener, Turn::of(task, &record)))
    }

    async fn send(
        self: &Arc<Self>,
        person: &Person,
        asker: Asker,
        to: Option<AgentId>,
        params: &Map<String, Value>,
    ) -> Result<Value, Fault> {
        let _seat = self.seat(asker).map_err(Fault::busy)?;
        let mut following = self.begin(person, to, Message::of(params)?).await?;
        let at_once = params.get("configuration").is_some_and(|asked| asked["returnImmediately"] == true);
        if !at_once {
            following.ended(self.until(WAIT_LIMIT.min(person.left()))).await?;
        }
        Ok(json!({ "task": following.turn.task(asked::history(params.get("configuration"))) }))
    }

    async fn send_and_stream(
        self: Arc<Self>,
        (person, asker): (Person, Asker),
        to: Option<AgentId>,
        params: &Map<String, Value>,
        id: &Value,
    ) -> Result<Response, Fault> {
        // Who gets no place has said nothing.
        let seat = self.seat(asker).map_err(Fault::busy)?;
        let following = self.begin(&person, to, Message::of(params)?).await?;
        Ok(self.stream(&person, seat, following, true, id))
    }

    async fn get(self: &Arc<Self>, person: &Person, params: &Map<String, Value>) -> Result<Value, Fault> {
        let turn = self.read(person, &asked::task(params)?).await?;
        let named = Value::Object(params.clone());
        Ok(turn.task(asked::history(Some(&named))))
    }

    async fn cancel(self: &Arc<Self>, person: &Person, params: &Map<String, Value>) -> Result<Value, Fault> {
        let turn = self.read(person, &asked::task(params)?).await?;
        let over =
            |turn: &Turn| Fault::new(rpc::TASK_NOT_CANCELABLE, format!("the task has ended: {}", turn.state.name()));
        if turn.is_over() {
            return Err(over(&turn));
        }
        let mut following = self.follow(person, turn).await?;
        let until = self.until(CANCEL_LIMIT);
        // Which turn it is the session says with its first event.
        let Some(number) = following.begun(until).await? else {
            return Err(Fault::new(rpc::TASK_NOT_CANCELABLE, "the task has not begun yet; ask again"));
        };
        let user = person.user.clone();
        let event_id = EventId::derived(&["inbox-stop", user.as_str(), &number.to_string()]);
        let action = InboxAction::Stop { turn: number, extra: Map::new() };
        let stop = InboxRecord { event_id, user_id: user, action, client_id: None, timestamp: Timestamp::now() };
        let words = "it is not known whether the task is taken back; ask again";
        self.feed.bus.publish_all(vec![wire::outgoing(&stop)]).await.map_err(|error| Fault::away(&error, words))?;
        following.ended(until).await?;
        let turn = following.turn;
        if turn.is_over() && turn.state != TaskState::Canceled { Err(over(&turn)) } else { Ok(turn.task(None)) }
    }

    async fn subscribe(
        self: Arc<Self>,
        (person, asker): (Person, Asker),
        params: &Map<String, Value>,
        last: Option<&str>,
        id: &Value,
    ) -> Result<Response, Fault> {
        let named = asked::task(params)?;
        let seat = self.seat(asker).map_err(Fault::busy)?;
        if let Some(last) = last {
            let turn = self.found(&person, &named).await?;
            let last = last.parse().ok().filter(|last: &Cursor| last.partition == turn.id.partition);
            let words = "Last-Event-ID: must be the id of a frame of the task";
            let last = last.ok_or_else(|| Fault::new(rpc::INVALID_PARAMS, words))?;
            let mut following = self.follow(&person, turn).await?;
            following.silent_to(last);
            return Ok(self.stream(&person, seat, following, false, id));
        }
        let turn = self.read(&person, &named).await?;
        if turn.is_over() {
            let words = format!("the task has ended ({}): ask for it with GetTask", turn.state.name());
            return Err(Fault::new(rpc::UNSUPPORTED_OPERATION, words));
        }
        let following = self.follow(&person, turn).await?;
        Ok(self.stream(&person, seat, following, true, id))
    }

    /// Goes on where a turn is.
    async fn follow(self: &Arc<Self>, person: &Person, turn: Turn) -> Result<Following, Fault> {
        let after = match turn.next() {
            0 => After::Earliest,
            next => After::Place(Cursor { partition: turn.id.partition, offset: next - 1 }),
        };
        let listener = self.listener(person, after).await?;
        Ok(Following::new(Arc::clone(self), person.user.clone(), listener, turn))
    }

    async fn listener(self: &Arc<Self>, person: &Person, after: After) -> Result<Listener, Fault> {
        self.listen(person, after).await.map_err(|why| Fault::busy(why.problem()))
    }

    /// Until when an answer may wait: so long, and well below the time after which its connection counts as idle, because
    /// nothing comes or goes on it meanwhile.
    fn until(&self, limit: Duration) -> Instant {
        Instant::now() + limit.min(self.idle / 2)
    }

    /// The turn of a task of this person, of whose events nothing has been read yet. Somebody else's is not there.
    async fn found(&self, person: &Person, named: &str) -> Result<Turn, Fault> {
        let gone = || Fault::new(rpc::TASK_NOT_FOUND, "you have no such task, or it is not kept any more");
        let task: turn::TaskId = named.parse().map_err(|()| gone())?;
        let partition = self.feed.partition(&person.user).await.map_err(|error| Fault::away(&error, "ask again"))?;
        if task.partition != partition {
            return Err(gone());
        }
        let record = follow::one(self, Topic::Inbox, partition, task.message).await?.ok_or_else(gone)?;
        let said: InboxRecord = record
            .payload
            .as_deref()
            .and_then(|payload| auren_agents::events::parse(payload).ok())
            .filter(|said: &InboxRecord| said.user_id == person.user)
            .ok_or_else(gone)?;
        if !matches!(said.action, InboxAction::Message { .. })
            || record.key.as_deref() != Some(person.user.as_str().as_bytes())
        {
            return Err(gone());
        }
        Ok(Turn::of(task, &said))
    }

    /// The same, with all that the log has of it.
    async fn read(self: &Arc<Self>, person: &Person, named: &str) -> Result<Turn, Fault> {
        let mut turn = self.found(person, named).await?;
        follow::catch_up(self, person.user.as_str(), &mut turn).await?;
        Ok(turn)
    }

    /// A task's events as they come, until it has ended: first how it stands, where that is wanted.
    fn stream(
        self: Arc<Self>,
        person: &Person,
        seat: Seat,
        mut following: Following,
        stands: bool,
        id: &Value,
    ) -> Response {
        let (way, take) = Way::open(&self, seat);
        let (id, left, heartbeat_ms) = (id.clone(), person.left(), self.settings.heartbeat_ms);
        let mut stopping = self.stopping.clone();
        tokio::spawn(async move {
            tokio::select! {
                () = server::told(&mut stopping) => {}
                () = sleep(left) => {}
                _ = flow(&way, &mut following, stands, &id) => {}
            }
        });
        sse::answer(take, heartbeat_ms).into_response()
    }
}

/// Hands over how a task stands, where that is wanted, and what changes until it is over.
async fn flow(way: &Way, following: &mut Following, stands: bool, id: &Value) -> Result<(), Gone> {
    if stands {
        let task = json!({ "task": following.turn.task(None) });
        way.hand(frame(id, following.turn.at(), &task), &mut following.listener).await?;
    }
    while !following.turn.is_over() {
        let frames = match way.unless_gone(following.next()).await.ok_or(Gone)? {
            Ok(frames) => frames,
            Err(fault) => {
                if fault.is_of_log() {
                    way.cut();
                }
                let why = Event::default().data(fault.response(id).to_string());
                return way.hand(why, &mut following.listener).await;
            }
        };
        for (cursor, update) in frames {
            way.hand(frame(id, cursor, &update), &mut following.listener).await?;
            if cursor.is_some() {
                way.told();
            }
        }
    }
    Ok(())
}

/// A result of a stream, with its place where it has one.
fn frame(id: &Value, cursor: Option<Cursor>, result: &Value) -> Event {
    let frame = Event::default().data(rpc::result(id, result).to_string());
    match cursor {
        Some(cursor) => frame.id(cursor.to_string()),
        None => frame,
    }
}
