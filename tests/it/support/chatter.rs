//! A frontend: a real WebSocket client that keeps its cursor.

use std::{net::SocketAddr, time::Duration};

use auren::{
    config::{Config, NodeProfile},
    gateway::Tokens,
};
use futures::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, http::HeaderValue},
};

use super::within;

/// A token of this person that holds an hour.
pub fn token(config: &Config, user: &str) -> String {
    token_for(config, user, "chat", Duration::from_secs(3600))
}

pub fn token_for(config: &Config, user: &str, scope: &str, life: Duration) -> String {
    let tokens = Tokens::open(&config.tokens, NodeProfile::Dev).unwrap().unwrap();
    tokens.make(user, scope, life).unwrap()
}

/// A socket that has been let in, over TCP or whatever else.
pub struct Chatter<S = TcpStream> {
    pub socket: WebSocketStream<S>,
    /// Behind what it goes on; none before the hello.
    pub cursor: String,
}

/// What came.
#[derive(Debug)]
pub enum Heard {
    Frame(Value),
    Closed(u16),
    Cut,
}

impl Chatter {
    /// Connects, and answers with the status where it is not let in.
    pub async fn knock(address: SocketAddr, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let stream = within(TcpStream::connect(address)).await.unwrap();
        Self::knock_over(stream, &address.to_string(), path, headers).await
    }

    /// Connects with a token and waits for the hello.
    pub async fn open(address: SocketAddr, token: &str, after: Option<&str>) -> Self {
        let mut chatter = Self::enter(address, token, after).await;
        chatter.hello().await;
        chatter
    }

    /// Connects with a token behind this place, or in the middle of things where it is empty; none where it is not let in.
    pub async fn tries(address: SocketAddr, token: &str, after: &str) -> Option<Self> {
        let after = if after.is_empty() { String::new() } else { format!("?after={after}") };
        let mut request = format!("ws://{address}/v1/ws{after}").into_client_request().unwrap();
        for (name, value) in [("sec-websocket-protocol", "auren.v1"), ("authorization", &format!("Bearer {token}"))] {
            request.headers_mut().insert(name, HeaderValue::from_str(value).unwrap());
        }
        let stream = TcpStream::connect(address).await.ok()?;
        let (socket, _) = client_async(request, stream).await.ok()?;
        Some(Self { socket, cursor: String::new() })
    }

    /// Connects with a token.
    pub async fn enter(address: SocketAddr, token: &str, after: Option<&str>) -> Self {
        let stream = within(TcpStream::connect(address)).await.unwrap();
        Self::enter_over(stream, &address.to_string(), token, after).await
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Chatter<S> {
    /// The same as [`Chatter::knock`] over a connection that is there.
    pub async fn knock_over(stream: S, host: &str, path: &str, headers: &[(&'static str, &str)]) -> Result<Self, u16> {
        let mut request = format!("ws://{host}{path}").into_client_request().unwrap();
        for (name, value) in headers {
            request.headers_mut().insert(*name, HeaderValue::from_str(value).unwrap());
        }
        match within(client_async(request, stream)).await {
            Ok((socket, _)) => Ok(Self { socket, cursor: String::new() }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("{error}"),
        }
    }

    /// The same as [`Chatter::enter`] over a connection that is there.
    pub async fn enter_over(stream: S, host: &str, token: &str, after: Option<&str>) -> Self {
        let path = after.map_or("/v1/ws".to_owned(), |after| format!("/v1/ws?after={after}"));
        let bearer = format!("Bearer {token}");
        let headers = [("sec-websocket-protocol", "auren.v1"), ("authorization", &*bearer)];
        Self::knock_over(stream, host, &path, &headers).await.unwrap()
    }

    /// Waits for the hello.
    pub async fn hello(&mut self) {
        let hello = self.frame().await;
        assert_eq!(hello["type"], "hello", "{hello}");
        hello["cursor"].as_str().unwrap().clone_into(&mut self.cursor);
    }

    pub async fn next(&mut self) -> Heard {
        within(self.listens()).await
    }

    /// The same, however long it takes.
    pub async fn listens(&mut self) -> Heard {
        loop {
            match self.socket.next().await {
                Some(Ok(Message::Text(text))) => return Heard::Frame(serde_json::from_str(&text).unwrap()),
                Some(Ok(Message::Close(Some(frame)))) => return Heard::Closed(frame.code.into()),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                None | Some(_) => return Heard::Cut,
            }
        }
    }

    pub async fn frame(&mut self) -> Value {
        match self.next().await {
            Heard::Frame(frame) => frame,
            other => panic!("a frame was expected, not {other:?}"),
        }
    }

    /// The next frame of this type; events are followed and passed over.
    pub async fn of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == "event" {
                self.follow(&frame);
            }
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The next event, which must follow the one before.
    pub async fn event(&mut self) -> Value {
        self.of("event").await
    }

    fn follow(&mut self, frame: &Value) {
        assert_eq!(frame["prev"], *self.cursor, "an event is missing: {frame}");
        frame["cursor"].as_str().unwrap().clone_into(&mut self.cursor);
    }

    /// The code it is closed with, after whatever comes before.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match self.next().await {
                Heard::Frame(_) => {}
                Heard::Closed(code) => return code,
                Heard::Cut => panic!("a close code was expected"),
            }
        }
    }

    pub async fn say(&mut self, frame: &Value) {
        self.text(&frame.to_string()).await;
    }

    pub async fn text(&mut self, text: &str) {
        within(self.socket.send(Message::text(text))).await.unwrap();
    }

    pub async fn message(&mut self, client_id: &str, text: &str) {
        self.say(&json!({ "type": "send", "client_id": client_id, "text": text })).await;
    }
}
