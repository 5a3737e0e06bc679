//! Long-running commands: streams that are reopened when they break, and the signals that end them.

use std::time::Duration;

use simo_common::client::Error;
use tokio::signal::unix::{SignalKind, signal};

/// Pauses between tries: growing, up to half a minute by default.
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

    /// The next pause.
    pub(crate) fn next(&mut self) -> Duration {
        let wait = Duration::from_millis(500) * 2_u32.pow(self.failures.min(16));
        self.failures = self.failures.saturating_add(1);
        wait.min(self.most)
    }

    /// Whether nothing failed since the last success: then report the failure, once.
    pub(crate) fn is_fresh(&self) -> bool {
        self.failures == 0
    }

    /// Starts over, after a success.
    pub(crate) fn reset(&mut self) {
        self.failures = 0;
    }
}

/// Whether a retry may help: the server is down or overloaded, and the call itself is valid.
pub(crate) fn may_pass(error: &Error) -> bool {
    error.status().is_none_or(|status| status >= 500 || status == 429)
}

/// Waits for Ctrl-C or SIGTERM.
pub(crate) async fn stopped() {
    match signal(SignalKind::terminate()) {
        Ok(mut terminated) => {
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminated.recv() => {}
            }
        }
        // Without handlers, both signals end the program by default.
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
