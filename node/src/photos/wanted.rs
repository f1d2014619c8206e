//! The photo fetch queue: which photos are wanted, which peer is asked for them and when, and how much of one device's is fetched.

use creel_protocol::id::{DeviceKey, FileHash};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// The first and the longest delay until a peer is asked again for a photo that it did not have; it doubles.
const RETRY_DELAY: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// How many missing photos are remembered before those whose delay has passed are forgotten.
const MISSING_MAX: usize = 65_536;
/// How many bytes of one device's photos the hub fetches within a period: several times what the busiest driver takes. Photos that
/// somebody wants to see are not limited.
const SHARE_BYTES_MAX: u64 = 4_000_000_000;
const SHARE_PERIOD: Duration = Duration::from_secs(86_400);
/// How often a lack of room is logged.
const LOG_INTERVAL: Duration = Duration::from_secs(3_600);
/// How often parts of photos that are no longer wanted are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(3_600);

/// Which photos a device fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhotoPolicy {
    /// All that its shipments name.
    All,
    /// Those that somebody wants to see.
    OnDemand,
}

/// The photos that a node wants.
#[derive(Debug)]
pub(crate) struct WantedPhotos {
    policy: PhotoPolicy,
    pub(crate) quota_bytes: u64,
    state: Mutex<State>,
    pub(crate) new_request: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Photos that somebody wants to see.
    requested: HashSet<FileHash>,
    /// Photos in transfer on some connection.
    in_transfer: HashSet<FileHash>,
    /// Photos that a peer did not have: when to ask it again, and the delay before that.
    missing: HashMap<(DeviceKey, FileHash), (Instant, Duration)>,
    /// The connections of a peer that may fetch: only the newest does.
    turns: HashMap<DeviceKey, FetchTurns>,
    /// For each device, when its period began and how many bytes came since.
    shares: HashMap<DeviceKey, (Instant, u64)>,
    /// When parts that are no longer wanted were last removed.
    swept: Option<Instant>,
    /// When a lack of room was last logged.
    logged: Option<Instant>,
}

/// The connections of one peer that may fetch.
#[derive(Debug)]
struct FetchTurns {
    /// Their numbers, ascending.
    alive: Vec<u64>,
    newest: watch::Sender<u64>,
}

/// A connection among those of its peer, for as long as this is held. While a newer connection is open it is not its turn, because the
/// older may be dead without knowing. Where the newer one ends first, as an attempt does that was not the one to be answered, it
/// is the older one's turn again.
#[derive(Debug)]
pub(crate) struct FetchTurn<'a> {
    wanted: &'a WantedPhotos,
    peer: DeviceKey,
    own: u64,
    newest: watch::Receiver<u64>,
}

impl FetchTurn<'_> {
    /// Ends when it is this connection's turn.
    pub(crate) async fn begins(&mut self) {
        // What it waits for lives as long as this does.
        let _ = self.newest.wait_for(|newest| *newest == self.own).await;
    }

    /// Ends when it is not.
    pub(crate) async fn ends(&mut self) {
        let _ = self.newest.wait_for(|newest| *newest != self.own).await;
    }
}

impl Drop for FetchTurn<'_> {
    fn drop(&mut self) {
        let mut state = self.wanted.state();
        let Some(turns) = state.turns.get_mut(&self.peer) else { return };
        turns.alive.retain(|number| *number != self.own);
        match turns.alive.last() {
            Some(newest) => drop(turns.newest.send_replace(*newest)),
            None => drop(state.turns.remove(&self.peer)),
        }
    }
}

/// A photo in transfer on one connection; until this is dropped no other connection requests it.
#[derive(Debug)]
pub(crate) struct Transfer<'a> {
    wanted: &'a WantedPhotos,
    pub(crate) photo: FileHash,
}

impl Drop for Transfer<'_> {
    fn drop(&mut self) {
        self.wanted.state().in_transfer.remove(&self.photo);
    }
}

impl WantedPhotos {
    /// An empty queue.
    pub(crate) fn new(policy: PhotoPolicy, quota_bytes: u64) -> Self {
        Self { policy, quota_bytes, state: Mutex::default(), new_request: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is awaited while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody wants to see a photo.
    pub(crate) fn request(&self, photo: FileHash) {
        let mut state = self.state();
        state.missing.retain(|(_, missing), _| *missing != photo);
        state.requested.insert(photo);
        drop(state);
        self.new_request.notify_waiters();
    }

    /// Whether parts that are no longer wanted are to be removed now; the caller then does it.
    pub(crate) fn is_sweep_due(&self) -> bool {
        is_due(&mut self.state().swept, SWEEP_INTERVAL)
    }

    /// Whether a lack of room is to be logged now.
    pub(crate) fn is_log_due(&self) -> bool {
        is_due(&mut self.state().logged, LOG_INTERVAL)
    }

    /// Notes that a photo came from a peer.
    pub(crate) fn arrived(&self, peer: DeviceKey, photo: &FileHash) {
        let mut state = self.state();
        state.requested.remove(photo);
        state.missing.remove(&(peer, *photo));
    }

    /// Adds to the bytes that came from a device.
    pub(crate) fn count_bytes(&self, peer: DeviceKey, bytes: u64) {
        let mut state = self.state();
        let (_, share) = state.shares.entry(peer).or_insert_with(|| (Instant::now(), 0));
        *share = share.saturating_add(bytes);
    }

    /// Whether a photo was requested or is in transfer.
    pub(crate) fn is_awaited(&self, photo: &FileHash) -> bool {
        let state = self.state();
        state.requested.contains(photo) || state.in_transfer.contains(photo)
    }

    pub(crate) fn note_missing(&self, peer: DeviceKey, photo: FileHash) {
        let mut state = self.state();
        if state.missing.len() >= MISSING_MAX {
            state.missing.retain(|_, (at, _)| *at > Instant::now());
        }
        let delay =
            state.missing.get(&(peer, photo)).map_or(RETRY_DELAY.0, |(_, delay)| (*delay * 2).min(RETRY_DELAY.1));
        state.missing.insert((peer, photo), (Instant::now() + delay, delay));
    }

    /// Chooses a photo to fetch from a peer now, if there is one. Only the hub has photos that others named.
    pub(crate) fn begin_transfer(&self, peer: DeviceKey, is_hub: bool, among: &[FileHash]) -> Option<Transfer<'_>> {
        let mut state = self.state();
        state.shares.retain(|_, (since, _)| since.elapsed() < SHARE_PERIOD);
        let has_share = is_hub || state.shares.get(&peer).is_none_or(|(_, bytes)| *bytes < SHARE_BYTES_MAX);
        let ready = |photo: &&FileHash| {
            !state.in_transfer.contains(*photo)
                && state.missing.get(&(peer, **photo)).is_none_or(|(at, _)| *at <= Instant::now())
        };
        let automatic = if self.policy == PhotoPolicy::All && has_share { among } else { &[] };
        let requested = state.requested.iter().filter(|photo| is_hub || among.contains(photo));
        let found = *requested.chain(automatic).find(ready)?;
        state.in_transfer.insert(found);
        Some(Transfer { wanted: self, photo: found })
    }

    /// A connection of this peer begins to fetch.
    pub(crate) fn turn(&self, peer: DeviceKey) -> FetchTurn<'_> {
        let mut state = self.state();
        let turns =
            state.turns.entry(peer).or_insert_with(|| FetchTurns { alive: Vec::new(), newest: watch::Sender::new(0) });
        // Higher than the number of every open connection.
        let own = turns.alive.last().map_or(0, |last| last + 1);
        turns.alive.push(own);
        turns.newest.send_replace(own);
        let newest = turns.newest.subscribe();
        drop(state);
        FetchTurn { wanted: self, peer, own, newest }
    }
}

/// Whether something regular is due; the caller then does it.
fn is_due(last: &mut Option<Instant>, each: Duration) -> bool {
    let due = last.is_none_or(|last| last.elapsed() > each);
    if due {
        *last = Some(Instant::now());
    }
    due
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of the connections of a peer the newest fetches, and when that is gone the one before it; of a peer without any nothing is
    /// remembered.
    #[tokio::test]
    async fn the_newest_connection_fetches() {
        let (peer, other) = (DeviceKey([1; 32]), DeviceKey([2; 32]));
        let wanted = WantedPhotos::new(PhotoPolicy::All, 0);
        let is_its = |turn: &FetchTurn<'_>| *turn.newest.borrow() == turn.own;
        let mut first = wanted.turn(peer);
        let second = wanted.turn(peer);
        let elsewhere = wanted.turn(other);
        assert!(!is_its(&first) && is_its(&second) && is_its(&elsewhere));
        drop(second);
        assert!(is_its(&first), "it waits for one that is gone");
        first.begins().await;
        let third = wanted.turn(peer);
        first.ends().await;
        drop(first);
        assert!(is_its(&third));
        drop((third, elsewhere));
        assert!(wanted.state().turns.is_empty());
    }

    /// A photo that was not there is asked for again later, and at once if somebody wants to see it; one that is on its
    /// way on one connection is not asked for on another.
    #[test]
    fn what_is_wanted_is_taken_once() {
        let (photo, peer) = (FileHash([7; 32]), DeviceKey([1; 32]));
        let wanted = WantedPhotos::new(PhotoPolicy::All, 0);
        let taken = wanted.begin_transfer(peer, true, &[photo]);
        assert!(taken.is_some());
        assert!(wanted.begin_transfer(peer, true, &[photo]).is_none());
        drop(taken);
        wanted.note_missing(peer, photo);
        assert!(wanted.begin_transfer(peer, true, &[photo]).is_none());
        assert!(wanted.begin_transfer(DeviceKey([2; 32]), true, &[photo]).is_some());
        wanted.request(photo);
        assert!(wanted.begin_transfer(peer, false, &[]).is_none());
        assert!(wanted.begin_transfer(peer, true, &[]).is_some());
        let frugal = WantedPhotos::new(PhotoPolicy::OnDemand, 0);
        assert!(frugal.begin_transfer(peer, true, &[photo]).is_none());
    }

    /// Of one device the hub fetches no more within a day than it may fill the disk with; what somebody wants to see comes all the
    /// same, and so do others' photos. The hub itself has no share.
    #[test]
    fn a_device_has_its_share() {
        let (photo, peer) = (FileHash([7; 32]), DeviceKey([1; 32]));
        let wanted = WantedPhotos::new(PhotoPolicy::All, 0);
        wanted.count_bytes(peer, SHARE_BYTES_MAX - 1);
        assert!(wanted.begin_transfer(peer, false, &[photo]).is_some());
        wanted.count_bytes(peer, 1);
        assert!(wanted.begin_transfer(peer, false, &[photo]).is_none());
        assert!(wanted.begin_transfer(peer, true, &[photo]).is_some());
        assert!(wanted.begin_transfer(DeviceKey([2; 32]), false, &[photo]).is_some());
        wanted.request(photo);
        assert!(wanted.begin_transfer(peer, false, &[photo]).is_some());
    }
}
