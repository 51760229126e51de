//! The console's page: files that the binary has in itself.

use axum::{Router, routing::get};

use crate::gateway::chat::web::file;

pub(super) fn routes() -> Router {
    Router::new()
        .route("/ops", get(async || file("text/html; charset=utf-8", include_str!("../web/ops.html"))))
        .route("/ops.css", get(async || file("text/css; charset=utf-8", include_str!("../web/ops.css"))))
        .route("/ops.js", get(async || file("text/javascript; charset=utf-8", include_str!("../web/ops.js"))))
}
