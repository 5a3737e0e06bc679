//! Group commit: what arrives while one transaction runs goes into the next one together.
//!
//! There is no timer: a lone item is committed at once, and a batch is as large as the load makes it. A batch that is
//! committed and waits for the disk does not hold up the next one. What comes in bulk has a queue of its own: where others
//! come too, it only takes so much of each batch that theirs are not long in coming.

use std::{future::Future, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::TaskTracker;

/// The weight of bulk in one batch where others come too: some 15 ms of a transaction.
const BULK_BESIDE_OTHERS: usize = 128;

/// For how many batches others are expected after they came.
const EXPECTED: u32 = 64;

/// Gathers items and hands them to one function, batch by batch; each caller gets its own item's result.
#[derive(Debug)]
pub struct Batcher<T, R> {
    queue: mpsc::Sender<Entered<T, R>>,
    bulk: mpsc::Sender<(Entered<T, R>, usize)>,
}

/// An item, and where its result goes.
type Entered<T, R> = (T, oneshot::Sender<R>);

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bulk: self.bulk.clone() }
    }
}

/// The batcher has stopped, because simod is shutting down; or a fault of ours ended the batch.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped;

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// Starts the gathering task on `tracker`. It ends, having worked off its queues, when every clone is dropped.
    ///
    /// `commit` gets at most `most` items. When it is done, the next batch begins; `settle` gets what it returned, and
    /// beside that next batch makes the results, as many as there were items and in their order.
    pub fn start<C, Commit, Committing, Settle, Settling>(
        tracker: &TaskTracker,
        most: usize,
        commit: Commit,
        settle: Settle,
    ) -> Self
    where
        Commit: Fn(Vec<T>) -> Committing + Send + 'static,
        Committing: Future<Output = C> + Send,
        Settle: Fn(C) -> Settling + Send + 'static,
        Settling: Future<Output = Vec<R>> + Send + 'static,
    {
        let (queue, arrived) = mpsc::channel::<Entered<T, R>>(most * 4);
        let (bulk, arrived_in_bulk) = mpsc::channel(most);
        let mut queues = Queues { arrived, arrived_in_bulk, most, expected: 0 };
        let answering = tracker.clone();
        tracker.spawn(async move {
            let mut gathered = Vec::with_capacity(most);
            while queues.gather(&mut gathered).await {
                let (items, callers): (Vec<T>, Vec<_>) = gathered.drain(..).unzip();
                // Whoever handed in what made it panic learns that we cannot say what became of it; others go on.
                let Ok(committed) = AssertUnwindSafe(commit(items)).catch_unwind().await else {
                    tracing::error!(items = callers.len(), "a fault in simod; a batch is lost");
                    continue;
                };
                let settling = settle(committed);
                answering.spawn(async move {
                    for (result, caller) in settling.await.into_iter().zip(callers) {
                        // A caller that went away does not undo what was committed.
                        let _gone = caller.send(result);
                    }
                });
            }
        });
        Self { queue, bulk }
    }

    /// Hands in one item; what is returned waits for its result.
    ///
    /// # Errors
    /// When the batcher has stopped; the item was not handled then.
    pub async fn enter(
        &self,
        item: T,
    ) -> Result<impl Future<Output = Result<R, Stopped>> + Send + use<T, R>, Stopped> {
        let (caller, result) = oneshot::channel();
        self.queue.send((item, caller)).await.map_err(|_| Stopped)?;
        Ok(result.map(|result| result.map_err(|_| Stopped)))
    }

    /// Hands in one of many items, or a heavy one; `weight` is what it costs, in ordinary ones.
    ///
    /// # Errors
    /// When the batcher has stopped; the item was not handled then.
    pub async fn enter_bulk(
        &self,
        item: T,
        weight: usize,
    ) -> Result<impl Future<Output = Result<R, Stopped>> + Send + use<T, R>, Stopped> {
        let (caller, result) = oneshot::channel();
        self.bulk.send(((item, caller), weight)).await.map_err(|_| Stopped)?;
        Ok(result.map(|result| result.map_err(|_| Stopped)))
    }

    /// Hands in one item and waits for its result.
    ///
    /// # Errors
    /// When the batcher has stopped; the item was not handled then, or there is no telling whether it was.
    pub async fn submit(&self, item: T) -> Result<R, Stopped> {
        self.enter(item).await?.await
    }
}

/// What waits for the next batches.
struct Queues<E> {
    arrived: mpsc::Receiver<E>,
    arrived_in_bulk: mpsc::Receiver<(E, usize)>,
    most: usize,
    /// For how many more batches others than bulk are expected.
    expected: u32,
}

impl<E> Queues<E> {
    /// The next batch; `false` when there will be none.
    async fn gather(&mut self, batch: &mut Vec<E>) -> bool {
        let mut weight = 0;
        tokio::select! {
            biased;
            1.. = self.arrived.recv_many(batch, self.most) => self.expected = EXPECTED,
            Some((item, weighs)) = self.arrived_in_bulk.recv() => {
                batch.push(item);
                weight = weighs;
                self.expected = self.expected.saturating_sub(1);
            }
            else => return false,
        }
        let room = if self.expected > 0 { BULK_BESIDE_OTHERS } else { self.most };
        while weight < room
            && batch.len() < self.most
            && let Ok((item, weighs)) = self.arrived_in_bulk.try_recv()
        {
            batch.push(item);
            weight += weighs;
        }
        true
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
        let commit = {
            let (commits, gate) = (commits.clone(), gate.clone());
            move |items: Vec<u32>| {
                let (commits, gate) = (commits.clone(), gate.clone());
                async move {
                    commits.fetch_add(1, Ordering::Relaxed);
                    let _permit = gate.acquire().await;
                    items
                }
            }
        };
        let batcher = Batcher::start(&tracker, 64, commit, async |items: Vec<u32>| {
            items.into_iter().map(|n| n * 2).collect()
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
    async fn a_batch_that_waits_for_the_disk_does_not_hold_up_the_next() {
        let tracker = TaskTracker::new();
        let disk = Arc::new(tokio::sync::Semaphore::new(0));
        let (committed, mut commits) = mpsc::unbounded_channel();
        let commit = move |items: Vec<u32>| {
            let sent = committed.send(items[0]);
            async move { sent.map(|()| items).unwrap() }
        };
        let settle = {
            let disk = disk.clone();
            move |items| {
                let disk = disk.clone();
                async move {
                    let _synced = disk.acquire().await;
                    items
                }
            }
        };
        let batcher = Batcher::start(&tracker, 1, commit, settle);
        let submit = |n| {
            let batcher = batcher.clone();
            tokio::spawn(async move { batcher.submit(n).await })
        };
        let (first, second) = (submit(1), submit(2));
        let both = [commits.recv().await.unwrap(), commits.recv().await.unwrap()];
        assert_eq!(both.iter().sum::<u32>(), 3);
        assert!(!first.is_finished() && !second.is_finished());
        disk.add_permits(1);
        assert_eq!((first.await.unwrap(), second.await.unwrap()), (Ok(1), Ok(2)));
    }

    /// So that theirs are not long in coming. Where nobody else comes, bulk fills whole batches.
    #[tokio::test]
    async fn bulk_takes_little_of_batches_in_which_others_come_and_all_where_they_do_not() {
        let (queue, arrived) = mpsc::channel(8);
        let (bulk, arrived_in_bulk) = mpsc::channel(16_384);
        let mut queues = Queues { arrived, arrived_in_bulk, most: 1_024, expected: 0 };
        for n in 0..12_000 {
            bulk.try_send((("bulk", n), 1)).unwrap();
        }
        let mut batch = Vec::new();
        assert!(queues.gather(&mut batch).await);
        assert_eq!(batch.len(), 1_024);
        queue.try_send(("other", 0)).unwrap();
        batch.clear();
        assert!(queues.gather(&mut batch).await);
        assert_eq!(
            (batch[0], batch[1], batch.len()),
            (("other", 0), ("bulk", 1_024), 1 + BULK_BESIDE_OTHERS)
        );
        let mut batches = 0;
        batch.clear();
        while queues.gather(&mut batch).await && batch.len() < 1_024 {
            assert_eq!(batch.len(), BULK_BESIDE_OTHERS);
            batches += 1;
            batch.clear();
        }
        assert_eq!(batches, EXPECTED - 1, "then nobody else is expected");
    }

    #[tokio::test]
    async fn what_weighs_much_fills_a_batch_sooner() {
        let (queue, arrived) = mpsc::channel(8);
        let (bulk, arrived_in_bulk) = mpsc::channel(8);
        let mut queues = Queues { arrived, arrived_in_bulk, most: 1_024, expected: 0 };
        for n in 0..3 {
            bulk.try_send((n, 600)).unwrap();
        }
        drop((queue, bulk));
        let mut batch = Vec::new();
        assert!(queues.gather(&mut batch).await);
        assert_eq!(batch, [0, 1]);
        assert!(queues.gather(&mut batch).await);
        assert_eq!(batch, [0, 1, 2]);
        assert!(!queues.gather(&mut batch).await, "what waits is worked off first");
    }

    #[tokio::test]
    async fn a_batch_that_panics_leaves_the_next_one_alone() {
        let commit = async |items: Vec<u32>| {
            assert!(items[0] != 1, "a fault");
            items
        };
        let batcher = Batcher::start(&TaskTracker::new(), 1, commit, async |items| items);
        assert_eq!(batcher.submit(1).await, Err(Stopped));
        assert_eq!(batcher.submit(2).await, Ok(2));
    }

    #[tokio::test]
    async fn the_queue_is_worked_off_when_the_last_handle_goes() {
        let tracker = TaskTracker::new();
        let batcher = Batcher::start(&tracker, 8, async |items: Vec<u32>| items, async |items| items);
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
