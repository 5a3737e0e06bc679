//! Periodically compares the clock with its reference.

use std::{sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use crate::{app::App, background::keep_up_until_shutdown};

/// How often the machine's clock is read, which costs nothing.
const EVERY: Duration = Duration::from_secs(2);

/// How often a database server is asked.
const ASKED_EVERY: Duration = Duration::from_secs(10);

/// Watches until shutdown.
pub(crate) fn start(app: &Arc<App>, tracker: &TaskTracker) {
    keep_up_until_shutdown(&app.shutdown, app, tracker, "clock", async |app| watch(&app).await);
}

async fn watch(app: &App) {
    let every = if app.store.is_shared() { ASKED_EVERY } else { EVERY };
    let mut rests = app.clock().rest().is_some();
    loop {
        tokio::time::sleep(every).await;
        if let Err(error) = app.store.follow_clock().await {
            tracing::debug!(%error, "the clock was not compared");
            continue;
        }
        // Once more after the rest is over.
        if (rests || app.clock().rest().is_some())
            && let Err(error) = app.store.settle_clock().await
        {
            tracing::debug!(%error, "it was not looked whether the clock is believed");
            continue;
        }
        rests = app.clock().rest().is_some();
    }
}
