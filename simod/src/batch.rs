//! Group commit: items that arrive while one transaction runs are committed together in the next one.
//!
//! There is no timer: a lone item is committed at once, and a batch is as large as the load makes it. A committed batch
//! that waits for the disk does not hold up the next one. Bulk items have a queue of their own: while single items come
//! too, bulk takes only so much of each batch that they are not delayed for long.

use std::{
    future::Future,
    panic::AssertUnwindSafe,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use futures_util::FutureExt as _;
use tokio::{
    sync::{mpsc, mpsc::error::TrySendError, oneshot},
    time::{Instant, timeout_at},
};
use tokio_util::task::TaskTracker;

/// The weight of bulk in one batch while single items come too: some 15 ms of a transaction.
const BULK_BESIDE_OTHERS: usize = 128;

/// For how many batches single items are expected after the last one.
const EXPECTED: u32 = 64;

/// Gathers items and hands them to one function, batch by batch; each caller gets its own item's result.
#[derive(Debug)]
pub struct Batcher<T, R> {
    queue: mpsc::Sender<Queued<T, R>>,
    bulk: mpsc::Sender<(Queued<T, R>, usize)>,
}

impl<T, R> Clone for Batcher<T, R> {
    fn clone(&self) -> Self {
        Self { queue: self.queue.clone(), bulk: self.bulk.clone() }
    }
}

#[derive(Debug)]
struct Queued<T, R> {
    item: T,
    caller: oneshot::Sender<R>,
    claimed: Claimed,
}

/// Set once: by the batch that begins the item, or by the caller that gives it up.
#[derive(Debug, Clone, Default)]
struct Claimed(Arc<AtomicBool>);

impl Claimed {
    fn claim(&self) -> bool {
        !self.0.swap(true, Ordering::AcqRel)
    }
}

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unanswered {
    /// The item was not started, and never will be.
    NotBegun,
    /// It was started. Whether it is done, or still will be, is unknown.
    OutcomeUnknown,
}

/// An item that was handed in.
#[derive(Debug)]
pub struct Entered<R> {
    result: oneshot::Receiver<R>,
    claimed: Claimed,
}

impl<R> Entered<R> {
    /// Waits for the result until `deadline`. An item not started by then never is.
    ///
    /// # Errors
    /// When the deadline has passed, the batcher has stopped, or a panic ended the batch.
    pub async fn result_by(mut self, deadline: Instant) -> Result<R, Unanswered> {
        // The results of one batch come together, so only the first needs a timer.
        if let Ok(result) = self.result.try_recv() {
            return Ok(result);
        }
        match timeout_at(deadline, &mut self.result).await {
            Ok(Ok(result)) => Ok(result),
            Ok(Err(_)) => Err(self.give_up()),
            // The result may have come just now.
            Err(_) => self.result.try_recv().map_err(|_| self.give_up()),
        }
    }

    fn give_up(&self) -> Unanswered {
        if self.claimed.claim() { Unanswered::NotBegun } else { Unanswered::OutcomeUnknown }
    }
}

impl<T: Send + 'static, R: Send + 'static> Batcher<T, R> {
    /// Starts the gathering task on `tracker`. It ends when every clone is dropped and its queues are empty.
    ///
    /// `commit` gets at most `most` items. When it is done, the next batch begins. Meanwhile `settle` makes the results
    /// from its output: one for each item, in order.
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
        let (queue, arrived) = mpsc::channel::<Queued<T, R>>(most * 4);
        let (bulk, arrived_in_bulk) = mpsc::channel(most);
        let mut queues = Queues { arrived, arrived_in_bulk, most, expected: 0 };
        let answering = tracker.clone();
        tracker.spawn(async move {
            let mut gathered = Vec::new();
            while queues.gather(&mut gathered).await {
                let (items, callers): (Vec<T>, Vec<_>) = (gathered.drain(..))
                    .filter_map(|Queued { item, caller, claimed }| claimed.claim().then_some((item, caller)))
                    .unzip();
                if items.is_empty() {
                    continue;
                }
                // The callers of a batch that panicked learn that the outcome is unknown; later batches go on.
                let Ok(committed) = AssertUnwindSafe(commit(items)).catch_unwind().await else {
                    tracing::error!(items = callers.len(), "a fault in simod; a batch is lost");
                    continue;
                };
                let settling = settle(committed);
                answering.spawn(async move {
                    for (result, caller) in settling.await.into_iter().zip(callers) {
                        // The item is committed even if its caller has gone.
                        let _gone = caller.send(result);
                    }
                });
            }
        });
        Self { queue, bulk }
    }

    /// Hands in one item; the caller may wait for its result.
    ///
    /// # Errors
    /// When there was no room before `deadline`, or the batcher has stopped.
    pub async fn enter_by(&self, item: T, deadline: Instant) -> Result<Entered<R>, Unanswered> {
        let (queued, entered) = Self::queued(item);
        hand_in(&self.queue, queued, deadline).await.map(|()| entered)
    }

    /// Hands in one of many items, or a heavy one; `weight` is its cost, in ordinary items.
    ///
    /// # Errors
    /// As [`Batcher::enter_by`].
    pub async fn enter_bulk_by(
        &self,
        item: T,
        weight: usize,
        deadline: Instant,
    ) -> Result<Entered<R>, Unanswered> {
        let (queued, entered) = Self::queued(item);
        hand_in(&self.bulk, (queued, weight), deadline).await.map(|()| entered)
    }

    /// Hands in one item and waits for its result until `deadline`.
    ///
    /// # Errors
    /// As [`Batcher::enter_by`] and [`Entered::result_by`].
    pub async fn submit_by(&self, item: T, deadline: Instant) -> Result<R, Unanswered> {
        self.enter_by(item, deadline).await?.result_by(deadline).await
    }

    /// Hands in one item and waits for its result, without a deadline.
    ///
    /// # Errors
    /// When the batcher has stopped, or a panic ended the batch.
    pub async fn submit(&self, item: T) -> Result<R, Unanswered> {
        let (queued, entered) = Self::queued(item);
        self.queue.send(queued).await.map_err(|_| Unanswered::NotBegun)?;
        entered.result.await.map_err(|_| Unanswered::OutcomeUnknown)
    }

    fn queued(item: T) -> (Queued<T, R>, Entered<R>) {
        let (caller, result) = oneshot::channel();
        let claimed = Claimed::default();
        (Queued { item, caller, claimed: claimed.clone() }, Entered { result, claimed })
    }
}

async fn hand_in<Q>(queue: &mpsc::Sender<Q>, item: Q, deadline: Instant) -> Result<(), Unanswered> {
    // Usually there is room, and no timer is needed.
    let item = match queue.try_send(item) {
        Ok(()) => return Ok(()),
        Err(TrySendError::Closed(_)) => return Err(Unanswered::NotBegun),
        Err(TrySendError::Full(item)) => item,
    };
    match timeout_at(deadline, queue.send(item)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(_)) | Err(_) => Err(Unanswered::NotBegun),
    }
}

/// Items waiting for the next batches.
struct Queues<E> {
    arrived: mpsc::Receiver<E>,
    arrived_in_bulk: mpsc::Receiver<(E, usize)>,
    most: usize,
    /// For how many more batches single items are expected.
    expected: u32,
}

impl<E> Queues<E> {
    /// Gathers the next batch; `false` when there will be none.
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

    /// So that single items are not delayed for long. Without any, bulk fills whole batches.
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
        assert_eq!(batcher.submit(1).await, Err(Unanswered::OutcomeUnknown));
        assert_eq!(batcher.submit(2).await, Ok(2));
    }

    /// A batcher of single items that run until the gate lets them go, and reports the ones that were started.
    fn gated() -> (Batcher<u32, u32>, Arc<tokio::sync::Semaphore>, mpsc::UnboundedReceiver<u32>) {
        let (began, begun) = mpsc::unbounded_channel();
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let opened = gate.clone();
        let commit = move |items: Vec<u32>| {
            let (sent, opened) = (began.send(items[0]), opened.clone());
            async move {
                opened.acquire().await.unwrap().forget();
                sent.map(|()| items).unwrap()
            }
        };
        (Batcher::start(&TaskTracker::new(), 1, commit, async |items| items), gate, begun)
    }

    #[tokio::test]
    async fn an_item_that_was_given_up_in_the_queue_is_never_begun() {
        let (batcher, gate, mut begun) = gated();
        let now = Instant::now();
        let under_way = batcher.enter_by(1, now).await.unwrap();
        assert_eq!(begun.recv().await, Some(1));
        let given_up = batcher.enter_by(2, now).await.unwrap();
        let patient = batcher.enter_by(3, now).await.unwrap();
        assert_eq!(under_way.result_by(now).await, Err(Unanswered::OutcomeUnknown));
        assert_eq!(given_up.result_by(now).await, Err(Unanswered::NotBegun));
        gate.add_permits(2);
        let later = now + std::time::Duration::from_hours(1);
        assert_eq!(patient.result_by(later).await, Ok(3));
        assert_eq!(begun.recv().await, Some(3));
    }

    #[tokio::test]
    async fn where_the_queue_is_full_nobody_waits_beyond_his_deadline() {
        let (batcher, _gate, mut begun) = gated();
        let now = Instant::now();
        let _under_way = batcher.enter_by(0, now).await.unwrap();
        begun.recv().await;
        let mut waiting = Vec::new();
        let refused = loop {
            match batcher.enter_by(1, now).await {
                Ok(entered) => waiting.push(entered),
                Err(unanswered) => break unanswered,
            }
        };
        assert_eq!((refused, waiting.len()), (Unanswered::NotBegun, 4));
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
