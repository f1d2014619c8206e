//! Power cuts on a whole hub: `creel serve` takes records, messages, photos and imports from several clients at once, the shim in
//! `storage/tests/powercut.c` takes its power away, and a node started on what is left must know everything that was
//! acknowledged.
//!
//! `CREEL_POWER_CUTS` sets the number of cuts (20 unless told; the release check runs 200), `CREEL_POWER_CUT_SEED` the
//! seed. A data folder is kept for ten cuts, so later cuts also hit the recovery from earlier ones; what is verified each
//! time is a copy.

mod shared;
#[path = "../../storage/tests/shim/mod.rs"]
mod shim;

use creel::demo::api::{Api, Refused};
use creel::demo::node::eventually;
use creel_node::{HTTP_ADDRESS_FILE, ServeOptions};
use creel_storage::{Guards, Options};
use serde_json::{Value, json};
use shared::{LIMIT, Office};
use shim::{POWER_FAILED, Random, Shim, copy_directory, number_from};
use std::collections::{BTreeMap, BTreeSet};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Shipments in the folder that each series of cuts begins with.
const SHIPMENTS: usize = 100;
/// Clients that act at the same time, so that one sync answers several.
const CLIENTS: u64 = 3;
/// How many cuts a folder goes through.
const SERIES: u64 = 10;

/// Promise 1, as a person meets it: whatever the hub answered is there after the power comes back.
#[test]
fn a_hub_keeps_what_it_acknowledged() {
    let Some(shim) = Shim::compile() else { return };
    let cuts = number_from("CREEL_POWER_CUTS").unwrap_or(20);
    let seed = number_from("CREEL_POWER_CUT_SEED").unwrap_or(1);
    let mut cutter = Cutter::new(&shim, None, seed);
    if let Some(loss) = cutter.first_loss(cuts) {
        panic!("seed {seed}, {loss}");
    }
    println!("{cuts} cuts, {} acknowledgements, {} bytes in the largest store", cutter.acknowledged, cutter.largest);
    assert!(cutter.acknowledged > cuts, "the hub was hardly under load");
}

/// The test above can fail: without a guard the hub forgets something, or finds its store damaged; the same hub with all of
/// them does not. The other guards matter too seldom under a whole hub to wait for it here: `storage/tests/power_cut.rs`
/// shows what each is for. `CREEL_POWER_CUT_GUARDS` names others to try.
#[test]
fn a_hub_without_a_guard_forgets() {
    let Some(shim) = Shim::compile() else { return };
    let cuts = number_from("CREEL_POWER_CUTS_UNGUARDED").unwrap_or(60);
    let control = Cutter::new(&shim, Some("none"), 1).first_loss(10);
    assert_eq!(control, None, "with every guard in place");
    let guards = std::env::var("CREEL_POWER_CUT_GUARDS")
        .unwrap_or_else(|_| "sync_data sync_log remove_half_snapshots".to_owned());
    for removed in guards.split_whitespace() {
        let mut cutter = Cutter::new(&shim, Some(removed), 1);
        // A half-written snapshot comes from a cut during recovery.
        cutter.early_of_four = if removed == "remove_half_snapshots" { 4 } else { 1 };
        let loss = cutter.first_loss(cuts);
        assert!(loss.is_some(), "without the guard {removed}, {cuts} power cuts lost nothing");
        println!("without {removed}: {}", loss.unwrap_or_default());
    }
}

/// Cuts the power of hubs.
struct Cutter<'a> {
    shim: &'a Shim,
    removed: Option<&'a str>,
    random: Random,
    /// Of four cuts, how many come early: while the store is opened and recovers from the cut before.
    early_of_four: u64,
    /// The shipments that there were from the beginning.
    numbers: Vec<String>,
    /// What was acknowledged in the folder of this series: edits by the number of their shipment, and photos.
    edits: BTreeMap<String, BTreeSet<String>>,
    photos: BTreeSet<String>,
    acknowledged: u64,
    largest: u64,
    taps: u64,
}

impl<'a> Cutter<'a> {
    fn new(shim: &'a Shim, removed: Option<&'a str>, seed: u64) -> Self {
        Self {
            shim,
            removed,
            random: Random(seed),
            early_of_four: 1,
            numbers: Vec::new(),
            edits: BTreeMap::new(),
            photos: BTreeSet::new(),
            acknowledged: 0,
            largest: 0,
            taps: 0,
        }
    }

    /// Cuts again and again, and tells of the first loss.
    fn first_loss(&mut self, cuts: u64) -> Option<String> {
        let template;
        (template, self.numbers) = founded();
        let mut home = tempfile::tempdir().expect("a temporary folder");
        for cut in 1..=cuts {
            if cut % SERIES == 1 {
                home = tempfile::tempdir().expect("a temporary folder");
                copy_directory(&template.firm.hub.data, &data_in(home.path()));
                self.edits = self.numbers.iter().map(|number| (number.clone(), BTreeSet::new())).collect();
                self.photos.clear();
            }
            let at = match self.early_of_four {
                // Cuts in the middle of recovery, each after a run that leaves something to recover from.
                4 if cut % 2 == 0 => 3 + self.random.below(20),
                4 => 100 + self.random.below(400),
                early if self.random.below(4) < early => 1 + self.random.below(60),
                _ => 60 + self.random.below(1_500),
            };
            let told = format!("cut {cut} of {cuts}, at operation {at}");
            if let Err(error) = self.load(home.path(), at) {
                return Some(format!("{told}: {error}"));
            }
            if let Err(loss) = self.verify(home.path()) {
                return Some(format!("{told}: {loss}"));
            }
        }
        None
    }

    /// Lets a hub work until its power fails; everything it answers is noted.
    fn load(&mut self, home: &Path, at: u64) -> Result<(), String> {
        let seed = self.random.next() >> 40;
        let mut hub = self.hub(&data_in(home), Some((at, seed)));
        let Some(api) = hub.started() else { return hub.failed() };
        let clients: Vec<_> = (0..CLIENTS)
            .map(|_| {
                self.taps += 1;
                let client = Client { api: api.clone(), number: self.taps, random: Random(self.random.next()) };
                let numbers = self.numbers.clone();
                std::thread::spawn(move || client.work(&numbers))
            })
            .collect();
        for client in clients {
            let Answered { edits, photos, refused } = client.join().expect("a client does not panic");
            if let Some(refused) = refused {
                return Err(format!("the hub refused what is good: {refused}"));
            }
            self.acknowledged += edits.len() as u64;
            for (number, edit) in edits {
                self.edits.entry(number).or_default().extend(edit);
            }
            self.photos.extend(photos);
        }
        hub.failed()
    }

    /// Starts a hub on a copy of what is left, and asks it for everything.
    fn verify(&mut self, home: &Path) -> Result<(), String> {
        let copy = tempfile::tempdir().expect("a temporary folder");
        let data = data_in(copy.path());
        copy_directory(&data_in(home), &data);
        self.largest = self.largest.max(size_of(&data.join("store")));
        let mut hub = self.hub(&data, None);
        let Some(api) = hub.started() else { return Err(hub.said()) };
        let aside = std::fs::read_dir(&data)
            .expect("a folder")
            .flatten()
            .find(|entry| entry.file_name().to_string_lossy().starts_with("store.damaged-"));
        if let Some(aside) = aside {
            return Err(format!("a power cut is no damage, and {} was set aside", aside.path().display()));
        }
        for (number, acknowledged) in &self.edits {
            let history = api.get(&format!("/shipments/{number}/history")).map_err(|error| format!("{error:#}"))?;
            let known: BTreeSet<_> =
                history.as_array().into_iter().flatten().filter_map(|edit| edit["edit"].as_str()).collect();
            if let Some(lost) = acknowledged.iter().find(|edit| !known.contains(edit.as_str())) {
                return Err(format!("the edit {lost} of {number} was acknowledged and is lost"));
            }
        }
        for photo in &self.photos {
            if !data.join("photos").join(photo).exists() {
                return Err(format!("the photo {photo} was acknowledged and is lost"));
            }
        }
        Ok(())
    }

    /// A hub on a data folder, with the power to fail at an operation.
    fn hub(&self, data: &Path, cut: Option<(u64, u64)>) -> Hub {
        let mut command = match self.removed {
            None => {
                let mut command = Command::new(env!("CARGO_BIN_EXE_creel"));
                command.arg("--data").arg(data);
                command.args(["serve", "--quic", "127.0.0.1:0", "--http", "127.0.0.1:0"]);
                command
            }
            Some(removed) => {
                let mut command = Command::new(std::env::current_exe().expect("a test has a binary"));
                command.args(["--exact", "unguarded_hub", "--nocapture"]);
                command.env("CREEL_TEST_SERVE", data).env("CREEL_TEST_REMOVED", removed);
                command
            }
        };
        if let Some((at, seed)) = cut {
            command
                .env("LD_PRELOAD", &self.shim.library)
                .env("CREEL_CUT_DIR", data.parent().expect("it lies in a folder"))
                .env("CREEL_CUT_AT", at.to_string())
                .env("CREEL_CUT_SEED", seed.to_string());
        }
        // That of the hub before, which had no time to remove it.
        let _none_left = std::fs::remove_file(data.join(HTTP_ADDRESS_FILE));
        let log = data.with_extension("log");
        let file = std::fs::File::create(&log).expect("a log");
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(file).spawn().expect("it starts");
        Hub { child, data: data.to_owned(), log }
    }
}

/// A hub that runs, as a process.
struct Hub {
    child: Child,
    data: PathBuf,
    log: PathBuf,
}

impl Hub {
    /// Its API, once it listens; `None` if it ends before.
    fn started(&mut self) -> Option<Api> {
        eventually("the hub to start or to end", LIMIT, || {
            if self.child.try_wait()?.is_some() {
                return Ok(Some(None));
            }
            // The file is written whole before it has this name.
            Ok(self.data.join(HTTP_ADDRESS_FILE).exists().then(|| Api::of(&self.data)).transpose()?.map(Some))
        })
        .expect("a hub starts or ends")
    }

    /// It must end because its power failed.
    fn failed(&mut self) -> Result<(), String> {
        let ended = eventually("the power to fail", LIMIT, || Ok(self.child.try_wait()?));
        let ended = ended.map_err(|error| format!("{error:#}"))?;
        if ended.code() == Some(POWER_FAILED) { Ok(()) } else { Err(format!("it ended with {ended}: {}", self.said())) }
    }

    fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _gone = self.child.kill();
        let _waited = self.child.wait();
    }
}

/// What a client was answered: edits by the number of their shipment (of an imported one only that it is there), and photos.
#[derive(Default)]
struct Answered {
    edits: Vec<(String, Option<String>)>,
    photos: Vec<String>,
    refused: Option<String>,
}

/// A person or a script at the hub.
struct Client {
    api: Api,
    number: u64,
    random: Random,
}

impl Client {
    /// Acts until nobody answers.
    fn work(mut self, numbers: &[String]) -> Answered {
        let mut answered = Answered::default();
        for act in 0_u64.. {
            if let Err(error) = self.act(act, numbers, &mut answered) {
                answered.refused = error.downcast_ref::<Refused>().map(|_| format!("{error:#}"));
                break;
            }
        }
        answered
    }

    fn act(&mut self, act: u64, numbers: &[String], answered: &mut Answered) -> anyhow::Result<()> {
        let tap = format!("{:016x}{act:016x}", self.number);
        let count = u64::try_from(numbers.len()).expect("a small number");
        let number = &numbers[usize::try_from(self.random.below(count)).expect("a small number")];
        let answer = match self.random.below(12) {
            0 => {
                let orders: Vec<_> = (0..=self.random.below(20))
                    .map(|order| json!({ "number": format!("P-{}-{act}-{order}", self.number), "row": order + 1 }))
                    .collect();
                self.api.post("/imports", &tap, &json!({ "orders": orders }))?;
                answered.edits.extend(
                    orders.iter().filter_map(|order| order["number"].as_str()).map(|number| (number.to_owned(), None)),
                );
                return Ok(());
            }
            1 => {
                let length = usize::try_from(1_000 + self.random.below(60_000)).expect("a small number");
                let photo = self.api.post_bytes("/photos", &tap, &self.random.bytes(length))?;
                let photo = photo["hash"].as_str().unwrap_or_default().to_owned();
                answered.photos.push(photo.clone());
                let record = json!({ "step": "picked_up", "photos": [photo] });
                self.api.post(
                    "/records",
                    &format!("{tap}-record"),
                    &json!({ "shipments": [number], "record": record }),
                )?
            }
            2..5 => {
                let record =
                    json!({ "step": "picked_up", "note": "x".repeat(usize::try_from(1 + self.random.below(300))?) });
                self.api.post("/records", &tap, &json!({ "shipments": [number], "record": record }))?
            }
            _ => {
                let text = "鱼".repeat(1 + usize::try_from(self.random.below(1_500))?);
                self.api.post("/messages", &tap, &json!({ "shipment": number, "text": text }))?
            }
        };
        let one = std::slice::from_ref(&answer);
        let edits =
            answer.as_array().map_or(one, Vec::as_slice).iter().filter_map(|made: &Value| made["edit"].as_str());
        answered.edits.extend(edits.map(|edit| (number.clone(), Some(edit.to_owned()))));
        Ok(())
    }
}

/// A hub without one of the store's guards. No test by itself: it serves only when the test above starts it.
#[test]
fn unguarded_hub() {
    let Some(data) = std::env::var_os("CREEL_TEST_SERVE").map(PathBuf::from) else { return };
    let mut guards = Guards::default();
    match std::env::var("CREEL_TEST_REMOVED").expect("the parent sets it").as_str() {
        "sync_data" => guards.sync_data = false,
        "sync_after_open" => guards.sync_after_open = false,
        "remove_half_snapshots" => guards.remove_half_snapshots = false,
        "chunk_values" => guards.chunk_values = false,
        "fence_segments" => guards.fence_segments = false,
        "sync_log" => guards.sync_log = false,
        "none" => {}
        other => panic!("there is no guard {other}"),
    }
    let anywhere = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    // With more checkpoints than usual, because most guards are about them.
    let store = Some(Options { guards, checkpoint_bytes: 100 * 1024, ..Options::hub() });
    let serving = creel_node::serve(
        ServeOptions { quic: anywhere, http: anywhere, store, ..ServeOptions::of(data) },
        |_| {},
        std::future::pending(),
    );
    tokio::runtime::Runtime::new().expect("a runtime").block_on(serving).expect("it serves");
}

/// A hub's data folder with some shipments, whose process has ended, and their numbers.
fn founded() -> (Office, Vec<String>) {
    let mut office = Office::open(31);
    let numbers = office.orders("li-wei", 31, SHIPMENTS);
    assert!(office.firm.hub.stop().expect("it ends").success());
    (office, numbers)
}

/// Below a folder of its own: the shim keeps beside that what it may have to bring back.
fn data_in(home: &Path) -> PathBuf {
    home.join("disk/hub")
}

fn size_of(folder: &Path) -> u64 {
    std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.metadata().ok())
        .map(|of| of.len())
        .sum()
}
