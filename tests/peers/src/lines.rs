//! The lines a peer reads and writes: one JSON object each. A command is answered by exactly one `did` or `failed`; what a
//! peer sees by itself (`seen`, `held`) comes in between.

use serde::{Deserialize, Serialize};
use std::io::{BufRead, Write};
use std::path::PathBuf;

/// What a peer is told to do. Documents are named by their index in the file of orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// The hub: listen. It may write to the shared file what a driver has to know.
    Serve,
    /// The driver: become known to the hub, where a system has that; nothing is synced yet.
    Meet,
    /// The hub: make all documents, and write to the shared file how they are called.
    Load,
    /// The driver: connect anew, now.
    Connect,
    /// The driver: leave, where a system leaves in good order.
    Disconnect,
    /// Tell when these documents change by what a peer sent.
    Watch { documents: Vec<u32> },
    /// Tell when this many documents are held.
    Held { count: u32 },
    /// Add so many status records to each of these, durable as the system understands it before the answer.
    Edit { documents: Vec<u32>, times: u32 },
    /// End.
    Stop,
}

/// What a peer says. Times are nanoseconds of [`crate::clock`].
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(untagged)]
pub enum Said {
    /// First of all: the process whose CPU time and memory count.
    Hello { pid: u32 },
    /// A command is done.
    Did { did: String, at: u64 },
    /// A command can't be done.
    Failed { failed: String },
    /// A document has this many records now.
    Seen { seen: u32, records: u32, at: u64 },
    /// So many documents are held as were asked for.
    Held { held: u32, at: u64 },
}

/// What a peer is started with.
#[derive(Debug, Clone, clap::Parser)]
pub struct Role {
    /// `hub` or `driver`.
    pub side: String,
    /// Where this peer keeps what it holds.
    #[arg(long)]
    pub folder: PathBuf,
    /// Where the hub listens, as the driver dials it.
    #[arg(long)]
    pub hub: std::net::SocketAddr,
    /// The orders, a line of JSON each.
    #[arg(long)]
    pub orders: PathBuf,
    /// What the hub tells the driver beforehand, by another way than the link: names of documents, an invite.
    #[arg(long)]
    pub shared: PathBuf,
    /// The system's program, where it is one of its own.
    #[arg(long)]
    pub program: Option<PathBuf>,
}

/// Writes one line. A bench that has gone away ends the peer: its standard input ends too.
pub fn say(said: &Said) {
    if let Ok(line) = serde_json::to_string(said) {
        let mut out = std::io::stdout().lock();
        let _gone = writeln!(out, "{line}").and_then(|()| out.flush());
    }
}

/// The commands on standard input, with the word each is answered by. Ends with it.
pub fn commands() -> impl Iterator<Item = anyhow::Result<(String, Command)>> {
    std::io::stdin().lock().lines().map(|line| {
        let value: serde_json::Value = serde_json::from_str(&line?)?;
        let word = value["do"].as_str().unwrap_or_default().to_owned();
        Ok((word, serde_json::from_value(value)?))
    })
}
