//! Receipts: what phones report back, stored many at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use simo_common::{
    api::device::{Receipt, ReceiptsAnswer},
    receipt::ReceiptKind,
    time::SECOND,
};
use uuid::Uuid;

use crate::store::{
    AcsNo, ClientNo, DeviceCaller, DeviceNo, EmployeeNo, Error, MessageNo, Races, Result, Store, Write,
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

/// A delivery as phones know it: client, the message's id, employee.
type Key = (ClientNo, Uuid, EmployeeNo);

/// A delivery: client, message, employee.
type Delivery = (ClientNo, MessageNo, EmployeeNo);

/// The deliveries that there are, with the ACS that posted their message.
type Known = HashMap<Key, (Delivery, Option<AcsNo>)>;

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
        let posters: HashMap<Delivery, Option<AcsNo>> = known.values().copied().collect();
        let events: Vec<_> = changed
            .iter()
            .map(|&(client, message, employee)| {
                let acs_no = posters.get(&(client, message, employee)).copied().flatten();
                (client, acs_no, message, employee)
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
        (self.phone.client_no, receipt.message_id, self.phone.employee_no)
    }
}

fn answer(reported: &Reported, known: &Known, changed: &HashSet<Delivery>) -> Recorded {
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
        changed: reported.receipts.iter().any(|receipt| {
            known.get(&reported.key(receipt)).is_some_and(|(delivery, _)| changed.contains(delivery))
        }),
    }
}

/// The deliveries that there are. What was denied is nobody's, unless a phone may have got it before.
async fn known(tx: &mut Write, deliveries: &BTreeMap<Key, Times>) -> Result<Known> {
    if deliveries.is_empty() {
        return Ok(HashMap::new());
    }
    let rows: Vec<_> =
        deliveries.keys().map(|(client, message, employee)| (client, hex(*message), employee)).collect();
    let found: Vec<(ClientNo, Uuid, EmployeeNo, MessageNo, Option<AcsNo>)> = query_as(
        "select d.client_no, m.id, d.employee_no, d.message_no, m.acs_no
         from jsonb_each($1) j cross join message m cross join delivery d
         where m.client_no = cast(j.value->>0 as integer) and m.id = unhex(j.value->>1)
           and d.client_no = m.client_no and d.message_no = m.no and d.employee_no = cast(j.value->>2 as integer)
           and (d.outcome is null or d.outcome <> 'denied' or exists (
               select 1 from push p where p.client_no = d.client_no and p.message_no = d.message_no
               and p.employee_no = d.employee_no))",
    )
    .bind(json(&rows))
    .fetch_all(tx)
    .await?;
    let known = |(client, id, employee, no, acs)| ((client, id, employee), ((client, no, employee), acs));
    Ok(found.into_iter().map(known).collect())
}

async fn store_times(
    tx: &mut Write,
    deliveries: &BTreeMap<Key, Times>,
    known: &Known,
    now: i64,
) -> Result<HashSet<Delivery>> {
    let mut rows: Vec<_> = deliveries
        .iter()
        .filter_map(|(key, Times([delivered, read, acknowledged]))| {
            let ((client, message, employee), _) = known.get(key)?;
            Some((client, message, employee, delivered, read, acknowledged))
        })
        .collect();
    // Whoever else takes several takes them in this order.
    rows.sort_unstable();
    if rows.is_empty() {
        return Ok(HashSet::new());
    }
    // On the right side a column is still as it was before.
    let changed: Vec<Delivery> = query_as(
        "update delivery set
             delivered_at = coalesce(delivered_at, case when cast(j.value->>3 as integer) is not null then cast($2 as integer) end),
             phone_delivered_at = case when delivered_at is null then cast(j.value->>3 as integer) else phone_delivered_at end,
             read_at = coalesce(read_at, case when cast(j.value->>4 as integer) is not null then cast($2 as integer) end),
             phone_read_at = case when read_at is null then cast(j.value->>4 as integer) else phone_read_at end,
             acknowledged_at = coalesce(acknowledged_at, case when cast(j.value->>5 as integer) is not null then cast($2 as integer) end),
             phone_acknowledged_at = case when acknowledged_at is null then cast(j.value->>5 as integer) else phone_acknowledged_at end
         from jsonb_each($1) j
         where client_no = cast(j.value->>0 as integer) and message_no = cast(j.value->>1 as integer)
         and employee_no = cast(j.value->>2 as integer)
         and (delivered_at is null and cast(j.value->>3 as integer) is not null
              or read_at is null and cast(j.value->>4 as integer) is not null
              or acknowledged_at is null and cast(j.value->>5 as integer) is not null)
         returning client_no, message_no, employee_no",
    )
    .bind(json(&rows))
    .bind(now)
    .fetch_all(tx)
    .await?;
    Ok(changed.into_iter().collect())
}

/// The pushes to the devices that report; those to his other devices go on.
async fn close_pushes(tx: &mut Write, batch: &[Reported], known: &Known, now: i64) -> Result<()> {
    let pushes: BTreeSet<(Delivery, DeviceNo)> = batch
        .iter()
        .flat_map(|reported| {
            let device_no = reported.phone.device_no;
            reported.receipts.iter().filter_map(move |receipt| {
                let (delivery, _) = known.get(&reported.key(receipt))?;
                Some((*delivery, device_no))
            })
        })
        .collect();
    if pushes.is_empty() {
        return Ok(());
    }
    let rows: Vec<_> = pushes
        .into_iter()
        .map(|((client, message, employee), device)| (client, message, employee, device))
        .collect();
    query(
        "update push set done_at = coalesce(done_at, $2), outcome = 'received', reason = null
         from jsonb_each($1) j
         where client_no = cast(j.value->>0 as integer) and message_no = cast(j.value->>1 as integer)
         and employee_no = cast(j.value->>2 as integer) and device_no = cast(j.value->>3 as integer)
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
    let devices: BTreeSet<(ClientNo, DeviceNo)> =
        batch.iter().map(|reported| (reported.phone.client_no, reported.phone.device_no)).collect();
    let rows: Vec<_> = devices.into_iter().collect();
    query(
        "update device set quarantined_at = null, reason = null, seen_at = $2
         from jsonb_each($1) j
         where client_no = cast(j.value->>0 as integer) and device.no = cast(j.value->>1 as integer) and retired_at is null
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
