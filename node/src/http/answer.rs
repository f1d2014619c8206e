//! Answers: JSON, and errors in words that say what to do.

use axum::Json;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
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
            Refusal::Ambiguous { .. } => StatusCode::CONFLICT,
            Refusal::Invalid(_) => StatusCode::BAD_REQUEST,
            Refusal::Store(_) => StatusCode::SERVICE_UNAVAILABLE,
        };
        Self(status, refusal.to_string())
    }
}

impl From<crate::NodeError> for ApiError {
    fn from(error: crate::NodeError) -> Self {
        Self(StatusCode::INTERNAL_SERVER_ERROR, error.to_string())
    }
}

/// A reply of another kind than the one asked for: can't happen, and is no reason to stop.
pub(crate) fn confused() -> ApiError {
    error(StatusCode::INTERNAL_SERVER_ERROR, "the node gave another answer than the one asked for; please report this")
}

/// Bytes of an error's text that are read.
const TEXT_BYTES_MAX: usize = 4_096;

/// An error of the HTTP library's own, such as for a query it can't read, told as all others are.
pub(super) async fn in_words(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let json = HeaderValue::from_static("application/json");
    if !is_error || response.headers().get(header::CONTENT_TYPE) == Some(&json) {
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
