//! Requests that read and change nothing.

use super::answer::{ApiError, error, unexpected_reply};
use super::session::Requester;
use super::{Api, Listener, OPENAPI};
use crate::export::format::day_bounds;
use crate::export::sheet::{self, Language, SheetError};
use crate::quic::framing;
use axum::extract::{Path, Query as Parameters, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::sse::{Event, Sse};
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use creel_api::answer::SheetRow;
use creel_api::{reply, words};
use creel_protocol::core::io::{Query, Refusal, Reply, Shown};
use creel_protocol::id::{DeviceKey, DocumentId, EditId, FileHash};
use creel_protocol::proof::{self, ExportError};
use creel_protocol::shipment::time;
use creel_protocol::sync::Frame;
use creel_protocol::workflow::{Label, Workflow};
use data_encoding::BASE64;
use futures_util::Stream;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use serde::Deserialize;
use serde_json::{Value, json};
use std::convert::Infallible;
use std::sync::PoisonError;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::sync::broadcast::error::RecvError;

/// How long a screen waits for a photo that is on another device.
const FETCH_TIMEOUT: Duration = Duration::from_secs(20);
/// How often the folder is checked for it.
const FETCH_POLL: Duration = Duration::from_millis(100);
/// How often a live stream sends a heartbeat.
const HEARTBEAT_INTERVAL: Duration = Duration::from_secs(10);

fn to_json(value: impl serde::Serialize) -> Result<Json<Value>, ApiError> {
    serde_json::to_value(value).map(Json).map_err(|_| unexpected_reply())
}

pub(super) async fn status(
    State(api): State<Api>,
    Extension(requester): Extension<Requester>,
) -> Result<Json<Value>, ApiError> {
    let Reply::Status(status) = api.store.query(Query::Status).await? else { return Err(unexpected_reply()) };
    let mut value = serde_json::to_value(status).map_err(|_| unexpected_reply())?;
    let malformed = api.store.signals.malformed.load(Ordering::Relaxed);
    value["refused"] = json!(value["refused"].as_u64().unwrap_or_default() + malformed);
    value["quic"] = json!(api.quic.to_string());
    value["http"] = json!(api.http.to_string());
    value["person"] = json!(requester.person);
    if let Some(https) = &api.https {
        value["https"] =
            json!({ "urls": https.urls, "fingerprint": https.fingerprint, "self_signed": https.self_signed });
    }
    // A connection outlives an interruption of the network. Where an edit waits the interruption shows soon, else when the peer was not
    // heard for a while.
    let unheard = api.store.signals.hub_is_silent.load(Ordering::Relaxed) && value["waiting"].as_u64() > Some(0);
    let contacts = api.contacts.lock().unwrap_or_else(PoisonError::into_inner).clone();
    for peer in value["peers"].as_array_mut().into_iter().flatten() {
        let key = peer["device"].as_str().and_then(|key| DeviceKey::parse(key).ok());
        if let Some(contact) = key.and_then(|key| contacts.get(&key)) {
            peer["address"] = json!(contact.address);
            let silent = unheard && peer["hub"] == true;
            peer["connected"] = json!(peer["connected"] == true && contact.was_heard_recently() && !silent);
            peer["last_seen"] = json!(time::rfc3339(contact.last_seen));
        }
    }
    Ok(Json(value))
}

#[derive(Debug, Deserialize)]
pub(super) struct Filtered {
    #[serde(default)]
    filter: String,
}

pub(super) async fn list(
    State(api): State<Api>,
    Parameters(parameters): Parameters<Filtered>,
) -> Result<Json<Value>, ApiError> {
    answered(&api, Query::List { filter: parameters.filter }).await
}

/// Asks the core, and answers in JSON.
async fn answered(api: &Api, query: Query) -> Result<Json<Value>, ApiError> {
    let reply = api.store.query(query).await?;
    reply::to_json(&reply).map(Json).ok_or_else(unexpected_reply)
}

async fn shown(api: &Api, shipment: String) -> Result<Box<Shown>, ApiError> {
    match api.store.query(Query::Show { shipment }).await? {
        Reply::Shown(shown) => Ok(shown),
        _ => Err(unexpected_reply()),
    }
}

pub(super) async fn show(State(api): State<Api>, Path(shipment): Path<String>) -> Result<Json<Value>, ApiError> {
    answered(&api, Query::Show { shipment }).await
}

pub(super) async fn history(State(api): State<Api>, Path(shipment): Path<String>) -> Result<Json<Value>, ApiError> {
    answered(&api, Query::History { shipment }).await
}

pub(super) async fn why(State(api): State<Api>, Path(shipment): Path<String>) -> Result<Json<Value>, ApiError> {
    to_json(reply::why(&*shown(&api, shipment).await?))
}

async fn file(api: Api, query: Query, content_type: &'static str) -> Result<Response, ApiError> {
    match api.store.query(query).await? {
        Reply::File(bytes) => Ok(([(header::CONTENT_TYPE, content_type)], bytes).into_response()),
        _ => Err(unexpected_reply()),
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Chosen {
    /// Which record, where it is not the one that decides.
    edit: Option<String>,
}

/// A proof as a file. What its reader must be told beside it stands in headers.
pub(super) async fn proof(
    State(api): State<Api>,
    Path(shipment): Path<String>,
    Parameters(chosen): Parameters<Chosen>,
) -> Result<Response, ApiError> {
    let query = Query::Proof { shipment: shipment.clone(), edit: chosen.edit };
    let exported = match api.store.query(query).await {
        Ok(Reply::Proof(exported)) => exported,
        Ok(_) => return Err(unexpected_reply()),
        Err(Refusal::Unproven(why)) => {
            let words = unproven(&api, shipment, &why).await?;
            let how =
                if matches!(why, ExportError::Contradicted { .. }) { " (creel resolve, or --edit EDIT)" } else { "" };
            return Err(error(StatusCode::BAD_REQUEST, &(words.en + how)));
        }
        Err(refusal) => return Err(refusal.into()),
    };
    let ids = |ids: &[EditId]| ids.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
    let beside = [
        ("content-type", "application/cbor".to_owned()),
        ("creel-record", exported.record.to_string()),
        ("creel-decides", exported.decides.to_string()),
        ("creel-signature", exported.signature.map_or_else(String::new, |signature| signature.to_string())),
        ("creel-contradicted-by", ids(&exported.contradicted_by)),
        ("creel-set-aside", exported.set_aside.to_string()),
    ];
    Ok((beside, exported.bytes).into_response())
}

/// Why nothing is proven, in words.
async fn unproven(api: &Api, shipment: String, why: &ExportError) -> Result<Label, ApiError> {
    let shown = shown(api, shipment).await?;
    Ok(words::unproven(why, &shown.view, shown.workflow.as_deref()))
}

/// Exports the shipment's proof and verifies it as anybody else would, from its bytes alone.
pub(super) async fn verify(
    State(api): State<Api>,
    Path(shipment): Path<String>,
    Parameters(chosen): Parameters<Chosen>,
) -> Result<Json<Value>, ApiError> {
    let told = |valid: bool, en: String, zh: String| Ok(Json(json!({ "valid": valid, "en": en, "zh": zh })));
    let bytes = match api.store.query(Query::Proof { shipment: shipment.clone(), edit: chosen.edit }).await {
        Ok(Reply::Proof(exported)) => exported.bytes,
        Ok(_) => return Err(unexpected_reply()),
        Err(Refusal::Unproven(why)) => {
            let words = unproven(&api, shipment, &why).await?;
            return told(false, words.en, words.zh);
        }
        Err(refusal) => return Err(refusal.into()),
    };
    match proof::verify(&bytes) {
        Ok(proven) => {
            let words = words::proven(&proven, bytes.len());
            told(true, words.en, words.zh)
        }
        Err(error) => told(false, format!("Not valid: {error}"), format!("无效：{error}")),
    }
}

/// The workflows that were published.
pub(super) async fn workflows(State(api): State<Api>) -> Result<Json<Value>, ApiError> {
    match api.store.query(Query::Workflows).await? {
        Reply::Workflows(workflows) => {
            let Json(mut told) = to_json(&workflows)?;
            for (told, published) in told.as_array_mut().into_iter().flatten().zip(workflows) {
                let (name, label, steps) = (published.name, published.label, published.steps);
                told["toml"] = json!(toml::to_string(&Workflow { name, label, steps }).unwrap_or_default());
            }
            Ok(Json(told))
        }
        _ => Err(unexpected_reply()),
    }
}

/// A signature as it was drawn: bytes to be saved or shown in an image, never something that a browser runs.
pub(super) async fn signature(State(api): State<Api>, Path(edit): Path<String>) -> Result<Response, ApiError> {
    file(api, Query::Signature { edit }, "application/octet-stream").await
}

pub(super) async fn automerge(State(api): State<Api>, Path(shipment): Path<String>) -> Result<Response, ApiError> {
    file(api, Query::Automerge { shipment }, "application/octet-stream").await
}

#[derive(Debug, Deserialize)]
pub(super) struct Period {
    from: i64,
    to: i64,
}

pub(super) async fn sheet_rows(
    State(api): State<Api>,
    Parameters(period): Parameters<Period>,
) -> Result<Json<Value>, ApiError> {
    answered(&api, Query::Sheet { from: period.from, to: period.to }).await
}

#[derive(Debug, Deserialize)]
pub(super) struct Days {
    from: Date,
    to: Date,
    #[serde(default)]
    lang: Language,
}

/// Writes rows as a file.
type Writer = fn(&[SheetRow], Language, &TimeZone) -> Result<Vec<u8>, SheetError>;

/// The sheet of some days of this device's time zone, the last one included, as a file.
async fn sheet_file(
    api: Api,
    days: Days,
    ending: &str,
    kind: &'static str,
    write: Writer,
) -> Result<Response, ApiError> {
    let zone = TimeZone::system();
    let outside = || error(StatusCode::BAD_REQUEST, "these days are outside the calendar");
    let from = day_bounds(days.from, &zone).ok_or_else(outside)?.0;
    let to = day_bounds(days.to, &zone).ok_or_else(outside)?.1;
    if to < from {
        return Err(error(StatusCode::BAD_REQUEST, "the last day is before the first"));
    }
    let query = Query::Sheet { from, to };
    let Reply::Sheet(settled) = api.store.query(query).await? else { return Err(unexpected_reply()) };
    let shipments = settled.len();
    let written = tokio::task::spawn_blocking(move || {
        let rows = creel_api::sheet::rows(&settled);
        write(&rows, days.lang, &zone).map(|bytes| (rows.len(), bytes))
    });
    let written = written.await.map_err(|_| unexpected_reply())?;
    let (count, bytes) = written.map_err(|why| error(StatusCode::INTERNAL_SERVER_ERROR, &why.to_string()))?;
    let name = format!("attachment; filename=\"creel-{}-{}.{ending}\"", days.from, days.to);
    let counts = [("creel-rows", count.to_string()), ("creel-shipments", shipments.to_string())];
    Ok(([(header::CONTENT_TYPE, kind.to_owned()), (header::CONTENT_DISPOSITION, name)], counts, bytes).into_response())
}

pub(super) async fn sheet_csv(
    State(api): State<Api>,
    Parameters(days): Parameters<Days>,
) -> Result<Response, ApiError> {
    sheet_file(api, days, "csv", "text/csv; charset=utf-8", sheet::csv).await
}

pub(super) async fn sheet_xlsx(
    State(api): State<Api>,
    Parameters(days): Parameters<Days>,
) -> Result<Response, ApiError> {
    let kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet";
    sheet_file(api, days, "xlsx", kind, sheet::xlsx).await
}

#[derive(Debug, Deserialize)]
pub(super) struct Part {
    r#for: Option<String>,
    after: Option<DocumentId>,
}

/// A part of a pack: frames as on a stream, and where to go on.
pub(super) async fn pack(State(api): State<Api>, Parameters(part): Parameters<Part>) -> Result<Json<Value>, ApiError> {
    let query = Query::Pack { peer: part.r#for, after: part.after };
    let Reply::Packed(packed) = api.store.query(query).await? else { return Err(unexpected_reply()) };
    let edits = packed.frames.iter().map(|frame| if let Frame::Edits(edits) = frame { edits.len() } else { 0 });
    let edits: usize = edits.sum();
    let here: Vec<_> =
        packed.photos.iter().filter(|photo| crate::photos::files::path(&api.folder, photo).exists()).collect();
    let bytes: Vec<u8> = packed.frames.iter().flat_map(framing::framed).collect();
    Ok(Json(json!({
        "shipments": packed.documents,
        "edits": edits,
        "next": packed.next,
        "photos": here,
        "frames": BASE64.encode(&bytes),
    })))
}

/// A live stream of documents that changed. A client that falls behind gets “reload”; a heartbeat shows that the stream is alive.
pub(super) async fn events(
    State(api): State<Api>,
    Extension(listener): Extension<Listener>,
    headers: HeaderMap,
) -> Sse<impl Stream<Item = Result<Event, Infallible>>> {
    let changes = api.store.signals.changes.subscribe();
    let beat = tokio::time::interval_at(tokio::time::Instant::now() + HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL);
    let is_known =
        move || api.sessions.requester(listener, &headers, &api.people, crate::store_thread::now().0).is_some();
    // A cookie's session is checked again for each event, and the stream ends with it. The token does not expire.
    let by_cookie = is_known();
    let stream =
        futures_util::stream::unfold((changes, beat, is_known), move |(mut changes, mut beat, is_known)| async move {
            let event = tokio::select! {
                change = changes.recv() => match change {
                    Ok(document) => Event::default().event("changed").data(json!({ "id": document }).to_string()),
                    Err(RecvError::Lagged(missed)) => {
                        Event::default().event("reload").data(json!({ "missed": missed }).to_string())
                    }
                    Err(RecvError::Closed) => return None,
                },
                _ = beat.tick() => Event::default().event("beat").data("{}"),
            };
            (!by_cookie || is_known()).then_some((Ok(event), (changes, beat, is_known)))
        });
    Sse::new(stream)
}

pub(super) async fn openapi() -> Response {
    ([(header::CONTENT_TYPE, "application/json")], OPENAPI).into_response()
}

pub(super) async fn photo(State(api): State<Api>, Path(hash): Path<String>) -> Result<Response, ApiError> {
    let hash = FileHash::parse(&hash).map_err(|why| error(StatusCode::BAD_REQUEST, &why.to_string()))?;
    let mut loaded = load(&api, hash).await?;
    if loaded.is_none() {
        // It may be on another device: it is requested, and waited for as long as a person at a screen would wait.
        api.wanted.request(hash);
        let until = Instant::now() + FETCH_TIMEOUT;
        while loaded.is_none() && Instant::now() < until {
            tokio::time::sleep(FETCH_POLL).await;
            if crate::photos::files::path(&api.folder, &hash).exists() {
                loaded = load(&api, hash).await?;
            }
        }
    }
    let Some(bytes) = loaded else {
        let why = "this photo is not on this device yet; it comes when the device that took it, or the hub, can be \
                   reached: try again later";
        return Err(error(StatusCode::NOT_FOUND, why));
    };
    // Whatever was taken as a photo is served as bytes to be saved, never as something a browser runs.
    let kind = [(header::CONTENT_TYPE, "application/octet-stream"), (header::X_CONTENT_TYPE_OPTIONS, "nosniff")];
    Ok((kind, bytes).into_response())
}

async fn load(api: &Api, hash: FileHash) -> Result<Option<Vec<u8>>, ApiError> {
    let folder = api.folder.clone();
    let loaded = tokio::task::spawn_blocking(move || crate::photos::files::load(&folder, &hash)).await;
    Ok(loaded.map_err(|_| unexpected_reply())??)
}
