//! Commits that the server does not answer, as when its synchronous standby is away.
//!
//! Each of them holds a connection of the server until the standby is back, even if ours was closed long ago: a server
//! that waits for its standby ignores everything else. So only a few are tried.

use std::{
    io,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, futures::OwnedNotified},
    time::timeout,
};

use super::permit;
use crate::store::Result;

/// A commit that takes longer hangs.
const HANGS: Duration = Duration::from_secs(1);

/// How many more commits are tried while one hangs.
const TRIALS: i64 = 2;

/// How many transactions that may write have a connection at once, and how many of them are background work: these may
/// wait for a lock of a commit that hangs.
pub(crate) const WRITERS: usize = 6;
const PATIENT_WRITERS: usize = 3;

/// How long the server's answer that too many commits hang is believed.
const REFUSED_FOR: Duration = Duration::from_secs(1);

/// The state of this instance's commits.
#[derive(Debug)]
pub(crate) struct Commits {
    /// A commit's text names the instance, so that the server can be asked which of our commits it still works on.
    text: Arc<str>,
    /// A commit has hung, and the server has not yet reported that none is left.
    in_doubt: AtomicBool,
    writers: Arc<Semaphore>,
    patient_writers: Arc<Semaphore>,
    /// Only one at a time asks the server, so that its answer covers every commit sent before.
    turn: Arc<Semaphore>,
    /// When it last answered that too many hang.
    refused: Mutex<Option<Instant>>,
    hung: Arc<Notify>,
}

/// Permission to begin a transaction that may write.
#[derive(Debug)]
pub(crate) struct Pass {
    commits: Arc<Commits>,
    /// Held by one of the few commits that are tried, until it hangs as well.
    turn: Option<OwnedSemaphorePermit>,
    _permits: (Option<OwnedSemaphorePermit>, OwnedSemaphorePermit),
}

impl Commits {
    /// Those of the instance with this name, which consists of letters and digits.
    pub(crate) fn new(instance: &str) -> Arc<Self> {
        Arc::new(Self {
            text: format!("commit /* simod {instance} */").into(),
            in_doubt: AtomicBool::new(false),
            writers: Arc::new(Semaphore::new(WRITERS)),
            patient_writers: Arc::new(Semaphore::new(PATIENT_WRITERS)),
            turn: Arc::new(Semaphore::new(1)),
            refused: Mutex::default(),
            hung: Arc::default(),
        })
    }

    /// Waits for a permit and, while a commit hangs, for its turn; `is_awaited`: a request waits for it.
    ///
    /// # Errors
    /// At once when the server has just said that too many hang.
    pub(crate) async fn enter(self: &Arc<Self>, is_awaited: bool) -> Result<Pass> {
        // Taken first: waiting for it later would keep others from their turn.
        let patient = if is_awaited { None } else { Some(permit(&self.patient_writers).await?) };
        let turn = if self.in_doubt.load(Ordering::Relaxed) {
            self.refuse_if_too_many_hang()?;
            let turn = permit(&self.turn).await?;
            self.refuse_if_too_many_hang()?;
            Some(turn)
        } else {
            None
        };
        Ok(Pass { commits: self.clone(), turn, _permits: (patient, permit(&self.writers).await?) })
    }

    fn refuse_if_too_many_hang(&self) -> Result<()> {
        let refused = *self.refused.lock().unwrap_or_else(PoisonError::into_inner);
        if refused.is_some_and(|refused| refused.elapsed() < REFUSED_FOR) { Err(hanging()) } else { Ok(()) }
    }

    /// Resolves the next time a commit is found hanging.
    pub(crate) fn hang(&self) -> OwnedNotified {
        self.hung.clone().notified_owned()
    }
}

impl Pass {
    pub(super) fn text(&self) -> Arc<str> {
        self.commits.text.clone()
    }

    /// The query to ask the server before anything is written: how many of our commits it works on.
    pub(super) fn question(&self) -> Option<String> {
        let text = &self.commits.text;
        self.turn.is_some().then(|| {
            format!("select count(*) from pg_stat_activity where state = 'active' and query = '{text}'")
        })
    }

    /// Acts on the answer to the query.
    ///
    /// # Errors
    /// When as many commits hang as may be tried.
    pub(super) fn learn(&self, under_way: i64) -> Result<()> {
        if under_way == 0 {
            self.commits.in_doubt.store(false, Ordering::Relaxed);
        }
        if under_way <= TRIALS {
            return Ok(());
        }
        *self.commits.refused.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        Err(hanging())
    }

    /// Makes later commits careful.
    pub(super) fn doubt(&self) {
        self.commits.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Waits for the answer to a commit, and lets others know when it hangs.
    pub(super) async fn watch<T>(&mut self, commit: impl Future<Output = T>) -> T {
        let mut commit = pin!(commit);
        if let Ok(answer) = timeout(HANGS, &mut commit).await {
            return answer;
        }
        self.doubt();
        self.turn = None;
        self.commits.hung.notify_waiters();
        commit.await
    }
}

fn hanging() -> crate::store::Error {
    sqlx::Error::Io(io::Error::other("it does not answer commits (is its synchronous standby away?)")).into()
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    #[tokio::test]
    async fn while_a_commit_hangs_one_at_a_time_asks_whether_more_may_be_tried() {
        let commits = Commits::new("a");
        let first = commits.enter(true).await.unwrap();
        assert_eq!(first.question(), None);
        first.doubt();
        let second = commits.enter(true).await.unwrap();
        assert!(second.question().unwrap().contains("commit /* simod a */"));
        assert!(second.learn(2).is_ok());
        let (third, ()) = tokio::join!(commits.enter(true), async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            drop(second);
        });
        assert!(third.unwrap().learn(3).is_err(), "it has waited for its turn");
        assert!(commits.enter(true).await.is_err(), "the answer holds for a while");
        *commits.refused.lock().unwrap() = None;
        commits.enter(true).await.unwrap().learn(0).unwrap();
        let others = [commits.enter(true).await.unwrap(), commits.enter(true).await.unwrap()];
        assert!(others.iter().all(|pass| pass.question().is_none()));
    }

    #[tokio::test]
    async fn those_for_whom_nobody_waits_leave_places_to_others() {
        let commits = Commits::new("a");
        let mut patient = Vec::new();
        for _ in 0..PATIENT_WRITERS {
            patient.push(commits.enter(false).await.unwrap());
        }
        assert!(commits.enter(false).now_or_never().is_none());
        assert!(commits.enter(true).await.is_ok());
    }
}
