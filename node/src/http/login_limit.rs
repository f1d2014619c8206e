//! How many PINs are checked at once. A check takes 19 MB and a core for a moment: each listener makes one after the other, in the
//! same memory, and few may wait. A flood at one listener does not keep people from logging in at the other.

use super::Listener;
use super::answer::{ApiError, error};
use argon2::Block;
use axum::http::StatusCode;
use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Logins that may wait at a listener, and how many of them from one address.
const WAITING_MAX: usize = 32;
const WAITING_PER_ADDRESS_MAX: usize = 4;

/// The address that a request from another device comes from, as far as one household has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClientAddress(pub(crate) Option<IpAddr>);

/// Each listener's queue.
#[derive(Debug, Default)]
pub(crate) struct LoginLimits {
    loopback: Arc<LoginQueue>,
    tls: Arc<LoginQueue>,
}

#[derive(Debug)]
struct LoginQueue {
    permit: Arc<Semaphore>,
    waiting: Mutex<HashMap<Option<IpAddr>, usize>>,
    memory: Mutex<Vec<Block>>,
}

impl Default for LoginQueue {
    fn default() -> Self {
        Self { permit: Arc::new(Semaphore::new(1)), waiting: Mutex::default(), memory: Mutex::default() }
    }
}

/// A place in the queue; it is given back when this goes, however that comes about.
#[derive(Debug)]
struct QueuedLogin {
    queue: Arc<LoginQueue>,
    from: Option<IpAddr>,
}

impl Drop for QueuedLogin {
    fn drop(&mut self) {
        let mut waiting = self.queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(count) = waiting.get_mut(&self.from) {
            *count -= 1;
            if *count == 0 {
                waiting.remove(&self.from);
            }
        }
    }
}

/// A permit for one check. The check holds it until it ends, also where the client has closed the connection.
#[derive(Debug)]
pub(crate) struct LoginPermit {
    queued: QueuedLogin,
    _permit: OwnedSemaphorePermit,
}

impl LoginPermit {
    /// The memory to check in.
    pub(crate) fn with_memory<T>(&self, check: impl FnOnce(&mut Vec<Block>) -> T) -> T {
        check(&mut self.queued.queue.memory.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl LoginLimits {
    /// Waits for a permit, unless too many logins wait already.
    pub(crate) async fn permit(
        &self,
        listener: Listener,
        ClientAddress(from): ClientAddress,
    ) -> Result<LoginPermit, ApiError> {
        let queue = match listener {
            Listener::Loopback => &self.loopback,
            Listener::Tls => &self.tls,
        };
        let queued = {
            let mut waiting = queue.waiting.lock().unwrap_or_else(PoisonError::into_inner);
            let theirs = waiting.get(&from).copied().unwrap_or_default();
            if waiting.values().sum::<usize>() >= WAITING_MAX || (from.is_some() && theirs >= WAITING_PER_ADDRESS_MAX) {
                let why = "many are logging in just now: try again in a moment · 登录的人太多，请稍后再试";
                return Err(error(StatusCode::SERVICE_UNAVAILABLE, why));
            }
            waiting.insert(from, theirs + 1);
            QueuedLogin { queue: Arc::clone(queue), from }
        };
        let permit = Arc::clone(&queue.permit).acquire_owned().await.map_err(|_| super::answer::unexpected_reply())?;
        Ok(LoginPermit { queued, _permit: permit })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::Ipv4Addr;

    /// Few logins of one address may wait, and a place that is given back is free again; the other listener is not affected.
    #[tokio::test]
    async fn few_wait() {
        let limits = LoginLimits::default();
        let from = |last| ClientAddress(Some(IpAddr::V4(Ipv4Addr::new(192, 0, 2, last))));
        let first = limits.permit(Listener::Tls, from(1)).await.expect("nobody is there");
        let waiting: Vec<_> =
            (1..WAITING_PER_ADDRESS_MAX).map(|_| Box::pin(limits.permit(Listener::Tls, from(1)))).map(polled).collect();
        assert!(waiting.iter().all(|(_, done)| done.is_none()));
        assert!(limits.permit(Listener::Tls, from(1)).await.is_err());
        assert!(polled(Box::pin(limits.permit(Listener::Tls, from(2)))).1.is_none());
        assert!(limits.permit(Listener::Loopback, ClientAddress(None)).await.is_ok());
        drop(waiting);
        drop(first);
        assert!(limits.permit(Listener::Tls, from(1)).await.is_ok());
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
