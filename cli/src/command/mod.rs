//! The commands, a file per family.

pub(crate) mod act;
pub(crate) mod completions;
pub(crate) mod demo;
pub(crate) mod doctor;
pub(crate) mod export;
pub(crate) mod history;
pub(crate) mod import;
pub(crate) mod init;
pub(crate) mod invite;
pub(crate) mod join;
pub(crate) mod list;
pub(crate) mod measure;
pub(crate) mod nudge;
pub(crate) mod open;
pub(crate) mod pack;
pub(crate) mod plan;
pub(crate) mod proof;
pub(crate) mod record;
pub(crate) mod say;
pub(crate) mod serve;
pub(crate) mod settle;
pub(crate) mod show;
pub(crate) mod status;
pub(crate) mod why;

use anyhow::{Context, Result};
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// Writes a file whole or not at all: whoever reads it meanwhile, or after a full disk, sees the old one.
fn write_whole(file: &Path, bytes: &[u8]) -> Result<()> {
    let attempt = || format!("cannot write {}", file.display());
    let mut part = file.as_os_str().to_owned();
    part.push(".part");
    let part = PathBuf::from(part);
    let written = || -> std::io::Result<()> {
        let mut out = File::create(&part)?;
        out.write_all(bytes)?;
        out.sync_all()?;
        fs::rename(&part, file)
    };
    written()
        .inspect_err(|_| {
            // What is left of it helps nobody; the error that is told is the first one.
            let _absent = fs::remove_file(&part);
        })
        .with_context(attempt)
}

/// Runs what the node does in its own time.
fn block_on<T>(future: impl Future<Output = Result<T>>) -> Result<T> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .context("the system gives no threads to run on")?
        .block_on(future)
}
