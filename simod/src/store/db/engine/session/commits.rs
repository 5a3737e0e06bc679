//! Commits that the server does not answer, as when its synchronous standby is away.
//!
//! Each of them holds a connection of the server until the standby is back, also when ours was closed long ago: a server that
//! waits for its standby looks at nothing else. So only few are tried.

use std::{
    io,
    pin::pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore, futures::OwnedNotified},
    time::timeout,
};

use super::permit;
use crate::store::Result;

/// A commit that takes longer hangs.
const HANGS: Duration = Duration::from_secs(1);

/// How many more are tried while one hangs.
const TRIALS: i64 = 2;

/// How many transactions that may write have a connection at once.
pub(crate) const WRITERS: usize = 6;

/// What is known of the commits of this instance.
#[derive(Debug)]
pub(crate) struct Commits {
    /// A commit's text names the instance, so that the server can be asked which of ours it still works on.
    text: Arc<str>,
    /// A commit has hung, and the server has not yet reported that none is left.
    in_doubt: AtomicBool,
    writers: Arc<Semaphore>,
    /// One at a time asks the server, so that all whose commit was sent before are in its answer.
    turn: Arc<Semaphore>,
    hung: Arc<Notify>,
}

/// Leave to begin a transaction that may write.
#[derive(Debug)]
pub(crate) struct Pass {
    commits: Arc<Commits>,
    /// Held by one of the few that are tried, until its commit hangs as well.
    turn: Option<OwnedSemaphorePermit>,
    _permit: OwnedSemaphorePermit,
}

impl Commits {
    /// Those of an instance by this name, which consists of letters and digits.
    pub(crate) fn new(instance: &str) -> Arc<Self> {
        Arc::new(Self {
            text: format!("commit /* simod {instance} */").into(),
            in_doubt: AtomicBool::new(false),
            writers: Arc::new(Semaphore::new(WRITERS)),
            turn: Arc::new(Semaphore::new(1)),
            hung: Arc::default(),
        })
    }

    /// Waits for a permit.
    ///
    /// # Errors
    /// At once when a commit hangs and another one is tried.
    pub(crate) async fn enter(self: &Arc<Self>) -> Result<Pass> {
        let turn = if self.in_doubt.load(Ordering::Relaxed) {
            Some(self.turn.clone().try_acquire_owned().map_err(|_| hanging())?)
        } else {
            None
        };
        let permit = permit(&self.writers).await?;
        Ok(Pass { commits: self.clone(), turn, _permit: permit })
    }

    /// Resolves the next time a commit is found hanging.
    pub(crate) fn hang(&self) -> OwnedNotified {
        self.hung.clone().notified_owned()
    }
}

impl Pass {
    /// What a commit is to say.
    pub(super) fn text(&self) -> Arc<str> {
        self.commits.text.clone()
    }

    /// What to ask the server before anything is written: how many of our commits it works on.
    pub(super) fn question(&self) -> Option<String> {
        let text = &self.commits.text;
        self.turn.is_some().then(|| {
            format!("select count(*) from pg_stat_activity where state = 'active' and query = '{text}'")
        })
    }

    /// Goes by the answer to the question.
    ///
    /// # Errors
    /// When as many hang there as may be tried.
    pub(super) fn learn(&self, under_way: i64) -> Result<()> {
        if under_way == 0 {
            self.commits.in_doubt.store(false, Ordering::Relaxed);
        }
        if under_way > TRIALS { Err(hanging()) } else { Ok(()) }
    }

    /// Others are careful from now on.
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
    use super::*;

    #[tokio::test]
    async fn while_a_commit_hangs_one_at_a_time_asks_whether_more_may_be_tried() {
        let commits = Commits::new("a");
        let first = commits.enter().await.unwrap();
        assert_eq!(first.question(), None);
        first.doubt();
        let second = commits.enter().await.unwrap();
        assert!(second.question().unwrap().contains("commit /* simod a */"));
        assert!(second.learn(2).is_ok());
        assert!(commits.enter().await.is_err());
        drop(second);
        assert!(commits.enter().await.unwrap().learn(3).is_err());
        commits.enter().await.unwrap().learn(0).unwrap();
        let others = [commits.enter().await.unwrap(), commits.enter().await.unwrap()];
        assert!(others.iter().all(|pass| pass.question().is_none()));
    }
}
