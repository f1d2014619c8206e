//! Connections of one device side by side: it dials anew when its road was cut, and the old connection does not know yet.
//!
//! Until the new one has proven itself the old one is only held back: it is still listened to, because what was repeated on it
//! may be under way, and acknowledges that; but nothing is told on it that is told on the new one too. When the handshake of the
//! new one has ended the device has chosen it, and the old one is closed. Both come from one address, the socket of one
//! process: a clone of the device, at another address, is another peer and keeps its own connection.

use super::transport::CLOSE_DONE;
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

/// What of a connection matters here.
pub(crate) trait Accepted: Clone {
    /// Where it comes from.
    fn address(&self) -> SocketAddr;
    /// It is needed no more.
    fn step_aside(&self);
}

impl Accepted for Connection {
    fn address(&self) -> SocketAddr {
        self.remote_address()
    }

    fn step_aside(&self) {
        self.close(CLOSE_DONE, b"a newer connection took its place");
    }
}

/// The connections that were accepted, by device.
#[derive(Debug, Clone)]
pub(crate) struct Abreast<C = Connection>(Arc<Mutex<Lanes<C>>>);

#[derive(Debug)]
struct Lanes<C> {
    of: HashMap<DeviceKey, Vec<Lane<C>>>,
    /// The name of the next one: none is given twice.
    next: u64,
}

#[derive(Debug)]
struct Lane<C> {
    id: u64,
    address: SocketAddr,
    began: Instant,
    connection: C,
    /// How many newer connections wait to take its place.
    held_by: watch::Sender<usize>,
}

/// A connection among those of its device, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Place<C: Accepted = Connection> {
    all: Abreast<C>,
    device: DeviceKey,
    id: u64,
    /// The older ones that are held back by it.
    older: Vec<u64>,
    /// Whether it is held back itself.
    pub(crate) held_by: watch::Receiver<usize>,
}

impl<C> Default for Abreast<C> {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Lanes { of: HashMap::new(), next: 0 })))
    }
}

impl<C: Accepted> Abreast<C> {
    fn lanes(&self) -> MutexGuard<'_, Lanes<C>> {
        // Nothing is awaited while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A connection begins; older ones from the same address are held back.
    pub(crate) fn begin(&self, device: DeviceKey, connection: &C) -> Place<C> {
        self.begin_at(Instant::now(), device, connection)
    }

    fn begin_at(&self, began: Instant, device: DeviceKey, connection: &C) -> Place<C> {
        let address = connection.address();
        let (held_by, held) = watch::channel(0);
        let mut all = self.lanes();
        let id = all.next;
        all.next += 1;
        let lanes = all.of.entry(device).or_default();
        let older = lanes.iter().filter(|lane| lane.address == address && began - lane.began >= OLDER);
        let older: Vec<u64> = older
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

impl<C: Accepted> Place<C> {
    /// The device has answered on this connection: it needs the older ones no more.
    pub(crate) fn chosen(&self) {
        let all = self.all.lanes();
        for lane in all.of.get(&self.device).into_iter().flatten().filter(|lane| self.older.contains(&lane.id)) {
            lane.connection.step_aside();
        }
    }
}

impl<C: Accepted> Drop for Place<C> {
    fn drop(&mut self) {
        let mut all = self.all.lanes();
        let Some(lanes) = all.of.get_mut(&self.device) else { return };
        lanes.retain(|lane| lane.id != self.id);
        // Such as it has not replaced go on.
        for lane in lanes.iter().filter(|lane| self.older.contains(&lane.id)) {
            lane.held_by.send_modify(|count| *count = count.saturating_sub(1));
        }
        if lanes.is_empty() {
            all.of.remove(&self.device);
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

        fn step_aside(&self) {
            self.1.store(true, Ordering::Relaxed);
        }
    }

    fn held_by(place: &Place<Fake>) -> usize {
        *place.held_by.borrow()
    }

    /// A newer connection from the same address holds the older one back, closes it when it is chosen, and lets it go on when
    /// it ends before.
    #[test]
    fn a_newer_connection_takes_the_place() {
        let (abreast, began) = (Abreast::default(), Instant::now());
        let (first, second, third) = (Fake::at(1), Fake::at(1), Fake::at(1));
        let old = abreast.begin_at(began, DEVICE, &first);
        let new = abreast.begin_at(began + OLDER, DEVICE, &second);
        assert_eq!((held_by(&old), held_by(&new)), (1, 0));
        drop(new);
        assert_eq!((held_by(&old), first.is_closed()), (0, false));
        let newer = abreast.begin_at(began + 2 * OLDER, DEVICE, &third);
        newer.chosen();
        assert_eq!((first.is_closed(), second.is_closed(), third.is_closed()), (true, false, false));
        drop((old, newer));
        assert!(abreast.lanes().of.is_empty(), "something is remembered of what is gone");
    }

    /// A clone of the device elsewhere, another device, and an attempt made at nearly the same moment keep their connections.
    #[test]
    fn others_are_left_alone() {
        let (abreast, began) = (Abreast::default(), Instant::now());
        let there = [Fake::at(1), Fake::at(1), Fake::at(1)];
        let old = abreast.begin_at(began, DEVICE, &there[0]);
        let at_once = abreast.begin_at(began + OLDER / 2, DEVICE, &there[1]);
        let other = abreast.begin_at(began, DeviceKey([2; 32]), &there[2]);
        let clone = abreast.begin_at(began + 2 * OLDER, DEVICE, &Fake::at(2));
        [&at_once, &other, &clone].into_iter().for_each(Place::chosen);
        assert_eq!([&old, &at_once, &other, &clone].map(held_by), [0; 4]);
        assert!(!there.iter().any(Fake::is_closed));
    }

    /// One that was held back by two goes on when both are gone, in whichever order, and names that come after are new.
    #[test]
    fn it_is_held_back_by_each() {
        let (abreast, began) = (Abreast::default(), Instant::now());
        let at = |seconds: u32| abreast.begin_at(began + seconds * OLDER, DEVICE, &Fake::at(1));
        let (first, second) = (at(0), at(1));
        let third = at(2);
        assert_eq!((held_by(&first), held_by(&second)), (2, 1));
        drop(second);
        assert_eq!(held_by(&first), 1);
        // This one is no older than the one that it would be mistaken for, were names given twice.
        let fourth = at(2);
        assert_eq!(held_by(&first), 2);
        drop(third);
        drop(fourth);
        assert_eq!(held_by(&first), 0);
    }
}
