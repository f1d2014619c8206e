//! Founding an organisation, inviting and admitting members.

use super::io::{Now, PublishedWorkflow, Refusal, Reply};
use super::keys;
use super::{Core, Identity, Release, Step};
use crate::cbor::{Bytes, Encode};
use crate::id::{DeviceKey, Tap};
use crate::roster::invite::{Invite, InviteRequest, Issued, device_proof, hub_proof, invite_id};
use crate::roster::{Change, Enrol, Publish, Role, Roster, RosterError};
use crate::store::{Batch, Store, StoreError};
use crate::sync::frame::{Redeem, Welcome};
use crate::workflow::Workflow;
use ed25519_dalek::SigningKey;

/// A new organisation: its hub is its first member, an admin, and its workflow is published. The batch is to be made
/// durable before anything else is done with the keys.
pub fn found(
    name: &str,
    root: &SigningKey,
    hub: &Identity,
    workflow: String,
    at: u64,
) -> Result<(Roster, Batch), RosterError> {
    let issuer = hub.issuer.as_ref().ok_or(RosterError::NotTheHub)?;
    let genesis = Roster::found(name, root, issuer, &hub.device, at);
    let mut roster = Roster::begin(&genesis)?;
    let enrol = Enrol { key: hub.key(), role: Role::Admin, party: None, name: "hub".to_owned() };
    for change in [Change::Enrol(enrol), Change::Publish(Publish { toml: workflow })] {
        let entry = roster.write(change, at, issuer)?;
        roster.append(&entry)?;
    }
    let batch = roster_batch(&roster);
    Ok((roster, batch))
}

/// What a new member keeps of a hub's welcome, after the welcome was checked (see [`Roster::begin`] and
/// [`Roster::append`]).
pub fn joined(roster: &Roster) -> Batch {
    roster_batch(roster)
}

/// The bytes of the edits among the writes of a store that was damaged, for [`Input::Unpack`](super::io::Input::Unpack).
pub fn edits_in(batches: &[Batch]) -> Vec<Bytes> {
    let edits = batches.iter().flat_map(Batch::writes).filter(|(key, _)| keys::is_edit(key));
    edits.filter_map(|(_, value)| value.map(|bytes| Bytes(bytes.to_vec()))).collect()
}

fn roster_batch(roster: &Roster) -> Batch {
    let mut batch = Batch::default();
    batch.must_be_durable = true;
    for (height, entry) in (0..).zip(roster.entries(0)) {
        batch.put(keys::roster(height), entry.clone());
    }
    batch
}

impl Core {
    pub(super) fn invite<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        tap: Tap,
        request: InviteRequest,
        expires: u64,
        addresses: Vec<String>,
    ) -> Result<Reply, Refusal> {
        let Some(signer) = self.identity.issuer.as_ref().filter(|_| self.is_hub()) else {
            return Err(Refusal::Invalid("only the hub invites members: run this on the hub".to_owned()));
        };
        // From the issuer's key and the tap: nobody else can make it, and the same tap is the same invite.
        let mut secret = [0; 16];
        let derived = blake3::Hasher::new_keyed(&blake3::derive_key("creel/invite-secret/1", signer.as_bytes()))
            .update(&tap.0)
            .finalize();
        secret.copy_from_slice(&derived.as_bytes()[..16]);
        let key = keys::invite(&invite_id(&secret));
        let before: Option<Issued> = keys::read(&step.overlay, &key)?;
        let expires = before.as_ref().map_or(expires, |before| before.expires);
        request.check().map_err(Refusal::Invalid)?;
        if let Some(before) = &before
            && (before.role, &before.party, &before.name) != (request.role, &request.party, &request.name)
        {
            return Err(Refusal::TapUsed);
        }
        let issued = Issued {
            role: request.role,
            party: request.party,
            name: request.name,
            expires,
            redeemed: None,
            secret: Bytes(secret.to_vec()),
        };
        if before.is_none() {
            step.overlay.batch.put(key, issued.to_cbor());
        }
        let root = crate::id::Digest(*blake3::hash(&self.roster.genesis().root.0).as_bytes());
        let invite = Invite { root, addresses, secret: Bytes(secret.to_vec()), expires };
        Ok(Reply::Invited(invite.to_text()))
    }

    /// Publishes a workflow. The same text as the newest one's changes nothing.
    pub(super) fn publish<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        toml: String,
    ) -> Result<Reply, Refusal> {
        let Some(issuer) = self.identity.issuer.clone().filter(|_| self.is_hub()) else {
            return Err(Refusal::Invalid("only the hub publishes workflows: do this on the hub".to_owned()));
        };
        let invalid = |error: &dyn std::fmt::Display| Refusal::Invalid(error.to_string());
        Workflow::parse_strictly(&toml).map_err(|error| invalid(&error))?;
        if self.roster.newest_workflow().is_none_or(|(newest, _)| newest != Workflow::id(&toml)) {
            let change = Change::Publish(Publish { toml });
            let entry = self.roster.write(change, now.0, &issuer).map_err(|error| invalid(&error))?;
            self.roster.append(&entry).map_err(|error| invalid(&error))?;
            step.overlay.batch.put(keys::roster(self.roster.height()), entry);
            step.releases.push(Release::Roster(self.roster.height(), self.roster.head()));
        }
        Ok(Reply::Workflows(self.workflows()))
    }

    /// The workflows that were published, the newest first.
    pub(super) fn workflows(&self) -> Vec<PublishedWorkflow> {
        let newest = self.roster.newest_workflow().map(|(id, _)| id);
        let published = self.roster.workflows().into_iter();
        published
            .map(|(published, id, workflow)| PublishedWorkflow {
                id,
                current: newest == Some(id),
                published,
                name: workflow.name.clone(),
                label: workflow.label.clone(),
                steps: workflow.steps.clone(),
            })
            .collect()
    }

    /// A device asks to become a member. The enrolment and the invite's use are one commit, durable before the answer.
    pub(super) fn redeem<S: Store>(
        &mut self,
        step: &mut Step<'_, S>,
        now: Now,
        device: DeviceKey,
        exporter: [u8; 32],
        redeem: &Redeem,
    ) -> Result<Result<Reply, Refusal>, StoreError> {
        let refuse = |why: &str| Ok(Err(Refusal::Invalid(why.to_owned())));
        let Some(issuer) = self.identity.issuer.clone().filter(|_| self.is_hub()) else {
            return refuse("this node is not the hub: dial the hub (creel join INVITE --hub ADDR)");
        };
        let key = keys::invite(&redeem.invite);
        // A stranger learns nothing about which invites there are.
        let unknown = "this invite is not one of this hub's: ask for a new one";
        let Some(mut invite) = keys::read::<Issued>(&step.overlay, &key)? else {
            self.refuse(step, device, unknown.to_owned());
            return refuse(unknown);
        };
        let expected = device_proof(&invite.secret.0, &exporter, &device);
        // blake3's own comparison takes the same time whatever differs.
        if blake3::Hash::from(expected.0) != blake3::Hash::from(redeem.proof.0) {
            self.refuse(step, device, "a device redeemed an invite without its secret".to_owned());
            return refuse(unknown);
        }
        match invite.redeemed {
            Some(by) if by != device => return refuse("this invite was used by another device: ask for a new one"),
            None if now.0 > invite.expires => return refuse("this invite has expired: ask for a new one"),
            _ => {}
        }
        if self.roster.member(&device).is_none() {
            let enrol =
                Enrol { key: device, role: invite.role, party: invite.party.clone(), name: invite.name.clone() };
            let written = self.roster.write(Change::Enrol(enrol), now.0, &issuer).and_then(|entry| {
                self.roster.append(&entry)?;
                Ok(entry)
            });
            match written {
                Ok(entry) => {
                    step.overlay.batch.put(keys::roster(self.roster.height()), entry);
                    step.releases.push(Release::Roster(self.roster.height(), self.roster.head()));
                }
                Err(error) => return refuse(&error.to_string()),
            }
        }
        invite.redeemed = Some(device);
        step.overlay.batch.put(key, invite.to_cbor());
        let welcome = Welcome {
            proof: hub_proof(&invite.secret.0, &exporter, &self.key),
            entries: self.roster.entries(0).cloned().map(Bytes).collect(),
        };
        Ok(Ok(Reply::Welcome(welcome)))
    }
}
