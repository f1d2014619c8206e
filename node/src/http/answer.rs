//! Answers: JSON, and errors in words that say what to do.

use axum::Json;
use axum::http::StatusCode;
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
