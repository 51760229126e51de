//! `POST /v1/agui`: a run of AG-UI. The person's last message is written down like any other, and what is answered to it
//! comes as AG-UI's events until the last agent has spoken.
//!
//! The message's own id makes a resend harmless, so a run that was cut is asked for again as it was, with `after=` the last
//! cursor that came. Only what is committed is told, because AG-UI takes nothing back. A thread is the person's one
//! conversation, whatever a frontend calls it.

use std::{convert::Infallible, sync::Arc, time::Duration};

use auren_agents::{AgentId, ConversationEvent, EventId, MessageType, Text, Timestamp, events};
use axum::{
    Extension,
    body::Bytes,
    extract::{Query, State, rejection::QueryRejection},
    http::{HeaderMap, StatusCode},
    response::sse::{Event, Sse},
};
use futures::Stream;
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    Chat,
    listener::{Listener, Next, NoListener},
    pages::{self, away, place},
    protocol::After,
    sse::{self, Gone, Way},
    turns::{self, LOOK_BACK, LOOK_BACK_MAX},
};
use crate::{
    bus::{Cursor, Topic},
    client,
    gateway::{Problem, address::Asker, server, tokens::Person},
    trace::{self, Kind},
    wire,
};

/// How long a run may wait for what comes next.
const SILENCE: Duration = Duration::from_secs(300);

/// What a run's address says.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(in crate::gateway) struct Asked {
    /// Goes on with the run behind this cursor. The header `Last-Event-ID` says the same.
    after: Option<String>,
}

/// A run as a frontend asks for it. What is not named here is not looked at.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::gateway) struct RunAgentInput {
    thread_id: Text<256>,
    run_id: Text<256>,
    /// The last one of the role `user` is what is said; its id makes it one message however often it is sent.
    messages: Vec<Message>,
    /// `to` names the agent that is meant.
    #[serde(default)]
    forwarded_props: Value,
}

#[derive(Debug, Deserialize, JsonSchema)]
#[schemars(rename = "AguiMessage")]
struct Message {
    id: String,
    role: String,
    /// Text, or parts of the type `text`.
    #[serde(default)]
    content: Value,
}

/// What is said.
struct Said {
    client_id: Text<128>,
    text: Text<4096>,
    to: Option<AgentId>,
}

impl RunAgentInput {
    fn said(&self) -> Result<Said, String> {
        let message = self.messages.iter().rev().find(|message| message.role == "user");
        let message = message.ok_or("messages: there is none of the role user")?;
        if message.id.is_empty() {
            return Err("the message's id: must not be empty, because it makes a resend harmless".to_owned());
        }
        let client_id = Text::new(message.id.as_str()).map_err(|unfit| format!("the message's id: {unfit}"))?;
        let text = words(&message.content).ok_or("the message's content: must be text, or parts of text")?;
        let text = Text::new(text).map_err(|unfit| format!("the message's content: {unfit}"))?;
        let to = self.forwarded_props.get("to").filter(|to| !to.is_null());
        let to = to.map(|to| AgentId::new(to.as_str().unwrap_or_default())).transpose();
        Ok(Said { client_id, text, to: to.map_err(|unfit| format!("forwardedProps.to: {unfit}"))? })
    }
}

/// The text of a message.
fn words(content: &Value) -> Option<String> {
    match content {
        Value::String(text) => Some(text.clone()),
        Value::Array(parts) if !parts.is_empty() => {
            let text = |part: &Value| (part["type"] == "text").then(|| part["text"].as_str().map(str::to_owned))?;
            parts.iter().map(text).collect::<Option<Vec<_>>>().map(|all| all.concat())
        }
        _ => None,
    }
}

/// `POST /v1/agui`.
pub(super) async fn run(
    State(chat): State<Arc<Chat>>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
    body: Bytes,
) -> Result<Sse<impl Stream<Item = Result<Event, Infallible>>>, Problem> {
    chat.origin(&headers)?;
    let Query(asked) = asked?;
    let person = chat.access.person(&headers).await?;
    let unfit = |words: String| Problem::new(StatusCode::UNPROCESSABLE_ENTITY, words);
    let input: RunAgentInput = events::parse(&body).map_err(|rejected| unfit(rejected.to_string()))?;
    let Said { client_id, text, to } = input.said().map_err(unfit)?;
    let last = headers.get("last-event-id").and_then(|id| id.to_str().ok()).or(asked.after.as_deref());
    let after = place(last)?.unwrap_or(After::Now);
    // It listens before the message is written, so that nothing of what follows is missed.
    let seat = chat.seat(asker)?;
    let listener = chat.listen(&person, after).await.map_err(NoListener::problem)?;
    let (way, take) = Way::open(&chat, seat);
    let message = client::message(person.user.clone(), text, to, Some(client_id), Timestamp::now());
    let cause = message.event_id.clone();
    let trace = trace::step(None, Kind::Server, || "agui run".into()).map(|step| step.place().header());
    let record = wire::traced(wire::outgoing(&message), trace.as_deref());
    for answer in chat.feed.bus.publish(vec![record]).await {
        answer.map_err(away)?;
    }
    let told = if let After::Place(cursor) = after { cursor.offset } else { -1 };
    let heartbeat_ms = chat.settings.heartbeat_ms;
    tokio::spawn(Run { chat, person, way, listener, input, cause, told }.go());
    Ok(sse::answer(take, heartbeat_ms))
}

/// Why a run does not come to its end here.
enum End {
    Gone,
    /// Its code, and words about it.
    Error(&'static str, &'static str),
}

impl From<Gone> for End {
    fn from(Gone: Gone) -> Self {
        Self::Gone
    }
}

/// A run on its way.
struct Run {
    chat: Arc<Chat>,
    person: Person,
    way: Way,
    listener: Listener,
    input: RunAgentInput,
    /// What it is about: the message's id in the inbox.
    cause: EventId,
    /// The offset of what was told last, here or on the stream that this one goes on with.
    told: i64,
}

impl Run {
    async fn go(mut self) {
        let (mut stopping, left) = (self.chat.stopping.clone(), self.person.left());
        let end = tokio::select! {
            () = server::told(&mut stopping) => Err(End::Error("going_away", "the node ends; go on with after=")),
            () = sleep(left) => Err(End::Error("expired", "the token has expired; go on with a new one and after=")),
            end = self.live() => end,
        };
        let (thread, run) = (&self.input.thread_id, &self.input.run_id);
        let last = match end {
            Ok(()) => json!({ "type": "RUN_FINISHED", "threadId": thread, "runId": run }),
            Err(End::Error(code, message)) => json!({ "type": "RUN_ERROR", "code": code, "message": message }),
            Err(End::Gone) => return,
        };
        // Nobody may be there any more.
        let _ = self.hand(written(&last)).await;
    }

    async fn live(&mut self) -> Result<(), End> {
        let (thread, run) = (&self.input.thread_id, &self.input.run_id);
        let begins = json!({ "type": "RUN_STARTED", "threadId": thread, "runId": run });
        self.hand(written(&begins)).await?;
        let (mut until, mut looked) = (Instant::now() + LOOK_BACK, false);
        loop {
            let Ok(next) = timeout_at(until, self.way.next(&mut self.listener)).await else {
                if looked {
                    return Err(End::Error("silence", "nothing is heard of the answer; go on with after="));
                }
                (until, looked) = (Instant::now() + SILENCE, true);
                // Whoever holds a read of the log and waits for another may wait for itself.
                self.listener.give_way();
                if self.look_back().await? {
                    return Ok(());
                }
                continue;
            };
            let away = || End::Error("log_away", "the log cannot be read now; go on with after=");
            match next.ok_or(End::Gone)?.map_err(|_| away())? {
                Next::CaughtUp => {}
                Next::Gap(after, resumes_at) => {
                    let value = json!({ "after": after.to_string(), "resumes_at": resumes_at.to_string() });
                    self.hand(written(&custom("auren.gap", &value))).await?;
                }
                Next::Events(events) => {
                    let cause = self.cause.clone();
                    for told in events.iter().filter(|told| told.event.metadata.cause == cause) {
                        (until, looked) = (Instant::now() + SILENCE, true);
                        if told.cursor.offset > self.told {
                            self.tell(told.cursor, &told.event).await?;
                        }
                        if turns::End::of(&told.event).is_some() {
                            return Ok(());
                        }
                    }
                }
            }
        }
    }

    /// Tells what was said about the message before anybody listened, and whether that was all.
    async fn look_back(&mut self) -> Result<bool, End> {
        let away = || End::Error("log_away", "the log cannot be read now; go on with after=");
        let partition = self.chat.feed.partition(&self.person.user).await.map_err(|_| away())?;
        let marks = self.chat.feed.bus.watermarks(Topic::Events).await.map_err(|_| away())?;
        let (first, end) = marks.get(&partition).copied().unwrap_or_default();
        let from = first.max(end.saturating_sub(LOOK_BACK_MAX));
        let said = {
            let _permit = self.chat.feed.reads.acquire().await.map_err(|_| away())?;
            self.chat.own(&self.person, partition, from, end, None).await.map_err(|_| away())?.0
        };
        for pages::Placed { event, offset, .. } in said {
            if event.metadata.cause != self.cause {
                continue;
            }
            if offset > self.told {
                self.tell(Cursor { partition, offset }, &event).await?;
            }
            if turns::End::of(&event).is_some() {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Tells an event: what is known of it, and its text as a message. A client goes on behind what it has in whole, so the
    /// cursor comes with the last of them.
    async fn tell(&mut self, cursor: Cursor, event: &ConversationEvent) -> Result<(), End> {
        self.told = cursor.offset;
        let mut about = json!(event);
        let fields = about.as_object_mut().expect("an event is an object");
        fields.shift_remove("content");
        let id = event.event_id.as_str();
        let about = custom("auren.event", &json!({ "cursor": cursor.to_string(), "event": about }));
        let role = match event.message_type {
            // The frontend has it.
            MessageType::UserInput => {
                self.hand(written(&about).id(cursor.to_string())).await?;
                self.way.told();
                return Ok(());
            }
            MessageType::SpecialistResponse => "assistant",
            MessageType::SystemMessage => "system",
        };
        self.hand(written(&about)).await?;
        let name = event.specialist_id.as_str();
        let start = json!({ "type": "TEXT_MESSAGE_START", "messageId": id, "role": role, "name": name });
        self.hand(written(&start)).await?;
        if !event.content.is_empty() {
            let text = json!({ "type": "TEXT_MESSAGE_CONTENT", "messageId": id, "delta": event.content });
            self.hand(written(&text)).await?;
        }
        let metadata = json!({ "cursor": cursor.to_string() });
        let end = json!({ "type": "TEXT_MESSAGE_END", "messageId": id, "metadata": metadata });
        self.hand(written(&end).id(cursor.to_string())).await?;
        self.way.told();
        Ok(())
    }

    async fn hand(&mut self, event: Event) -> Result<(), Gone> {
        self.way.hand(event, &mut self.listener).await
    }
}

fn custom(name: &str, value: &Value) -> Value {
    json!({ "type": "CUSTOM", "name": name, "value": value })
}

fn written(event: &Value) -> Event {
    Event::default().data(event.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_is_the_last_message_of_the_person() {
        let of = |messages: Value, props: Value| {
            let input = json!({ "threadId": "t", "runId": "r", "messages": messages, "forwardedProps": props });
            let input: RunAgentInput = serde_json::from_value(input).unwrap();
            input.said().map(|said| (said.client_id.into_string(), said.text.into_string(), said.to))
        };
        let said = |id: &str, content: Value| json!({ "id": id, "role": "user", "content": content });
        let answer = json!({ "id": "m-2", "role": "assistant" });
        let parts = json!([{ "type": "text", "text": "And " }, { "type": "text", "text": "now?" }]);
        let (id, text, to) = of(json!([said("m-1", json!("hi")), answer]), json!({ "to": "coach" })).unwrap();
        assert_eq!((&*id, &*text, to.unwrap().as_str()), ("m-1", "hi", "coach"));
        let (id, text, to) = of(json!([said("m-1", json!("hi")), said("m-3", parts)]), Value::Null).unwrap();
        assert_eq!((&*id, &*text, to), ("m-3", "And now?", None));
        for (messages, props, why) in [
            (json!([answer]), Value::Null, "none of the role user"),
            (json!([said("", json!("hi"))]), Value::Null, "the message's id"),
            (json!([said("m", json!("x".repeat(5000)))]), Value::Null, "the message's content"),
            (json!([said("m", json!([{ "type": "image", "source": {} }]))]), Value::Null, "must be text"),
            (json!([said("m", json!([]))]), Value::Null, "must be text"),
            (json!([said("m", json!("hi"))]), json!({ "to": 7 }), "forwardedProps.to"),
        ] {
            let said = of(messages, props).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
    }
}
