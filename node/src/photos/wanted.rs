//! What a node remembers of the photos that it wants: who is asked for which, when, and for how much.

use creel_protocol::id::{DeviceKey, FileHash};
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{Notify, watch};

/// How long until a photo that was not there is asked for again; it doubles.
const AGAIN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(300));
/// So many of them are remembered beside those that are not to be asked for yet.
const MISSED_MAX: usize = 65_536;
/// So much of one device's photos the hub fetches within a day: several times what the busiest driver takes. Those that somebody wants
/// to see come beside that.
const SHARE_BYTES: u64 = 4_000_000_000;
const SHARE_EACH: Duration = Duration::from_secs(86_400);
/// How often it is told that there is no room.
const TELL: Duration = Duration::from_secs(3_600);
/// How often it is looked for parts of photos that nobody wants any more.
const SWEEP: Duration = Duration::from_secs(3_600);

/// Which photos a device fetches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PhotoPolicy {
    /// All that its shipments name.
    All,
    /// Those that somebody wants to see.
    OnDemand,
}

/// What a node remembers of the photos that it wants.
#[derive(Debug)]
pub(crate) struct Wanted {
    policy: PhotoPolicy,
    pub(crate) quota_bytes: u64,
    state: Mutex<State>,
    pub(crate) rung: Notify,
}

#[derive(Debug, Default)]
struct State {
    /// Somebody wants to see them.
    asked: HashSet<FileHash>,
    /// On their way on some connection.
    busy: HashSet<FileHash>,
    /// Not there when a peer was asked for them: when to ask it again, and the pause after that.
    missed: HashMap<(DeviceKey, FileHash), (Instant, Duration)>,
    /// The connections of a peer that would fetch: only the newest does.
    turns: HashMap<DeviceKey, Turns>,
    /// What came from devices since when.
    shares: HashMap<DeviceKey, (Instant, u64)>,
    /// When it was looked last for parts that nobody wants any more.
    swept: Option<Instant>,
    /// When it was told last that there is no room.
    told: Option<Instant>,
}

/// Connections of one peer that would fetch.
#[derive(Debug)]
struct Turns {
    /// Their numbers, ascending.
    alive: Vec<u64>,
    newest: watch::Sender<u64>,
}

/// A connection among those of its peer, for as long as this is held: while a newer one is there it is not its turn, because the
/// older may be dead without knowing. Where the newer one goes first, as an attempt does that was not the one to be answered, it
/// is the older one's turn again.
#[derive(Debug)]
pub(crate) struct Turn<'a> {
    wanted: &'a Wanted,
    peer: DeviceKey,
    own: u64,
    newest: watch::Receiver<u64>,
}

impl Turn<'_> {
    /// Ends when it is this connection's turn.
    pub(crate) async fn comes(&mut self) {
        // What it waits for lives as long as this does.
        let _ = self.newest.wait_for(|newest| *newest == self.own).await;
    }

    /// Ends when it is not.
    pub(crate) async fn goes(&mut self) {
        let _ = self.newest.wait_for(|newest| *newest != self.own).await;
    }
}

impl Drop for Turn<'_> {
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

/// A photo that is on its way on one connection; until this is dropped no other asks for it.
#[derive(Debug)]
pub(crate) struct Taken<'a> {
    wanted: &'a Wanted,
    pub(crate) photo: FileHash,
}

impl Drop for Taken<'_> {
    fn drop(&mut self) {
        self.wanted.state().busy.remove(&self.photo);
    }
}

impl Wanted {
    /// Remembers nothing yet.
    pub(crate) fn new(policy: PhotoPolicy, quota_bytes: u64) -> Self {
        Self { policy, quota_bytes, state: Mutex::default(), rung: Notify::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing is awaited while it is held.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Somebody wants to see a photo.
    pub(crate) fn ask(&self, photo: FileHash) {
        let mut state = self.state();
        state.missed.retain(|(_, missed), _| *missed != photo);
        state.asked.insert(photo);
        drop(state);
        self.rung.notify_waiters();
    }

    /// Whether it is time to look for parts that nobody wants any more; whoever asks does it then.
    pub(crate) fn is_to_sweep(&self) -> bool {
        is_due(&mut self.state().swept, SWEEP)
    }

    /// Whether it is time to tell again that there is no room.
    pub(crate) fn is_to_tell(&self) -> bool {
        is_due(&mut self.state().told, TELL)
    }

    /// It is here now, and came from a peer.
    pub(crate) fn came(&self, peer: DeviceKey, photo: &FileHash) {
        let mut state = self.state();
        state.asked.remove(photo);
        state.missed.remove(&(peer, *photo));
    }

    /// Takes note of what came from a device.
    pub(crate) fn took(&self, peer: DeviceKey, bytes: u64) {
        let mut state = self.state();
        let (_, share) = state.shares.entry(peer).or_insert_with(|| (Instant::now(), 0));
        *share = share.saturating_add(bytes);
    }

    /// Whether somebody asked for a photo, or it is on its way.
    pub(crate) fn is_awaited(&self, photo: &FileHash) -> bool {
        let state = self.state();
        state.asked.contains(photo) || state.busy.contains(photo)
    }

    pub(crate) fn miss(&self, peer: DeviceKey, photo: FileHash) {
        let mut state = self.state();
        if state.missed.len() >= MISSED_MAX {
            state.missed.retain(|_, (at, _)| *at > Instant::now());
        }
        let pause = state.missed.get(&(peer, photo)).map_or(AGAIN.0, |(_, pause)| (*pause * 2).min(AGAIN.1));
        state.missed.insert((peer, photo), (Instant::now() + pause, pause));
    }

    /// Takes one to fetch from a peer, if it may be asked for now. Only the hub has what it did not name itself.
    pub(crate) fn take(&self, peer: DeviceKey, is_hub: bool, among: &[FileHash]) -> Option<Taken<'_>> {
        let mut state = self.state();
        state.shares.retain(|_, (since, _)| since.elapsed() < SHARE_EACH);
        let has_share = is_hub || state.shares.get(&peer).is_none_or(|(_, bytes)| *bytes < SHARE_BYTES);
        let ready = |photo: &&FileHash| {
            !state.busy.contains(*photo)
                && state.missed.get(&(peer, **photo)).is_none_or(|(at, _)| *at <= Instant::now())
        };
        let automatic = if self.policy == PhotoPolicy::All && has_share { among } else { &[] };
        let asked = state.asked.iter().filter(|photo| is_hub || among.contains(photo));
        let found = *asked.chain(automatic).find(ready)?;
        state.busy.insert(found);
        Some(Taken { wanted: self, photo: found })
    }

    /// A connection of this peer begins to fetch.
    pub(crate) fn turn(&self, peer: DeviceKey) -> Turn<'_> {
        let mut state = self.state();
        let turns =
            state.turns.entry(peer).or_insert_with(|| Turns { alive: Vec::new(), newest: watch::Sender::new(0) });
        // Higher than all that are there; what is gone is in nobody's way.
        let own = turns.alive.last().map_or(0, |last| last + 1);
        turns.alive.push(own);
        turns.newest.send_replace(own);
        let newest = turns.newest.subscribe();
        drop(state);
        Turn { wanted: self, peer, own, newest }
    }
}

/// Whether something is due that is done each so often; whoever asks does it then.
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
        let wanted = Wanted::new(PhotoPolicy::All, 0);
        let is_its = |turn: &Turn<'_>| *turn.newest.borrow() == turn.own;
        let mut first = wanted.turn(peer);
        let second = wanted.turn(peer);
        let elsewhere = wanted.turn(other);
        assert!(!is_its(&first) && is_its(&second) && is_its(&elsewhere));
        drop(second);
        assert!(is_its(&first), "it waits for one that is gone");
        first.comes().await;
        let third = wanted.turn(peer);
        first.goes().await;
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
        let wanted = Wanted::new(PhotoPolicy::All, 0);
        let taken = wanted.take(peer, true, &[photo]);
        assert!(taken.is_some());
        assert!(wanted.take(peer, true, &[photo]).is_none());
        drop(taken);
        wanted.miss(peer, photo);
        assert!(wanted.take(peer, true, &[photo]).is_none());
        assert!(wanted.take(DeviceKey([2; 32]), true, &[photo]).is_some());
        wanted.ask(photo);
        assert!(wanted.take(peer, false, &[]).is_none());
        assert!(wanted.take(peer, true, &[]).is_some());
        let frugal = Wanted::new(PhotoPolicy::OnDemand, 0);
        assert!(frugal.take(peer, true, &[photo]).is_none());
    }

    /// Of one device the hub fetches no more within a day than it may fill the disk with; what somebody wants to see comes all the
    /// same, and so do others' photos. The hub itself has no share.
    #[test]
    fn a_device_has_its_share() {
        let (photo, peer) = (FileHash([7; 32]), DeviceKey([1; 32]));
        let wanted = Wanted::new(PhotoPolicy::All, 0);
        wanted.took(peer, SHARE_BYTES - 1);
        assert!(wanted.take(peer, false, &[photo]).is_some());
        wanted.took(peer, 1);
        assert!(wanted.take(peer, false, &[photo]).is_none());
        assert!(wanted.take(peer, true, &[photo]).is_some());
        assert!(wanted.take(DeviceKey([2; 32]), false, &[photo]).is_some());
        wanted.ask(photo);
        assert!(wanted.take(peer, false, &[photo]).is_some());
    }
}
