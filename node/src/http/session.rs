//! Sessions of browsers: of somebody who opened creel on this device, or of a person who logged in.
//!
//! A session is a cookie that names the person and the time of its end, under a MAC of this node. The node keeps no list of sessions, so
//! that they outlive a restart; it remembers only which ones a logout has ended, and a restart forgets that. The cookie's name holds
//! this node's port, because browsers share cookies between ports.

use super::answer::{ApiError, error, error_page, unexpected_reply};
use super::login_limit::ClientAddress;
use super::people::{self, People};
use super::{Api, Listener, commands};
use axum::body::Bytes;
use axum::extract::{Query as Parameters, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::{Extension, Json};
use creel_protocol::core::io::{Query, Reply};
use creel_protocol::roster::Role;
use data_encoding::BASE64URL_NOPAD;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// How long a link of `creel open` may be followed, once.
const LINK_LIFETIME: Duration = Duration::from_secs(120);
/// How long a session lasts on a device of one's own, and on one that several people share.
const OWNER_SESSION_MS: u64 = 365 * 24 * 3_600 * 1_000;
const LOGIN_SESSION_MS: u64 = 16 * 3_600 * 1_000;
/// A session's code in a link has so many random bytes.
const CODE_BYTES: usize = 20;

/// Who made a request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Requester {
    /// The person who logged in; none for whoever opened creel on this device, or shows its token.
    pub(crate) person: Option<String>,
    /// What they may do.
    pub(crate) role: Option<Role>,
}

impl Requester {
    /// The device's owner, who may do everything that this device may.
    pub(crate) fn owner() -> Self {
        Self { person: None, role: None }
    }

    /// The person that an edit names: a person who logged in can't name another.
    pub(crate) fn by(&self, said: Option<String>) -> Option<String> {
        self.person.clone().or(said)
    }
}

/// What a cookie says.
#[derive(Debug, Serialize, Deserialize)]
struct Claim {
    /// Who logged in, and the mark of the PIN they had.
    person: Option<(String, [u8; 8])>,
    until: u64,
}

/// What this node knows of sessions.
#[derive(Debug)]
pub(crate) struct Sessions {
    keys: [[u8; 32]; 2],
    /// The cookies' names: of the loopback listener, and of the TLS listener, which browsers send over TLS to this host alone.
    cookies: [String; 2],
    links: Mutex<HashMap<String, Instant>>,
    /// Sessions that were ended before their time, by their MAC, and when that would have been.
    ended: Mutex<HashMap<[u8; 32], u64>>,
}

impl Sessions {
    pub(crate) fn new(token: &str, port: u16, tls: u16) -> Self {
        // A session of one listener is not valid at the other.
        let key = |purpose| blake3::derive_key(purpose, token.as_bytes());
        let keys = [key("creel/session/2"), key("creel/session-away/2")];
        let cookies = [format!("creel-{port}"), format!("__Host-creel-{tls}")];
        Self { keys, cookies, links: Mutex::default(), ended: Mutex::default() }
    }

    fn mac(&self, listener: Listener, claim: &[u8]) -> blake3::Hash {
        let [loopback, tls] = &self.keys;
        let key = match listener {
            Listener::Loopback => loopback,
            Listener::Tls => tls,
        };
        blake3::keyed_hash(key, claim)
    }

    fn cookie(&self, listener: Listener, value: &str, life_ms: u64) -> String {
        let (name, secure) = self.named(listener);
        format!("{name}={value}; Path=/; HttpOnly; SameSite=Strict; Max-Age={}{secure}", life_ms / 1_000)
    }

    fn named(&self, listener: Listener) -> (&str, &str) {
        match listener {
            Listener::Loopback => (&self.cookies[0], ""),
            Listener::Tls => (&self.cookies[1], "; Secure"),
        }
    }

    /// A key for something else that this node alone can tell.
    pub(crate) fn derive_key_for(&self, purpose: &str) -> [u8; 32] {
        blake3::derive_key(purpose, &self.keys[0])
    }

    /// A header that begins a session.
    fn begin(&self, listener: Listener, person: Option<(&str, [u8; 8])>, now: u64) -> Result<String, ApiError> {
        let life = if person.is_some() { LOGIN_SESSION_MS } else { OWNER_SESSION_MS };
        let claim = Claim { person: person.map(|(name, pin_mark)| (name.to_owned(), pin_mark)), until: now + life };
        let claim = serde_json::to_vec(&claim).map_err(|_| unexpected_reply())?;
        let (mac, claim) =
            (BASE64URL_NOPAD.encode(self.mac(listener, &claim).as_bytes()), BASE64URL_NOPAD.encode(&claim));
        Ok(self.cookie(listener, &format!("{claim}.{mac}"), life))
    }

    /// Ends the session of a request for good, also where its cookie was copied: a header that clears it.
    fn end(&self, listener: Listener, headers: &HeaderMap, now: u64) -> String {
        if let Some((claim, mac)) = self.claim(listener, headers) {
            let mut ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
            ended.retain(|_, until| *until >= now);
            ended.insert(mac, claim.until);
        }
        self.cookie(listener, "", 0)
    }

    /// What a request's cookie says, if it is one of ours.
    fn claim(&self, listener: Listener, headers: &HeaderMap) -> Option<(Claim, [u8; 32])> {
        let cookies = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
        let mut cookies = cookies.flat_map(|value| value.split(';')).filter_map(|pair| pair.trim().split_once('='));
        let (_, value) = cookies.find(|(name, _)| *name == self.named(listener).0)?;
        let (claim, mac) = value.split_once('.')?;
        let claim = BASE64URL_NOPAD.decode(claim.as_bytes()).ok()?;
        let mac: [u8; 32] = BASE64URL_NOPAD.decode(mac.as_bytes()).ok()?.try_into().ok()?;
        // blake3's own comparison takes the same time whatever differs.
        if self.mac(listener, &claim) != blake3::Hash::from(mac) {
            return None;
        }
        Some((serde_json::from_slice(&claim).ok()?, mac))
    }

    /// The requester that a request's cookie names.
    pub(crate) fn requester(
        &self,
        listener: Listener,
        headers: &HeaderMap,
        people: &People,
        now: u64,
    ) -> Option<Requester> {
        let (claim, mac) = self.claim(listener, headers)?;
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner).contains_key(&mac);
        if ended || claim.until < now {
            return None;
        }
        let Some((person, pin_mark)) = claim.person else { return Some(Requester::owner()) };
        // The session of a person who was removed, or got another PIN, ends at once.
        let role = people.role(&person).filter(|_| people.pin_mark(&person) == Some(pin_mark))?;
        Some(Requester { person: Some(person), role: Some(role) })
    }

    fn links(&self) -> std::sync::MutexGuard<'_, HashMap<String, Instant>> {
        // Nothing is awaited while it is held.
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A link that opens the screens in a browser on this device, once.
pub(super) async fn link(
    State(api): State<Api>,
    Extension(requester): Extension<Requester>,
) -> Result<Json<Value>, ApiError> {
    if requester.person.is_some() {
        return Err(error(StatusCode::FORBIDDEN, "who logged in can't open sessions for others"));
    }
    let code = BASE64URL_NOPAD.encode(&crate::folder::random::<CODE_BYTES>()?);
    let mut links = api.sessions.links();
    links.retain(|_, made| made.elapsed() < LINK_LIFETIME);
    links.insert(code.clone(), Instant::now());
    Ok(Json(json!({ "url": format!("http://{}/open?code={code}", api.http) })))
}

#[derive(Debug, Deserialize)]
pub(super) struct Code {
    #[serde(default)]
    code: String,
}

/// Follows such a link.
pub(super) async fn open(
    State(api): State<Api>,
    Extension(listener): Extension<Listener>,
    headers: HeaderMap,
    Parameters(Code { code }): Parameters<Code>,
) -> Result<Response, ApiError> {
    if listener == Listener::Tls {
        let why = ["Such a link works on the device itself only.", "此链接只能在该设备本机上使用。"];
        return Ok(error_page(StatusCode::FORBIDDEN, &headers, why));
    }
    let made = api.sessions.links().remove(&code);
    if made.is_none_or(|made| made.elapsed() > LINK_LIFETIME) {
        let why = [
            "This link was followed already, or is older than two minutes: run “creel open” again.",
            "此链接已使用或已过期：请再次运行 creel open。",
        ];
        return Ok(error_page(StatusCode::FORBIDDEN, &headers, why));
    }
    let cookie = api.sessions.begin(Listener::Loopback, None, crate::store_thread::now().0)?;
    Ok(([(header::SET_COOKIE, cookie), (header::REFERRER_POLICY, "no-referrer".to_owned())], Redirect::to("/"))
        .into_response())
}

/// The person at the browser, and this device.
pub(super) async fn session(
    State(api): State<Api>,
    Extension(requester): Extension<Requester>,
) -> Result<Json<Value>, ApiError> {
    let Reply::Status(status) = api.store.query(Query::Status).await? else { return Err(unexpected_reply()) };
    Ok(Json(json!({
        "person": requester.person,
        "role": requester.role.or(status.role),
        "party": if requester.person.is_none() { status.party } else { None },
        "device_name": status.name,
        "organisation": status.organisation,
        "hub": status.hub,
        "people": !api.people.names().is_empty(),
        "address": api.https.as_ref().and_then(|https| https.urls.first()),
        "login_needed": false,
    })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    name: String,
    pin: String,
}

pub(super) async fn login(
    State(api): State<Api>,
    Extension(listener): Extension<Listener>,
    Extension(from): Extension<ClientAddress>,
    bytes: Bytes,
) -> Result<Response, ApiError> {
    let Login { name, pin } = commands::body(&bytes)?;
    let permit = api.logins.permit(listener, from).await?;
    let (checked, name) = {
        let api = api.clone();
        let check = move || (permit.with_memory(|memory| api.people.check(&name, &pin, listener, from, memory)), name);
        tokio::task::spawn_blocking(check).await.map_err(|_| unexpected_reply())?
    };
    match checked {
        people::LoginResult::Right(role) => {
            let pin_mark = api.people.pin_mark(&name).ok_or_else(unexpected_reply)?;
            let cookie = api.sessions.begin(listener, Some((&name, pin_mark)), crate::store_thread::now().0)?;
            Ok(([(header::SET_COOKIE, cookie)], Json(json!({ "person": name, "role": role }))).into_response())
        }
        people::LoginResult::Wrong => {
            Err(error(StatusCode::UNAUTHORIZED, "that name and PIN do not go together · 姓名与 PIN 不符"))
        }
        people::LoginResult::TooShort => {
            let why = "away from the device a PIN of at least 8 characters is needed: an admin gives you one · \
                       在其他设备上登录需要至少 8 位的 PIN，请联系管理员";
            Err(error(StatusCode::FORBIDDEN, why))
        }
        people::LoginResult::TooOften(seconds) => {
            let why = format!(
                "too many wrong PINs: wait {seconds} s and try again · PIN 错误次数过多，请 {seconds} 秒后再试"
            );
            Err(error(StatusCode::TOO_MANY_REQUESTS, &why))
        }
    }
}

pub(super) async fn logout(
    State(api): State<Api>,
    Extension(listener): Extension<Listener>,
    headers: HeaderMap,
) -> Response {
    ([(header::SET_COOKIE, api.sessions.end(listener, &headers, crate::store_thread::now().0))], Json(json!({})))
        .into_response()
}
