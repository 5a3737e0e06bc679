//! Receipts: what phones report back, stored many at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use serde::Serialize;
use simo_common::{
    api::device::{Receipt, ReceiptsAnswer},
    receipt::ReceiptKind,
    time::SECOND,
};
use uuid::{Uuid, fmt::Simple};

use crate::store::{
    DeviceCaller, Error, Races, Result, Store, Write,
    db::{
        engine::{query, query_as},
        rows_as_json::{hex, json},
    },
    feed::add_delivery_events,
};

/// Receipts that one transaction stores.
const AT_ONCE: usize = 4_000;

/// A phone's last contact is written down at most this often.
pub(in crate::store) const SEEN_EVERY: i64 = 60 * SECOND;

/// What a phone reports at once; without receipts it is only a sign of life.
#[derive(Debug, Clone)]
pub struct Reported {
    /// The phone.
    pub phone: DeviceCaller,
    /// Its receipts.
    pub receipts: Vec<Receipt>,
}

/// What became of a phone's receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The answer to the phone.
    pub answer: ReceiptsAnswer,
    /// Whether a delivery changed by this batch.
    pub changed: bool,
}

/// A delivery: client, message, employee.
type Key = (Uuid, Uuid, Uuid);

/// When, by the phone's clock, a delivery was delivered, read and acknowledged.
#[derive(Debug, Clone, Copy, Default)]
struct Times([Option<i64>; 3]);

impl Store {
    /// Stores what phones report, in as many transactions as it needs.
    pub async fn record_each(&self, batch: Vec<Reported>) -> Vec<std::result::Result<Recorded, Arc<Error>>> {
        let mut results = Vec::with_capacity(batch.len());
        let mut rest = batch.as_slice();
        while !rest.is_empty() {
            let mut size = 0;
            let most = rest
                .iter()
                .take_while(|reported| {
                    size += reported.receipts.len();
                    size <= AT_ONCE
                })
                .count()
                .max(1);
            let (now, later) = rest.split_at(most);
            let mut races = Races::default();
            let recorded = loop {
                let recorded = self.record(now).await;
                if !races.lost(&recorded) {
                    break recorded;
                }
            };
            match recorded {
                Ok(recorded) => results.extend(recorded.into_iter().map(Ok)),
                Err(error) => {
                    let error = Arc::new(error);
                    results.extend(now.iter().map(|_| Err(error.clone())));
                }
            }
            rest = later;
        }
        results
    }

    /// Stores what phones report, in one transaction; it is on disk when [`Store::on_disk`] has returned. The first
    /// receipt of a kind counts, with our time and the phone's; repeats change nothing. A receipt closes the push to this
    /// device and ends its quarantine.
    pub async fn record(&self, batch: &[Reported]) -> Result<Vec<Recorded>> {
        let now = self.clock.now();
        let deliveries = by_delivery(batch);
        let mut tx = self.write_promptly().await?;
        let known = known(&mut tx, &deliveries).await?;
        let changed = store_times(&mut tx, &deliveries, &known, now).await?;
        close_pushes(&mut tx, batch, &known, now).await?;
        touch_devices(&mut tx, batch, now).await?;
        let events: Vec<_> = changed
            .iter()
            .map(|key| {
                let acs_id = known.get(key).copied().flatten();
                (key.0, acs_id, key.1, key.2)
            })
            .collect();
        add_delivery_events(&mut tx, &events, now).await?;
        if changed.is_empty() {
            tx.confirm_what_was_read().await?;
        }
        tx.commit_unsynced().await?;
        Ok(batch.iter().map(|reported| answer(reported, &known, &changed)).collect())
    }
}

/// One row per delivery, sorted, however often and by however many of his phones it is reported.
fn by_delivery(batch: &[Reported]) -> BTreeMap<Key, Times> {
    let mut deliveries: BTreeMap<Key, Times> = BTreeMap::new();
    for reported in batch {
        for receipt in &reported.receipts {
            let times = deliveries.entry(reported.key(receipt)).or_default();
            let place = match receipt.kind {
                ReceiptKind::Delivered => 0,
                ReceiptKind::Read => 1,
                ReceiptKind::Acknowledged => 2,
            };
            times.0[place].get_or_insert(receipt.at.as_microsecond());
        }
    }
    deliveries
}

impl Reported {
    fn key(&self, receipt: &Receipt) -> Key {
        (self.phone.client_id, receipt.message_id, self.phone.employee_id)
    }
}

fn answer(reported: &Reported, known: &HashMap<Key, Option<Uuid>>, changed: &HashSet<Key>) -> Recorded {
    let is_known = |receipt: &&Receipt| known.contains_key(&reported.key(receipt));
    let unknown: BTreeSet<Uuid> = reported
        .receipts
        .iter()
        .filter(|receipt| !is_known(receipt))
        .map(|receipt| receipt.message_id)
        .collect();
    Recorded {
        answer: ReceiptsAnswer {
            stored: reported.receipts.iter().filter(is_known).count(),
            unknown: unknown.into_iter().collect(),
            refused: Vec::new(),
        },
        changed: reported.receipts.iter().any(|receipt| changed.contains(&reported.key(receipt))),
    }
}

/// The deliveries that there are, with the ACS that posted their message. What was denied is nobody's, unless a phone
/// may have got it before.
async fn known(tx: &mut Write, deliveries: &BTreeMap<Key, Times>) -> Result<HashMap<Key, Option<Uuid>>> {
    if deliveries.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<_> = deliveries
        .keys()
        .map(|(client, message, employee)| (hex(*client), hex(*message), hex(*employee)))
        .collect();
    let found: Vec<(Uuid, Uuid, Uuid, Option<Uuid>)> = query_as(
        "select d.client_id, d.message_id, d.employee_id, m.acs_id
         from jsonb_each($1) j cross join delivery d cross join message m
         where d.client_id = unhex(j.value->>0) and d.message_id = unhex(j.value->>1)
           and d.employee_id = unhex(j.value->>2) and m.client_id = d.client_id and m.id = d.message_id
           and (d.outcome is null or d.outcome <> 'denied' or exists (
               select 1 from push p where p.client_id = d.client_id and p.message_id = d.message_id
               and p.employee_id = d.employee_id))",
    )
    .bind(json(&rows))
    .fetch_all(tx)
    .await?;
    Ok(found.into_iter().map(|(client, message, employee, acs)| ((client, message, employee), acs)).collect())
}

/// A delivery's row: its key, and the phone's times.
#[derive(Serialize)]
struct Row(Simple, Simple, Simple, Option<i64>, Option<i64>, Option<i64>);

async fn store_times(
    tx: &mut Write,
    deliveries: &BTreeMap<Key, Times>,
    known: &HashMap<Key, Option<Uuid>>,
    now: i64,
) -> Result<HashSet<Key>> {
    let rows: Vec<Row> = deliveries
        .iter()
        .filter(|(key, _)| known.contains_key(key))
        .map(|(key, Times([delivered, read, acknowledged]))| {
            let (client, message, employee) = (hex(key.0), hex(key.1), hex(key.2));
            Row(client, message, employee, *delivered, *read, *acknowledged)
        })
        .collect();
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    // On the right side a column is still as it was before.
    let changed: Vec<Key> = query_as(
        "update delivery set
             delivered_at = coalesce(delivered_at, case when cast(j.value->>3 as integer) is not null then cast($2 as integer) end),
             phone_delivered_at = case when delivered_at is null then cast(j.value->>3 as integer) else phone_delivered_at end,
             read_at = coalesce(read_at, case when cast(j.value->>4 as integer) is not null then cast($2 as integer) end),
             phone_read_at = case when read_at is null then cast(j.value->>4 as integer) else phone_read_at end,
             acknowledged_at = coalesce(acknowledged_at, case when cast(j.value->>5 as integer) is not null then cast($2 as integer) end),
             phone_acknowledged_at = case when acknowledged_at is null then cast(j.value->>5 as integer) else phone_acknowledged_at end
         from jsonb_each($1) j
         where client_id = unhex(j.value->>0) and message_id = unhex(j.value->>1)
         and employee_id = unhex(j.value->>2)
         and (delivered_at is null and cast(j.value->>3 as integer) is not null
              or read_at is null and cast(j.value->>4 as integer) is not null
              or acknowledged_at is null and cast(j.value->>5 as integer) is not null)
         returning client_id, message_id, employee_id",
    )
    .bind(json(&rows))
    .bind(now)
    .fetch_all(tx)
    .await?;
    Ok(changed.into_iter().collect())
}

/// The pushes to the devices that report; those to his other devices go on.
async fn close_pushes(
    tx: &mut Write,
    batch: &[Reported],
    known: &HashMap<Key, Option<Uuid>>,
    now: i64,
) -> Result<()> {
    let pushes: BTreeSet<(Key, Uuid)> = batch
        .iter()
        .flat_map(|reported| {
            let device_id = reported.phone.device_id;
            reported.receipts.iter().map(move |receipt| (reported.key(receipt), device_id))
        })
        .filter(|(key, _)| known.contains_key(key))
        .collect();
    if pushes.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = pushes
        .into_iter()
        .map(|((client, message, employee), device)| (hex(client), hex(message), hex(employee), hex(device)))
        .collect();
    query(
        "update push set done_at = coalesce(done_at, $2), outcome = 'received', reason = null
         from jsonb_each($1) j
         where client_id = unhex(j.value->>0) and message_id = unhex(j.value->>1)
         and employee_id = unhex(j.value->>2) and device_id = unhex(j.value->>3)
         and (outcome is null or outcome <> 'received')",
    )
    .bind(json(&rows))
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// The devices are alive: their quarantine ends.
async fn touch_devices(tx: &mut Write, batch: &[Reported], now: i64) -> Result<()> {
    let devices: BTreeSet<(Uuid, Uuid)> =
        batch.iter().map(|reported| (reported.phone.client_id, reported.phone.device_id)).collect();
    let rows: Vec<_> = devices.into_iter().map(|(client, device)| (hex(client), hex(device))).collect();
    query(
        "update device set quarantined_at = null, reason = null, seen_at = $2
         from jsonb_each($1) j
         where client_id = unhex(j.value->>0) and device.id = unhex(j.value->>1) and retired_at is null
         and (quarantined_at is not null or seen_at is null or seen_at <= $3 or seen_at > $2)",
    )
    .bind(json(&rows))
    .bind(now)
    .bind(now - SEEN_EVERY)
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
