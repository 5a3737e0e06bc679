//! Expands frozen audiences into deliveries and pushes, in idempotent steps short enough not to hold the writer for
//! long.

use std::time::{Duration, Instant};

use roaring::RoaringBitmap;
use simo_common::delivery::{Outcome, Reason};

use super::{
    accept::{MessageSource, insert_deliveries, insert_pushes, part_rows},
    audience::Part,
};
use crate::store::{
    ClientNo, EmployeeNo, Result, Store,
    db::engine::{Kind::Whole, Row, query, query_scalar},
    directory::blocking::hold,
};

/// How long a step should hold the writer.
const STEP: Duration = Duration::from_millis(15);

/// How many employees a step takes, adapted to the machine and the load.
#[derive(Debug, Clone, Copy)]
pub struct Stride(usize);

impl Default for Stride {
    fn default() -> Self {
        Self(250)
    }
}

impl Stride {
    /// Halves it, or grows it towards [`STEP`], after a step of this duration.
    fn adapt(&mut self, took: Duration) {
        if took > STEP {
            self.0 = (self.0 / 2).max(50);
        } else if took < STEP / 2 {
            self.0 = (self.0 + self.0 / 4).min(2_000);
        }
    }
}

/// Parts per step: finding the next ones reads all waiting parts.
const PARTS: i64 = 128;

struct Pending {
    origin: MessageSource,
    number: i64,
    part: Part,
    canceled: bool,
    from: u32,
}

impl Store {
    /// Expands the next pieces of frozen audiences, client by client in turn. Returns whether there were any.
    pub async fn expand_step(&self, stride: &mut Stride) -> Result<bool> {
        let Some(client_no) = self.next_client_to_expand().await? else {
            return Ok(false);
        };
        let mut tx = self.write().await?;
        let started = Instant::now();
        let now = self.clock.now();
        let parts = next_parts(&mut tx, client_no).await?;
        if parts.is_empty() {
            // Other instances are working on them, or they are done.
            return Ok(false);
        }
        let mut left = stride.0;
        let (mut deliveries, mut pushes) = (Vec::new(), Vec::new());
        let mut waiting = Vec::new();
        let mut done = Vec::new();
        for mut pending in parts {
            if pending.canceled && pending.part.closed.is_none() {
                pending.part.closed = Some((Outcome::Canceled, Reason::Canceled));
            }
            let step: Vec<u32> = pending.part.members.range(pending.from..).take(left).collect();
            part_rows(
                &pending.origin,
                &pending.part,
                step.iter().copied(),
                now,
                &mut deliveries,
                &mut pushes,
            );
            if pending.part.closed.is_none() {
                waiting.extend(step.iter().map(|place| (pending.origin.message_no, *place)));
            }
            left -= step.len();
            if let Some(last) = step.last().filter(|_| left == 0) {
                query("update audience set next_employee_no = $4 where client_no = $1 and message_no = $2 and part = $3")
                    .bind(client_no)
                    .bind(pending.origin.message_no)
                    .bind(pending.number)
                    .bind(i64::from(*last) + 1)
                    .execute(&mut tx)
                    .await?;
                break;
            }
            done.push([pending.origin.message_no.into(), pending.number.into()]);
        }
        insert_deliveries(&mut tx, deliveries).await?;
        insert_pushes(&mut tx, pushes).await?;
        // We hold the people's rows since making their deliveries: they cannot be blocked or unblocked meanwhile.
        let blocked = blocked(&mut tx, client_no).await?;
        let held = waiting.iter().filter(|(_, place)| blocked.contains(*place));
        let held: Vec<_> =
            held.map(|&(message_no, place)| (client_no, message_no, EmployeeNo::from(place))).collect();
        hold(&mut tx, &held, now).await?;
        query(
            "delete from audience where client_no = $1 and (message_no, part) in (
                 select {message}, {part} from {rows})",
        )
        .bind(client_no)
        .over([("message", Whole), ("part", Whole)], done)
        .execute(&mut tx)
        .await?;
        // Rows lost in a power failure are made again; no push is sent before it is on disk.
        tx.commit_unsynced().await?;
        stride.adapt(started.elapsed());
        Ok(true)
    }

    async fn next_client_to_expand(&self) -> Result<Option<ClientNo>> {
        let clients: Vec<ClientNo> = query_scalar(
            "select c.no from client c where exists (select 1 from audience a where a.client_no = c.no) order by c.no",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        if clients.is_empty() {
            return Ok(None);
        }
        let turn = self.claim_turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(clients.get(turn % clients.len()).copied())
    }
}

/// The people blocked now. Some may have been blocked after the audience was decided: they get the message when they
/// are unblocked.
async fn blocked(tx: &mut crate::store::Write, client_no: ClientNo) -> Result<RoaringBitmap> {
    let blocked: Vec<u32> = query_scalar(
        "select no from employee indexed by employee_blocked
         where client_no = $1 and blocked_at is not null and archived_at is null",
    )
    .bind(client_no)
    .fetch_all(tx)
    .await?;
    Ok(blocked.into_iter().collect())
}

/// The most urgent, then oldest parts of a client's frozen audiences.
async fn next_parts(tx: &mut crate::store::Write, client_no: ClientNo) -> Result<Vec<Pending>> {
    let skip = tx.skip_locked("a");
    // A cancel of the message waits until this step's deliveries exist and can be closed.
    let share = tx.shared("m");
    let rows = query(format!(
        "select a.message_no, a.part, a.reason, a.target, a.target_no, a.let_in, a.members,
                next.next_employee_no, next.expires_at, next.priority, next.canceled_at
         from (select a.message_no, a.part, a.created_at, a.next_employee_no, m.expires_at, m.priority, m.canceled_at
               from audience a
               cross join message m
               where a.client_no = $1 and m.client_no = a.client_no and m.no = a.message_no
               order by m.priority desc, a.created_at, a.part limit $2{skip}{share}) next
         cross join audience a
         where a.client_no = $1 and a.message_no = next.message_no and a.part = next.part
         order by next.priority desc, next.created_at, next.part"
    ))
    .bind(client_no)
    .bind(PARTS)
    .fetch_all(tx)
    .await?;
    rows.iter().map(|row| read_part(client_no, row)).collect()
}

fn read_part(client_no: ClientNo, row: &Row) -> Result<Pending> {
    let members: Vec<u8> = row.try_get("members")?;
    let members = RoaringBitmap::deserialize_from(&members[..])
        .map_err(|error| crate::store::Error::Internal(sqlx::Error::Decode(Box::new(error))))?;
    let denied: Option<Reason> = row.try_get("reason")?;
    Ok(Pending {
        origin: MessageSource {
            client_no,
            message_no: row.try_get("message_no")?,
            expires_at: row.try_get("expires_at")?,
            urgency: row.try_get("priority")?,
        },
        number: row.try_get("part")?,
        part: Part {
            closed: denied.map(|why| (Outcome::Denied, why)),
            target: row.try_get("target")?,
            target_no: row.try_get("target_no")?,
            let_in: row.try_get("let_in")?,
            members,
        },
        canceled: row.try_get::<Option<i64>, _>("canceled_at")?.is_some(),
        from: row.try_get::<i64, _>("next_employee_no")? as u32,
    })
}
