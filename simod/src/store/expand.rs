//! Expanding frozen audiences into deliveries and pushes, in idempotent steps short enough that nobody waits long for
//! the writer.

use std::time::{Duration, Instant};

use roaring::RoaringBitmap;
use simo_common::delivery::{Outcome, reason};
use uuid::Uuid;

use super::{
    Result, Store,
    accept::{Origin, insert_deliveries, insert_pushes, part_rows},
    audience::{Part, TargetKind},
    engine::{query, query_scalar},
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
    /// After a step that took so long: halve or grow towards [`STEP`].
    fn adapt(&mut self, took: Duration) {
        if took > STEP {
            self.0 = (self.0 / 2).max(50);
        } else if took < STEP / 2 {
            self.0 = (self.0 + self.0 / 4).min(2_000);
        }
    }
}

/// The next part to expand.
struct Pending {
    origin: Origin,
    number: i64,
    part: Part,
    canceled: bool,
    from: u32,
}

impl Store {
    /// Expands the next piece of a frozen audience, the clients in turn. Returns whether there was one.
    pub async fn expand_step(&self, stride: &mut Stride) -> Result<bool> {
        let Some(client_id) = self.next_client_to_expand().await? else {
            return Ok(false);
        };
        let mut tx = self.write().await?;
        let started = Instant::now();
        let now = self.clock.now();
        let Some(mut pending) = next_part(&mut tx, client_id).await? else {
            // Other instances have it in hand, or it is done.
            return Ok(false);
        };
        if pending.canceled && pending.part.closed.is_none() {
            pending.part.closed = Some((Outcome::Canceled, reason::CANCELED));
        }
        let step: Vec<u32> = pending
            .part
            .members
            .range(pending.from..)
            .take(stride.0)
            .collect();
        let mut deliveries = Vec::with_capacity(step.len());
        let mut pushes = Vec::with_capacity(step.len());
        part_rows(
            &pending.origin,
            &pending.part,
            step.iter().copied(),
            now,
            &mut deliveries,
            &mut pushes,
        );
        insert_deliveries(&mut tx, &deliveries, now).await?;
        insert_pushes(&mut tx, &pushes).await?;
        let update = match step.last() {
            Some(last) if step.len() == stride.0 => query(
                "update audience set next_ordinal = $4 where client_id = $1 and message_id = $2 and part = $3",
            )
            .bind(client_id)
            .bind(pending.origin.message_id)
            .bind(pending.number)
            .bind(i64::from(*last) + 1),
            _ => query("delete from audience where client_id = $1 and message_id = $2 and part = $3")
                .bind(client_id)
                .bind(pending.origin.message_id)
                .bind(pending.number),
        };
        update.execute(&mut tx).await?;
        // What a power failure takes is made again; no push leaves before it is on disk.
        tx.commit_unsynced().await?;
        stride.adapt(started.elapsed());
        Ok(true)
    }

    async fn next_client_to_expand(&self) -> Result<Option<Uuid>> {
        let clients: Vec<Uuid> = query_scalar("select distinct client_id from audience order by client_id")
            .fetch_all(&mut *self.read().await?)
            .await?;
        if clients.is_empty() {
            return Ok(None);
        }
        let turn = self.claim_turn.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        Ok(clients.get(turn % clients.len()).copied())
    }
}

/// The most urgent, then oldest part of a client's frozen audiences.
async fn next_part(tx: &mut super::Write, client_id: Uuid) -> Result<Option<Pending>> {
    let skip = tx.skip_locked("a");
    // Who cancels the message waits until the deliveries of this step are there to be closed.
    let share = tx.shared("m");
    let row = query(format!(
        "select a.message_id, a.part, a.reason, a.target, a.target_id, a.grant_id, a.members, a.next_ordinal,
                m.accepted_at, m.expires_at, m.priority, m.canceled_at
         from audience a
         join message m on m.client_id = a.client_id and m.id = a.message_id
         where a.client_id = $1 order by m.priority desc, a.created_at, a.part limit 1{skip}{share}"
    ))
    .bind(client_id)
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let members: Vec<u8> = row.try_get("members")?;
    let members = RoaringBitmap::deserialize_from(&members[..])
        .map_err(|error| super::Error::Internal(sqlx::Error::Decode(Box::new(error))))?;
    let denied: Option<String> = row.try_get("reason")?;
    let target: String = row.try_get("target")?;
    Ok(Some(Pending {
        origin: Origin {
            client_id,
            message_id: row.try_get("message_id")?,
            accepted_at: row.try_get("accepted_at")?,
            expires_at: row.try_get("expires_at")?,
            urgency: row.try_get("priority")?,
        },
        number: row.try_get("part")?,
        part: Part {
            closed: denied.map(|code| {
                (
                    Outcome::Denied,
                    if code == reason::BLOCKED {
                        reason::BLOCKED
                    } else {
                        reason::NO_GRANT
                    },
                )
            }),
            target: TargetKind::from_name(&target),
            target_id: row.try_get("target_id")?,
            grant_id: row.try_get("grant_id")?,
            members,
        },
        canceled: row.try_get::<Option<i64>, _>("canceled_at")?.is_some(),
        from: row.try_get::<i64, _>("next_ordinal")? as u32,
    }))
}
