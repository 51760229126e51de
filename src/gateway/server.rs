//! Takes connections, so many at a time, and ends them in order. Buffers are small, because most connections are idle.

use std::{pin::pin, sync::Arc, time::Duration};

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{Semaphore, watch},
};

use super::linger::Lingering;

/// The head of a request must be there within this time.
const HEAD_LIMIT: Duration = Duration::from_secs(10);

/// The largest head of a request. A connection's buffer begins with 8 KiB, hyper takes no less.
const HEAD_BYTES: usize = 16 * 1024;

/// The pause after a connection that could not be taken, as where the process has too many files open.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop, and then until everything that is being answered has been. A connection that has become a
/// WebSocket is counted no more: its own part limits and ends it.
pub(super) async fn serve(listener: TcpListener, router: Router, most: u32, mut stop: watch::Receiver<bool>) {
    let seats = Arc::new(Semaphore::new(most as usize));
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
            Ok((stream, _)) => {
                let serving = connection(stream, router.clone(), stop.clone());
                tokio::spawn(async move {
                    serving.await;
                    drop(seat);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    drop(listener);
    // Every connection has given its seat back.
    let _ = seats.acquire_many(most).await;
}

async fn connection(stream: TcpStream, router: Router, mut stop: watch::Receiver<bool>) {
    // Small answers are not held back for more; where it cannot be set they are only later.
    let _ = stream.set_nodelay(true);
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(HEAD_LIMIT).max_buf_size(HEAD_BYTES);
    let connection =
        http.serve_connection(TokioIo::new(Lingering::new(stream)), TowerToHyperService::new(router)).with_upgrades();
    let mut connection = pin!(connection);
    let end = tokio::select! {
        end = connection.as_mut() => end,
        () = told(&mut stop) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = end {
        tracing::debug!(%error, "http connection");
    }
}

/// Told to stop, or nobody is left to tell.
pub(super) async fn told(stop: &mut watch::Receiver<bool>) {
    let _ = stop.wait_for(|stop| *stop).await;
}
