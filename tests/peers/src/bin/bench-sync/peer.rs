//! A peer: a process in a namespace that is told what to do by lines of JSON, and tells what it sees.

use crate::link::Namespace;
use crate::workload::Overtime;
use anyhow::{Context, Result, bail, ensure};
use creel_peers::lines::{Command, Said};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

/// How long a peer may take to end by itself.
const END_LIMIT: Duration = Duration::from_secs(5);
/// How often something awaited is looked at, where it can't tell by itself.
const LOOK: Duration = Duration::from_millis(10);

/// A running peer; it is killed when this is dropped, if it has not ended then.
pub(crate) struct Peer {
    side: &'static str,
    child: Child,
    stdin: Option<ChildStdin>,
    said: Receiver<Said>,
    log: PathBuf,
    /// What it has said beside answers, in order.
    pub(crate) events: Vec<Said>,
    /// The process that counts.
    pub(crate) pid: u32,
}

/// What to start, and with what.
pub(crate) struct Start<'a> {
    pub(crate) program: &'a [PathBuf],
    pub(crate) side: &'static str,
    pub(crate) folder: &'a Path,
    pub(crate) hub: std::net::SocketAddr,
    pub(crate) creel: &'a Path,
}

impl Peer {
    pub(crate) fn start(namespace: &Namespace, start: &Start) -> Result<Self> {
        let (program, arguments) = start.program.split_first().context("a peer is a program")?;
        let log = start.folder.join(format!("{}.log", start.side));
        let mut command = namespace.command(program);
        command.args(arguments).arg(start.side);
        command.arg("--folder").arg(start.folder.join(start.side)).arg("--hub").arg(start.hub.to_string());
        command.arg("--orders").arg(start.folder.join("orders.jsonl")).arg("--shared").arg(start.folder.join("shared"));
        command.arg("--program").arg(start.creel);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&log)?);
        // A Ctrl-C in a terminal is for the bench, which ends its peers in order.
        std::os::unix::process::CommandExt::process_group(&mut command, 0);
        let mut child = command.spawn().context("the peer could not be started")?;
        let out = child.stdout.take().context("its standard output is piped")?;
        let stdin = child.stdin.take();
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for line in BufReader::new(out).lines().map_while(Result::ok) {
                let Ok(heard) = serde_json::from_str(&line) else { continue };
                if sender.send(heard).is_err() {
                    return;
                }
            }
        });
        let pid = child.id();
        Ok(Self { side: start.side, child, stdin, said, log, events: Vec::new(), pid })
    }

    /// Tells it to do something, and does not wait.
    pub(crate) fn tell(&mut self, command: &Command) -> Result<()> {
        let mut line = serde_json::to_vec(command)?;
        line.push(b'\n');
        let stdin = self.stdin.as_mut().context("the peer was stopped")?;
        if let Err(error) = stdin.write_all(&line).and_then(|()| stdin.flush()) {
            bail!("the {} does not listen any more ({error}); {}", self.side, self.last_words());
        }
        Ok(())
    }

    /// Tells it to do something, and waits until that is done. Returns when it was.
    pub(crate) fn order(&mut self, command: &Command, limit: Duration) -> Result<u64> {
        self.tell(command)?;
        self.done(limit)
    }

    /// Waits until what it was told last is done.
    pub(crate) fn done(&mut self, limit: Duration) -> Result<u64> {
        let until = Instant::now() + limit;
        loop {
            if let Some(Said::Did { at, .. }) = self.hear(LOOK)? {
                return Ok(at);
            }
            ensure!(Instant::now() < until, Overtime);
        }
    }

    /// The next thing it says, if it says one within `limit`. Events are kept as well.
    pub(crate) fn hear(&mut self, limit: Duration) -> Result<Option<Said>> {
        crate::interrupt::check()?;
        match self.said.recv_timeout(limit.min(LOOK)) {
            Ok(Said::Failed { failed }) => bail!("the {}: {failed}; {}", self.side, self.last_words()),
            Ok(Said::Hello { pid }) => {
                self.pid = pid;
                Ok(None)
            }
            Ok(said) => {
                if matches!(said, Said::Seen { .. } | Said::Held { .. }) {
                    self.events.push(said.clone());
                }
                Ok(Some(said))
            }
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => bail!("the {} ended; {}", self.side, self.last_words()),
        }
    }

    /// Takes up whatever it has said.
    pub(crate) fn listen(&mut self) -> Result<()> {
        while self.hear(Duration::ZERO)?.is_some() {}
        Ok(())
    }

    fn last_words(&self) -> String {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        format!("the last of its log: {}", lines[lines.len().saturating_sub(8)..].join(" / "))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // One that listens ends well; it may have ended already.
        let _ended = self.tell(&Command::Stop);
        self.stdin = None;
        let until = Instant::now() + END_LIMIT;
        while Instant::now() < until {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return;
            }
            std::thread::sleep(LOOK);
        }
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}
