//! `creel doctor`: is this device's data folder as it should be, and if not, what to do.

use super::block_on;
use crate::answer::Status;
use crate::client::{Client, NotRunning};
use crate::folder::quoted;
use crate::screen::{Paint, Screen};
use anyhow::Result;
use creel_node::{API_TOKEN_FILE, RECOVERY_FILE, ServeOptions};
use creel_protocol::cbor::{Bytes, Decode};
use creel_protocol::roster::Roster;
use jiff::{Timestamp, civil};
use serde::Serialize;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::SystemTime;

/// Bytes of free disk below which a day's work may not fit.
const FREE_BYTES_MIN: u64 = 200 << 20;
/// Seconds that a file may seem to be from the future: file systems round.
const AHEAD_SECONDS_MAX: u64 = 120;
/// A clock that shows an earlier year than the one this was written in has lost its battery.
const FIRST_YEAR: i16 = 2026;
/// Files that only the folder's owner may read.
const SECRETS: [&str; 4] = ["device.key", "issuer.key", API_TOKEN_FILE, RECOVERY_FILE];
/// The roster's copy outside the store.
const ROSTER_FILE: &str = "roster.cbor";

/// What one look found.
#[derive(Debug, Serialize)]
struct Check {
    #[serde(rename = "check")]
    what: &'static str,
    ok: bool,
    found: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    advice: Option<String>,
}

impl Check {
    fn ok(what: &'static str, found: impl Into<String>) -> Self {
        Self { what, ok: true, found: found.into(), advice: None }
    }

    fn problem(what: &'static str, found: impl Into<String>, advice: impl Into<String>) -> Self {
        Self { what, ok: false, found: found.into(), advice: Some(advice.into()) }
    }
}

pub(crate) fn run(data: &Path, screen: &Screen) -> Result<ExitCode> {
    let checks = checks(data);
    let problems = checks.iter().filter(|check| !check.ok).count();
    if screen.json {
        screen.value(&serde_json::json!({ "data": data, "ok": problems == 0, "checks": checks }))?;
    } else {
        for Check { what, ok, found, advice } in &checks {
            let mark = if *ok { screen.paint("ok     ", Paint::Green) } else { screen.paint("problem", Paint::Red) };
            screen.print(&format!("{mark}  {what}: {found}"))?;
            if let Some(advice) = advice {
                screen.print(&format!("         → {advice}"))?;
            }
        }
    }
    if problems > 0 {
        screen.hint(format_args!("\n{problems} to be looked at"));
    }
    Ok(if problems == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn checks(data: &Path) -> Vec<Check> {
    if !data.is_dir() {
        let advice = format!(
            "start an organisation with `creel init --org NAME --data {0}`, or join one with `creel join INVITE --data {0}`",
            quoted(data)
        );
        return vec![Check::problem("data folder", format!("there is none at {}", data.display()), advice)];
    }
    let mut checks = vec![Check::ok("data folder", data.display().to_string())];
    checks.push(permissions(data));
    checks.push(recovery(data));
    checks.push(disk(data));
    checks.push(clock(data));
    checks.push(roster(data));
    checks.push(damage(data));
    checks.extend(node(data));
    checks
}

#[cfg(unix)]
fn permissions(data: &Path) -> Check {
    use std::os::unix::fs::PermissionsExt;
    let is_open = |path: &Path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o077 != 0);
    let mut open: Vec<PathBuf> = SECRETS.iter().map(|name| data.join(name)).filter(|path| is_open(path)).collect();
    if is_open(data) {
        open.insert(0, data.to_owned());
    }
    if open.is_empty() {
        return Check::ok("permissions", "only its owner can read the keys");
    }
    let files: Vec<_> = open.iter().map(|path| quoted(path)).collect();
    Check::problem(
        "permissions",
        "others on this device can read what only its owner may",
        format!("chmod go-rwx {}", files.join(" ")),
    )
}

#[cfg(not(unix))]
fn permissions(_data: &Path) -> Check {
    Check::ok("permissions", "those of the user's own folders")
}

fn recovery(data: &Path) -> Check {
    let file = data.join(RECOVERY_FILE);
    if file.exists() {
        let advice =
            format!("print it or copy it to a stick, keep that in a safe place, and delete {}", file.display());
        return Check::problem("recovery file", "the organisation's root key still lies on this device", advice);
    }
    Check::ok("recovery file", "not on this device, as it should be")
}

fn disk(data: &Path) -> Check {
    match fs2::available_space(data) {
        Ok(free) if free < FREE_BYTES_MIN => {
            let advice = "free some space: creel stops acknowledging when the disk is full, and loses nothing";
            Check::problem("disk", format!("{} MB free", free >> 20), advice)
        }
        Ok(free) => Check::ok("disk", format!("{} MB free", free >> 20)),
        Err(error) => Check::problem("disk", format!("its free space can't be told: {error}"), "check the disk"),
    }
}

/// creel trusts no clock, but people read what it says.
fn clock(data: &Path) -> Check {
    let advice = "set this device's clock; creel's order of things does not depend on it, but the times it shows do";
    let now = Timestamp::now();
    if now.to_zoned(jiff::tz::TimeZone::UTC).date() < civil::date(FIRST_YEAR, 1, 1) {
        return Check::problem("clock", format!("it shows {now:.0}"), advice);
    }
    let files = fs::read_dir(data).into_iter().flatten().flatten();
    let newest = files.filter_map(|file| file.metadata().and_then(|found| found.modified()).ok()).max();
    let ahead = newest.and_then(|newest| newest.duration_since(SystemTime::now()).ok()).unwrap_or_default();
    if ahead.as_secs() > AHEAD_SECONDS_MAX {
        let found =
            format!("it shows {now:.0}, but files here are {} minutes newer: it was set back", ahead.as_secs() / 60);
        return Check::problem("clock", found, advice);
    }
    Check::ok("clock", format!("it shows {now:.0}"))
}

/// The roster's copy, verified from its root on.
fn roster(data: &Path) -> Check {
    let file = data.join(ROSTER_FILE);
    let verified = || -> Result<Roster, String> {
        let bytes = fs::read(&file).map_err(|error| format!("{}: {error}", file.display()))?;
        let entries = Vec::<Bytes>::from_cbor(&bytes).map_err(|error| error.to_string())?;
        let (genesis, rest) = entries.split_first().ok_or("it is empty")?;
        let mut roster = Roster::begin(&genesis.0).map_err(|error| error.to_string())?;
        for entry in rest {
            roster.append(&entry.0).map_err(|error| error.to_string())?;
        }
        Ok(roster)
    };
    match verified() {
        Ok(roster) => Check::ok(
            "roster",
            format!("{} entries of “{}” verify", roster.height() + 1, roster.genesis().organisation),
        ),
        Err(why) => {
            let advice =
                "start the node, which writes it again from its store; if it does not, ask the hub for a new invite";
            Check::problem("roster", format!("its copy does not verify: {why}"), advice)
        }
    }
}

fn damage(data: &Path) -> Check {
    let names = fs::read_dir(data).into_iter().flatten().flatten().map(|entry| entry.file_name());
    let aside: Vec<_> =
        names.filter_map(|name| name.into_string().ok()).filter(|name| name.contains(".damaged-")).collect();
    if aside.is_empty() {
        return Check::ok("damage", "no store was ever set aside");
    }
    let advice = "it was set aside and its edits come back from the other devices; those that had reached no other are only in it, so keep it until nobody misses anything";
    Check::problem("damage", format!("a damaged store lies in {}", aside.join(", ")), advice)
}

/// The running node, or the store that none has open.
fn node(data: &Path) -> Vec<Check> {
    let asked = Client::open(data).and_then(|node| node.fetch::<Status>("/status"));
    match asked {
        Ok(status) => running(&status),
        Err(error) if error.is::<NotRunning>() => vec![opened(data)],
        Err(error) => {
            vec![Check::problem(
                "node",
                format!("{error:#}"),
                "stop what is running on this folder, and start it again",
            )]
        }
    }
}

fn running(status: &Status) -> Vec<Check> {
    let node = format!("running as {}, with {} shipments", status.name, status.shipments);
    let mut checks = vec![Check::ok("node", node)];
    if let Some(hub) = status.peers.iter().find(|peer| peer.hub) {
        checks.push(match (hub.connected, status.waiting) {
            (true, waiting) => Check::ok("hub", format!("connected, {waiting} edits on their way")),
            // To be without signal is what creel is for.
            (false, 0) => Check::ok("hub", "not connected; it has everything of this device"),
            (false, waiting) => Check::problem(
                "hub",
                format!("not connected; {waiting} edits wait for it"),
                "they are safe here and go when there is signal; is the hub running, and its address reachable?",
            ),
        });
    }
    checks
}

/// Starts the node for a moment, without a network, which opens the store, verifies the roster in it and ends cleanly.
fn opened(data: &Path) -> Check {
    let nowhere = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    let options = ServeOptions { quic: Some(nowhere), http: Some(nowhere), ..ServeOptions::of(data.to_owned()) };
    let mut set_aside = None;
    let mut organisation = String::new();
    let served = block_on(async {
        let started = |running: &creel_node::Running| {
            set_aside.clone_from(&running.set_aside);
            organisation.clone_from(&running.organisation);
        };
        Ok(creel_node::serve(options, started, std::future::ready(())).await?)
    });
    match (served, set_aside) {
        (Ok(()), None) => Check::ok("store", format!("opens, and belongs to “{organisation}”; no node is running")),
        (Ok(()), Some(aside)) => Check::problem(
            "store",
            format!("it was damaged, and lies in {} now", aside.display()),
            "start the node: it is filled again from the other devices",
        ),
        (Err(error), _) => Check::problem("store", format!("{error:#}"), "do as it says, and run creel doctor again"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a person forgets after `creel init`, or breaks by copying the folder, is told with what to do.
    #[test]
    fn problems_are_told() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        assert!(recovery(folder.path()).ok && damage(folder.path()).ok && clock(folder.path()).ok);
        assert!(!roster(folder.path()).ok);
        for name in [RECOVERY_FILE, "device.key"] {
            fs::write(folder.path().join(name), "secret").expect("it is written");
        }
        fs::create_dir(folder.path().join("store.damaged-1")).expect("it is made");
        assert!(!recovery(folder.path()).ok && !damage(folder.path()).ok);
        assert!(!checks(&folder.path().join("absent"))[0].ok);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let open = fs::Permissions::from_mode(0o644);
            fs::set_permissions(folder.path().join("device.key"), open).expect("it is ours");
            let check = permissions(folder.path());
            assert!(!check.ok && check.advice.is_some_and(|advice| advice.contains("device.key")));
        }
    }
}
