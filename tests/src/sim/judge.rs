//! What is demanded when the faults have ended and the nodes have fallen silent.

use super::world::{Request, World};
use creel_protocol::core::io::{Act, Input, Query, Reply, Shown};
use creel_protocol::core::keys;
use creel_protocol::edit::Edit;
use creel_protocol::id::{DocumentId, EditId, Tap};
use creel_protocol::shipment::Render;
use creel_protocol::shipment::view::{NO_STATUS, TimelineEntry};
use creel_protocol::store::Store as _;
use creel_protocol::sync::fingerprint::digest;
use std::collections::{BTreeMap, BTreeSet};

type Holdings = BTreeMap<DocumentId, BTreeSet<EditId>>;

impl World {
    pub(super) fn judge(&mut self) -> Result<(), String> {
        self.note("judgement");
        let members: Vec<usize> = (0..self.nodes.len()).filter(|at| self.nodes[*at].core.is_some()).collect();
        for at in &members {
            self.judge_member(*at)?;
        }
        let held: Vec<(usize, Holdings)> = members.iter().map(|at| (*at, self.holdings(*at))).collect();
        self.judge_sets(&held)?;
        self.judge_promises(&held[0].1)?;
        let hub = held[0].1.keys().copied().collect::<Vec<_>>();
        for document in hub {
            self.judge_document(document, &held)?;
        }
        self.edits = held[0].1.values().map(BTreeSet::len).sum();
        Ok(())
    }

    /// Nothing is left to deliver, to wait for or to make anew, and everybody knows who belongs.
    fn judge_member(&self, at: usize) -> Result<(), String> {
        let node = &self.nodes[at];
        let name = &node.name;
        let Some(core) = &node.core else { return Ok(()) };
        if core.waiting() != 0 {
            return Err(format!("{name} still waits for the hub to have {} edits", core.waiting()));
        }
        if core.has_background_work() {
            return Err(format!("{name} rests although summaries are stale"));
        }
        let (from, to) = keys::under(b"x");
        if !node.engine.scan(&from, &to, 1).unwrap_or_default().is_empty() {
            return Err(format!("{name} has forgotten a stale summary"));
        }
        let hub = self.nodes[0].core.as_ref().map(|core| core.roster().head());
        if hub != Some(core.roster().head()) {
            return Err(format!("{name} holds another roster than the hub"));
        }
        Ok(())
    }

    fn holdings(&self, at: usize) -> Holdings {
        self.documents(at)
            .into_iter()
            .map(|document| (document, self.edits_at(at, &document).iter().map(|edit| edit.id).collect()))
            .collect()
    }

    /// Everybody holds the same edits of what they hold, all of their scope, and nothing else.
    fn judge_sets(&self, held: &[(usize, Holdings)]) -> Result<(), String> {
        let hub = &held[0].1;
        for (at, theirs) in held {
            let node = &self.nodes[*at];
            for (document, edits) in theirs {
                let at_hub = hub.get(document).cloned().unwrap_or_default();
                let scope = node.sees_all() || self.party_of(*document, node.party.as_deref(), &at_hub);
                let missing = at_hub.difference(edits).count();
                let unknown = edits.difference(&at_hub).count();
                if unknown > 0 {
                    return Err(format!("the hub lacks {unknown} edits of {document} that {} holds", node.name));
                }
                let owed = node.sees_all()
                    || self.in_scope(*document, node.party.as_deref()) && !self.let_go(*at, document, &at_hub);
                if missing > 0 && owed {
                    return Err(format!("{} lacks {missing} edits of {document}", node.name));
                }
                if !scope && !node.planted.contains(document) {
                    return Err(format!("{} holds {document}, which is none of its business", node.name));
                }
            }
            for (document, at_hub) in hub {
                let owed = node.sees_all()
                    || self.in_scope(*document, node.party.as_deref()) && !self.let_go(*at, document, at_hub);
                if owed && !theirs.contains_key(document) {
                    return Err(format!("{} lacks shipment {document}", node.name));
                }
            }
        }
        Ok(())
    }

    /// Whether a device may do without a document: it has let go of it as the hub holds it now, or the hub knows that it has.
    fn let_go(&self, at: usize, document: &DocumentId, at_hub: &BTreeSet<EditId>) -> bool {
        let node = &self.nodes[at];
        let released = keys::released(&node.key(), document);
        if self.nodes[0].engine.get(&released).is_ok_and(|found| found.is_some()) {
            return true;
        }
        let edits = self.edits_at(0, document);
        let known: BTreeSet<EditId> = edits.iter().flat_map(|edit| edit.statement.after.iter().copied()).collect();
        let heads: Vec<EditId> = at_hub.difference(&known).copied().collect();
        let gone = node.engine.get(&keys::gone(document)).ok().flatten();
        gone.is_some_and(|gone| gone == digest(document, &heads).0)
    }

    /// Whether somebody who may plan has named the party. A device that was set back may have forgotten that it did.
    fn party_of(&self, document: DocumentId, party: Option<&str>, hub: &BTreeSet<EditId>) -> bool {
        let named = |edits: &BTreeMap<EditId, BTreeSet<String>>| {
            edits.iter().any(|(id, named)| {
                party.is_some_and(|party| named.contains(party)) && (self.forked || hub.contains(id))
            })
        };
        self.named.get(&document).is_some_and(named)
    }

    /// Whether what counts of the document, as the hub holds it, names the party.
    fn in_scope(&self, document: DocumentId, party: Option<&str>) -> bool {
        let Some(core) = &self.nodes[0].core else { return false };
        let edits = self.edits_at(0, &document);
        Render::of(document, edits, core.roster())
            .is_ok_and(|render| party.is_some_and(|party| render.parties.contains(party)))
    }

    /// What was acknowledged is at the hub; what was refused is nowhere; one tap is one edit.
    fn judge_promises(&self, hub: &Holdings) -> Result<(), String> {
        let there: BTreeSet<EditId> = hub.values().flatten().copied().collect();
        for edit in self.acknowledged.difference(&self.destroyed) {
            if !there.contains(edit) {
                return Err(format!("edit {} was acknowledged and is lost", edit.short()));
            }
        }
        let mut taps = BTreeMap::new();
        for edit in &there {
            let seen = &self.seen[edit];
            // A device that was set back may refuse again what it had made before (seed 4401).
            let forgetful = self.nodes.iter().any(|node| node.key() == seen.author && node.forgetful);
            if !forgetful && self.refused_taps.iter().any(|tap| tap.of(&seen.document.0) == seen.tap) {
                return Err(format!("edit {} was refused and is there all the same", edit.short()));
            }
            let twin = taps.insert((seen.author, seen.tap), edit);
            if twin.is_some() && !self.forked && !self.crafted.contains(edit) {
                return Err(format!("edit {} repeats a tap", edit.short()));
            }
        }
        Ok(())
    }

    /// One document: everybody sees the same, and the same as the oracle.
    fn judge_document(&mut self, document: DocumentId, held: &[(usize, Holdings)]) -> Result<(), String> {
        let at_hub = held[0].1[&document].clone();
        let holders: Vec<usize> =
            held.iter().filter(|(_, theirs)| theirs.get(&document) == Some(&at_hub)).map(|(at, _)| *at).collect();
        let mut first: Option<Shown> = None;
        for at in holders {
            let shown = self.show(at, document)?;
            let first = first.get_or_insert_with(|| shown.clone());
            let name = &self.nodes[at].name;
            for (what, same) in [
                ("edits hash", first.edits_hash == shown.edits_hash),
                ("view hash", first.view_hash == shown.view_hash),
                ("view", first.view == shown.view),
                ("Automerge heads", first.automerge_heads == shown.automerge_heads),
            ] {
                if !same {
                    return Err(format!("{name} has another {what} of {document} than the hub"));
                }
            }
        }
        match first {
            Some(shown) => self.judge_view(document, &shown),
            None => Err(format!("nobody shows {document}")),
        }
    }

    fn judge_view(&mut self, document: DocumentId, shown: &Shown) -> Result<(), String> {
        let edits = self.edits_at(0, &document);
        let counted: BTreeSet<EditId> =
            shown.view.timeline.iter().filter(|entry| entry.counted).map(|entry| entry.edit).collect();
        if let Some(edit) = counted.intersection(&self.void).next() {
            return Err(format!("edit {} counts, and was crafted to be void", edit.short()));
        }
        let told = shown.view.timeline.len() + usize::try_from(shown.view.void_more.values().sum::<u64>()).unwrap_or(0);
        if told != edits.len() {
            return Err(format!("{document} shows {told} of {} edits", edits.len()));
        }
        // Its own node checked all of it before the ✓; only a device that forgot or was copied repeats a tap.
        let crafted = |edit: &EditId| self.void.contains(edit) || self.crafted.contains(edit);
        let honest = edits.iter().find(|edit| !crafted(&edit.id) && !counted.contains(&edit.id));
        if let Some(edit) = honest.filter(|_| !self.forked) {
            return Err(format!("edit {} was acknowledged by its own node and is void", edit.id.short()));
        }
        let unread = |entry: &&TimelineEntry| self.grown.contains(&entry.edit) && entry.why_not == Some("malformed");
        if let Some(entry) = shown.view.timeline.iter().find(unread) {
            return Err(format!("edit {} is void for a key of a later version", entry.edit.short()));
        }
        self.judge_shuffled(document, &edits, shown)?;
        self.exceptions += shown.view.exceptions.len();
        let Some(core) = &self.nodes[0].core else { return Ok(()) };
        let expected = crate::oracle::view(&edits, core.roster());
        let seen = serde_json::to_value(&shown.view).map_err(|error| error.to_string())?;
        match crate::histories::difference(&seen, &expected) {
            None => Ok(()),
            Some(where_) => Err(format!("{document} differs from the oracle's view at {where_}")),
        }
    }

    /// Promise 6: the view is the same in whatever order the edits come.
    fn judge_shuffled(&mut self, document: DocumentId, edits: &[Edit], shown: &Shown) -> Result<(), String> {
        let mut shuffled = edits.to_vec();
        for place in (1..shuffled.len()).rev() {
            let other = self.rng.below(place + 1);
            shuffled.swap(place, other);
        }
        let Some(core) = &self.nodes[0].core else { return Ok(()) };
        let again = Render::of(document, shuffled, core.roster()).map_err(|error| error.to_string())?;
        if again.view_hash == shown.view_hash {
            Ok(())
        } else {
            Err(format!("{document} looks different when its edits come in another order"))
        }
    }

    fn show(&mut self, at: usize, document: DocumentId) -> Result<Shown, String> {
        let request = self.request(Request::Show);
        self.feed(at, Input::Ask { request, query: Query::Show { shipment: document.to_string() } });
        self.synced(at);
        self.failure.take().map_or(Ok(()), Err)?;
        match self.answers.remove(&request) {
            Some(Reply::Shown(shown)) => Ok(*shown),
            other => Err(format!("{} does not show {document}: {other:?}", self.nodes[at].name)),
        }
    }

    /// Whatever was sent there, somebody can still write to every shipment that was opened.
    pub(super) fn judge_acts(&mut self) -> Result<(), String> {
        for document in self.documents(0) {
            if self.show(0, document)?.view.status == NO_STATUS {
                continue;
            }
            let request = self.request(Request::Show);
            let act = Act::Say { shipment: document.to_string(), text: "last word".to_owned() };
            let tap = Tap(self.rng.bytes());
            self.feed(0, Input::Act { request, tap, by: None, act });
            self.synced(0);
            if let Some(failure) = self.failure.take() {
                return Err(failure);
            }
            self.answers.remove(&request);
        }
        Ok(())
    }

    /// When everybody has everything, a new connection finds that out, and sends no edit again.
    pub(super) fn reconnect_in_peace(&mut self) -> Result<(), String> {
        self.quiet("after the judgement")?;
        let links: Vec<_> = self.links.keys().copied().collect();
        links.into_iter().for_each(|link| self.cut(link));
        self.edits_sent = 0;
        self.quiet("when everybody connected anew")?;
        // A clone shares its original's place in others' journals; what a hostile peer put where it does not belong is
        // offered to the hub again.
        let plain = !self.forked && self.nodes.iter().all(|node| node.planted.is_empty());
        if plain && self.edits_sent > 0 {
            return Err(format!("{} edits were sent again to peers that had acknowledged them", self.edits_sent));
        }
        self.edits_sent = 0;
        Ok(())
    }
}
