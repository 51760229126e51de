//! WebSockets with nothing around them, to measure what the chat costs: the same server and the same buffers, nobody signed
//! in, no log and no place in it. Whatever is posted goes to every socket. No node has it.

use std::{net::SocketAddr, sync::Arc};

use axum::{
    Router,
    extract::{
        Query, State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket, rejection::WebSocketUpgradeRejection},
    },
    response::{IntoResponse as _, Response},
};
use serde::Deserialize;
use tokio::{
    net::TcpListener,
    sync::{
        broadcast::{self, error::RecvError},
        watch,
    },
};

use super::{
    chat::{READ_BYTES, WRITE_BYTES},
    server::Server,
};
use crate::config::HttpSection;

/// Messages that a socket may be behind.
const BEHIND_MAX: usize = 4096;
/// Connections that are no sockets yet.
const CONNECTIONS_MAX: u32 = 1024;

/// A bare server on a free port, until it is dropped.
#[derive(Debug)]
pub struct Yardstick {
    address: SocketAddr,
    _stop: watch::Sender<bool>,
}

/// How often what is posted is said.
#[derive(Debug, Deserialize)]
struct Times {
    #[serde(default)]
    times: u32,
}

impl Yardstick {
    /// Begins to serve.
    ///
    /// # Errors
    /// Where no port can be had.
    pub async fn serve() -> std::io::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        // It has no routes: those of a node stand in a document, and are all that this folder names.
        let all = Router::new().fallback(answer).with_state(broadcast::Sender::new(BEHIND_MAX));
        let http = HttpSection {
            max_connections: CONNECTIONS_MAX,
            max_connections_per_address: CONNECTIONS_MAX as usize,
            ..HttpSection::default()
        };
        let server = Server::new(&http, all, Arc::default()).map_err(std::io::Error::other)?;
        tokio::spawn(server.serve(listener, stopped));
        Ok(Self { address, _stop: stop })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// A socket, or something that is said on all of them.
async fn answer(
    State(said): State<broadcast::Sender<Utf8Bytes>>,
    Query(Times { times }): Query<Times>,
    socket: Result<WebSocketUpgrade, WebSocketUpgradeRejection>,
    text: String,
) -> Response {
    if let Ok(socket) = socket {
        let socket = socket.read_buffer_size(READ_BYTES).write_buffer_size(WRITE_BYTES);
        let said = said.subscribe();
        return socket.on_upgrade(|socket| listen(socket, said));
    }
    let text = Utf8Bytes::from(text);
    for _ in 0..times {
        // Nobody may listen.
        let _ = said.send(text.clone());
    }
    said.receiver_count().to_string().into_response()
}

async fn listen(mut socket: WebSocket, mut said: broadcast::Receiver<Utf8Bytes>) {
    loop {
        tokio::select! {
            message = said.recv() => match message {
                Ok(text) => if socket.send(Message::Text(text)).await.is_err() {
                    return;
                },
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
            heard = socket.recv() => if !matches!(heard, Some(Ok(_))) {
                return;
            },
        }
    }
}
