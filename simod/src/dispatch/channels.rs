//! Starts the configured channels.
//!
//! A channel that cannot be set up raises an alarm, but simod serves all the same: accepted messages wait for it.

use std::{sync::Arc, time::Duration};

use tokio_util::task::TaskTracker;

use super::{Dispatcher, health};
use crate::{
    app::App,
    channel::{
        Channel as _, ChannelKind, SetupError,
        fcm::Fcm,
        webpush::{VapidKey, WebPush},
    },
    duties, store,
};

/// Pause before the database is asked again for the channel's key.
const AGAIN_AFTER: Duration = Duration::from_secs(2);

/// Starts channels and duties on `tracker`; all of them end after the shutdown.
pub(crate) async fn start(app: &Arc<App>, tracker: &TaskTracker) {
    health::show(app, ChannelKind::Stream, "ok", None);
    match Fcm::new(&app.config.fcm, app.clock().clone()) {
        Ok(Some(fcm)) => Dispatcher::start(app, tracker, fcm),
        Ok(None) => off(app, tracker, Fcm::KIND, "not configured"),
        Err(error) => broken(app, tracker, Fcm::KIND, &error),
    }
    match app.config.webpush_subject() {
        Ok(subject) => start_webpush(app, tracker, subject).await,
        Err(why) => {
            // Browsers open the app there, but would never ring.
            if app.config.webpush.enabled && app.config.origin().is_some() {
                tracing::warn!("Web Push is off: {}", why.en);
            }
            off(app, tracker, WebPush::KIND, &why.en);
        }
    }
    duties::start(app, tracker);
}

/// Web Push needs the installation's key. It is first tried before the API serves apps that need the key.
async fn start_webpush(app: &Arc<App>, tracker: &TaskTracker, subject: String) {
    match vapid_key(app).await {
        Ok(key) => push_with(app, tracker, &key, subject),
        Err(error) => {
            tracing::error!(%error, "the key for Web Push cannot be read; its pushes wait");
            health::show(app, WebPush::KIND, "alarm", Some(error.to_string()));
            let (app, tracker) = (app.clone(), tracker.clone());
            let later = tracker.clone();
            tracker.spawn(async move {
                while app.leaving.run_until_cancelled(tokio::time::sleep(AGAIN_AFTER)).await.is_some() {
                    if let Ok(key) = vapid_key(&app).await {
                        return push_with(&app, &later, &key, subject);
                    }
                }
            });
        }
    }
}

fn push_with(app: &Arc<App>, tracker: &TaskTracker, key: &Arc<VapidKey>, subject: String) {
    let base = app.config.found_at();
    match WebPush::new(&app.config.webpush, base, subject, key.clone(), app.clock().clone()) {
        Ok(channel) => {
            app.set_vapid_key(key.public());
            Dispatcher::start(app, tracker, channel);
        }
        Err(error) => broken(app, tracker, WebPush::KIND, &error),
    }
}

/// The installation's key; made if there is none.
async fn vapid_key(app: &App) -> Result<Arc<VapidKey>, NoKey> {
    let private = if let Some(known) = app.store.vapid_key().await? {
        known
    } else {
        let key = VapidKey::generate().map_err(|_| NoKey::Random)?;
        app.store.settle_vapid_key(key.private()).await?
    };
    VapidKey::read(&private).map(Arc::new).ok_or(NoKey::Unreadable)
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
enum NoKey {
    #[error(transparent)]
    Store(#[from] store::Error),
    #[error("the machine has no randomness")]
    Random,
    #[error("the VAPID key in the database cannot be read: `simod vapid import` replaces it")]
    Unreadable,
}

fn off(app: &Arc<App>, tracker: &TaskTracker, channel: ChannelKind, why: &str) {
    health::show(app, channel, "off", Some(why.to_owned()));
    duties::note_missing(app, tracker, channel);
}

fn broken(app: &Arc<App>, tracker: &TaskTracker, channel: ChannelKind, error: &SetupError) {
    tracing::error!(%error, "the channel {channel} cannot be set up; its pushes wait");
    health::show(app, channel, "alarm", Some(error.to_string()));
    duties::note_missing(app, tracker, channel);
}
