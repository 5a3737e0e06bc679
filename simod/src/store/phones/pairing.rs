//! Pairing and leaving of phones. `channel_address` changes the way to existing ones.

use simo_common::{
    delivery::{DeliveryState, Reason},
    id,
    lang::Lang,
    time::MINUTE,
    token::TokenKind,
};
use uuid::Uuid;

use super::{
    channel_address::{Way, keep_way, retire_namesakes},
    devices::{device, device_change},
    retire_device::{oldest_open, retire},
};
use crate::{
    actor,
    channel::{Address, ChannelKind},
    store::{
        ClientNo, DeviceCaller, DeviceNo, EmployeeNo, Races, Result, Store, Write,
        callers::wrong_codes,
        db::engine::{query, query_scalar},
        directory::tokens::revoke_tokens_of,
        message_spans::first_since,
        queue::close::has_device,
    },
};

/// A phone to be paired.
#[derive(Debug, Clone)]
pub struct NewDevice {
    /// Hash of the pairing code, as it was normalised.
    pub code_hash: [u8; 32],
    /// Hash of the code and the phone's own key, where it has one.
    pub key_hash: Option<[u8; 32]>,
    /// The way to it.
    pub way: Way,
    /// The name it gives itself.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// Hash of its new token.
    pub token_hash: [u8; 32],
    /// The visible part of that token.
    pub token_shown: String,
}

/// The result of a pairing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pairing {
    /// The phone is paired with the employee.
    Done(PairedDevice),
    /// The code is unknown, used or expired.
    WrongCode,
    /// Too many unknown codes were looked up in this second, so this one was not.
    NextSecond,
    /// The employee is blocked; the code stays as it is.
    Blocked,
}

/// A paired phone and its employee.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PairedDevice {
    /// The client.
    pub client_no: ClientNo,
    /// The device.
    pub device_id: Uuid,
    /// The employee's personnel number.
    pub personnel_no: String,
    /// The employee's name.
    pub full_name: String,
    /// The client's name.
    pub client: String,
    /// The language of the person's previous phone, if there is one.
    pub others_lang: Option<Lang>,
}

/// The owner of a code that a phone asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PreviewedCode {
    /// A valid code of this client and person.
    Known {
        /// The client's name.
        client: String,
        /// The person's name.
        full_name: String,
    },
    /// As [`Pairing::WrongCode`].
    WrongCode,
    /// As [`Pairing::NextSecond`].
    NextSecond,
    /// As [`Pairing::Blocked`].
    Blocked,
}

/// How long a used code gives the phone that used it a token again.
const AGAIN_WITHIN: i64 = 10 * MINUTE;

/// The person of a valid code.
struct Invited {
    client_no: ClientNo,
    employee_no: EmployeeNo,
    personnel_no: String,
    full_name: String,
    client: String,
    blocked: bool,
}

impl Store {
    /// Pairs a phone: the code is used up, another device of the client with the same provider's address is retired,
    /// and undelivered messages are queued for the new one.
    pub async fn pair(&self, new: &NewDevice) -> Result<Pairing> {
        let mut races = Races::default();
        loop {
            // Another phone may use the same endpoint at the same time.
            let paired = self.pair_once(new).await;
            if !races.lost(&paired) {
                return paired;
            }
        }
    }

    async fn pair_once(&self, new: &NewDevice) -> Result<Pairing> {
        let now = self.clock.now();
        let Some(mut tx) = wrong_codes::look_up(self, now).await? else {
            return Ok(Pairing::NextSecond);
        };
        let Some(invited) = invited(&mut tx, &new.code_hash, now).await? else {
            let Some(again) = pair_again(&mut tx, new, now).await? else {
                tx.commit().await?;
                return Ok(Pairing::WrongCode);
            };
            wrong_codes::is_known(&mut tx, now).await?;
            tx.commit().await?;
            return Ok(Pairing::Done(again));
        };
        wrong_codes::is_known(&mut tx, now).await?;
        if invited.blocked {
            return Ok(Pairing::Blocked);
        }
        let used = query("update invite set used_at = $2 where code_hash = $1 and used_at is null")
            .bind(new.code_hash.as_slice())
            .bind(now)
            .execute(&mut tx)
            .await?;
        if used.rows_affected() == 0 {
            // Another phone used the code first.
            return Ok(Pairing::WrongCode);
        }
        retire_namesakes(&mut tx, invited.client_no, &new.way, None, now).await?;
        let device_id = id::new(now);
        let device_no = insert_device(&mut tx, &invited, device_id, new, now).await?;
        queue_open_deliveries(&mut tx, &invited, device_no, new.way.channel, now, self.clock.settled())
            .await?;
        actor::identify(|| format!("employee {}", invited.personnel_no));
        let paired = device(&mut tx, invited.client_no, device_id).await?;
        tx.record(invited.client_no, device_change("device.pair", None, &paired));
        let other: Option<Option<String>> = query_scalar(
            "select lang from device where client_no = $1 and employee_no = $2 and no <> $3 and retired_at is null
             order by coalesce(seen_at, 0) desc limit 1",
        )
        .bind(invited.client_no)
        .bind(invited.employee_no)
        .bind(device_no)
        .fetch_optional(&mut tx)
        .await?;
        tx.commit().await?;
        Ok(Pairing::Done(PairedDevice {
            client_no: invited.client_no,
            device_id,
            personnel_no: invited.personnel_no,
            full_name: invited.full_name,
            client: invited.client,
            others_lang: other.map(|lang| lang.and_then(|lang| lang.parse().ok()).unwrap_or(new.way.lang)),
        }))
    }

    /// The owner of a code, which stays unused.
    pub async fn preview_code(&self, code_hash: &[u8; 32]) -> Result<PreviewedCode> {
        let now = self.clock.now();
        let Some(mut tx) = wrong_codes::look_up(self, now).await? else {
            return Ok(PreviewedCode::NextSecond);
        };
        let invited = invited(&mut tx, code_hash, now).await?;
        if invited.is_some() {
            wrong_codes::is_known(&mut tx, now).await?;
        }
        tx.commit().await?;
        Ok(match invited {
            None => PreviewedCode::WrongCode,
            Some(invited) if invited.blocked => PreviewedCode::Blocked,
            Some(Invited { client, full_name, .. }) => PreviewedCode::Known { client, full_name },
        })
    }

    /// A phone leaves: its token is revoked, and its waiting pushes are closed.
    pub async fn leave(&self, phone: &DeviceCaller) -> Result<()> {
        let mut tx = self.write().await?;
        let (client_no, id) = (phone.client_no, phone.device_id);
        let before = device(&mut tx, client_no, id).await?;
        retire(&mut tx, client_no, phone.device_no, Reason::Left, self.clock.now()).await?;
        let after = device(&mut tx, client_no, id).await?;
        tx.record(client_no, device_change("device.leave", Some(&before), &after));
        tx.commit().await
    }
}

async fn invited(tx: &mut Write, code_hash: &[u8; 32], now: i64) -> Result<Option<Invited>> {
    // A concurrent archiving of the employee must see the new device, to retire it.
    let lock = tx.locked("i, e");
    let row = query(format!(
        "select i.client_no, i.employee_no, e.personnel_no, e.full_name, e.blocked_at, c.name
         from invite i
         join client c on c.no = i.client_no and c.archived_at is null
         join employee e on e.client_no = i.client_no and e.no = i.employee_no and e.archived_at is null
         where i.code_hash = $1 and i.used_at is null and i.expires_at > $2{lock}"
    ))
    .bind(code_hash.as_slice())
    .bind(now)
    .fetch_optional(tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(Invited {
        client_no: row.try_get("client_no")?,
        employee_no: row.try_get("employee_no")?,
        personnel_no: row.try_get("personnel_no")?,
        full_name: row.try_get("full_name")?,
        client: row.try_get("name")?,
        blocked: row.try_get::<Option<i64>, _>("blocked_at")?.is_some(),
    }))
}

/// A phone that has just paired, and did not get the answer: its device gets another token.
async fn pair_again(tx: &mut Write, new: &NewDevice, now: i64) -> Result<Option<PairedDevice>> {
    let Some(key_hash) = new.key_hash else { return Ok(None) };
    let lock = tx.locked("d, e");
    let row = query(format!(
        "select d.client_no, d.no, d.id, e.personnel_no, e.full_name, c.name as client
         from device d
         join client c on c.no = d.client_no and c.archived_at is null
         join employee e on e.client_no = d.client_no and e.no = d.employee_no and e.archived_at is null
              and e.blocked_at is null
         where d.pairing_key = $1 and d.retired_at is null and d.paired_at > $2{lock}"
    ))
    .bind(key_hash.as_slice())
    .bind(now - AGAIN_WITHIN)
    .fetch_optional(&mut *tx)
    .await?;
    let Some(row) = row else { return Ok(None) };
    let (client_no, device_no): (ClientNo, DeviceNo) = (row.try_get("client_no")?, row.try_get("no")?);
    let (device_id, personnel_no): (Uuid, String) = (row.try_get("id")?, row.try_get("personnel_no")?);
    revoke_tokens_of(tx, Some(client_no), TokenKind::Device, device_no.0, now).await?;
    insert_token(tx, client_no, device_no, new, now).await?;
    actor::identify(|| format!("employee {personnel_no}"));
    let paired = device(tx, client_no, device_id).await?;
    tx.record(client_no, device_change("device.pair-again", None, &paired));
    Ok(Some(PairedDevice {
        client_no,
        device_id,
        personnel_no,
        full_name: row.try_get("full_name")?,
        client: row.try_get("client")?,
        others_lang: None,
    }))
}

async fn insert_device(
    tx: &mut Write,
    invited: &Invited,
    device_id: Uuid,
    device: &NewDevice,
    now: i64,
) -> Result<DeviceNo> {
    let device_no: DeviceNo = query_scalar(
        "insert into device (client_no, id, employee_no, channel, address, name, platform, paired_at, seen_at,
                             notifications, pairing_key, endpoint, lang)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9, $10, $11, $12) returning no",
    )
    .bind(invited.client_no)
    .bind(device_id)
    .bind(invited.employee_no)
    .bind(device.way.channel)
    .bind(device.way.address.as_ref().map(Address::as_str))
    .bind(&device.name)
    .bind(&device.platform)
    .bind(now)
    .bind(device.way.notifications)
    .bind(device.key_hash.map(|hash| hash.to_vec()))
    .bind(&device.way.endpoint)
    .bind(device.way.lang.code())
    .fetch_one(&mut *tx)
    .await?;
    keep_way(tx, invited.client_no, device_no, now).await?;
    insert_token(tx, invited.client_no, device_no, device, now).await?;
    query("update employee set devices = devices + 1 where client_no = $1 and no = $2")
        .bind(invited.client_no)
        .bind(invited.employee_no)
        .execute(tx)
        .await?;
    Ok(device_no)
}

async fn insert_token(
    tx: &mut Write,
    client_no: ClientNo,
    device_no: DeviceNo,
    device: &NewDevice,
    now: i64,
) -> Result<()> {
    query(
        "insert into token (id, client_no, hash, kind, holder_no, name, shown, created_at)
         values ($1, $2, $3, 'device', $4, $5, $6, $7)",
    )
    .bind(id::new(now))
    .bind(client_no)
    .bind(device.token_hash.as_slice())
    .bind(device_no)
    .bind(&device.name)
    .bind(&device.token_shown)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// Messages that waited for a first device go to the new one. A stream gets everything without a receipt, including
/// pushes that a provider accepted for another device and no phone confirmed.
async fn queue_open_deliveries(
    tx: &mut Write,
    invited: &Invited,
    device_no: DeviceNo,
    channel: ChannelKind,
    now: i64,
    settled: i64,
) -> Result<()> {
    let oldest = first_since(tx, oldest_open(settled)).await?;
    let last_state = if channel.is_pulled() { DeliveryState::Sent } else { DeliveryState::Queued };
    query(
        "insert into push (client_no, message_no, employee_no, device_no, channel, urgency, due_at)
         select d.client_no, d.message_no, d.employee_no, $3, $4, m.priority, $5
         from delivery d indexed by delivery_employee
         join message m on m.client_no = d.client_no and m.no = d.message_no
         where d.client_no = $1 and d.employee_no = $2 and d.message_no >= $6
         and d.state <= $7 and d.expires_at > $8 and m.canceled_at is null",
    )
    .bind(invited.client_no)
    .bind(invited.employee_no)
    .bind(device_no)
    .bind(channel)
    .bind(now)
    .bind(oldest)
    .bind(last_state.rank())
    .bind(settled)
    .execute(tx)
    .await?;
    has_device(tx, invited.client_no, invited.employee_no, oldest).await
}

#[cfg(test)]
mod tests;
