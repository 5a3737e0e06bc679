//! Groups and who is in them.

mod nesting;

use simo_common::{
    api::{
        access::{Grantee, Named, Rename},
        people::Group,
    },
    time,
};
use uuid::Uuid;

pub(in crate::store) use self::nesting::{groups_around, loop_in_words, within};
use super::{
    by_name::{group_id, live_employee},
    ends::end_groups,
    slugged::{Nouns, add_named, archive_named},
    topics::refuse_recipient,
};
use crate::store::{
    Error, Listing, Result, Rows, Store,
    audit::Change,
    db::engine::{Conn, Row, query},
    list::page,
};

const GROUPS: Nouns = Nouns { noun: "group", russian: "группа", table: "\"group\"" };

macro_rules! select_group {
    ($rest:literal) => {
        concat!(
            "select g.*, (select count(*) from group_member m
                          join employee e on e.client_id = m.client_id and e.id = m.employee_id
                          where m.client_id = g.client_id and m.group_id = g.id and e.archived_at is null) as members,
                 (",
            within!("$1", "select g.id"),
            "select count(distinct e.id) from within
                  cross join group_member m on m.client_id = $1 and m.group_id = within.id
                  cross join employee e on e.client_id = $1 and e.id = m.employee_id
                  where e.archived_at is null) as people,
                 (select string_agg(r.slug, ',' order by r.slug) from group_inclusion i
                  join \"group\" r on r.client_id = i.client_id and r.id = i.included_id and r.archived_at is null
                  where i.client_id = g.client_id and i.group_id = g.id) as includes
             from \"group\" g where g.client_id = $1 and ",
            $rest
        )
    };
}

impl Store {
    /// A page of a client's groups, by slug.
    pub async fn groups(&self, client_id: Uuid, listing: &Listing<String>) -> Result<Rows<Group, String>> {
        let mut reader = self.read().await?;
        let rows =
            query(select_group!("g.slug > $2 and ($3 or g.archived_at is null) order by g.slug limit $4"))
                .bind(client_id)
                .bind(listing.after.as_deref().unwrap_or(""))
                .bind(listing.archived)
                .bind(listing.rows())
                .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let group = read_group(row)?;
            let fits = listing.find.fits(&[&group.slug, &group.name]);
            Ok(fits.then(|| (group.slug.clone(), group)))
        })
        .await
    }

    /// The group with this slug, archived or not.
    pub async fn group(&self, client_id: Uuid, slug: &str) -> Result<Group> {
        group(&mut *self.read().await?, client_id, slug).await
    }

    /// Makes a group, or brings it back from the archive, without members and grants.
    pub async fn add_group(&self, client_id: Uuid, new: &Named) -> Result<Group> {
        let mut tx = self.write().await?;
        let now = self.clock.now();
        let back = add_named(&mut tx, GROUPS, client_id, new, now).await?;
        end_groups(&mut tx, client_id, back.as_slice(), now).await?;
        let added = Group { restored: back.is_some(), ..group(&mut tx, client_id, &new.slug).await? };
        tx.record(client_id, Change::new("group.add", &*new.slug).after(&added));
        tx.commit().await?;
        Ok(added)
    }

    /// Gives a group a new name.
    pub async fn edit_group(&self, client_id: Uuid, slug: &str, rename: &Rename) -> Result<Group> {
        let mut tx = self.write().await?;
        let before = group(&mut tx, client_id, slug).await?;
        query("update \"group\" set name = $3 where client_id = $1 and slug = $2")
            .bind(client_id)
            .bind(slug)
            .bind(&rename.name)
            .execute(&mut tx)
            .await?;
        let after = group(&mut tx, client_id, slug).await?;
        let change = Change::new("group.edit", slug).before(&before).after(&after);
        tx.record(client_id, change);
        tx.commit().await?;
        Ok(after)
    }

    /// Archives a group: nobody is addressed or let in by it any more, and nobody is in it.
    ///
    /// # Errors
    /// [`crate::store::Error::Conflict`] when a topic's messages are for it.
    pub async fn remove_group(&self, client_id: Uuid, slug: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let before = group(&mut tx, client_id, slug).await?;
        let now = self.clock.now();
        let id = archive_named(&mut tx, GROUPS, client_id, slug, now).await?;
        if before.archived_at.is_none() {
            refuse_recipient(&mut tx, client_id, &Grantee::Group(slug.to_owned())).await?;
        }
        end_groups(&mut tx, client_id, &[id], now).await?;
        let after = group(&mut tx, client_id, slug).await?;
        let change = Change::new("group.remove", slug).before(&before).after(&after);
        tx.record(client_id, change);
        tx.commit().await
    }

    /// Puts an employee into a group, or takes him out; it is no error when he is (not) in it already.
    pub async fn set_member(
        &self,
        client_id: Uuid,
        slug: &str,
        personnel_no: &str,
        member: bool,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let group_id = group_id(&mut tx, client_id, slug).await?;
        let employee_id = live_employee(&mut tx, client_id, personnel_no).await?;
        let changed = query(if member {
            "insert into group_member (client_id, group_id, employee_id) values ($1, $2, $3) on conflict do nothing"
        } else {
            "delete from group_member where client_id = $1 and group_id = $2 and employee_id = $3"
        })
        .bind(client_id)
        .bind(group_id)
        .bind(employee_id)
        .execute(&mut tx)
        .await?
        .rows_affected();
        if changed > 0 {
            let employee = serde_json::json!({ "employee": personnel_no });
            let change = if member {
                Change::new("group.add-member", slug).after(&employee)
            } else {
                Change::new("group.remove-member", slug).before(&employee)
            };
            tx.record(client_id, change.about(personnel_no));
        }
        tx.commit().await
    }
}

/// The group with this slug, archived or not.
async fn group(conn: &mut Conn, client_id: Uuid, slug: &str) -> Result<Group> {
    let row = query(select_group!("g.slug = $2")).bind(client_id).bind(slug).fetch_optional(conn).await?;
    row.as_ref().map(read_group).transpose()?.ok_or_else(|| Error::not_found("group", slug))
}

fn read_group(row: &Row) -> Result<Group> {
    Ok(Group {
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        members: row.try_get::<i64, _>("members")? as u64,
        people: row.try_get::<i64, _>("people")? as u64,
        includes: slugs(row.try_get("includes")?),
        archived_at: row.try_get::<Option<i64>, _>("archived_at")?.map(time::from_us),
        restored: false,
    })
}

/// Slugs that were joined by commas, which none of them contains.
pub(in crate::store) fn slugs(joined: Option<String>) -> Vec<String> {
    let joined = joined.unwrap_or_default();
    let slugs = joined.split(',').filter(|slug| !slug.is_empty());
    slugs.map(str::to_owned).collect()
}
