//! How a device becomes a member: the hub invites it, it proves that it has the invite, and checks the hub's own proof.

use super::world::{Event, Request, World};
use creel_protocol::core::io::{Act, Input};
use creel_protocol::core::joined;
use creel_protocol::id::{Digest, Tap};
use creel_protocol::roster::Roster;
use creel_protocol::roster::invite::{Invite, InviteRequest, device_proof, hub_proof, invite_id};
use creel_protocol::sync::frame::{Redeem, Welcome};
use creel_storage::Engine;

impl World {
    /// A device that is no member yet asks the hub for an invite, or redeems the one it has.
    pub(super) fn join(&mut self, at: usize) {
        if self.nodes[at].life > 0 {
            return;
        }
        // Whatever is lost on the way, the device tries again.
        let after = self.rng.between(1_000, 4_000);
        self.plan(after, Event::Join { node: at });
        if self.nodes[0].core.is_none() {
            return;
        }
        let Some(secret) = self.secrets.get(&at).cloned() else {
            let node = &self.nodes[at];
            let request = InviteRequest { role: node.role, party: node.party.clone(), name: node.name.clone() };
            let tap = Tap(self.rng.bytes());
            let id = self.request(Request::Invite { newcomer: at });
            let act = Act::Invite { request, expires: u64::MAX >> 16, addresses: vec!["hub:4040".to_owned()] };
            return self.feed(0, Input::Act { request: id, tap, by: None, act });
        };
        self.redeem(at, &secret);
    }

    pub(super) fn invited(&mut self, at: usize, text: &str) {
        match Invite::parse(text) {
            Ok(invite) => {
                self.secrets.insert(at, invite.secret.0.clone());
                self.redeem(at, &invite.secret.0);
            }
            Err(error) => self.fail(format!("the hub's invite does not parse: {error}")),
        }
    }

    fn redeem(&mut self, at: usize, secret: &[u8]) {
        let device = self.nodes[at].key();
        let exporter = self.rng.bytes();
        if self.rng.percent(10) {
            // A device that does not have the secret is told nothing and changes nothing.
            let redeem = Redeem { invite: invite_id(secret), proof: Digest(self.rng.bytes()) };
            let request = self.request(Request::Forged);
            self.feed(0, Input::Redeem { request, device, exporter, redeem });
        }
        let redeem = Redeem { invite: invite_id(secret), proof: device_proof(secret, &exporter, &device) };
        let lost = self.rng.percent(20);
        let request = self.request(Request::Redeem { newcomer: at, secret: secret.to_vec(), exporter, lost });
        self.feed(0, Input::Redeem { request, device, exporter, redeem });
    }

    pub(super) fn welcomed(&mut self, at: usize, secret: &[u8], exporter: &[u8; 32], welcome: &Welcome, lost: bool) {
        let hub_height = u64::try_from(welcome.entries.len()).unwrap_or_default() - 1;
        if self.nodes[0].unsynced.contains(&creel_protocol::core::keys::roster(hub_height)) {
            self.fail("the hub welcomes a device before that is durable".to_owned());
        }
        if lost || self.nodes[at].life > 0 {
            return;
        }
        if let Err(why) = self.settle_in(at, secret, exporter, welcome) {
            self.fail(format!("{} can't join: {why}", self.nodes[at].name));
        }
    }

    fn settle_in(&mut self, at: usize, secret: &[u8], exporter: &[u8; 32], welcome: &Welcome) -> Result<(), String> {
        let mut entries = welcome.entries.iter();
        let genesis = entries.next().ok_or("an empty welcome")?;
        let mut roster = Roster::begin(&genesis.0).map_err(|error| error.to_string())?;
        for entry in entries {
            roster.append(&entry.0).map_err(|error| error.to_string())?;
        }
        if hub_proof(secret, exporter, &roster.genesis().hub) != welcome.proof {
            return Err("the hub's proof is wrong".to_owned());
        }
        if roster.member(&self.nodes[at].key()).is_none() {
            return Err("it is not in the roster it was sent".to_owned());
        }
        let node = &mut self.nodes[at];
        let words = format!("{} joins at height {}", node.name, roster.height());
        node.engine.apply(&joined(&roster)).and_then(|()| node.engine.sync()).map_err(|error| error.to_string())?;
        self.note(&words);
        if self.nodes[at].name == "mallory" {
            // Mallory's device runs something else.
            self.nodes[at].life = 1;
            return Ok(());
        }
        self.start(at);
        Ok(())
    }
}
