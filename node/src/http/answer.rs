//! Answers: JSON, and errors that say what to do.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use creel_api::request::RequestError;
use creel_protocol::core::io::Refusal;
use serde_json::json;

/// An error as the API tells it: `{"error": "..."}`.
#[derive(Debug)]
pub(crate) struct ApiError(StatusCode, String);

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        (self.0, Json(json!({ "error": self.1 }))).into_response()
    }
}

/// An error.
pub(crate) fn error(status: StatusCode, why: &str) -> ApiError {
    ApiError(status, why.to_owned())
}

impl From<Refusal> for ApiError {
    fn from(refusal: Refusal) -> Self {
        let status = match &refusal {
            Refusal::NotFound(_) => StatusCode::NOT_FOUND,
            Refusal::Ambiguous { .. } | Refusal::TapUsed => StatusCode::CONFLICT,
            Refusal::NotYours(_) => StatusCode::FORBIDDEN,
            Refusal::Void(_) | Refusal::Unproven(_) | Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, refusal.to_string())
    }
}

impl From<RequestError> for ApiError {
    fn from(error: RequestError) -> Self {
        let status = match error {
            RequestError::TooManyOrders => StatusCode::PAYLOAD_TOO_LARGE,
            RequestError::Json(_) | RequestError::BothTargets => StatusCode::BAD_REQUEST,
        };
        Self(status, error.to_string())
    }
}

impl From<crate::NodeError> for ApiError {
    fn from(error: crate::NodeError) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

/// An error at an address that people follow, said in English and Chinese: a page for a browser, JSON for anything else.
pub(super) fn error_page(status: StatusCode, asked: &HeaderMap, [en, zh]: [&str; 2]) -> Response {
    let accepts = asked.get(header::ACCEPT).and_then(|accepts| accepts.to_str().ok()).unwrap_or_default();
    if !accepts.contains("text/html") {
        return error(status, &format!("{en} · {zh}")).into_response();
    }
    let page = format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>creel</title><link rel=\"icon\" type=\"image/svg+xml\" href=\"/icon.svg\"><link rel=\"stylesheet\" href=\"/track.css\"></head>\
         <body><main><h1 lang=\"zh-CN\">{zh}</h1><h1>{en}</h1></main></body></html>"
    );
    (status, Html(page)).into_response()
}

/// A reply of another kind than the one asked for: can't happen, and is no reason to stop.
pub(crate) fn unexpected_reply() -> ApiError {
    error(StatusCode::INTERNAL_SERVER_ERROR, "the node gave another answer than the one asked for; please report this")
}

/// Bytes of an error's text that are read.
const TEXT_BYTES_MAX: usize = 4_096;

/// An error of the HTTP library's own, such as for a query string that it can't read, as JSON like all other errors.
pub(super) async fn as_json_error(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let json = HeaderValue::from_static("application/json");
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_page = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"));
    if !is_error || is_page || kind == Some(&json) {
        return response;
    }
    let (mut parts, body) = response.into_parts();
    let said = to_bytes(body, TEXT_BYTES_MAX).await.unwrap_or_default();
    let why = match status {
        StatusCode::METHOD_NOT_ALLOWED => "this path does not take that method: see /api/v1/openapi.json".into(),
        StatusCode::PAYLOAD_TOO_LARGE => "too large: a request has at most 20 MiB; send orders in several calls".into(),
        _ => String::from_utf8_lossy(&said),
    };
    parts.headers.insert(header::CONTENT_TYPE, json);
    parts.headers.remove(header::CONTENT_LENGTH);
    Response::from_parts(parts, Body::from(json!({ "error": why }).to_string()))
}
