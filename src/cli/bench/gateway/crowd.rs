//! The clients: as little as can read frames, so that what is measured is the server.

use std::{
    net::SocketAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use auren::bus::{BusError, Record, Topic};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::{Instant, sleep},
};

/// How whole frames of text, and pings, begin.
const TEXT: u8 = 0x81;
const PING: u8 = 0x89;
/// Handshakes at a time.
const AT_A_TIME: usize = 200;

type Events = mpsc::Sender<Result<Vec<Record>, BusError>>;

/// Sockets that are open, and what all of them have heard.
pub(super) struct Crowd {
    heard: Arc<Heard>,
    /// What the rounds before have counted.
    before: Mutex<(u64, u64)>,
}

#[derive(Default)]
struct Heard {
    frames: AtomicU64,
    bytes: AtomicU64,
    lost: AtomicU64,
    listener: Mutex<Option<Events>>,
}

impl Crowd {
    /// Opens so many sockets, each with the token of its number.
    pub(super) async fn gather(address: SocketAddr, count: u32, token: impl Fn(u32) -> String) -> anyhow::Result<Self> {
        let heard = Arc::<Heard>::default();
        let opening = stream::iter(0..count).map(|number| open(address, token(number)));
        let mut opened = opening.buffer_unordered(AT_A_TIME);
        while let Some((stream, rest)) = opened.try_next().await? {
            let heard = Arc::clone(&heard);
            tokio::spawn(async move {
                // Whoever waits for frames is told that a socket has gone.
                if read(stream, rest, &heard).await.is_err() {
                    heard.lost.fetch_add(1, Relaxed);
                }
            });
        }
        drop(opened);
        Ok(Self { heard, before: Mutex::default() })
    }

    /// Waits until so many frames more have come, and says how many bytes they had.
    pub(super) async fn hears(&self, frames: u64, limit: Duration) -> anyhow::Result<u64> {
        let before = *self.before.lock().expect("nobody panics with it");
        let end = Instant::now() + limit;
        loop {
            let now = (self.heard.frames.load(Relaxed), self.heard.bytes.load(Relaxed));
            if now.0 >= before.0 + frames {
                *self.before.lock().expect("nobody panics with it") = now;
                return Ok(now.1 - before.1);
            }
            let lost = self.heard.lost.load(Relaxed);
            ensure!(lost == 0, "{lost} sockets were closed");
            ensure!(Instant::now() < end, "{} of {frames} frames have come within {limit:?}", now.0 - before.0);
            sleep(Duration::from_millis(1)).await;
        }
    }

    /// From now on events are handed out as they come.
    pub(super) fn listen(&self) -> mpsc::Receiver<Result<Vec<Record>, BusError>> {
        let (events, receiver) = mpsc::channel(10_000);
        *self.heard.listener.lock().expect("nobody panics with it") = Some(events);
        receiver
    }
}

/// A WebSocket, and what came behind its handshake.
async fn open(address: SocketAddr, token: String) -> anyhow::Result<(TcpStream, Vec<u8>)> {
    let mut stream = TcpStream::connect(address).await.context("connecting a socket")?;
    let ask = format!(
        "GET /v1/ws HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: auren.v1\r\nAuthorization: Bearer {token}\r\n\r\n"
    );
    stream.write_all(ask.as_bytes()).await?;
    let mut answer = Vec::with_capacity(512);
    loop {
        ensure!(stream.read_buf(&mut answer).await? > 0, "the server closed a socket in its handshake");
        if let Some(end) = answer.windows(4).position(|four| four == b"\r\n\r\n") {
            let head = String::from_utf8_lossy(&answer[..end]);
            ensure!(head.starts_with("HTTP/1.1 101"), "the server let a socket not in: {head}");
            return Ok((stream, answer.split_off(end + 4)));
        }
    }
}

async fn read(mut stream: TcpStream, mut buffer: Vec<u8>, heard: &Heard) -> anyhow::Result<()> {
    loop {
        let mut taken = 0;
        while let Some((payload, end)) = frame(&buffer[taken..])? {
            let text = &buffer[taken..][payload..end];
            // A node says hello first, and gives signs of life.
            if buffer[taken] == TEXT && !text.starts_with(br#"{"type":"hello""#) {
                heard.frames.fetch_add(1, Relaxed);
                heard.bytes.fetch_add(text.len() as u64, Relaxed);
                let listener = heard.listener.lock().expect("nobody panics with it").clone();
                if let Some(record) = listener.is_some().then(|| record(text)).flatten()
                    && let Some(listener) = listener
                {
                    // Whoever listened may have heard enough.
                    let _ = listener.send(Ok(vec![record])).await;
                }
            }
            taken += end;
        }
        buffer.drain(..taken);
        ensure!(stream.read_buf(&mut buffer).await? > 0, "a socket has ended");
    }
}

/// Where the payload of the first frame begins and ends; none where it is not all there.
fn frame(bytes: &[u8]) -> anyhow::Result<Option<(usize, usize)>> {
    let [kind, length, rest @ ..] = bytes else { return Ok(None) };
    let (head, length) = match (length, rest) {
        (126, [high, low, ..]) => (4, usize::from(u16::from_be_bytes([*high, *low]))),
        (126, _) => return Ok(None),
        (0..126, _) => (2, usize::from(*length)),
        _ => bail!("a frame of more than 64 KiB"),
    };
    ensure!([TEXT, PING].contains(kind), "a socket was closed, or is spoken to in parts: {kind:#x}");
    Ok((bytes.len() >= head + length).then_some((head, head + length)))
}

/// The event of a frame, as the log has it.
fn record(text: &[u8]) -> Option<Record> {
    let frame: Value = serde_json::from_slice(text).ok()?;
    let payload = Some(frame.get("event")?.to_string().into());
    let (topic, headers) = (Topic::Events, Vec::new());
    Some(Record { topic, partition: 0, offset: 0, timestamp_ms: 0, key: None, payload, headers })
}
