//! Background tasks. They are restarted after a panic: a task that stayed dead would silently stop alarms.

use std::{fmt, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use futures_util::FutureExt as _;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Pause before a restart, because the panic may recur at once.
const AFTER_FAULT: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 2 });

/// Starts work on `tracker` and restarts it whenever it panics, until it ends by itself.
pub(crate) fn keep_up<Work>(
    tracker: &TaskTracker,
    what: impl fmt::Debug + Send + 'static,
    mut work: impl FnMut() -> Work + Send + 'static,
) where
    Work: Future<Output = ()> + Send,
{
    tracker.spawn(async move {
        while AssertUnwindSafe(work()).catch_unwind().await.is_err() {
            tracing::error!(?what, "a fault in simod; the work goes on");
            tokio::time::sleep(AFTER_FAULT).await;
        }
    });
}

/// The same for work on `shared`, which ends with the shutdown.
pub(crate) fn keep_up_until_shutdown<Shared, Work>(
    shutdown: &CancellationToken,
    shared: &Arc<Shared>,
    tracker: &TaskTracker,
    what: impl fmt::Debug + Send + 'static,
    work: impl Fn(Arc<Shared>) -> Work + Send + 'static,
) where
    Shared: Send + Sync + 'static,
    Work: Future<Output = ()> + Send,
{
    let (shutdown, shared) = (shutdown.clone(), shared.clone());
    keep_up(tracker, what, move || {
        let (shutdown, work) = (shutdown.clone(), work(shared.clone()));
        async move {
            let _ended = shutdown.run_until_cancelled(work).await;
        }
    });
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[tokio::test]
    async fn work_goes_on_after_a_panic_until_it_ends() {
        let tracker = TaskTracker::new();
        let begun = Arc::new(AtomicU32::new(0));
        let counted = begun.clone();
        keep_up(&tracker, "test", move || {
            let times = counted.fetch_add(1, Ordering::Relaxed);
            async move { assert!(times >= 2, "a fault") }
        });
        tracker.close();
        tracker.wait().await;
        assert_eq!(begun.load(Ordering::Relaxed), 3);
    }
}
