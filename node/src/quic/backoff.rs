//! The pauses between attempts to speak with a peer.

use std::time::Duration;

/// A connection that stood for so long was one; what ends sooner was an answer of the kind "not you" or "not now".
const STOOD: Duration = Duration::from_secs(5);

/// A pause that doubles with every attempt, until a connection stands for a while.
#[derive(Debug)]
pub(crate) struct Pause {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Pause {
    /// Begins with `min`; no pause is longer than `max`.
    pub(crate) fn new(min: Duration, max: Duration) -> Self {
        Self { min, max, next: min }
    }

    /// The pause after an attempt whose connection stood for so long; for no time at all, if nobody answered.
    pub(crate) fn after(&mut self, stood: Duration) -> Duration {
        if stood >= STOOD {
            self.reset();
        }
        let pause = self.next;
        self.next = self.next.saturating_mul(2).min(self.max);
        pause
    }

    /// There is reason to hope: the next pause is the shortest.
    pub(crate) fn reset(&mut self) {
        self.next = self.min;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that never answers, or hangs up at once, is tried with pauses that double up to the longest and stay there, however
    /// long it goes on; after a connection that stood they begin anew.
    #[test]
    fn pauses_double_up_to_the_longest() {
        let ms = Duration::from_millis;
        let mut pause = Pause::new(ms(250), ms(60_000));
        let first: Vec<_> = (0..9).map(|_| pause.after(Duration::ZERO)).collect();
        assert_eq!(first, [250, 500, 1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000].map(ms));
        for _ in 0..1_000 {
            assert_eq!(pause.after(ms(4_999)), ms(60_000));
        }
        assert_eq!(pause.after(STOOD), ms(250));
        assert_eq!(pause.after(Duration::ZERO), ms(500));
        pause.reset();
        assert_eq!(pause.after(Duration::ZERO), ms(250));
    }
}
