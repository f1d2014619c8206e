//! The HTTP API under `/api/v1`, for this device's screens and commands.
//!
//! It listens on loopback and, where configured, behind TLS for other devices (`tls_listener`). A client shows the token from the data
//! folder, a browser the cookie of a session; requests for another host (DNS rebinding) or from another origin are refused.
//! `openapi.json` describes the API, and a test holds it against the routes. `commands` make edits, `queries` read. Beside it are the screens (`assets`) and the customers' pages (`tracking_page`).

mod answer;
mod assets;
mod commands;
mod drain;
mod login_limit;
mod people;
mod queries;
mod session;
mod tls_listener;
mod tracking_page;

use crate::error::NodeError;
use crate::folder::Folder;
use crate::photos::files::PHOTO_BYTES_MAX;
use crate::photos::wanted::WantedPhotos;
use crate::quic::contacts::Contacts;
use crate::store_thread::StoreHandle;
use answer::{ApiError, error};
use axum::Router;
use axum::extract::{DefaultBodyLimit, Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, get, post};
use creel_protocol::id::OrganisationId;
use creel_protocol::roster::Role;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;
pub(crate) use tls_listener::TlsListener;
pub use tls_listener::{Https, HttpsOptions};
use tokio::net::TcpListener;

/// Bytes of a login.
const LOGIN_BYTES_MAX: usize = 4_096;
/// Bytes of a request that names things; photos, packs and orders may be longer.
const REQUEST_BYTES_MAX: usize = 8 << 20;
/// How long a request of somebody unknown may take, in all.
const ANONYMOUS_TIMEOUT: Duration = Duration::from_secs(30);

/// What `/api/v1/openapi.json` serves.
pub(crate) const OPENAPI: &str = include_str!("openapi.json");

/// What the handlers share.
#[derive(Debug, Clone)]
pub(crate) struct Api(Arc<Shared>);

#[derive(Debug)]
pub(crate) struct Shared {
    parts: Parts,
    pub(crate) sessions: session::Sessions,
    pub(crate) people: people::People,
    /// Limits how many PINs are checked at once.
    pub(crate) logins: login_limit::LoginLimits,
    /// What pages may load and who may frame them.
    policy: assets::Policy,
    token: blake3::Hash,
}

impl std::ops::Deref for Api {
    type Target = Shared;
    fn deref(&self) -> &Shared {
        &self.0
    }
}

impl std::ops::Deref for Shared {
    type Target = Parts;
    fn deref(&self) -> &Parts {
        &self.parts
    }
}

/// The listener that accepted a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Listener {
    /// Loopback: programs and browsers on this device.
    Loopback,
    /// TLS: other devices, and strangers. Everything but the public paths needs a login.
    Tls,
}

/// What an API is made of.
#[derive(Debug)]
pub(crate) struct Parts {
    pub(crate) store: StoreHandle,
    pub(crate) folder: Folder,
    pub(crate) contacts: Contacts,
    pub(crate) wanted: Arc<WantedPhotos>,
    pub(crate) organisation: OrganisationId,
    pub(crate) http: SocketAddr,
    pub(crate) quic: SocketAddr,
    pub(crate) https: Option<Https>,
    pub(crate) framed_by: Option<String>,
}

impl Api {
    pub(crate) fn new(parts: Parts) -> Result<Self, NodeError> {
        let secret = parts.folder.api_token()?;
        let tls_port = parts.https.as_ref().map_or(0, |https| https.address.port());
        Ok(Self(Arc::new(Shared {
            sessions: session::Sessions::new(&secret, parts.http.port(), tls_port),
            people: people::People::open(&parts.folder)?,
            logins: login_limit::LoginLimits::default(),
            policy: assets::policy(parts.framed_by.as_deref())?,
            token: blake3::hash(secret.as_bytes()),
            parts,
        })))
    }
}

/// Listens on a loopback address: without TLS nobody else is served.
pub(crate) async fn listen(address: SocketAddr) -> Result<(TcpListener, SocketAddr), NodeError> {
    let failed = |source| NodeError::Listen { address, flag: "--http", source };
    if !address.ip().is_loopback() {
        let why = "without TLS only this device is served: use 127.0.0.1:PORT here, and --https for other devices";
        return Err(failed(std::io::Error::new(std::io::ErrorKind::InvalidInput, why)));
    }
    let listener = TcpListener::bind(address).await.map_err(failed)?;
    let bound = listener.local_addr().map_err(failed)?;
    Ok((listener, bound))
}

/// Every route: its path as `openapi.json` writes it, and its handler.
fn routes() -> Vec<(&'static str, MethodRouter<Api>)> {
    let long = DefaultBodyLimit::max(PHOTO_BYTES_MAX);
    vec![
        ("/status", get(queries::status)),
        ("/shipments", get(queries::list)),
        ("/shipments/{ref}", get(queries::show)),
        ("/shipments/{ref}/history", get(queries::history)),
        ("/shipments/{ref}/why", get(queries::why)),
        ("/shipments/{ref}/proof", get(queries::proof)),
        ("/shipments/{ref}/automerge", get(queries::automerge)),
        ("/shipments/{ref}/verify", get(queries::verify)),
        ("/shipments/{ref}/tracking", get(tracking_page::link)),
        ("/edits/{edit}/signature", get(queries::signature)),
        ("/workflows", get(queries::workflows).post(commands::publish)),
        ("/session", get(session::session)),
        ("/open", post(session::link)),
        ("/login", post(session::login).layer(DefaultBodyLimit::max(LOGIN_BYTES_MAX))),
        ("/logout", post(session::logout)),
        ("/people-names", get(people::names)),
        ("/people", get(people::list).post(people::put)),
        ("/people/remove", post(people::remove)),
        ("/sheet", get(queries::sheet_rows)),
        ("/sheet.csv", get(queries::sheet_csv)),
        ("/sheet.xlsx", get(queries::sheet_xlsx)),
        ("/events", get(queries::events)),
        ("/openapi.json", get(queries::openapi)),
        ("/records", post(commands::record)),
        ("/measurements", post(commands::measure)),
        ("/plans", post(commands::plan)),
        ("/messages", post(commands::say)),
        ("/resolutions", post(commands::resolve)),
        ("/retractions", post(commands::retract)),
        ("/imports", post(commands::import).layer(long)),
        ("/invites", post(commands::invite)),
        ("/pack", get(queries::pack)),
        ("/unpack", post(commands::unpack).layer(long)),
        ("/nudge", post(commands::nudge)),
        ("/photos", post(commands::photo).layer(long)),
        ("/photos/{hash}", get(queries::photo)),
    ]
}

fn router(api: Api, listener: Listener) -> Router {
    let v1 = routes().into_iter().fold(Router::new(), |router, (path, handler)| router.route(path, handler));
    Router::new()
        .nest("/api/v1", v1)
        .route("/open", get(session::open))
        .route("/t/{token}", get(tracking_page::page))
        .fallback(assets::file)
        .layer(DefaultBodyLimit::max(REQUEST_BYTES_MAX))
        .layer(middleware::from_fn_with_state((api.clone(), listener), guard))
        .layer(middleware::from_fn(drain::drain_body))
        .with_state(api)
}

/// Serves until the listener's task is dropped.
pub(crate) async fn serve(listener: TcpListener, api: Api) {
    if let Err(error) = axum::serve(listener, router(api, Listener::Loopback)).await {
        tracing::error!("the HTTP API ended: {error}");
    }
}

/// Refuses requests for another host, from another origin, or from nobody it knows.
async fn guard(
    State((api, listener)): State<(Api, Listener)>,
    request: Request,
    next: Next,
) -> Result<Response, ApiError> {
    let headers = request.headers();
    // HTTP/2 tells the host in the address.
    let host = text(headers, &header::HOST).or(request.uri().authority().map(Authority::as_str)).unwrap_or_default();
    if !is_own_host(&api, listener, host) {
        return Err(error(StatusCode::FORBIDDEN, &wrong_host(&api, listener)));
    }
    if let Some(origin) = headers.get(header::ORIGIN) {
        let scheme = match listener {
            Listener::Loopback => "http://",
            Listener::Tls => "https://",
        };
        let origin = origin.to_str().ok().and_then(|origin| origin.strip_prefix(scheme));
        let ours = origin.is_some_and(|origin| match listener {
            // By which of its names does not matter on this device.
            Listener::Loopback => is_own_host(&api, listener, origin),
            Listener::Tls => origin == host,
        });
        if !ours {
            return Err(error(StatusCode::FORBIDDEN, "requests from other sites are refused"));
        }
    }
    let path = request.uri().path().to_owned();
    let shown = text(headers, &header::AUTHORIZATION).and_then(|value| value.strip_prefix("Bearer "));
    // Comparing hashes takes the same time whatever differs. The token is for programs on this device.
    let known =
        listener == Listener::Loopback && shown.is_some_and(|token| blake3::hash(token.as_bytes()) == api.token);
    let requester = if known {
        Some(session::Requester::owner())
    } else {
        api.sessions.requester(listener, headers, &api.people, crate::store_thread::now().0)
    };
    if let Some(requester) = &requester {
        if !is_allowed(requester, request.method(), &path) {
            return Err(error(StatusCode::FORBIDDEN, "your role may not do this: ask a dispatcher or an admin"));
        }
    } else if path.starts_with("/api/") && !PUBLIC_PATHS.contains(&path.as_str()) {
        let why = match listener {
            Listener::Loopback => {
                "open creel in a browser with “creel open”, or show the token from the data folder's file “api-token”: \
                 Authorization: Bearer TOKEN"
            }
            Listener::Tls => "log in first · 请先登录",
        };
        return Err(error(StatusCode::UNAUTHORIZED, why));
    }
    if let Some(requester) = &requester
        && request.method() == Method::POST
        && !shows_requester(requester, headers)
    {
        let now = requester.person.as_deref().unwrap_or("the owner of this device");
        let why =
            format!("{now} is logged in here now: reload this page to go on · 现在登录的是“{now}”，请重新载入页面");
        return Err(error(StatusCode::CONFLICT, &why));
    }
    let mut request = request;
    request.extensions_mut().insert(listener);
    if request.extensions().get::<login_limit::ClientAddress>().is_none() {
        request.extensions_mut().insert(login_limit::ClientAddress(None));
    }
    let response = if let Some(requester) = requester {
        request.extensions_mut().insert(requester);
        next.run(request).await
    } else {
        // A request without a login may not stay open.
        let timely = tokio::time::timeout(ANONYMOUS_TIMEOUT, next.run(request)).await;
        let late = || error(StatusCode::REQUEST_TIMEOUT, "that took too long: try again · 超时，请重试");
        timely.unwrap_or_else(|_| late().into_response())
    };
    let mut response = if path.starts_with("/api/") { answer::as_json_error(response).await } else { response };
    if path.starts_with("/api/") {
        response.headers_mut().entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    }
    assets::add_security_headers(&mut response, &api.policy);
    Ok(response)
}

/// Whether the screen that sends a request shows the person who is logged in. Tabs share a cookie, and one may still show another person.
fn shows_requester(requester: &session::Requester, headers: &HeaderMap) -> bool {
    let Some(shown) = headers.get("creel-person").and_then(|value| value.to_str().ok()) else { return true };
    let shown = percent_encoding::percent_decode_str(shown).decode_utf8_lossy();
    shown == requester.person.as_deref().unwrap_or_default()
}

/// Whether this node is called so by a browser that was not led here by somebody else's name.
fn is_own_host(api: &Api, listener: Listener, host: &str) -> bool {
    match listener {
        Listener::Loopback => {
            let port = api.http.port();
            // Browsers leave out the port that HTTP has by itself.
            let is = |name: &&str| host == format!("{name}:{port}") || (port == 80 && *host == **name);
            ["127.0.0.1", "localhost", "[::1]"].iter().any(is)
        }
        Listener::Tls => api.https.as_ref().is_some_and(|https| https.is_own_host(host)),
    }
}

fn wrong_host(api: &Api, listener: Listener) -> String {
    let port = api.http.port();
    match listener {
        Listener::Loopback => format!("this node answers to 127.0.0.1:{port} and localhost:{port} only"),
        Listener::Tls => {
            "this node is not called so: use its IP address, or start it with --https-name NAME".to_owned()
        }
    }
}

/// The paths that need no login.
const PUBLIC_PATHS: [&str; 3] = ["/api/v1/openapi.json", "/api/v1/people-names", "/api/v1/login"];

/// Whether a person who shares this device may make a request. Other nodes judge an edit by the device's role; this node alone judges what
/// its people may do.
fn is_allowed(requester: &session::Requester, method: &Method, path: &str) -> bool {
    let Some(role) = requester.role else { return true };
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
        Role::Driver | Role::Shop | Role::Viewer | Role::Unknown => &["logout"],
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
