//! The delays between attempts to connect to a peer.

use std::time::Duration;

/// A connection that lasted this long resets the backoff. A shorter one was a refusal.
const STABLE_AFTER: Duration = Duration::from_secs(5);

/// A delay that doubles with every attempt and starts again after a connection that lasted.
#[derive(Debug)]
pub(crate) struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    /// The first delay is `min`; no delay is longer than `max`.
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The delay after an attempt whose connection lasted for `lifetime`, which is zero where nobody answered.
    pub(crate) fn next_delay(&mut self, lifetime: Duration) -> Duration {
        if lifetime >= STABLE_AFTER {
            self.reset();
        }
        let delay = self.next;
        self.next = self.next.saturating_mul(2).min(self.max);
        delay
    }

    /// Starts again with the shortest delay.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Delays to a peer that never answers, or closes at once, double up to the longest and stay there; after a connection that
    /// lasted they start again.
    #[test]
    fn delays_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(250), ms(60_000));
        let first: Vec<_> = (0..9).map(|_| backoff.next_delay(Duration::ZERO)).collect();
        assert_eq!(first, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000].map(ms));
        for _ in 0..1_000 {
            assert_eq!(backoff.next_delay(ms(4_999)), ms(60_000));
        }
        assert_eq!(backoff.next_delay(STABLE_AFTER), ms(250));
        assert_eq!(backoff.next_delay(Duration::ZERO), ms(500));
        backoff.reset();
        assert_eq!(backoff.next_delay(Duration::ZERO), ms(250));
    }
}
