//! Devices as administrators see them: invited, listed, removed. Pairing is the phone's side.

use simo_common::{api::people::Device, delivery::Reason, time, time::HOUR, token};
use uuid::Uuid;

use super::{channel_address::keep_way, retire_device::retire};
use crate::channel::ChannelKind;
use crate::store::{
    ClientNo, DeviceNo, EmployeeNo, Error, Listing, Result, Rows, Store,
    audit::AuditChange,
    db::engine::{Conn, Row, query, query_as, query_scalar},
    directory::{blocking::refuse_blocked, by_name::live_employee},
    list::page,
};

macro_rules! select_device {
    ($rest:literal) => {
        concat!(
            "select d.*, e.personnel_no, e.full_name from device d
             join employee e on e.client_no = d.client_no and e.no = d.employee_no
             where d.client_no = $1 and ",
            $rest
        )
    };
}

impl Store {
    /// A page of devices, newest first: a client's, or one employee's; retired ones only if archived ones are asked
    /// for.
    pub async fn devices(
        &self,
        client_no: ClientNo,
        employee: Option<&str>,
        listing: &Listing<Uuid>,
    ) -> Result<Rows<Device, Uuid>> {
        let mut reader = self.read().await?;
        let employee_no = match employee {
            None => None,
            Some(personnel_no) => {
                let no: Option<EmployeeNo> =
                    query_scalar("select no from employee where client_no = $1 and personnel_no = $2")
                        .bind(client_no)
                        .bind(personnel_no)
                        .fetch_optional(&mut reader)
                        .await?;
                Some(no.ok_or_else(|| Error::not_found("employee", personnel_no))?)
            }
        };
        let rows = query(select_device!(
            "($2 is null or d.employee_no = $2) and ($3 or d.retired_at is null) and ($4 is null or d.id < $4)
             order by d.id desc limit $5"
        ))
        .bind(client_no)
        .bind(employee_no)
        .bind(listing.archived)
        .bind(listing.after)
        .bind(listing.rows())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let device = read_device(row)?;
            let names = [&*device.employee, &device.personnel_no, &device.name];
            Ok(listing.find.fits(&names).then_some((device.id, device)))
        })
        .await
    }

    /// The device with this id, retired or not.
    pub async fn device(&self, client_no: ClientNo, id: Uuid) -> Result<Device> {
        device(&mut *self.read().await?, client_no, id).await
    }

    /// Makes a pairing code for an employee; returns it with its expiry.
    pub async fn invite(
        &self,
        client_no: ClientNo,
        personnel_no: &str,
        valid_for_seconds: i64,
    ) -> Result<(String, i64)> {
        let now = self.clock.now();
        let expires_at = now + valid_for_seconds * time::SECOND;
        let code = token::generate_code();
        let mut tx = self.write().await?;
        let employee_no = live_employee(&mut tx, client_no, personnel_no).await?;
        let blocked: bool =
            query_scalar("select blocked_at is not null from employee where client_no = $1 and no = $2")
                .bind(client_no)
                .bind(employee_no)
                .fetch_one(&mut tx)
                .await?;
        refuse_blocked(personnel_no, blocked)?;
        query(
            "insert into invite (code_hash, client_no, employee_no, created_at, expires_at)
             values ($1, $2, $3, $4, $5)",
        )
        .bind(token::hash(&token::normalize_code(&code)).as_slice())
        .bind(client_no)
        .bind(employee_no)
        .bind(now)
        .bind(expires_at)
        .execute(&mut tx)
        .await?;
        let until = serde_json::json!({ "expires_at": time::from_us(expires_at) });
        let change = AuditChange::new("device.invite", personnel_no).about(personnel_no);
        tx.record(client_no, change.after(&until));
        tx.commit().await?;
        Ok((code, expires_at))
    }

    /// Renames a device, also in history; a story keeps showing its name at the time.
    pub async fn rename_device(&self, client_no: ClientNo, id: Uuid, name: &str) -> Result<Device> {
        let mut tx = self.write().await?;
        let before = device(&mut tx, client_no, id).await?;
        let device_no = query_scalar(
            "update device set name = $3, way_no = way_no + 1 where client_no = $1 and id = $2 returning no",
        )
        .bind(client_no)
        .bind(id)
        .bind(name)
        .fetch_one(&mut tx)
        .await?;
        keep_way(&mut tx, client_no, device_no, self.clock.now()).await?;
        let after = device(&mut tx, client_no, id).await?;
        tx.record(client_no, device_change("device.edit", Some(&before), &after));
        tx.commit().await?;
        Ok(after)
    }

    /// Retires a device and its token; a retired one stays as it is.
    pub async fn remove_device(&self, client_no: ClientNo, id: Uuid) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let before = device(&mut tx, client_no, id).await?;
        let device_no = query_scalar("select no from device where client_no = $1 and id = $2")
            .bind(client_no)
            .bind(id)
            .fetch_one(&mut tx)
            .await?;
        retire(&mut tx, client_no, device_no, Reason::DeviceGone, now).await?;
        let after = device(&mut tx, client_no, id).await?;
        tx.record(client_no, device_change("device.remove", Some(&before), &after));
        tx.commit().await
    }

    /// The number of devices of a channel in use, to which the share that may die relates.
    pub async fn count_devices(&self, channel: ChannelKind) -> Result<u64> {
        let count: i64 = query_scalar(
            "select count(*) from device where channel = $1 and retired_at is null and address is not null",
        )
        .bind(channel)
        .fetch_one(&mut *self.read().await?)
        .await?;
        Ok(count as u64)
    }

    /// The devices of a channel whose addresses were reported dead within the last hour, and when.
    pub async fn dead_devices(&self, channel: ChannelKind) -> Result<Vec<(DeviceNo, i64)>> {
        Ok(query_as(
            "select no, coalesce(retired_at, quarantined_at) from device
             where channel = $1 and reason = $2 and coalesce(retired_at, quarantined_at) > $3",
        )
        .bind(channel)
        .bind(Reason::DeadAddress)
        .bind(self.clock.now() - HOUR)
        .fetch_all(&mut *self.read().await?)
        .await?)
    }
}

/// The device with this id, retired or not.
pub(in crate::store) async fn device(conn: &mut Conn, client_no: ClientNo, id: Uuid) -> Result<Device> {
    let row = query(select_device!("d.id = $2")).bind(client_no).bind(id).fetch_optional(conn).await?;
    row.as_ref().map(read_device).transpose()?.ok_or_else(|| Error::not_found("device", id.to_string()))
}

/// The audit entry of a change of a device.
pub(super) fn device_change(action: &'static str, before: Option<&Device>, after: &Device) -> AuditChange {
    AuditChange::new(action, after.id.to_string()).about(&after.personnel_no).before(&before).after(after)
}

fn read_device(row: &Row) -> Result<Device> {
    let at = |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.map(time::from_us));
    let state = if at("retired_at")?.is_some() {
        "retired"
    } else if at("quarantined_at")?.is_some() {
        "quarantined"
    } else {
        "active"
    };
    Ok(Device {
        id: row.try_get("id")?,
        personnel_no: row.try_get("personnel_no")?,
        employee: row.try_get("full_name")?,
        channel: row.try_get::<ChannelKind, _>("channel")?.to_string(),
        name: row.try_get("name")?,
        platform: row.try_get("platform")?,
        state: state.to_owned(),
        reason: row.try_get::<Option<Reason>, _>("reason")?.map(|why| why.as_str().to_owned()),
        paired_at: time::from_us(row.try_get("paired_at")?),
        seen_at: at("seen_at")?,
        notifications: row.try_get("notifications")?,
    })
}
