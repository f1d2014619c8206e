//! Connections of one device side by side: it dials anew when its road was cut, and the old connection does not know yet.
//!
//! Until the new one has proven itself the old one is only held back: it is still listened to, because what was repeated on it
//! may be under way, and acknowledges that; but nothing is told on it that is told on the new one too. When the handshake of the
//! new one has ended the device has chosen it, and the old one is closed. Both come from one address, the socket of one
//! process: a clone of the device, at another address, is another peer and keeps its own connection.

use crate::link::CLOSE_DONE;
use creel_protocol::id::DeviceKey;
use quinn::Connection;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A connection that began later than this before another is no older one: of attempts made one after the other the first to
/// arrive need not be the first that was made.
const OLDER: Duration = Duration::from_secs(1);

/// The connections that were accepted, by device.
#[derive(Debug, Clone, Default)]
pub(crate) struct Abreast(Arc<Mutex<HashMap<DeviceKey, Vec<Lane>>>>);

#[derive(Debug)]
struct Lane {
    id: usize,
    address: SocketAddr,
    began: Instant,
    connection: Connection,
    /// How many newer connections wait to take its place.
    held_by: watch::Sender<usize>,
}

/// A connection among those of its device, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Place {
    all: Abreast,
    device: DeviceKey,
    id: usize,
    /// The older ones that are held back by it.
    older: Vec<usize>,
    /// Whether it is held back itself.
    pub(crate) held_by: watch::Receiver<usize>,
}

impl Abreast {
    fn lanes(&self) -> MutexGuard<'_, HashMap<DeviceKey, Vec<Lane>>> {
        // Nothing is awaited while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection begins; older ones from the same address are held back.
    pub(crate) fn begin(&self, device: DeviceKey, connection: &Connection) -> Place {
        let (id, address, began) = (connection.stable_id(), connection.remote_address(), Instant::now());
        let (held_by, held) = watch::channel(0);
        let mut all = self.lanes();
        let lanes = all.entry(device).or_default();
        let older = lanes.iter().filter(|lane| lane.address == address && began - lane.began >= OLDER);
        let older: Vec<usize> = older
            .map(|lane| {
                lane.held_by.send_modify(|count| *count += 1);
                lane.id
            })
            .collect();
        lanes.push(Lane { id, address, began, connection: connection.clone(), held_by });
        drop(all);
        Place { all: self.clone(), device, id, older, held_by: held }
    }
}

impl Place {
    /// The device has answered on this connection: it needs the older ones no more.
    pub(crate) fn chosen(&self) {
        let all = self.all.lanes();
        for lane in all.get(&self.device).into_iter().flatten().filter(|lane| self.older.contains(&lane.id)) {
            lane.connection.close(CLOSE_DONE, b"a newer connection took its place");
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut all = self.all.lanes();
        let Some(lanes) = all.get_mut(&self.device) else { return };
        lanes.retain(|lane| lane.id != self.id);
        // Such as it has not replaced go on.
        for lane in lanes.iter().filter(|lane| self.older.contains(&lane.id)) {
            lane.held_by.send_modify(|count| *count -= 1);
        }
        if lanes.is_empty() {
            all.remove(&self.device);
        }
    }
}
