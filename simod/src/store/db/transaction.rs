//! Transactions that write.

use std::{
    ops::{Deref, DerefMut},
    sync::Arc,
};

use super::{
    engine::{Conn, Engine, query},
    wal_sync::Log,
};
use crate::store::{
    ClientNo, Result,
    audit::{AuditChange, Changes},
};

/// A transaction that may write. Dropped without a commit, it leaves no trace.
#[derive(Debug)]
pub(crate) struct Write {
    conn: Conn,
    /// The log to sync; a server syncs by itself.
    log: Option<Arc<Log>>,
    /// Audit entries to write with the commit.
    changes: Changes,
}

impl Write {
    pub(super) fn new(conn: Conn, log: Option<Arc<Log>>) -> Self {
        Self { conn, log, changes: Changes::default() }
    }

    /// Sets its time by the store's clock, for the audit.
    pub(in crate::store) fn began_at(self, now: i64) -> Self {
        Self { changes: Changes::at(now), ..self }
    }

    /// Records a change in the audit of a client (or of [`crate::store::SERVER`]), unless nothing changed.
    pub(in crate::store) fn record(&mut self, chain: ClientNo, change: AuditChange) {
        self.changes.record(chain, change);
    }

    /// Commits. When this returns, all writes are on disk.
    ///
    /// # Errors
    /// Nothing was written, unless the error is [`crate::store::Error::OutcomeUnknown`]; or it was written, but may not
    /// survive a power failure.
    pub(crate) async fn commit(self) -> Result<()> {
        let log = self.log.clone();
        self.commit_unsynced().await?;
        match log {
            Some(log) => log.on_disk().await,
            None => Ok(()),
        }
    }

    /// Commits. A power failure may undo it until [`Log::on_disk`] has returned.
    pub(in crate::store) async fn commit_unsynced(mut self) -> Result<()> {
        self.changes.write(&mut self.conn).await?;
        self.conn.commit().await
    }

    /// The same, for new messages: none may be sent before it is on disk.
    pub(in crate::store) async fn commit_messages_unsynced(self) -> Result<()> {
        let Some(log) = self.log.clone() else {
            return self.commit_unsynced().await;
        };
        log.messages_begin();
        let committed = self.commit_unsynced().await;
        // Also when the commit failed: then there is nothing to wait for.
        log.messages_end();
        committed
    }

    /// Makes the commit wait for the disk and for standbys although nothing is written: the rows read may come from a
    /// commit that was never confirmed. A transaction without a number waits for nothing. SQLite's log is synced
    /// anyway.
    pub(in crate::store) async fn confirm_what_was_read(&mut self) -> Result<()> {
        if self.conn.engine() == Engine::Postgres {
            query("select pg_logical_emit_message(true, 'simod', '')").execute(&mut self.conn).await?;
        }
        Ok(())
    }

    /// Undoes all writes.
    pub(in crate::store) async fn rollback(self) -> Result<()> {
        Ok(self.conn.rollback().await?)
    }
}

impl Deref for Write {
    type Target = Conn;

    fn deref(&self) -> &Conn {
        &self.conn
    }
}

impl DerefMut for Write {
    fn deref_mut(&mut self) -> &mut Conn {
        &mut self.conn
    }
}
