//! The daemon as a library: [`run`] embeds it in another program, [`api::router`] can be nested under a path of one.

mod actor;
mod alarm;
pub mod api;
pub mod app;
mod background;
pub mod batch;
pub mod bodies;
pub mod channel;
pub mod clock;
pub mod config;
mod dispatch;
mod duties;
mod group_commit;
mod guard;
pub mod health;
mod indexer;
mod instances;
mod intake;
mod listen;
pub mod metrics;
mod news;
pub mod own_ca;
mod refused_posts;
mod serve;
pub mod store;
mod streams;
#[cfg(test)]
mod testing;
pub mod tls;
mod web_app;

use std::{future::Future, sync::Arc, time::Duration};

use tokio_util::{sync::CancellationToken, task::TaskTracker};

pub use self::listen::Listeners;
use crate::{
    app::App,
    background::keep_up,
    config::Config,
    listen::{Socket, Tcp},
    serve::{Room, Server},
    store::Store,
};

/// Runs the daemon until `shutdown` is canceled; then it reports that it is not ready, stops accepting after the configured
/// delay, and finishes work in progress within the configured grace.
///
/// # Errors
/// When a listener has no address.
pub async fn run(
    mut config: Config,
    store: Arc<Store>,
    listeners: Listeners,
    shutdown: CancellationToken,
) -> std::io::Result<()> {
    // Invitations name the actual port, not a 0.
    config.listen = listeners.tcp.local_addr()?.to_string();
    if let Err(error) = store.start_clock().await {
        tracing::warn!(%error, "the clock was not compared with what is stored");
    }
    let tracker = TaskTracker::new();
    let delay = Duration::from_secs(config.shutdown_delay());
    let app = App::new(config, store.clone(), listeners.tls.clone(), &tracker, CancellationToken::new());
    let (told, leaving) = (shutdown, app.leaving.clone());
    let shutdown = app.shutdown.clone();
    let ending = shutdown.clone();
    tokio::spawn(async move {
        told.cancelled().await;
        leaving.cancel();
        tokio::time::sleep(delay).await;
        ending.cancel();
    });
    alarm::start(&app, &tracker);
    dispatch::start(&app, &tracker).await;
    let grace = app.shutdown_grace();
    let refused_posts = app.refused_posts.clone();
    indexer::start(&app, &tracker);
    instances::start(&app, &tracker);
    clock::watch::start(&app, &tracker);
    if let Some(tls) = listeners.tls.clone() {
        let shutdown = shutdown.clone();
        keep_up(&tracker, "TLS", move || {
            let (tls, shutdown) = (tls.clone(), shutdown.clone());
            async move {
                let _ended = shutdown.run_until_cancelled(tls.follow_files()).await;
            }
        });
    }
    let room = Room::for_each(app.config.http.connections);
    let server = Server {
        tls: None,
        patience: (&app.config.http).into(),
        connections: room.socket,
        router: api::router(app),
        shutdown: shutdown.clone(),
    };
    let tcp = Server { tls: listeners.tls, connections: room.tcp, ..server.clone() }
        .serve(Tcp(listeners.tcp), Tcp::peer);
    let unix = async {
        if let Some(unix) = listeners.unix {
            server.serve(Socket(unix), Socket::peer).await;
        }
    };
    let served = within_grace(&shutdown, grace, async { tokio::join!(tcp, unix) }).await;
    tracker.close();
    if tokio::time::timeout(grace, tracker.wait()).await.is_err() {
        tracing::warn!("shutdown: gave up waiting for background work; it is resumed at the next start");
    }
    if let Err(error) = store.write_uses().await {
        tracing::warn!(%error, "shutdown: it is not written down when tokens were last used");
    }
    if let Err(error) = store.keep_refused_posts(&refused_posts.take()).await {
        tracing::warn!(%error, "shutdown: the last posts that were refused are not written down");
    }
    store.close().await;
    if served.is_none() {
        tracing::warn!("shutdown: cut connections that did not end in time");
    }
    Ok(())
}

/// The work's result; `None` when it did not end within `grace` of the shutdown.
async fn within_grace<T>(
    shutdown: &CancellationToken,
    grace: Duration,
    work: impl Future<Output = T>,
) -> Option<T> {
    tokio::select! {
        result = work => Some(result),
        () = async { shutdown.cancelled().await; tokio::time::sleep(grace).await } => None,
    }
}
