//! The systems, and the programs that are their peers.

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde::Serialize;
use std::path::{Path, PathBuf};

/// A system under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum System {
    Creel,
    AutomergeRepo,
    Samod,
    Pouchdb,
    Hocuspocus,
}

impl System {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Creel => "creel",
            Self::AutomergeRepo => "automerge-repo",
            Self::Samod => "samod",
            Self::Pouchdb => "pouchdb",
            Self::Hocuspocus => "hocuspocus",
        }
    }

    /// Its peer: a program beside this one, or a script that node runs.
    pub(crate) fn program(self, scripts: &Path) -> Result<Vec<PathBuf>> {
        let beside = std::env::current_exe()?.parent().context("a program lies in a folder")?.to_owned();
        Ok(match self {
            Self::Creel => vec![beside.join("creel-peer")],
            Self::Samod => vec![beside.join("samod-peer")],
            // Ten thousand documents in memory take more than node allows itself on a small machine.
            Self::AutomergeRepo | Self::Pouchdb | Self::Hocuspocus => {
                vec!["node".into(), "--max-old-space-size=8192".into(), scripts.join(format!("{}.js", self.name()))]
            }
        })
    }
}
