//! Receipts: reports from phones, stored many at a time.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
};

use simo_common::{
    api::device::{Receipt, ReceiptsAnswer},
    delivery::Outcome,
    receipt::ReceiptKind,
    time::SECOND,
};
use uuid::Uuid;

use super::close::{self, Delivery, PhoneTimes};
use crate::store::{
    ClientNo, DeviceCaller, DeviceNo, EmployeeNo, Error, MessageNo, Races, Result, Store, Write,
    db::engine::{
        Kind::{Id, Text, Whole},
        query, query_as,
    },
    feed::add_delivery_events,
};

/// Receipts that one transaction stores.
const AT_ONCE: usize = 4_000;

/// A phone's last contact is stored at most this often.
pub(in crate::store) const SEEN_EVERY: i64 = 60 * SECOND;

/// One report of a phone; without receipts it is only a sign of life.
#[derive(Debug, Clone)]
pub struct Reported {
    /// The phone.
    pub phone: DeviceCaller,
    /// Its receipts.
    pub receipts: Vec<Receipt>,
}

/// The result of storing a phone's receipts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recorded {
    /// The answer to the phone.
    pub answer: ReceiptsAnswer,
    /// Whether this batch changed a delivery.
    pub changed: bool,
}

/// A delivery as phones know it: client, the message's id, employee.
type ReceiptKey = (ClientNo, Uuid, EmployeeNo);

/// The existing deliveries.
type KnownDeliveries = HashMap<ReceiptKey, Delivery>;

impl Store {
    /// Stores phones' reports, in as many transactions as needed.
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

    /// Stores phones' reports in one transaction; it is on disk when [`Store::on_disk`] has returned. The first receipt
    /// of a kind counts, with our time and the phone's; repeats change nothing. A receipt closes the push to this
    /// device and ends its quarantine.
    pub async fn record(&self, batch: &[Reported]) -> Result<Vec<Recorded>> {
        let now = self.clock.now();
        let deliveries = by_delivery(batch);
        let mut tx = self.write_promptly().await?;
        let known = known(&mut tx, &deliveries).await?;
        let mut times: Vec<_> =
            deliveries.iter().filter_map(|(key, times)| Some((*known.get(key)?, *times))).collect();
        // Others that lock several lock them in this order.
        times.sort_unstable();
        let changed = close::reported(&mut tx, times.into_iter(), now).await?;
        name_who_acknowledged(&mut tx, batch, &known).await?;
        close::received(&mut tx, pushes(batch, &known).into_iter(), now).await?;
        touch_devices(&mut tx, batch, now).await?;
        add_delivery_events(&mut tx, &changed, now).await?;
        if changed.is_empty() {
            tx.confirm_what_was_read().await?;
        }
        tx.commit_unsynced().await?;
        let changed = changed.into_iter().collect();
        Ok(batch.iter().map(|reported| answer(reported, &known, &changed)).collect())
    }
}

/// One row per delivery, sorted, however often and by however many of the employee's phones it is reported.
fn by_delivery(batch: &[Reported]) -> BTreeMap<ReceiptKey, PhoneTimes> {
    let mut deliveries: BTreeMap<ReceiptKey, PhoneTimes> = BTreeMap::new();
    for reported in batch {
        for receipt in &reported.receipts {
            let times = deliveries.entry(reported.key(receipt)).or_default();
            let place = match receipt.kind {
                ReceiptKind::Delivered => 0,
                ReceiptKind::Read => 1,
                ReceiptKind::Acknowledged => 2,
            };
            times[place].get_or_insert(receipt.at.as_microsecond());
        }
    }
    deliveries
}

impl Reported {
    fn key(&self, receipt: &Receipt) -> ReceiptKey {
        (self.phone.client_no, receipt.message_id, self.phone.employee_no)
    }
}

fn answer(reported: &Reported, known: &KnownDeliveries, changed: &HashSet<Delivery>) -> Recorded {
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
            known.get(&reported.key(receipt)).is_some_and(|delivery| changed.contains(delivery))
        }),
    }
}

/// The existing deliveries. Denied ones are left out, unless a phone may have got them before.
async fn known(tx: &mut Write, deliveries: &BTreeMap<ReceiptKey, PhoneTimes>) -> Result<KnownDeliveries> {
    if deliveries.is_empty() {
        return Ok(HashMap::new());
    }
    let denied = Outcome::Denied.number();
    let found: Vec<(ClientNo, Uuid, EmployeeNo, MessageNo)> = query_as(format!(
        "select d.client_no, m.id, d.employee_no, d.message_no
         from {{rows}} cross join message m cross join delivery d
         where m.client_no = {{client}} and m.id = {{message}}
           and d.client_no = m.client_no and d.message_no = m.no and d.employee_no = {{employee}}
           and (d.outcome is null or d.outcome <> {denied} or exists (
               select 1 from push p where p.client_no = d.client_no and p.message_no = d.message_no
               and p.employee_no = d.employee_no))"
    ))
    .over(
        [("client", Whole), ("message", Id), ("employee", Whole)],
        deliveries
            .keys()
            .map(|(client, message, employee)| [(*client).into(), (*message).into(), (*employee).into()]),
    )
    .fetch_all(tx)
    .await?;
    let known = |(client, id, employee, no)| ((client, id, employee), (client, no, employee));
    Ok(found.into_iter().map(known).collect())
}

/// Stores who acknowledged at shared screens: the first one counts.
async fn name_who_acknowledged(tx: &mut Write, batch: &[Reported], known: &KnownDeliveries) -> Result<()> {
    let mut names = BTreeMap::new();
    for reported in batch {
        for receipt in reported.receipts.iter().filter(|receipt| receipt.kind == ReceiptKind::Acknowledged) {
            if let (Some(by), Some(delivery)) = (&receipt.by, known.get(&reported.key(receipt))) {
                names.entry(*delivery).or_insert(by.trim());
            }
        }
    }
    if names.is_empty() {
        return Ok(());
    }
    query(
        "insert into receipt_name (client_no, message_no, employee_no, name)
         select {client}, {message}, {employee}, {name} from {rows} where true
         on conflict (client_no, message_no, employee_no) do nothing",
    )
    .over(
        [("client", Whole), ("message", Whole), ("employee", Whole), ("name", Text)],
        names.into_iter().map(|((client, message, employee), name)| {
            [client.into(), message.into(), employee.into(), name.to_owned().into()]
        }),
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The pushes to the reporting devices; those to the employee's other devices stay.
fn pushes(batch: &[Reported], known: &KnownDeliveries) -> HashSet<(Delivery, DeviceNo)> {
    let of = |reported: &Reported, receipt: &Receipt| {
        Some((*known.get(&reported.key(receipt))?, reported.phone.device_no))
    };
    batch
        .iter()
        .flat_map(|reported| reported.receipts.iter().filter_map(move |receipt| of(reported, receipt)))
        .collect()
}

/// Notes that the devices are alive, and ends their quarantine.
async fn touch_devices(tx: &mut Write, batch: &[Reported], now: i64) -> Result<()> {
    let devices: BTreeSet<(ClientNo, DeviceNo)> =
        batch.iter().map(|reported| (reported.phone.client_no, reported.phone.device_no)).collect();
    query(
        "update device set quarantined_at = null, reason = null, seen_at = $1 from {rows}
         where client_no = {client} and device.no = {device} and retired_at is null
         and (quarantined_at is not null or seen_at is null or seen_at <= $2 or seen_at > $1)",
    )
    .bind(now)
    .bind(now - SEEN_EVERY)
    .over(
        [("client", Whole), ("device", Whole)],
        devices.into_iter().map(|(client, device)| [client.into(), device.into()]),
    )
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
