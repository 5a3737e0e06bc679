//! The way to a phone, and the consequences of a change.

use simo_common::{
    delivery::{DeliveryState, Reason},
    lang::Lang,
};

use super::retire_device::{oldest_open, retire};
use crate::{
    channel::{Address, ChannelKind},
    store::{
        ClientNo, DeviceCaller, DeviceNo, EmployeeNo, MessageNo, Races, Result, Store, Write,
        db::engine::{query, query_as, query_scalar},
        message_spans::first_since,
        queue::{close::push_again, receipts::SEEN_EVERY},
    },
};

/// The way to a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The channel.
    pub channel: ChannelKind,
    /// The provider's address of the phone, where the channel has one.
    pub address: Option<Address>,
    /// The part of the address that no other phone of any client may have.
    pub endpoint: Option<String>,
    /// The language of the phone's person.
    pub lang: Lang,
    /// Whether the phone shows notifications, if it reports it.
    pub notifications: Option<bool>,
}

impl Store {
    /// Stores a new way to a phone: its quarantine ends, and waiting pushes use the new way at once; a stream also gets
    /// those that went the old way without a receipt. Reporting the known way is a sign of life, and may update whether
    /// notifications are shown.
    pub async fn change_way(&self, phone: &DeviceCaller, way: &Way) -> Result<()> {
        let mut races = Races::default();
        loop {
            // Another phone may use the same endpoint at the same time.
            let changed = self.change_way_once(phone, way).await;
            if !races.lost(&changed) {
                return changed;
            }
        }
    }

    async fn change_way_once(&self, phone: &DeviceCaller, way: &Way) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        lock_employee(&mut tx, phone.client_no, phone.employee_no).await?;
        let unconfirmed =
            unconfirmed(&mut tx, phone.client_no, phone.employee_no, self.clock.settled()).await?;
        if !is_in_use(&mut tx, phone).await? {
            return Ok(());
        }
        retire_namesakes(&mut tx, phone.client_no, way, Some(phone.device_no), now).await?;
        let changed = query(
            "update device set channel = $3, address = $4, way_no = way_no + 1, quarantined_at = null, reason = null,
                               seen_at = $5, notifications = coalesce($6, notifications), endpoint = $7, lang = $8
             where client_no = $1 and no = $2 and retired_at is null
             and (channel <> $3 or coalesce(address, '') <> coalesce($4, ''))",
        )
        .bind(phone.client_no)
        .bind(phone.device_no)
        .bind(way.channel)
        .bind(way.address.as_ref().map(Address::as_str))
        .bind(now)
        .bind(way.notifications)
        .bind(&way.endpoint)
        .bind(way.lang.code())
        .execute(&mut tx)
        .await?
        .rows_affected();
        if changed == 0 {
            sign_of_life(&mut tx, phone, way, now).await?;
            return tx.commit().await;
        }
        keep_way(&mut tx, phone.client_no, phone.device_no, now).await?;
        let oldest = first_since(&mut tx, oldest_open(now)).await?;
        query(
            "update push set channel = $4, due_at = $5
             where client_no = $1 and employee_no = $2 and device_no = $3 and done_at is null
             and message_no in (
                 select message_no from delivery indexed by delivery_employee
                 where client_no = $1 and employee_no = $2 and message_no >= $6)",
        )
        .bind(phone.client_no)
        .bind(phone.employee_no)
        .bind(phone.device_no)
        .bind(way.channel)
        .bind(now)
        .bind(oldest)
        .execute(&mut tx)
        .await?;
        if way.channel.is_pulled() {
            // It gets everything without a receipt, including pushes that the provider accepted for this phone or could
            // not deliver. Only unconfirmed ones: a message that was seen needs no second way.
            push_again(&mut tx, phone, &unconfirmed, way.channel, now).await?;
        }
        tx.commit().await
    }
}

/// The unconfirmed messages that may still arrive. Their deliveries are locked first and in order, like receipts and
/// results do; pushes come after them.
pub(in crate::store) async fn unconfirmed(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    settled: i64,
) -> Result<Vec<MessageNo>> {
    let oldest = first_since(tx, oldest_open(settled)).await?;
    let lock = tx.locked("d");
    Ok(query_scalar(format!(
        "select d.message_no from delivery d indexed by delivery_employee
         join message m on m.client_no = d.client_no and m.no = d.message_no
         where d.client_no = $1 and d.employee_no = $2 and d.message_no >= $3
         and d.state in ({}, {}, {}) and d.expires_at > $4 and m.canceled_at is null
         order by d.message_no{lock}",
        DeliveryState::Queued.rank(),
        DeliveryState::Sent.rank(),
        DeliveryState::Failed.rank(),
    ))
    .bind(client_no)
    .bind(employee_no)
    .bind(oldest)
    .bind(settled)
    .fetch_all(tx)
    .await?)
}

/// Stores the phone's new way and name.
pub(super) async fn keep_way(
    tx: &mut Write,
    client_no: ClientNo,
    device_no: DeviceNo,
    now: i64,
) -> Result<()> {
    query(
        "insert into way (client_no, device_no, no, channel, address, name, since)
         select client_no, no, way_no, channel, address, name, $3 from device where client_no = $1 and no = $2",
    )
    .bind(client_no)
    .bind(device_no)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// A phone reports the way that is already known.
async fn sign_of_life(tx: &mut Write, phone: &DeviceCaller, way: &Way, now: i64) -> Result<()> {
    query(
        "update device set seen_at = $3, notifications = coalesce($4, notifications), lang = $6
         where client_no = $1 and no = $2 and retired_at is null
         and (seen_at is null or seen_at <= $5 or seen_at > $3 or coalesce(lang, '') <> $6
              or ($4 is not null and (notifications is null or notifications <> $4)))",
    )
    .bind(phone.client_no)
    .bind(phone.device_no)
    .bind(now)
    .bind(way.notifications)
    .bind(now - SEEN_EVERY)
    .bind(way.lang.code())
    .execute(tx)
    .await?;
    Ok(())
}

/// Orders messages being accepted for the employee before or after this: none makes a push for a way that the phone has
/// just left.
async fn lock_employee(tx: &mut Write, client_no: ClientNo, employee_no: EmployeeNo) -> Result<()> {
    let lock = tx.locked("employee");
    query(format!("select no from employee where client_no = $1 and no = $2{lock}"))
        .bind(client_no)
        .bind(employee_no)
        .fetch_optional(tx)
        .await?;
    Ok(())
}

/// Whether the phone is in use, and stays so until our transaction ends: a phone that was just replaced must not
/// replace another.
async fn is_in_use(tx: &mut Write, phone: &DeviceCaller) -> Result<bool> {
    let lock = tx.locked("device");
    let found: Option<DeviceNo> = query_scalar(format!(
        "select no from device where client_no = $1 and no = $2 and retired_at is null{lock}"
    ))
    .bind(phone.client_no)
    .bind(phone.device_no)
    .fetch_optional(tx)
    .await?;
    Ok(found.is_some())
}

/// An address belongs to one device of a client: the last to report it. Another client's device may have it too,
/// because one app on one phone may serve two employers. An endpoint belongs to one device of all clients: a browser
/// has one subscription, and the next user of a phone must not read the previous user's messages.
pub(super) async fn retire_namesakes(
    tx: &mut Write,
    client_no: ClientNo,
    way: &Way,
    except: Option<DeviceNo>,
    now: i64,
) -> Result<()> {
    let namesakes: Vec<(ClientNo, DeviceNo)> =
        match (&way.endpoint, &way.address) {
            (Some(endpoint), _) => query_as(
                "select client_no, no from device where endpoint = $1 and retired_at is null and no <> $2",
            )
            .bind(endpoint)
            .bind(except.unwrap_or_default())
            .fetch_all(&mut *tx)
            .await?,
            (None, Some(address)) => {
                query_as(
                    "select client_no, no from device
                 where channel = $1 and address = $2 and client_no = $3 and retired_at is null and no <> $4",
                )
                .bind(way.channel)
                .bind(address.as_str())
                .bind(client_no)
                .bind(except.unwrap_or_default())
                .fetch_all(&mut *tx)
                .await?
            }
            (None, None) => Vec::new(),
        };
    for (client_no, device_no) in namesakes {
        retire(tx, client_no, device_no, Reason::Replaced, now).await?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
