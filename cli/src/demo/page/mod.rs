//! The demo's page: everybody's real screens side by side, each with a switch for its signal and its battery.
//!
//! It is served on loopback under a path that nobody can guess, because whoever has it is let into all of the screens. The nodes are
//! told that this page may frame them.

use super::day::made_up_day;
use super::firm::{Firm, Member};
use super::judge::HUB;
use super::node::Node;
use super::stage::Stage;
use super::story::{SHIPMENTS, Story};
use super::{ORGANISATION, interrupt};
use crate::import::Order;
use anyhow::{Context, Result, anyhow};
use axum::extract::{Path as Name, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Redirect, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use jiff::Timestamp;
use jiff::tz::Offset;
use serde::Deserialize;
use serde_json::{Value, json};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often it is looked whether somebody wants to end.
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const HOUR_MS: i64 = 3_600_000;
const LAKE_TIME: Offset = Offset::constant(8);
/// Who is shown: name, role, and what they are called.
const CAST: [(&str, &str, &str, &str); 5] = [
    ("li-wei", "driver", "Li Wei, driver", "李伟，司机"),
    (HUB, "hub", "The office: dispatcher, at the hub", "办公室：调度员（总部）"),
    ("west-lake", "shop", "West Lake Tackle, a shop", "西湖渔具店"),
    ("zhang-min", "driver", "Zhang Min, driver", "张敏，司机"),
    ("east-gate", "shop", "East Gate Tackle, a shop", "东门渔具店"),
];
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      frame-src http://127.0.0.1:*; frame-ancestors 'none'; base-uri 'none'; form-action 'none'";

/// Shows it until somebody wants to end.
pub(super) fn show(creel: &Path, folder: &Path, seed: u64, stage: &mut Stage) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).context("the page has no port")?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    let firm = Firm::found_for(creel, folder, ORGANISATION, seed, Some(format!("http://{address}")))?;
    let mut story = Story::begin(firm, stage, seed, orders(seed))?;
    story.morning()?;
    let Story { firm, members, .. } = story;
    let mut key = [0_u8; 16];
    getrandom::fill(&mut key).map_err(|why| anyhow!("no random bytes: {why}"))?;
    let key = data_encoding::HEXLOWER.encode(&key);
    let hub_at = firm.hub.quic()?;
    let cast = Cast { firm, members, hub_at, hub_has_signal: true };
    let page = Page { cast: Arc::new(Mutex::new(cast)), address };
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let served = runtime.spawn(serve(listener, key.clone(), page));
    let url = format!("http://{address}/{key}/");
    stage.end();
    stage.tell(
        "Open this page: everybody's screens are on it, with switches for signal and battery. Ctrl-C ends it.",
        "请打开此页面：所有人的屏幕并排显示，可开关信号与电源。按 Ctrl-C 结束。",
    );
    stage.print(&format!("  {url}"));
    if stage.is_silent() {
        println!("{}", json!({ "url": url }));
    }
    while !served.is_finished() && interrupt::check().is_ok() {
        std::thread::sleep(POLL_INTERVAL);
    }
    // The nodes end with the cast.
    runtime.shutdown_timeout(Duration::from_secs(1));
    Ok(())
}

/// The orders of today, whose first window begins with the next hour: nothing is late yet, whenever the page is opened.
fn orders(seed: u64) -> Vec<Order> {
    let now = Timestamp::now();
    let mut orders = made_up_day(seed, SHIPMENTS, &LAKE_TIME.to_datetime(now).date().to_string());
    let first = orders.iter().filter_map(|order| order.fields.window).map(|[from, _]| from).min().unwrap_or_default();
    let later = (now.as_millisecond() / HOUR_MS + 1) * HOUR_MS - first;
    for window in orders.iter_mut().filter_map(|order| order.fields.window.as_mut()) {
        *window = window.map(|at| at + later);
    }
    orders
}

/// The participants.
struct Cast {
    firm: Firm,
    members: Vec<Member>,
    hub_at: SocketAddr,
    hub_has_signal: bool,
}

#[derive(Clone)]
struct Page {
    cast: Arc<Mutex<Cast>>,
    address: SocketAddr,
}

impl Cast {
    fn node(&mut self, name: &str) -> Option<&mut Node> {
        if name == HUB {
            return Some(&mut self.firm.hub);
        }
        self.members.iter_mut().map(|member| &mut member.node).find(|node| node.name == name)
    }

    fn has_signal(&self, name: &str) -> bool {
        let cut = |member: &Member| member.node.name == name && member.relay.is_cut();
        if name == HUB { self.hub_has_signal } else { !self.members.iter().any(cut) }
    }

    fn state(&mut self) -> Value {
        let shown = CAST.iter().map(|(name, role, en, zh)| {
            let signal = self.has_signal(name);
            let api = self.node(name).and_then(|node| node.api().ok().cloned());
            let status = api.and_then(|api| api.get("/status").ok());
            json!({
                "name": name, "role": role, "label": { "en": en, "zh": zh },
                "signal": signal, "battery": status.is_some(),
                "waiting": status.map(|status| status["waiting"].clone()),
            })
        });
        shown.collect()
    }

    fn switch(&mut self, switch: &Switch) -> Result<()> {
        let name = switch.name.as_str();
        self.node(name).with_context(|| format!("nobody here is called {name}"))?;
        if let Some(on) = switch.signal {
            if name == HUB {
                self.hub_has_signal = on;
            }
            // Whoever has no signal of their own is not reached by the hub's.
            for member in &self.members {
                if member.node.name == name {
                    member.relay.cut(!on);
                }
                member.relay.cut_beyond(!self.hub_has_signal);
            }
        }
        let hub_at = self.hub_at.to_string();
        if let Some(on) = switch.battery {
            let quic = if name == HUB { hub_at.as_str() } else { "127.0.0.1:0" };
            let node = self.node(name).with_context(|| format!("nobody here is called {name}"))?;
            if on && !node.is_running() {
                node.start(&["--quic", quic])?;
            } else if !on {
                node.pull_battery();
            }
        }
        Ok(())
    }

    /// A link that opens somebody's screens.
    fn link(&mut self, name: &str) -> Result<String> {
        let tap = self.firm.tap();
        let node = self.node(name).with_context(|| format!("nobody here is called {name}"))?;
        let opened = node.api()?.post("/open", &tap, &json!({}))?;
        Ok(opened["url"].as_str().context("no link came")?.to_owned())
    }
}

impl Page {
    /// Asks the participants, which takes a moment.
    async fn with<T: Send + 'static>(&self, act: impl FnOnce(&mut Cast) -> T + Send + 'static) -> Result<T> {
        let cast = Arc::clone(&self.cast);
        let acted = tokio::task::spawn_blocking(move || act(&mut cast.lock().unwrap_or_else(PoisonError::into_inner)));
        acted.await.context("the demo broke off")
    }
}

async fn serve(listener: TcpListener, key: String, page: Page) {
    let file =
        |kind: &'static str, text: &'static str| get(move || async move { ([(header::CONTENT_TYPE, kind)], text) });
    let inside = Router::new()
        .route("/page.css", file("text/css; charset=utf-8", include_str!("page.css")))
        .route("/page.js", file("text/javascript; charset=utf-8", include_str!("page.js")))
        .route("/state", get(state))
        .route("/switch", post(switch))
        .route("/screens/{name}", get(screens));
    let policy = axum::middleware::map_response(async |mut response: Response| {
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_SECURITY_POLICY, header::HeaderValue::from_static(POLICY));
        headers.insert(header::REFERRER_POLICY, header::HeaderValue::from_static("no-referrer"));
        response
    });
    // Its own page needs the slash at the end, which a nested router would not take: what it names is beside it.
    let start = file("text/html; charset=utf-8", include_str!("page.html"));
    let router =
        Router::new().route(&format!("/{key}/"), start).nest(&format!("/{key}"), inside).with_state(page).layer(policy);
    let served = match tokio::net::TcpListener::from_std(listener) {
        Ok(listener) => axum::serve(listener, router).await,
        Err(why) => Err(why),
    };
    if let Err(why) = served {
        tracing::error!("the demo's page ended: {why}");
    }
}

/// An error as the page shows it.
fn failed(why: &anyhow::Error) -> Response {
    (StatusCode::INTERNAL_SERVER_ERROR, Json(json!({ "error": format!("{why:#}") }))).into_response()
}

async fn state(State(page): State<Page>) -> Response {
    match page.with(Cast::state).await {
        Ok(state) => Json(state).into_response(),
        Err(why) => failed(&why),
    }
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Switch {
    name: String,
    signal: Option<bool>,
    battery: Option<bool>,
}

async fn switch(State(page): State<Page>, headers: HeaderMap, Json(switch): Json<Switch>) -> Response {
    let origin = headers.get(header::ORIGIN).and_then(|origin| origin.to_str().ok());
    if origin != Some(format!("http://{}", page.address).as_str()) {
        return (StatusCode::FORBIDDEN, "requests from other sites are refused").into_response();
    }
    match page.with(move |cast| cast.switch(&switch).map(|()| cast.state())).await.flatten() {
        Ok(state) => Json(state).into_response(),
        Err(why) => failed(&why),
    }
}

async fn screens(State(page): State<Page>, Name(name): Name<String>) -> Response {
    match page.with(move |cast| cast.link(&name)).await.flatten() {
        Ok(url) => Redirect::to(&url).into_response(),
        Err(why) => failed(&why),
    }
}
