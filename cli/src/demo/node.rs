//! Real nodes: each a `creel` process of its own with a folder of its own, as on five different devices.
//!
//! A node that is dropped is killed, so that nothing is left running whatever happens here.

use super::api::Api;
use super::interrupt;
use anyhow::{Context, Result, anyhow, bail};
use serde_json::Value;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// How long a node may take to listen or to end: on a busy machine, with a store to recover.
const START_LIMIT: Duration = Duration::from_secs(60);
/// Lines of a log that are shown when a node did not start.
const LOG_LINES: usize = 12;
/// How often something awaited is looked at, where it can't tell by itself.
const POLL_INTERVAL: Duration = Duration::from_millis(10);

/// A device with creel on it, running or not.
#[derive(Debug)]
pub struct Node {
    /// Its name, and that of its folder.
    pub name: String,
    /// Its data folder.
    pub data: PathBuf,
    /// The origin of a page that shows its screens in a frame. A browser's session is of one port: such a node keeps its own.
    pub framed_by: Option<String>,
    http: Option<SocketAddr>,
    log: PathBuf,
    creel: PathBuf,
    running: Option<Running>,
}

#[derive(Debug)]
struct Running {
    child: Guard,
    api: Api,
    quic: SocketAddr,
    set_aside: Option<PathBuf>,
}

/// A process that does not outlive what started it.
#[derive(Debug)]
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // It may have ended by itself; either way it is gone now and waited for.
        let _gone = self.0.kill();
        let _waited = self.0.wait();
    }
}

impl Node {
    /// A device whose folder is `name` in `folder`, and whose log lies beside it. `creel` is the program.
    pub fn new(creel: &Path, folder: &Path, name: &str) -> Self {
        Self {
            name: name.to_owned(),
            data: folder.join(name),
            framed_by: None,
            http: None,
            log: folder.join(format!("{name}.log")),
            creel: creel.to_owned(),
            running: None,
        }
    }

    /// Runs one command on this device's folder; it prints JSON.
    pub fn creel(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.command(arguments).output().context("creel could not be started")?;
        if !output.status.success() {
            bail!("creel {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).with_context(|| {
            format!("creel {} printed no JSON: {}", arguments.join(" "), String::from_utf8_lossy(&output.stdout))
        })
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(&self.creel);
        command
            .arg("--data")
            .arg(&self.data)
            .arg("--json")
            .args(arguments)
            .env_remove("CREEL_DATA")
            .stdin(Stdio::null());
        own_group(&mut command);
        command
    }

    /// Switches it on: `serve`, with more arguments if there are any. Returns once it listens.
    pub fn start(&mut self, arguments: &[&str]) -> Result<()> {
        let log = File::options().create(true).append(true).open(&self.log);
        let log = log.with_context(|| format!("cannot write {}", self.log.display()))?;
        let http = self.http.filter(|_| self.framed_by.is_some());
        let http = http.unwrap_or_else(|| SocketAddr::from((Ipv4Addr::LOCALHOST, 0))).to_string();
        let frame: &[&str] = match &self.framed_by {
            Some(origin) => &["--framed-by", origin],
            None => &[],
        };
        let serve = [&["serve", "--http", &http], frame, arguments].concat();
        let mut command = self.command(&serve);
        command.stdout(Stdio::piped()).stderr(log).env("NO_COLOR", "1");
        let mut child = Guard(command.spawn().with_context(|| format!("{} could not be started", self.name))?);
        let said = child.0.stdout.take().context("its standard output is piped")?;
        let (sender, listens) = mpsc::channel();
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = BufReader::new(said).read_line(&mut line).map(|_| line);
            // Nobody waits any more after the time is over.
            let _late = sender.send(read);
        });
        let line = listens.recv_timeout(START_LIMIT).map_err(|_| self.failed("said nothing"))??;
        if line.is_empty() {
            return Err(self.failed("ended at once"));
        }
        let said: Value = serde_json::from_str(&line).map_err(|_| self.failed(&format!("said “{}”", line.trim())))?;
        let quic = said["quic"].as_str().and_then(|quic| quic.parse().ok());
        let quic = quic.ok_or_else(|| self.failed("did not say where it listens"))?;
        self.http = said["http"].as_str().and_then(|http| http.parse().ok());
        let set_aside = said["set_aside"].as_str().map(PathBuf::from);
        self.running = Some(Running { child, api: Api::of(&self.data)?, quic, set_aside });
        Ok(())
    }

    fn failed(&self, how: &str) -> anyhow::Error {
        let log = std::fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n  ");
        anyhow!("{} did not start: it {how}. The last of its log ({}):\n  {last}", self.name, self.log.display())
    }

    /// Whether it is switched on.
    pub fn is_running(&self) -> bool {
        self.running.is_some()
    }

    /// Its API.
    pub fn api(&self) -> Result<&Api> {
        Ok(&self.on()?.api)
    }

    /// Where it listens for peers.
    pub fn quic(&self) -> Result<SocketAddr> {
        Ok(self.on()?.quic)
    }

    /// Where its damaged store was set aside when it was switched on, if it was.
    pub fn set_aside(&self) -> Option<&Path> {
        self.running.as_ref()?.set_aside.as_deref()
    }

    /// Its process.
    pub fn pid(&self) -> Result<u32> {
        Ok(self.on()?.child.0.id())
    }

    fn on(&self) -> Result<&Running> {
        self.running.as_ref().with_context(|| format!("{} is switched off", self.name))
    }

    /// Pulls the battery: the process gets no chance to save anything (SIGKILL).
    pub fn pull_battery(&mut self) {
        self.running = None;
    }

    /// Switches it off as a service manager does (SIGTERM), and tells how it ended.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        let mut running = self.running.take().with_context(|| format!("{} is switched off", self.name))?;
        terminate(&mut running.child.0)?;
        let name = self.name.clone();
        eventually(&format!("{name} to end"), START_LIMIT, || Ok(running.child.0.try_wait()?))
    }
}

#[cfg(unix)]
fn terminate(child: &mut Child) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(rustix::process::Pid::from_raw).context("a process has an id")?;
    Ok(rustix::process::kill_process(pid, rustix::process::Signal::TERM)?)
}

#[cfg(not(unix))]
fn terminate(child: &mut Child) -> Result<()> {
    Ok(child.kill()?)
}

/// Ctrl-C in a terminal goes to every process of its group; the nodes are ended in order by what started them.
#[cfg(unix)]
fn own_group(command: &mut Command) {
    std::os::unix::process::CommandExt::process_group(command, 0);
}

#[cfg(not(unix))]
fn own_group(_command: &mut Command) {}

/// Looks until there is something, and returns it. A look that fails is one that found nothing; the last failure is told
/// when the time is over.
pub fn eventually<T>(what: &str, limit: Duration, mut look: impl FnMut() -> Result<Option<T>>) -> Result<T> {
    let began = Instant::now();
    loop {
        interrupt::check()?;
        let found = look();
        if let Ok(Some(found)) = found {
            return Ok(found);
        }
        if began.elapsed() > limit {
            let why = found.err().map(|error| format!("; the last look: {error:#}")).unwrap_or_default();
            bail!("waited {} s in vain for {what}{why}", limit.as_secs());
        }
        std::thread::sleep(POLL_INTERVAL);
    }
}
