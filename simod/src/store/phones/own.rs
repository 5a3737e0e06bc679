//! A phone's own view of itself and of its person's other phones.

use simo_common::{
    api::device::{OwnChannel, PairedEmployee, PersonsDevice},
    delivery::Reason,
    time::from_us,
};
use uuid::Uuid;

use super::{
    devices::{device, device_change},
    retire_device::retire,
};
use crate::{
    actor,
    channel::ChannelKind,
    store::{
        DeviceCaller, DeviceNo, Error, Result, Store,
        db::engine::{query, query_as},
    },
};

/// A phone as it is stored.
#[derive(Debug, Clone)]
pub struct OwnPhone {
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: String,
    /// When it was paired.
    pub paired_at: i64,
    /// Its employee.
    pub employee: PairedEmployee,
    /// The way to it.
    pub channel: OwnChannel,
}

impl Store {
    /// The asking phone.
    pub async fn own_device(&self, phone: &DeviceCaller) -> Result<OwnPhone> {
        let row = query(
            "select d.name, d.platform, d.paired_at, d.channel, d.endpoint, d.quarantined_at, d.notifications,
                    e.personnel_no, e.full_name, c.name as client
             from device d
             join employee e on e.client_no = d.client_no and e.no = d.employee_no
             join client c on c.no = d.client_no
             where d.client_no = $1 and d.no = $2",
        )
        .bind(phone.client_no)
        .bind(phone.device_no)
        .fetch_one(&mut *self.read_promptly().await?)
        .await?;
        Ok(OwnPhone {
            name: row.try_get("name")?,
            platform: row.try_get("platform")?,
            paired_at: row.try_get("paired_at")?,
            employee: PairedEmployee {
                personnel_no: row.try_get("personnel_no")?,
                full_name: row.try_get("full_name")?,
                client: row.try_get("client")?,
            },
            channel: OwnChannel {
                kind: row.try_get::<ChannelKind, _>("channel")?.to_string(),
                endpoint: row.try_get("endpoint")?,
                quarantined: row.try_get::<Option<i64>, _>("quarantined_at")?.is_some(),
                notifications: row.try_get("notifications")?,
            },
        })
    }

    /// The phones in use of the asking phone's person, the newest first.
    pub async fn persons_devices(&self, phone: &DeviceCaller) -> Result<Vec<PersonsDevice>> {
        query(
            "select no, id, name, platform, channel, paired_at, seen_at from device
             where client_no = $1 and employee_no = $2 and retired_at is null order by id desc",
        )
        .bind(phone.client_no)
        .bind(phone.employee_no)
        .fetch_all(&mut *self.read_promptly().await?)
        .await?
        .iter()
        .map(|row| {
            Ok(PersonsDevice {
                id: row.try_get("id")?,
                name: row.try_get("name")?,
                platform: row.try_get("platform")?,
                channel: row.try_get::<ChannelKind, _>("channel")?.to_string(),
                paired_at: from_us(row.try_get("paired_at")?),
                seen_at: row.try_get::<Option<i64>, _>("seen_at")?.map(from_us),
                this: row.try_get::<DeviceNo, _>("no")? == phone.device_no,
            })
        })
        .collect()
    }

    /// A phone unpairs one of its person's phones.
    ///
    /// # Errors
    /// [`Error::NotFound`] when the person has no such phone in use.
    pub async fn unpair(&self, phone: &DeviceCaller, id: Uuid) -> Result<()> {
        let mut tx = self.write().await?;
        let lock = tx.locked("d");
        let found: Option<(DeviceNo, String)> = query_as(format!(
            "select d.no, e.personnel_no from device d
             join employee e on e.client_no = d.client_no and e.no = d.employee_no
             where d.client_no = $1 and d.employee_no = $2 and d.id = $3 and d.retired_at is null{lock}"
        ))
        .bind(phone.client_no)
        .bind(phone.employee_no)
        .bind(id)
        .fetch_optional(&mut tx)
        .await?;
        let Some((device_no, personnel_no)) = found else {
            return Err(Error::not_found("device", id.to_string()));
        };
        let before = device(&mut tx, phone.client_no, id).await?;
        retire(&mut tx, phone.client_no, device_no, Reason::Left, self.clock.now()).await?;
        actor::identify(|| format!("employee {personnel_no}"));
        let after = device(&mut tx, phone.client_no, id).await?;
        tx.record(phone.client_no, device_change("device.unpair", Some(&before), &after));
        tx.commit().await
    }
}
