//! Making an organisation. How other devices join it is in `quic/enrol.rs`.

use crate::error::NodeError;
use crate::folder::{Folder, new_key};
use creel_protocol::core::{self, OpenCoreError};
use creel_protocol::workflow::Workflow;
use creel_storage::{Engine, SledEngine};
use std::path::{Path, PathBuf};

/// A new organisation.
#[derive(Debug, Clone)]
pub struct Initialised {
    /// Its name.
    pub organisation: String,
    /// Its id.
    pub organisation_id: String,
    /// BLAKE3 of the root's public key.
    pub root_fingerprint: String,
    /// Where the root's key lies until somebody takes it away.
    pub recovery: PathBuf,
}

/// Makes a new organisation whose hub is this device. `workflow` is the TOML text of the workflow to publish.
pub fn init(data: &Path, organisation: &str, workflow: &str) -> Result<Initialised, NodeError> {
    Workflow::parse_strictly(workflow)?;
    let folder = Folder::open(data)?;
    refuse_known(&folder)?;
    let mut engine = folder.open_store(None, true)?.engine;
    let mut identity = folder.identity_or_new()?;
    refuse_members(&folder, &engine, &identity)?;
    let (root, issuer) = (new_key()?, new_key()?);
    identity.issuer = Some(issuer.clone());
    let (roster, batch) =
        core::found(organisation, &root, &identity, workflow.to_owned(), crate::store_thread::now().0)?;
    // The keys are durable before the organisation is: an organisation without its keys would be of no use.
    folder.write_issuer(&issuer)?;
    let recovery = folder.write_recovery(organisation, &root)?;
    engine.apply(&batch)?;
    engine.sync()?;
    folder.write_roster(&roster)?;
    Ok(Initialised {
        organisation: organisation.to_owned(),
        organisation_id: roster.organisation().to_string(),
        root_fingerprint: blake3::hash(&roster.genesis().root.0).to_string(),
        recovery,
    })
}

/// The roster's copy outlives the store: whoever has one belongs to an organisation, and its keys are not to be replaced.
pub(crate) fn refuse_known(folder: &Folder) -> Result<(), NodeError> {
    match folder.roster()? {
        Some(roster) => Err(NodeError::HasOrganisation {
            folder: folder.path().to_owned(),
            organisation: roster.genesis().organisation.clone(),
        }),
        None => Ok(()),
    }
}

pub(crate) fn refuse_members(folder: &Folder, engine: &SledEngine, identity: &core::Identity) -> Result<(), NodeError> {
    match core::Core::open(engine, identity.clone()) {
        Ok((core, _)) => Err(NodeError::HasOrganisation {
            folder: folder.path().to_owned(),
            organisation: core.roster().genesis().organisation.clone(),
        }),
        Err(OpenCoreError::Empty) => Ok(()),
        Err(error) => Err(NodeError::core(folder.path())(error)),
    }
}
