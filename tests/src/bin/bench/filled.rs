//! Stores that are filled directly, because nodes would take long to come that far by themselves: shipments made up and
//! signed here, taken in through the core.

use anyhow::{Context, Result, ensure};
use creel::demo::day::Random;
use creel_protocol::core::io::{Input, Now, Output};
use creel_protocol::core::{Core, Identity};
use creel_protocol::edit::action::{Action, Line, Open, PlanFields, Say};
use creel_protocol::edit::{Edit, Statement};
use creel_protocol::id::{DeviceKey, EntryId, OrganisationId, Tap};
use creel_protocol::workflow::Workflow;
use creel_storage::{Engine, Options, SledEngine};
use ed25519_dalek::SigningKey;
use std::fs;
use std::path::Path;

/// Who signs what is made up, and where.
pub(crate) struct Author {
    pub(crate) device: SigningKey,
    pub(crate) organisation: OrganisationId,
    pub(crate) roster: EntryId,
    pub(crate) random: Random,
}

impl Author {
    /// The device of this folder.
    pub(crate) fn of(folder: &Path, core: &Core) -> Result<Self> {
        let device = key(folder)?;
        let random = Random::new(public(&device).0[0].into());
        Ok(Self { device, organisation: core.roster().organisation(), roster: core.roster().head(), random })
    }

    fn statement(&mut self, after: Vec<creel_protocol::id::EditId>, at: u64, action: &Action) -> Statement {
        Statement {
            author: public(&self.device),
            by: None,
            after,
            roster: self.roster,
            tap: tap(&mut self.random),
            at,
            action: action.to_raw(),
        }
    }

    /// Opens a shipment with one line.
    pub(crate) fn open(&mut self, number: usize, driver: Option<String>) -> Result<Edit> {
        let line = Line {
            line: "1".to_owned(),
            name: Some("carbon rod 3.6 m".to_owned()),
            quantity: Some(2_000),
            ..Line::default()
        };
        let plan = PlanFields {
            number: Some(format!("B-{number:07}")),
            consignee: Some(format!("Made-up tackle shop {}", number % 500)),
            address: Some("1 Lake Road".to_owned()),
            driver,
            lines: vec![line],
            ..PlanFields::default()
        };
        let workflow = Workflow::id(Workflow::preset("standard").context("standard is a preset")?);
        let open = Open { kind: "shipment".to_owned(), workflow: Some(workflow), plan, import: None };
        let statement = self.statement(Vec::new(), 1_780_000_000_000 + number as u64, &Action::Open(open));
        Ok(Edit::sign(&self.organisation, None, statement, &self.device)?)
    }

    /// Says something about a shipment, knowing of one edit.
    pub(crate) fn say(&mut self, known: &Edit, text: &str) -> Result<Edit> {
        let say = Action::Say(Say::of(text));
        let statement = self.statement(vec![known.id], 1_780_000_000_000, &say);
        Ok(Edit::sign(&self.organisation, Some(known.document), statement, &self.device)?)
    }
}

pub(crate) fn key(folder: &Path) -> Result<SigningKey> {
    let text = fs::read_to_string(folder.join("device.key"))?;
    let bytes = data_encoding::HEXLOWER_PERMISSIVE.decode(text.trim().as_bytes())?;
    Ok(SigningKey::from_bytes(&bytes.try_into().ok().context("a device's key has 32 bytes")?))
}

pub(crate) fn public(key: &SigningKey) -> DeviceKey {
    DeviceKey(key.verifying_key().to_bytes())
}

pub(crate) fn open(folder: &Path) -> Result<(SledEngine, Core)> {
    let opened = SledEngine::open(&folder.join("store"), Options::hub())?;
    ensure!(opened.set_aside.is_none(), "the store was damaged");
    let issuer = folder.join("issuer.key").exists().then(|| SigningKey::from_bytes(&[0; 32]));
    let (core, _) = Core::open(&opened.engine, Identity { device: key(folder)?, issuer })?;
    Ok((opened.engine, core))
}

/// Takes edits in as from a damaged store's remains: durable, and in no summary yet.
pub(crate) fn take(engine: &mut SledEngine, core: &mut Core, edits: Vec<Edit>) -> Result<()> {
    let mut inputs = vec![Input::Unpack { request: 0, entries: Vec::new(), edits }];
    while let Some(input) = inputs.pop() {
        for output in core.step(engine, Now(1), input) {
            match output {
                Output::Commit { commit, batch } => {
                    engine.apply(&batch)?;
                    inputs.push(Input::Committed { commit });
                }
                Output::Failed(error) => return Err(error.into()),
                Output::Refused { why, .. } => anyhow::bail!(why),
                _ => {}
            }
        }
    }
    Ok(engine.sync()?)
}

pub(crate) fn tap(random: &mut Random) -> Tap {
    let mut tap = [0; 16];
    tap[..8].copy_from_slice(&random.next().to_be_bytes());
    tap[8..].copy_from_slice(&random.next().to_be_bytes());
    Tap(tap)
}

pub(crate) fn resident_mb(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("the kernel tells VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("it has a number")?.parse::<u64>()? / 1_024)
}
