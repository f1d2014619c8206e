//! A hub with many shipments, and a device with a few: import, memory, restart after SIGKILL. Real processes.

use crate::ingest::target_folder;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Shipments that the device holds.
const DEVICE: usize = 200;
/// How long anything may take before the bench gives up.
const PATIENCE: Duration = Duration::from_secs(600);

/// A node's process; killed with the bench.
struct Node {
    child: Child,
    folder: PathBuf,
}

impl Drop for Node {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn creel(folder: &Path) -> Result<Command> {
    let binary = target_folder().join("creel");
    ensure!(binary.exists(), "build the program first: cargo build --release -p creel");
    let mut command = Command::new(binary);
    command.arg("--data").arg(folder).arg("--json");
    Ok(command)
}

fn ask(folder: &Path, words: &[&str]) -> Result<serde_json::Value> {
    let output = creel(folder)?.args(words).output()?;
    ensure!(output.status.success(), "creel {words:?}: {}", String::from_utf8_lossy(&output.stderr));
    Ok(serde_json::from_slice(&output.stdout)?)
}

impl Node {
    /// Starts a node, and tells how long it took until it answered.
    fn start(folder: &Path) -> Result<(Self, Duration)> {
        // A killed node leaves its address behind.
        let _ = fs::remove_file(folder.join("http-address"));
        let began = Instant::now();
        let log = fs::File::create(folder.with_extension("log"))?;
        let child =
            creel(folder)?.args(["serve", "--quic", "127.0.0.1:0"]).stdout(Stdio::null()).stderr(log).spawn()?;
        let node = Self { child, folder: folder.to_owned() };
        while ask(folder, &["status"]).is_err() {
            ensure!(
                began.elapsed() < PATIENCE,
                "the node did not start: see {}",
                folder.with_extension("log").display()
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok((node, began.elapsed()))
    }

    /// Resident memory in MB, as the kernel tells it (Linux).
    fn resident_mb(&self) -> Result<u64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("the kernel tells VmRSS")?;
        let kilobytes: u64 = line.split_whitespace().nth(1).context("it has a number")?.parse()?;
        Ok(kilobytes / 1_024)
    }

    fn settle(&self) -> Result<()> {
        self.wait(|status| status["refreshing"] == 0)
    }

    fn wait(&self, done: impl Fn(&serde_json::Value) -> bool) -> Result<()> {
        let began = Instant::now();
        while !done(&ask(&self.folder, &["status"])?) {
            ensure!(began.elapsed() < PATIENCE, "gave up waiting");
            std::thread::sleep(Duration::from_millis(100));
        }
        Ok(())
    }
}

const MAPPING: &str = r#"
[order]
number = "number"
consignee = "consignee"
address = "address"
window = { date = "day" }

[order.parties]
shop = "shop"

[[line]]
line = "line"
sku = "sku"
name = "name"
quantity = "quantity"
unit = "unit"
"#;

/// Made-up orders of two lines each.
fn made_up_orders(count: usize) -> String {
    let header = "number,consignee,address,day,shop,line,sku,name,quantity,unit\n".to_owned();
    let goods = [(1, "carbon rod 3.6 m"), (2, "float, balsa, 2 g")];
    let rows = (0..count).flat_map(|order| {
        goods.map(|(line, name)| {
            let shop = order % 500;
            let row = format!("B-{order:06},Made-up tackle shop {shop},{shop} Lake Road,2026-11-23,shop {shop}");
            format!("{row},{line},SKU-{line},\"{name}\",12,pcs\n")
        })
    });
    std::iter::once(header).chain(rows).collect()
}

/// Prints what was measured, a line each.
pub(crate) fn run(count: usize) -> Result<()> {
    let temporary = tempfile::tempdir_in(target_folder())?;
    let (hub, device) = (temporary.path().join("hub"), temporary.path().join("device"));
    let (orders, mapping) = (temporary.path().join("orders.csv"), temporary.path().join("map.toml"));
    fs::write(&orders, made_up_orders(count))?;
    fs::write(&mapping, MAPPING)?;

    ask(&hub, &["init", "--org", "bench"])?;
    let (node, _) = Node::start(&hub)?;
    let began = Instant::now();
    let mapping = mapping.to_string_lossy();
    let report = ask(&hub, &["import", &orders.to_string_lossy(), "--map", &mapping])?;
    println!("import of {} shipments: {:.1} s", report["taken"], began.elapsed().as_secs_f64());
    node.settle()?;
    println!("summaries of all of them ready after {:.1} s", began.elapsed().as_secs_f64());
    println!("hub's resident memory after the import: {} MB (goal: under 200)", node.resident_mb()?);
    drop(node);

    // The drop above was a SIGKILL.
    let (node, restart) = Node::start(&hub)?;
    println!("hub restarted after SIGKILL: {:.2} s until it answers (goal: under 2)", restart.as_secs_f64());
    println!("hub's resident memory after the restart: {} MB (goal: under 200)", node.resident_mb()?);

    let invited = ask(&hub, &["invite", "--role", "driver", "--party", "driver:bench", "--name", "bench"])?;
    ask(&device, &["join", invited["invite"].as_str().context("the hub invites")?])?;
    let (driver, _) = Node::start(&device)?;
    ask(&hub, &["plan", "--filter", &format!("limit:{DEVICE}"), "driver=driver:bench"])?;
    driver.wait(|status| status["shipments"] == DEVICE)?;
    driver.settle()?;
    println!("device's resident memory with {DEVICE} shipments: {} MB (goal: under 40)", driver.resident_mb()?);
    drop(driver);
    let (driver, restart) = Node::start(&device)?;
    println!("device restarted after SIGKILL: {:.2} s", restart.as_secs_f64());
    println!("device's resident memory after the restart: {} MB (goal: under 40)", driver.resident_mb()?);
    Ok(())
}
