//! The chat page: files that the binary has in itself, with a policy that lets them load nothing from elsewhere. It speaks to
//! the node by the client for frontends (`clients/typescript`).

use axum::{
    Router,
    http::header::{
        CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS, X_FRAME_OPTIONS,
    },
    response::{IntoResponse, Response},
    routing::get,
};

/// Nothing inline, nothing from elsewhere, and nobody may frame it.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; \
                      base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const SCRIPT: &str = "text/javascript; charset=utf-8";

pub(super) fn routes() -> Router {
    Router::new()
        .route("/", get(async || file("text/html; charset=utf-8", include_str!("../web/chat.html"))))
        .route("/chat.css", get(async || file("text/css; charset=utf-8", include_str!("../web/chat.css"))))
        .route("/chat.js", get(async || file(SCRIPT, include_str!("../web/chat.js"))))
        .route("/favicon.ico", get(async || file("image/svg+xml", include_str!("../web/icon.svg"))))
        .route("/client.js", get(async || file(SCRIPT, include_str!("../../../clients/typescript/client.js"))))
}

/// A file of a page, by its media type.
pub(in crate::gateway) fn file(kind: &'static str, text: &'static str) -> Response {
    let head = [
        (CONTENT_TYPE, kind),
        (CONTENT_SECURITY_POLICY, POLICY),
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (X_FRAME_OPTIONS, "DENY"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-cache"),
    ];
    (head, text).into_response()
}
