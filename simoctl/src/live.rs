//! What lasts: streams that break and are taken up again, and the signals that end them well.

use std::time::Duration;

use simo_common::client::Error;
use tokio::signal::unix::{SignalKind, signal};

/// How long to wait between tries: longer each time, up to half a minute unless said otherwise.
#[derive(Debug)]
pub(crate) struct Backoff {
    failures: u32,
    most: Duration,
}

impl Default for Backoff {
    fn default() -> Self {
        Self::up_to(Duration::from_secs(30))
    }
}

impl Backoff {
    pub(crate) fn up_to(most: Duration) -> Self {
        Self { failures: 0, most }
    }

    /// The next wait.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = Duration::from_millis(500) * 2_u32.pow(self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        wait.min(self.most)
    }

    /// Whether nothing has failed since the last success: what is told once is told now.
    pub(crate) fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    /// Begins anew, after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Whether another try may help: the server is away or overloaded, the call itself is right.
pub(crate) fn may_pass(error: &Error) -> bool {
    error.status().is_none_or(|status| status >= 500 || status == 429)
}

/// Waits for Ctrl-C or a polite kill.
pub(crate) async fn stopped() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        }
        // Without a handler, the system ends the program as it always does.
        Err(_) => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_up_to_half_a_minute_and_begin_anew() {
        let mut backoff = Backoff::default();
        let waits: Vec<_> = (0..9).map(|_| backoff.next().as_millis()).collect();
        assert_eq!(waits, [500, 1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000, 30_000]);
        backoff.reset();
        assert_eq!(backoff.next().as_millis(), 500);
        let mut longer = Backoff::up_to(Duration::from_mins(5));
        let waits: Vec<_> = (0..12).map(|_| longer.next().as_secs()).collect();
        assert_eq!(waits, [0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
    }
}
