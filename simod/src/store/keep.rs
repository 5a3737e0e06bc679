//! Deletes keys, events and history that are old enough, in small steps.

use simo_common::time::{DAY, HOUR};

use super::{
    ClientNo, MessageNo, Result, Store,
    db::engine::{Engine, query, query_as},
    message_spans,
};

/// Rows that one step changes: a few milliseconds of the writer.
const STEP: i64 = 250;

/// The most messages that one step deletes.
const FORGOTTEN_AT_ONCE: i64 = 64;

/// How long idempotency keys are kept, and with them their messages.
const KEYS_KEPT: i64 = 72 * HOUR;

/// How far back the live feed goes.
const EVENTS_KEPT: i64 = DAY;

/// How long failed logins count.
const FAILURES_KEPT: i64 = DAY;

/// How long an expired invitation can still be told from one that never existed.
const INVITES_KEPT: i64 = 30 * DAY;

/// How long refused attempts are kept.
const REFUSED_KEPT: i64 = 90 * DAY;

/// How long refused posts are kept: no longer than their client keeps history, as they show titles.
const REFUSED_POSTS_KEPT: i64 = 30 * DAY;

impl Store {
    /// Deletes some of the oldest events, before a moment. They are in order of time; only the oldest are read.
    pub(crate) async fn forget_events(&self, before: i64, most: i64) -> Result<u64> {
        let text = match self.engine() {
            Engine::Sqlite => {
                "delete from event where seq in (
                     select seq from (select seq, at from event order by seq limit $2) oldest where at < $1)
                 returning 1"
            }
            // A position before deleted events must be told from one that nothing follows.
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

    /// Deletes some old rows: idempotency keys, events, failed logins, refused attempts and posts, invitations. Returns
    /// whether there may be more.
    pub async fn forget_old(&self) -> Result<bool> {
        let now = self.clock.settled();
        let forgotten = [
            self.forget(
                "delete from idempotency where (client_no, acs_no, key) in (
                     select client_no, acs_no, key from idempotency where created_at < $1 limit $2)",
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
                "delete from refusal where (client_no, hour, address, reason) in (
                     select client_no, hour, address, reason from refusal where hour < $1 limit $2)",
                (now - REFUSED_KEPT) / HOUR,
            )
            .await?,
            self.forget(
                "delete from refused_post where (client_no, hour, token_no, code, field) in (
                     select client_no, hour, token_no, code, field from refused_post where hour < $1 limit $2)",
                (now - REFUSED_POSTS_KEPT) / HOUR,
            )
            .await?,
            self.forget(
                "delete from refused_post where (client_no, hour, token_no, code, field) in (
                     select p.client_no, p.hour, p.token_no, p.code, p.field from client c
                     join refused_post p on p.client_no = c.no and p.hour < $1 - 24 * c.retention_days
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
                "delete from invite_batch where (client_no, no) in (
                     select client_no, no from invite_batch where expires_at < $1 limit $2)",
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

    /// Deletes some history older than its client keeps it, oldest first. Returns whether there may be more.
    pub async fn forget_history(&self) -> Result<bool> {
        let now = self.clock.settled();
        let mut reader = self.read().await?;
        let clients: Vec<(ClientNo, i64)> =
            query_as("select no, retention_days from client where retention_days is not null")
                .fetch_all(&mut reader)
                .await?;
        for (client_no, days) in clients {
            let before = now - days.saturating_mul(DAY).clamp(KEYS_KEPT, now);
            let old =
                message_spans::within(&mut reader, client_no, std::slice::from_ref(&(i64::MIN..before)))
                    .await?;
            // First those canceled while scheduled.
            for numbers in std::iter::once(i64::MIN..0).chain(old) {
                let oldest: Vec<(MessageNo, Option<MessageNo>)> = query_as(
                    "select no, waited_as from message indexed by message_client
                     where client_no = $1 and no >= $2 and no < $3 and accepted_at < $4 and expires_at <= $5
                     and (no > 0 or canceled_at is not null)
                     order by no limit $6",
                )
                .bind(client_no)
                .bind(numbers.start)
                .bind(numbers.end)
                .bind(before)
                .bind(now)
                .bind(FORGOTTEN_AT_ONCE)
                .fetch_all(&mut reader)
                .await?;
                if !oldest.is_empty() {
                    drop(reader);
                    self.forget_messages(client_no, &oldest).await?;
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }

    /// Deletes messages as far as one step goes; for one with many deliveries and pushes, some of these first.
    async fn forget_messages(
        &self,
        client_no: ClientNo,
        messages: &[(MessageNo, Option<MessageNo>)],
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let mut left = STEP;
        'messages: for &(no, waited_as) in messages {
            // It cannot be right while deliveries are missing.
            query("delete from message_sum where client_no = $1 and message_no = $2")
                .bind(client_no)
                .bind(no)
                .execute(&mut tx)
                .await?;
            for table in ["try", "push", "receipt_name", "delivery"] {
                let deleted = query(format!(
                    "delete from {table} where client_no = $1 and message_no = $2 and employee_no in (
                         select employee_no from {table} where client_no = $1 and message_no = $2 limit $3)"
                ))
                .bind(client_no)
                .bind(no)
                .bind(left)
                .execute(&mut tx)
                .await?
                .rows_affected();
                // A chosen employee loses all their pushes, so it may be more than were left.
                left -= deleted as i64;
                if left <= 0 {
                    break 'messages;
                }
            }
            for table in ["audience", "event", "message_sum", "hold"] {
                query(format!("delete from {table} where client_no = $1 and message_no in ($2, $3)"))
                    .bind(client_no)
                    .bind(no)
                    .bind(waited_as.unwrap_or(no))
                    .execute(&mut tx)
                    .await?;
            }
            if tx.engine() == Engine::Postgres {
                query("delete from message_unworded where no = $1").bind(no).execute(&mut tx).await?;
            }
            query("delete from message_word where rowid = $1").bind(no).execute(&mut tx).await?;
            query("delete from message where client_no = $1 and no = $2")
                .bind(client_no)
                .bind(no)
                .execute(&mut tx)
                .await?;
        }
        tx.commit().await?;
        Ok(())
    }
}
