//! Forgetting: keys, events and history that are old enough, in small steps.

use simo_common::time::{DAY, HOUR};
use uuid::Uuid;

use super::{Result, Store};
use crate::store::db::engine::{Engine, query, query_as};

/// Rows that one step changes: a few milliseconds of the writer.
const STEP: i64 = 250;

/// Messages that one step forgets at most.
const FORGOTTEN_AT_ONCE: i64 = 64;

/// How long keys of idempotency are kept, and with them the messages that they lead to.
const KEYS_KEPT: i64 = 72 * HOUR;

/// How long the live feed goes back.
const EVENTS_KEPT: i64 = DAY;

/// How long failed logins count.
const FAILURES_KEPT: i64 = DAY;

/// How long an invitation that ran out can still be told from one that never was.
const INVITES_KEPT: i64 = 30 * DAY;

/// How long it is known what was refused.
const REFUSED_KEPT: i64 = 90 * DAY;

/// How long refused posts are known: no longer than their client keeps history, as they show titles.
const REFUSED_POSTS_KEPT: i64 = 30 * DAY;

impl Store {
    /// Forgets some of the oldest events, those before a moment. They are in the order of time; only the oldest are looked
    /// at.
    pub(crate) async fn forget_events(&self, before: i64, most: i64) -> Result<u64> {
        let text = match self.engine() {
            Engine::Sqlite => {
                "delete from event where seq in (
                     select seq from (select seq, at from event order by seq limit $2) oldest where at < $1)
                 returning 1"
            }
            // A position before what is gone must be told from one that nothing follows.
            Engine::Postgres => {
                "with gone as (
                     delete from event where (xact, seq) in (
                         select xact, seq from (select xact, seq, at from event order by xact, seq limit $2) oldest
                         where at < $1)
                     returning xact, seq),
                 newest as (select xact, seq from gone order by xact desc, seq desc limit 1),
                 floor as (
                     update event_floor set xact = newest.xact, seq = newest.seq from newest
                     where (event_floor.xact, event_floor.seq) < (newest.xact, newest.seq))
                 select 1 from gone"
            }
        };
        let mut tx = self.write().await?;
        let gone = query(text).bind(before).bind(most).fetch_all(&mut tx).await?;
        tx.commit().await?;
        Ok(gone.len() as u64)
    }

    /// Forgets some of what is too old to matter: keys of idempotency, events, failed logins, refused attempts and posts,
    /// invitations. Returns whether there may be more.
    pub async fn forget_old(&self) -> Result<bool> {
        let now = self.clock.settled();
        let forgotten = [
            self.forget(
                "delete from idempotency where (client_id, acs_id, key) in (
                     select client_id, acs_id, key from idempotency where created_at < $1 limit $2)",
                now - KEYS_KEPT,
            )
            .await?,
            self.forget_events(now - EVENTS_KEPT, STEP).await?,
            self.forget(
                "delete from pairing_failure where (address, hour) in (
                     select address, hour from pairing_failure where hour < $1 limit $2)",
                (now - FAILURES_KEPT) / HOUR,
            )
            .await?,
            self.forget(
                "delete from refusal where (client_id, hour, address, reason) in (
                     select client_id, hour, address, reason from refusal where hour < $1 limit $2)",
                (now - REFUSED_KEPT) / HOUR,
            )
            .await?,
            self.forget(
                "delete from refused_post where (client_id, hour, token_id, code, field) in (
                     select client_id, hour, token_id, code, field from refused_post where hour < $1 limit $2)",
                (now - REFUSED_POSTS_KEPT) / HOUR,
            )
            .await?,
            self.forget(
                "delete from refused_post where (client_id, hour, token_id, code, field) in (
                     select p.client_id, p.hour, p.token_id, p.code, p.field from client c
                     join refused_post p on p.client_id = c.id and p.hour < $1 - 24 * c.retention_days
                     where c.retention_days < 30 limit $2)",
                now / HOUR,
            )
            .await?,
            self.forget(
                "delete from invite where code_hash in (
                     select code_hash from invite where expires_at < $1 limit $2)",
                now - INVITES_KEPT,
            )
            .await?,
            self.forget(
                "delete from invite_batch where (client_id, id) in (
                     select client_id, id from invite_batch where expires_at < $1 limit $2)",
                now - INVITES_KEPT,
            )
            .await?,
        ];
        Ok(forgotten.contains(&(STEP as u64)))
    }

    async fn forget(&self, sql: &'static str, before: i64) -> Result<u64> {
        let mut tx = self.write().await?;
        let done = query(sql).bind(before).bind(STEP).execute(&mut tx).await?;
        tx.commit().await?;
        Ok(done.rows_affected())
    }

    /// Deletes some history that is older than its client keeps it, oldest first. Returns whether there may be more.
    pub async fn forget_history(&self) -> Result<bool> {
        let now = self.clock.settled();
        let clients: Vec<(Uuid, i64)> =
            query_as("select id, retention_days from client where retention_days is not null")
                .fetch_all(&mut *self.read().await?)
                .await?;
        for (client_id, days) in clients {
            let oldest: Vec<(i64, Uuid)> = query_as(
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
        'messages: for &(seq, id) in messages {
            for table in ["push", "delivery"] {
                let deleted = query(format!(
                    "delete from {table} where client_id = $1 and message_id = $2 and employee_id in (
                         select employee_id from {table} where client_id = $1 and message_id = $2 limit $3)"
                ))
                .bind(client_id)
                .bind(id)
                .bind(left)
                .execute(&mut tx)
                .await?
                .rows_affected();
                // Whoever is chosen loses all of his pushes, so that it may be more than were left.
                left -= deleted as i64;
                if left <= 0 {
                    break 'messages;
                }
            }
            for table in ["audience", "event"] {
                query(format!("delete from {table} where client_id = $1 and message_id = $2"))
                    .bind(client_id)
                    .bind(id)
                    .execute(&mut tx)
                    .await?;
            }
            if tx.engine() == Engine::Postgres {
                query("delete from message_unworded where seq = $1").bind(seq).execute(&mut tx).await?;
            }
            query("delete from message_word where rowid = $1").bind(seq).execute(&mut tx).await?;
            query("delete from message where client_id = $1 and id = $2")
                .bind(client_id)
                .bind(id)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
