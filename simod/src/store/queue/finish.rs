//! Storing how pushes went, and what follows for their deliveries and devices.

use std::collections::HashSet;

use serde::Serialize;
use simo_common::{delivery::reason, token::TokenKind};
use uuid::Uuid;

use super::{DeviceEffect, Finished, PushResult, Skip};
use crate::store::{
    Result, Store, Write,
    bind::{hex, json},
    engine::{Engine, query, query_as, query_scalar},
    feed,
    tokens::revoke_tokens_of,
};

impl Store {
    /// Stores how claimed pushes went, and what follows for their deliveries and devices; then the claims end. It is on
    /// disk when [`Store::on_disk`] has returned.
    ///
    /// # Errors
    /// Nothing was stored, and the claims go on: call again with the same batch.
    pub async fn finish(&self, batch: &[Finished]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut tx = self.write().await?;
        lock_deliveries(&mut tx, batch).await?;
        store_pushes(&mut tx, batch).await?;
        let mut changed = mark_sent(&mut tx, batch).await?;
        changed.extend(close_deliveries(&mut tx, batch).await?);
        store_device_effects(&mut tx, batch).await?;
        add_delivery_events(&mut tx, batch, &changed, self.clock.now()).await?;
        tx.commit_unsynced().await?;
        let mut claims = self.claims();
        for finished in batch {
            claims.remove(&finished.claim.seq);
        }
        Ok(())
    }
}

/// What becomes of one push, as a row for the update.
#[derive(Serialize)]
struct PushRow<'a>(
    i64,             // 0 seq
    i64,             // 1 tries to add
    Option<i64>,     // 2 last_tried_at
    Option<&'a str>, // 3 last_answer
    Option<i64>,     // 4 sent_at
    Option<i64>,     // 5 done_at
    Option<&'a str>, // 6 outcome
    Option<&'a str>, // 7 reason
    Option<i64>,     // 8 due_at
    i64,             // 9 the claim's number
);

fn push_row(finished: &Finished) -> PushRow<'_> {
    let (row, number, at) = (finished.claim.seq, finished.claim.number, finished.at);
    match &finished.result {
        PushResult::Accepted { answer } => PushRow(
            row,
            1,
            Some(at),
            Some(answer),
            Some(at),
            Some(at),
            Some("accepted"),
            None,
            None,
            number,
        ),
        PushResult::Retry {
            due_at,
            answer,
            counts,
        } => PushRow(
            row,
            i64::from(*counts),
            Some(at),
            Some(answer),
            None,
            None,
            None,
            None,
            Some(*due_at),
            number,
        ),
        // What quarantine holds back was not tried.
        PushResult::Failed { reason, answer, .. } => PushRow(
            row,
            i64::from(*reason != reason::QUARANTINED),
            (*reason != reason::QUARANTINED).then_some(at),
            Some(answer),
            None,
            Some(at),
            Some("failed"),
            Some(reason),
            None,
            number,
        ),
        PushResult::Skipped(skip) => {
            let (outcome, reason) = skip.outcome();
            PushRow(
                row,
                0,
                None,
                None,
                None,
                Some(at),
                Some(outcome),
                Some(reason),
                None,
                number,
            )
        }
    }
}

impl Skip {
    /// The push's outcome and reason.
    fn outcome(self) -> (&'static str, &'static str) {
        match self {
            Self::Canceled => ("canceled", reason::CANCELED),
            Self::Expired => ("expired", reason::EXPIRED),
            Self::Blocked => ("canceled", reason::BLOCKED),
            Self::DeviceGone => ("canceled", reason::DEVICE_GONE),
        }
    }
}

/// On PostgreSQL, takes the deliveries first, as receipts and cancelations do: whoever took pushes first could wait for
/// them while they wait for him, and of two instances that end a delivery's last pushes neither would see it.
async fn lock_deliveries(tx: &mut Write, batch: &[Finished]) -> Result<()> {
    if tx.engine() == Engine::Sqlite {
        return Ok(());
    }
    let keys: Vec<_> = batch
        .iter()
        .map(|finished| {
            let key = finished.claim.key;
            (hex(key.client_id), hex(key.message_id), hex(key.employee_id))
        })
        .collect();
    query(
        "select 1 from jsonb_each($1) j cross join delivery d
         where d.client_id = unhex(j.value->>0) and d.message_id = unhex(j.value->>1)
           and d.employee_id = unhex(j.value->>2)
         order by d.client_id, d.message_id, d.employee_id for update of d",
    )
    .bind(json(&keys))
    .fetch_all(tx)
    .await?;
    Ok(())
}

async fn store_pushes(tx: &mut Write, batch: &[Finished]) -> Result<()> {
    let rows: Vec<PushRow<'_>> = batch.iter().map(push_row).collect();
    let text = match tx.engine() {
        Engine::Sqlite => STORE_PUSHES.to_owned(),
        // What a claim that was taken over says counts only when the provider took the push.
        Engine::Postgres => {
            format!("{STORE_PUSHES} and (claim = cast(j.value->>9 as integer) or j.value->>6 = 'accepted')")
        }
    };
    query(text).bind(json(&rows)).execute(tx).await?;
    if tx.engine() == Engine::Postgres {
        query(
            "update push set held_until = null from jsonb_each($1) j
             where push.seq = cast(j.value->>0 as integer) and claim = cast(j.value->>9 as integer)",
        )
        .bind(json(&rows))
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// A receipt may have closed the push meanwhile: then only what the provider said is added.
const STORE_PUSHES: &str = "update push set
         tries = tries + cast(j.value->>1 as integer),
         last_tried_at = coalesce(cast(j.value->>2 as integer), last_tried_at),
         last_answer = coalesce(j.value->>3, last_answer),
         sent_at = coalesce(sent_at, cast(j.value->>4 as integer)),
         outcome = case when done_at is null then j.value->>6 else outcome end,
         reason = case when done_at is null then j.value->>7 else reason end,
         due_at = coalesce(cast(j.value->>8 as integer), due_at),
         done_at = coalesce(done_at, cast(j.value->>5 as integer))
     from jsonb_each($1) j where push.seq = cast(j.value->>0 as integer)";

/// Deliveries that changed: message and employee.
type Changed = Vec<(Uuid, Uuid)>;

async fn mark_sent(tx: &mut Write, batch: &[Finished]) -> Result<Changed> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for finished in batch {
        let key = finished.claim.key;
        if matches!(finished.result, PushResult::Accepted { .. })
            && seen.insert((key.message_id, key.employee_id))
        {
            rows.push((
                hex(key.client_id),
                hex(key.message_id),
                hex(key.employee_id),
                finished.at,
            ));
        }
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Ok(query_as(
        "update delivery set sent_at = cast(j.value->>3 as integer) from jsonb_each($1) j
         where client_id = unhex(j.value->>0) and message_id = unhex(j.value->>1)
         and employee_id = unhex(j.value->>2) and sent_at is null
         returning message_id, employee_id",
    )
    .bind(json(&rows))
    .fetch_all(tx)
    .await?)
}

/// A delivery ends when its last push ended and no provider took any.
async fn close_deliveries(tx: &mut Write, batch: &[Finished]) -> Result<Changed> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for finished in batch {
        let key = finished.claim.key;
        let (outcome, reason) = match &finished.result {
            PushResult::Failed { reason, .. } => ("failed", *reason),
            PushResult::Skipped(Skip::Canceled) => ("canceled", reason::CANCELED),
            PushResult::Skipped(Skip::Expired) => ("expired", reason::EXPIRED),
            PushResult::Skipped(Skip::Blocked) => ("denied", reason::BLOCKED),
            // Without its only device, a delivery waits for the next one until it expires.
            PushResult::Skipped(Skip::DeviceGone)
            | PushResult::Accepted { .. }
            | PushResult::Retry { .. } => continue,
        };
        if seen.insert((key.message_id, key.employee_id)) {
            rows.push((
                hex(key.client_id),
                hex(key.message_id),
                hex(key.employee_id),
                outcome,
                reason,
                finished.at,
            ));
        }
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Ok(query_as(
        "update delivery set outcome = j.value->>3, reason = j.value->>4, outcome_at = cast(j.value->>5 as integer)
         from jsonb_each($1) j
         where client_id = unhex(j.value->>0) and message_id = unhex(j.value->>1)
         and employee_id = unhex(j.value->>2) and state = 0
         and not exists (
             select 1 from push p where p.client_id = delivery.client_id and p.message_id = delivery.message_id
             and p.employee_id = delivery.employee_id and (p.done_at is null or p.sent_at is not null))
         returning message_id, employee_id",
    )
    .bind(json(&rows))
    .fetch_all(tx)
    .await?)
}

async fn store_device_effects(tx: &mut Write, batch: &[Finished]) -> Result<()> {
    for finished in batch {
        let key = finished.claim.key;
        let PushResult::Failed { device, .. } = &finished.result else {
            continue;
        };
        match device {
            DeviceEffect::None => {}
            DeviceEffect::Quarantine => {
                query(
                    "update device set quarantined_at = $3, reason = $4
                     where client_id = $1 and id = $2 and quarantined_at is null and retired_at is null",
                )
                .bind(key.client_id)
                .bind(key.device_id)
                .bind(finished.at)
                .bind(reason::DEAD_ADDRESS)
                .execute(tx)
                .await?;
            }
            DeviceEffect::Retire => {
                retire_device(
                    tx,
                    key.client_id,
                    key.device_id,
                    reason::DEAD_ADDRESS,
                    finished.at,
                )
                .await?;
            }
        }
    }
    // The provider took a push for a quarantined device: its address lives.
    let alive: Vec<_> = batch
        .iter()
        .filter(|finished| matches!(finished.result, PushResult::Accepted { .. }))
        .map(|finished| {
            (
                hex(finished.claim.key.client_id),
                hex(finished.claim.key.device_id),
            )
        })
        .collect();
    if !alive.is_empty() {
        query(
            "update device set quarantined_at = null, reason = null from jsonb_each($1) j
             where device.client_id = unhex(j.value->>0) and device.id = unhex(j.value->>1)
             and quarantined_at is not null and retired_at is null",
        )
        .bind(json(&alive))
        .execute(tx)
        .await?;
    }
    Ok(())
}

/// Takes a device out of use for good, with its token; its open pushes are closed when they come due.
pub(in crate::store) async fn retire_device(
    tx: &mut Write,
    client_id: Uuid,
    device_id: Uuid,
    reason: &str,
    at: i64,
) -> Result<bool> {
    let owner: Option<Uuid> = query_scalar(
        "update device set retired_at = $3, reason = $4 where client_id = $1 and id = $2 and retired_at is null
         returning employee_id",
    )
    .bind(client_id)
    .bind(device_id)
    .bind(at)
    .bind(reason)
    .fetch_optional(tx)
    .await?;
    let Some(employee_id) = owner else {
        return Ok(false);
    };
    query("update employee set devices = case when devices > 0 then devices - 1 else 0 end where client_id = $1 and id = $2")
        .bind(client_id)
        .bind(employee_id)
        .execute(tx)
        .await?;
    revoke_tokens_of(tx, Some(client_id), TokenKind::Device, device_id, at).await?;
    Ok(true)
}

async fn add_delivery_events(tx: &mut Write, batch: &[Finished], changed: &Changed, at: i64) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let changed: HashSet<&(Uuid, Uuid)> = changed.iter().collect();
    let mut seen = HashSet::new();
    let mut rows = Vec::with_capacity(changed.len());
    for finished in batch {
        let key = finished.claim.key;
        let delivery = (key.message_id, key.employee_id);
        if changed.contains(&delivery) && seen.insert(delivery) {
            rows.push((
                hex(key.client_id),
                finished.claim.acs_id.map(hex),
                hex(key.message_id),
                hex(key.employee_id),
            ));
        }
    }
    feed::add_delivery_events(tx, &rows, at).await
}
