//! The clock of the machine is the only one of an embedded database: whoever sets it should find out what came of it.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use tokio_util::task::TaskTracker;

use super::{Clock, REMARKABLE};
use crate::{app::App, background::keep_up_until_shutdown};

/// How often it is looked.
const EVERY: Duration = Duration::from_secs(5);

/// Watches until shutdown. Instances on a server go by its clock, and tell of that.
pub(crate) fn start(app: &Arc<App>, tracker: &TaskTracker) {
    if !app.store.is_shared() {
        keep_up_until_shutdown(&app.shutdown, app, tracker, "clock", async |app| watch(app.clock()).await);
    }
}

async fn watch(clock: &Clock) {
    loop {
        let (then, since) = (clock.now(), Instant::now());
        tokio::time::sleep(EVERY).await;
        if let Some(seconds) = set_by(clock.now() - then, since.elapsed()) {
            tracing::warn!(
                "the machine's clock was set by {seconds:+.0} s, or the machine slept: what was accepted before expires, and is \
                 sent if it waits for its time, by so much earlier or later"
            );
        }
    }
}

/// By how many seconds a clock was set that went on by so many microseconds while so much time passed.
fn set_by(went_on: i64, passed: Duration) -> Option<f64> {
    let by = went_on - passed.as_micros() as i64;
    (by.abs() >= REMARKABLE).then(|| by as f64 / 1e6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_somebody_did_is_told() {
        let passed = Duration::from_secs(5);
        assert_eq!(set_by(5_000_000, passed), None);
        assert_eq!(set_by(5_400_000, passed), None);
        assert_eq!(set_by(3_605_000_000, passed), Some(3_600.0));
        assert_eq!(set_by(-3_595_000_000, passed), Some(-3_600.0));
    }
}
