//! Periodic duties on what is under way: what has expired is closed. Every step is small and idempotent; it looks with a
//! reader and asks for the writer only when there is something to do.

use std::collections::HashSet;

use simo_common::delivery::reason;

use crate::store::{
    AcsNo, ClientNo, DeviceNo, EmployeeNo, MessageNo, Result, Store,
    db::{
        engine::{Engine, query, query_as},
        rows_as_json::json,
    },
    feed::add_delivery_events,
    queue::is_leased,
};

/// Rows that one step changes: a few milliseconds of the writer.
const STEP: i64 = 250;

/// Open pushes of streams that one step looks at; most of them are left as they are.
const LOOKED_AT: i64 = 1_000;

/// Where the look at the open pushes of streams has come to: client, device, message.
pub type StreamCursor = (ClientNo, DeviceNo, MessageNo);

/// A delivery whose time ran out.
struct Expired {
    client_no: ClientNo,
    message_no: MessageNo,
    employee_no: EmployeeNo,
    acs_no: Option<AcsNo>,
    outcome: &'static str,
    reason: &'static str,
}

impl Store {
    /// Closes deliveries whose time ran out before any provider took a push, with their open pushes. What is under way
    /// right now is left until its result is known. Returns how many; zero: none is left.
    pub async fn expire_deliveries(&self) -> Result<usize> {
        let (now, settled) = (self.clock.now(), self.clock.settled());
        let held = self.held_rows(None);
        // What is under way: by our own claims, or by anyone's lease.
        let is_held = match self.engine() {
            Engine::Sqlite => {
                "(p.message_no, p.device_no) in (
                     select cast(value->>0 as integer), cast(value->>1 as integer) from jsonb_each($2))"
            }
            Engine::Postgres => &format!("$2 is not null and {}", is_leased("p")),
        };
        let rows = query(format!(
            "select d.client_no, d.message_no, d.employee_no, m.acs_no, m.canceled_at is not null as canceled,
                    (select min(case when p.reason = 'no_channel' then 1 else 0 end) = 1 from push p
                     where p.client_no = d.client_no and p.message_no = d.message_no
                     and p.employee_no = d.employee_no having count(*) > 0) as missing_channel
             from delivery d indexed by delivery_expiry
             join message m on m.client_no = d.client_no and m.no = d.message_no
             where d.state = 0 and d.expires_at <= $1
             and not exists (select 1 from push p where p.client_no = d.client_no and p.message_no = d.message_no
                             and p.employee_no = d.employee_no and {is_held})
             order by d.expires_at limit $3"
        ))
        .bind(settled)
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
                client_no: row.try_get("client_no")?,
                message_no: row.try_get("message_no")?,
                employee_no: row.try_get("employee_no")?,
                acs_no: row.try_get("acs_no")?,
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
            .map(|row| (row.client_no, row.message_no, row.employee_no, row.outcome, row.reason))
            .collect();
        let keys = json(&keys);
        let mut tx = self.write().await?;
        let closed: HashSet<(MessageNo, EmployeeNo)> = query_as(
            "update delivery set outcome = j.value->>3, reason = j.value->>4, outcome_at = $2
             from jsonb_each($1) j
             where client_no = cast(j.value->>0 as integer) and message_no = cast(j.value->>1 as integer)
             and employee_no = cast(j.value->>2 as integer) and state = 0
             returning message_no, employee_no",
        )
        .bind(&keys)
        .bind(now)
        .fetch_all(&mut tx)
        .await?
        .into_iter()
        .collect();
        query(
            "update push set done_at = $2, outcome = j.value->>3, reason = j.value->>4
             from jsonb_each($1) j
             where client_no = cast(j.value->>0 as integer) and message_no = cast(j.value->>1 as integer)
             and employee_no = cast(j.value->>2 as integer) and done_at is null",
        )
        .bind(&keys)
        .bind(now)
        .execute(&mut tx)
        .await?;
        let events: Vec<_> = expired
            .iter()
            .filter(|row| closed.contains(&(row.message_no, row.employee_no)))
            .map(|row| (row.client_no, row.acs_no, row.message_no, row.employee_no))
            .collect();
        add_delivery_events(&mut tx, &events, now).await?;
        tx.commit().await?;
        Ok(())
    }

    /// Notes on some pushes of a channel that is not set up why they wait. Returns how many; zero: all know.
    pub async fn note_missing_channel(&self, channel: &str) -> Result<u64> {
        let waiting: Vec<(ClientNo, MessageNo, DeviceNo)> = query_as(
            "select client_no, message_no, device_no from push indexed by push_due
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
        let noted = query(
            "update push set reason = $2 from jsonb_each($1) j
             where client_no = cast(j.value->>0 as integer) and message_no = cast(j.value->>1 as integer)
             and device_no = cast(j.value->>2 as integer) and done_at is null",
        )
        .bind(json(&waiting))
        .bind(reason::NO_CHANNEL)
        .execute(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(noted.rows_affected())
    }

    /// Closes the pushes of streams whose message ran out or was canceled: nobody claims them, and a phone that never
    /// comes back would leave them open. Looks at some, from `cursor` on, and returns where to go on; `None`: at the
    /// beginning.
    pub async fn close_stream_pushes(&self, cursor: Option<StreamCursor>) -> Result<Option<StreamCursor>> {
        let (now, settled) = (self.clock.now(), self.clock.settled());
        let (client_no, device_no, message_no) = cursor.unwrap_or_default();
        let rows: Vec<(ClientNo, DeviceNo, MessageNo, EmployeeNo, i64, bool)> = query_as(
            "select p.client_no, p.device_no, p.message_no, p.employee_no, m.expires_at, m.canceled_at is not null
             from push p indexed by push_stream
             join message m on m.client_no = p.client_no and m.no = p.message_no
             where p.done_at is null and p.channel = 'stream'
             and (p.client_no, p.device_no, p.message_no) > ($1, $2, $3)
             order by p.client_no, p.device_no, p.message_no limit $4",
        )
        .bind(client_no)
        .bind(device_no)
        .bind(message_no)
        .bind(LOOKED_AT)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let over: Vec<_> = rows
            .iter()
            .filter(|row| row.5 || row.4 <= settled)
            .map(|&(client_no, device_no, message_no, employee_no, _, is_canceled)| {
                let (outcome, reason) =
                    if is_canceled { ("canceled", reason::CANCELED) } else { ("expired", reason::EXPIRED) };
                (client_no, message_no, employee_no, device_no, outcome, reason)
            })
            .collect();
        for over in over.chunks(STEP as usize) {
            let mut tx = self.write().await?;
            query(
                "update push set done_at = $2, outcome = j.value->>4, reason = j.value->>5
                 from jsonb_each($1) j
                 where client_no = cast(j.value->>0 as integer) and message_no = cast(j.value->>1 as integer)
                 and employee_no = cast(j.value->>2 as integer) and device_no = cast(j.value->>3 as integer)
                 and done_at is null",
            )
            .bind(json(over))
            .bind(now)
            .execute(&mut tx)
            .await?;
            tx.commit().await?;
        }
        let is_end = (rows.len() as i64) < LOOKED_AT;
        Ok(rows.last().filter(|_| !is_end).map(|row| (row.0, row.1, row.2)))
    }

    /// Finishes cancelations that a crash cut short.
    pub async fn resume_cancelations(&self) -> Result<()> {
        let begun: Vec<(ClientNo, Option<AcsNo>, MessageNo)> = query_as(
            "select client_no, acs_no, message_no from event e where kind = 'canceled'
             and exists (select 1 from delivery d where d.client_no = e.client_no and d.message_no = e.message_no
                         and d.state = 0)",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        for (client_no, acs_no, message_no) in begun {
            while self.close_canceled(client_no, acs_no, message_no).await? > 0 {}
        }
        Ok(())
    }
}
