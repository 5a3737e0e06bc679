//! Periodic duties on open deliveries: closes expired ones. Every step is small and idempotent; it looks with a reader
//! and takes the writer only when there is something to do.

use simo_common::delivery::{Outcome, Reason};

use super::{
    PACKED, PushKey, PushOutcome,
    close::{self, Ending, PushEnding},
};
use crate::{
    channel::ChannelKind,
    store::{
        ClientNo, DeviceNo, MessageNo, Result, Store,
        db::engine::{Engine, Row, query},
        queue::is_leased,
    },
};

/// Rows that one step changes: a few milliseconds of the writer.
const STEP: i64 = 250;

/// Open pushes of streams that one step checks; most of them stay as they are.
const LOOKED_AT: i64 = 1_000;

/// Position of the check of streams' open pushes: client, device, message.
pub type StreamCursor = (ClientNo, DeviceNo, MessageNo);

impl Store {
    /// Closes deliveries that expired before any provider accepted a push, with their open pushes. Those under way
    /// right now are left until their result is known. Returns how many; zero: none is left.
    pub async fn expire_deliveries(&self) -> Result<usize> {
        let (now, settled) = (self.clock.now(), self.clock.settled());
        let held = self.held(None);
        // Under way: by our own claims, or by any instance's lease.
        let is_held = match self.engine() {
            Engine::Sqlite => &format!("{PACKED} in (select value from jsonb_each($2))"),
            Engine::Postgres => &format!("$2 is not null and {}", is_leased("p")),
        };
        let no_channel = Reason::NoChannel.number();
        let rows = query(format!(
            "select d.client_no, d.message_no, d.employee_no, d.reason,
                    (select min(case when p.reason = {no_channel} then 1 else 0 end) = 1 from push p
                     where p.client_no = d.client_no and p.message_no = d.message_no
                     and p.employee_no = d.employee_no having count(*) > 0) as missing_channel
             from delivery d indexed by delivery_expiry
             join message m on m.client_no = d.client_no and m.no = d.message_no
             where d.state = 0 and d.expires_at <= $1 and m.canceled_at is null
             and not exists (select 1 from push p where p.client_no = d.client_no and p.message_no = d.message_no
                             and p.employee_no = d.employee_no and {is_held})
             order by d.expires_at limit $3"
        ))
        .bind(settled)
        .bind(held)
        .bind(STEP)
        .fetch_all(&mut *self.read().await?)
        .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let ending = |row: &Row| {
            let reason = match (row.try_get("reason")?, row.try_get("missing_channel")?) {
                (Some(Reason::NoDevice), _) | (_, None) => Reason::NoDevice,
                (_, Some(true)) => Reason::NoChannel,
                (_, Some(false)) => Reason::Expired,
            };
            let delivery =
                (row.try_get("client_no")?, row.try_get("message_no")?, row.try_get("employee_no")?);
            Ok(Ending { delivery, outcome: Outcome::Expired, reason })
        };
        let endings = rows.iter().map(ending).collect::<Result<Vec<_>>>()?;
        let mut tx = self.write().await?;
        close::end(&mut tx, &endings, now).await?;
        tx.commit().await?;
        Ok(endings.len())
    }

    /// Notes on some pushes of a channel that is not set up why they wait. Returns how many; zero: all are noted.
    pub async fn note_missing_channel(&self, channel: ChannelKind) -> Result<u64> {
        let rows = query(
            "select client_no, message_no, employee_no, device_no, step from push indexed by push_due
             where channel = $1 and done_at is null and channel > 0 and reason is null limit $2",
        )
        .bind(channel)
        .bind(STEP)
        .fetch_all(&mut *self.read().await?)
        .await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let waiting = rows.iter().map(key).collect::<Result<Vec<_>>>()?;
        let mut tx = self.write().await?;
        let noted = close::note(&mut tx, &waiting, Reason::NoChannel).await?;
        tx.commit().await?;
        Ok(noted)
    }

    /// Closes the pushes of streams whose message expired or was canceled: they are never claimed, and a phone that
    /// never comes back would leave them open. Checks some, from `cursor` on, and returns where to continue; `None`: at
    /// the beginning.
    pub async fn close_stream_pushes(&self, cursor: Option<StreamCursor>) -> Result<Option<StreamCursor>> {
        let (now, settled) = (self.clock.now(), self.clock.settled());
        let (client_no, device_no, message_no) = cursor.unwrap_or_default();
        let rows = query(
            "select p.client_no, p.device_no, p.message_no, p.employee_no, p.step, m.expires_at,
                    m.canceled_at is not null as canceled
             from push p indexed by push_pulled
             join message m on m.client_no = p.client_no and m.no = p.message_no
             where p.done_at is null and p.channel < 0
             and (p.client_no, p.device_no, p.message_no) > ($1, $2, $3)
             order by p.client_no, p.device_no, p.message_no limit $4",
        )
        .bind(client_no)
        .bind(device_no)
        .bind(message_no)
        .bind(LOOKED_AT)
        .fetch_all(&mut *self.read().await?)
        .await?;
        let mut over = Vec::new();
        for row in &rows {
            let (outcome, reason) = if row.try_get("canceled")? {
                (PushOutcome::Canceled, Reason::Canceled)
            } else if row.try_get::<i64, _>("expires_at")? <= settled {
                (PushOutcome::Expired, Reason::Expired)
            } else {
                continue;
            };
            over.push(PushEnding { key: key(row)?, outcome, reason });
        }
        for over in over.chunks(STEP as usize) {
            let mut tx = self.write().await?;
            close::end_pushes(&mut tx, over, now).await?;
            tx.commit().await?;
        }
        let is_end = (rows.len() as i64) < LOOKED_AT;
        let last = rows.last().filter(|_| !is_end).map(key).transpose()?;
        Ok(last.map(|key| (key.client_no, key.device_no, key.message_no)))
    }
}

fn key(row: &Row) -> Result<PushKey> {
    Ok(PushKey {
        client_no: row.try_get("client_no")?,
        message_no: row.try_get("message_no")?,
        employee_no: row.try_get("employee_no")?,
        device_no: row.try_get("device_no")?,
        step: row.try_get("step")?,
    })
}
