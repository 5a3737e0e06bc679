//! When what was written is on disk, under SQLite.
//!
//! SQLite would sync its log inside every commit, and the writer would stand still meanwhile. It commits without
//! (`synchronous = NORMAL`: a crash can take the newest commits, but never break the file), and the log is synced here:
//! one sync covers everything that was committed before it began, whoever waits for it, and the next transaction runs
//! beside it.

use std::{
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use tokio::sync::Mutex;

use crate::store::{Error, Result};

/// SQLite's write-ahead log.
#[derive(Debug)]
pub(super) struct Log {
    path: PathBuf,
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
    /// The log of the database at `path`.
    pub(super) fn of(path: &Path) -> Self {
        let mut log = path.as_os_str().to_owned();
        log.push("-wal");
        Self {
            path: log.into(),
            asked: AtomicU64::new(0),
            synced: Arc::default(),
            messages_begun: AtomicU64::new(0),
            messages_ended: AtomicU64::new(0),
            messages_synced: AtomicU64::new(0),
            broken: AtomicBool::new(false),
        }
    }

    /// Waits until everything that was committed before is on disk.
    pub(super) async fn on_disk(self: &Arc<Self>) -> Result<()> {
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
    pub(super) fn messages_committed(&self) {
        self.messages_ended.fetch_add(1, Ordering::SeqCst);
    }

    /// Waits until every message that anyone could read before is on disk; mostly they are.
    pub(super) async fn messages_on_disk(self: &Arc<Self>) -> Result<()> {
        let begun = self.messages_begun.load(Ordering::SeqCst);
        if self.messages_synced.load(Ordering::SeqCst) >= begun && !self.is_broken() {
            return Ok(());
        }
        self.on_disk().await
    }

    /// Whether a sync failed. Then nothing may be accepted any more.
    pub(super) fn is_broken(&self) -> bool {
        self.broken.load(Ordering::SeqCst)
    }

    fn sync(&self, synced: &mut Synced) -> Result<()> {
        let covers = self.asked.load(Ordering::SeqCst);
        let messages = self.messages_ended.load(Ordering::SeqCst);
        let done = match self.current(&mut synced.file) {
            Ok(file) => file.sync_data(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(error),
            // It says nothing of the log.
            Err(error) => return Err(Error::Unavailable(sqlx::Error::Io(error))),
        };
        done.map_err(|error| {
            self.broken.store(true, Ordering::SeqCst);
            tracing::error!(path = %self.path.display(), %error,
                "the log cannot be synced: nothing is accepted until simod is started again");
            unsynced()
        })?;
        synced.asked = covers;
        self.messages_synced.fetch_max(messages, Ordering::SeqCst);
        Ok(())
    }

    /// The file that SQLite writes, whatever became of an earlier one.
    fn current<'a>(&self, kept: &'a mut Option<File>) -> io::Result<&'a File> {
        let there = fs::metadata(&self.path)?;
        let is_there = |file: File| {
            let mine = file.metadata().ok()?;
            ((mine.dev(), mine.ino()) == (there.dev(), there.ino())).then_some(file)
        };
        let file = match kept.take().and_then(is_there) {
            Some(file) => file,
            None => OpenOptions::new().write(true).open(&self.path)?,
        };
        Ok(kept.insert(file))
    }
}

/// The error for whoever relies on a log that cannot be synced.
pub(super) fn unsynced() -> Error {
    Error::Unavailable(sqlx::Error::Io(io::Error::other("its log cannot be synced to disk")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Plant;

    #[tokio::test]
    async fn after_a_sync_that_failed_nothing_is_accepted_even_when_the_next_would_succeed() {
        let plant = Plant::new().await;
        if plant.is_shared() {
            return; // A server has a log of its own.
        }
        let begun = plant.store.write().await.unwrap();
        let log = begun.log().unwrap();
        plant.store.on_disk().await.unwrap();
        let (path, aside) = (log.path.clone(), log.path.with_extension("aside"));
        fs::rename(&path, &aside).unwrap();
        assert!(matches!(begun.commit().await, Err(Error::Unavailable(_))));
        fs::rename(&aside, &path).unwrap();
        assert!(matches!(plant.store.write().await, Err(Error::Unavailable(_))));
        assert!(plant.store.on_disk().await.is_err());
        assert!(plant.store.answers().await.is_err());
    }
}
