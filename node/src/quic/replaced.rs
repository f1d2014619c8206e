//! Connections of one device at the same time: a device that lost its network dials again while its old connection is still open here.
//!
//! Until the new connection is confirmed the old one is only paused: it still receives, because repeated edits may be under way on
//! it, and acknowledges them; but edits and roster entries wait, because the new one carries them too. When the new one's handshake
//! has ended, the device has chosen it, and the old one is closed. Both come from one address, the socket of one process: a clone of
//! the device, at another address, is another peer and keeps its own connection.

use super::transport::CLOSE_DONE;
use creel_protocol::id::DeviceKey;
use quinn::Connection;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::watch;

/// A connection counts as older than another if it began at least this long before: attempts made in quick succession may arrive in
/// another order.
const OLDER_BY: Duration = Duration::from_secs(1);

/// The part of a connection that is used here; a trait, so that tests need no network.
pub(crate) trait Accepted: Clone {
    /// The peer's address.
    fn address(&self) -> SocketAddr;
    /// Closes it, because a newer connection has replaced it.
    fn close_replaced(&self);
}

impl Accepted for Connection {
    fn address(&self) -> SocketAddr {
        self.remote_address()
    }

    fn close_replaced(&self) {
        self.close(CLOSE_DONE, b"a newer connection took its place");
    }
}

/// The accepted connections, by device.
#[derive(Debug, Clone)]
pub(crate) struct ConnectionsByDevice<C = Connection>(Arc<Mutex<State<C>>>);

#[derive(Debug)]
struct State<C> {
    by_device: HashMap<DeviceKey, Vec<AcceptedConnection<C>>>,
    /// The id of the next connection: no id is given twice.
    next_id: u64,
}

#[derive(Debug)]
struct AcceptedConnection<C> {
    id: u64,
    address: SocketAddr,
    began: Instant,
    connection: C,
    /// How many newer connections may replace it.
    newer: watch::Sender<usize>,
}

/// A connection among those of its device, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Registration<C: Accepted = Connection> {
    all: ConnectionsByDevice<C>,
    device: DeviceKey,
    id: u64,
    /// The older connections that it may replace.
    older: Vec<u64>,
    /// How many newer connections may replace it.
    pub(crate) newer: watch::Receiver<usize>,
}

impl<C> Default for ConnectionsByDevice<C> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(State { by_device: HashMap::new(), next_id: 0 })))
    }
}

impl<C: Accepted> ConnectionsByDevice<C> {
    fn state(&self) -> MutexGuard<'_, State<C>> {
        // A std Mutex, because nothing is awaited while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Registers a new connection, which pauses older ones from the same address.
    pub(crate) fn register(&self, device: DeviceKey, connection: &C) -> Registration<C> {
        self.register_at(Instant::now(), device, connection)
    }

    fn register_at(&self, began: Instant, device: DeviceKey, connection: &C) -> Registration<C> {
        let address = connection.address();
        let (newer, newer_count) = watch::channel(0);
        let mut all = self.state();
        let id = all.next_id;
        all.next_id += 1;
        let connections = all.by_device.entry(device).or_default();
        let older = connections.iter().filter(|other| other.address == address && began - other.began >= OLDER_BY);
        let older: Vec<u64> = older
            .map(|other| {
                other.newer.send_modify(|count| *count += 1);
                other.id
            })
            .collect();
        connections.push(AcceptedConnection { id, address, began, connection: connection.clone(), newer });
        drop(all);
        Registration { all: self.clone(), device, id, older, newer: newer_count }
    }
}

impl<C: Accepted> Registration<C> {
    /// Closes the older connections, because the device has answered on this one.
    pub(crate) fn confirm(&self) {
        let all = self.all.state();
        for other in
            all.by_device.get(&self.device).into_iter().flatten().filter(|other| self.older.contains(&other.id))
        {
            other.connection.close_replaced();
        }
    }
}

impl<C: Accepted> Drop for Registration<C> {
    fn drop(&mut self) {
        let mut all = self.all.state();
        let Some(connections) = all.by_device.get_mut(&self.device) else { return };
        connections.retain(|other| other.id != self.id);
        // The older connections that it has not replaced continue.
        for other in connections.iter().filter(|other| self.older.contains(&other.id)) {
            other.newer.send_modify(|count| *count = count.saturating_sub(1));
        }
        if connections.is_empty() {
            all.by_device.remove(&self.device);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};

    const DEVICE: DeviceKey = DeviceKey([1; 32]);

    #[derive(Debug, Clone)]
    struct Fake(SocketAddr, Arc<AtomicBool>);

    impl Fake {
        fn at(port: u16) -> Self {
            Self(SocketAddr::from(([127, 0, 0, 1], port)), Arc::default())
        }

        fn is_closed(&self) -> bool {
            self.1.load(Ordering::Relaxed)
        }
    }

    impl Accepted for Fake {
        fn address(&self) -> SocketAddr {
            self.0
        }

        fn close_replaced(&self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    fn newer_count(registration: &Registration<Fake>) -> usize {
        *registration.newer.borrow()
    }

    /// A newer connection from the same address pauses the older one, closes it when it is confirmed, and lets it continue when it ends
    /// before that.
    #[test]
    fn a_newer_connection_replaces_the_older() {
        let (by_device, began) = (ConnectionsByDevice::default(), Instant::now());
        let (first, second, third) = (Fake::at(1), Fake::at(1), Fake::at(1));
        let old = by_device.register_at(began, DEVICE, &first);
        let new = by_device.register_at(began + OLDER_BY, DEVICE, &second);
        assert_eq!((newer_count(&old), newer_count(&new)), (1, 0));
        drop(new);
        assert_eq!((newer_count(&old), first.is_closed()), (0, false));
        let newer = by_device.register_at(began + 2 * OLDER_BY, DEVICE, &third);
        newer.confirm();
        assert_eq!((first.is_closed(), second.is_closed(), third.is_closed()), (true, false, false));
        drop((old, newer));
        assert!(by_device.state().by_device.is_empty(), "a connection that has ended is remembered");
    }

    /// A clone of the device elsewhere, another device, and an attempt made at nearly the same moment keep their connections.
    #[test]
    fn others_are_left_alone() {
        let (by_device, began) = (ConnectionsByDevice::default(), Instant::now());
        let there = [Fake::at(1), Fake::at(1), Fake::at(1)];
        let old = by_device.register_at(began, DEVICE, &there[0]);
        let at_once = by_device.register_at(began + OLDER_BY / 2, DEVICE, &there[1]);
        let other = by_device.register_at(began, DeviceKey([2; 32]), &there[2]);
        let clone = by_device.register_at(began + 2 * OLDER_BY, DEVICE, &Fake::at(2));
        [&at_once, &other, &clone].into_iter().for_each(Registration::confirm);
        assert_eq!([&old, &at_once, &other, &clone].map(newer_count), [0; 4]);
        assert!(!there.iter().any(Fake::is_closed));
    }

    /// A connection that two newer ones paused continues when both have ended, in either order, and ids are not given twice.
    #[test]
    fn a_connection_is_paused_by_each_newer_one() {
        let (by_device, began) = (ConnectionsByDevice::default(), Instant::now());
        let at = |seconds: u32| by_device.register_at(began + seconds * OLDER_BY, DEVICE, &Fake::at(1));
        let (first, second) = (at(0), at(1));
        let third = at(2);
        assert_eq!((newer_count(&first), newer_count(&second)), (2, 1));
        drop(second);
        assert_eq!(newer_count(&first), 1);
        // Were ids given twice, this one would be mistaken for the one that has ended.
        let fourth = at(2);
        assert_eq!(newer_count(&first), 2);
        drop(third);
        drop(fourth);
        assert_eq!(newer_count(&first), 0);
    }
}
