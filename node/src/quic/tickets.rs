//! TLS session tickets, with which a device sends early data.
//!
//! A hub gives a device some tickets on each connection. A ticket is valid for one connection: the hub forgets it when it is used.
//! Early data comes before the handshake has ended, and somebody on the path could have recorded it and sent it again; receiving an
//! edit twice has no effect, so a replay does no harm. A ticket does not say who is a member: the core checks the roster on every
//! connection.
//!
//! Left out on purpose: tickets on a device's disk (its first connection after a start takes the whole handshake), and syncing the
//! hub's file (a lost ticket costs its device two flights, once).

use crate::error::NodeError;
use rustls::NamedGroup;
use rustls::client::{ClientSessionStore, Tls12ClientSessionValue, Tls13ClientSessionValue};
use rustls::pki_types::ServerName;
use rustls::server::StoresServerSessions;
use std::collections::{HashMap, VecDeque};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Tickets that a hub gives on each connection.
pub(crate) const TICKETS_GIVEN: usize = 4;
/// Sessions that a hub remembers; the oldest go first.
const SESSIONS_MAX: usize = 32_768;
/// Bytes of a session: a device's key, a secret and a few numbers.
const SESSION_BYTES_MAX: usize = 2_048;
/// Tickets that a device keeps.
const TICKETS_MAX: usize = 32;
/// Tickets that a device reserves for attempts that are likely to arrive.
const TICKETS_RESERVED: usize = 4;

/// A hub's sessions, in memory and in a file, so that tickets outlive a restart.
#[derive(Debug)]
pub(crate) struct TlsSessions(Mutex<Inner>);

#[derive(Debug)]
struct Inner {
    path: PathBuf,
    file: File,
    held: HashMap<Vec<u8>, Vec<u8>>,
    /// Keys in the order in which they were put; some may be taken already.
    order: VecDeque<Vec<u8>>,
    /// Records in the file.
    records: usize,
}

impl TlsSessions {
    /// Those in the file at `path`, which is made for its owner alone if it is not there.
    pub(crate) fn open(path: &Path) -> Result<Self, NodeError> {
        let (mut held, mut order) = (HashMap::new(), VecDeque::new());
        let bytes = match fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(NodeError::file("read", path)(error)),
        };
        let mut rest = bytes.as_slice();
        // A record that a killed process left half-written ends the file.
        while let Some((key, value, next)) = decode_record(rest) {
            if value.is_empty() {
                held.remove(key);
            } else if held.insert(key.to_vec(), value.to_vec()).is_none() {
                order.push_back(key.to_vec());
            }
            rest = next;
        }
        let file = rewrite(path, &held, &mut order).map_err(NodeError::file("write", path))?;
        let records = held.len();
        Ok(Self(Mutex::new(Inner { path: path.to_owned(), file, held, order, records })))
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Writes down that a session came or, with no value, went.
    fn append(&mut self, key: &[u8], value: &[u8]) {
        self.records += 1;
        let written = if self.records > 4 * SESSIONS_MAX.min(self.held.len() + 1_024) {
            self.records = self.held.len();
            rewrite(&self.path, &self.held, &mut self.order).map(|file| self.file = file)
        } else {
            self.file.write_all(&encode_record(key, value))
        };
        if let Err(error) = written {
            tracing::warn!("{}: {error}; after a restart devices take two flights more, once", self.path.display());
        }
    }
}

/// One record: lengths of key and value, two bytes each, then both. An empty value: the session is gone.
fn encode_record(key: &[u8], value: &[u8]) -> Vec<u8> {
    let length = |bytes: &[u8]| u16::try_from(bytes.len()).unwrap_or_default().to_be_bytes();
    [&length(key), &length(value), key, value].concat()
}

fn decode_record(bytes: &[u8]) -> Option<(&[u8], &[u8], &[u8])> {
    let (lengths, rest) = bytes.split_first_chunk::<4>()?;
    let (key, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([lengths[0], lengths[1]])))?;
    let (value, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes([lengths[2], lengths[3]])))?;
    Some((key, value, rest))
}

/// Writes what is held into a new file, oldest first, and goes on in that.
fn rewrite(path: &Path, held: &HashMap<Vec<u8>, Vec<u8>>, order: &mut VecDeque<Vec<u8>>) -> io::Result<File> {
    order.retain(|key| held.contains_key(key));
    let part = path.with_extension("part");
    let mut file = crate::folder::create_private(&part)?;
    for key in order.iter() {
        file.write_all(&encode_record(key, &held[key]))?;
    }
    fs::rename(&part, path)?;
    Ok(file)
}

impl StoresServerSessions for TlsSessions {
    fn put(&self, key: Vec<u8>, value: Vec<u8>) -> bool {
        if value.is_empty() || value.len() > SESSION_BYTES_MAX {
            return false;
        }
        let mut inner = self.inner();
        while inner.held.len() >= SESSIONS_MAX {
            let Some(oldest) = inner.order.pop_front() else { break };
            inner.held.remove(&oldest);
        }
        inner.held.insert(key.clone(), value.clone());
        inner.append(&key, &value);
        inner.order.push_back(key);
        true
    }

    fn get(&self, key: &[u8]) -> Option<Vec<u8>> {
        self.inner().held.get(key).cloned()
    }

    fn take(&self, key: &[u8]) -> Option<Vec<u8>> {
        let mut inner = self.inner();
        let value = inner.held.remove(key)?;
        inner.append(key, &[]);
        Some(value)
    }

    fn can_cache(&self) -> bool {
        true
    }
}

/// A device's tickets for one peer.
#[derive(Debug, Default)]
pub(crate) struct Tickets {
    held: Mutex<VecDeque<Tls13ClientSessionValue>>,
    urgent: AtomicBool,
}

impl Tickets {
    /// Whether the next connections may use the reserved tickets, because they are likely to arrive.
    pub(crate) fn set_urgent(&self, urgent: bool) {
        self.urgent.store(urgent, Ordering::Relaxed);
    }

    /// Whether the next connection is likely to arrive and there is a ticket for it.
    pub(crate) fn has_urgent_ticket(&self) -> bool {
        self.urgent.load(Ordering::Relaxed) && !self.held().is_empty()
    }

    fn held(&self) -> MutexGuard<'_, VecDeque<Tls13ClientSessionValue>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientSessionStore for Tickets {
    fn set_kx_hint(&self, _: ServerName<'static>, _: NamedGroup) {}

    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        None
    }

    fn set_tls12_session(&self, _: ServerName<'static>, _: Tls12ClientSessionValue) {}

    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        None
    }

    fn remove_tls12_session(&self, _: &ServerName<'static>) {}

    fn insert_tls13_ticket(&self, _: ServerName<'static>, ticket: Tls13ClientSessionValue) {
        let mut held = self.held();
        if held.len() >= TICKETS_MAX {
            held.pop_front();
        }
        held.push_back(ticket);
    }

    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        let mut held = self.held();
        let kept = if self.urgent.load(Ordering::Relaxed) { 0 } else { TICKETS_RESERVED };
        if held.len() > kept { held.pop_back() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A ticket is good once, also after a restart, and whatever a dying process left behind.
    #[test]
    fn sessions_outlive_a_restart() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("tickets");
        let sessions = TlsSessions::open(&path).expect("a new file");
        for number in 0..5_u8 {
            assert!(sessions.put(vec![number], vec![number; 40]));
        }
        assert_eq!(sessions.take(&[3]), Some(vec![3; 40]));
        assert_eq!(sessions.take(&[3]), None);
        drop(sessions);
        let mut torn = File::options().append(true).open(&path).expect("it is there");
        torn.write_all(&encode_record(&[9], &[9; 40])[..20]).expect("it is writable");
        let sessions = TlsSessions::open(&path).expect("a file with a torn end");
        assert_eq!(sessions.take(&[3]), None, "a ticket came back");
        assert_eq!(sessions.take(&[9]), None, "half a ticket came back");
        assert_eq!(sessions.take(&[4]), Some(vec![4; 40]));
        assert!(!sessions.put(vec![1], vec![0; SESSION_BYTES_MAX + 1]));
    }

    /// However many come, a bounded number is held, the newest.
    #[test]
    fn sessions_are_bounded() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let sessions = TlsSessions::open(&folder.path().join("tickets")).expect("a new file");
        let count = u32::try_from(SESSIONS_MAX).expect("it is small") + 10;
        for number in 0..count {
            sessions.put(number.to_be_bytes().to_vec(), vec![1]);
        }
        assert_eq!(sessions.get(&9_u32.to_be_bytes()), None);
        assert!(sessions.get(&10_u32.to_be_bytes()).is_some());
    }
}
