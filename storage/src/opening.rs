//! Opening a store: whatever was left on the disk, the answer is an open store, or an error that says what to do.

use std::fs::{self, File};
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{self, RecvTimeoutError};
use std::thread;
use std::time::Duration;

use creel_protocol::store::Batch;

use crate::Engine;
use crate::chunk::{self, Entry};
use crate::guards::{self, Guards};
use crate::holder::{Holder, HolderError, beside};
use crate::log::{self, Log, Mark, Read};
use crate::open_error::{OpenError, TIMED_OUT_OPENS_MAX};
use crate::recent::Recent;
use crate::sled_engine::SledEngine;
use crate::tree::{Tree, is_full, panic_text};

/// The store format this creel writes. A store with a higher number is left alone.
const FORMAT: u32 = 1;
/// sled's own file stays locked a moment longer than its last user, while its threads finish.
const LOCK_TRIES: u32 = 50;
const LOCK_PAUSE: Duration = Duration::from_millis(100);

/// How to open a store.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// sled's page cache, in bytes: 16 MB on a device, 64 MB and up on a hub.
    pub cache_capacity: u64,
    /// sled's segment, in bytes: a power of two, 64 KiB to 16 MiB, and the same for the life of a store. Tests make it
    /// small, to cross many segments with little data.
    pub segment_bytes: usize,
    /// How long the log grows, in bytes, before everything goes to sled. What is in the log is in memory too. Tests make
    /// it small, to have many checkpoints.
    pub checkpoint_bytes: u64,
    /// How long sled may take to open before it counts as hanging. Each time it does, the next process waits four times
    /// as long, because a large store on a slow disk is not a damaged one.
    pub open_limit: Duration,
    #[doc(hidden)]
    pub guards: Guards,
}

impl Options {
    /// For a phone, a tablet, a shop's PC: 16 MB of cache.
    pub fn device() -> Self {
        Self {
            cache_capacity: 16_000_000,
            segment_bytes: 512 * 1024,
            checkpoint_bytes: 1 << 20,
            open_limit: Duration::from_secs(60),
            guards: Guards::default(),
        }
    }

    /// For a hub: 64 MB of cache.
    pub fn hub() -> Self {
        Self { cache_capacity: 64_000_000, ..Self::device() }
    }
}

impl Default for Options {
    fn default() -> Self {
        Self::device()
    }
}

/// A store that is open, and what happened on the way. Of what was never acknowledged the end may be gone.
#[derive(Debug)]
pub struct Opened {
    /// The store.
    pub engine: SledEngine,
    /// Where the damaged store lies that was found in the directory. The engine is then a fresh one. If the damaged one's
    /// log went back to its first batch, the fresh one holds everything again; if not, it is empty, to be refilled from
    /// peers.
    pub set_aside: Option<PathBuf>,
    /// The latest writes of the store that was set aside, a batch for each sync, oldest first: the last thousands, and the
    /// ones least likely to have reached a peer. They are not in the engine, because there they would vouch for older ones
    /// that are missing (a journal with a hole, heads without their past). Take the edits out of them as from a peer.
    pub salvaged: Vec<Batch>,
    /// Whether the store is empty because it was made just now.
    pub created: bool,
}

/// What one try came to.
enum Tried {
    Open(Store),
    Damaged(String),
}

/// sled and the log, open and in step.
struct Store {
    db: sled::Db,
    log: Log,
    recent: Recent,
    created: bool,
}

/// What the thread that runs sled's open found.
enum Found {
    Open(Store),
    Newer(u32),
    Damaged(String),
    Failed(sled::Error),
    LogFailed(io::Error),
}

impl SledEngine {
    /// Opens the store in `dir`, and creates it where there is none.
    ///
    /// Beside `dir` it keeps `<dir>.holder`, the lock; `<dir>.suspect`, when reading failed in a way that calls for a full
    /// check at the next open; and `<dir>.damaged-<n>`, the damaged stores that were set aside.
    pub fn open(dir: &Path, options: Options) -> Result<Opened, OpenError> {
        let at = |what| move |source| OpenError::Io { dir: dir.to_owned(), what, source };
        guards::create_directory(dir).map_err(at("creating the directory"))?;
        let mut holder = Holder::take(dir).map_err(|error| match error {
            HolderError::Held(pid) => OpenError::Held { dir: dir.to_owned(), pid },
            HolderError::Io(source) => at("taking the lock")(source),
        })?;

        let first = if holder.timed_out_opens >= TIMED_OUT_OPENS_MAX {
            Tried::Damaged(format!("sled did not open it in time, {} times in a row", holder.timed_out_opens))
        } else {
            match try_open(dir, &options, holder.timed_out_opens)? {
                Some(tried) => tried,
                None => return Err(timed_out(dir, &options, holder)),
            }
        };
        let (store, set_aside) = match first {
            Tried::Open(store) => (store, None),
            Tried::Damaged(why) => {
                let aside = set_aside(dir).map_err(at("setting the damaged store aside"))?;
                tracing::error!(store = %dir.display(), aside = %aside.display(), why,
                    "the store is damaged; it was set aside and a fresh one is opened");
                match try_open(dir, &options, 0)? {
                    Some(Tried::Open(store)) => (store, Some(aside)),
                    Some(Tried::Damaged(why)) => return Err(OpenError::Failed { dir: dir.to_owned(), why }),
                    None => return Err(timed_out(dir, &options, holder)),
                }
            }
        };
        holder.remember_timed_out_opens(0).map_err(at("writing the holder file"))?;

        if options.guards.sync_after_open {
            guards::sync_all_in(dir).map_err(at("syncing the files"))?;
        }
        guards::end_creation(dir).map_err(at("ending a store's creation"))?;
        let db_file =
            File::options().read(true).write(true).open(dir.join("db")).map_err(at("opening a handle to sync by"))?;
        let Store { db, log, recent, created } = store;
        let tree = Tree::new(db, db_file, dir.to_owned(), &options);
        let mut engine = Self::new(tree, log, recent, options.checkpoint_bytes, holder);
        let (salvaged, refilled) = match &set_aside {
            Some(aside) => refill(&mut engine, aside).map_err(at("saving the log of the damaged store"))?,
            None => (Vec::new(), false),
        };
        Ok(Opened { engine, set_aside, salvaged, created: created && !refilled })
    }
}

/// Fills a fresh store from the log of the one that was set aside, if that goes back to its beginning. Returns what the
/// log holds otherwise, and whether the store was filled.
fn refill(engine: &mut SledEngine, aside: &Path) -> io::Result<(Vec<Batch>, bool)> {
    let (batches, complete) = log::salvage(aside)?;
    if !complete || batches.is_empty() {
        return Ok((batches, false));
    }
    for batch in &batches {
        engine.apply(batch).map_err(io::Error::other)?;
    }
    engine.sync().map_err(io::Error::other)?;
    tracing::info!("the log held everything that was ever in the damaged store; nothing is lost");
    Ok((Vec::new(), true))
}

/// One try at what is in `dir`; `None` when sled did not answer in time.
fn try_open(dir: &Path, options: &Options, timed_out_opens: u32) -> Result<Option<Tried>, OpenError> {
    let at = |what| move |source| OpenError::Io { dir: dir.to_owned(), what, source };
    guards::begin_creation(dir).map_err(at("beginning a store"))?;
    if options.guards.remove_half_snapshots {
        guards::remove_half_snapshots(dir).map_err(at("removing half-written snapshots"))?;
    }
    let suspect = suspect_mark(dir).exists();
    let (path, guards) = (dir.to_owned(), options.guards);
    let (sender, receiver) = mpsc::channel();
    let config = sled::Config::new()
        .path(dir)
        .cache_capacity(options.cache_capacity)
        .segment_size(options.segment_bytes)
        .use_compression(false)
        // Only our own sync flushes, so that only our own sync decides what is durable.
        .flush_every_ms(None);
    thread::Builder::new()
        .name("store-open".into())
        .spawn(move || {
            let found = catch_unwind(AssertUnwindSafe(|| find(&config, &path, guards, suspect)))
                .unwrap_or_else(|panic| Found::Damaged(format!("sled panicked: {}", panic_text(&*panic))));
            // Nobody listens any more after a time-out; the store is then dropped here.
            let _late = sender.send(found);
        })
        .map_err(at("starting a thread"))?;

    let found = match receiver.recv_timeout(limit(options, timed_out_opens)) {
        Ok(found) => found,
        Err(RecvTimeoutError::Timeout) => return Ok(None),
        Err(RecvTimeoutError::Disconnected) => Found::Damaged("the thread that opened it ended without a word".into()),
    };
    match found {
        Found::Open(store) => {
            if suspect {
                fs::remove_file(suspect_mark(dir)).map_err(at("removing the suspect mark"))?;
            }
            Ok(Some(Tried::Open(store)))
        }
        Found::LogFailed(error) if is_full(&error) => Err(OpenError::Full { dir: dir.to_owned() }),
        Found::LogFailed(error) => Err(at("reading the log")(error)),
        Found::Newer(found) => Err(OpenError::NewerFormat { dir: dir.to_owned(), found, known: FORMAT }),
        Found::Damaged(why) => Ok(Some(Tried::Damaged(why))),
        Found::Failed(error) => judge(dir, error).map(Some),
    }
}

fn limit(options: &Options, timed_out_opens: u32) -> Duration {
    options.open_limit.saturating_mul(4_u32.saturating_pow(timed_out_opens))
}

/// The thread that still runs may write under this directory at any time. So the lock is never released in this
/// process, and the directory is neither renamed nor reused before it has ended.
fn timed_out(dir: &Path, options: &Options, mut holder: Holder) -> OpenError {
    let limit = limit(options, holder.timed_out_opens);
    let attempt = holder.timed_out_opens + 1;
    if let Err(error) = holder.remember_timed_out_opens(attempt) {
        tracing::warn!(%error, "could not remember that opening the store timed out");
    }
    std::mem::forget(holder);
    OpenError::TimedOut { dir: dir.to_owned(), limit, attempt }
}

/// Runs sled's open, reads what shows that this is a store of ours, and what its log adds.
fn find(config: &sled::Config, dir: &Path, guards: Guards, suspect: bool) -> Found {
    let db = match open_when_unlocked(config) {
        Ok(db) => db,
        Err(error) => return Found::Failed(error),
    };
    let marker = chunk::meta_key("format");
    let created = match db.get(&marker) {
        Ok(Some(bytes)) => match <[u8; 4]>::try_from(&*bytes).map(u32::from_be_bytes) {
            Ok(FORMAT) => false,
            Ok(newer) if newer > FORMAT => return Found::Newer(newer),
            _ => return Found::Damaged("its format marker is unreadable".into()),
        },
        Ok(None) if db.is_empty() => {
            // Durable before the first batch: flushed here, synced with everything else after open.
            if let Err(error) = db.insert(marker, &FORMAT.to_be_bytes()).and_then(|_| db.flush()) {
                return Found::Failed(error);
            }
            true
        }
        Ok(None) => return Found::Damaged("it has entries, but no format marker".into()),
        Err(error) => return Found::Failed(error),
    };
    let mark = match db.get(chunk::meta_key("log")) {
        Ok(None) => Mark::first(),
        Ok(Some(bytes)) => match Mark::decode(&bytes) {
            Some(mark) => mark,
            None => return Found::Damaged("its mark of the log is unreadable".into()),
        },
        Err(error) => return Found::Failed(error),
    };
    let (log, batches) = match Log::open(dir, &mark, guards) {
        Ok(Read::Whole(log, batches)) => (log, batches),
        Ok(Read::Gap(held, begun)) => {
            return Found::Damaged(format!("sled has lost records: it ends with {held}, the log begins after {begun}"));
        }
        Err(error) => return Found::LogFailed(error),
    };
    let mut recent = Recent::default();
    batches.iter().for_each(|batch| recent.apply(batch));
    if suspect && let Err(why) = check_all(&db, &recent) {
        return Found::Damaged(format!("a full check after a failed read found that {why}"));
    }
    let created = created && recent.is_empty();
    Found::Open(Store { db, log, recent, created })
}

/// Reads everything, as a read that failed in the last run asked for. It is not done at every open: on a hub it takes
/// minutes. What is recent may lie half-written in sled, where a checkpoint was cut; it is written again by the next.
fn check_all(db: &sled::Db, recent: &Recent) -> Result<(), String> {
    for pair in db.iter() {
        let (key, entry) = pair.map_err(|error| error.to_string())?;
        let Some(key) = chunk::plain_key(&key).filter(|key| recent.get(key).is_none()) else { continue };
        match chunk::decode(&entry) {
            Some(Entry::Whole(_)) => {}
            Some(Entry::Chunked { length, chunks }) => {
                let mut found = 0;
                for number in 0..chunks {
                    let bytes = db.get(chunk::chunk_key(key, number)).map_err(|error| error.to_string())?;
                    found += bytes.ok_or("a chunk of a value is missing")?.len();
                }
                if found != length {
                    return Err(format!("a value has {found} bytes in its chunks, not {length}"));
                }
            }
            None => return Err("an entry is not in the store's format".into()),
        }
    }
    Ok(())
}

fn open_when_unlocked(config: &sled::Config) -> sled::Result<sled::Db> {
    let mut tries = 0;
    loop {
        match config.open() {
            Err(sled::Error::Io(error)) if is_sled_lock(&error) && tries < LOCK_TRIES => {
                tries += 1;
                thread::sleep(LOCK_PAUSE);
            }
            result => return result,
        }
    }
}

/// sled wraps the failed lock in an error without a code, so its words are all there is to tell it by.
fn is_sled_lock(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::Other && error.to_string().starts_with("could not acquire lock")
}

/// Tells damage, which is set aside, from what is wrong around the store, which is not.
fn judge(dir: &Path, error: sled::Error) -> Result<Tried, OpenError> {
    let dir = dir.to_owned();
    match error {
        sled::Error::Io(error) if is_sled_lock(&error) => Err(OpenError::Held { dir, pid: None }),
        sled::Error::Io(error) if is_full(&error) => Err(OpenError::Full { dir }),
        sled::Error::Io(source) if is_of_the_system(&source) => Err(OpenError::Io { dir, what: "sled", source }),
        sled::Error::Unsupported(why) if settings_are_whole(&dir) => Err(OpenError::Unsupported { dir, why }),
        damage => Ok(Tried::Damaged(damage.to_string())),
    }
}

/// Whether the fault lies with the system or the disk: permissions, memory, too many open files, a failing medium.
fn is_of_the_system(error: &io::Error) -> bool {
    use io::ErrorKind::{OutOfMemory, PermissionDenied, ReadOnlyFilesystem, ResourceBusy, TimedOut};
    const EIO: i32 = 5;
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.kind(), OutOfMemory | PermissionDenied | ReadOnlyFilesystem | ResourceBusy | TimedOut)
        || matches!(error.raw_os_error(), Some(EIO | ENFILE | EMFILE))
}

/// Whether sled's `conf` reads as settings that a sled could have written. If it does, sled's refusal is about the
/// options; if not, the file is damaged.
fn settings_are_whole(dir: &Path) -> bool {
    let Ok(bytes) = fs::read(dir.join("conf")) else { return true };
    let text = String::from_utf8_lossy(&bytes);
    let value = |label: &str| text.lines().find_map(|line| line.strip_prefix(label)).map(str::trim);
    value("segment_size: ").and_then(|size| size.parse::<usize>().ok()).is_some_and(usize::is_power_of_two)
        && value("use_compression: ").is_some_and(|compressed| compressed.parse::<bool>().is_ok())
        && value("version: ").is_some_and(|version| version.split('.').all(|part| part.parse::<u32>().is_ok()))
}

/// The mark that asks the next open for a full check.
pub(crate) fn suspect_mark(dir: &Path) -> PathBuf {
    beside(dir, "suspect")
}

/// Renames `dir` to the first free `<dir>.damaged-<n>` and makes an empty `dir`, both durable.
fn set_aside(dir: &Path) -> io::Result<PathBuf> {
    let aside = (1..=u32::MAX).map(|n| beside(dir, &format!("damaged-{n}"))).find(|path| !path.exists());
    let aside = aside.ok_or_else(|| io::Error::other("no free name to set the store aside under"))?;
    fs::rename(dir, &aside)?;
    if suspect_mark(dir).exists() {
        fs::remove_file(suspect_mark(dir))?;
    }
    fs::create_dir(dir)?;
    guards::sync_directory(guards::parent_of(dir))?;
    Ok(aside)
}
