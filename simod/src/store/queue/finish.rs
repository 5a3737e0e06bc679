//! Storing how pushes went, and what follows for their deliveries and devices.

use std::{borrow::Cow, collections::HashSet, sync::LazyLock};

use simo_common::delivery::reason;

use super::{Claim, Skip};
use crate::store::{
    EmployeeNo, MessageNo, Result, Store, Write,
    db::{
        engine::{
            Engine,
            Kind::{Text, Whole},
            RowStatement, Values, query, query_as, query_scalar,
        },
        rows_as_json::json,
    },
    feed,
    phones::retire_device::retire_device,
};

/// How a push went.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The claim that ends with this.
    pub claim: Claim,
    /// When it was known.
    pub at: i64,
    /// The result.
    pub result: PushResult,
}

/// The result of one try.
#[derive(Debug, Clone)]
pub enum PushResult {
    /// The provider took it.
    Accepted {
        /// What it said.
        answer: String,
    },
    /// Not now.
    Retry {
        /// When to try again.
        due_at: i64,
        /// What the provider said, or what went wrong on the way.
        answer: String,
        /// Whether it counts as a try (a pause does not).
        counts: bool,
    },
    /// Never.
    Failed {
        /// The reason code.
        reason: &'static str,
        /// What the provider said.
        answer: String,
        /// What it means for the device.
        device: DeviceEffect,
    },
    /// It was not sent.
    Skipped(Skip),
}

/// What a failure means for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEffect {
    /// Nothing.
    None,
    /// Its address is dead: no pushes but one later probe.
    Quarantine,
    /// Its address is dead, and was so when probed: it is retired.
    Retire,
}

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
        let mut tx = self.write_promptly().await?;
        lock_deliveries(&mut tx, batch).await?;
        let batch = &*reconsider(&mut tx, batch).await?;
        store_pushes(&mut tx, batch).await?;
        let mut changed = mark_sent(&mut tx, batch).await?;
        changed.extend(close_deliveries(&mut tx, batch).await?);
        store_device_effects(&mut tx, batch).await?;
        add_delivery_events(&mut tx, batch, &changed, self.clock.now()).await?;
        tx.commit_unsynced().await?;
        let mut claims = self.claims();
        for finished in batch {
            claims.remove(&finished.claim.key);
        }
        Ok(())
    }
}

/// A failure is one of the address that was tried. Where the phone has told another one meanwhile, it is tried there, at once.
async fn reconsider<'a>(tx: &mut Write, batch: &'a [Finished]) -> Result<Cow<'a, [Finished]>> {
    let rows: Vec<_> = batch
        .iter()
        .enumerate()
        .filter(|(_, finished)| matches!(finished.result, PushResult::Failed { .. }))
        .map(|(place, finished)| {
            let claim = &finished.claim;
            (place, claim.key.client_no, claim.key.device_no, &claim.address, &claim.address_kind)
        })
        .collect();
    if rows.is_empty() {
        return Ok(Cow::Borrowed(batch));
    }
    let stale: HashSet<i64> = query_scalar(
        "select cast(j.value->>0 as integer) from jsonb_each($1) j cross join device d
         where d.client_no = cast(j.value->>1 as integer) and d.no = cast(j.value->>2 as integer) and d.retired_at is null
           and (coalesce(d.address, '') <> j.value->>3 or d.address_kind <> j.value->>4)",
    )
    .bind(json(&rows))
    .fetch_all(tx)
    .await?
    .into_iter()
    .collect();
    if stale.is_empty() {
        return Ok(Cow::Borrowed(batch));
    }
    let again = |(place, finished): (usize, &Finished)| match &finished.result {
        PushResult::Failed { answer, .. } if stale.contains(&(place as i64)) => Finished {
            result: PushResult::Retry { due_at: finished.at, answer: answer.clone(), counts: false },
            ..finished.clone()
        },
        _ => finished.clone(),
    };
    Ok(batch.iter().enumerate().map(again).collect())
}

/// What becomes of one push: the values of [`STORE_PUSHES`].
fn push_row(finished: &Finished) -> Values<'_, 13> {
    let (key, at, none) = (finished.claim.key, finished.at, None::<i64>);
    let (tries, tried_at, answer, sent_at, done_at, outcome, reason, due_at) = match &finished.result {
        PushResult::Accepted { answer } => {
            let at = Some(at);
            (1, at, Some(&**answer), at, at, Some("accepted"), None, none)
        }
        PushResult::Retry { due_at, answer, counts } => {
            let (tries, due_at) = (i64::from(*counts), Some(*due_at));
            (tries, Some(at), Some(&**answer), none, none, None, None, due_at)
        }
        PushResult::Failed { reason, answer, .. } => {
            // What quarantine holds back was not tried.
            let tried = *reason != reason::QUARANTINED;
            let (tries, tried_at, answer) = (i64::from(tried), tried.then_some(at), Some(&**answer));
            (tries, tried_at, answer, none, Some(at), Some("failed"), Some(*reason), none)
        }
        PushResult::Skipped(skip) => {
            let (outcome, reason) = skip.outcome();
            (0, none, None, none, Some(at), Some(outcome), Some(reason), none)
        }
    };
    [
        key.client_no.into(),
        key.message_no.into(),
        key.employee_no.into(),
        key.device_no.into(),
        tries.into(),
        tried_at.into(),
        answer.into(),
        sent_at.into(),
        done_at.into(),
        outcome.into(),
        reason.into(),
        due_at.into(),
        finished.claim.number.into(),
    ]
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
            (key.client_no, key.message_no, key.employee_no)
        })
        .collect();
    query(
        "select 1 from jsonb_each($1) j cross join delivery d
         where d.client_no = cast(j.value->>0 as integer) and d.message_no = cast(j.value->>1 as integer)
           and d.employee_no = cast(j.value->>2 as integer)
         order by d.client_no, d.message_no, d.employee_no for update of d",
    )
    .bind(json(&keys))
    .fetch_all(tx)
    .await?;
    Ok(())
}

async fn store_pushes(tx: &mut Write, batch: &[Finished]) -> Result<()> {
    let rows = batch.iter().map(push_row).collect();
    Ok(STORE_PUSHES.execute(tx, rows).await?)
}

macro_rules! store_pushes {
    ($claim:literal, $is_ours:literal) => {
        // A receipt may have closed the push meanwhile: then only what the provider said is added. So too when its phone
        // takes a stream now, which owes it the message. What was canceled while it was on its way has arrived all the same.
        concat!(
            "update push set
                 tries = tries + {4},
                 last_tried_at = coalesce({5}, last_tried_at),
                 last_answer = coalesce({6}, last_answer),
                 sent_at = coalesce(sent_at, {7}),
                 outcome = case when channel <> 'stream' and (done_at is null or outcome = 'canceled' and {9} = 'accepted')
                           then {9} else outcome end,
                 reason = case when channel <> 'stream' and (done_at is null or outcome = 'canceled' and {9} = 'accepted')
                          then {10} else reason end,
                 due_at = coalesce({11}, due_at),",
            $claim,
            "    done_at = coalesce(done_at, case when channel <> 'stream' then {8} end)
             from {rows} where client_no = {0} and message_no = {1} and employee_no = {2} and device_no = {3}",
            $is_ours
        )
    };
}

static STORE_PUSHES: LazyLock<RowStatement<13>> = LazyLock::new(|| {
    RowStatement::of_two(
        [Whole, Whole, Whole, Whole, Whole, Whole, Text, Whole, Whole, Text, Text, Whole, Whole],
        store_pushes!("", ""),
        // What a claim that was taken over says counts only when the provider took the push, and does not end the claim.
        store_pushes!(
            "held_until = case when claim = {12} then null else held_until end,",
            " and (claim = {12} or {9} = 'accepted')"
        ),
    )
});

/// Deliveries that changed: message and employee.
type Changed = Vec<(MessageNo, EmployeeNo)>;

static MARK_SENT: LazyLock<RowStatement<4>> = LazyLock::new(|| {
    RowStatement::new(
        [Whole, Whole, Whole, Whole],
        // Canceled or denied is what no provider has taken: this one did, which had it before.
        "update delivery set sent_at = {3},
             outcome = case when outcome in ('canceled', 'denied') then null else outcome end,
             outcome_at = case when outcome in ('canceled', 'denied') then null else outcome_at end,
             reason = case when outcome in ('canceled', 'denied') then null else reason end
         from {rows}
         where client_no = {0} and message_no = {1} and employee_no = {2} and sent_at is null
         returning message_no, employee_no",
    )
});

async fn mark_sent(tx: &mut Write, batch: &[Finished]) -> Result<Changed> {
    let mut seen = HashSet::new();
    let mut rows = Vec::new();
    for finished in accepted(batch) {
        let key = finished.claim.key;
        if seen.insert((key.message_no, key.employee_no)) {
            rows.push([
                key.client_no.into(),
                key.message_no.into(),
                key.employee_no.into(),
                finished.at.into(),
            ]);
        }
    }
    Ok(MARK_SENT.fetch_all(tx, rows).await?)
}

/// What the provider took.
fn accepted(batch: &[Finished]) -> impl Iterator<Item = &Finished> {
    batch.iter().filter(|finished| matches!(finished.result, PushResult::Accepted { .. }))
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
        if seen.insert((key.message_no, key.employee_no)) {
            rows.push((key.client_no, key.message_no, key.employee_no, outcome, reason, finished.at));
        }
    }
    if rows.is_empty() {
        return Ok(Vec::new());
    }
    Ok(query_as(
        "update delivery set outcome = j.value->>3, reason = j.value->>4, outcome_at = cast(j.value->>5 as integer)
         from jsonb_each($1) j
         where client_no = cast(j.value->>0 as integer) and message_no = cast(j.value->>1 as integer)
         and employee_no = cast(j.value->>2 as integer) and state = 0
         and not exists (
             select 1 from push p where p.client_no = delivery.client_no and p.message_no = delivery.message_no
             and p.employee_no = delivery.employee_no and (p.done_at is null or p.sent_at is not null))
         returning message_no, employee_no",
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
                     where client_no = $1 and no = $2 and quarantined_at is null and retired_at is null
                       and coalesce(address, '') = $5 and address_kind = $6",
                )
                .bind(key.client_no)
                .bind(key.device_no)
                .bind(finished.at)
                .bind(reason::DEAD_ADDRESS)
                .bind(&finished.claim.address)
                .bind(&finished.claim.address_kind)
                .execute(tx)
                .await?;
            }
            DeviceEffect::Retire => {
                retire_device(tx, key.client_no, key.device_no, reason::DEAD_ADDRESS, finished.at).await?;
            }
        }
    }
    let alive = accepted(batch).map(|finished| {
        let key = finished.claim.key;
        [key.client_no.into(), key.device_no.into()]
    });
    Ok(END_QUARANTINES.execute(tx, alive.collect()).await?)
}

/// The provider took a push for a quarantined device: its address lives.
static END_QUARANTINES: LazyLock<RowStatement<2>> = LazyLock::new(|| {
    RowStatement::new(
        [Whole, Whole],
        // With the plus, SQLite does not take the index of living phones, all of whom it would look through.
        "update device set quarantined_at = null, reason = null from {rows}
         where device.client_no = {0} and device.no = {1} and quarantined_at is not null and +retired_at is null",
    )
});

async fn add_delivery_events(tx: &mut Write, batch: &[Finished], changed: &Changed, at: i64) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let changed: HashSet<&(MessageNo, EmployeeNo)> = changed.iter().collect();
    let mut seen = HashSet::new();
    let mut rows = Vec::with_capacity(changed.len());
    for finished in batch {
        let key = finished.claim.key;
        let delivery = (key.message_no, key.employee_no);
        if changed.contains(&delivery) && seen.insert(delivery) {
            rows.push((key.client_no, finished.claim.acs_no, key.message_no, key.employee_no));
        }
    }
    feed::add_delivery_events(tx, &rows, at).await
}
