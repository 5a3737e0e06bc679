//! Phones come, change their address, and go.

use simo_common::{
    delivery::{DeliveryState, reason},
    id,
    message::limits,
    time::{HOUR, SECOND},
};
use uuid::Uuid;

use super::{
    DeviceCaller, Result, Store, Write,
    bind::{hex, json},
    devices::{device, device_change},
    engine::{query, query_scalar},
    guesses,
    queue::retire_device,
    receipts::SEEN_EVERY,
};
use crate::actor;

/// The way to a phone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Way {
    /// The channel.
    pub channel: String,
    /// The provider's address of the phone, where the channel has one.
    pub address: Option<String>,
    /// `token` or `installation`.
    pub address_kind: String,
    /// Whether the phone shows notifications, if it says so.
    pub notifications: Option<bool>,
}

/// A phone that wants to be paired.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Of the pairing code, as it was normalised.
    pub code_hash: [u8; 32],
    /// The way to it.
    pub way: Way,
    /// What it calls itself.
    pub name: String,
    /// What it is.
    pub platform: String,
    /// Of the token that it gets.
    pub token_hash: [u8; 32],
    /// What may be shown of that token.
    pub token_shown: String,
}

/// What became of a pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pairing {
    /// The phone is the employee's now.
    Done(PairedDevice),
    /// The code is unknown, used or expired; the failure is counted.
    WrongCode,
    /// Too many wrong codes came from this network address.
    TooMany {
        /// Seconds until it may try again.
        retry_after: u32,
    },
    /// The employee is blocked; the code stays as it is.
    Blocked,
}

/// A paired phone, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairedDevice {
    /// The device.
    pub device_id: Uuid,
    /// How the client knows the employee.
    pub personnel_no: String,
    /// The employee's name.
    pub full_name: String,
    /// The client's name.
    pub client: String,
}

/// What a code that still works stands for.
struct Invited {
    client_id: Uuid,
    employee_id: Uuid,
    personnel_no: String,
    full_name: String,
    client: String,
    blocked: bool,
}

impl Store {
    /// Pairs a phone that calls from the network address `from`: the code is used up, another device of the client with
    /// the same provider's address is retired, and what is still undelivered is queued for the new one.
    pub async fn pair(&self, from: &str, new: &NewDevice) -> Result<Pairing> {
        let now = self.clock.now();
        let mut tx = match guesses::attempt(self, from, now).await? {
            Ok(tx) => tx,
            Err(retry_after) => return Ok(Pairing::TooMany { retry_after }),
        };
        let Some(invited) = invited(&mut tx, &new.code_hash, now).await? else {
            guesses::was_wrong(tx, from, now).await?;
            return Ok(Pairing::WrongCode);
        };
        if invited.blocked {
            return Ok(Pairing::Blocked);
        }
        let used = query("update invite set used_at = $2 where code_hash = $1 and used_at is null")
            .bind(new.code_hash.as_slice())
            .bind(now)
            .execute(&mut tx)
            .await?;
        if used.rows_affected() == 0 {
            // Another phone was faster.
            return Ok(Pairing::WrongCode);
        }
        retire_namesakes(&mut tx, invited.client_id, &new.way, None, now).await?;
        let device_id = id::new(now);
        insert_device(&mut tx, &invited, device_id, new, now).await?;
        queue_open_deliveries(&mut tx, &invited, device_id, &new.way.channel, now).await?;
        actor::identify(|| format!("employee {}", invited.personnel_no));
        let paired = device(&mut tx, invited.client_id, device_id).await?;
        tx.record(invited.client_id, device_change("device.pair", None, &paired));
        tx.commit().await?;
        Ok(Pairing::Done(PairedDevice {
            device_id,
            personnel_no: invited.personnel_no,
            full_name: invited.full_name,
            client: invited.client,
        }))
    }

    /// Stores a new way to a phone: its quarantine ends, and what waits goes the new way at once; a stream also gets what
    /// went the old way without a receipt. The way that is known
    /// already is a sign of life, and may say anew whether notifications are shown.
    pub async fn change_way(&self, phone: &DeviceCaller, way: &Way) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        lock_employee(&mut tx, phone.client_id, phone.employee_id).await?;
        let changed = query(
            "update device set channel = $3, address = $4, address_kind = $5, quarantined_at = null, reason = null,
                               seen_at = $6, notifications = coalesce($7, notifications)
             where client_id = $1 and id = $2 and retired_at is null
             and (channel <> $3 or coalesce(address, '') <> coalesce($4, '') or address_kind <> $5)",
        )
        .bind(phone.client_id)
        .bind(phone.device_id)
        .bind(&way.channel)
        .bind(&way.address)
        .bind(&way.address_kind)
        .bind(now)
        .bind(way.notifications)
        .execute(&mut tx)
        .await?
        .rows_affected();
        if changed == 0 {
            sign_of_life(&mut tx, phone, way, now).await?;
            return tx.commit().await;
        }
        retire_namesakes(&mut tx, phone.client_id, way, Some(phone.device_id), now).await?;
        query(
            "update push set channel = $4, due_at = $5
             where client_id = $1 and employee_id = $2 and device_id = $3 and done_at is null
             and message_id in (
                 select message_id from delivery where client_id = $1 and employee_id = $2 and accepted_at >= $6)",
        )
        .bind(phone.client_id)
        .bind(phone.employee_id)
        .bind(phone.device_id)
        .bind(&way.channel)
        .bind(now)
        .bind(oldest_open(now))
        .execute(&mut tx)
        .await?;
        if way.channel == "stream" {
            reopen_unconfirmed(&mut tx, phone, now).await?;
        }
        tx.commit().await
    }

    /// A phone leaves: its token is dead, and what waits for it is closed.
    pub async fn leave(&self, phone: &DeviceCaller) -> Result<()> {
        let mut tx = self.write().await?;
        let (client_id, id) = (phone.client_id, phone.device_id);
        let before = device(&mut tx, client_id, id).await?;
        retire(&mut tx, client_id, id, reason::LEFT, self.clock.now()).await?;
        let after = device(&mut tx, client_id, id).await?;
        tx.record(client_id, device_change("device.leave", Some(&before), &after));
        tx.commit().await
    }
}

/// Retires a device with its token, and closes at once what waits for it; `false` when it is retired already, or not there.
pub(super) async fn retire(
    tx: &mut Write,
    client_id: Uuid,
    device_id: Uuid,
    reason: &str,
    now: i64,
) -> Result<bool> {
    if !retire_device(tx, client_id, device_id, reason, now).await? {
        return Ok(false);
    }
    // By way of the employee's deliveries, because no index leads from a device to its pushes.
    query(
        "update push set done_at = $3, outcome = 'canceled', reason = $4
         where client_id = $1 and device_id = $2 and done_at is null
         and (message_id, employee_id) in (
             select d.message_id, d.employee_id from device v
             join delivery d on d.client_id = v.client_id and d.employee_id = v.employee_id and d.accepted_at >= $5
             where v.client_id = $1 and v.id = $2)",
    )
    .bind(client_id)
    .bind(device_id)
    .bind(now)
    .bind(reason::DEVICE_GONE)
    .bind(oldest_open(now))
    .execute(tx)
    .await?;
    Ok(true)
}

/// No delivery that was accepted earlier is still open.
pub(super) fn oldest_open(now: i64) -> i64 {
    now - limits::TTL_SECONDS * SECOND - HOUR
}

/// A stream gets everything without a receipt, so also what the provider took for this phone, or could not bring to it
/// while it brought it to another one. Only what nobody has confirmed: a message that is seen needs no second way.
async fn reopen_unconfirmed(tx: &mut Write, phone: &DeviceCaller, now: i64) -> Result<()> {
    // Deliveries first, in their order, as receipts and results take them.
    let lock = tx.locked("d");
    let unconfirmed: Vec<Uuid> = query_scalar(format!(
        "select d.message_id from delivery d
         join message m on m.client_id = d.client_id and m.id = d.message_id
         where d.client_id = $1 and d.employee_id = $2 and d.accepted_at >= $3
         and d.state = $4 and d.expires_at > $5 and m.canceled_at is null
         order by d.message_id{lock}"
    ))
    .bind(phone.client_id)
    .bind(phone.employee_id)
    .bind(oldest_open(now))
    .bind(DeliveryState::Sent.rank())
    .bind(now)
    .fetch_all(tx)
    .await?;
    let unconfirmed: Vec<_> = unconfirmed.into_iter().map(hex).collect();
    query(
        "update push set channel = 'stream', due_at = $4, done_at = null, outcome = null, reason = null
         where client_id = $1 and employee_id = $2 and device_id = $3
         and message_id in (select unhex(j.atom) from jsonb_each($5) j) and outcome in ('accepted', 'failed')",
    )
    .bind(phone.client_id)
    .bind(phone.employee_id)
    .bind(phone.device_id)
    .bind(now)
    .bind(json(&unconfirmed))
    .execute(tx)
    .await?;
    Ok(())
}

/// A phone says the way that is known.
async fn sign_of_life(tx: &mut Write, phone: &DeviceCaller, way: &Way, now: i64) -> Result<()> {
    query(
        "update device set seen_at = $3, notifications = coalesce($4, notifications)
         where client_id = $1 and id = $2 and retired_at is null
         and (seen_at is null or seen_at <= $5
              or ($4 is not null and (notifications is null or notifications <> $4)))",
    )
    .bind(phone.client_id)
    .bind(phone.device_id)
    .bind(now)
    .bind(way.notifications)
    .bind(now - SEEN_EVERY)
    .execute(tx)
    .await?;
    Ok(())
}

/// Messages that are being accepted for the employee come before what follows, or after it: none makes a push for a
/// way that his phone has just left.
async fn lock_employee(tx: &mut Write, client_id: Uuid, employee_id: Uuid) -> Result<()> {
    let lock = tx.locked("employee");
    query(format!(
        "select ordinal from employee where client_id = $1 and id = $2{lock}"
    ))
    .bind(client_id)
    .bind(employee_id)
    .fetch_optional(tx)
    .await?;
    Ok(())
}

async fn invited(tx: &mut Write, code_hash: &[u8; 32], now: i64) -> Result<Option<Invited>> {
    // Whoever archives the employee now must see the device that follows, to retire it.
    let lock = tx.locked("i, e");
    let row = query(format!(
        "select i.client_id, i.employee_id, e.personnel_no, e.full_name, e.blocked_at, c.name
         from invite i
         join client c on c.id = i.client_id and c.archived_at is null
         join employee e on e.client_id = i.client_id and e.id = i.employee_id and e.archived_at is null
         where i.code_hash = $1 and i.used_at is null and i.expires_at > $2{lock}"
    ))
    .bind(code_hash.as_slice())
    .bind(now)
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Invited {
        client_id: row.try_get("client_id")?,
        employee_id: row.try_get("employee_id")?,
        personnel_no: row.try_get("personnel_no")?,
        full_name: row.try_get("full_name")?,
        client: row.try_get("name")?,
        blocked: row.try_get::<Option<i64>, _>("blocked_at")?.is_some(),
    }))
}

/// An address belongs to one device of a client: whichever said so last. Another client's device may have it too, for
/// one app on one phone may serve two employers.
async fn retire_namesakes(
    tx: &mut Write,
    client_id: Uuid,
    way: &Way,
    except: Option<Uuid>,
    now: i64,
) -> Result<()> {
    let Some(address) = &way.address else {
        return Ok(());
    };
    let namesakes: Vec<Uuid> = query_scalar(
        "select id from device
         where channel = $1 and address = $2 and client_id = $3 and retired_at is null and id <> $4",
    )
    .bind(&way.channel)
    .bind(address)
    .bind(client_id)
    .bind(except.unwrap_or(Uuid::nil()))
    .fetch_all(tx)
    .await?;
    for device_id in namesakes {
        retire(tx, client_id, device_id, reason::REPLACED, now).await?;
    }
    Ok(())
}

async fn insert_device(
    tx: &mut Write,
    invited: &Invited,
    device_id: Uuid,
    device: &NewDevice,
    now: i64,
) -> Result<()> {
    query(
        "insert into device (client_id, id, employee_id, channel, address, address_kind, name, platform, paired_at,
                             seen_at, notifications)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $9, $10)",
    )
    .bind(invited.client_id)
    .bind(device_id)
    .bind(invited.employee_id)
    .bind(&device.way.channel)
    .bind(&device.way.address)
    .bind(&device.way.address_kind)
    .bind(&device.name)
    .bind(&device.platform)
    .bind(now)
    .bind(device.way.notifications)
    .execute(tx)
    .await?;
    query(
        "insert into token (id, client_id, hash, kind, holder_id, name, shown, created_at)
         values ($1, $2, $3, 'device', $4, $5, $6, $7)",
    )
    .bind(id::new(now))
    .bind(invited.client_id)
    .bind(device.token_hash.as_slice())
    .bind(device_id)
    .bind(&device.name)
    .bind(&device.token_shown)
    .bind(now)
    .execute(tx)
    .await?;
    query("update employee set devices = devices + 1 where client_id = $1 and id = $2")
        .bind(invited.client_id)
        .bind(invited.employee_id)
        .execute(tx)
        .await?;
    Ok(())
}

/// What waited for a first device goes to the new one. A stream gets everything without a receipt, so also what a
/// provider took for another device and nobody confirmed.
async fn queue_open_deliveries(
    tx: &mut Write,
    invited: &Invited,
    device_id: Uuid,
    channel: &str,
    now: i64,
) -> Result<()> {
    let last_state = if channel == "stream" {
        DeliveryState::Sent
    } else {
        DeliveryState::Queued
    };
    query(
        "insert into push (client_id, message_id, employee_id, device_id, channel, urgency, due_at)
         select d.client_id, d.message_id, d.employee_id, $3, $4, m.priority, $5
         from delivery d
         join message m on m.client_id = d.client_id and m.id = d.message_id
         where d.client_id = $1 and d.employee_id = $2 and d.accepted_at >= $6
         and d.state <= $7 and d.expires_at > $5 and m.canceled_at is null",
    )
    .bind(invited.client_id)
    .bind(invited.employee_id)
    .bind(device_id)
    .bind(channel)
    .bind(now)
    .bind(oldest_open(now))
    .bind(last_state.rank())
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests;
