//! The duty that keeps the word index up with the messages. While others write, be it messages or what became of them,
//! it takes a small part of the writer's time; when they cease, it catches up. A search for words does not wait for it
//! ([`Store::deliveries`](crate::store::Store::deliveries)).

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use tokio_util::task::TaskTracker;

use crate::{app::App, background::keep_up_until_shutdown, news};

/// Messages per step; long ones make it end earlier.
const STEP: u32 = 500;
/// How long messages gather before a step, so that their commits do not come in pairs with ours.
const GATHER: Duration = Duration::from_millis(100);
/// How many times as long as its own steps the duty rests while others write.
const REST: u32 = 9;
/// How long it waits after an error, and how often it looks without being woken.
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
        // One of them is ours. Of what other instances write, we are told when it is messages.
        let told = app.wake.words.notified().now_or_never().is_some();
        let others = told || writes - seen > 1;
        seen = writes;
        let rest = match indexed {
            Ok(0) => {
                // Whether it was woken or looks by itself makes no difference.
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
