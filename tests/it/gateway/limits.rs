//! What one address, one connection and one socket may ask for: each limit ends what went beyond it with a word about it, is
//! counted, and harms nobody else.

use std::net::SocketAddr;

use auren::config::Role;
use futures::SinkExt as _;
use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
};
use tokio_tungstenite::tungstenite::Message;

use super::{Kind, River};
use crate::support::{
    chatter::{Chatter, token},
    http, on_system, until, within,
};

async fn river() -> River {
    River::open(Kind::Embedded).await.roles(&[Role::Detect])
}

/// Waits until a limit has been met so often.
async fn refused(address: SocketAddr, limit: &str, times: u64) {
    let line = format!("auren_http_refused_total{{limit=\"{limit}\"}} {times}\n");
    until(&line, || async { http::get(address, "/metrics").await.body.contains(&line) }).await;
}

/// Whether the other side has ended the connection.
async fn ends(mut stream: TcpStream) -> bool {
    let mut rest = Vec::new();
    // A connection that is closed over what was sent is reset.
    let _ = within(stream.read_to_end(&mut rest)).await;
    !rest.starts_with(b"HTTP/1.1 200")
}

#[test]
fn an_address_has_so_many_connections() {
    on_system(async {
        let mut river = river().await;
        river.config.http.max_connections_per_address = 2;
        river.config.http.trusted_proxies.clear();
        let (hub, address) = river.served().await;
        let open = async || {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(b"GET /livez HTTP/1.1\r\nX-Forwarded-For: 203.0.113.1\r\n").await.unwrap();
            stream
        };
        let (one, _two) = (open().await, open().await);
        assert!(ends(open().await).await);
        drop(one);
        until("a place is free", || async {
            let mut stream = TcpStream::connect(address).await.unwrap();
            let asked = stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").await;
            let mut answer = String::new();
            let answered = asked.is_ok() && stream.read_to_string(&mut answer).await.is_ok() && !answer.is_empty();
            assert!(!answer.contains("{limit=\"connections_per_address\"} 0\n"), "{answer}");
            answered
        })
        .await;
        hub.stop().await;
    });
}

#[test]
fn an_address_behind_a_proxy_has_so_many_sockets() {
    on_system(async {
        let mut river = river().await;
        river.config.chat.max_sockets_per_address = 1;
        let (hub, address) = river.served().await;
        let bearer = format!("Bearer {}", token(&river.config, "u-1"));
        let knock = async |address: SocketAddr, from: &str| {
            let headers =
                [("sec-websocket-protocol", "auren.v1"), ("authorization", &*bearer), ("x-forwarded-for", from)];
            Chatter::knock(address, "/v1/ws", &headers).await
        };
        let first = knock(address, "203.0.113.1").await.unwrap();
        for same in ["203.0.113.1", "198.51.100.7, 203.0.113.1", "203.0.113.1:4711"] {
            assert_eq!(knock(address, same).await.err(), Some(429), "{same}");
        }
        let headers = [("Authorization", &*bearer), ("X-Forwarded-For", "203.0.113.1")];
        let answer = http::send(address, "GET /v1/conversations/events/stream", &headers, "").await;
        assert_eq!(answer.status, 429);
        assert_eq!(answer.json()["detail"], "too many sockets and streams from your address");
        refused(address, "sockets_per_address", 4).await;
        let _other = knock(address, "203.0.113.2").await.unwrap();
        drop(first);
        until("the place is free", || async { knock(address, "203.0.113.1").await.is_ok() }).await;
        hub.stop().await;

        // Who is no proxy that the configuration names is believed nothing.
        river.config.http.trusted_proxies = vec!["192.0.2.0/24".to_owned()];
        let (hub, address) = river.served().await;
        let _first = knock(address, "203.0.113.1").await.unwrap();
        assert_eq!(knock(address, "203.0.113.2").await.err(), Some(429));
        hub.stop().await;
    });
}

#[test]
fn a_node_has_so_many_sockets() {
    on_system(async {
        let mut river = river().await;
        river.config.chat.max_sockets = 1;
        let (hub, address) = river.served().await;
        let first = Chatter::open(address, &token(&river.config, "u-1"), None).await;
        let bearer = format!("Bearer {}", token(&river.config, "u-2"));
        let headers = [("sec-websocket-protocol", "auren.v1"), ("authorization", &*bearer)];
        assert_eq!(Chatter::knock(address, "/v1/ws", &headers).await.err(), Some(503));
        refused(address, "sockets", 1).await;
        drop(first);
        until("a place is free", || async { Chatter::knock(address, "/v1/ws", &headers).await.is_ok() }).await;
        hub.stop().await;
    });
}

#[test]
fn who_is_slow_with_a_request_or_idle_is_let_go_of() {
    on_system(async {
        let mut river = river().await;
        river.config.http.handshake_ms = 300;
        let (hub, address) = river.served().await;
        let mut slow = TcpStream::connect(address).await.unwrap();
        slow.write_all(b"GET /livez HTTP/1.1\r\nHost:").await.unwrap();
        assert!(ends(slow).await);
        refused(address, "head", 1).await;
        // One that has been answered and waits for no more is let go of, too, and nobody refused.
        let mut kept = TcpStream::connect(address).await.unwrap();
        kept.write_all(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        assert!(ends(kept).await);
        refused(address, "head", 1).await;
        hub.stop().await;

        (river.config.http.handshake_ms, river.config.http.idle_ms) = (600_000, 300);
        let (hub, address) = river.served().await;
        let mut chatter = Chatter::open(address, &token(&river.config, "u-1"), None).await;
        // One that says nothing, one whose body does not come, and one that has been answered and stays.
        let silent = TcpStream::connect(address).await.unwrap();
        let mut halting = TcpStream::connect(address).await.unwrap();
        let bearer = format!("Authorization: Bearer {}", token(&river.config, "u-1"));
        let head = format!("POST /v1/readings HTTP/1.1\r\nHost: h\r\n{bearer}\r\nContent-Length: 100\r\n\r\n");
        halting.write_all(head.as_bytes()).await.unwrap();
        let mut kept = TcpStream::connect(address).await.unwrap();
        kept.write_all(b"GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
        for stream in [silent, halting, kept] {
            assert!(ends(stream).await);
        }
        refused(address, "idle", 3).await;
        // A WebSocket, which has been idle for longer than they, has its own heartbeat.
        chatter.say(&json!({ "type": "ping" })).await;
        chatter.of("pong").await;
        hub.stop().await;
    });
}

#[test]
fn a_socket_sends_so_many_bytes() {
    on_system(async {
        let mut river = river().await;
        let chat = &mut river.config.chat;
        (chat.frames_per_second, chat.bytes_per_second, chat.max_frame_bytes) = (1000, 4096, 8192);
        let (hub, address) = river.served().await;
        let mut chatter = Chatter::open(address, &token(&river.config, "u-1"), None).await;
        let large = json!({ "type": "ping", "more": "x".repeat(4000) }).to_string();
        chatter.text(&large).await;
        chatter.of("pong").await;
        for _ in 0..4 {
            if chatter.socket.send(Message::text(&*large)).await.is_err() {
                break;
            }
        }
        let error = chatter.of("error").await;
        assert_eq!((&error["code"], &error["retry_after_ms"]), (&json!("too_many_bytes"), &json!(1000)), "{error}");
        assert_eq!(chatter.closed().await, 4029);
        let metrics = http::get(address, "/metrics").await.body;
        assert!(metrics.contains("auren_chat_refused_total{code=\"too_many_bytes\"} 1\n"), "{metrics}");
        assert!(metrics.contains("auren_chat_closed_total{code=\"4029\"} 1\n"), "{metrics}");
        hub.stop().await;
    });
}

#[test]
fn a_socket_that_gives_no_sign_of_life_is_closed() {
    on_system(async {
        let mut river = river().await;
        river.config.chat.heartbeat_ms = 100;
        let (hub, address) = river.served().await;
        let mut chatter = Chatter::open(address, &token(&river.config, "u-1"), None).await;
        // Nobody reads, so nobody answers its pings.
        let closed = || async {
            http::get(address, "/metrics").await.body.contains("auren_chat_closed_total{code=\"4001\"} 1\n")
        };
        until("the node closes the socket", closed).await;
        assert_eq!(chatter.closed().await, 4001);
        hub.stop().await;
    });
}
