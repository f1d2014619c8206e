//! What is found on opening: a store in use, a damaged one, a newer one, a half-finished one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use creel_protocol::store::{Batch, Store};
use creel_storage::{Engine, OpenError, Opened, Options, SledEngine};

/// Enough to fill many small segments.
const RECORDS: u32 = 400;

fn small() -> Options {
    Options { segment_bytes: 64 * 1024, ..Options::device() }
}

/// A store with records in several segments, closed again.
fn filled(home: &Path, options: Options) -> PathBuf {
    let dir = home.join("store");
    let mut engine = SledEngine::open(&dir, options).expect("opened").engine;
    for number in 0..RECORDS {
        let mut batch = Batch::default();
        batch.put(format!("record/{number:04}").into_bytes(), vec![u8::try_from(number % 256).expect("a byte"); 2_000]);
        engine.apply(&batch).expect("applied");
    }
    engine.sync().expect("synced");
    dir
}

/// Two processes never write one store: the second is refused, is told who holds it, and sets nothing aside.
#[test]
fn a_store_in_use_is_refused_and_left_alone() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let dir = home.path().join("store");
    let held = SledEngine::open(&dir, small()).expect("opened");
    let child = Command::new(std::env::current_exe().expect("a test has a binary"))
        .args(["--exact", "second_process", "--nocapture"])
        .env("CREEL_TEST_SECOND", &dir)
        .stdout(Stdio::piped())
        .output()
        .expect("the test binary runs");
    let said = String::from_utf8_lossy(&child.stdout);
    assert!(said.contains(&format!("in use by process {}", std::process::id())), "{said}");
    assert!(matches!(SledEngine::open(&dir, small()), Err(OpenError::Held { pid: Some(_), .. })), "in one process too");
    assert!(set_aside_in(home.path()).is_empty());
    drop(held);
    SledEngine::open(&dir, small()).expect("free again");
}

/// Opens the store that another process holds. No test by itself: the one above starts it.
#[test]
fn second_process() {
    let Some(dir) = std::env::var_os("CREEL_TEST_SECOND") else { return };
    match SledEngine::open(Path::new(&dir), small()) {
        Ok(_) => panic!("two processes hold one store"),
        Err(error) => println!("{error}"),
    }
}

/// What can happen to sled's files.
type Harm = fn(&Path);
const HARMS: [(&str, Harm); 5] = [
    ("a snapshot with a flipped byte", |dir| flip(&snapshot_in(dir), 9)),
    ("a snapshot cut short", |dir| fs::write(snapshot_in(dir), b"short").expect("written")),
    ("settings with a flipped byte", |dir| flip(&dir.join("conf"), 3)),
    ("a file that is gone", |dir| fs::write(dir.join("db"), b"").expect("written")),
    ("a snapshot of nothing we know", |dir| {
        fs::write(dir.join("snap.FFFFFFFFFFFFFFFF"), [7; 64]).expect("written");
    }),
];

/// Damage never stops a node and is never overwritten: each of these stores is set aside whole, a fresh one opens, and the
/// latest writes come out of the log.
#[test]
fn a_damaged_store_is_set_aside() {
    for (what, harm) in HARMS {
        let home = tempfile::tempdir().expect("a temporary directory");
        let options = Options { checkpoint_bytes: 100_000, ..small() };
        let dir = filled(home.path(), options);
        // Opened once more, so that there is a snapshot that the log is read on top of.
        drop(SledEngine::open(&dir, options).expect("opened"));
        harm(&dir);
        let before = contents(&dir);
        let opened = SledEngine::open(&dir, options).unwrap_or_else(|error| panic!("{what}: {error}"));
        let Opened { mut engine, set_aside: Some(aside), created: true, salvaged, .. } = opened else {
            panic!("{what}: it was opened as if nothing were wrong");
        };
        assert_eq!(aside, home.path().join("store.damaged-1"), "{what}");
        assert!(contents(&aside).iter().all(|pair| before.contains(pair) || pair.0 == "db"), "{what}: kept as it was");
        assert!(engine.scan(b"", b"\xff", 10) == Ok(Vec::new()), "{what}: what is not whole is not in the store");
        let last = format!("record/{:04}", RECORDS - 1).into_bytes();
        let saved = |batch: &Batch| batch.writes().any(|(key, value)| key == last && value.is_some());
        assert!(salvaged.last().is_some_and(saved), "{what}: the latest writes are saved");
        let mut batch = Batch::default();
        batch.put(b"a".to_vec(), b"1".to_vec());
        engine.apply(&batch).and_then(|()| engine.sync()).unwrap_or_else(|error| panic!("{what}: {error}"));
        drop(engine);
        // A second time: the first store set aside is not overwritten.
        fs::write(dir.join("snap.FFFFFFFFFFFFFFFF"), [7; 64]).expect("written");
        let again = SledEngine::open(&dir, options).expect("opened");
        assert_eq!(again.set_aside, Some(home.path().join("store.damaged-2")), "{what}");
        assert!(aside.exists(), "{what}");
    }
}

/// Where the log goes back to the store's beginning, as on a device in its first days, damage to sled loses nothing.
#[test]
fn a_whole_log_refills_the_store() {
    for (what, harm) in HARMS {
        let home = tempfile::tempdir().expect("a temporary directory");
        let dir = filled(home.path(), small());
        drop(SledEngine::open(&dir, small()).expect("opened"));
        harm(&dir);
        let opened = SledEngine::open(&dir, small()).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert!(opened.set_aside.is_some() && !opened.created && opened.salvaged.is_empty(), "{what}");
        let found = opened.engine.scan(b"", b"\xff", usize::MAX).expect("read");
        assert_eq!(found.len(), usize::try_from(RECORDS).expect("a small number"), "{what}");
    }
}

/// A store whose last checkpoint is gone again, as after a power cut on a disk that lies, has its log to make up for it.
/// One that has lost more is damaged, and is not taken for whole.
#[test]
fn the_log_makes_up_for_a_lost_checkpoint() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let dir = home.path().join("store");
    let options = Options { checkpoint_bytes: 10_000, ..small() };
    let put = |number: u8| {
        // Each opening and closing is a checkpoint.
        let mut engine = SledEngine::open(&dir, options).expect("opened").engine;
        let mut batch = Batch::default();
        batch.put(vec![number], vec![number; 100]);
        engine.apply(&batch).and_then(|()| engine.sync()).expect("durable");
    };
    let roll_back = |before: &Path| {
        for entry in fs::read_dir(&dir).expect("a directory").map(|entry| entry.expect("an entry").path()) {
            if entry.is_file() && !entry.file_name().is_some_and(|name| name.to_string_lossy().starts_with("log.")) {
                fs::remove_file(entry).expect("removed");
            }
        }
        for (name, bytes) in contents(before).into_iter().filter(|(name, _)| !name.starts_with("log.")) {
            fs::write(dir.join(name), bytes).expect("written");
        }
    };
    put(1);
    let before = home.path().join("before");
    fs::create_dir(&before).expect("a directory");
    for (name, bytes) in contents(&dir) {
        fs::write(before.join(name), bytes).expect("written");
    }
    put(2);
    roll_back(&before);
    let opened = SledEngine::open(&dir, options).expect("opened");
    assert_eq!(opened.set_aside, None);
    assert_eq!(opened.engine.get(&[2]), Ok(Some(vec![2; 100])), "from the log");
    drop(opened);
    put(3);
    put(4);
    roll_back(&before);
    let opened = SledEngine::open(&dir, options).expect("opened");
    assert!(opened.set_aside.is_some(), "two checkpoints are missing, and the log has no more of the first");
    assert!(!opened.salvaged.is_empty(), "what the log has is saved");
}

/// Damage that shows only when a page is read stops the engine, and the next open sets the store aside.
#[test]
fn damage_found_by_a_read_is_set_aside_at_the_next_open() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let dir = filled(home.path(), small());
    drop(SledEngine::open(&dir, small()).expect("opened"));
    let mut bytes = fs::read(dir.join("db")).expect("read");
    // One record's value wherever it lies, below the snapshot: sled believes in it until it reads it.
    let value = [150; 400];
    while let Some(at) = bytes.windows(value.len()).position(|window| window == value) {
        bytes[at..at + value.len()].fill(0x55);
    }
    fs::write(dir.join("db"), bytes).expect("written");

    // In a process of its own, because a broken engine holds the store until its process ends.
    let child = Command::new(std::env::current_exe().expect("a test has a binary"))
        .args(["--exact", "reading_process", "--nocapture"])
        .env("CREEL_TEST_READ", &dir)
        .output()
        .expect("the test binary runs");
    assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stderr));
    assert!(set_aside_in(home.path()).is_empty(), "one failed read is no proof");
    let opened = SledEngine::open(&dir, small()).expect("opened");
    assert_eq!(opened.set_aside, Some(home.path().join("store.damaged-1")));
}

/// Reads damage. No test by itself: the one above starts it.
#[test]
fn reading_process() {
    let Some(dir) = std::env::var_os("CREEL_TEST_READ") else { return };
    let opened = SledEngine::open(Path::new(&dir), small()).expect("opened");
    assert_eq!(opened.set_aside, None, "sled does not see this damage on opening");
    let mut engine = opened.engine;
    let failed = engine.scan(b"", b"\xff", usize::MAX).expect_err("damage is noticed");
    assert_eq!(engine.get(b"record/0000"), Err(failed.clone()), "nothing more is read");
    assert_eq!(engine.sync(), Err(failed.clone()), "and nothing acknowledged");
    let mut batch = Batch::default();
    batch.put(b"a".to_vec(), b"1".to_vec());
    assert_eq!(engine.apply(&batch), Err(failed), "or written");
}

/// A store that hangs sled keeps nobody from starting for ever, and one that is only slow is not set aside for it: the
/// third process in a row that waited in vain is the last.
#[test]
fn a_store_that_never_opens_is_set_aside_in_the_end() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let dir = filled(home.path(), small());
    let wait_in_vain = |attempt: u32| {
        let child = Command::new(std::env::current_exe().expect("a test has a binary"))
            .args(["--exact", "impatient_process", "--nocapture"])
            .env("CREEL_TEST_IMPATIENT", &dir)
            .output()
            .expect("the test binary runs");
        let said = String::from_utf8_lossy(&child.stdout).into_owned();
        assert!(said.contains(&format!("(time {attempt} in a row)")), "{said}");
    };
    wait_in_vain(1);
    wait_in_vain(2);
    assert_eq!(SledEngine::open(&dir, small()).expect("opened").set_aside, None, "it was only slow");
    wait_in_vain(1);
    wait_in_vain(2);
    wait_in_vain(3);
    assert!(SledEngine::open(&dir, small()).expect("opened").set_aside.is_some(), "three times in a row");
}

/// Gives sled no time at all. No test by itself: the one above starts it.
#[test]
fn impatient_process() {
    let Some(dir) = std::env::var_os("CREEL_TEST_IMPATIENT") else { return };
    let impatient = Options { open_limit: std::time::Duration::ZERO, ..small() };
    let error = SledEngine::open(Path::new(&dir), impatient).expect_err("nothing opens in no time");
    println!("{error}");
    let again = SledEngine::open(Path::new(&dir), small());
    assert!(matches!(again, Err(OpenError::Held { .. })), "sled may still be at work in this process: {again:?}");
}

/// A process that dies while sled writes a snapshot leaves no store that will not open.
#[test]
fn a_half_written_snapshot_is_removed() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let dir = filled(home.path(), small());
    let leftover = dir.join("snap.00000000000FFFFF.generating");
    fs::write(&leftover, b"half of a snap").expect("written");
    let opened = SledEngine::open(&dir, small()).expect("opened");
    assert_eq!((opened.set_aside, opened.created), (None, false));
    assert!(!leftover.exists());
    let last = format!("record/{:04}", RECORDS - 1);
    assert!(opened.engine.get(last.as_bytes()).expect("read").is_some(), "everything is there");
}

/// An older creel neither reads nor sets aside what a newer one wrote.
#[test]
fn a_newer_store_is_left_alone() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let dir = filled(home.path(), small());
    let db = sled::Config::new().path(&dir).segment_size(64 * 1024).open().expect("opened");
    db.insert(b"mformat", &2_u32.to_be_bytes()).and_then(|_| db.flush()).expect("written");
    drop(db);
    let refused = SledEngine::open(&dir, small());
    assert!(matches!(refused, Err(OpenError::NewerFormat { found: 2, known: 1, .. })), "{refused:?}");
    assert!(set_aside_in(home.path()).is_empty());
}

/// Options that do not fit a whole store are a mistake of ours, and no reason to set it aside.
#[test]
fn other_options_are_refused() {
    let home = tempfile::tempdir().expect("a temporary directory");
    let dir = filled(home.path(), small());
    assert!(matches!(SledEngine::open(&dir, Options::device()), Err(OpenError::Unsupported { .. })));
    assert!(set_aside_in(home.path()).is_empty());
}

fn set_aside_in(home: &Path) -> Vec<PathBuf> {
    let all = fs::read_dir(home).expect("a readable directory").map(|entry| entry.expect("an entry").path());
    all.filter(|path| path.to_string_lossy().contains(".damaged-")).collect()
}

fn snapshot_in(dir: &Path) -> PathBuf {
    let mut all = fs::read_dir(dir).expect("a readable directory").map(|entry| entry.expect("an entry").path());
    all.find(|path| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("snap.")))
        .expect("a snapshot")
}

fn flip(path: &Path, at: usize) {
    let mut bytes = fs::read(path).expect("read");
    bytes[at] ^= 0x41;
    fs::write(path, bytes).expect("written");
}

fn contents(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let files = fs::read_dir(dir).expect("a readable directory").map(|entry| entry.expect("an entry"));
    files
        .filter(|entry| entry.path().is_file())
        .map(|entry| (entry.file_name().to_string_lossy().into_owned(), fs::read(entry.path()).expect("read")))
        .collect()
}
