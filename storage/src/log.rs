//! The write-ahead log: what makes a batch durable.
//!
//! sled needs more than one flush and one sync to be safe, and a power cut in the midst of its writing is what it
//! stands worst. So batches become durable here, by one append and one `fdatasync` of a file that is otherwise left
//! alone, and reach sled at checkpoints only: many of them at once, after which sled is synced and rests again.
//!
//! # Files
//!
//! `log.0` and `log.1`, in the store's directory beside sled's own files (sled looks at none but `conf`, `db`, `blobs`
//! and `snap.*`). One is written from its beginning to the next checkpoint, then the other. So when a checkpoint retires
//! a file, its records stay until the checkpoint after that: should sled come back as it was one checkpoint ago, they
//! are replayed.
//!
//! A file holds one file header, then records without gaps, then whatever was there before: zeros, or what is left of
//! an earlier round. It grows by whole extents of 256 KiB and never shrinks, because overwriting is what makes
//! `fdatasync` cheap: no length has to be written. All numbers are unsigned and big endian.
//!
//! | offset | bytes | file header |
//! |---|---|---|
//! | 0 | 8 | `creellog` |
//! | 8 | 8 | the number of the last record before this file; 0 before the very first |
//! | 16 | 32 | the chain after that record; before the very first, BLAKE3 of `creel log 1` |
//! | 48 | 16 | the first bytes of BLAKE3 of the 48 before |
//!
//! | offset | bytes | record |
//! |---|---|---|
//! | 0 | 4 | length of the writes, at least 1 |
//! | 4 | 8 | number of the record: one more than the one before |
//! | 12 | 16 | check: the first bytes of BLAKE3, keyed with the chain in the file's header, of the 12 bytes before and the writes |
//! | 28 | length | the writes, in the order they were applied |
//!
//! | offset | bytes | write |
//! |---|---|---|
//! | 0 | 1 | length of the key |
//! | 1 | that | key |
//! | then | 4 | length of the value; `0xffff_ffff` removes the key |
//! | then | that | value |
//!
//! The chain after a record is BLAKE3, keyed with the chain before it, of the record's first 12 bytes and its writes. The
//! check is keyed with the chain at the file's beginning, and the numbers have no gaps. So a record is taken only in its
//! file and place: nothing left from an earlier round, or by another store, or planted inside a value by somebody who hopes
//! that it will be read as a record, ever follows on.
//!
//! sled holds, under `m` `log`, how far it has come: the number and the chain of the last record it contains, and the file
//! (0 or 1) that goes on from there; 41 bytes, of which the number takes 8 and the chain 32. A checkpoint writes it last.
//!
//! # Reading
//!
//! A checkpoint that was cut may have left any part of its writes in sled, but not its mark; the same records are then
//! replayed over them, which puts every key right that it touched.
//!
//! From what sled holds, through the file it names, then through the other if that goes on from there. The first record
//! that is not whole ends it: only the last can be torn, because each is synced before the next is written. A disk is
//! taken to write a sector whole or not at all. A whole record *behind* one that is not shows that the disk has lost what was
//! synced, and a whole header that begins beyond the end that sled has lost a checkpoint for which there are no records any
//! more: the store is damaged.

use std::fs::{self, File};
use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use creel_protocol::store::Batch;

use crate::guards::Guards;

const MAGIC: &[u8; 8] = b"creellog";
const FILE_HEADER_BYTES: usize = 64;
const RECORD_HEADER_BYTES: usize = 28;
const EXTENT_BYTES: u64 = 256 * 1024;
const REMOVED: u32 = u32::MAX;
/// The greatest length of one record's writes; a batch that is longer is refused.
pub(crate) const WRITES_BYTES_MAX: usize = 1 << 30;

/// A place between two records.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Place {
    /// The number of the record before it.
    number: u64,
    chain: [u8; 32],
}

impl Place {
    fn first() -> Self {
        Self { number: 0, chain: *blake3::hash(b"creel log 1").as_bytes() }
    }

    /// The place after a record with these writes, and the head that belongs before them in a file that begins with the
    /// chain `key`.
    fn after(&self, key: &[u8; 32], writes: &[u8]) -> (Self, [u8; RECORD_HEADER_BYTES]) {
        let length = u32::try_from(writes.len()).expect("the engine refuses batches longer than WRITES_BYTES_MAX");
        let number = self.number + 1;
        let mut head = [0; RECORD_HEADER_BYTES];
        head[..4].copy_from_slice(&length.to_be_bytes());
        head[4..12].copy_from_slice(&number.to_be_bytes());
        let check = check_of(key, &head[..12], writes);
        head[12..].copy_from_slice(&check);
        let chain = *blake3::Hasher::new_keyed(&self.chain).update(&head[..12]).update(writes).finalize().as_bytes();
        (Self { number, chain }, head)
    }

    fn file_header(&self) -> [u8; FILE_HEADER_BYTES] {
        let mut header = [0; FILE_HEADER_BYTES];
        header[..8].copy_from_slice(MAGIC);
        header[8..16].copy_from_slice(&self.number.to_be_bytes());
        header[16..48].copy_from_slice(&self.chain);
        let check = blake3::hash(&header[..48]);
        header[48..].copy_from_slice(&check.as_bytes()[..16]);
        header
    }

    /// The place at which a file with these bytes begins; `None` where its header is not whole.
    fn of_file(bytes: &[u8]) -> Option<Self> {
        let header = bytes.first_chunk::<FILE_HEADER_BYTES>()?;
        let place =
            Self { number: u64::from_be_bytes(header[8..16].try_into().ok()?), chain: header[16..48].try_into().ok()? };
        (place.file_header() == *header).then_some(place)
    }
}

/// The check of a record.
fn check_of(key: &[u8; 32], head: &[u8], writes: &[u8]) -> [u8; 16] {
    let mut check = [0; 16];
    check.copy_from_slice(&blake3::Hasher::new_keyed(key).update(head).update(writes).finalize().as_bytes()[..16]);
    check
}

/// How far sled has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    place: Place,
    /// The file that goes on from there.
    file: u8,
}

impl Mark {
    /// That of a store without a checkpoint.
    pub(crate) fn first() -> Self {
        Self { place: Place::first(), file: 0 }
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        [&self.place.number.to_be_bytes()[..], &self.place.chain, &[self.file]].concat()
    }

    /// `None` when these bytes were never a mark.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let (number, rest) = bytes.split_first_chunk::<8>()?;
        let (chain, rest) = rest.split_first_chunk::<32>()?;
        let [file @ (0 | 1)] = *rest else { return None };
        Some(Self { place: Place { number: u64::from_be_bytes(*number), chain: *chain }, file })
    }
}

/// The log, open for writing.
#[derive(Debug)]
pub(crate) struct Log {
    dir: PathBuf,
    sync: bool,
    /// Which of the two files is written, and our handle on it.
    number: u8,
    file: File,
    /// The end of the last record; 0 before the first.
    end: u64,
    length: u64,
    place: Place,
    /// The chain at the file's beginning.
    key: [u8; 32],
}

/// What was read on opening.
#[derive(Debug)]
pub(crate) enum Read {
    /// The log, and the records that sled does not contain, in order.
    Whole(Log, Vec<Batch>),
    /// Records are missing between what sled holds and what the log begins with: these numbers.
    Gap(u64, u64),
}

impl Log {
    /// Reads what follows `mark`. Both files exist afterwards; their names are not durable before the directory is synced.
    pub(crate) fn open(dir: &Path, mark: &Mark, guards: Guards) -> io::Result<Read> {
        let contents = [read(dir, 0)?, read(dir, 1)?];
        let mut records = Vec::new();
        let mut place = mark.place;
        let mut key = place.chain;
        let (mut number, mut end) = (mark.file, 0);
        for file in [mark.file, 1 - mark.file] {
            let bytes = &contents[usize::from(file)];
            if Place::of_file(bytes) != Some(place) {
                break;
            }
            key = place.chain;
            (number, end) = (file, records_of(bytes, &mut place, guards.check_records, &mut records));
            if let Some((_, later)) = later_record(bytes, end, &key, place.number).filter(|_| guards.check_records) {
                return Ok(Read::Gap(place.number, later));
            }
        }
        for begun in contents.iter().filter_map(|bytes| Place::of_file(bytes)) {
            if begun.number > place.number {
                return Ok(Read::Gap(place.number, begun.number));
            }
        }
        let file = handle(dir, number)?;
        let length = file.metadata()?.len();
        let end = end as u64;
        Ok(Read::Whole(
            Self { dir: dir.to_owned(), sync: guards.sync_log, number, file, end, length, place, key },
            records,
        ))
    }

    /// Appends one record, durable on return. After an error the log is not to be written to any more.
    pub(crate) fn append(&mut self, writes: &[u8]) -> io::Result<()> {
        if self.end == 0 {
            self.key = self.place.chain;
        }
        let (place, head) = self.place.after(&self.key, writes);
        let mut bytes = Vec::with_capacity(FILE_HEADER_BYTES + RECORD_HEADER_BYTES + writes.len());
        if self.end == 0 {
            bytes.extend_from_slice(&self.place.file_header());
        }
        bytes.extend_from_slice(&head);
        bytes.extend_from_slice(writes);
        let end = self.end + bytes.len() as u64;
        if end > self.length {
            // Zeros and not a hole: filling a hole later would cost as much as growing.
            self.length = end.next_multiple_of(EXTENT_BYTES);
            bytes.resize(usize::try_from(self.length - self.end).map_err(io::Error::other)?, 0);
        }
        self.file.seek(SeekFrom::Start(self.end))?;
        self.file.write_all(&bytes)?;
        if self.sync {
            self.file.sync_data()?;
        }
        self.end = end;
        self.place = place;
        Ok(())
    }

    /// How many bytes lie in the file that is being written.
    pub(crate) fn bytes(&self) -> u64 {
        self.end
    }

    /// The mark for sled to hold when it contains every record so far.
    pub(crate) fn next_mark(&self) -> Mark {
        Mark { place: self.place, file: 1 - self.number }
    }

    /// Goes on in the other file, once sled holds `next_mark` durably. Nothing is written: the file's old records are of
    /// no use any more, and the next record overwrites its header.
    pub(crate) fn switch(&mut self) -> io::Result<()> {
        let number = 1 - self.number;
        let file = handle(&self.dir, number)?;
        self.length = file.metadata()?.len();
        (self.file, self.number, self.end) = (file, number, 0);
        Ok(())
    }
}

/// What can be saved of the log in `dir` without its sled: every whole record, in order, and whether they are all there
/// ever were.
pub(crate) fn salvage(dir: &Path) -> io::Result<(Vec<Batch>, bool)> {
    let mut files = Vec::new();
    for number in [0, 1] {
        let bytes = fs::read(path(dir, number)).or_else(|error| absent_is_empty(&error).ok_or(error))?;
        files.extend(Place::of_file(&bytes).map(|begun| (begun, bytes)));
    }
    files.sort_by_key(|(begun, _)| begun.number);
    let mut all = Vec::new();
    let mut end = Place::first();
    let mut complete = true;
    for (begun, bytes) in files {
        complete &= begun == end;
        end = begun;
        let mut at = records_of(&bytes, &mut end, true, &mut all);
        // What lies behind a record that rotted is whole by itself.
        while let Some((place, number)) = later_record(&bytes, at, &begun.chain, end.number) {
            complete = false;
            end.number = number - 1;
            at = read_records(&bytes, place, &begun.chain, &mut end, true, &mut all);
        }
    }
    Ok((all, complete))
}

fn path(dir: &Path, number: u8) -> PathBuf {
    dir.join(format!("log.{number}"))
}

fn handle(dir: &Path, number: u8) -> io::Result<File> {
    File::options().read(true).write(true).create(true).truncate(false).open(path(dir, number))
}

fn read(dir: &Path, number: u8) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    io::Read::read_to_end(&mut handle(dir, number)?, &mut bytes)?;
    Ok(bytes)
}

fn absent_is_empty(error: &io::Error) -> Option<Vec<u8>> {
    (error.kind() == io::ErrorKind::NotFound).then(Vec::new)
}

/// Reads a file's records, which begin at `place`, moves `place` along, and returns where the last one ends.
fn records_of(bytes: &[u8], place: &mut Place, check: bool, records: &mut Vec<Batch>) -> usize {
    let key = place.chain;
    read_records(bytes, FILE_HEADER_BYTES, &key, place, check, records)
}

/// A whole record of this file behind `from` whose number is beyond the next one: where it lies, and its number.
fn later_record(bytes: &[u8], from: usize, key: &[u8; 32], number: u64) -> Option<(usize, u64)> {
    // No file holds so many.
    let numbers = number + 2..number + 1 + EXTENT_BYTES * 4_096;
    (from..bytes.len().saturating_sub(RECORD_HEADER_BYTES)).find_map(|at| {
        let (head, rest) = bytes[at..].split_first_chunk::<RECORD_HEADER_BYTES>()?;
        let found = u64::from_be_bytes(head[4..12].try_into().ok()?);
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        let writes = rest.get(..length).filter(|_| numbers.contains(&found))?;
        (check_of(key, &head[..12], writes) == head[12..]).then_some((at, found))
    })
}

fn read_records(
    bytes: &[u8],
    from: usize,
    key: &[u8; 32],
    place: &mut Place,
    check: bool,
    records: &mut Vec<Batch>,
) -> usize {
    let mut end = from;
    while let Some((head, rest)) = bytes.get(end..).and_then(<[u8]>::split_first_chunk::<RECORD_HEADER_BYTES>) {
        let length = u32::from_be_bytes([head[0], head[1], head[2], head[3]]) as usize;
        if length == 0 || head[4..12] != (place.number + 1).to_be_bytes() {
            break;
        }
        let Some(writes) = rest.get(..length) else { break };
        let (after, expected) = place.after(key, writes);
        if check && expected != *head {
            break;
        }
        let Some(batch) = decode(writes) else { break };
        records.push(batch);
        *place = after;
        end += RECORD_HEADER_BYTES + length;
    }
    end
}

/// Appends a batch's writes to `writes`.
pub(crate) fn encode(batch: &Batch, writes: &mut Vec<u8>) {
    for (key, value) in batch.writes() {
        writes.push(u8::try_from(key.len()).expect("the engine refuses keys longer than 255 bytes"));
        writes.extend_from_slice(key);
        let length =
            value.map_or(REMOVED, |value| u32::try_from(value.len()).expect("the engine refuses longer batches"));
        writes.extend_from_slice(&length.to_be_bytes());
        writes.extend_from_slice(value.unwrap_or_default());
    }
}

fn decode(mut writes: &[u8]) -> Option<Batch> {
    let mut batch = Batch::default();
    while let Some((&key_length, rest)) = writes.split_first() {
        let (key, rest) = rest.split_at_checked(usize::from(key_length))?;
        let (length, rest) = rest.split_first_chunk::<4>()?;
        writes = match u32::from_be_bytes(*length) {
            REMOVED => {
                batch.remove(key.to_vec());
                rest
            }
            length => {
                let (value, rest) = rest.split_at_checked(length as usize)?;
                batch.put(key.to_vec(), value.to_vec());
                rest
            }
        };
    }
    Some(batch)
}

#[cfg(test)]
mod tests;
