//! What is wrong with a request, as every route says it: problem details of RFC 9457.

use axum::{
    extract::rejection::QueryRejection,
    http::{
        HeaderValue, Method, StatusCode, Uri,
        header::{CONTENT_TYPE, WWW_AUTHENTICATE},
    },
    response::{IntoResponse, Response},
};
use serde_json::json;

/// What is wrong with a request. The detail is for the one who asked: it holds nothing that only an operator may know.
#[derive(Debug, Clone)]
pub(crate) struct Problem {
    status: StatusCode,
    detail: String,
}

impl Problem {
    pub(crate) fn new(status: StatusCode, detail: impl Into<String>) -> Self {
        Self { status, detail: detail.into() }
    }

    /// What is wrong, in words, for a protocol that says it in its own way.
    pub(super) fn into_detail(self) -> String {
        self.detail
    }

    /// Nobody knows who asks.
    pub(super) fn unknown(detail: &str) -> Self {
        Self::new(StatusCode::UNAUTHORIZED, detail)
    }

    pub(super) async fn no_such_page(uri: Uri) -> Self {
        Self::new(StatusCode::NOT_FOUND, format!("there is nothing at {}", uri.path()))
    }

    pub(super) async fn no_such_method(method: Method, uri: Uri) -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, format!("{} does not take {method}", uri.path()))
    }
}

/// What an address asks for behind its `?` is not what the route takes.
impl From<QueryRejection> for Problem {
    fn from(rejection: QueryRejection) -> Self {
        Self::new(StatusCode::BAD_REQUEST, rejection.body_text())
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        // Without a type of its own a problem is what its status says (RFC 9457, 4.2.1).
        let body = json!({
            "type": "about:blank",
            "title": self.status.canonical_reason().unwrap_or("Error"),
            "status": self.status.as_u16(),
            "detail": self.detail,
        });
        let mut response =
            (self.status, [(CONTENT_TYPE, "application/problem+json")], body.to_string()).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            response.headers_mut().insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        response
    }
}
