//! Group commit: what arrives while one transaction is being synced goes into the next one together.
//!
//! There is no timer: a lone item is committed at once, and a batch is as large as the load makes it.

use std::future::Future;

use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// Gathers items and hands them to one function, batch by batch; each caller gets its own item's result.
#[derive(Debug)]
pub struct Batcher<T, R> {
    queue: mpsc::Sender<(T, oneshot::Sender<R>)>,
}

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self {
            queue: self.queue.clone(),
        }
    }
}

/// The batcher has stopped: simod is shutting down.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// Starts the gathering task on `tracker`. It ends, having worked off its queue, when every clone is dropped.
    ///
    /// `commit` gets at most `most` items and returns as many results, in their order.
    pub fn start<F, Fut>(tracker: &TaskTracker, most: usize, commit: F) -> Self
    where
        F: Fn(Vec<T>) -> Fut + Send + 'static,
        Fut: Future<Output = Vec<R>> + Send,
    {
        let (queue, mut arrived) = mpsc::channel::<(T, oneshot::Sender<R>)>(most * 4);
        tracker.spawn(async move {
            let mut gathered = Vec::with_capacity(most);
            while arrived.recv_many(&mut gathered, most).await > 0 {
                let (items, callers): (Vec<T>, Vec<_>) = gathered.drain(..).unzip();
                for (result, caller) in commit(items).await.into_iter().zip(callers) {
                    // A caller that went away does not undo what was committed.
                    let _gone = caller.send(result);
                }
            }
        });
        Self { queue }
    }

    /// Hands in one item and waits for its result.
    ///
    /// # Errors
    /// When the batcher has stopped; the item was not handled then.
    pub async fn submit(&self, item: T) -> Result<R, Stopped> {
        let (caller, result) = oneshot::channel();
        self.queue.send((item, caller)).await.map_err(|_| Stopped)?;
        result.await.map_err(|_| Stopped)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };

    use super::*;

    #[tokio::test]
    async fn what_arrives_during_a_commit_is_committed_together() {
        let tracker = TaskTracker::new();
        let commits = Arc::new(AtomicUsize::new(0));
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let batcher = Batcher::start(&tracker, 64, {
            let (commits, gate) = (commits.clone(), gate.clone());
            move |items: Vec<u32>| {
                let (commits, gate) = (commits.clone(), gate.clone());
                async move {
                    commits.fetch_add(1, Ordering::Relaxed);
                    let _permit = gate.acquire().await;
                    items.into_iter().map(|n| n * 2).collect()
                }
            }
        });
        let all = (0..50).map(|n| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.submit(n).await })
        });
        let all: Vec<_> = all.collect();
        while commits.load(Ordering::Relaxed) == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..1_000 {
            tokio::task::yield_now().await;
        }
        gate.add_permits(10);
        for (n, task) in all.into_iter().enumerate() {
            assert_eq!(task.await.unwrap(), Ok(n as u32 * 2));
        }
        assert!(
            commits.load(Ordering::Relaxed) <= 3,
            "50 items in {} commits",
            commits.load(Ordering::Relaxed)
        );
    }

    #[tokio::test]
    async fn the_queue_is_worked_off_when_the_last_handle_goes() {
        let tracker = TaskTracker::new();
        let batcher = Batcher::start(&tracker, 8, |items: Vec<u32>| async move { items });
        let last = tokio::spawn({
            let batcher = batcher.clone();
            async move { batcher.submit(1).await }
        });
        drop(batcher);
        assert_eq!(last.await.unwrap(), Ok(1));
        tracker.close();
        tracker.wait().await;
    }
}
