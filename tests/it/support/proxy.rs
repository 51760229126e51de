//! A way to Kafka that can be made to fail at one kind of request: its answer does not come, or it never arrives, or the
//! answer says something else. Brokers name themselves in their answers; the proxy puts its own port there, so that
//! clients come back through it.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, Mutex},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::{Notify, watch},
};

use super::within;

/// Requests of Kafka's protocol, by their keys.
pub const HEARTBEAT: i16 = 12;
pub const END_TXN: i16 = 26;

/// What happens to the next request of a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// The broker does it, and its connection says no more.
    KeepAnswer,
    /// The broker never hears of it; nothing more goes through its connection.
    KeepRequest,
    /// The broker does it, and its answer carries this error code instead.
    Answer(i16),
}

/// A proxy that runs for as long as the test's runtime.
pub struct Proxy {
    road: Arc<Road>,
    pub address: String,
}

struct Road {
    broker: String,
    port: u16,
    next: Mutex<Option<(i16, Trouble)>>,
    met: Notify,
    /// Counts how often all connections were let go on.
    mended: watch::Sender<u64>,
}

impl Proxy {
    pub async fn to(broker: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let (mended, _) = watch::channel(0);
        let road =
            Arc::new(Road { broker: broker.to_owned(), port, next: Mutex::default(), met: Notify::new(), mended });
        let accepting = Arc::clone(&road);
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let road = Arc::clone(&accepting);
                tokio::spawn(async move { road.connect(client).await });
            }
        });
        Self { road, address: format!("127.0.0.1:{port}") }
    }

    /// The next request of this kind has this trouble.
    pub fn trouble(&self, request: i16, trouble: Trouble) {
        *self.road.next.lock().unwrap() = Some((request, trouble));
    }

    /// Waits until the trouble has been met.
    pub async fn met(&self) {
        within(self.road.met.notified()).await;
    }

    /// What is kept goes on.
    pub fn mend(&self) {
        self.road.mended.send_modify(|times| *times += 1);
    }
}

impl Road {
    async fn connect(self: Arc<Self>, client: TcpStream) {
        let Ok(broker) = TcpStream::connect(&self.broker).await else { return };
        let (from_client, to_client) = client.into_split();
        let (from_broker, to_broker) = broker.into_split();
        let asked = Arc::new(Mutex::new(HashMap::new()));
        let requests = tokio::spawn(Arc::clone(&self).requests(from_client, to_broker, Arc::clone(&asked)));
        // Either end may close; the halves that are dropped close the other.
        let _ = self.answers(from_broker, to_client, asked).await;
        requests.abort();
    }

    async fn requests(
        self: Arc<Self>,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        asked: Arc<Mutex<HashMap<i32, i16>>>,
    ) -> io::Result<()> {
        loop {
            let frame = frame(&mut from).await?;
            let request = i16::from_be_bytes(frame[0..2].try_into().unwrap());
            asked.lock().unwrap().insert(number(&frame[4..8]), request);
            if self.meets(request, |trouble| trouble == Trouble::KeepRequest).is_some() {
                self.kept().await;
            }
            send(&mut to, &frame).await?;
        }
    }

    async fn answers(
        &self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        asked: Arc<Mutex<HashMap<i32, i16>>>,
    ) -> io::Result<()> {
        let (host, port) = self.broker.rsplit_once(':').unwrap();
        let name = [host.as_bytes(), &i32::from(port.parse::<u16>().unwrap()).to_be_bytes()].concat();
        loop {
            let mut frame = frame(&mut from).await?;
            let request = asked.lock().unwrap().remove(&number(&frame[0..4])).unwrap_or(-1);
            let places: Vec<_> = (0..frame.len()).filter(|at| frame[*at..].starts_with(&name)).collect();
            for at in places {
                frame[at + host.len()..at + name.len()].copy_from_slice(&i32::from(self.port).to_be_bytes());
            }
            match self.meets(request, |trouble| trouble != Trouble::KeepRequest) {
                Some(Trouble::KeepAnswer) => self.kept().await,
                // Behind the request's number and the throttle time.
                Some(Trouble::Answer(code)) => frame[8..10].copy_from_slice(&code.to_be_bytes()),
                _ => {}
            }
            send(&mut to, &frame).await?;
        }
    }

    fn meets(&self, request: i16, applies: impl Fn(Trouble) -> bool) -> Option<Trouble> {
        let mut next = self.next.lock().unwrap();
        let (_, trouble) = next.take_if(|(kind, trouble)| *kind == request && applies(*trouble))?;
        self.met.notify_one();
        Some(trouble)
    }

    async fn kept(&self) {
        let _ = self.mended.subscribe().changed().await;
    }
}

fn number(bytes: &[u8]) -> i32 {
    i32::from_be_bytes(bytes.try_into().unwrap())
}

async fn frame(from: &mut OwnedReadHalf) -> io::Result<Vec<u8>> {
    let length = from.read_u32().await?;
    let mut frame = vec![0; length as usize];
    from.read_exact(&mut frame).await?;
    Ok(frame)
}

async fn send(to: &mut OwnedWriteHalf, frame: &[u8]) -> io::Result<()> {
    to.write_u32(u32::try_from(frame.len()).unwrap()).await?;
    to.write_all(frame).await
}
