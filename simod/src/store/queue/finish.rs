//! Stores results of pushes, and the consequences for their deliveries and devices.

use std::{borrow::Cow, collections::HashSet, sync::LazyLock};

use simo_common::delivery::{Outcome, Reason};

use super::{
    Claim, PushKey, PushOutcome, Skip,
    close::{self, Delivery, Ending, Tried},
};
use crate::store::{
    Result, Store, Write,
    db::engine::{
        Engine,
        Kind::{Text, Whole},
        RowStatement, query, query_scalar,
    },
    feed,
    phones::{channel_address::unconfirmed, retire_device::retire_device},
};

/// The result of a push.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The claim that ends with this.
    pub claim: Claim,
    /// When the result was known.
    pub at: i64,
    /// The result.
    pub result: PushResult,
}

/// The result of one try.
#[derive(Debug, Clone)]
pub enum PushResult {
    /// The provider accepted it.
    Accepted {
        /// The provider's answer.
        answer: String,
    },
    /// Not now.
    Retry {
        /// When to try again.
        due_at: i64,
        /// The provider's answer, or the network error.
        answer: String,
        /// Whether it counts as a try (a pause does not).
        counts: bool,
    },
    /// It failed for good.
    Failed {
        /// The reason code.
        reason: Reason,
        /// The provider's answer.
        answer: String,
        /// The consequence for the device.
        device: DeviceEffect,
    },
    /// It was not sent.
    Skipped(Skip),
    /// It was not sent, and the obstacle is over.
    Again,
}

/// The consequence of a failure for the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DeviceEffect {
    /// Nothing.
    None,
    /// Its address is dead: no pushes except one later probe.
    Quarantine,
    /// Its address is dead, and was so when probed: it is retired.
    Retire,
}

impl Store {
    /// Stores the results of claimed pushes, and the consequences for their deliveries and devices; then the claims
    /// end. It is on disk when [`Store::on_disk`] has returned.
    ///
    /// # Errors
    /// Nothing was stored, and the claims stay: call again with the same batch.
    pub async fn finish(&self, batch: &[Finished]) -> Result<()> {
        if batch.is_empty() {
            return Ok(());
        }
        let mut tx = self.write_promptly().await?;
        lock_deliveries(&mut tx, batch).await?;
        let batch = &*reconsider(&mut tx, batch).await?;
        let now = self.clock.now();
        let tries: Vec<Tried<'_>> = batch.iter().map(tried).collect();
        close::store_tries_of(&mut tx, &tries).await?;
        let mut changed = close::sent(&mut tx, deliveries_sent(batch), now).await?;
        changed.extend(close::end_without_pushes(&mut tx, &endings(batch), now).await?);
        let left = left_by_devices(batch);
        close::left_without_device(&mut tx, &left).await?;
        changed.extend(close::end_failed(&mut tx, &left, now).await?);
        store_device_effects(&mut tx, batch).await?;
        feed::add_delivery_events(&mut tx, &changed, now).await?;
        tx.commit_unsynced().await?;
        let mut claims = self.claims();
        for finished in batch {
            claims.remove(&finished.claim.key);
        }
        Ok(())
    }

    /// Makes the waiting pushes of a phone due, after one got through.
    pub async fn hasten(&self, key: PushKey) -> Result<()> {
        let mut tx = self.write().await?;
        let waiting = unconfirmed(&mut tx, key.client_no, key.employee_no, self.clock.settled()).await?;
        query(
            "update push set due_at = $4 from {rows}
             where client_no = $1 and message_no = {message} and employee_no = $2 and device_no = $3
             and done_at is null and due_at > $4",
        )
        .bind(key.client_no)
        .bind(key.employee_no)
        .bind(key.device_no)
        .bind(self.clock.now())
        .over([("message", Whole)], waiting.into_iter().map(|message| [message.into()]))
        .execute(&mut tx)
        .await?;
        tx.commit().await
    }
}

/// Adjusts results that were overtaken. A failure belongs to the address that was tried: if the phone has reported
/// another one meanwhile, that is tried at once. And an employee blocked at the time of the claim may have been
/// unblocked.
async fn reconsider<'a>(tx: &mut Write, batch: &'a [Finished]) -> Result<Cow<'a, [Finished]>> {
    let mut overtaken = HashSet::new();
    let failed = |result: &PushResult| matches!(result, PushResult::Failed { .. });
    let rows = of_results(batch, failed).map(|(place, claim)| {
        [place.into(), claim.key.client_no.into(), claim.key.device_no.into(), claim.address.as_str().into()]
    });
    overtaken.extend(
        query_scalar::<i64>(
            "select {place} from {rows} cross join device d
             where d.client_no = {client} and d.no = {device} and d.retired_at is null
             and coalesce(d.address, '') <> {address}",
        )
        .over([("place", Whole), ("client", Whole), ("device", Whole), ("address", Text)], rows)
        .fetch_all(tx)
        .await?,
    );
    let blocked = |result: &PushResult| matches!(result, PushResult::Skipped(Skip::Blocked));
    let rows = of_results(batch, blocked)
        .map(|(place, claim)| [place.into(), claim.key.client_no.into(), claim.key.employee_no.into()]);
    overtaken.extend(
        query_scalar::<i64>(
            "select {place} from {rows} cross join employee e
             where e.client_no = {client} and e.no = {employee} and e.blocked_at is null and e.archived_at is null",
        )
        .over([("place", Whole), ("client", Whole), ("employee", Whole)], rows)
        .fetch_all(tx)
        .await?,
    );
    if overtaken.is_empty() {
        return Ok(Cow::Borrowed(batch));
    }
    let again = |(place, finished): (usize, &Finished)| match &finished.result {
        _ if !overtaken.contains(&(place as i64)) => finished.clone(),
        PushResult::Failed { answer, .. } => Finished {
            result: PushResult::Retry { due_at: finished.at, answer: answer.clone(), counts: false },
            ..finished.clone()
        },
        _ => Finished { result: PushResult::Again, ..finished.clone() },
    };
    Ok(batch.iter().enumerate().map(again).collect())
}

/// The claims of some results, with their places.
fn of_results(
    batch: &[Finished],
    which: impl Fn(&PushResult) -> bool,
) -> impl Iterator<Item = (i64, &Claim)> {
    batch
        .iter()
        .enumerate()
        .filter(move |(_, finished)| which(&finished.result))
        .map(|(place, finished)| (place as i64, &finished.claim))
}

/// The stored attempt of one push.
fn tried(finished: &Finished) -> Tried<'_> {
    let at = Some(finished.at);
    let nothing = Tried {
        key: finished.claim.key,
        tries: 0,
        at: None,
        answer: None,
        sent_at: None,
        done_at: None,
        outcome: None,
        reason: None,
        due_at: None,
        claim: finished.claim.number,
        way_no: finished.claim.way_no,
    };
    match &finished.result {
        PushResult::Accepted { answer } => Tried {
            tries: 1,
            at,
            answer: Some(answer),
            sent_at: at,
            done_at: at,
            outcome: Some(PushOutcome::Accepted),
            ..nothing
        },
        PushResult::Retry { due_at, answer, counts } => {
            Tried { tries: i64::from(*counts), at, answer: Some(answer), due_at: Some(*due_at), ..nothing }
        }
        PushResult::Failed { reason, answer, .. } => {
            // A push held back by quarantine was not tried.
            let was_tried = *reason != Reason::Quarantined;
            Tried {
                tries: i64::from(was_tried),
                at: at.filter(|_| was_tried),
                answer: Some(answer),
                done_at: at,
                outcome: Some(PushOutcome::Failed),
                reason: Some(*reason),
                ..nothing
            }
        }
        PushResult::Again => Tried { due_at: at, ..nothing },
        PushResult::Skipped(skip) => {
            let (outcome, reason) = skip.outcome();
            Tried { done_at: at, outcome: Some(outcome), reason: Some(reason), ..nothing }
        }
    }
}

impl Skip {
    fn outcome(self) -> (PushOutcome, Reason) {
        match self {
            Self::Canceled => (PushOutcome::Canceled, Reason::Canceled),
            Self::Expired => (PushOutcome::Expired, Reason::Expired),
            Self::Blocked => (PushOutcome::Canceled, Reason::Blocked),
            Self::DeviceGone => (PushOutcome::Canceled, Reason::DeviceGone),
        }
    }
}

/// On PostgreSQL, locks the deliveries first, as receipts and cancels do: taking pushes first could deadlock with them,
/// and of two instances that end a delivery's last pushes neither would see it.
async fn lock_deliveries(tx: &mut Write, batch: &[Finished]) -> Result<()> {
    if tx.engine() == Engine::Sqlite {
        return Ok(());
    }
    let keys = batch.iter().map(|finished| {
        let key = finished.claim.key;
        [key.client_no.into(), key.message_no.into(), key.employee_no.into()]
    });
    query(
        "select 1 from {rows} cross join delivery d
         where d.client_no = {client} and d.message_no = {message} and d.employee_no = {employee}
         order by d.client_no, d.message_no, d.employee_no for update of d",
    )
    .over([("client", Whole), ("message", Whole), ("employee", Whole)], keys)
    .fetch_all(tx)
    .await?;
    Ok(())
}

/// The pushes that providers accepted.
fn accepted(batch: &[Finished]) -> impl Iterator<Item = &Finished> {
    batch.iter().filter(|finished| matches!(finished.result, PushResult::Accepted { .. }))
}

/// A delivery ends when its last push ended and no provider accepted any.
fn endings(batch: &[Finished]) -> Vec<Ending> {
    let mut seen = HashSet::new();
    let ending = |finished: &Finished| {
        let (outcome, reason) = match &finished.result {
            PushResult::Failed { reason, .. } => (Outcome::Failed, *reason),
            PushResult::Skipped(Skip::Canceled) => (Outcome::Canceled, Reason::Canceled),
            PushResult::Skipped(Skip::Expired) => (Outcome::Expired, Reason::Expired),
            // The waiting deliveries of a blocked employee are denied by the duty of the block. Without its only
            // device, a delivery waits for the next one until it expires.
            PushResult::Skipped(Skip::Blocked | Skip::DeviceGone)
            | PushResult::Again
            | PushResult::Accepted { .. }
            | PushResult::Retry { .. } => return None,
        };
        let delivery = finished.claim.key.delivery();
        seen.insert(delivery).then_some(Ending { delivery, outcome, reason })
    };
    batch.iter().filter_map(ending).collect()
}

/// The deliveries with a device that is gone.
fn left_by_devices(batch: &[Finished]) -> Vec<Delivery> {
    let is_gone = |finished: &&Finished| matches!(finished.result, PushResult::Skipped(Skip::DeviceGone));
    batch.iter().filter(is_gone).map(|finished| finished.claim.key.delivery()).collect()
}

/// The deliveries whose pushes providers accepted, and when.
fn deliveries_sent(batch: &[Finished]) -> impl Iterator<Item = (Delivery, i64)> {
    let mut seen = HashSet::new();
    accepted(batch)
        .map(|finished| (finished.claim.key.delivery(), finished.at))
        .filter(move |(delivery, _)| seen.insert(*delivery))
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
                       and coalesce(address, '') = $5",
                )
                .bind(key.client_no)
                .bind(key.device_no)
                .bind(finished.at)
                .bind(Reason::DeadAddress)
                .bind(finished.claim.address.as_str())
                .execute(tx)
                .await?;
            }
            DeviceEffect::Retire => {
                retire_device(tx, key.client_no, key.device_no, Reason::DeadAddress, finished.at).await?;
            }
        }
    }
    let alive = accepted(batch).map(|finished| {
        let key = finished.claim.key;
        [key.client_no.into(), key.device_no.into()]
    });
    Ok(END_QUARANTINES.execute(tx, alive.collect()).await?)
}

/// The provider accepted a push for a quarantined device: its address is alive.
static END_QUARANTINES: LazyLock<RowStatement<2>> = LazyLock::new(|| {
    RowStatement::new(
        [("client", Whole), ("device", Whole)],
        // The plus keeps SQLite from the index of phones in use, all of which it would scan.
        "update device set quarantined_at = null, reason = null from {rows}
         where device.client_no = {client} and device.no = {device} and quarantined_at is not null and +retired_at is null",
    )
});
