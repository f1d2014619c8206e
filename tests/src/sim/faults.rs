//! What goes wrong with devices: power, clocks, backups, copies.

use super::world::{Event, World};
use creel_protocol::core::{Identity, keys};
use creel_protocol::id::EditId;
use creel_protocol::store::Store as _;
use creel_storage::MemoryEngine;

impl World {
    pub(super) fn fault(&mut self) {
        let after = self.rng.between(200, 4_000);
        self.plan(after, Event::Fault);
        let up: Vec<usize> = (0..self.nodes.len()).filter(|at| self.nodes[*at].core.is_some()).collect();
        let Some(at) = self.rng.pick(&up).copied() else { return };
        match self.rng.between(0, 99) {
            0..=39 => self.crash(at),
            40..=59 => {
                let years = i64::try_from(self.rng.between(0, 40)).unwrap_or_default() - 20;
                self.nodes[at].clock = years * 31_557_600_000;
            }
            60..=79 => {
                let mut disk = self.nodes[at].engine.clone();
                disk.crash();
                self.nodes[at].backup = Some((disk, self.nodes[at].photos.clone()));
            }
            80..=89 => self.restore(at),
            _ => self.clone_device(at),
        }
    }

    /// The power goes: what was not durable is lost.
    pub(super) fn crash(&mut self, at: usize) {
        self.stop(at);
        self.nodes[at].engine.crash();
        self.faults += 1;
        let words = format!("{} loses power", self.nodes[at].name);
        self.note(&words);
        let after = self.rng.between(0, 2_000);
        self.plan(after, Event::Restart { node: at });
    }

    fn stop(&mut self, at: usize) {
        let node = &mut self.nodes[at];
        node.core = None;
        node.life += 1;
        node.commits.clear();
        node.unsynced.clear();
        node.hostile.clear();
        (node.sync_due, node.idle_due) = (false, false);
        let links: Vec<_> = std::mem::take(&mut node.sessions).into_values().collect();
        for (link, end) in links {
            if let Some(link) = self.links.get_mut(&link) {
                link.open[end] = false;
            }
            self.cut(link);
        }
        // Links that this node had not heard of yet.
        let under_way: Vec<_> = self.links.iter().filter(|(_, link)| link.passes && link.nodes.contains(&at)).collect();
        let under_way: Vec<_> = under_way.into_iter().map(|(id, _)| *id).collect();
        under_way.into_iter().for_each(|id| self.cut(id));
    }

    /// A device is set back to its last backup.
    fn restore(&mut self, at: usize) {
        let Some((backup, photos)) = self.nodes[at].backup.clone() else { return };
        // A restored hub must first fetch its own entries from members, which comes later: see docs/decisions.
        let height = |engine: &MemoryEngine| {
            let (from, to) = keys::under(b"r");
            engine.scan(&from, &to, usize::MAX).map_or(0, |entries| entries.len())
        };
        if at == 0 && height(&backup) != height(&self.nodes[at].engine) {
            return;
        }
        self.stop(at);
        (self.nodes[at].engine, self.nodes[at].photos) = (backup, photos);
        self.nodes[at].forgetful = true;
        (self.forked, self.faults) = (true, self.faults + 1);
        self.made.retain(|(node, _), _| *node != at);
        self.write_off();
        let words = format!("{} is restored from a backup", self.nodes[at].name);
        self.note(&words);
        let after = self.rng.between(0, 2_000);
        self.plan(after, Event::Restart { node: at });
    }

    /// Acknowledged edits of which no durable copy is left anywhere are nobody's fault: what was promised is that they
    /// survive a power cut, not the loss of the only disk they are on.
    fn write_off(&mut self) {
        let disks: Vec<MemoryEngine> = self
            .nodes
            .iter()
            .map(|node| {
                let mut disk = node.engine.clone();
                disk.crash();
                disk
            })
            .collect();
        let there =
            |id: &EditId| disks.iter().any(|disk| disk.get(&keys::arrival(id)).is_ok_and(|found| found.is_some()));
        let gone: Vec<EditId> = self.acknowledged.iter().copied().filter(|id| !there(id)).collect();
        self.destroyed.extend(gone);
    }

    /// A device's disk is copied to another device; from now on both act as one.
    fn clone_device(&mut self, at: usize) {
        if at == 0 || !self.room_for_a_node() {
            return;
        }
        let original = &self.nodes[at];
        let mut disk = original.engine.clone();
        disk.crash();
        let (name, role, party) = (format!("{}’", original.name), original.role, original.party.clone());
        let identity = Identity { device: original.identity.device.clone(), issuer: None };
        let (planted, photos, let_go) = (original.planted.clone(), original.photos.clone(), original.let_go.clone());
        let words = format!("{} is cloned", original.name);
        self.note(&words);
        self.nodes[at].forgetful = true;
        let clone = self.add(&name, identity, role, party, disk);
        self.nodes[clone].let_go = let_go;
        self.nodes[clone].forgetful = true;
        (self.nodes[clone].planted, self.nodes[clone].photos) = (planted, photos);
        (self.forked, self.faults) = (true, self.faults + 1);
        self.start(clone);
    }

    /// The faults end: everybody has power, and nobody means harm any more.
    pub(super) fn heal(&mut self) -> Result<(), String> {
        self.healing = true;
        self.note("the faults end");
        for at in 0..self.nodes.len() {
            let sessions: Vec<_> = self.nodes[at].hostile.keys().copied().collect();
            sessions.into_iter().for_each(|session| self.hostile_leaves(at, session));
            self.start(at);
        }
        self.failure.take().map_or(Ok(()), Err)
    }
}
