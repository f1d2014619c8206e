//! Power cuts: a process writes under load, the shim in `powercut.c` takes its power away, and what is left on the disk
//! must hold everything that was acknowledged.
//!
//! `CREEL_POWER_CUTS` sets the number of cuts (20 unless told; the release check runs 200), `CREEL_POWER_CUT_SEED` the
//! seed. The directory is kept from cut to cut, so later cuts also hit the recovery from earlier ones; what is verified
//! each time is a copy.

mod shim;

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use creel_protocol::store::{Batch, Store};
use creel_storage::{Engine, Guards, MemoryEngine, Options, SledEngine};
use shim::{POWER_FAILED, Random, Shim, copy_directory, number_from};

/// Small, so that a run crosses tens of segments.
const SEGMENT_BYTES: usize = 64 * 1024;
/// Small too, so that a run has many checkpoints.
const CHECKPOINT_BYTES: u64 = 100 * 1024;
/// How many batches a record lives before it is removed.
const LIFE: u64 = 60;

/// Durable before acknowledged: whenever the power fails, every acknowledged batch is there whole on the next start.
#[test]
fn acknowledged_batches_survive_power_cuts() {
    let Some(shim) = Shim::compile() else { return };
    let cuts = number_from("CREEL_POWER_CUTS").unwrap_or(20);
    let seed = number_from("CREEL_POWER_CUT_SEED").unwrap_or(1);
    if let Some(loss) = first_loss(&shim, "none", 1, seed, cuts) {
        panic!("seed {seed}, {loss}");
    }
}

/// The power-cut test can fail: with one guard removed it finds a loss or a store that does not open. (A torn record that
/// still reads as writes is too rare to wait for; the log's own tests show what `check_records` is for.)
#[test]
fn power_cuts_show_what_each_guard_is_for() {
    let Some(shim) = Shim::compile() else { return };
    let cuts = number_from("CREEL_POWER_CUTS_UNGUARDED").unwrap_or(600);
    // It ends with the first loss; how soon that comes depends on how the threads of the store are scheduled.
    // A half-written snapshot comes from a cut during recovery, so that guard is tried with early cuts only.
    for (removed, early_of_four) in [
        ("sync_data", 1),
        ("sync_after_open", 1),
        ("remove_half_snapshots", 4),
        ("chunk_values", 1),
        ("fence_segments", 1),
        ("sync_log", 1),
    ] {
        let loss = first_loss(&shim, removed, early_of_four, 1, cuts);
        assert!(loss.is_some(), "without the guard {removed}, {cuts} power cuts lost nothing");
        println!("without {removed}: {}", loss.unwrap_or_default());
    }
}

/// A full disk is an error and not a loss: what was acknowledged before it is there after it.
#[test]
fn acknowledged_batches_survive_a_full_disk() {
    let Some(shim) = Shim::compile() else { return };
    let mut random = Random(5);
    for round in 0..6 {
        let home = tempfile::tempdir().expect("a temporary directory");
        let run = load(&shim, home.path(), "none", &[("CREEL_CUT_FULL_AT", 40 + random.below(400))]);
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        assert!(said.contains("full disk reported"), "round {round}: {}", all_said(&run));
        let acked = last_number(&said, "acked ").unwrap_or(0);
        verify(home.path(), "none", acked).unwrap_or_else(|loss| panic!("round {round}: {loss}"));
    }
}

/// Cuts the power again and again, and tells of the first loss. `early_of_four` of four cuts come early, while the store
/// is being opened and recovers from the cut before.
fn first_loss(shim: &Shim, removed: &str, early_of_four: u64, seed: u64, cuts: u64) -> Option<String> {
    let mut random = Random(seed);
    let mut home = tempfile::tempdir().expect("a temporary directory");
    let mut acked = 0;
    for number in 1..=cuts {
        // A store of its own every ten cuts, because a store's first run has dangers of its own.
        if number % 10 == 1 {
            home = tempfile::tempdir().expect("a temporary directory");
            acked = 0;
        }
        let home = home.path();
        let at = match early_of_four {
            // Cuts in the middle of recovery, each after a run that leaves something to recover from.
            4 if number % 2 == 0 => 3 + random.below(14),
            4 => 100 + random.below(200),
            _ if random.below(4) < early_of_four => 1 + random.below(40),
            _ => 40 + random.below(700),
        };
        let run = load(shim, home, removed, &[("CREEL_CUT_AT", at), ("CREEL_CUT_SEED", random.next() >> 40)]);
        let said = String::from_utf8_lossy(&run.stdout).into_owned();
        acked = last_number(&said, "acked ").unwrap_or(acked);
        if run.status.code() != Some(POWER_FAILED) {
            return Some(format!("cut {number} of {cuts}: the load did not reach the cut: {}", all_said(&run)));
        }
        if let Err(loss) = verify(home, removed, acked) {
            let cut = String::from_utf8_lossy(&run.stderr).lines().last().unwrap_or_default().to_owned();
            return Some(format!("cut {number} of {cuts}: {cut}: {loss}{}", keep(home)));
        }
    }
    None
}

/// Copies what a loss left on the disk to where it can be looked into, if `CREEL_POWER_CUT_KEEP` names a directory.
fn keep(home: &Path) -> String {
    let Some(kept) = std::env::var_os("CREEL_POWER_CUT_KEEP") else { return String::new() };
    let kept = PathBuf::from(kept).join(format!("loss-{}", std::process::id()));
    copy_directory(&home.join("disk"), &kept);
    format!("; kept in {}", kept.display())
}

/// Opens a copy of the store in a clean process, which must find everything up to `acked`.
fn verify(home: &Path, removed: &str, acked: u64) -> Result<(), String> {
    let copy = tempfile::tempdir().expect("a temporary directory");
    copy_directory(&store_in(home), &store_in(copy.path()));
    let run = child("verifying_process", copy.path(), removed).env("CREEL_TEST_ACKED", acked.to_string()).output();
    let run = run.expect("the test binary runs");
    if run.status.success() { Ok(()) } else { Err(all_said(&run)) }
}

/// Below a directory of its own: the shim keeps beside that what it may have to bring back.
fn store_in(home: &Path) -> PathBuf {
    home.join("disk/store")
}

/// The process under load. No test by itself: it does something only when the tests above start it.
#[test]
fn loading_process() {
    let Some(home) = std::env::var_os("CREEL_TEST_LOAD").map(PathBuf::from) else { return };
    let mut engine = open(&home);
    let mut number = head(&engine);
    let mut unsynced = 0;
    loop {
        number += 1;
        if let Err(error) = engine.apply(&batch(number)).and_then(|()| {
            unsynced += 1;
            // Mostly every few batches, at times only after many segments.
            if unsynced > if number % 100 < 60 { number % 4 } else { 30 } {
                engine.sync()?;
                unsynced = 0;
                // A line of its own, whatever the test harness has printed on this one.
                write!(std::io::stdout(), "\nacked {number}\n").expect("the parent reads");
            }
            Ok(())
        }) {
            assert_eq!(error, creel_protocol::store::StoreError::Full, "under load");
            assert_eq!(engine.apply(&batch(number)), Err(error.clone()), "a full store refuses what comes after");
            assert_eq!(engine.sync(), Err(error), "a full store refuses to acknowledge anything");
            println!("\nfull disk reported");
            return;
        }
    }
}

/// The process that looks at what is left. No test by itself either.
#[test]
fn verifying_process() {
    let Some(home) = std::env::var_os("CREEL_TEST_VERIFY").map(PathBuf::from) else { return };
    let acked = number_from("CREEL_TEST_ACKED").expect("the parent sets it");
    let engine = open(&home);
    let head = head(&engine);
    assert!(head >= acked, "batch {acked} was acknowledged, and the store ends with {head}");
    let mut expected = MemoryEngine::default();
    // Batches older than two lives have left no trace but in what later ones overwrote.
    for number in 1..=head {
        expected.apply(&batch(number)).expect("memory takes any batch");
    }
    let all = |store: &dyn Store| store.scan(b"", b"\xff", usize::MAX).expect("a readable store");
    let (found, expected) = (all(&engine), all(&expected));
    let keys = |pairs: &[(Vec<u8>, Vec<u8>)]| {
        pairs.iter().map(|(key, value)| format!("{}:{}", String::from_utf8_lossy(key), value.len())).collect::<Vec<_>>()
    };
    assert_eq!(keys(&found), keys(&expected), "not what the first {head} batches wrote");
    assert!(found == expected, "the bytes are not those the first {head} batches wrote");
}

fn open(home: &Path) -> SledEngine {
    let mut guards = Guards::default();
    match std::env::var("CREEL_TEST_REMOVED").as_deref() {
        Ok("sync_data") => guards.sync_data = false,
        Ok("sync_after_open") => guards.sync_after_open = false,
        Ok("remove_half_snapshots") => guards.remove_half_snapshots = false,
        Ok("chunk_values") => guards.chunk_values = false,
        Ok("fence_segments") => guards.fence_segments = false,
        Ok("sync_log") => guards.sync_log = false,
        _ => {}
    }
    let options = Options {
        segment_bytes: SEGMENT_BYTES,
        checkpoint_bytes: CHECKPOINT_BYTES,
        open_limit: Duration::from_secs(20),
        guards,
        ..Options::device()
    };
    let opened = SledEngine::open(&store_in(home), options).expect("the store opens");
    assert_eq!(opened.set_aside, None, "a power cut is no damage");
    opened.engine
}

fn head(engine: &SledEngine) -> u64 {
    let head = engine.get(b"head").expect("a readable store");
    head.map_or(0, |bytes| u64::from_be_bytes(bytes.try_into().expect("eight bytes")))
}

/// What is written in batch `number`: always the same, so that the state after any batch can be computed.
fn batch(number: u64) -> Batch {
    let mut random = Random(number);
    let mut batch = Batch::default();
    batch.put(b"head".to_vec(), number.to_be_bytes().to_vec());
    let length = [20, 300, 500, 700, 3_000, 9_000, 20_000][usize::try_from(number % 7).expect("a small number")];
    batch.put(format!("record/{number:08}").into_bytes(), random.bytes(length));
    // Summaries are overwritten all the time, with values of very different sizes.
    for _ in 0..3 {
        let key = format!("summary/{:02}", random.below(40));
        let length = random.below(2_000);
        batch.put(key.into_bytes(), random.bytes(usize::try_from(length).expect("a small number")));
    }
    if number > LIFE {
        batch.remove(format!("record/{:08}", number - LIFE).into_bytes());
    }
    batch
}

/// Runs the load under the shim until the power fails or the disk is full.
fn load(shim: &Shim, home: &Path, removed: &str, settings: &[(&str, u64)]) -> Output {
    let mut child = child("loading_process", home, removed);
    child.env("LD_PRELOAD", &shim.library).env("CREEL_CUT_DIR", home.join("disk"));
    for (name, value) in settings {
        child.env(name, value.to_string());
    }
    child.output().expect("the test binary runs")
}

/// This test binary again, as one of its processes.
fn child(process: &str, home: &Path, removed: &str) -> Command {
    let mut child = Command::new(std::env::current_exe().expect("a test has a binary"));
    let role = if process == "loading_process" { "CREEL_TEST_LOAD" } else { "CREEL_TEST_VERIFY" };
    child.args(["--exact", process, "--nocapture"]).env(role, home).env("CREEL_TEST_REMOVED", removed);
    child
}

fn last_number(text: &str, label: &str) -> Option<u64> {
    text.lines().rev().find_map(|line| line.strip_prefix(label)?.parse().ok())
}

fn all_said(run: &Output) -> String {
    let said = [&run.stdout, &run.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned()).concat();
    let telling: Vec<&str> = said.lines().filter(|line| !line.starts_with("acked ") && !line.is_empty()).collect();
    format!("{}: {}", run.status, telling.join(" | ").chars().take(1500).collect::<String>())
}
