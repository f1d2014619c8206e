//! `creel status`: how this node is, and its peers.

use crate::answer::{Peer, Status};
use crate::client::Client;
use crate::screen::{Paint, Screen};
use crate::table::{Cell, table};
use crate::value::local;
use anyhow::Result;
use jiff::tz::TimeZone;
use serde_json::Value;
use std::process::ExitCode;

pub(crate) fn run(node: &Client, screen: &Screen) -> Result<ExitCode> {
    if screen.json {
        screen.value(&node.fetch::<Value>("/status")?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let status: Status = node.fetch("/status")?;
    screen.print(&own(&status, screen))?;
    if status.peers.is_empty() {
        screen.hint("no other device has joined yet: creel invite --role ROLE --name NAME");
    } else {
        screen.print(&format!("\n{}", peers(&status.peers, screen, &TimeZone::system())))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn own(status: &Status, screen: &Screen) -> String {
    let pick = |en, zh| screen.language.pick(en, zh);
    let role = match (&status.role, &status.party) {
        (Some(role), Some(party)) => format!("{role}, {party}"),
        (Some(role), None) => role.clone(),
        (None, _) => pick("not a member", "不是成员").to_owned(),
    };
    let hub = if status.hub { pick(" · hub", " · 主机") } else { "" };
    let waiting = match status.waiting {
        0 => pick("none", "无").to_owned(),
        count => count.to_string(),
    };
    let mut rows = vec![
        (pick("organisation", "组织"), status.organisation.clone(), Paint::Bold),
        (pick("device", "设备"), format!("{} ({role}){hub}", status.name), Paint::Plain),
        (pick("shipments", "运单"), status.shipments.to_string(), Paint::Plain),
        // On a device that is what would be lost with it.
        (
            pick("not yet at the hub", "尚未到达主机"),
            waiting,
            if status.waiting > 0 { Paint::Yellow } else { Paint::Green },
        ),
    ];
    for (en, zh, count, paint) in [
        ("held back", "等待前置记录", status.held_back, Paint::Yellow),
        ("refused from peers", "拒收", status.refused, Paint::Yellow),
        ("being brought up to date", "正在更新", status.refreshing, Paint::Dim),
    ] {
        if count > 0 {
            rows.push((pick(en, zh), count.to_string(), paint));
        }
    }
    rows.push((pick("roster", "成员名册"), status.roster_height.to_string() + pick(" entries", " 条"), Paint::Plain));
    for (en, zh, address) in [("other devices", "设备间端口", &status.quic), ("this device", "本机接口", &status.http)]
    {
        if let Some(address) = address {
            rows.push((pick(en, zh), address.clone(), Paint::Dim));
        }
    }
    rows.push((pick("device key", "设备公钥"), status.device.clone(), Paint::Dim));
    rows.push((pick("organisation id", "组织编号"), status.organisation_id.clone(), Paint::Dim));
    let cells = rows.into_iter();
    let cells =
        cells.map(|(name, value, paint)| vec![Cell::text(name).painted(Paint::Dim), Cell::whole(value).painted(paint)]);
    table(screen, &["", ""], cells.collect())
}

fn peers(peers: &[Peer], screen: &Screen, zone: &TimeZone) -> String {
    let pick = |en, zh| screen.language.pick(en, zh);
    let headers = [
        "",
        pick("PEER", "成员"),
        pick("ROLE", "角色"),
        pick("PARTY", "所属"),
        pick("ON THE WAY", "未确认"),
        pick("LAST SEEN", "最近联系"),
        pick("ADDRESS", "地址"),
    ];
    let rows = peers.iter().map(|peer| {
        let (mark, paint) = if peer.connected { ("●", Paint::Green) } else { ("○", Paint::Dim) };
        let role = if peer.hub { format!("{} · {}", peer.role, pick("hub", "主机")) } else { peer.role.clone() };
        let on_the_way = if peer.unacknowledged > 0 { peer.unacknowledged.to_string() } else { String::new() };
        let last_seen = peer.last_seen.as_deref().map(|at| local(at, zone)).unwrap_or_default();
        vec![
            Cell::text(mark).painted(paint),
            Cell::text(&peer.name),
            Cell::text(role),
            Cell::text(peer.party.as_deref().unwrap_or_default()),
            Cell::number(on_the_way).painted(Paint::Yellow),
            Cell::text(if peer.connected { pick("connected", "已连接").to_owned() } else { last_seen }),
            Cell::text(peer.address.as_deref().unwrap_or_default()).painted(Paint::Dim),
        ]
    });
    table(screen, &headers, rows.collect())
}
