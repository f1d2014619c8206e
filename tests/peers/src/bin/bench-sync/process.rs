//! What a process has used, as `/proc` tells.

use anyhow::{Context, Result};
use serde::Serialize;

/// CPU time and memory of one process.
#[derive(Debug, Clone, Copy, Default, Serialize)]
pub(crate) struct Used {
    /// User and system time, in milliseconds.
    pub(crate) cpu_ms: u64,
    /// Resident memory now, and at most so far, in kB.
    pub(crate) rss_kb: u64,
    pub(crate) rss_max_kb: u64,
}

/// What it has used so far.
pub(crate) fn used(pid: u32) -> Result<Used> {
    let read = |file: &str| {
        let path = format!("/proc/{pid}/{file}");
        std::fs::read_to_string(&path).with_context(|| format!("cannot read {path}: has the process ended?"))
    };
    let stat = read("stat")?;
    // The name, in brackets, may hold spaces; user and system time are the 12th and 13th fields after it.
    let after = stat.rsplit_once(')').map_or("", |(_, after)| after);
    let fields: Vec<u64> = after.split_whitespace().map(|field| field.parse().unwrap_or_default()).collect();
    let ticks = fields.get(11).zip(fields.get(12)).map_or(0, |(user, system)| user + system);
    let status = read("status")?;
    let kb = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key));
        line.and_then(|rest| rest.split_whitespace().next()?.parse().ok()).unwrap_or_default()
    };
    let cpu_ms = ticks * 1_000 / rustix::param::clock_ticks_per_second();
    Ok(Used { cpu_ms, rss_kb: kb("VmRSS:"), rss_max_kb: kb("VmHWM:") })
}
