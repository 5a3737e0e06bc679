//! Phones that would miss the next alarm, and people who have none.

use simo_common::{
    api::people::{Silence, SilentPhone},
    time::from_us,
};
use uuid::Uuid;

use crate::channel::ChannelKind;
use crate::store::{
    ClientNo, Listing, Result, Rows, Store,
    db::engine::{Row, query},
    directory::employees::sort_key_of,
    list::{WORD, has_words, page},
};

impl Store {
    /// A page of the phones that have not been in contact since `since`, are quarantined or show nothing, and of the
    /// people without a phone; by employee. Archived and blocked people are left out: they are not to receive anything.
    pub async fn silent_phones(
        &self,
        client_no: ClientNo,
        since: i64,
        listing: &Listing<(String, Uuid)>,
    ) -> Result<Rows<SilentPhone, (String, Uuid)>> {
        let (key, id) = listing.after.clone().unwrap_or_default();
        let mut reader = self.read().await?;
        let rows = query(concat!(
            "select e.sort_key, e.personnel_no, e.full_name, e.phone, d.id, d.name, d.channel, d.seen_at,
                    d.paired_at, d.quarantined_at, d.notifications
             from employee e
             left join device d on d.client_no = e.client_no and d.employee_no = e.no and d.retired_at is null
             where e.client_no = $1 and e.archived_at is null and e.blocked_at is null
             and (d.no is null or d.quarantined_at is not null or not d.notifications
                  or coalesce(d.seen_at, d.paired_at) < $2)
             and e.sort_key >= $3
             and (e.sort_key, coalesce(d.id, $4)) > ($3, $5)
             and ",
            has_words!(),
            " order by e.sort_key, coalesce(d.id, $4) limit $6"
        ))
        .bind(client_no)
        .bind(since)
        .bind(key.as_bytes())
        .bind(Uuid::nil())
        .bind(id)
        .bind(listing.limit as i64 + 1)
        .over(WORD, listing.find.words())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let phone = read(row, since)?;
            let key = (sort_key_of(row)?, phone.device_id.unwrap_or_default());
            Ok(Some((key, phone)))
        })
        .await
    }
}

fn read(row: &Row, since: i64) -> Result<SilentPhone> {
    let device_id: Option<Uuid> = row.try_get("id")?;
    let paired_at: Option<i64> = row.try_get("paired_at")?;
    let seen_at = row.try_get::<Option<i64>, _>("seen_at")?.or(paired_at);
    let mut why = Vec::new();
    if device_id.is_none() {
        why.push(Silence::NoDevice);
    }
    if row.try_get::<Option<i64>, _>("quarantined_at")?.is_some() {
        why.push(Silence::Quarantined);
    }
    if row.try_get::<Option<bool>, _>("notifications")? == Some(false) {
        why.push(Silence::NotificationsOff);
    }
    if seen_at.is_some_and(|at| at < since) {
        why.push(Silence::NoContact);
    }
    Ok(SilentPhone {
        personnel_no: row.try_get("personnel_no")?,
        employee: row.try_get("full_name")?,
        phone: row.try_get("phone")?,
        device_id,
        name: row.try_get("name")?,
        channel: row.try_get::<Option<ChannelKind>, _>("channel")?.map(|channel| channel.to_string()),
        seen_at: seen_at.map(from_us),
        why,
    })
}
