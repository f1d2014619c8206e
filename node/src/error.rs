//! What can keep a node from starting, joining or going on.

use creel_protocol::core::OpenCoreError;
use creel_protocol::roster::RosterError;
use creel_protocol::roster::invite::InviteError;
use creel_protocol::store::StoreError;
use creel_protocol::workflow::WorkflowError;
use creel_storage::OpenError;
use std::io;
use std::path::{Path, PathBuf};

/// Why a node did not start, join or go on. Each says what to do.
#[derive(Debug, thiserror::Error)]
pub enum NodeError {
    /// Another creel has this folder.
    #[error("{} is served by another creel{}: stop it first, or use it as it is", folder.display(), pid.map_or_else(String::new, |pid| format!(" (process {pid})")))]
    Held {
        /// The data folder.
        folder: PathBuf,
        /// The process, where it could be told.
        pid: Option<u32>,
    },
    /// Nothing to serve.
    #[error("{} belongs to no organisation yet: run “creel init --org NAME” for a new one, or “creel join INVITE”", .0.display())]
    NoOrganisation(PathBuf),
    /// Something to serve already.
    #[error("{} belongs to the organisation “{organisation}” already: choose another folder with --data", folder.display())]
    HasOrganisation {
        /// The data folder.
        folder: PathBuf,
        /// The organisation's name.
        organisation: String,
    },
    /// A file could not be read or written.
    #[error("could not {what} {}: {source}", path.display())]
    File {
        /// What was attempted.
        what: &'static str,
        /// On which file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A file does not hold what it should.
    #[error("{} is damaged: {why}", path.display())]
    Damaged {
        /// Which file.
        path: PathBuf,
        /// What is wrong.
        why: String,
    },
    /// An address could not be listened on.
    #[error("could not listen on {address}: {source}; is another program using it? choose another with {flag}")]
    Listen {
        /// The address.
        address: std::net::SocketAddr,
        /// The flag that chooses another.
        flag: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// The hub could not be reached.
    #[error(
        "the hub could not be reached at {addresses}: {why}; is it running (creel serve), and is the address right (--hub ADDR)?"
    )]
    Unreachable {
        /// What was tried.
        addresses: String,
        /// What went wrong last.
        why: String,
    },
    /// The hub, or what answered in its place, is not to be joined.
    #[error("not joined: {0}")]
    NotJoined(String),
    /// The invite.
    #[error(transparent)]
    Invite(#[from] InviteError),
    /// The roster.
    #[error(transparent)]
    Roster(#[from] RosterError),
    /// The workflow.
    #[error(transparent)]
    Workflow(#[from] WorkflowError),
    /// The store could not be opened.
    #[error(transparent)]
    Open(OpenError),
    /// The store failed while running.
    #[error("creel has stopped, so that nothing is acknowledged that is not safe")]
    Store(#[from] StoreError),
    /// The system gave no random bytes or no TLS.
    #[error("the system failed: {0}")]
    System(String),
}

impl NodeError {
    /// Wraps an error of the file system.
    pub(crate) fn file(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::File { what, path, source }
    }

    /// Wraps an error of opening the store of a folder.
    pub(crate) fn open(folder: &Path) -> impl FnOnce(OpenError) -> Self {
        let folder = folder.to_owned();
        move |error| match error {
            OpenError::Held { pid, .. } => Self::Held { folder, pid },
            other => Self::Open(other),
        }
    }

    /// Wraps an error of opening the core over a folder's store.
    pub(crate) fn core(folder: &Path) -> impl FnOnce(OpenCoreError) -> Self {
        let folder = folder.to_owned();
        move |error| match error {
            OpenCoreError::Store(error) => Self::Store(error),
            OpenCoreError::Roster(error) => Self::Roster(error),
            OpenCoreError::Empty => Self::NoOrganisation(folder),
        }
    }
}
