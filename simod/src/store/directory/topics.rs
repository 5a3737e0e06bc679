//! Topics: kinds of information, and defaults of their messages.

use std::collections::HashSet;

use simo_common::{
    api::{
        access::{EditTopic, Grantee, Named, NewTopic, Topic},
        message::Recipients,
    },
    message::Priority,
    text, time,
};

use super::{
    ends::end_topics,
    slugged::{Nouns, add_named, archive_named},
};
use crate::store::{
    ClientNo, Error, Listing, Result, Rows, Store, Write,
    audit::AuditChange,
    db::engine::{Conn, Kind::Text, Row, query, query_as, query_scalar},
    list::page,
};

const TOPICS: Nouns = Nouns { noun: "topic", russian: "тема", table: "topic" };

macro_rules! select_topic {
    ($rest:literal) => {
        concat!(
            "select t.*, (select count(*) from topic_grant g
                          left join \"group\" r on r.client_no = g.client_no and r.no = g.group_no
                          left join employee e on e.client_no = g.client_no and e.no = g.employee_no
                          where g.client_no = t.client_no and g.topic_no = t.no
                            and r.archived_at is null and e.archived_at is null) as grants
             from topic t where t.client_no = $1 and ",
            $rest
        )
    };
}

impl Store {
    /// A page of a client's topics, by slug.
    pub async fn topics(
        &self,
        client_no: ClientNo,
        listing: &Listing<String>,
    ) -> Result<Rows<Topic, String>> {
        let mut reader = self.read().await?;
        let rows =
            query(select_topic!("t.slug > $2 and ($3 or t.archived_at is null) order by t.slug limit $4"))
                .bind(client_no)
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

    /// The topic whose slug is most similar to an unknown one, if any is.
    pub async fn topic_like(&self, client_no: ClientNo, slug: &str) -> Result<Option<String>> {
        let slugs: Vec<String> =
            query_scalar("select slug from topic where client_no = $1 and archived_at is null")
                .bind(client_no)
                .fetch_all(&mut *self.read().await?)
                .await?;
        Ok(slugs
            .into_iter()
            .map(|known| (strsim::jaro_winkler(slug, &known), known))
            .filter(|(likeness, _)| *likeness > 0.85)
            .max_by(|a, b| a.0.total_cmp(&b.0))
            .map(|(_, known)| known))
    }

    /// The topic with this slug, archived or not.
    pub async fn topic(&self, client_no: ClientNo, slug: &str) -> Result<Topic> {
        topic(&mut *self.read().await?, client_no, slug).await
    }

    /// Creates a topic, or restores it from the archive, without grants.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it exists; [`Error::Invalid`] when a default recipient does not exist.
    pub async fn add_topic(&self, client_no: ClientNo, new: &NewTopic) -> Result<Topic> {
        let named = Named { slug: new.slug.clone(), name: new.name.clone() };
        let defaults = EditTopic {
            name: None,
            default_priority: new.default_priority.into(),
            default_recipients: new.default_recipients.clone().into(),
        };
        let mut tx = self.write().await?;
        let now = self.clock.now();
        let back = add_named(&mut tx, TOPICS, client_no, &named, now).await?;
        end_topics(&mut tx, client_no, back.as_slice(), now).await?;
        edit(&mut tx, client_no, &new.slug, &defaults).await?;
        let added = Topic { restored: back.is_some(), ..topic(&mut tx, client_no, &new.slug).await? };
        tx.record(client_no, AuditChange::new("topic.add", &*new.slug).after(&added));
        tx.commit().await?;
        Ok(added)
    }

    /// Changes a topic.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such topic, [`Error::Invalid`] when a default recipient does not exist.
    pub async fn edit_topic(&self, client_no: ClientNo, slug: &str, changes: &EditTopic) -> Result<Topic> {
        let mut tx = self.write().await?;
        let before = topic(&mut tx, client_no, slug).await?;
        edit(&mut tx, client_no, slug, changes).await?;
        let after = topic(&mut tx, client_no, slug).await?;
        let change = AuditChange::new("topic.edit", slug).before(&before).after(&after);
        tx.record(client_no, change);
        tx.commit().await?;
        Ok(after)
    }

    /// Archives a topic: nothing can be posted to it any more, and its grants end.
    pub async fn remove_topic(&self, client_no: ClientNo, slug: &str) -> Result<()> {
        let mut tx = self.write().await?;
        let before = topic(&mut tx, client_no, slug).await?;
        let now = self.clock.now();
        let topic_no = archive_named(&mut tx, TOPICS, client_no, slug, now).await?;
        end_topics(&mut tx, client_no, &[topic_no], now).await?;
        let after = topic(&mut tx, client_no, slug).await?;
        let change = AuditChange::new("topic.remove", slug).before(&before).after(&after);
        tx.record(client_no, change);
        tx.commit().await
    }
}

/// The topic with this slug, archived or not.
async fn topic(conn: &mut Conn, client_no: ClientNo, slug: &str) -> Result<Topic> {
    let row = query(select_topic!("t.slug = $2")).bind(client_no).bind(slug).fetch_optional(conn).await?;
    row.as_ref().map(read_topic).transpose()?.ok_or_else(|| Error::not_found("topic", slug))
}

async fn edit(tx: &mut Write, client_no: ClientNo, slug: &str, changes: &EditTopic) -> Result<()> {
    let recipients = changes.default_recipients.value();
    if let Some(recipients) = recipients {
        all_there(tx, client_no, recipients).await?;
    }
    query(
        "update topic set name = coalesce($3, name),
             priority = case when $4 then $5 else priority end,
             recipients = case when $6 then $7 else recipients end
         where client_no = $1 and slug = $2",
    )
    .bind(client_no)
    .bind(slug)
    .bind(&changes.name)
    .bind(!changes.default_priority.stays())
    .bind(changes.default_priority.value().map(|priority| priority.rank()))
    .bind(!changes.default_recipients.stays())
    // A struct of strings always serialises.
    .bind(recipients.and_then(|to| serde_json::to_string(to).ok()))
    .execute(tx)
    .await?;
    Ok(())
}

/// Checks that all named recipients exist, and keeps them until our transaction ends; reports all missing ones at once.
async fn all_there(tx: &mut Write, client_no: ClientNo, recipients: &Recipients) -> Result<()> {
    let (of_employees, of_groups) = (tx.shared("e"), tx.shared("g"));
    let employees: HashSet<String> = query_scalar(format!(
        "select e.personnel_no from {{rows}} cross join employee e
         where e.client_no = $1 and e.personnel_no = {{no}} and e.archived_at is null{of_employees}"
    ))
    .bind(client_no)
    .each(("no", Text), &recipients.employees)
    .fetch_all(tx)
    .await?
    .into_iter()
    .collect();
    let groups: HashSet<String> = query_scalar(format!(
        "select g.slug from {{rows}} cross join \"group\" g
         where g.client_no = $1 and g.slug = {{slug}} and g.archived_at is null{of_groups}"
    ))
    .bind(client_no)
    .each(("slug", Text), &recipients.groups)
    .fetch_all(tx)
    .await?
    .into_iter()
    .collect();
    let mut missing = Vec::new();
    for (place, no) in recipients.employees.iter().enumerate() {
        if !employees.contains(no) {
            missing.push((
                format!("default_recipients.employees[{place}]"),
                text!("there is no employee `{no}`", "нет сотрудника «{no}»"),
            ));
        }
    }
    for (place, slug) in recipients.groups.iter().enumerate() {
        if !groups.contains(slug) {
            missing.push((
                format!("default_recipients.groups[{place}]"),
                text!("there is no group `{slug}`", "нет группы «{slug}»"),
            ));
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(Error::Invalid(missing)) }
}

/// Refuses to archive a default recipient of a topic: messages that name none would reach no one. The recipient's row
/// must be changed before, so that no topic gets them as default meanwhile.
///
/// # Errors
/// A conflict, which names the topics.
pub(super) async fn refuse_recipient(tx: &mut Write, client_no: ClientNo, who: &Grantee) -> Result<()> {
    let topics: Vec<(String, String)> = query_as(
        "select slug, recipients from topic
         where client_no = $1 and archived_at is null and recipients is not null order by slug",
    )
    .bind(client_no)
    .fetch_all(tx)
    .await?;
    let names = |recipients: &str| {
        let recipients: Recipients = serde_json::from_str(recipients).unwrap_or_default();
        match who {
            Grantee::Group(slug) => recipients.groups.contains(slug),
            Grantee::Employee(no) => recipients.employees.contains(no),
            Grantee::Everyone => false,
        }
    };
    let topics: Vec<_> = topics.iter().filter(|(_, recipients)| names(recipients)).collect();
    let Some((first, _)) = topics.first() else {
        return Ok(());
    };
    let all: Vec<_> = topics.iter().map(|(slug, _)| &**slug).collect();
    let all = all.join(", ");
    let (en, ru) = match who {
        Grantee::Group(slug) => (format!("the group `{slug}`"), format!("группе «{slug}»")),
        Grantee::Employee(no) => (format!("the employee `{no}`"), format!("сотруднику «{no}»")),
        Grantee::Everyone => Default::default(),
    };
    Err(Error::Conflict(text!(
        "messages that name nobody are for {en} on the topics {all}; change that first: topic edit {first} --to-group SLUG, \
         --to-employee NO or --no-recipients",
        "сообщения без получателей идут {ru} по темам: {all}; сначала измените это: topic edit {first} --to-group ИМЯ, \
         --to-employee НОМЕР или --no-recipients"
    )))
}

fn read_topic(row: &Row) -> Result<Topic> {
    Ok(Topic {
        slug: row.try_get("slug")?,
        name: row.try_get("name")?,
        grants: row.try_get::<i64, _>("grants")? as u64,
        default_priority: row.try_get::<Option<i64>, _>("priority")?.map(Priority::from_rank),
        default_recipients: row.json("recipients")?,
        archived_at: row.try_get::<Option<i64>, _>("archived_at")?.map(time::from_us),
        restored: false,
    })
}
