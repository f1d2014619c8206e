//! Whether a device other than the hub still answers.

use quinn::Connection;
use std::time::{Duration, Instant};

/// For how long a device beside the hub may leave unanswered what is to be answered, beyond two round trips.
const SILENT: Duration = Duration::from_secs(3);
/// So many datagrams since it was heard are not only acknowledgements: those are not answered, and follow at most twice.
const UNANSWERED: u64 = 4;

/// Ends when a peer has answered nothing for a while though it was sent several datagrams: it may have been switched off, and QUIC
/// alone would wait for all of [`IDLE`].
pub(crate) async fn falls_silent(connection: &Connection) {
    let mut silence = Silence::new(Instant::now());
    loop {
        let stats = connection.stats();
        // Frames, not datagrams: anybody may send those, and a peer that was started anew answers with resets that prove nothing.
        let heard = stats.frame_rx.acks + stats.frame_rx.stream + stats.frame_rx.ping;
        let silent = silence.look(Instant::now(), heard, stats.udp_tx.datagrams);
        if silent > SILENT + 2 * connection.rtt() {
            return;
        }
        tokio::time::sleep(SILENT / 6).await;
    }
}

/// For how long a peer has left unanswered what is to be answered.
#[derive(Debug)]
struct Silence {
    heard: u64,
    /// What was sent when it was heard last.
    sent: u64,
    since: Instant,
}

impl Silence {
    fn new(now: Instant) -> Self {
        Self { heard: 0, sent: 0, since: now }
    }

    /// How long it lasts by now. A peer that has nothing to answer is not silent, however long ago it was heard: that begins when
    /// so much was sent that it should answer.
    fn look(&mut self, now: Instant, heard: u64, sent: u64) -> Duration {
        if heard != self.heard {
            (self.heard, self.sent) = (heard, sent);
        }
        if sent < self.sent + UNANSWERED {
            self.since = now;
        }
        now.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that was heard long ago because there was nothing to say is not silent when several datagrams are sent at once, but when
    /// they are left unanswered for a while.
    #[test]
    fn silence_begins_with_what_is_not_answered() {
        let began = Instant::now();
        let after = |ms: u64| began + Duration::from_millis(ms);
        let mut silence = Silence::new(began);
        assert_eq!(silence.look(after(0), 7, 10), Duration::ZERO);
        // Nothing is said for 19 s, then a burst just before it is looked.
        assert_eq!(silence.look(after(18_500), 7, 10), Duration::ZERO);
        assert_eq!(silence.look(after(19_000), 7, 10 + UNANSWERED), Duration::from_millis(500));
        assert_eq!(silence.look(after(22_000), 7, 12 + UNANSWERED), Duration::from_millis(3_500));
        // It answers after all.
        assert_eq!(silence.look(after(22_500), 8, 14 + UNANSWERED), Duration::ZERO);
        // A few datagrams may be acknowledgements only.
        assert_eq!(silence.look(after(40_000), 8, 13 + 2 * UNANSWERED), Duration::ZERO);
    }
}
