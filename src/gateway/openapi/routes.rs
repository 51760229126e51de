//! Every route of any node. A test compares the list with the routes in the sources.

use auren_agents::SystemEvent;

use super::{Book, shapes};
use crate::{
    gateway::{
        chat::{agui, pages, seen},
        console, history, people,
    },
    inspect::recent::Recent,
    project::why::Chain,
};

const JSON: &str = "application/json";
const EVENTS: &str = "text/event-stream";

pub(super) fn all(book: &mut Book) {
    node(book);
    readings(book);
    chat(book);
    a2a(book);
    of_the_history(book);
    operators(book);
    files(book);
}

fn node(book: &mut Book) {
    book.open("get", "/livez", "node", "livez", "Whether the process lives")
        .text("200", "text/plain", "It does.")
        .done();
    book.open("get", "/readyz", "node", "readyz", "Whether the node can work, and which guarantee is in force")
        .json::<shapes::Readiness>("200", "It can.")
        .json::<shapes::Readiness>("503", "Something is not as it must be, or the node ends.")
        .done();
    book.open("get", "/metrics", "node", "metrics", "What the node has done, in figures")
        .text("200", "application/openmetrics-text", "OpenMetrics text.")
        .done();
}

fn readings(book: &mut Book) {
    book.open("post", "/v1/readings", "readings", "sendReadings", "Seals measured values and publishes them")
        .scope("`readings`")
        .takes::<shapes::Readings>(JSON)
        .takes_text("application/x-ndjson")
        .json::<shapes::ReadingsTaken>("200", "What became of each; at least one was taken, or there was none.")
        .json::<shapes::ReadingsTaken>("422", "None can be taken.")
        .json::<shapes::ReadingsTaken>("503", "None was taken; send them again.")
        .problem("400", "The body is not JSON.")
        .problem("413", "It is too much for one call.")
        .problem("415", "It is neither JSON nor NDJSON.")
        .done();
    book.open("post", "/v1/detokenize", "people", "detokenize", "Opens tokens for a purpose")
        .scope("`detokenize:` with the purpose")
        .takes::<people::Request>(JSON)
        .json::<shapes::Detokenized>("200", "What became of each token.")
        .problem("413", "They are too many, or the body is too large.")
        .problem("422", "The body is no such request, or an emergency has no reason.")
        .problem("429", "So many were opened in this minute or on this day.")
        .problem("503", "Keys or audit are not to be had; nothing was opened.")
        .done();
    book.open("delete", "/v1/users/{user}", "people", "erase", "Erases a person")
        .scope("`erase`")
        .place("user", "Whom.")
        .json::<SystemEvent>("200", "The receipt.")
        .problem("400", "The path is not UTF-8.")
        .problem("422", "That is no id.")
        .problem("503", "The person could not be erased; ask again.")
        .done();
}

fn chat(book: &mut Book) {
    book.open("get", "/v1/ws", "chat", "socket", "A WebSocket with the subprotocol auren.v1")
        .scope("`chat`, or a ticket")
        .query::<shapes::SocketAsked>()
        .bare("101", "The socket is open.")
        .problem("503", "No socket is free.")
        .done();
    book.open("post", "/v1/ws-ticket", "chat", "ticket", "A ticket that stands for the token once, for a browser")
        .scope("`chat`")
        .json::<shapes::Ticket>("200", "The ticket.")
        .done();
    book.open("post", "/v1/agui", "chat", "agui", "A message and what is answered, in the events of AG-UI")
        .scope("`chat`")
        .query::<agui::Asked>()
        .takes::<agui::RunAgentInput>(JSON)
        .text("200", EVENTS, "Events of AG-UI; those that come out of the log have their cursor as id.")
        .problem("413", "The body is too large.")
        .problem("422", "The body is no RunAgentInput, or says nothing.")
        .problem("429", "The person or the address has too many sockets and streams.")
        .problem("503", "The log cannot be written or read now, or no place is free.")
        .done();
    book.open("get", "/v1/conversations/events", "chat", "events", "A page of the person's own events")
        .scope("`chat`")
        .query::<pages::Asked>()
        .json::<pages::Page>("200", "The page.")
        .problem("503", "The log cannot be read now.")
        .done();
    book.open("get", "/v1/conversations/{user}/events", "chat", "eventsOf", "The same, for who names the person")
        .scope("`chat`")
        .place("user", "Whose: the token's `sub`.")
        .query::<pages::Asked>()
        .json::<pages::Page>("200", "The page.")
        .problem("503", "The log cannot be read now.")
        .done();
    book.open(
        "get",
        "/v1/conversations/seen",
        "chat",
        "seen",
        "How far the person has seen their events, on any device",
    )
    .scope("`chat`")
    .json::<seen::Seen>("200", "The last event that was marked as seen.")
    .problem("503", "The log cannot be read now.")
    .done();
    book.open("get", "/v1/conversations/events/stream", "chat", "eventStream", "The person's own events as they come")
        .scope("`chat`, or a ticket")
        .query::<pages::Asked>()
        .text("200", EVENTS, "`event: event` with a ConversationEvent as data and its cursor as id; `event: gap`.")
        .problem("429", "The person has too many sockets and streams.")
        .problem("503", "The log cannot be read now, or no place is free.")
        .done();
}

fn a2a(book: &mut Book) {
    type Object = serde_json::Map<String, serde_json::Value>;
    let answer = "A JSON-RPC response, also where something is wrong; or, of SendStreamingMessage and SubscribeToTask, \
                  text/event-stream with one in each frame, whose id is the place of the event behind it.";
    let card = "The card, as A2A 1.0 has it.";
    book.open(
        "get",
        "/.well-known/agent-card.json",
        "a2a",
        "hubCard",
        "The hub as an A2A agent, and who answers there",
    )
    .json::<Object>("200", card)
    .done();
    book.open("get", "/a2a/{agent}/.well-known/agent-card.json", "a2a", "agentCard", "One agent as an A2A agent")
        .place("agent", "The agent.")
        .json::<Object>("200", card)
        .problem("404", "There is no such agent.")
        .done();
    book.open("post", "/a2a", "a2a", "a2aHub", "JSON-RPC of A2A 1.0, to whom a message concerns")
        .scope("`chat`")
        .takes::<Object>(JSON)
        .json::<Object>("200", answer)
        .done();
    book.open("post", "/a2a/{agent}", "a2a", "a2aAgent", "JSON-RPC of A2A 1.0, to one agent")
        .scope("`chat`")
        .place("agent", "The agent.")
        .takes::<Object>(JSON)
        .json::<Object>("200", answer)
        .problem("404", "There is no such agent.")
        .done();
}

fn of_the_history(book: &mut Book) {
    let scope = "`chat` for one's own, `ops:content` for whomever `user` names";
    let away = "The history cannot be read now.";
    book.open(
        "get",
        "/v1/history/conversations",
        "history",
        "conversations",
        "A person's conversations, the newest first",
    )
    .scope(scope)
    .query::<history::Paged>()
    .json::<shapes::Conversations>("200", "The page.")
    .problem("503", away)
    .done();
    book.open("get", "/v1/history/triggers", "history", "triggers", "A person's triggers, the newest first")
        .scope(scope)
        .query::<history::Spanned>()
        .json::<shapes::Triggers>("200", "The page.")
        .problem("503", away)
        .done();
    book.open("get", "/v1/history/biometrics", "history", "biometrics", "A person's measurements, the oldest first")
        .scope(scope)
        .query::<history::Spanned>()
        .json::<shapes::Biometrics>("200", "The page.")
        .problem("503", away)
        .done();
    book.open("get", "/v1/why/{event_id}", "history", "why", "What an answer or a trigger rests on")
        .scope(scope)
        .place("event_id", "The answer's or trigger's id.")
        .query::<history::OfPerson>()
        .json::<Chain>("200", "The chain.")
        .problem("404", "There is no such answer or trigger of the person.")
        .problem("503", away)
        .done();
}

fn operators(book: &mut Book) {
    let (scope, away) = ("`ops`", "The bus does not answer.");
    book.open("get", "/v1/ops/node", "operators", "node", "What this node does")
        .scope(scope)
        .json::<console::NodeSeen>("200", "Roles with their workers and guarantees, agents, rules.")
        .done();
    book.open("get", "/v1/ops/topics", "operators", "topics", "How far topics reach")
        .scope(scope)
        .json::<console::TopicsSeen>("200", "The topics, as of at most 3 s ago.")
        .problem("503", away)
        .done();
    book.open("get", "/v1/ops/groups", "operators", "groups", "How far the roles' groups are, and who works in them")
        .scope(scope)
        .json::<console::GroupsSeen>("200", "The groups, as of at most 3 s ago.")
        .problem("503", away)
        .done();
    book.open("get", "/v1/ops/triggers", "operators", "recentTriggers", "Which rules spoke in the last minutes")
        .scope(scope)
        .json::<Recent>("200", "Triggers by minute and by rule, as of at most 3 s ago.")
        .problem("503", away)
        .done();
    book.open(
        "get",
        "/v1/ops/dead-letters",
        "operators",
        "deadLetters",
        "The newest dead letters, without what they hold",
    )
    .scope(scope)
    .query::<console::LettersAsked>()
    .json::<console::LettersSeen>("200", "Their counts, and the newest.")
    .problem("503", away)
    .done();
    let (topic, cursor) = ("The topic that the record came from.", "Where the dead letter stands: `partition:offset`.");
    book.open("get", "/v1/ops/dead-letters/{topic}/{cursor}", "operators", "deadLetter", "One dead letter")
        .scope("`ops`, and `ops:content` for what it holds")
        .place("topic", topic)
        .place("cursor", cursor)
        .query::<console::WithContent>()
        .json::<console::LetterOpened>("200", "The dead letter.")
        .problem("404", "There is none.")
        .problem("503", away)
        .done();
    let path = "/v1/ops/dead-letters/{topic}/{cursor}/replay";
    book.open("post", path, "operators", "replay", "Sends the record of a dead letter again, once")
        .scope(scope)
        .place("topic", topic)
        .place("cursor", cursor)
        .json::<console::Replayed>("200", "It was sent again.")
        .problem("400", "The path names no topic or no place.")
        .problem("404", "There is no such dead letter.")
        .problem("409", "It was sent again before, or has been worked.")
        .problem("503", away)
        .done();
    book.open("get", "/v1/ops/tail", "operators", "tail", "Records as they come")
        .scope("`ops`, and `ops:content` for what records hold")
        .query::<console::TailAsked>()
        .text("200", EVENTS, "`event: records` with `records` and `passed_over`; `event: end` where it cannot go on.")
        .problem("503", "The bus does not answer, or too many look.")
        .done();
}

fn files(book: &mut Book) {
    for (path, id, medium, about) in [
        ("/", "chatPage", "text/html", "The chat page"),
        ("/chat.css", "chatStyle", "text/css", "Its style"),
        ("/chat.js", "chatScript", "text/javascript", "Its script"),
        ("/favicon.ico", "icon", "image/svg+xml", "The pages' icon"),
        ("/client.js", "chatClient", "text/javascript", "The client that it uses"),
        ("/ops", "opsPage", "text/html", "The operators' page"),
        ("/ops.css", "opsStyle", "text/css", "Its style"),
        ("/ops.js", "opsScript", "text/javascript", "Its script"),
    ] {
        book.open("get", path, "pages", id, about).text("200", medium, "The file.").done();
    }
    book.open("get", "/openapi.json", "pages", "openapi", "This document")
        .json::<serde_json::Map<String, serde_json::Value>>("200", "The document.")
        .done();
    book.open("get", "/asyncapi.json", "pages", "asyncapi", "The chat protocol, as AsyncAPI")
        .json::<serde_json::Map<String, serde_json::Value>>("200", "The document.")
        .done();
}
