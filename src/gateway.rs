//! The node's own HTTP server. It is put together from [`Part`]s, each the routes of one concern, and knows none of them.
//!
//! [`ops`] answers whether the node lives, whether it can work, and what it has done; [`metrics`] names every figure with
//! its unit. [`server`] takes connections with small buffers, over [`tls`] where there is a certificate, and ends them in
//! order ([`linger`]) or when they are [`idle`]; [`address`] says whose request it is, [`limits`] how much one address may
//! have, and [`problem`] is how every route says what is wrong. [`access`] says who may do what, by the [`tokens`] that they show: [`readings`] takes
//! measured values in, [`people`] opens and erases them, [`chat`] is for frontends, and [`history`] shows what happened.
//! [`console`] is for operators, and [`openapi`] describes all of it. [`yardstick`] is what sockets cost with nothing around
//! them.
//! Nothing outside this folder names axum, hyper or the Prometheus client.

mod access;
mod address;
mod chat;
mod console;
mod history;
mod idle;
mod limits;
mod linger;
mod metrics;
pub mod openapi;
mod ops;
mod people;
mod problem;
mod readings;
mod server;
pub mod tls;
mod tokens;
mod yardstick;

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    http::{
        HeaderName, Method,
        header::{AUTHORIZATION, CONTENT_TYPE},
    },
};
use tokio::{net::TcpListener, sync::watch, task::JoinHandle};
use tower_http::cors::CorsLayer;

use self::server::Server;
pub use self::{
    access::Access,
    chat::Chat,
    console::{Console, RuleSeen, RulesWatch},
    history::History,
    ops::{Ops, RoleWatch, Watches},
    people::People,
    readings::Readings,
    tokens::Tokens,
    yardstick::Yardstick,
};
pub(crate) use self::{limits::Refusals, problem::Problem};
use crate::config::HttpSection;

/// How long requests that are being answered may take when the server ends.
const DRAIN_LIMIT: Duration = Duration::from_secs(2);

/// Why there is no server.
#[derive(Debug, thiserror::Error)]
pub enum GatewayError {
    /// The address cannot be had.
    #[error(
        "cannot listen on {address}: {why}; set http.address to another `host:port`, or to \"\" where there is to be no \
         HTTP server"
    )]
    Address {
        /// The address as configured.
        address: String,
        /// The system's words.
        why: String,
    },
    /// The certificate or its key cannot be used.
    #[error("the http server's certificate {file}: {why}; look at http.tls.certificate and http.tls.key")]
    Certificate {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
    /// A key that tokens are believed by cannot be read.
    #[error("the key for tokens in {file}: {why}; set tokens.secret, tokens.public_key_file or tokens.jwks")]
    Key {
        /// The file.
        file: String,
        /// What is wrong.
        why: String,
    },
}

/// The routes of one concern.
#[derive(Debug)]
pub struct Part(Router);

/// A server at work.
#[derive(Debug)]
pub struct Gateway {
    address: SocketAddr,
    stop: watch::Sender<bool>,
    serving: JoinHandle<()>,
}

impl Gateway {
    /// Listens where the configuration says and answers what the parts answer, also to pages of these origins. None where
    /// there is to be no server.
    ///
    /// # Errors
    /// [`GatewayError`] where the address or the certificate cannot be had.
    pub(crate) async fn open(
        http: &HttpSection,
        origins: &[String],
        parts: Vec<Part>,
        refusals: Arc<Refusals>,
    ) -> Result<Option<Self>, GatewayError> {
        if http.address.is_empty() {
            return Ok(None);
        }
        let unfit = |error: std::io::Error| GatewayError::Address { address: http.address.clone(), why: words(&error) };
        let listener = TcpListener::bind(&http.address).await.map_err(unfit)?;
        let address = listener.local_addr().map_err(unfit)?;
        let (stop, stopped) = watch::channel(false);
        let router = router(parts).layer(cors(origins));
        let serving = tokio::spawn(Server::new(http, router, refusals)?.serve(listener, stopped));
        tracing::info!(tls = http.tls.is_on(), %address, "http server started");
        Ok(Some(Self { address, stop, serving }))
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Takes no more connections, lets what is being answered end, and ends.
    pub async fn stop(self) {
        // Nobody listening means that it has ended.
        let _ = self.stop.send(true);
        if tokio::time::timeout(DRAIN_LIMIT, self.serving).await.is_err() {
            tracing::warn!(limit_s = DRAIN_LIMIT.as_secs(), "the http server has ended before all was answered");
        }
    }
}

fn words(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "another process listens there".to_owned(),
        _ => error.to_string(),
    }
}

fn router(parts: Vec<Part>) -> Router {
    let all = parts.into_iter().fold(Router::new(), |all, Part(routes)| all.merge(routes));
    all.fallback(Problem::no_such_page).method_not_allowed_fallback(Problem::no_such_method)
}

/// Lets pages of these origins read the answers; a browser asks before it sends a token there.
fn cors(origins: &[String]) -> CorsLayer {
    let last_event_id = HeaderName::from_static("last-event-id");
    CorsLayer::new()
        .allow_origin(origins.iter().filter_map(|origin| origin.parse().ok()).collect::<Vec<_>>())
        .allow_methods([Method::GET, Method::POST])
        .allow_headers([AUTHORIZATION, CONTENT_TYPE, last_event_id])
}
