//! Groups and their members.

mod nesting;

use simo_common::{
    api::{
        access::{Grantee, Named, Rename},
        people::Group,
    },
    time,
};

pub(in crate::store) use self::nesting::{groups_around, loop_in_words, within};
use super::{
    by_name::{group_no, live_employee},
    ends::end_groups,
    slugged::{Nouns, add_named, archive_named},
    topics::refuse_recipient,
};
use crate::store::{
    ClientNo, Error, Listing, Result, Rows, Store,
    audit::AuditChange,
    db::engine::{Conn, Row, query},
    list::page,
};

const GROUPS: Nouns = Nouns { noun: "group", russian: "группа", table: "\"group\"" };

macro_rules! select_group {
    ($rest:literal) => {
        concat!(
            "select g.*, (select count(*) from group_member m
                          join employee e on e.client_no = m.client_no and e.no = m.employee_no
                          where m.client_no = g.client_no and m.group_no = g.no and e.archived_at is null) as members,
                 (",
            within!("$1", "select g.no"),
            "select count(distinct e.no) from within
                  cross join group_member m on m.client_no = $1 and m.group_no = within.no
                  cross join employee e on e.client_no = $1 and e.no = m.employee_no
                  where e.archived_at is null) as people,
                 (select string_agg(r.slug, ',' order by r.slug) from group_inclusion i
                  join \"group\" r on r.client_no = i.client_no and r.no = i.included_no and r.archived_at is null
                  where i.client_no = g.client_no and i.group_no = g.no) as includes
             from \"group\" g where g.client_no = $1 and ",
            $rest
        )
    };
}

impl Store {
    /// A page of a client's groups, by slug.
    pub async fn groups(
        &self,
        client_no: ClientNo,
        listing: &Listing<String>,
    ) -> Result<Rows<Group, String>> {
        let mut reader = self.read().await?;
        let rows =
            query(select_group!("g.slug > $2 and ($3 or g.archived_at is null) order by g.slug limit $4"))
                .bind(client_no)
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
    pub async fn group(&self, client_no: ClientNo, slug: &str) -> Result<Group> {
        group(&mut *self.read().await?, client_no, slug).await
    }

    /// Creates a group, or restores it from the archive, without members and grants.
    pub async fn add_group(&self, client_no: ClientNo, new: &Named) -> Result<Group> {
        let mut tx = self.write().await?;
        let now = self.clock.now();
        let back = add_named(&mut tx, GROUPS, client_no, new, now).await?;
        end_groups(&mut tx, client_no, back.as_slice(), now).await?;
        let added = Group { restored: back.is_some(), ..group(&mut tx, client_no, &new.slug).await? };
        tx.record(client_no, AuditChange::new("group.add", &*new.slug).after(&added));
        tx.commit().await?;
        Ok(added)
    }

    /// Gives a group a new name.
    pub async fn edit_group(&self, client_no: ClientNo, slug: &str, rename: &Rename) -> Result<Group> {
        let mut tx = self.write().await?;
        let before = group(&mut tx, client_no, slug).await?;
        query("update \"group\" set name = $3 where client_no = $1 and slug = $2")
            .bind(client_no)
            .bind(slug)
            .bind(&rename.name)
            .execute(&mut tx)
            .await?;
        let after = group(&mut tx, client_no, slug).await?;
        let change = AuditChange::new("group.edit", slug).before(&before).after(&after);
        tx.record(client_no, change);
        tx.commit().await?;
        Ok(after)
    }

    /// Archives a group: it loses its members, and neither messages nor grants reach anybody through it.
    ///
    /// # Errors
    /// [`crate::store::Error::Conflict`] when it is a default recipient of a topic.
    pub async fn remove_group(&self, client_no: ClientNo, slug: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let before = group(&mut tx, client_no, slug).await?;
        let now = self.clock.now();
        let group_no = archive_named(&mut tx, GROUPS, client_no, slug, now).await?;
        if before.archived_at.is_none() {
            refuse_recipient(&mut tx, client_no, &Grantee::Group(slug.to_owned())).await?;
        }
        end_groups(&mut tx, client_no, &[group_no], now).await?;
        let after = group(&mut tx, client_no, slug).await?;
        let change = AuditChange::new("group.remove", slug).before(&before).after(&after);
        tx.record(client_no, change);
        tx.commit().await
    }

    /// Adds an employee to a group, or removes them; it is no error if nothing changes.
    pub async fn set_member(
        &self,
        client_no: ClientNo,
        slug: &str,
        personnel_no: &str,
        member: bool,
    ) -> Result<()> {
        let mut tx = self.write().await?;
        let group_no = group_no(&mut tx, client_no, slug).await?;
        let employee_no = live_employee(&mut tx, client_no, personnel_no).await?;
        let changed = query(if member {
            "insert into group_member (client_no, group_no, employee_no) values ($1, $2, $3) on conflict do nothing"
        } else {
            "delete from group_member where client_no = $1 and group_no = $2 and employee_no = $3"
        })
        .bind(client_no)
        .bind(group_no)
        .bind(employee_no)
        .execute(&mut tx)
        .await?
        .rows_affected();
        if changed > 0 {
            let employee = serde_json::json!({ "employee": personnel_no });
            let change = if member {
                AuditChange::new("group.add-member", slug).after(&employee)
            } else {
                AuditChange::new("group.remove-member", slug).before(&employee)
            };
            tx.record(client_no, change.about(personnel_no));
        }
        tx.commit().await
    }
}

/// The group with this slug, archived or not.
async fn group(conn: &mut Conn, client_no: ClientNo, slug: &str) -> Result<Group> {
    let row = query(select_group!("g.slug = $2")).bind(client_no).bind(slug).fetch_optional(conn).await?;
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

/// Splits slugs joined by commas, which none of them contains.
pub(in crate::store) fn slugs(joined: Option<String>) -> Vec<String> {
    let joined = joined.unwrap_or_default();
    let slugs = joined.split(',').filter(|slug| !slug.is_empty());
    slugs.map(str::to_owned).collect()
}
