//! A firm of real nodes: a hub, and members that dial it through relays of ours.

use super::api::Api;
use super::judge::{HUB, Judge, Verdict};
use super::node::{Node, eventually};
use super::relay::Relay;
use anyhow::{Context, Result};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// A firm.
#[derive(Debug)]
pub struct Firm {
    /// Its hub; it runs.
    pub hub: Node,
    creel: PathBuf,
    folder: PathBuf,
    seed: u64,
    taps: AtomicU64,
}

/// A member: its device, and the relay between it and the hub.
#[derive(Debug)]
pub struct Member {
    /// Its device; it runs.
    pub node: Node,
    /// The relay between it and the hub.
    pub relay: Relay,
}

impl Firm {
    /// Founds a firm in `folder` with the program `creel`, and starts its hub. Chance is drawn from `seed`.
    pub fn found(creel: &Path, folder: &Path, organisation: &str, seed: u64) -> Result<Self> {
        Self::found_for(creel, folder, organisation, seed, None)
    }

    /// The same, whose nodes' screens may be shown in frames by the pages of an origin.
    pub fn found_for(
        creel: &Path,
        folder: &Path,
        organisation: &str,
        seed: u64,
        framed_by: Option<String>,
    ) -> Result<Self> {
        let mut hub = Node::new(creel, folder, HUB);
        hub.framed_by = framed_by;
        hub.creel(&["init", "--org", organisation])?;
        hub.start(&["--quic", "127.0.0.1:0"])?;
        Ok(Self { hub, creel: creel.to_owned(), folder: folder.to_owned(), seed, taps: AtomicU64::new(0) })
    }

    /// An invite's text.
    pub fn invite(&self, role: &str, party: Option<&str>, name: &str) -> Result<String> {
        let mut arguments = vec!["invite", "--role", role, "--name", name];
        arguments.extend(party.into_iter().flat_map(|party| ["--party", party]));
        let invite = self.hub.creel(&arguments)?;
        Ok(invite["invite"].as_str().context("no invite came")?.to_owned())
    }

    /// Another device, in the firm's folder; nobody yet.
    pub fn device(&self, name: &str) -> Node {
        let mut node = Node::new(&self.creel, &self.folder, name);
        node.framed_by.clone_from(&self.hub.framed_by);
        node
    }

    /// Invites a device, lets it join through a relay of its own, and starts it.
    pub fn admit(&self, role: &str, party: Option<&str>, name: &str) -> Result<Member> {
        self.admit_as(role, party, name, name)
    }

    /// The same, under a name that people are to see.
    pub fn admit_as(&self, role: &str, party: Option<&str>, name: &str, called: &str) -> Result<Member> {
        let invite = self.invite(role, party, called)?;
        let relay = Relay::start(self.hub.quic()?, self.seed).context("the relay could not be started")?;
        let mut node = self.device(name);
        node.creel(&["join", &invite, "--hub", &relay.address().to_string()])?;
        node.start(&["--quic", "127.0.0.1:0"])?;
        Ok(Member { node, relay })
    }

    /// Starts the hub again where it was.
    pub fn restart_hub(&mut self, address: SocketAddr) -> Result<()> {
        self.hub.start(&["--quic", &address.to_string()])
    }

    /// A tap that was not used before in this firm.
    pub fn tap(&self) -> String {
        format!("{:016x}{:016x}", self.seed, self.taps.fetch_add(1, Ordering::Relaxed))
    }

    /// Acts at a node; what it acknowledges is noted.
    pub fn act(&self, judge: &mut Judge, node: &Node, path: &str, body: &Value) -> Result<Value> {
        let answer = node.api()?.post(path, &self.tap(), body)?;
        judge.note(&node.name, &answer)?;
        Ok(answer)
    }

    /// Takes orders in at the hub, and expects all of them to be taken.
    pub fn import(&self, judge: &mut Judge, orders: &[crate::import::Order]) -> Result<()> {
        let report = self.hub.api()?.post("/imports", &self.tap(), &json!({ "orders": orders }))?;
        anyhow::ensure!(report["taken"] == orders.len(), "the hub did not take all orders: {report}");
        orders.iter().for_each(|order| judge.expect(&order.number, []));
        Ok(())
    }

    /// The APIs of the hub and of some members.
    pub fn apis<'a>(&self, members: impl IntoIterator<Item = &'a Member>) -> Result<BTreeMap<String, Api>> {
        let nodes = std::iter::once(&self.hub).chain(members.into_iter().map(|member| &member.node));
        nodes.map(|node| Ok((node.name.clone(), node.api()?.clone()))).collect()
    }
}

/// Waits until nobody has anything to deliver any more and the judge finds nothing wrong; after `limit`, tells what is.
pub fn converged(judge: &Judge, apis: &BTreeMap<String, Api>, limit: Duration) -> Result<Verdict> {
    let mut last = Verdict::default();
    let found = eventually("everyone to see the same", limit, || {
        for api in apis.values() {
            if api.get("/status")?["waiting"] != 0 {
                return Ok(None);
            }
        }
        last = judge.judge(apis)?;
        Ok(last.is_good().then(|| last.clone()))
    });
    match found {
        Err(error) if !error.is::<super::interrupt::Interrupted>() && !last.wrong.is_empty() => Ok(last),
        found => found,
    }
}
