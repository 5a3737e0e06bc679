//! Forgetting: keys, events and history that are old enough, in small steps; and giving what they leave free back to the
//! file system.

use simo_common::time::{DAY, HOUR};
use sqlx::AssertSqlSafe;
use uuid::Uuid;

use super::{Result, Store};

/// Rows that one step changes: a few milliseconds of the writer.
const STEP: i64 = 250;

/// Messages that one step forgets at most.
const FORGOTTEN_AT_ONCE: i64 = 64;

/// How long keys of idempotency are kept, and with them the messages that they lead to.
const KEYS_KEPT: i64 = 72 * HOUR;

/// How long the live feed goes back.
const EVENTS_KEPT: i64 = DAY;

/// How long failed pairings count.
const FAILURES_KEPT: i64 = DAY;

/// How long an invitation that ran out can still be told from one that never was.
const INVITES_KEPT: i64 = 30 * DAY;

/// Free pages that are given back to the file system at once.
const VACUUMED: u32 = 128;

/// Free pages that are kept for what comes next: 16 MiB.
const FREE_KEPT: i64 = 4_096;

impl Store {
    /// Forgets some of what is too old to matter: keys of idempotency, events, failed pairings, invitations. Returns
    /// whether there may be more.
    pub async fn forget_old(&self) -> Result<bool> {
        let now = self.clock.now();
        let forgotten = [
            self.forget(
                "delete from idempotency where (client_id, acs_id, key) in (
                     select client_id, acs_id, key from idempotency where created_at < $1 limit $2)",
                now - KEYS_KEPT,
            )
            .await?,
            // Events are in the order of time; only the oldest are looked at.
            self.forget(
                "delete from event where seq in (
                     select seq from (select seq, at from event order by seq limit $2) where at < $1)",
                now - EVENTS_KEPT,
            )
            .await?,
            self.forget(
                "delete from pairing_failure where (address, hour) in (
                     select address, hour from pairing_failure where hour < $1 limit $2)",
                (now - FAILURES_KEPT) / HOUR,
            )
            .await?,
            self.forget(
                "delete from invite where code_hash in (
                     select code_hash from invite where expires_at < $1 limit $2)",
                now - INVITES_KEPT,
            )
            .await?,
        ];
        Ok(forgotten.contains(&(STEP as u64)))
    }

    async fn forget(&self, sql: &'static str, before: i64) -> Result<u64> {
        let mut tx = self.write().await?;
        let done = sqlx::query(sql).bind(before).bind(STEP).execute(&mut *tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    /// Deletes some history that is older than its client keeps it, oldest first. Returns whether there may be more.
    pub async fn forget_history(&self) -> Result<bool> {
        let now = self.clock.now();
        let clients: Vec<(Uuid, i64)> =
            sqlx::query_as("select id, retention_days from client where retention_days is not null")
                .fetch_all(&mut *self.read().await?)
                .await?;
        for (client_id, days) in clients {
            let oldest: Vec<(i64, Uuid)> = sqlx::query_as(
                "select seq, id from message
                 where client_id = $1 and accepted_at < $2 and expires_at <= $3 and due_at is null
                 order by accepted_at limit $4",
            )
            .bind(client_id)
            .bind(now - days.saturating_mul(DAY).clamp(KEYS_KEPT, now))
            .bind(now)
            .bind(FORGOTTEN_AT_ONCE)
            .fetch_all(&mut *self.read().await?)
            .await?;
            if !oldest.is_empty() {
                self.forget_messages(client_id, &oldest).await?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Deletes messages as far as one step goes; of one that has many deliveries and pushes, some of these first.
    async fn forget_messages(&self, client_id: Uuid, messages: &[(i64, Uuid)]) -> Result<()> {
        let mut tx = self.write().await?;
        let mut left = STEP;
        for (seq, id) in messages {
            for table in ["push", "delivery"] {
                let deleted = sqlx::query(AssertSqlSafe(format!(
                    "delete from {table} where rowid in (
                         select rowid from {table} where client_id = $1 and message_id = $2 limit $3)"
                )))
                .bind(client_id)
                .bind(id)
                .bind(left)
                .execute(&mut *tx)
                .await?
                .rows_affected();
                left -= deleted as i64;
            }
            if left <= 0 {
                break;
            }
            for table in ["audience", "event"] {
                sqlx::query(AssertSqlSafe(format!(
                    "delete from {table} where client_id = $1 and message_id = $2"
                )))
                .bind(client_id)
                .bind(id)
                .execute(&mut *tx)
                .await?;
            }
            sqlx::query("delete from message_word where rowid = $1")
                .bind(seq)
                .execute(&mut *tx)
                .await?;
            sqlx::query("delete from message where client_id = $1 and id = $2")
                .bind(client_id)
                .bind(id)
                .execute(&mut *tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }

    /// Gives a piece of what deleted rows have left free back to the file system, when that is much. Returns whether
    /// there is more.
    pub async fn vacuum(&self) -> Result<bool> {
        let mut reader = self.read().await?;
        let free: i64 = sqlx::query_scalar("pragma freelist_count")
            .fetch_one(&mut *reader)
            .await?;
        let pages: i64 = sqlx::query_scalar("pragma page_count")
            .fetch_one(&mut *reader)
            .await?;
        drop(reader);
        // New rows take free pages first: only a file that has become much too large is made smaller.
        if free < FREE_KEPT || free * 4 < pages {
            return Ok(false);
        }
        let mut writer = self.writer.acquire().await?;
        sqlx::query(AssertSqlSafe(format!("pragma incremental_vacuum({VACUUMED})")))
            .fetch_all(&mut *writer)
            .await?;
        Ok(true)
    }
}
