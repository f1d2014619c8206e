//! The customer's page: one shipment in plain words, by a link that nobody can guess. It needs no script and shows nothing private.

use super::Api;
use super::answer::{ApiError, error_page, unexpected_reply};
use axum::Json;
use axum::extract::{Path, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use creel_api::words;
use creel_protocol::core::io::{Query, Reply, Shown};
use creel_protocol::id::DocumentId;
use creel_protocol::shipment::view::{Standing, TimelineEntry};
use data_encoding::HEXLOWER;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

/// Bytes of a link's code beside the shipment's id: 128 bits.
const CODE_BYTES: usize = 16;

fn code(api: &Api, document: &DocumentId) -> String {
    let code = blake3::keyed_hash(&api.sessions.derive_key_for("creel/tracking/1"), &document.0);
    HEXLOWER.encode(&code.as_bytes()[..CODE_BYTES])
}

/// A shipment's link.
pub(super) async fn link(State(api): State<Api>, Path(shipment): Path<String>) -> Result<Json<Value>, ApiError> {
    let Reply::Shown(shown) = api.store.query(Query::Show { shipment }).await? else { return Err(unexpected_reply()) };
    let path = format!("/t/{}-{}", shown.view.id, code(&api, &shown.view.id));
    // Customers reach a node that serves other devices; on this one alone the link is for trying it out.
    let url = api.https.as_ref().and_then(|https| https.urls.first()).map(|base| format!("{base}{path}"));
    Ok(Json(json!({ "path": path, "url": url })))
}

/// The page of such a link.
pub(super) async fn page(
    State(api): State<Api>,
    Path(token): Path<String>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let Some(shown) = shipment_of_link(&api, &token).await else {
        let why = [
            "There is no shipment behind this link. Ask whoever sent it for a new one.",
            "此链接下没有货单，请向发送者索取新链接。",
        ];
        return Ok(error_page(StatusCode::NOT_FOUND, &headers, why));
    };
    let languages = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let page = render(&shown, languages.trim_start().to_lowercase().starts_with("zh"));
    Ok(([(header::CACHE_CONTROL, "no-store"), (header::REFERRER_POLICY, "no-referrer")], Html(page)).into_response())
}

/// The shipment of a link, if the link is valid.
async fn shipment_of_link(api: &Api, token: &str) -> Option<Box<Shown>> {
    let (id, shown) = token.split_once('-')?;
    let document = DocumentId::parse(id).ok()?;
    // Hashes of both are compared, which takes the same time whatever differs.
    if blake3::hash(shown.as_bytes()) != blake3::hash(code(api, &document).as_bytes()) {
        return None;
    }
    match api.store.query(Query::Show { shipment: document.to_string() }).await {
        Ok(Reply::Shown(shown)) => Some(shown),
        _ => None,
    }
}

fn render(shown: &Shown, zh: bool) -> String {
    let pick = |en: &'static str, other: &'static str| if zh { other } else { en };
    let label = |label: &creel_protocol::workflow::Label| escaped(if zh { &label.zh } else { &label.en });
    let view = &shown.view;
    let told = view.timeline.iter().filter(|entry| is_public(entry)).rev().map(|entry| {
        let step = entry.step.as_deref().and_then(|step| shown.workflow.as_ref()?.step(step));
        let name = step.map(|step| label(&step.label)).unwrap_or_default();
        let (exact, shown) = (escaped(&entry.at), moment(&entry.at, zh));
        format!("<li><strong>{name}</strong> <time datetime=\"{exact}\">{shown}</time></li>")
    });
    let steps = told.collect::<Vec<_>>().concat();
    let window = view.plan.get("window").and_then(|window| window.as_str()).and_then(|window| window.split_once('/'));
    let window = window.map_or_else(String::new, |(from, to)| {
        format!("<p>{}: {}</p>", pick("Expected", "预计送达"), span(from, to, zh))
    });
    format!(
        "<!doctype html><html lang=\"{lang}\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\
         <meta name=\"robots\" content=\"noindex\"><title>{number} · {status}</title><link rel=\"icon\" type=\"image/svg+xml\" href=\"/icon.svg\">\
         <link rel=\"stylesheet\" href=\"/track.css\"></head>\
         <body><main><p class=\"number\">{title} {number}</p><h1>{status}</h1>{window}<h2>{so_far}</h2><ol>{steps}<li><strong>{ordered}</strong></li></ol>\
         <p class=\"note\">{note}</p></main></body></html>",
        lang = pick("en", "zh-CN"),
        number = escaped(&view.number),
        status = label(&words::status(&view.status, shown.workflow.as_deref()).0),
        title = pick("Shipment", "货单"),
        so_far = pick("So far", "进展"),
        ordered = pick("Ordered", "已下单"),
        note = match TimeZone::system().to_offset(Timestamp::now()) {
            offset if zh => format!("时间取自记录设备，时区为 UTC{offset}。刷新页面可查看最新进展。"),
            offset =>
                format!("Times are those of the devices that recorded them, in UTC{offset}. Reload for the latest."),
        },
    )
}

/// Steps that count and were not retracted. Their authors, messages, names and photos are private.
fn is_public(entry: &TimelineEntry) -> bool {
    entry.counted
        && entry.action == "record"
        && !matches!(entry.standing, Some(Standing::Retracted | Standing::Rejected))
}

/// `2026-06-01T08:30:00.000Z` as people read it, in the time of the place where this node is.
fn moment(at: &str, zh: bool) -> String {
    let Ok(at) = at.parse::<Timestamp>() else { return escaped(at) };
    let format = if zh { "%-m月%-d日 %H:%M" } else { "%-d %b %H:%M" };
    at.to_zoned(TimeZone::system()).strftime(format).to_string()
}

/// From one moment to another: the day once if it is one.
fn span(from: &str, to: &str, zh: bool) -> String {
    let local = |at: &str| at.parse::<Timestamp>().map(|at| at.to_zoned(TimeZone::system()));
    match (local(from), local(to)) {
        (Ok(begin), Ok(end)) if begin.date() == end.date() => {
            format!("{} – {}", moment(from, zh), end.strftime("%H:%M"))
        }
        _ => format!("{} – {}", moment(from, zh), moment(to, zh)),
    }
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;").replace('\'', "&#39;")
}
