//! Topics, and who may receive them.

use simo_common::{
    api::access::{Grant, Grantee, Named, Receiver, Rename, Topic},
    id, time,
};
use uuid::Uuid;

use super::{
    Error, Listing, Result, Rows, Store,
    employees::{live_employee, sort_key_of},
    engine::{Conn, Row, query, query_scalar},
    groups::group_id,
    list::page,
    named::Nouns,
};

const TOPICS: Nouns = Nouns {
    noun: "topic",
    russian: "тема",
    table: "topic",
};

macro_rules! select_topic {
    ($rest:literal) => {
        concat!(
            "select t.*, (select count(*) from topic_grant g where g.client_id = t.client_id and g.topic_id = t.id)
                 as grants
             from topic t where t.client_id = $1 and ",
            $rest
        )
    };
}

impl Store {
    /// A page of a client's topics, by slug.
    pub async fn topics(&self, client_id: Uuid, listing: &Listing<String>) -> Result<Rows<Topic, String>> {
        let mut reader = self.read().await?;
        let rows = query(select_topic!(
            "t.slug > $2 and ($3 or t.archived_at is null) order by t.slug limit $4"
        ))
        .bind(client_id)
        .bind(listing.after.as_deref().unwrap_or(""))
        .bind(listing.archived)
        .bind(listing.rows())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let topic = read_topic(row)?;
            let fits = listing.find.fits(&[&topic.slug, &topic.name]);
            Ok(fits.then(|| (topic.slug.clone(), topic)))
        })
        .await
    }

    /// The topic with this slug, archived or not.
    pub async fn topic(&self, client_id: Uuid, slug: &str) -> Result<Topic> {
        let row = query(select_topic!("t.slug = $2"))
            .bind(client_id)
            .bind(slug)
            .fetch_optional(&mut *self.read().await?)
            .await?;
        row.as_ref()
            .map(read_topic)
            .transpose()?
            .ok_or_else(|| Error::not_found("topic", slug))
    }

    /// Makes a topic, or brings it back from the archive with the grants that it had.
    pub async fn add_topic(&self, client_id: Uuid, new: &Named) -> Result<Topic> {
        self.add_named(TOPICS, client_id, new).await?;
        self.topic(client_id, &new.slug).await
    }

    /// Gives a topic a new name.
    pub async fn edit_topic(&self, client_id: Uuid, slug: &str, rename: &Rename) -> Result<Topic> {
        self.rename(TOPICS, client_id, slug, rename).await?;
        self.topic(client_id, slug).await
    }

    /// Archives a topic: nothing can be posted to it any more.
    pub async fn remove_topic(&self, client_id: Uuid, slug: &str) -> Result<()> {
        self.archive_named(TOPICS, client_id, slug).await
    }

    /// A page of those who would receive a topic now, by name, each with the widest grant that lets him in.
    ///
    /// Reads on from the key along the order of names, so that every page costs the same; the grants are looked up
    /// per employee.
    pub async fn receivers(
        &self,
        client_id: Uuid,
        topic: &str,
        listing: &Listing<String>,
    ) -> Result<Rows<Receiver, String>> {
        let mut reader = self.read().await?;
        let topic_id = topic_id(&mut reader, client_id, topic, false).await?;
        let rows = query(
            "select * from (
                 select e.sort_key, e.personnel_no, e.full_name, e.devices,
                     case
                         when exists (
                             select 1 from topic_grant g where g.client_id = $1 and g.topic_id = $2
                             and coalesce(g.employee_id, x'00000000000000000000000000000000') = x'00000000000000000000000000000000' and coalesce(g.group_id, x'00000000000000000000000000000000') = x'00000000000000000000000000000000')
                         then 'everyone'
                         else coalesce(
                             (select 'group:' || min(r.slug) from group_member m
                              join \"group\" r on r.client_id = $1 and r.id = m.group_id and r.archived_at is null
                              join topic_grant g on g.client_id = $1 and g.topic_id = $2
                                  and coalesce(g.employee_id, x'00000000000000000000000000000000') = x'00000000000000000000000000000000' and coalesce(g.group_id, x'00000000000000000000000000000000') = m.group_id
                              where m.client_id = $1 and m.employee_id = e.id),
                             (select 'employee' from topic_grant g where g.client_id = $1 and g.topic_id = $2
                              and coalesce(g.employee_id, x'00000000000000000000000000000000') = e.id and coalesce(g.group_id, x'00000000000000000000000000000000') = x'00000000000000000000000000000000'))
                     end as let_in_by
                 from employee e
                 where e.client_id = $1 and e.archived_at is null and e.blocked_at is null and e.sort_key > $3
                 and not exists (
                     select 1 from jsonb_each($4) w where instr(e.folded_name, w.value->>0) = 0
                     and instr(e.personnel_no, w.value->>1) = 0)
                 order by e.sort_key)
             receiver where let_in_by is not null limit $5",
        )
        .bind(client_id)
        .bind(topic_id)
        .bind(listing.after.as_deref().unwrap_or("").as_bytes())
        .bind(listing.find.words())
        .bind(listing.limit as i64 + 1)
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let receiver = Receiver {
                personnel_no: row.try_get("personnel_no")?,
                full_name: row.try_get("full_name")?,
                grant: row.try_get("let_in_by")?,
                devices: row.try_get("devices")?,
            };
            Ok(Some((sort_key_of(row)?, receiver)))
        })
        .await
    }
}

pub(super) async fn topic_id(connection: &mut Conn, client_id: Uuid, slug: &str, archived: bool) -> Result<Uuid> {
    let id: Option<Uuid> = query_scalar(
        "select id from topic where client_id = $1 and slug = $2 and ($3 or archived_at is null)",
    )
    .bind(client_id)
    .bind(slug)
    .bind(archived)
    .fetch_optional(connection)
    .await?;
    id.ok_or_else(|| Error::not_found("topic", slug))
}

fn read_topic(row: &Row) -> Result<Topic> {
    Ok(Topic {
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        grants: row.try_get::<i64, _>("grants")? as u64,
        archived_at: row.try_get::<Option<i64>, _>("archived_at")?.map(time::from_us),
    })
}
