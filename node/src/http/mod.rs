//! The HTTP API under `/api/v1`, for this device's screens and commands.
//!
//! It listens on loopback. A client shows the token from the data folder, a browser the cookie of a session; requests for another host
//! (DNS rebinding) or from another origin are refused. What it serves is described by `openapi.json`, which a test holds against the
//! routes. Beside it are the screens (`web`) and the customers' pages (`track`).

mod act;
mod answer;
mod ask;
mod people;
mod session;
mod track;
mod web;

use crate::error::NodeError;
use crate::folder::Folder;
use crate::link::Contacts;
use crate::photo_link::Wanted;
use crate::photos::PHOTO_BYTES_MAX;
use crate::shell::Shell;
use answer::{ApiError, error};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::Response;
use axum::routing::{MethodRouter, get, post};
use creel_protocol::id::OrganisationId;
use creel_protocol::roster::Role;
pub(crate) use people::Person;
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
    pub(crate) sessions: session::Sessions,
    pub(crate) people: people::People,
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
        let secret = folder.api_token()?;
        let (token, sessions) = (blake3::hash(secret.as_bytes()), session::Sessions::new(&secret, http.port()));
        let people = people::People::open(&folder)?;
        Ok(Self(Arc::new(Shared {
            shell,
            folder,
            contacts,
            wanted,
            organisation,
            http,
            quic,
            sessions,
            people,
            token,
        })))
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
        ("/shipments/{ref}/verify", get(ask::verify)),
        ("/shipments/{ref}/tracking", get(track::link)),
        ("/workflows", get(ask::workflows).post(act::publish)),
        ("/session", get(session::session)),
        ("/open", post(session::link)),
        ("/login", post(session::login)),
        ("/logout", post(session::logout)),
        ("/people-names", get(people::names)),
        ("/people", get(people::list).post(people::put)),
        ("/people/remove", post(people::remove)),
        ("/sheet", get(ask::sheet_rows)),
        ("/sheet.csv", get(ask::sheet_csv)),
        ("/sheet.xlsx", get(ask::sheet_xlsx)),
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
        .route("/open", get(session::open))
        .route("/t/{token}", get(track::page))
        .fallback(web::file)
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
    let path = request.uri().path().to_owned();
    let shown = text(headers, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    // Comparing hashes takes the same time whatever differs.
    let known = shown.is_some_and(|token| blake3::hash(token.as_bytes()) == api.token);
    let who =
        if known { Some(session::Who::owner()) } else { api.sessions.who(headers, &api.people, crate::shell::now().0) };
    if let Some(who) = &who {
        if !may(who, request.method(), &path) {
            return Err(error(StatusCode::FORBIDDEN, "your role may not do this: ask a dispatcher or an admin"));
        }
    } else if path.starts_with("/api/") && !OPEN.contains(&path.as_str()) {
        let why = "open creel in a browser with “creel open”, or show the token from the data folder's file “api-token”: \
                   Authorization: Bearer TOKEN";
        return Err(error(StatusCode::UNAUTHORIZED, why));
    }
    let mut request = request;
    if let Some(who) = who {
        request.extensions_mut().insert(who);
    }
    let response = next.run(request).await;
    let mut response = if path.starts_with("/api/") { answer::in_words(response).await } else { response };
    web::harden(&mut response);
    Ok(response)
}

/// What anybody who reaches this node may ask.
const OPEN: [&str; 3] = ["/api/v1/openapi.json", "/api/v1/people-names", "/api/v1/login"];

/// What a person may do who shares this device. Edits are judged by the device's role everywhere; what its people may do is for this
/// device to see to.
fn may(who: &session::Who, method: &Method, path: &str) -> bool {
    let Some(role) = who.role else { return true };
    let reads = method == Method::GET && !path.starts_with("/api/v1/pack");
    let acts: &[&str] = match role {
        Role::Admin => return true,
        Role::Dispatcher => &[
            "records",
            "measurements",
            "plans",
            "messages",
            "resolutions",
            "retractions",
            "imports",
            "photos",
            "nudge",
            "logout",
        ],
        Role::Picker => &["records", "measurements", "messages", "retractions", "photos", "nudge", "logout"],
        Role::Driver | Role::Shop | Role::Viewer => &["logout"],
    };
    reads || path.strip_prefix("/api/v1/").is_some_and(|act| acts.contains(&act))
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
