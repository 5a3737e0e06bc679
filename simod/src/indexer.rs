//! The duty that keeps the word index up to date. While others write messages or their results, it takes a small part of
//! the writer's time; when they stop, it catches up. A word search does not wait for it
//! ([`Store::deliveries`](crate::store::Store::deliveries)).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tokio_util::task::TaskTracker;

use crate::{app::App, background::keep_up_until_shutdown, news};

/// Messages per step; long messages end it earlier.
const STEP: u32 = 500;
/// How long to gather messages before a step, so that our commits do not pair up with theirs.
const GATHER: Duration = Duration::from_millis(100);
/// While others write, the duty rests this many times as long as its steps take.
const REST: u32 = 9;
/// The pause after an error, and the polling interval.
const LOOK: Duration = Duration::from_secs(10);

/// Indexes until shutdown.
pub(crate) fn start(app: &Arc<App>, tracker: &TaskTracker) {
    keep_up_until_shutdown(&app.shutdown, app, tracker, "word index", async |app| index(&app).await);
}

async fn index(app: &App) {
    let mut seen = app.store.writes();
    loop {
        let began = Instant::now();
        let indexed = app.store.index_words(STEP).await;
        let writes = app.store.writes();
        // One of the writes is ours. Of other instances' writes we only hear when they post messages.
        let told = app.wake.words.notified().now_or_never().is_some();
        let others = told || writes - seen > 1;
        seen = writes;
        let rest = match indexed {
            Ok(0) => {
                // Woken or timed out makes no difference.
                let _ = tokio::time::timeout(LOOK, app.wake.words.notified()).await;
                GATHER
            }
            Ok(_) if others => GATHER.max(began.elapsed() * REST),
            Ok(_) => Duration::ZERO,
            Err(error) => {
                news::warn("the word index waits", &error);
                LOOK
            }
        };
        tokio::time::sleep(rest).await;
    }
}
