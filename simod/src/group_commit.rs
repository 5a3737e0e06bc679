//! The group commits of messages and receipts: batches' results when the database is quick, hangs, or fails.

use std::{
    future::{Ready, ready},
    sync::Arc,
};

use futures_util::future::{BoxFuture, Either};
use simo_common::api::message::PostedMessage;
use tokio_util::task::TaskTracker;

use crate::{
    app::{App, IngestResult, Wake},
    batch::Batcher,
    health::Health,
    metrics::Metrics,
    store::{self, Accepted, Error, Incoming, Recorded, Refusal, Reported, Store},
};

/// The most messages in one transaction: beyond it little is gained, and later messages wait longer.
const INGEST_BATCH: usize = 1_024;

/// How many phones' receipts one batch takes.
const RECEIPTS_BATCH: usize = 256;

/// Their shared parts.
#[derive(Debug, Clone)]
pub(crate) struct Parts {
    pub(crate) store: Arc<Store>,
    pub(crate) wake: Arc<Wake>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) health: Arc<Health>,
}

/// Results of a transaction, item by item.
type Results<T> = Vec<Result<T, Arc<Error>>>;

/// The group commit of messages.
pub(crate) fn ingest(parts: &Parts, tracker: &TaskTracker) -> Batcher<Incoming, IngestResult> {
    start(
        parts,
        tracker,
        INGEST_BATCH,
        |store, batch| Box::pin(async move { store.accept_each(batch).await }),
        |parts, results| {
            let stored = results.iter().filter(|result| matches!(result, Ok(Accepted { stored: true, .. })));
            taken_in(&parts.metrics, &parts.wake, results.len(), stored.count())
        },
        |accepted: Accepted| accepted.answer,
    )
}

/// The group commit of phones' receipts.
pub(crate) fn receipts(
    parts: &Parts,
    tracker: &TaskTracker,
) -> Batcher<Reported, Result<Recorded, Arc<Error>>> {
    start(
        parts,
        tracker,
        RECEIPTS_BATCH,
        |store, batch| Box::pin(async move { store.record_each(batch).await }),
        |parts, results| {
            parts.metrics.receipt_batches.record(results.len() as f64);
            let changed = results.iter().any(|result| matches!(result, Ok(Recorded { changed: true, .. })));
            if changed {
                parts.wake.feed();
            }
            changed
        },
        |recorded| recorded,
    )
}

/// Commits batches with `commit`; once they are on disk, `tell` wakes the next tasks and returns whether anything was
/// written.
fn start<T: Send + 'static, D: Send + 'static, R: Send + 'static>(
    parts: &Parts,
    tracker: &TaskTracker,
    most: usize,
    commit: fn(Arc<Store>, Vec<T>) -> BoxFuture<'static, Results<D>>,
    tell: fn(&Parts, &Results<D>) -> bool,
    answer: fn(D) -> R,
) -> Batcher<T, Result<R, Arc<Error>>> {
    let (store, parts) = (parts.store.clone(), parts.clone());
    Batcher::start(
        tracker,
        most,
        move |batch| unless_it_hangs(store.commit_hangs(), commit(store.clone(), batch)),
        move |results| {
            let parts = parts.clone();
            async move {
                let results = on_disk(&parts.store, results.await).await;
                let has_written = tell(&parts, &results);
                learn_from(&parts.health, &results, has_written);
                results.into_iter().map(|result| result.map(answer)).collect()
            }
        },
    )
}

impl App {
    /// Posts a batch whole, or nothing if any of it is refused. The answered messages are on disk. Callers hold
    /// [`App::strict`], so that such batches run one at a time; many of them would delay all other posts.
    ///
    /// # Errors
    /// When the database cannot do it right now; then nothing was stored, or the outcome is unknown.
    pub(crate) async fn post_together(
        &self,
        batch: &[Incoming],
    ) -> store::Result<Vec<Result<PostedMessage, Refusal>>> {
        let taken = async {
            let accepted = self.store.accept_together(batch).await?;
            self.store.on_disk().await.map(|()| accepted)
        };
        let accepted = taken.await.inspect_err(|error| self.health.failed(error))?;
        let stored = accepted.iter().filter(|accepted| accepted.stored).count();
        if taken_in(&self.metrics, &self.wake, accepted.len(), stored) {
            self.health.committed();
        }
        Ok(accepted.into_iter().map(|accepted| accepted.answer).collect())
    }
}

/// A batch's results, or the future of them: when a commit hangs, the next batch need not wait for it.
async fn unless_it_hangs<T>(
    hangs: impl Future<Output = ()>,
    mut committing: BoxFuture<'static, T>,
) -> Either<Ready<T>, BoxFuture<'static, T>> {
    tokio::select! {
        biased;
        results = &mut committing => Either::Left(ready(results)),
        () = hangs => Either::Right(committing),
    }
}

/// Updates the health from a batch's results.
fn learn_from<T>(health: &Health, results: &[Result<T, Arc<Error>>], has_written: bool) {
    if has_written {
        health.committed();
    }
    if let Some(error) = results.iter().find_map(|result| result.as_ref().err()) {
        health.failed(error);
    }
}

/// Counts a transaction of messages, and wakes the next tasks if it stored any.
fn taken_in(metrics: &Metrics, wake: &Wake, items: usize, stored: usize) -> bool {
    metrics.ingest_batches.record(items as f64);
    metrics.messages.increment(stored as u64);
    if stored > 0 {
        wake.all();
    }
    stored > 0
}

/// The results, once they are on disk. Callers with repeats only wait, too: the original may be from the batch before,
/// which is not on disk yet.
async fn on_disk<T>(store: &Store, results: Vec<Result<T, Arc<Error>>>) -> Vec<Result<T, Arc<Error>>> {
    if results.iter().all(Result::is_err) {
        return results;
    }
    match store.on_disk().await {
        Ok(()) => results,
        Err(error) => {
            let error = Arc::new(error);
            results.iter().map(|_| Err(error.clone())).collect()
        }
    }
}
