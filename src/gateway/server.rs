//! Takes connections, so many at a time, and ends them in order. Buffers are small, because most connections are idle.

use std::{
    net::{IpAddr, SocketAddr},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use axum::Router;
use hyper::{
    Request,
    body::Incoming,
    server::conn::http1,
    service::{Service as _, service_fn},
};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
    time::timeout,
};
use tokio_rustls::TlsAcceptor;

use super::{
    GatewayError,
    address::Proxies,
    idle::Activity,
    limits::{Limit, Places, Refusals},
    linger::Lingering,
    tls,
};
use crate::config::HttpSection;

/// The largest head of a request. A connection's buffer begins with 8 KiB, hyper takes no less.
const HEAD_BYTES: usize = 16 * 1024;

/// The pause after a connection that could not be taken, as where the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// What serves connections.
pub(super) struct Server {
    router: Router,
    tls: Option<TlsAcceptor>,
    proxies: Proxies,
    /// Of each address.
    places: Arc<Places>,
    refusals: Arc<Refusals>,
    most: u32,
    handshake: Duration,
    idle: Duration,
}

impl Server {
    pub(super) fn new(http: &HttpSection, router: Router, refusals: Arc<Refusals>) -> Result<Self, GatewayError> {
        Ok(Self {
            router,
            tls: tls::acceptor(&http.tls)?,
            proxies: Proxies::new(http),
            places: Places::new(http.max_connections_per_address),
            refusals,
            most: http.max_connections,
            handshake: Duration::from_millis(http.handshake_ms),
            idle: Duration::from_millis(http.idle_ms),
        })
    }

    /// Serves until told to stop, and then until everything that is being answered has been. A connection that has become a
    /// WebSocket is counted no more: its own part limits and ends it.
    pub(super) async fn serve(self, listener: TcpListener, mut stop: watch::Receiver<bool>) {
        let server = Arc::new(self);
        let seats = Arc::new(Semaphore::new(server.most as usize));
        loop {
            let next = async {
                // It is never closed.
                let seat = Arc::clone(&seats).acquire_owned().await;
                (listener.accept().await, seat)
            };
            let (accepted, seat) = tokio::select! {
                next = next => next,
                () = told(&mut stop) => break,
            };
            match accepted {
                Ok((stream, peer)) => server.take(stream, peer, seat, &stop),
                Err(error) => {
                    tracing::warn!(%error, "a connection could not be taken");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
        drop(listener);
        // Every connection has given its seat back.
        let _ = seats.acquire_many(server.most).await;
    }

    /// Serves a connection on a task of its own, which keeps the seat for as long.
    fn take(
        self: &Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        seat: impl Send + 'static,
        stop: &watch::Receiver<bool>,
    ) {
        let Some(place) = self.places.take(self.proxies.unless_proxy(peer.ip())) else {
            return self.refusals.count(Limit::ConnectionsOfAddress);
        };
        let (server, stop) = (Arc::clone(self), stop.clone());
        tokio::spawn(async move {
            server.connection(stream, peer.ip(), stop).await;
            drop((place, seat));
        });
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: IpAddr, mut stop: watch::Receiver<bool>) {
        // Small answers are not held back for more; where it cannot be set they are only later.
        let _ = stream.set_nodelay(true);
        let activity = Arc::new(Activity::new());
        let stream = Lingering::new(stream, Arc::clone(&activity));
        let Some(tls) = &self.tls else { return Box::pin(self.talk(stream, peer, activity, stop)).await };
        let shaken = tokio::select! {
            shaken = timeout(self.handshake, tls.accept(stream)) => shaken,
            () = told(&mut stop) => return,
        };
        match shaken {
            Ok(Ok(stream)) => Box::pin(self.talk(stream, peer, activity, stop)).await,
            Ok(Err(error)) => {
                tracing::debug!(%error, "tls handshake");
                self.refusals.count(Limit::TlsHandshake);
            }
            Err(_) => self.refusals.count(Limit::TlsHandshake),
        }
    }

    /// Speaks HTTP until the connection ends, or becomes a WebSocket.
    async fn talk<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
        self: &Arc<Self>,
        stream: S,
        peer: IpAddr,
        activity: Arc<Activity>,
        mut stop: watch::Receiver<bool>,
    ) {
        let mut http = http1::Builder::new();
        http.timer(TokioTimer::new()).header_read_timeout(self.handshake).max_buf_size(HEAD_BYTES);
        let routes = TowerToHyperService::new(self.router.clone());
        let server = Arc::clone(self);
        let service = service_fn(move |mut request: Request<Incoming>| {
            let asker = server.proxies.asker(peer, request.headers());
            request.extensions_mut().insert(asker);
            routes.call(request)
        });
        let connection = http.serve_connection(TokioIo::new(stream), service).with_upgrades();
        let mut connection = pin!(connection);
        let end = tokio::select! {
            end = connection.as_mut() => end,
            () = activity.idle_for(self.idle) => return self.refusals.count(Limit::Idle),
            () = told(&mut stop) => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        };
        if let Err(error) = end {
            // One that has been answered, or says nothing, and waits for a request is let go of like that, too.
            if error.is_timeout() && activity.is_unanswered() {
                self.refusals.count(Limit::Head);
            }
            tracing::debug!(%error, "http connection");
        }
    }
}

/// Told to stop, or nobody is left to tell.
pub(super) async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
