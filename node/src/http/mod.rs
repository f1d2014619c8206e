//! The HTTP API under `/api/v1`, for this device's screens and commands.
//!
//! It listens on loopback. A client shows the token from the data folder; requests for another host (DNS rebinding) or from
//! another origin are refused. What it serves is described by `openapi.json`, which a test holds against the routes.

mod act;
mod answer;
mod ask;

use crate::error::NodeError;
use crate::folder::Folder;
use crate::link::Contacts;
use crate::photo_link::Wanted;
use crate::photos::PHOTO_BYTES_MAX;
use crate::shell::Shell;
use answer::{ApiError, error};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use creel_protocol::id::OrganisationId;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::net::TcpListener;

/// What `/api/v1/openapi.json` serves.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Api(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) shell: Shell,
    pub(crate) folder: Folder,
    pub(crate) contacts: Contacts,
    pub(crate) wanted: Arc<Wanted>,
    pub(crate) organisation: OrganisationId,
    pub(crate) http: SocketAddr,
    pub(crate) quic: SocketAddr,
    token: blake3::Hash,
}

impl std::ops::Deref for Api {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl Api {
    pub(crate) fn new(
        shell: Shell,
        folder: Folder,
        contacts: Contacts,
        wanted: Arc<Wanted>,
        organisation: OrganisationId,
        http: SocketAddr,
        quic: SocketAddr,
    ) -> Result<Self, NodeError> {
        let token = blake3::hash(folder.api_token()?.as_bytes());
        Ok(Self(Arc::new(Shared { shell, folder, contacts, wanted, organisation, http, quic, token })))
    }
}

/// Listens on a loopback address; this version serves nobody else.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), NodeError> {
    let failed = |source| NodeError::Listen { address, flag: "--http", source };
    if !address.ip().is_loopback() {
        let why = "this version serves HTTP on loopback only: use 127.0.0.1:PORT";
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, why)));
    }
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Every route: its path as `openapi.json` writes it, and its handler.
fn routes() -> Vec<(&'static str, MethodRouter<Api>)> {
    vec![
        ("/status", get(ask::status)),
        ("/shipments", get(ask::list)),
        ("/shipments/{ref}", get(ask::show)),
        ("/shipments/{ref}/history", get(ask::history)),
        ("/shipments/{ref}/why", get(ask::why)),
        ("/shipments/{ref}/proof", get(ask::proof)),
        ("/shipments/{ref}/automerge", get(ask::automerge)),
        ("/sheet", get(ask::sheet)),
        ("/events", get(ask::events)),
        ("/openapi.json", get(ask::openapi)),
        ("/records", post(act::record)),
        ("/measurements", post(act::measure)),
        ("/plans", post(act::plan)),
        ("/messages", post(act::say)),
        ("/resolutions", post(act::resolve)),
        ("/retractions", post(act::retract)),
        ("/imports", post(act::import)),
        ("/invites", post(act::invite)),
        ("/pack", get(ask::pack)),
        ("/unpack", post(act::unpack)),
        ("/nudge", post(act::nudge)),
        ("/photos", post(act::photo)),
        ("/photos/{hash}", get(ask::photo)),
    ]
}

fn router(api: Api) -> Router {
    let v1 = routes().into_iter().fold(Router::new(), |router, (path, handler)| router.route(path, handler));
    Router::new()
        .nest("/api/v1", v1)
        .fallback(|| async { error(StatusCode::NOT_FOUND, "there is nothing here: the API is under /api/v1") })
        .layer(DefaultBodyLimit::max(PHOTO_BYTES_MAX))
        .layer(middleware::from_fn_with_state(api.clone(), guard))
        .with_state(api)
}

/// Serves until the listener's task is dropped.
pub(crate) async fn serve(listener: TcpListener, api: Api) {
    if let Err(error) = axum::serve(listener, router(api)).await {
        tracing::error!("the HTTP API ended: {error}");
    }
}

/// Refuses requests for another host, from another origin, or without the token.
async fn guard(State(api): State<Api>, request: Request, next: Next) -> Result<Response, ApiError> {
    let port = api.http.port();
    let ours = |host: &str| ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| host == format!("{name}:{port}"));
    let headers = request.headers();
    if !text(headers, &header::HOST).is_some_and(ours) {
        let why = format!("this node answers to 127.0.0.1:{port} and localhost:{port} only");
        return Err(error(StatusCode::FORBIDDEN, &why));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix("http://"));
        if !origin.is_some_and(ours) {
            return Err(error(StatusCode::FORBIDDEN, "requests from other sites are refused"));
        }
    }
    let shown = text(headers, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    // Comparing hashes takes the same time whatever differs.
    let known = shown.is_some_and(|token| blake3::hash(token.as_bytes()) == api.token);
    if !known && request.uri().path() != "/api/v1/openapi.json" {
        let why = "show the token from the data folder's file “api-token”: Authorization: Bearer TOKEN";
        return Err(error(StatusCode::UNAUTHORIZED, why));
    }
    Ok(answer::in_words(next.run(request).await).await)
}

fn text<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> Option<&'a str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is described is served, and what is served is described.
    #[test]
    fn openapi_matches_the_routes() {
        let described: serde_json::Value = serde_json::from_str(OPENAPI).expect("openapi.json is JSON");
        let described: std::collections::BTreeSet<String> =
            described["paths"].as_object().expect("it has paths").keys().cloned().collect();
        let served = routes().into_iter().map(|(path, _)| format!("/api/v1{path}")).collect();
        assert_eq!(described, served);
    }
}
