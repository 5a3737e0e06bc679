//! Copies commits from the log into the database file, nearly all of it outside the writer.
//!
//! SQLite would do it inside a commit once the log is long: copy its pages, and sync everything that the kernel has not
//! written yet. All writes would stop for a tenth of a second.

use std::sync::atomic::Ordering;

use super::{Conn, File, Held, Result};
use crate::store::db::engine::query_as;

/// Frames of the log after which it starts over: 80 MiB.
const LONG: i64 = 20_000;

/// Many frames at once: by then more will have been written.
const MANY: i64 = 1_000;

/// Frames that the writer copies and syncs in a moment.
const FEW: i64 = 500;

/// How many times a long log is copied before the writer has to wait: each time less is left, unless the disk is slower
/// than the writes.
const ROUNDS: usize = 4;

/// How many frames the log has, and how many of them are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    frames: i64,
    copied: i64,
}

impl File {
    /// Copies commits from the log into the file, and lets a long log start over. Returns whether there is more to do
    /// soon.
    pub(in crate::store) async fn checkpoint(&self) -> Result<bool> {
        let mut before = self.copied.load(Ordering::Relaxed);
        let mut now = self.copy_and_sync().await?;
        let many = (now.copied - before).abs() >= MANY;
        // A long log that nothing was added to starts over by itself.
        if now.frames >= LONG && now.copied != before {
            for _ in 0..ROUNDS {
                if now.copied - before < FEW {
                    break;
                }
                before = now.copied;
                now = self.copy_and_sync().await?;
            }
            // The rest fits between two commits; the next one finds the whole log in the file.
            let mut writer = Conn::Sqlite(Held::writer(self.writer().await?, &self.unreadable));
            now = copy(&mut writer).await?;
        }
        self.copied.store(now.copied, Ordering::Relaxed);
        Ok(many)
    }

    /// Copies outside the writer. SQLite syncs the file only when the whole log is in it, which never happens while the
    /// writer writes; the less is unsynced, the faster the writer's sync.
    async fn copy_and_sync(&self) -> Result<Progress> {
        let mut reader = self.read().await?;
        let progress = copy(&mut reader).await?;
        drop(reader);
        let handle = self.handle.clone();
        let synced = tokio::task::spawn_blocking(move || handle.sync_data()).await?;
        synced.map_err(sqlx::Error::Io)?;
        Ok(progress)
    }
}

/// Copies as far as no reader or writer is in the way.
async fn copy(conn: &mut Conn) -> Result<Progress> {
    let (_busy, frames, copied): (i64, i64, i64) =
        query_as("pragma wal_checkpoint(passive)").fetch_one(conn).await?;
    Ok(Progress { frames, copied })
}
