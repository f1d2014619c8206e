//! One clock for all processes of a bench: the machine's monotonic one, which node's `process.hrtime` reads as well.

use rustix::time::{ClockId, clock_gettime};

/// Nanoseconds since some moment that is the same for every process of this machine.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let seconds = u64::try_from(now.tv_sec).unwrap_or_default();
    seconds * 1_000_000_000 + u64::try_from(now.tv_nsec).unwrap_or_default()
}
