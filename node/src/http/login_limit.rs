//! Turns at checking a PIN. A check takes 19 MB and a core for a moment: at each door one is made after the other, in the same memory,
//! and few wait. Whoever floods one door keeps nobody from logging in at the other.

use super::Door;
use super::answer::{ApiError, error};
use argon2::Block;
use axum::http::StatusCode;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Logins that wait at a door, and of those from one address.
const WAITING_MAX: usize = 32;
const WAITING_OF_ONE_MAX: usize = 4;

/// The address that a request from another device comes from, as far as one household has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct From(pub(crate) Option<IpAddr>);

/// Both doors' lanes.
#[derive(Debug, Default)]
pub(crate) struct Lanes {
    here: Arc<Lane>,
    away: Arc<Lane>,
}

#[derive(Debug)]
struct Lane {
    turn: Arc<Semaphore>,
    waiting: Mutex<HashMap<Option<IpAddr>, usize>>,
    memory: Mutex<Vec<Block>>,
}

impl Default for Lane {
    fn default() -> Self {
        Self { turn: Arc::new(Semaphore::new(1)), waiting: Mutex::default(), memory: Mutex::default() }
    }
}

/// A place in the queue; it is given back when this goes, however that comes about.
#[derive(Debug)]
struct Place {
    lane: Arc<Lane>,
    from: Option<IpAddr>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.lane.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.from);
            }
        }
    }
}

/// One's turn. It goes along with the check, which goes on where the one who asked for it hangs up.
#[derive(Debug)]
pub(crate) struct Turn {
    place: Place,
    _permit: OwnedSemaphorePermit,
}

impl Turn {
    /// The memory to check in.
    pub(crate) fn with_memory<T>(&self, check: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        check(&mut self.place.lane.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Lanes {
    /// Waits for a turn, unless too many do.
    pub(crate) async fn turn(&self, door: Door, From(from): From) -> Result<Turn, ApiError> {
        let lane = match door {
            Door::Here => &self.here,
            Door::Away => &self.away,
        };
        let place = {
            let mut waiting = lane.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let theirs = waiting.get(&from).copied().unwrap_or_default();
            if waiting.values().sum::<usize>() >= WAITING_MAX || (from.is_some() && theirs >= WAITING_OF_ONE_MAX) {
                let why = "many are logging in just now: try again in a moment · 登录的人太多，请稍后再试";
                return Err(error(StatusCode::SERVICE_UNAVAILABLE, why));
            }
            waiting.insert(from, theirs + 1);
            Place { lane: Arc::clone(lane), from }
        };
        let permit = Arc::clone(&lane.turn).acquire_owned().await.map_err(|_| super::answer::confused())?;
        Ok(Turn { place, _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// One address has few places, and what is given back can be had again; the other door knows nothing of it.
    #[tokio::test]
    async fn few_wait() {
        let lanes = Lanes::default();
        let from = |last| From(Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))));
        let first = lanes.turn(Door::Away, from(1)).await.expect("nobody is there");
        let waiting: Vec<_> =
            (1..WAITING_OF_ONE_MAX).map(|_| Box::pin(lanes.turn(Door::Away, from(1)))).map(polled).collect();
        assert!(waiting.iter().all(|(_, done)| done.is_none()));
        assert!(lanes.turn(Door::Away, from(1)).await.is_err());
        assert!(polled(Box::pin(lanes.turn(Door::Away, from(2)))).1.is_none());
        assert!(lanes.turn(Door::Here, From(None)).await.is_ok());
        drop(waiting);
        drop(first);
        assert!(lanes.turn(Door::Away, from(1)).await.is_ok());
    }

    /// A future after one look at it, and what it came to.
    fn polled<T, F: std::future::Future<Output = T> + Unpin>(mut future: F) -> (F, Option<T>) {
        let mut context = std::task::Context::from_waker(std::task::Waker::noop());
        let done = match std::pin::Pin::new(&mut future).poll(&mut context) {
            std::task::Poll::Ready(done) => Some(done),
            std::task::Poll::Pending => None,
        };
        (future, done)
    }
}
