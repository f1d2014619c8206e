//! Ctrl-C, SIGTERM and the end of the bench's own time: noticed by whoever waits, so that everything is taken down in order.

use anyhow::{Result, bail};
use std::sync::atomic::{AtomicBool, Ordering};

static ASKED: AtomicBool = AtomicBool::new(false);

/// Catches the signals from now on.
pub(crate) fn catch() -> Result<()> {
    Ok(ctrlc::set_handler(|| ASKED.store(true, Ordering::SeqCst))?)
}

/// Fails once somebody has asked to end.
pub(crate) fn check() -> Result<()> {
    if is_asked() {
        bail!("interrupted");
    }
    Ok(())
}

/// Whether somebody has asked to end.
pub(crate) fn is_asked() -> bool {
    ASKED.load(Ordering::SeqCst)
}
