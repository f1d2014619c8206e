//! creel as a peer of the bench: a real `creel serve`, told what to do by its command line and its HTTP API.
//!
//! The process that counts is creel's; this one only speaks for it. Its edits are durable when they are answered, and what it
//! says to be at the hub is durable there, because a node tells of a change after it is on disk.

mod api;

use anyhow::{Context, Result, bail};
use api::Api;
use clap::Parser;
use creel_peers::clock::now_ns;
use creel_peers::lines::{Command, Role, Said, commands, say};
use creel_peers::orders::{self, NOTE, Order, STEPS};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::process::{Child, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Orders in one call.
const PART: usize = 500;
/// How often the number of documents is asked for.
const LOOK: Duration = Duration::from_millis(5);

fn main() -> Result<()> {
    let role = Role::parse();
    let mut node = Node { role, running: None, taps: 0, watched: Watched::default() };
    for command in commands() {
        let (did, command) = command?;
        if matches!(command, Command::Stop) {
            break;
        }
        match node.act(&command) {
            Ok(()) => say(&Said::Did { did, at: now_ns() }),
            Err(error) => say(&Said::Failed { failed: format!("{did}: {error:#}") }),
        }
    }
    Ok(())
}

/// The ids of documents that are watched, and their indexes.
type Watched = Arc<Mutex<BTreeMap<String, u32>>>;

struct Node {
    role: Role,
    running: Option<Running>,
    taps: u64,
    watched: Watched,
}

/// A creel that does not outlive this.
struct Running {
    child: Child,
    api: Api,
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}

impl Node {
    fn act(&mut self, command: &Command) -> Result<()> {
        match command {
            Command::Serve => {
                self.creel(&["init", "--org", "Bench"])?;
                self.start(&self.role.hub.to_string())?;
                let invite =
                    self.creel(&["invite", "--role", "driver", "--party", "driver:li-wei", "--name", "Li Wei"])?;
                let invite = invite["invite"].as_str().context("no invite came")?;
                Ok(std::fs::write(&self.role.shared, invite)?)
            }
            Command::Meet => {
                let invite = std::fs::read_to_string(&self.role.shared)?;
                let hub = self.role.hub.to_string();
                self.creel(&["join", &invite, "--hub", &hub])?;
                self.start("0.0.0.0:0")
            }
            Command::Load => self.load(),
            Command::Connect => {
                let tap = self.tap();
                self.api()?.post("/nudge", tap, &json!({})).map(drop)
            }
            // A phone takes no leave of a road that ends.
            Command::Disconnect | Command::Stop => Ok(()),
            Command::Watch { documents } => self.watch(documents),
            Command::Held { count } => self.held(*count),
            Command::Edit { documents, times } => self.edit(documents, *times),
        }
    }

    /// Runs one command on this node's folder; it prints JSON.
    fn creel(&self, arguments: &[&str]) -> Result<Value> {
        let output = self.command(arguments)?.output().context("creel could not be started")?;
        if !output.status.success() {
            bail!("creel {}: {}", arguments.join(" "), String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(serde_json::from_slice(&output.stdout)?)
    }

    fn command(&self, arguments: &[&str]) -> Result<std::process::Command> {
        let program = self.role.program.as_ref().context("--program names creel")?;
        let mut command = std::process::Command::new(program);
        command.arg("--data").arg(&self.role.folder).arg("--json").args(arguments);
        command.env_remove("CREEL_DATA").stdin(Stdio::null());
        Ok(command)
    }

    fn start(&mut self, quic: &str) -> Result<()> {
        let mut command = self.command(&["serve", "--http", "127.0.0.1:0", "--quic", quic])?;
        let mut child = command.stdout(Stdio::piped()).spawn().context("creel could not be started")?;
        say(&Said::Hello { pid: child.id() });
        let mut said = String::new();
        let out = child.stdout.take().context("its standard output is piped")?;
        BufReader::new(out).read_line(&mut said)?;
        if said.is_empty() {
            // It has ended, so there is somebody to wait for.
            bail!("creel serve ended: {}", child.wait()?);
        }
        let api = Api::of(&self.role.folder)?;
        self.running = Some(Running { child, api: api.clone() });
        let (events, watched) = (api.events()?, Arc::clone(&self.watched));
        std::thread::spawn(move || {
            // The stream ends with the node.
            for line in events.lines().map_while(Result::ok) {
                if let Err(error) = look(&api, &watched, &line) {
                    eprintln!("a change could not be looked at: {error:#}");
                }
            }
        });
        Ok(())
    }

    fn api(&self) -> Result<&Api> {
        Ok(&self.running.as_ref().context("it does not run yet")?.api)
    }

    fn tap(&mut self) -> u64 {
        self.taps += 1;
        self.taps
    }

    fn load(&mut self) -> Result<()> {
        let orders: Vec<Order> = orders::read(&self.role.orders)?.collect::<Result<_>>()?;
        for part in orders.chunks(PART) {
            let orders: Vec<_> = part.iter().map(as_creel).collect();
            let tap = self.tap();
            let report = self.api()?.post("/imports", tap, &json!({ "orders": orders }))?;
            if report["taken"] != part.len() {
                bail!("not all orders were taken: {report}");
            }
        }
        Ok(())
    }

    fn watch(&mut self, documents: &[u32]) -> Result<()> {
        let mut ids = BTreeMap::new();
        for document in documents {
            let shipment = self.api()?.get(&format!("/shipments/{}", orders::number(*document)))?;
            ids.insert(shipment["id"].as_str().context("a shipment has an id")?.to_owned(), *document);
        }
        *self.watched.lock().unwrap_or_else(PoisonError::into_inner) = ids;
        Ok(())
    }

    /// Looks until so many are held; whoever asked goes on meanwhile.
    fn held(&self, count: u32) -> Result<()> {
        let api = self.api()?.clone();
        std::thread::spawn(move || {
            while let Ok(status) = api.get("/status") {
                if status["shipments"].as_u64() >= Some(u64::from(count)) {
                    return say(&Said::Held { held: count, at: now_ns() });
                }
                std::thread::sleep(LOOK);
            }
        });
        Ok(())
    }

    fn edit(&mut self, documents: &[u32], times: u32) -> Result<()> {
        for document in documents {
            for step in STEPS.iter().cycle().take(times as usize) {
                let tap = self.tap();
                let record = json!({ "step": step, "note": NOTE });
                let body = json!({ "shipments": [orders::number(*document)], "record": record });
                self.api()?.post("/records", tap, &body)?;
            }
        }
        Ok(())
    }
}

fn as_creel(order: &Order) -> Value {
    json!({
        "number": order.number,
        "fields": {
            "consignee": order.consignee,
            "address": order.address,
            "window": order.window,
            "driver": order.driver,
        },
        "lines": order.lines,
    })
}

/// Where a watched document changed, tells how many records it has now. The moment is that of the change.
fn look(api: &Api, watched: &Watched, line: &str) -> Result<()> {
    let at = now_ns();
    let Some(data) = line.strip_prefix("data:") else { return Ok(()) };
    let change: Value = serde_json::from_str(data)?;
    let id = change["id"].as_str().unwrap_or_default();
    let Some(seen) = watched.lock().unwrap_or_else(PoisonError::into_inner).get(id).copied() else { return Ok(()) };
    let history = api.get(&format!("/shipments/{id}/history"))?;
    let records = history.as_array().map(|rows| rows.iter().filter(|row| row["action"] == "record").count());
    say(&Said::Seen { seen, records: u32::try_from(records.unwrap_or_default())?, at });
    Ok(())
}
