//! How a value lies in sled: whole beside its key when it is small, otherwise in chunks.
//!
//! sled writes whatever is larger than a quarter of a segment to a file of its own under `blobs/`, and never syncs it.
//! What it writes is at times a whole leaf, and a leaf holds up to 17 entries; so an entry must stay so small that 17
//! of them, with the longest keys, fit. 4 KiB in a segment of 512 KiB do: 17 * (4096 + 261) bytes is 72 KiB of 128.
//!
//! Keys begin with a tag, so that chunks lie outside the range that any scan of values reads:
//!
//! | key | value |
//! |---|---|
//! | `c` key number (u32, big endian) | that chunk of the value of `key` |
//! | `d` key | `0` and the value, or `1`, the value's length (u32, big endian) and the number of its chunks (u32, big endian) |
//! | `m` name | facts about the store itself |

const CHUNK: u8 = b'c';
const DATA: u8 = b'd';
const META: u8 = b'm';
const WHOLE: u8 = 0;
const CHUNKED: u8 = 1;

/// What lies under a data key.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Entry<'a> {
    /// The value itself.
    Whole(&'a [u8]),
    /// Where to find it: `chunks` chunks, together `length` bytes.
    Chunked { length: usize, chunks: u32 },
}

pub(crate) fn data_key(key: &[u8]) -> Vec<u8> {
    tagged(DATA, key)
}

/// The key whose value lies under `data_key`; `None` where that is no data key.
pub(crate) fn plain_key(data_key: &[u8]) -> Option<&[u8]> {
    data_key.strip_prefix(&[DATA])
}

pub(crate) fn meta_key(name: &str) -> Vec<u8> {
    tagged(META, name.as_bytes())
}

/// The number is of fixed length, so no key and number can be read as another key and number.
pub(crate) fn chunk_key(key: &[u8], number: u32) -> Vec<u8> {
    let mut bytes = tagged(CHUNK, key);
    bytes.extend_from_slice(&number.to_be_bytes());
    bytes
}

fn tagged(tag: u8, rest: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(1 + rest.len() + 4);
    bytes.push(tag);
    bytes.extend_from_slice(rest);
    bytes
}

/// What to store for `value`: the entry, and the chunks where it needs them. `None` when it is too long for any store
/// (4 GiB), which no batch of creel's comes near.
pub(crate) fn encode(value: &[u8], entry_bytes_max: usize) -> Option<(Vec<u8>, Vec<&[u8]>)> {
    if value.len() < entry_bytes_max {
        let mut entry = Vec::with_capacity(1 + value.len());
        entry.push(WHOLE);
        entry.extend_from_slice(value);
        return Some((entry, Vec::new()));
    }
    let chunks: Vec<&[u8]> = value.chunks(entry_bytes_max).collect();
    let mut entry = vec![CHUNKED];
    entry.extend_from_slice(&u32::try_from(value.len()).ok()?.to_be_bytes());
    entry.extend_from_slice(&u32::try_from(chunks.len()).ok()?.to_be_bytes());
    Some((entry, chunks))
}

/// `None` when these bytes were never an entry: the store is damaged.
pub(crate) fn decode(entry: &[u8]) -> Option<Entry<'_>> {
    match entry.split_first()? {
        (&WHOLE, value) => Some(Entry::Whole(value)),
        (&CHUNKED, rest) => {
            let (length, chunks) = rest.split_first_chunk::<4>()?;
            Some(Entry::Chunked {
                length: usize::try_from(u32::from_be_bytes(*length)).ok()?,
                chunks: u32::from_be_bytes(chunks.try_into().ok()?),
            })
        }
        _ => None,
    }
}
