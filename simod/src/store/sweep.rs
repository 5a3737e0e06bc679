//! Periodic duties: what has expired is closed, what is old is forgotten. Every step is small and idempotent; it looks
//! with a reader and asks for the writer only when there is something to do.

use std::collections::HashSet;

use simo_common::{
    delivery::reason,
    time::{DAY, HOUR},
};
use sqlx::{AssertSqlSafe, Row as _};
use uuid::Uuid;

use super::{
    Result, Store,
    queue::{hex, json},
};

/// Rows that one step changes: a few milliseconds of the writer.
const STEP: i64 = 250;

/// Messages that one step forgets at most.
const FORGOTTEN_AT_ONCE: i64 = 64;

/// Open pushes of streams that one step looks at; most of them are left as they are.
const LOOKED_AT: i64 = 1_000;

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

/// Where the look at the open pushes of streams has come to: client, device, message.
pub type StreamCursor = (Uuid, Uuid, Uuid);

/// A delivery whose time ran out.
struct Expired {
    client_id: Uuid,
    message_id: Uuid,
    employee_id: Uuid,
    acs_id: Option<Uuid>,
    outcome: &'static str,
    reason: &'static str,
}

impl Store {
    /// Closes deliveries whose time ran out before any provider took a push, with their open pushes. What is under way
    /// right now is left until its result is known. Returns how many; zero: none is left.
    pub async fn expire_deliveries(&self) -> Result<usize> {
        let now = self.clock.now();
        let held = self.held_rows();
        let rows = sqlx::query(
            "select d.client_id, d.message_id, d.employee_id, m.acs_id, m.canceled_at is not null as canceled,
                    (select coalesce(min(p.reason = 'no_channel'), 0) from push p
                     where p.client_id = d.client_id and p.message_id = d.message_id
                     and p.employee_id = d.employee_id having count(*) > 0) as missing_channel
             from delivery d indexed by delivery_expiry
             join message m on m.client_id = d.client_id and m.id = d.message_id
             where d.state = 0 and d.expires_at <= $1
             and not exists (select 1 from push p where p.client_id = d.client_id and p.message_id = d.message_id
                             and p.employee_id = d.employee_id and p.rowid in (select value from jsonb_each($2)))
             order by d.expires_at limit $3",
        )
        .bind(now)
        .bind(held)
        .bind(STEP)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let mut expired = Vec::with_capacity(rows.len());
        for row in &rows {
            // A cancelation that a crash cut short.
            let (outcome, reason) = if row.try_get("canceled")? {
                ("canceled", reason::CANCELED)
            } else {
                let why = match row.try_get::<Option<bool>, _>("missing_channel")? {
                    None => reason::NO_DEVICE,
                    Some(true) => reason::NO_CHANNEL,
                    Some(false) => reason::EXPIRED,
                };
                ("expired", why)
            };
            expired.push(Expired {
                client_id: row.try_get("client_id")?,
                message_id: row.try_get("message_id")?,
                employee_id: row.try_get("employee_id")?,
                acs_id: row.try_get("acs_id")?,
                outcome,
                reason,
            });
        }
        if !expired.is_empty() {
            self.close_expired(&expired, now).await?;
        }
        Ok(expired.len())
    }

    async fn close_expired(&self, expired: &[Expired], now: i64) -> Result<()> {
        let keys: Vec<_> = expired
            .iter()
            .map(|row| {
                (
                    hex(row.client_id),
                    hex(row.message_id),
                    hex(row.employee_id),
                    row.outcome,
                    row.reason,
                )
            })
            .collect();
        let keys = json(&keys);
        let mut tx = self.write().await?;
        let closed: HashSet<(Uuid, Uuid)> = sqlx::query_as(
            "update delivery set outcome = j.value->>3, reason = j.value->>4, outcome_at = $2
             from jsonb_each($1) j
             where client_id = unhex(j.value->>0) and message_id = unhex(j.value->>1)
             and employee_id = unhex(j.value->>2) and state = 0
             returning message_id, employee_id",
        )
        .bind(&keys)
        .bind(now)
        .fetch_all(&mut *tx)
        .await?
        .into_iter()
        .collect();
        sqlx::query(
            "update push set done_at = $2, outcome = j.value->>3, reason = j.value->>4
             from jsonb_each($1) j
             where client_id = unhex(j.value->>0) and message_id = unhex(j.value->>1)
             and employee_id = unhex(j.value->>2) and done_at is null",
        )
        .bind(&keys)
        .bind(now)
        .execute(&mut *tx)
        .await?;
        let events: Vec<_> = expired
            .iter()
            .filter(|row| closed.contains(&(row.message_id, row.employee_id)))
            .map(|row| {
                (
                    hex(row.client_id),
                    row.acs_id.map(hex),
                    hex(row.message_id),
                    hex(row.employee_id),
                )
            })
            .collect();
        sqlx::query(
            "insert into event (client_id, acs_id, at, kind, message_id, employee_id)
             select unhex(value->>0), unhex(value->>1), $2, 'delivery', unhex(value->>2), unhex(value->>3)
             from jsonb_each($1)",
        )
        .bind(json(&events))
        .bind(now)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes on some pushes of a channel that is not set up why they wait. Returns how many; zero: all know.
    pub async fn note_missing_channel(&self, channel: &str) -> Result<u64> {
        let waiting: Vec<i64> = sqlx::query_scalar(
            "select rowid from push indexed by push_due
             where channel = $1 and done_at is null and channel <> 'stream' and reason is null limit $2",
        )
        .bind(channel)
        .bind(STEP)
        .fetch_all(&mut *self.read().await?)
        .await?;
        if waiting.is_empty() {
            return Ok(0);
        }
        let mut tx = self.write().await?;
        let noted = sqlx::query(
            "update push set reason = $2 where rowid in (select value from jsonb_each($1)) and done_at is null",
        )
        .bind(json(&waiting))
        .bind(reason::NO_CHANNEL)
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        Ok(noted.rows_affected())
    }

    /// Closes the pushes of streams whose message ran out or was canceled: nobody claims them, and a phone that never
    /// comes back would leave them open. Looks at some, from `cursor` on, and returns where to go on; `None`: at the
    /// beginning.
    pub async fn close_stream_pushes(&self, cursor: Option<StreamCursor>) -> Result<Option<StreamCursor>> {
        let now = self.clock.now();
        let (client_id, device_id, message_id) = cursor.unwrap_or_default();
        let rows: Vec<(i64, Uuid, Uuid, Uuid, i64, bool)> = sqlx::query_as(
            "select p.rowid, p.client_id, p.device_id, p.message_id, m.expires_at, m.canceled_at is not null
             from push p indexed by push_stream
             join message m on m.client_id = p.client_id and m.id = p.message_id
             where p.done_at is null and p.channel = 'stream'
             and (p.client_id, p.device_id, p.message_id) > ($1, $2, $3)
             order by p.client_id, p.device_id, p.message_id limit $4",
        )
        .bind(client_id)
        .bind(device_id)
        .bind(message_id)
        .bind(LOOKED_AT)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let over: Vec<_> = rows
            .iter()
            .filter(|row| row.5 || row.4 <= now)
            .map(|row| {
                if row.5 {
                    (row.0, "canceled", reason::CANCELED)
                } else {
                    (row.0, "expired", reason::EXPIRED)
                }
            })
            .collect();
        for over in over.chunks(STEP as usize) {
            let mut tx = self.write().await?;
            sqlx::query(
                "update push set done_at = $2, outcome = j.value->>1, reason = j.value->>2
                 from jsonb_each($1) j where push.rowid = j.value->>0 and done_at is null",
            )
            .bind(json(over))
            .bind(now)
            .execute(&mut *tx)
            .await?;
            tx.commit().await?;
        }
        let is_end = (rows.len() as i64) < LOOKED_AT;
        Ok(rows.last().filter(|_| !is_end).map(|row| (row.1, row.2, row.3)))
    }

    /// Finishes cancelations that a crash cut short.
    pub async fn resume_cancelations(&self) -> Result<()> {
        let begun: Vec<(Uuid, Option<Uuid>, Uuid)> = sqlx::query_as(
            "select client_id, acs_id, message_id from event e where kind = 'canceled'
             and exists (select 1 from delivery d where d.client_id = e.client_id and d.message_id = e.message_id
                         and d.state = 0)",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        for (client_id, acs_id, message_id) in begun {
            while self.close_canceled(client_id, acs_id, message_id).await? > 0 {}
        }
        Ok(())
    }

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

    /// The devices of a channel that are in use, for the share that may die.
    pub async fn count_devices(&self, channel: &str) -> Result<u64> {
        let count: i64 = sqlx::query_scalar(
            "select count(*) from device where channel = $1 and retired_at is null and address is not null",
        )
        .bind(channel)
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(count as u64)
    }

    /// The devices of a channel whose addresses were reported dead within the last hour, and when.
    pub async fn dead_devices(&self, channel: &str) -> Result<Vec<(Uuid, i64)>> {
        Ok(sqlx::query_as(
            "select id, coalesce(retired_at, quarantined_at) from device
             where channel = $1 and reason = $2 and coalesce(retired_at, quarantined_at) > $3",
        )
        .bind(channel)
        .bind(reason::DEAD_ADDRESS)
        .bind(self.clock.now() - HOUR)
        .fetch_all(&mut *self.read().await?)
        .await?)
    }
}
