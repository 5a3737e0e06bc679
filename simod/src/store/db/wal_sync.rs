//! When what was written is on disk, under SQLite.
//!
//! SQLite would sync its log inside every commit, and the writer would stand still meanwhile. It commits without
//! (`synchronous = NORMAL`: a crash can take the newest commits, but never break the file), and the log is synced here:
//! one sync covers everything that was committed before it began, whoever waits for it, and the next transaction runs
//! beside it.

use std::{
    fs::{File, OpenOptions},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::Mutex;

use super::same_file::{FileTrouble, SameFile};
use crate::store::{Error, Result};

/// SQLite's write-ahead log.
#[derive(Debug)]
pub(super) struct Log {
    files: SameFile,
    /// How many have asked for a sync.
    asked: AtomicU64,
    /// Held while it is synced.
    synced: Arc<Mutex<Synced>>,
    /// Commits of new messages: begun, done, and known to be on disk.
    messages_begun: AtomicU64,
    messages_ended: AtomicU64,
    messages_synced: AtomicU64,
    /// A sync failed: the kernel may have thrown away what it could not write, and would call the next sync a success.
    broken: AtomicBool,
}

/// What the last sync left.
#[derive(Debug, Default)]
struct Synced {
    /// How many of those who asked, from the first one on, have had their sync.
    asked: u64,
    /// The file, kept open: when no further one can be opened, what was accepted is still synced.
    file: Option<File>,
}

impl Log {
    /// The log of a database.
    pub(super) fn of(files: SameFile) -> Self {
        Self {
            files,
            asked: AtomicU64::new(0),
            synced: Arc::default(),
            messages_begun: AtomicU64::new(0),
            messages_ended: AtomicU64::new(0),
            messages_synced: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// Waits until everything that was committed before is on disk.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`]: others see it already, and after a power failure it may be there or not.
    pub(super) async fn on_disk(self: &Arc<Self>) -> Result<()> {
        self.synced().await.map_err(|error| match error {
            Error::Unavailable(error) => Error::OutcomeUnknown(error),
            error => error,
        })
    }

    async fn synced(self: &Arc<Self>) -> Result<()> {
        let mine = self.asked.fetch_add(1, Ordering::SeqCst) + 1;
        let mut synced = self.synced.clone().lock_owned().await;
        if self.is_broken() {
            return Err(unsynced());
        }
        if synced.asked >= mine {
            return Ok(());
        }
        let log = self.clone();
        // It goes on when nobody waits for it any more, and nobody else syncs meanwhile: what the kernel told one sync of a
        // failure, it does not tell the next one.
        tokio::task::spawn_blocking(move || log.sync(&mut synced)).await?
    }

    /// A commit of new messages begins.
    pub(super) fn messages_begin(&self) {
        self.messages_begun.fetch_add(1, Ordering::SeqCst);
    }

    /// It has ended.
    pub(super) fn messages_end(&self) {
        self.messages_ended.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until every message that anyone could read before is on disk; mostly they are.
    pub(super) async fn messages_on_disk(self: &Arc<Self>) -> Result<()> {
        let begun = self.messages_begun.load(Ordering::SeqCst);
        if self.messages_synced.load(Ordering::SeqCst) >= begun && !self.is_broken() {
            return Ok(());
        }
        self.synced().await
    }

    /// Whether something may be written.
    ///
    /// # Errors
    /// [`Error::Unavailable`] after a sync that failed, or when the files are no longer ours.
    pub(super) fn check_usable(&self) -> Result<()> {
        if self.is_broken() {
            return Err(unsynced());
        }
        Ok(self.files.look_again()?)
    }

    /// The files that it belongs to.
    pub(super) fn files(&self) -> &SameFile {
        &self.files
    }

    /// Whether a sync failed. Then nothing may be accepted any more.
    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    fn sync(&self, synced: &mut Synced) -> Result<()> {
        let covers = self.asked.load(Ordering::SeqCst);
        let messages = self.messages_ended.load(Ordering::SeqCst);
        // What cannot be looked at says nothing of the log.
        self.files.look()?;
        let file = match synced.file.take() {
            Some(file) => file,
            None => OpenOptions::new().write(true).open(self.files.log()).map_err(sqlx::Error::Io)?,
        };
        synced.file.insert(file).sync_data().map_err(|error| {
            self.broken.store(true, Ordering::SeqCst);
            tracing::error!(path = %self.files.log().display(), %error,
                "the log cannot be synced: nothing is accepted until simod is started again");
            unsynced()
        })?;
        synced.asked = covers;
        self.messages_synced.fetch_max(messages, Ordering::SeqCst);
        Ok(())
    }
}

/// The error for whoever relies on a log that cannot be synced.
fn unsynced() -> Error {
    sqlx::Error::from(FileTrouble::Unsynced).into()
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::symlink};

    use super::*;

    #[tokio::test]
    async fn after_a_sync_that_failed_nothing_is_accepted_even_when_the_next_would_succeed() {
        let folder = tempfile::tempdir().unwrap();
        let (database, beside) = (folder.path().join("simo.db"), folder.path().join("simo.db-wal"));
        fs::write(&database, "").unwrap();
        // What cannot be synced.
        symlink("/dev/null", beside).unwrap();
        let files = SameFile::of(&database, &File::open(&database).unwrap(), None).unwrap();
        let log = Arc::new(Log::of(files));
        log.check_usable().unwrap();
        assert!(matches!(log.on_disk().await, Err(Error::OutcomeUnknown(_))));
        log.synced.lock().await.file = Some(File::open(&database).unwrap());
        assert!(matches!(log.on_disk().await, Err(Error::OutcomeUnknown(_))));
        assert!(matches!(log.messages_on_disk().await, Err(Error::Unavailable(_))));
        assert!(matches!(log.check_usable(), Err(Error::Unavailable(_))));
    }
}
