//! Chat for frontends: a WebSocket (`auren.v1`), the same events as a page and as a stream, tickets for browsers, and the
//! chat page itself.
//!
//! [`feed`] follows the log once for the node and keeps its [`tail`], [`listener`] is one client's place in it, [`protocol`]
//! the frames and [`asyncapi`] the document of them, [`socket`] one WebSocket and [`pace`] how much may come on it, [`pages`]
//! HTTP without one, [`agui`] and [`a2a`] the same for frontends that speak AG-UI and agents that speak A2A, [`turns`] what both
//! know of turns, [`sse`] a stream on its way, [`tickets`] what a browser connects with, [`seen`] how far a person has seen
//! them, [`web`] the page. The person is the token's `sub` everywhere.

mod a2a;
pub(super) mod agui;
mod asyncapi;
mod feed;
mod listener;
mod pace;
pub(super) mod pages;
mod protocol;
pub(super) mod seen;
mod socket;
mod sse;
mod stats;
mod tail;
mod tickets;
mod turns;
pub(super) mod web;

use std::{sync::Arc, time::Duration};

use auren_agents::AgentCard;
use axum::{
    Extension, Json, Router,
    extract::{Query, State, WebSocketUpgrade, rejection::QueryRejection},
    http::{
        HeaderMap, StatusCode,
        header::{HOST, ORIGIN},
    },
    response::Response,
    routing::{get, post},
};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, watch};

pub(crate) use self::stats::{Count, Stats, Tier};
use self::{
    feed::Feed,
    listener::{Listener, NoListener},
    protocol::{After, SUBPROTOCOL},
    tickets::{TICKET_LIFE, Tickets},
};
use super::{
    Access, Part, Problem, Refusals,
    address::Asker,
    limits::{Limit, Place, Places},
    tokens::Person,
};
use crate::{
    bus::SharedBus,
    config::{ChatSection, Config},
    provisional::Provisional,
};

/// What a socket reads at once. Most sockets are idle, and the usual 128 KiB are for others.
pub(super) const READ_BYTES: usize = 4 * 1024;
/// Frames that are written together, in bytes. A socket keeps that much once it has needed it.
pub(super) const WRITE_BYTES: usize = 1024;

/// Chat on a node.
#[derive(Debug)]
pub struct Chat {
    access: Access,
    tickets: Tickets,
    settings: ChatSection,
    /// Whether everybody outside speaks TLS.
    tls: bool,
    /// How long a connection on which nothing comes or goes is kept.
    idle: Duration,
    /// Who can be spoken to.
    cards: Arc<[AgentCard]>,
    feed: Arc<Feed>,
    provisional: Provisional,
    stats: Arc<Stats>,
    seats: Arc<Semaphore>,
    /// Of each address.
    places: Arc<Places>,
    refusals: Arc<Refusals>,
    stopping: watch::Receiver<bool>,
}

/// A place among the sockets and streams, until it is dropped.
#[derive(Debug)]
struct Seat {
    _permit: OwnedSemaphorePermit,
    _place: Place,
}

/// What a WebSocket's address says.
#[derive(Debug, Deserialize)]
struct Asked {
    after: Option<String>,
    ticket: Option<String>,
}

impl Chat {
    /// Chat on this bus of the people whom `access` knows with these agents, until `stopping` says so. They also see what
    /// stands on this board.
    #[must_use]
    pub(crate) fn new(
        access: Access,
        bus: SharedBus,
        provisional: Provisional,
        config: &Config,
        refusals: Arc<Refusals>,
        cards: Vec<AgentCard>,
        stopping: watch::Receiver<bool>,
    ) -> Self {
        let (settings, http) = (&config.chat, &config.http);
        let (tls, idle) = (http.tls.is_outside(), Duration::from_millis(http.idle_ms));
        let stats = Arc::new(Stats::default());
        let feed = Feed::new(bus, settings, Arc::clone(&stats), stopping.clone());
        let seats = Arc::new(Semaphore::new(settings.max_sockets));
        let places = Places::new(settings.max_sockets_per_address);
        let (tickets, settings) = (Tickets::default(), settings.clone());
        let cards = cards.into();
        Self {
            access,
            tickets,
            settings,
            tls,
            idle,
            cards,
            feed,
            provisional,
            stats,
            seats,
            places,
            refusals,
            stopping,
        }
    }

    /// What it counts.
    pub(crate) fn stats(&self) -> Arc<Stats> {
        Arc::clone(&self.stats)
    }

    /// Its routes.
    #[must_use]
    pub fn part(self) -> Part {
        let routes = Router::new()
            .route("/asyncapi.json", get(asyncapi::show))
            .route("/v1/ws", get(upgrade))
            .route("/v1/ws-ticket", post(ticket))
            .route("/v1/agui", post(agui::run))
            .route("/v1/conversations/events", get(pages::page))
            .route("/v1/conversations/events/stream", get(pages::stream_of))
            .route("/v1/conversations/seen", get(seen::seen))
            .route("/v1/conversations/{user}/events", get(pages::page_of))
            .route("/.well-known/agent-card.json", get(a2a::hub_card))
            .route("/a2a", post(a2a::hub))
            .route("/a2a/{agent}", post(a2a::agent))
            .route("/a2a/{agent}/.well-known/agent-card.json", get(a2a::agent_card))
            .with_state(Arc::new(self));
        Part(routes.merge(web::routes()))
    }

    /// Who comes, with a ticket or with a token.
    async fn person(&self, ticket: Option<&str>, headers: &HeaderMap) -> Result<Person, Problem> {
        match ticket {
            Some(ticket) => self.tickets.redeem(ticket),
            None => self.access.person(headers).await,
        }
    }

    /// Whether a page of this origin may connect. Programs have none.
    fn origin(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let Some(origin) = headers.get(ORIGIN) else { return Ok(()) };
        let origin = origin.to_str().unwrap_or_default();
        let host = headers.get(HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
        let own = origin.split_once("://").is_some_and(|(_, from)| from == host);
        if own || self.settings.origins.iter().any(|known| known == origin) {
            return Ok(());
        }
        Err(Problem::new(StatusCode::FORBIDDEN, "pages of this origin may not connect; chat.origins lists who may"))
    }

    /// Listens to a person's events behind this place.
    async fn listen(&self, person: &Person, after: After) -> Result<Listener, NoListener> {
        Listener::open(&self.feed, &person.user, after, self.settings.max_sockets_per_user).await
    }

    /// A place among the sockets and streams.
    fn seat(&self, Asker(address): Asker) -> Result<Seat, Problem> {
        let refused = |limit, status, words| {
            self.refusals.count(limit);
            Problem::new(status, words)
        };
        let (full, taken) = (StatusCode::SERVICE_UNAVAILABLE, "all sockets of this node are taken");
        let permit = Arc::clone(&self.seats).try_acquire_owned();
        let permit = permit.map_err(|_| refused(Limit::Sockets, full, taken))?;
        let (many, words) = (StatusCode::TOO_MANY_REQUESTS, "too many sockets and streams from your address");
        let place = self.places.take(address).ok_or_else(|| refused(Limit::SocketsOfAddress, many, words))?;
        Ok(Seat { _permit: permit, _place: place })
    }
}

/// `GET /v1/ws`.
async fn upgrade(
    State(chat): State<Arc<Chat>>,
    Extension(asker): Extension<Asker>,
    headers: HeaderMap,
    asked: Result<Query<Asked>, QueryRejection>,
    socket: Result<WebSocketUpgrade, axum::extract::ws::rejection::WebSocketUpgradeRejection>,
) -> Result<Response, Problem> {
    let bad = |words: String| Problem::new(StatusCode::BAD_REQUEST, words);
    chat.origin(&headers)?;
    let Query(asked) = asked?;
    let person = chat.person(asked.ticket.as_deref(), &headers).await?;
    let socket = socket.map_err(|error| bad(format!("is no WebSocket handshake: {}", error.body_text())))?;
    let socket = socket.protocols([SUBPROTOCOL]);
    if socket.selected_protocol().is_none() {
        return Err(bad(format!("name the subprotocol {SUBPROTOCOL}")));
    }
    let seat = chat.seat(asker)?;
    // A browser cannot read why a handshake failed, so a bad place is told on the socket.
    let after = asked
        .after
        .as_deref()
        .map_or(Ok(After::Now), |after| after.parse().map_err(|_| "a cursor is `partition:offset`, or `earliest`"));
    let most = chat.settings.max_frame_bytes;
    let socket =
        socket.read_buffer_size(READ_BYTES).write_buffer_size(WRITE_BYTES).max_message_size(most).max_frame_size(most);
    Ok(socket.on_upgrade(move |socket| async move {
        socket::serve(chat, person, after, socket).await;
        drop(seat);
    }))
}

/// `POST /v1/ws-ticket`.
async fn ticket(State(chat): State<Arc<Chat>>, headers: HeaderMap) -> Result<Json<Value>, Problem> {
    let person = chat.access.person(&headers).await?;
    Ok(Json(json!({ "ticket": chat.tickets.give(person), "expires_in_s": TICKET_LIFE.as_secs() })))
}
