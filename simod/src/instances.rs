//! Wake-ups between instances on the same server, after a commit. They are only hints: waiting tasks also poll now and
//! then, so nothing depends on them.

use std::{sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use crate::{app::App, background::keep_up_until_shutdown};

/// Others are notified at most this often: a notification inside every commit would cost more than half of the commits.
const PAUSE: Duration = Duration::from_millis(50);

/// After this long without a notification the connection is renewed, because it may be dead.
const QUIET: Duration = Duration::from_mins(1);

/// Pause before listening again after an error.
const DEAF: Duration = Duration::from_secs(1);

/// Notifies and listens until shutdown; an embedded database has no other instances.
pub(crate) fn start(app: &Arc<App>, tracker: &TaskTracker) {
    if !app.store.is_shared() {
        return;
    }
    keep_up_until_shutdown(&app.shutdown, app, tracker, "telling", async |app| tell(&app).await);
    keep_up_until_shutdown(&app.shutdown, app, tracker, "listening", async |app| listen(&app).await);
}

async fn tell(app: &App) {
    loop {
        app.wake.others.notified().await;
        if let Err(error) = app.store.tell_others().await {
            tracing::debug!(%error, "the other instances were not told; they look by themselves");
        }
        tokio::time::sleep(PAUSE).await;
    }
}

async fn listen(app: &App) {
    'connected: loop {
        match app.store.others().await {
            Ok(None) => return,
            Ok(Some(mut others)) => {
                // Something may have happened before we listened.
                app.wake.here();
                loop {
                    match tokio::time::timeout(QUIET, others.said_something()).await {
                        Ok(Ok(())) => app.wake.here(),
                        Ok(Err(_)) => break,
                        // The others may be silent or the connection dead: open a new one.
                        Err(_) => continue 'connected,
                    }
                }
            }
            Err(error) => {
                tracing::debug!(%error, "the other instances cannot be heard; this one looks by itself");
            }
        }
        tokio::time::sleep(DEAF).await;
    }
}
