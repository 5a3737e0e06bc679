//! Stores pushes' results, many in one transaction.

use std::{sync::Arc, time::Duration};

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use super::permits::Permit;
use crate::{
    app::App,
    batch::Batcher,
    news,
    store::{Error, Finished, Store},
};

/// The most results in one transaction.
const BATCH: usize = 512;

/// Pauses between attempts to store a batch while the database is down.
const WAITS: std::ops::RangeInclusive<Duration> = Duration::from_millis(50)..=Duration::from_secs(2);

/// A result to be stored, and the permit that it frees.
#[derive(Debug)]
pub(super) struct Done {
    /// The result.
    pub(super) finished: Finished,
    /// Held until the result is on disk.
    pub(super) permit: Permit,
}

/// Starts storing results. `freed` is notified when permits come back.
pub(super) fn batcher(app: &App, tracker: &TaskTracker, freed: Arc<Notify>) -> Batcher<Done, ()> {
    let (committing, sizes) = (app.store.clone(), app.metrics.finish_batches.clone());
    let (store, wake) = (app.store.clone(), app.wake.clone());
    Batcher::start(
        tracker,
        BATCH,
        move |batch: Vec<Done>| {
            let store = committing.clone();
            sizes.record(batch.len() as f64);
            async move {
                let (finished, permits): (Vec<_>, Vec<_>) =
                    batch.into_iter().map(|done| (done.finished, done.permit)).unzip();
                commit(&store, &finished).await;
                permits
            }
        },
        move |permits: Vec<Permit>| {
            let (store, wake, freed) = (store.clone(), wake.clone(), freed.clone());
            async move {
                if let Err(error) = store.on_disk().await {
                    tracing::error!(%error, pushes = permits.len(), "results of pushes may not outlast a power failure");
                }
                let results = vec![(); permits.len()];
                drop(permits);
                freed.notify_one();
                wake.feed();
                results
            }
        },
    )
}

/// Stores a batch, however long the database is down: a push that a provider accepted must not be sent again.
async fn commit(store: &Store, batch: &[Finished]) {
    if let Err(error) = persist(store, batch).await {
        tracing::error!(%error, pushes = batch.len(), "results of pushes cannot be stored together");
        for finished in batch {
            if let Err(error) = persist(store, std::slice::from_ref(finished)).await {
                // The push stays claimed, and is sent again after the next start.
                tracing::error!(%error, push = ?finished, "the result of a push cannot be stored");
            }
        }
    }
}

async fn persist(store: &Store, batch: &[Finished]) -> Result<(), Error> {
    let mut wait = *WAITS.start();
    loop {
        match store.finish(batch).await {
            Err(Error::Unavailable(error) | Error::OutcomeUnknown(error)) if !store.is_closed() => {
                news::warn("results of pushes wait for the database", &error);
                tokio::time::sleep(wait).await;
                wait = (wait * 2).min(*WAITS.end());
            }
            other => return other,
        }
    }
}
