//! Syncs writes to disk, under SQLite.
//!
//! SQLite would sync its log inside every commit, and block the writer meanwhile. It commits without (`synchronous =
//! NORMAL`: a crash can lose the newest commits, but never corrupt the file), and the log is synced here: one sync
//! covers every commit made before it began, and the next transaction runs alongside.

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

#[derive(Debug)]
pub(super) struct Log {
    files: SameFile,
    /// How many syncs were requested.
    asked: AtomicU64,
    /// Locked during a sync.
    synced: Arc<Mutex<Synced>>,
    /// Commits of new messages: begun, done, and known to be on disk.
    messages_begun: AtomicU64,
    messages_ended: AtomicU64,
    messages_synced: AtomicU64,
    /// A sync failed: the kernel may have discarded the unwritten data, and would report success for the next sync.
    broken: AtomicBool,
}

/// State after the last sync.
#[derive(Debug, Default)]
struct Synced {
    /// How many requests, counted from the first, have been served.
    asked: u64,
    /// The file, kept open: accepted messages are still synced when no further file can be opened.
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

    /// Waits until everything committed before is on disk.
    ///
    /// # Errors
    /// [`Error::OutcomeUnknown`]: others see it already, but it may not survive a power failure.
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
        // It runs on even when nothing waits for it any more, and no other sync runs meanwhile: the kernel reports a
        // failure to one sync only.
        tokio::task::spawn_blocking(move || log.sync(&mut synced)).await?
    }

    /// Marks the beginning of a commit of new messages.
    pub(super) fn messages_begin(&self) {
        self.messages_begun.fetch_add(1, Ordering::SeqCst);
    }

    /// Marks its end.
    pub(super) fn messages_end(&self) {
        self.messages_ended.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until every message that could be read before is on disk; mostly they are.
    pub(super) async fn messages_on_disk(self: &Arc<Self>) -> Result<()> {
        let begun = self.messages_begun.load(Ordering::SeqCst);
        if self.messages_synced.load(Ordering::SeqCst) >= begun && !self.is_broken() {
            return Ok(());
        }
        self.synced().await
    }

    /// Checks that writing is allowed.
    ///
    /// # Errors
    /// [`Error::Unavailable`] after a failed sync, or when the files are no longer ours.
    pub(super) fn check_usable(&self) -> Result<()> {
        if self.is_broken() {
            return Err(unsynced());
        }
        Ok(self.files.look_again()?)
    }

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
        // A file that cannot be examined says nothing about the log.
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

/// The error of relying on a log that cannot be synced.
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
        // A file that cannot be synced.
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
