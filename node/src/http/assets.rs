//! The screens: files that are built from `node/web` and compiled in, so that running creel needs nothing else.

use super::answer::error;
use crate::error::NodeError;
use axum::http::{HeaderValue, StatusCode, Uri, header};
use axum::response::{IntoResponse, Response};
use include_dir::{Dir, include_dir};

static FILES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/web/dist");

/// What a page may load and do: its own files, and pictures that it made itself.
const POLICY: &str = "default-src 'self'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; \
                      connect-src 'self'; worker-src 'self' blob:; base-uri 'none'; form-action 'self'; object-src 'none'; \
                      frame-ancestors ";

/// The security headers of every answer.
#[derive(Debug)]
pub(super) struct Policy {
    content: HeaderValue,
    /// Whether older browsers too are to show it in no frame.
    unframed: bool,
}

pub(super) fn policy(framed_by: Option<&str>) -> Result<Policy, NodeError> {
    let content = format!("{POLICY}{}", framed_by.unwrap_or("'none'"));
    let fits = framed_by.is_none_or(is_origin);
    let content = HeaderValue::from_str(&content).ok().filter(|_| fits);
    let wrong = || NodeError::System("--framed-by is an origin, such as http://127.0.0.1:8080".to_owned());
    Ok(Policy { content: content.ok_or_else(wrong)?, unframed: framed_by.is_none() })
}

/// Whether it is a scheme, a host and a port, and nothing else.
fn is_origin(text: &str) -> bool {
    let Ok(uri) = text.parse::<Uri>() else { return false };
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    let (Some(scheme), Some(host)) = (uri.scheme_str(), uri.host()) else { return false };
    !host.contains(['*', ';', ',']) && !port.is_empty() && text == format!("{scheme}://{host}{port}")
}

/// A file of the screens.
pub(super) async fn file(uri: Uri) -> Response {
    let path = uri.path().trim_start_matches('/');
    let path = if path.is_empty() { "index.html" } else { path };
    let Some(file) = FILES.get_file(path) else {
        return error(StatusCode::NOT_FOUND, "there is nothing here: the screens begin at /, the API is under /api/v1")
            .into_response();
    };
    let kind = match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("html") => "text/html; charset=utf-8",
        Some("js" | "mjs") => "text/javascript; charset=utf-8",
        Some("css") => "text/css; charset=utf-8",
        Some("json" | "geojson") => "application/json",
        Some("svg") => "image/svg+xml",
        Some("png") => "image/png",
        Some("wasm") => "application/wasm",
        Some("tsv") => "text/tab-separated-values; charset=utf-8",
        Some("woff2") => "font/woff2",
        Some("webmanifest") => "application/manifest+json",
        _ => "application/octet-stream",
    };
    // Names under assets/ hold a hash of what is in them.
    let keep = if path.starts_with("assets/") { "public, max-age=31536000, immutable" } else { "no-cache" };
    ([(header::CONTENT_TYPE, kind), (header::CACHE_CONTROL, keep)], file.contents()).into_response()
}

/// Adds the security headers.
pub(super) fn add_security_headers(response: &mut Response, policy: &Policy) {
    let headers = response.headers_mut();
    headers.entry(header::CONTENT_SECURITY_POLICY).or_insert_with(|| policy.content.clone());
    if policy.unframed {
        headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    }
    for (name, value) in [(header::X_CONTENT_TYPE_OPTIONS, "nosniff"), (header::REFERRER_POLICY, "same-origin")] {
        headers.entry(name).or_insert(HeaderValue::from_static(value));
    }
}
