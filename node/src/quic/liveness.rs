//! Whether a device other than the hub still answers.

use quinn::Connection;
use std::time::{Duration, Instant};

/// How long a device other than the hub may take to answer, in addition to two round trips.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(3);
/// This many datagrams since it was last heard are not only acknowledgements, which are not answered and follow at most twice.
const UNANSWERED_MIN: u64 = 4;

/// Ends when a peer has answered none of several datagrams for [`ANSWER_TIMEOUT`]: it may have been switched off, and QUIC alone
/// would wait until its idle timeout.
pub(crate) async fn until_unresponsive(connection: &Connection) {
    let mut time = UnansweredTime::new(Instant::now());
    loop {
        let stats = connection.stats();
        // Frames, not datagrams: anybody may send datagrams, and a restarted peer answers with stateless resets.
        let heard = stats.frame_rx.acks + stats.frame_rx.stream + stats.frame_rx.ping;
        let unanswered = time.update(Instant::now(), heard, stats.udp_tx.datagrams);
        if unanswered > ANSWER_TIMEOUT + 2 * connection.rtt() {
            return;
        }
        tokio::time::sleep(ANSWER_TIMEOUT / 6).await;
    }
}

/// How long a peer has not answered datagrams that it should answer.
#[derive(Debug)]
struct UnansweredTime {
    heard: u64,
    /// How many datagrams were sent when it was last heard.
    sent: u64,
    since: Instant,
}

impl UnansweredTime {
    fn new(now: Instant) -> Self {
        Self { heard: 0, sent: 0, since: now }
    }

    /// How long it is by now. An idle peer is not unresponsive, however long ago it was heard: the time begins when enough was sent
    /// that the peer should answer.
    fn update(&mut self, now: Instant, heard: u64, sent: u64) -> Duration {
        if heard != self.heard {
            (self.heard, self.sent) = (heard, sent);
        }
        if sent < self.sent + UNANSWERED_MIN {
            self.since = now;
        }
        now.saturating_duration_since(self.since)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A peer that was idle for long is not unresponsive when several datagrams are sent at once, but when they stay unanswered for a
    /// while.
    #[test]
    fn time_counts_from_unanswered_datagrams() {
        let began = Instant::now();
        let after = |ms: u64| began + Duration::from_millis(ms);
        let mut time = UnansweredTime::new(began);
        assert_eq!(time.update(after(0), 7, 10), Duration::ZERO);
        // Nothing is sent for 19 s, then a burst just before the update.
        assert_eq!(time.update(after(18_500), 7, 10), Duration::ZERO);
        assert_eq!(time.update(after(19_000), 7, 10 + UNANSWERED_MIN), Duration::from_millis(500));
        assert_eq!(time.update(after(22_000), 7, 12 + UNANSWERED_MIN), Duration::from_millis(3_500));
        // It answers after all.
        assert_eq!(time.update(after(22_500), 8, 14 + UNANSWERED_MIN), Duration::ZERO);
        // A few datagrams may be acknowledgements only.
        assert_eq!(time.update(after(40_000), 8, 13 + 2 * UNANSWERED_MIN), Duration::ZERO);
    }
}
