//! `creel serve`: runs this node until it is told to stop.

use super::block_on;
use crate::folder::quoted;
use crate::screen::Screen;
use anyhow::{Context, Result};
use creel_node::{HttpsOptions, PhotoPolicy, Running, ServeOptions};
use serde_json::json;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Run this node: keep its store, talk to the other devices, and serve the commands and screens of this device.
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:\n  creel serve\n  creel serve --quic 0.0.0.0:4910 --http 127.0.0.1:8080\n  \
                        creel serve --peer west-lake.example:4910      a shop's node at a fixed address\n  \
                        creel serve --https 0.0.0.0:8443               screens for tablets and phones\n\n\
                        It runs until Ctrl-C or SIGTERM. What was acknowledged is safe however it ends.")]
pub(crate) struct Args {
    /// UDP address for other devices [default: port 4910 on the hub, any free port elsewhere]
    #[arg(long, value_name = "ADDR")]
    quic: Option<SocketAddr>,
    /// Address of this device's own HTTP API [default: any free port on 127.0.0.1]
    #[arg(long, value_name = "ADDR")]
    http: Option<SocketAddr>,
    /// Serve the screens to other devices at this address, behind TLS: people log in there with their name and PIN
    #[arg(long, value_name = "ADDR")]
    https: Option<SocketAddr>,
    /// Certificate chain for --https, a PEM file; read again when it is renewed [default: a self-signed one]
    #[arg(long, value_name = "FILE", requires = "https", requires = "tls_key")]
    tls_cert: Option<PathBuf>,
    /// Private key of --tls-cert, a PEM file
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,
    /// Name by which browsers call this node with --https, beside its IP addresses; may be given more than once
    #[arg(long, value_name = "HOST", requires = "https", value_parser = host)]
    https_name: Vec<String>,
    /// Which photos to fetch from the hub [default: on-demand for a driver or a shop, else all]
    #[arg(long, value_enum, value_name = "WHICH")]
    photos: Option<Photos>,
    /// Megabytes that photos may take; those the hub has make room for new ones [default: 2000, no limit on the hub]
    #[arg(long, value_name = "MB")]
    photo_quota: Option<u64>,
    /// Days that a driver's or a shop's device keeps a shipment that has ended, after the hub had all of it; of the device's and the hub's own the longer
    #[arg(long, value_name = "DAYS", default_value_t = 30)]
    keep_closed: u64,
    /// Origin whose pages may show these screens in a frame: the demo's
    #[arg(long, value_name = "ORIGIN", hide = true)]
    framed_by: Option<String>,
    /// Do not look for other devices on the same network, nor tell them of this one
    #[arg(long)]
    no_lan: bool,
    /// Keep a connection to another device of the organisation at this address, host:port; may be given more than once
    #[arg(long, value_name = "ADDR", value_parser = address)]
    peer: Vec<String>,
}

/// An address to dial: a name or an IP address, and a port.
fn address(text: &str) -> Result<String, String> {
    let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty()).map(|(_, port)| port.parse::<u16>());
    match port {
        Some(Ok(port)) if port > 0 => Ok(text.to_owned()),
        _ => Err("an address is a host and a port, such as west-lake.example:4910".to_owned()),
    }
}

/// A host's name alone.
fn host(text: &str) -> Result<String, String> {
    let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-');
    if text.is_empty() || !text.chars().all(fits) {
        return Err(
            "a host's name is letters, digits, dots and dashes, such as hub.example, without https:// or a port"
                .to_owned(),
        );
    }
    Ok(text.to_ascii_lowercase())
}

/// Which photos to fetch.
#[derive(Debug, Clone, Copy, clap::ValueEnum)]
enum Photos {
    /// All that this device's shipments name
    All,
    /// Only those that somebody looks at: for a device that pays for its traffic
    OnDemand,
}

pub(crate) fn run(args: &Args, data: &Path, screen: &Screen) -> Result<ExitCode> {
    let options = ServeOptions {
        quic: args.quic,
        http: args.http,
        https: args.https.map(|address| HttpsOptions {
            address,
            certificate: args.tls_cert.clone().zip(args.tls_key.clone()),
            names: args.https_name.clone(),
        }),
        photos: args.photos.map(|photos| match photos {
            Photos::All => PhotoPolicy::All,
            Photos::OnDemand => PhotoPolicy::OnDemand,
        }),
        keep_closed: Duration::from_secs(args.keep_closed.saturating_mul(86_400)),
        photo_quota: args.photo_quota.map(|megabytes| megabytes.saturating_mul(1_000_000)),
        framed_by: args.framed_by.clone(),
        lan: !args.no_lan,
        peers: args.peer.clone(),
        ..ServeOptions::of(data.to_owned())
    };
    block_on(async {
        // Before the node opens anything, so that a signal in between is not lost on it.
        let stop = stop()?;
        creel_node::serve(options, |running| started(running, data, screen), stop).await?;
        Ok(())
    })?;
    screen.hint("stopped");
    Ok(ExitCode::SUCCESS)
}

fn started(running: &Running, data: &Path, screen: &Screen) {
    if screen.json {
        // Whoever started it may have gone; the node runs all the same.
        let _gone = screen.value(&json!({
            "quic": running.quic.to_string(),
            "http": running.http.to_string(),
            "https": running.https.as_ref().map(|https| json!({
                "address": https.address.to_string(),
                "urls": https.urls,
                "fingerprint": https.fingerprint,
                "self_signed": https.self_signed,
            })),
            "organisation": running.organisation,
            "name": running.name,
            "role": running.role,
            "set_aside": running.set_aside,
        }));
        return;
    }
    let Running { organisation, name, role, quic, http, .. } = running;
    screen.hint(format_args!("{name} ({role}) of {organisation}, on {}", quoted(data)));
    screen.hint(format_args!("  other devices  udp {quic}\n  this device    http://{http}"));
    if let Some(https) = &running.https {
        let urls = https.urls.join("\n                 ");
        screen.hint(format_args!("  other screens  {urls}"));
        if https.self_signed {
            screen.hint(format_args!(
                "                 browsers warn of its certificate, which it made itself: go on if the SHA-256 fingerprint they show is\n                 {}",
                https.fingerprint
            ));
        }
        if running.nobody {
            screen.hint("                 nobody can log in there yet: add people with a PIN under Admin, on this device's screens");
        }
    }
    screen.hint("  to stop it     Ctrl-C");
    if let Some(aside) = &running.set_aside {
        screen.hint(format_args!(
            "the store was damaged; it lies in {} now, and a fresh one is being filled again from the other devices",
            aside.display()
        ));
    }
}

/// Ends when somebody wants the node to stop.
#[cfg(unix)]
fn stop() -> Result<impl Future<Output = ()>> {
    use tokio::signal::unix::{SignalKind, signal};
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut interrupt, mut terminate) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Ends when somebody wants the node to stop.
#[cfg(not(unix))]
fn stop() -> Result<impl Future<Output = ()>> {
    Ok(async {
        // Without Ctrl-C the window is closed, and a durable store does not mind.
        let _unheard = tokio::signal::ctrl_c().await;
    })
}
