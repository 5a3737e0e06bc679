//! Whether this instance can store messages, as `/readyz` reports it.
//!
//! It can if a commit has succeeded within the last ten seconds. Commits of messages and receipts count; without any for a
//! while, a duty commits a small row of its own. So an idle instance knows its state, and one that load balancers have left
//! recovers. A readiness probe only reads the known state.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::FutureExt as _;
use metrics::{Counter, Gauge};
use simo_common::{lang::Text, text};
use tokio::sync::{Notify, watch};
use tokio_util::task::TaskTracker;

use crate::{
    app::App,
    background::keep_up_until_shutdown,
    metrics::Metrics,
    news,
    store::{Error, Store},
};

/// How long a commit proves that the next one will succeed.
const PROVES_FOR: Duration = Duration::from_secs(10);

/// How long before that runs out we commit a row of our own: early enough for its result, or the lack of it, to be known in
/// time.
const AHEAD: Duration = Duration::from_secs(5);

/// Interval at which we check whether a proof is due; also the pause between retries.
const PAUSE: Duration = Duration::from_secs(1);

/// Bytes in our row at first, and after the disk was full: as much as a message may have, so that we do not report room
/// that only suffices for small messages.
const BALLAST: u32 = 256 * 1024;

/// The state of commits.
#[derive(Debug)]
pub struct Health {
    began: Instant,
    /// When the last commit succeeded, in milliseconds after the beginning; 0: none has.
    committed: AtomicU64,
    /// A commit has failed.
    failed: Notify,
    lacked_room: AtomicBool,
    trouble: watch::Sender<Option<Arc<Trouble>>>,
    ready: Gauge,
    causes: [(Cause, Gauge); Cause::ALL.len()],
    failures: Counter,
}

/// Why this instance is not ready.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trouble {
    /// For the server's owner: it may name servers and files.
    pub reason: Text,
    cause: Cause,
}

impl Trouble {
    /// While the state is unknown.
    pub(crate) fn of_starting(reason: Text) -> Self {
        Self { reason, cause: Cause::Starting }
    }
}

impl From<&Error> for Trouble {
    fn from(error: &Error) -> Self {
        let cause = if error.lacks_room() {
            Cause::Full
        } else if error.is_of_file() {
            Cause::File
        } else if error.is_of_standby() {
            Cause::Standby
        } else {
            Cause::Database
        };
        Self { reason: error.cause(), cause }
    }
}

/// The cause, as the metric names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// The state is not known yet.
    Starting,
    /// The disk is full.
    Full,
    /// The file was replaced, or cannot be trusted.
    File,
    /// Pages cannot be read.
    Unreadable,
    /// Commits wait for a standby.
    Standby,
    /// Commits are not confirmed.
    Silent,
    /// Any other database error.
    Database,
}

impl Cause {
    const ALL: [Self; 7] = [
        Self::Starting,
        Self::Full,
        Self::File,
        Self::Unreadable,
        Self::Standby,
        Self::Silent,
        Self::Database,
    ];

    fn as_str(self) -> &'static str {
        match self {
            Self::Starting => "starting",
            Self::Full => "full",
            Self::File => "file",
            Self::Unreadable => "unreadable",
            Self::Standby => "standby",
            Self::Silent => "silent",
            Self::Database => "database",
        }
    }
}

impl Health {
    /// The state is not known yet.
    pub fn new(metrics: &Metrics) -> Self {
        let starting = text!("simod is starting", "simod запускается");
        Self {
            began: Instant::now(),
            committed: AtomicU64::new(0),
            failed: Notify::new(),
            // A full disk may have been the reason for the restart.
            lacked_room: AtomicBool::new(true),
            trouble: watch::Sender::new(Some(Arc::new(Trouble::of_starting(starting)))),
            ready: metrics.ready(),
            causes: Cause::ALL.map(|cause| {
                let gauge = metrics.not_ready(cause.as_str());
                gauge.set(if cause == Cause::Starting { 1.0 } else { 0.0 });
                (cause, gauge)
            }),
            failures: metrics.failed_commits(),
        }
    }

    /// A commit has written something. Empty commits do not count: they succeed on a full disk, too.
    pub fn committed(&self) {
        self.committed.store(self.now(), Ordering::Relaxed);
    }

    /// A commit failed. Checks at once whether others fail, too.
    pub fn failed(&self, error: &Error) {
        if !matches!(error, Error::Unavailable(_) | Error::OutcomeUnknown(_)) || error.is_race() {
            return;
        }
        self.failures.increment(1);
        if error.lacks_room() {
            self.lacked_room.store(true, Ordering::Relaxed);
        }
        self.failed.notify_one();
    }

    /// Why this instance is not ready, if it is not.
    pub fn trouble(&self) -> Option<Arc<Trouble>> {
        self.trouble.borrow().clone()
    }

    /// Subscribes to changes.
    pub fn follow(&self) -> watch::Receiver<Option<Arc<Trouble>>> {
        self.trouble.subscribe()
    }

    /// Milliseconds since the beginning, starting at 1.
    fn now(&self) -> u64 {
        self.began.elapsed().as_millis() as u64 + 1
    }

    /// For how long the last commit still proves that the next one will succeed.
    fn proves_for(&self, now: u64) -> Duration {
        let age = Duration::from_millis(now - self.committed.load(Ordering::Relaxed).min(now));
        PROVES_FOR.saturating_sub(age)
    }

    /// Whether to commit a row of our own.
    fn is_due(&self, now: u64) -> bool {
        self.trouble.borrow().is_some() || self.proves_for(now) <= AHEAD
    }

    /// The size of that row.
    fn ballast(&self) -> u32 {
        let lacks_room = self.trouble.borrow().as_ref().is_some_and(|trouble| trouble.cause == Cause::Full);
        if lacks_room || self.lacked_room.swap(false, Ordering::Relaxed) { BALLAST } else { 0 }
    }

    /// Draws conclusions from our own commit, which began at `asked`.
    fn conclude(&self, asked: u64, proof: &Result<(), Error>, unreadable: Option<String>) {
        match (proof, unreadable) {
            (Ok(()), None) => {
                self.committed();
                self.set(None);
            }
            (Ok(()), Some(said)) => {
                let reason = text!(
                    "the database has pages that cannot be read ({said}): stop simod, look at the disk and restore a backup",
                    "в базе данных есть страницы, которые не читаются ({said}): остановите simod, проверьте диск и восстановите \
                     резервную копию"
                );
                self.set(Some(Trouble { reason, cause: Cause::Unreadable }));
            }
            (Err(error), _) => {
                self.failures.increment(1);
                let trouble = Trouble::from(error);
                // Other commits have succeeded meanwhile; where room is scarce, only because they were small.
                let gets_through =
                    self.committed.load(Ordering::Relaxed) > asked && trouble.cause != Cause::Full;
                self.set(if gets_through { None } else { Some(trouble) });
            }
        }
    }

    fn set(&self, trouble: Option<Trouble>) {
        self.ready.set(if trouble.is_none() { 1.0 } else { 0.0 });
        let cause = trouble.as_ref().map(|trouble| trouble.cause);
        for (known, gauge) in &self.causes {
            gauge.set(if cause == Some(*known) { 1.0 } else { 0.0 });
        }
        self.trouble.send_if_modified(|before| {
            match (&before, &trouble) {
                (None, None) => return false,
                (Some(before), Some(now)) if **before == *now => return false,
                (None, Some(now)) => tracing::error!("not ready: {}", now.reason.en),
                (Some(_), Some(now)) => news::warn("still not ready", &now.reason.en),
                (Some(_), None) => tracing::info!("ready"),
            }
            *before = trouble.map(Arc::new);
            true
        });
    }
}

/// Watches until shutdown.
pub(crate) fn start(app: &Arc<App>, tracker: &TaskTracker) {
    keep_up_until_shutdown(&app.shutdown, app, tracker, "health", async |app| {
        watch(&app.health, &app.store).await;
    });
}

async fn watch(health: &Health, store: &Store) {
    loop {
        let mut next = Instant::now() + PAUSE;
        prove(health, store).await;
        loop {
            // A slow try was pause enough.
            tokio::time::sleep_until(next.into()).await;
            next = Instant::now() + PAUSE;
            let has_failed = health.failed.notified().now_or_never().is_some();
            if has_failed || health.is_due(health.now()) || store.unreadable().is_some() {
                break;
            }
        }
    }
}

/// Commits a row of our own. If that takes so long that no recent commit proves anything any more, reports it before the
/// result comes.
async fn prove(health: &Health, store: &Store) {
    let asked = health.now();
    let mut proof = std::pin::pin!(store.prove_commit(health.ballast()));
    let proof = loop {
        let left = health.proves_for(health.now());
        match tokio::time::timeout(left, &mut proof).await {
            Ok(proof) => break proof,
            Err(_) if health.trouble.borrow().is_some() => break proof.await,
            Err(_) if health.proves_for(health.now()).is_zero() => {
                let seconds = PROVES_FOR.as_secs();
                let reason = text!(
                    "the database has not confirmed a commit for {seconds} s",
                    "база данных не подтвердила ни одной фиксации за {seconds} с"
                );
                health.set(Some(Trouble { reason, cause: Cause::Silent }));
            }
            Err(_) => {}
        }
    };
    health.conclude(asked, &proof, store.unreadable());
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Plant;

    fn error(message: &str) -> Error {
        sqlx::Error::Io(std::io::Error::other(message.to_owned())).into()
    }

    fn is_ready(health: &Health) -> bool {
        health.trouble().is_none()
    }

    #[test]
    fn a_commit_of_others_overrules_a_failure_of_ours_but_not_a_lack_of_room() {
        let health = Health::new(&Metrics::default());
        assert!(!is_ready(&health), "nothing is known");
        health.conclude(1, &Ok(()), None);
        assert!(is_ready(&health));
        let now = health.now() + 1;
        health.conclude(now, &Err(error("away")), None);
        assert!(!is_ready(&health));
        health.committed.store(now + 1, Ordering::Relaxed);
        health.conclude(now, &Err(error("away")), None);
        assert!(is_ready(&health));
        health.conclude(now, &Ok(()), Some("malformed".to_owned()));
        assert!(health.trouble().unwrap().reason.en.contains("malformed"));
    }

    #[test]
    fn our_own_row_is_due_when_others_have_committed_nothing_for_a_while() {
        let health = Health::new(&Metrics::default());
        assert!(health.is_due(1), "nothing is known");
        health.conclude(1, &Ok(()), None);
        health.committed.store(1_000, Ordering::Relaxed);
        assert!(!health.is_due(5_999) && health.is_due(6_000));
        assert_eq!(health.proves_for(6_000), Duration::from_secs(5));
        assert!(health.proves_for(11_000).is_zero() && health.proves_for(20_000).is_zero());
        health.conclude(6_000, &Err(error("away")), None);
        assert!(health.is_due(1_001), "after a failure it is tried again and again");
    }

    #[test]
    fn only_what_the_database_cannot_do_is_its_failure() {
        let health = Health::new(&Metrics::default());
        health.failed(&Error::not_found("topic", "boiler"));
        health.failed(&Error::Internal(sqlx::Error::RowNotFound));
        assert!(health.failed.notified().now_or_never().is_none());
        health.failed(&error("away"));
        assert!(health.failed.notified().now_or_never().is_some());
        assert_eq!([health.ballast(), health.ballast()], [BALLAST, 0]);
    }

    #[tokio::test]
    async fn a_row_of_our_own_proves_it() {
        let plant = Plant::new().await;
        let health = Health::new(&Metrics::default());
        prove(&health, &plant.store).await;
        assert!(is_ready(&health));
        let rows = "select count(*) from commit_proof";
        assert_eq!(plant.number(rows).await, Some(1));
        prove(&health, &plant.store).await;
        assert_eq!(plant.number(rows).await, Some(1), "it is one row of each instance");
    }
}
