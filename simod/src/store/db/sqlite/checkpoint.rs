//! What was committed moves from the log into the database file, nearly all of it beside the writer.
//!
//! SQLite would do it inside a commit once the log is long: copy its pages, and sync all that the kernel has not written
//! yet. The writer, and everybody with it, would stand still for a tenth of a second.

use std::sync::atomic::Ordering;

use super::{Conn, File, Held, Result};
use crate::store::db::engine::query_as;

/// Frames of the log after which it begins anew: 80 MiB.
const LONG: i64 = 20_000;

/// Frames at once that are many: more will have come meanwhile.
const MANY: i64 = 1_000;

/// Frames that the writer copies and syncs in a moment.
const FEW: i64 = 500;

/// How often a long log is followed before the writer has to wait: each time there is less left, unless the disk is
/// slower than what comes in.
const ROUNDS: usize = 4;

/// How many frames the log has, and how many of them are in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Progress {
    frames: i64,
    copied: i64,
}

impl File {
    /// Copies what was committed from the log into the file, and lets a long log begin anew. Returns whether there is more
    /// to do soon.
    pub(in crate::store) async fn checkpoint(&self) -> Result<bool> {
        let mut before = self.copied.load(Ordering::Relaxed);
        let mut now = self.copy_and_sync().await?;
        let many = (now.copied - before).abs() >= MANY;
        // A long log that nothing was added to begins anew by itself.
        if now.frames >= LONG && now.copied != before {
            for _ in 0..ROUNDS {
                if now.copied - before < FEW {
                    break;
                }
                before = now.copied;
                now = self.copy_and_sync().await?;
            }
            // What is left fits between two commits; the next one finds all of the log in the file.
            let mut writer = Conn::Sqlite(Held::writer(self.writer().await?, &self.unreadable));
            now = copy(&mut writer).await?;
        }
        self.copied.store(now.copied, Ordering::Relaxed);
        Ok(many)
    }

    /// Copies beside the writer. SQLite syncs the file when all of the log is in it, which it never is while the writer
    /// writes; the less is unsynced, the sooner the writer has done it.
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

/// Copies as far as nobody stands in the way.
async fn copy(conn: &mut Conn) -> Result<Progress> {
    let (_busy, frames, copied): (i64, i64, i64) =
        query_as("pragma wal_checkpoint(passive)").fetch_one(conn).await?;
    Ok(Progress { frames, copied })
}
