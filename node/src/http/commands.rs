//! Requests that make edits, or change something else. Every answer comes after the change is durable.

use super::Api;
use super::answer::{ApiError, error, unexpected_reply};
use super::session::Requester;
use crate::quic::framing;
use axum::body::Bytes;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::{Extension, Json};
use creel_api::reply;
use creel_api::request::{
    self, ImportRequest, IntoAct, MeasureRequest, Person, PlanRequest, RecordRequest, ResolveRequest, RetractRequest,
    SayRequest,
};
use creel_protocol::core::io::{Act, Reply};
use creel_protocol::id::Tap;
use creel_protocol::roster::invite::InviteRequest;
use creel_protocol::shipment::time;
use creel_protocol::sync::Frame;
use creel_protocol::workflow::Workflow;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use std::net::{IpAddr, Ipv4Addr, SocketAddr, UdpSocket};
use std::sync::atomic::Ordering;

/// Characters of an idempotency key.
const KEY_CHARS_MAX: usize = 200;
/// Bytes of roster entries and edits in one call.
const UNPACKED_BYTES_MAX: usize = 64 << 20;
/// How long an invite may be redeemed: a week, in milliseconds.
const INVITE_MS: u64 = 7 * 24 * 3_600 * 1_000;

/// The tap that a request is: its `Idempotency-Key`. A request that is tried again with the same key is answered with
/// what the first one did.
fn tap(headers: &HeaderMap) -> Result<Tap, ApiError> {
    let key = headers.get("idempotency-key").and_then(|key| key.to_str().ok()).unwrap_or_default();
    if key.is_empty() || key.len() > KEY_CHARS_MAX {
        let why =
            "send an Idempotency-Key header of 1 to 200 characters, new for each act and the same when trying again";
        return Err(error(StatusCode::BAD_REQUEST, why));
    }
    Ok(Tap::parse(key).unwrap_or_else(|_| Tap::default().of(key.as_bytes())))
}

pub(super) fn body<T: DeserializeOwned>(bytes: &Bytes) -> Result<T, ApiError> {
    Ok(request::parse(bytes)?)
}

/// Does what a request asks for.
async fn execute<T: DeserializeOwned + IntoAct>(
    api: &Api,
    requester: &Requester,
    headers: &HeaderMap,
    bytes: &Bytes,
) -> Result<Reply, ApiError> {
    let request: T = request::parse(bytes)?;
    let by = requester.by(request.by());
    let person = Person { name: by.clone(), role: requester.role };
    let act = request.into_act(&person)?;
    Ok(api.store.command(tap(headers)?, by, act).await?)
}

/// The edits that a request about several shipments made.
async fn all<T: DeserializeOwned + IntoAct>(
    api: Api,
    requester: Requester,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    let reply = execute::<T>(&api, &requester, &headers, &bytes).await?;
    reply::to_json(&reply).map(Json).ok_or_else(unexpected_reply)
}

/// The edit that a request about one shipment made.
async fn one<T: DeserializeOwned + IntoAct>(
    api: Api,
    requester: Requester,
    headers: HeaderMap,
    bytes: Bytes,
) -> Result<Json<Value>, ApiError> {
    match execute::<T>(&api, &requester, &headers, &bytes).await? {
        Reply::Made(made) => made.first().map(|made| Json(json!(made))).ok_or_else(unexpected_reply),
        _ => Err(unexpected_reply()),
    }
}

/// A handler that makes edits.
macro_rules! command {
    ($name:ident, $request:ty, $answer:ident) => {
        pub(super) async fn $name(
            State(api): State<Api>,
            Extension(requester): Extension<Requester>,
            headers: HeaderMap,
            bytes: Bytes,
        ) -> Result<Json<Value>, ApiError> {
            $answer::<$request>(api, requester, headers, bytes).await
        }
    };
}

command!(record, RecordRequest, all);
command!(measure, MeasureRequest, all);
command!(plan, PlanRequest, all);
command!(say, SayRequest, one);
command!(resolve, ResolveRequest, one);
command!(retract, RetractRequest, one);
command!(import, ImportRequest, all);

pub(super) async fn invite(State(api): State<Api>, headers: HeaderMap, bytes: Bytes) -> Result<Json<Value>, ApiError> {
    let request: InviteRequest = body(&bytes)?;
    let expires = crate::store_thread::now().0 + INVITE_MS;
    let act = Act::Invite { request, expires, addresses: addresses(api.quic) };
    match api.store.command(tap(&headers)?, None, act).await? {
        Reply::Invited(invite) => Ok(Json(json!({ "invite": invite, "expires": time::rfc3339(expires) }))),
        _ => Err(unexpected_reply()),
    }
}

/// Where others can dial this node: the address it listens on, or if that is any, the one it has towards the world and
/// this machine's own.
fn addresses(quic: SocketAddr) -> Vec<String> {
    if !quic.ip().is_unspecified() {
        return vec![quic.to_string()];
    }
    let outward = || -> std::io::Result<IpAddr> {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        // Connecting a UDP socket sends nothing; it only asks the system for a route to a documentation address.
        socket.connect((Ipv4Addr::new(192, 0, 2, 1), 9))?;
        Ok(socket.local_addr()?.ip())
    };
    let outward = outward().ok().filter(|address| !address.is_loopback());
    let here = Some(IpAddr::V4(Ipv4Addr::LOCALHOST));
    [outward, here].into_iter().flatten().map(|ip| SocketAddr::new(ip, quic.port()).to_string()).collect()
}

/// Admits the frames of a pack. The answer names what was refused; the rest is durable when it is sent.
pub(super) async fn unpack(State(api): State<Api>, headers: HeaderMap, bytes: Bytes) -> Result<Json<Value>, ApiError> {
    // An edit is taken once however often it comes; the key is asked for as on every POST.
    tap(&headers)?;
    let (mut entries, mut edits, mut bad, mut unpacked) = (Vec::new(), Vec::new(), Vec::new(), 0);
    for frame in framing::frames(&bytes, &api.organisation) {
        if unpacked > UNPACKED_BYTES_MAX {
            return Err(error(
                StatusCode::PAYLOAD_TOO_LARGE,
                "a part of a pack holds more than 64 MiB: send it in smaller ones",
            ));
        }
        match frame {
            Ok((Frame::Roster(more), _)) => {
                unpacked += more.iter().map(|entry| entry.0.len()).sum::<usize>();
                entries.extend(more);
            }
            Ok((Frame::Edits(more), refused)) => {
                unpacked += more.iter().map(|edit| edit.bytes.len()).sum::<usize>();
                edits.extend(more);
                bad.extend(refused.iter().map(ToString::to_string));
            }
            Ok(_) => {
                return Err(error(StatusCode::BAD_REQUEST, "a pack holds roster entries and edits, and nothing else"));
            }
            Err(why) => return Err(error(StatusCode::BAD_REQUEST, &format!("this is no part of a pack: {why}"))),
        }
    }
    let Reply::Unpacked(mut report) = api.store.unpack(entries, edits).await? else { return Err(unexpected_reply()) };
    report.refused += bad.len();
    report.why.extend(bad.into_iter().take(20));
    Ok(Json(json!(report)))
}

pub(super) async fn photo(State(api): State<Api>, headers: HeaderMap, bytes: Bytes) -> Result<Json<Value>, ApiError> {
    // A photo's name is its content, so trying again is safe by itself; the key is asked for as on every POST.
    tap(&headers)?;
    if bytes.is_empty() {
        return Err(error(StatusCode::BAD_REQUEST, "the photo is empty"));
    }
    let folder = api.folder.clone();
    let kept = tokio::task::spawn_blocking(move || crate::photos::files::keep(&folder, &bytes)).await;
    Ok(Json(json!({ "hash": kept.map_err(|_| unexpected_reply())?? })))
}

/// Dials the hub and all other peers at once, because the network may be back; the reserved tickets may be used for it.
pub(super) async fn nudge(State(api): State<Api>, headers: HeaderMap) -> Result<Json<Value>, ApiError> {
    tap(&headers)?;
    api.store.signals.redial_now();
    Ok(Json(json!({ "waiting": api.store.signals.waiting.load(Ordering::Relaxed) })))
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishRequest {
    /// Its TOML text.
    toml: Option<String>,
    /// Or what it says.
    workflow: Option<Workflow>,
    /// Only tells whether it is one.
    #[serde(default)]
    check: bool,
}

/// Publishes a workflow, or only looks at it.
pub(super) async fn publish(State(api): State<Api>, headers: HeaderMap, bytes: Bytes) -> Result<Json<Value>, ApiError> {
    let wrong = |why: &dyn std::fmt::Display| error(StatusCode::BAD_REQUEST, &why.to_string());
    let toml = match body::<PublishRequest>(&bytes)? {
        PublishRequest { toml: Some(toml), workflow: None, check } => (toml, check),
        PublishRequest { toml: None, workflow: Some(workflow), check } => {
            (toml::to_string(&workflow).map_err(|why| wrong(&why))?, check)
        }
        _ => return Err(error(StatusCode::BAD_REQUEST, "send either “toml” or “workflow”")),
    };
    let (toml, check) = toml;
    if check {
        let workflow = Workflow::parse_strictly(&toml).map_err(|why| wrong(&why))?;
        return Ok(Json(
            json!({ "name": workflow.name, "label": workflow.label, "steps": workflow.steps, "toml": toml }),
        ));
    }
    match api.store.command(tap(&headers)?, None, Act::Publish { toml }).await? {
        Reply::Workflows(workflows) => {
            let current = workflows.into_iter().find(|workflow| workflow.current).ok_or_else(unexpected_reply)?;
            Ok(Json(json!(current)))
        }
        _ => Err(unexpected_reply()),
    }
}
