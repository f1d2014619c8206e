//! Two network namespaces and the link between them: a TUN device in each, and the road that carries packets from one to
//! the other. TCP and UDP go the same way, each with the kernel's own stack at both ends.

use crate::road::Road;
use anyhow::{Context, Result, bail, ensure};
use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};
use std::fs::File;
use std::net::Ipv4Addr;
use std::os::fd::AsFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use tun_rs::{DeviceBuilder, SyncDevice};

/// What every namespace's name of this bench begins with; the process's id follows.
const PREFIX: &str = "creel-bench-";
/// Bytes of an IP packet, as on most roads.
const MTU: u16 = 1_500;
const SIDES: [(&str, Ipv4Addr); 2] = [("hub", HUB), ("driver", Ipv4Addr::new(10, 77, 0, 2))];
/// Where the hub is.
pub(crate) const HUB: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Both namespaces; they, and whatever runs in them, are gone when this is dropped.
pub(crate) struct Link {
    pub(crate) hub: Namespace,
    pub(crate) driver: Namespace,
    pub(crate) road: Arc<Road>,
}

/// A network namespace of our own.
pub(crate) struct Namespace {
    name: String,
}

impl Link {
    /// Makes the namespaces and their devices. Chance on the road is drawn from `seed`.
    pub(crate) fn open(seed: u64) -> Result<Self> {
        ensure!(
            rustix::process::geteuid().is_root() && Path::new("/dev/net/tun").exists(),
            "the bench makes network namespaces and TUN devices of its own: it needs root, /dev/net/tun and iproute2"
        );
        remove_left_over();
        let [hub, driver] = SIDES.map(|(side, _)| Namespace { name: format!("{PREFIX}{}-{side}", std::process::id()) });
        for namespace in [&hub, &driver] {
            ip(&["netns", "add", &namespace.name])
                .context("no network namespace could be made (is iproute2 there?)")?;
        }
        let [hub_device, driver_device] =
            [(&hub, SIDES[0].1), (&driver, SIDES[1].1)].map(|(namespace, address)| namespace.device(address));
        let road = Road::open(driver_device?, hub_device?, seed);
        Ok(Self { hub, driver, road })
    }
}

impl Namespace {
    /// A command that runs in here. `ip` becomes the program it starts, so its id is the program's.
    pub(crate) fn command(&self, program: &Path) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.name]).arg(program);
        command
    }

    /// A device belongs to the namespace of the thread that makes it, and works for any thread afterwards.
    fn device(&self, address: Ipv4Addr) -> Result<SyncDevice> {
        ip(&["-n", &self.name, "link", "set", "lo", "up"])?;
        let path = Path::new("/run/netns").join(&self.name);
        let namespace = File::open(&path).with_context(|| format!("cannot open {}", path.display()))?;
        let made = std::thread::spawn(move || -> Result<SyncDevice> {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))?;
            let builder = DeviceBuilder::new().name("road").ipv4(address, 24, None).mtu(MTU);
            builder.build_sync().context("no TUN device could be made")
        });
        made.join().map_err(|_| anyhow::anyhow!("the thread that makes a TUN device panicked"))?
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        remove(&self.name);
    }
}

/// Ends what runs in a namespace, all of it started by a bench, and removes it.
fn remove(name: &str) {
    if let Ok(pids) = ip(&["netns", "pids", name]) {
        let pids = pids.split_whitespace().filter_map(|pid| rustix::process::Pid::from_raw(pid.parse().ok()?));
        // One that has ended meanwhile is what is wanted.
        pids.for_each(|pid| _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL));
    }
    // It may never have been made.
    drop(ip(&["netns", "del", name]));
}

/// Removes the namespaces of benches that were killed.
fn remove_left_over() {
    let Ok(there) = ip(&["netns", "list"]) else { return };
    for name in there.lines().filter_map(|line| line.split_whitespace().next()) {
        let Some(pid) = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next()) else { continue };
        if !Path::new("/proc").join(pid).exists() {
            remove(name);
        }
    }
}

fn ip(arguments: &[&str]) -> Result<String> {
    let output =
        Command::new("ip").args(arguments).stdin(Stdio::null()).output().context("`ip` could not be started")?;
    if !output.status.success() {
        bail!("ip {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
