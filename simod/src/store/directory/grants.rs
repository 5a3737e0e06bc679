//! Grants of topics: grantees and times.

use jiff::tz::TimeZone;
use simo_common::{
    api::access::{Grant, GrantTimes, Grantee},
    hours::WeeklyHours,
    id,
    lang::{Lang, Text},
    time,
};
use uuid::Uuid;

use super::by_name::{group_no, live_employee, topic_no};
use crate::store::{
    ClientNo, EmployeeNo, Error, GroupNo, Result, Store, TopicNo, Write,
    audit::AuditChange,
    db::engine::{Row, RowSet, query},
};

/// When a grant is in effect: always, unless it says otherwise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GrantTerms {
    /// From this time on.
    pub starts_at: Option<i64>,
    /// Before this time.
    pub ends_at: Option<i64>,
    /// Only in these hours, by the client's clock.
    pub hours: Option<WeeklyHours>,
}

impl GrantTerms {
    pub(in crate::store) fn read(row: &Row) -> Result<Self> {
        let hours: Option<String> = row.try_get("hours")?;
        let hours = hours.map(|text| text.parse()).transpose();
        Ok(Self {
            starts_at: row.try_get("starts_at")?,
            ends_at: row.try_get("ends_at")?,
            hours: hours.map_err(|error: Text| sqlx::Error::Decode(error.get(Lang::En).into()))?,
        })
    }

    /// Whether a grant is in effect at a moment; `zone` is called only where weekly hours matter.
    pub(in crate::store) fn count(&self, at: i64, zone: impl FnOnce() -> Result<TimeZone>) -> Result<bool> {
        let is_in_time =
            self.starts_at.is_none_or(|start| start <= at) && self.ends_at.is_none_or(|end| at < end);
        Ok(match &self.hours {
            Some(hours) if is_in_time => hours.contain(time::from_us(at).to_zoned(zone()?).datetime()),
            _ => is_in_time,
        })
    }

    /// The times as shown to administrators.
    pub(in crate::store) fn times(
        self,
        now: i64,
        zone: impl FnOnce() -> Result<TimeZone>,
    ) -> Result<GrantTimes> {
        Ok(GrantTimes {
            active: self.count(now, zone)?,
            from: self.starts_at.map(time::from_us),
            until: self.ends_at.map(time::from_us),
            hours: self.hours.map(|hours| hours.to_string()),
        })
    }
}

/// The client's time zone, from a column `timezone`.
pub(in crate::store) fn zone(row: &Row) -> Result<TimeZone> {
    let name: String = row.try_get("timezone")?;
    Ok(TimeZone::get(&name).unwrap_or(TimeZone::UTC))
}

macro_rules! select_grant {
    ($rest:literal) => {
        concat!(
            "select g.*, r.slug as \"group\", e.personnel_no, c.timezone from topic_grant g
             join client c on c.no = g.client_no
             left join \"group\" r on r.client_no = g.client_no and r.no = g.group_no
             left join employee e on e.client_no = g.client_no and e.no = g.employee_no
             where g.client_no = $1 and g.topic_no = $2 and r.archived_at is null and e.archived_at is null",
            $rest
        )
    };
}

impl Store {
    /// All grants of a topic: everyone's, then the groups', then the employees'.
    pub async fn grants(&self, client_no: ClientNo, topic: &str) -> Result<Vec<Grant>> {
        let now = self.clock.now();
        let mut reader = self.read().await?;
        let topic_no = topic_no(&mut reader, client_no, topic, true).await?;
        let rows = query(select_grant!(
            " order by r.slug is not null or e.personnel_no is not null, e.personnel_no is not null, r.slug,
                       e.personnel_no"
        ))
        .bind(client_no)
        .bind(topic_no)
        .fetch_all(&mut reader)
        .await?;
        rows.iter().map(|row| read_grant(row, topic, now)).collect()
    }

    /// Grants a topic, at the times of `terms` only. An existing equal grant is returned as it is.
    pub async fn grant(
        &self,
        client_no: ClientNo,
        topic: &str,
        grantee: &Grantee,
        terms: &GrantTerms,
    ) -> Result<Grant> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let topic_no = topic_no(&mut tx, client_no, topic, false).await?;
        let (employee, group) = match grantee {
            Grantee::Everyone => (None, None),
            Grantee::Group(slug) => (None, Some(group_no(&mut tx, client_no, slug).await?)),
            Grantee::Employee(personnel_no) => {
                (Some(live_employee(&mut tx, client_no, personnel_no).await?), None)
            }
        };
        let before = held(&mut tx, client_no, topic_no, (employee, group)).await?;
        let before = before.map(|row| read_grant(&row, topic, now)).transpose()?;
        query(
            "insert into topic_grant (client_no, id, topic_no, employee_no, group_no, created_at, starts_at, ends_at, hours)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9)
             on conflict (client_no, topic_no, coalesce(employee_no, 0), coalesce(group_no, 0))
             do update set starts_at = excluded.starts_at, ends_at = excluded.ends_at, hours = excluded.hours",
        )
        .bind(client_no)
        .bind(id::new(now))
        .bind(topic_no)
        .bind(employee)
        .bind(group)
        .bind(now)
        .bind(terms.starts_at)
        .bind(terms.ends_at)
        .bind(terms.hours.as_ref().map(ToString::to_string))
        .execute(&mut tx)
        .await?;
        let row = held(&mut tx, client_no, topic_no, (employee, group)).await?;
        let row = row.ok_or_else(|| Error::not_found("grant", topic))?;
        let grant = read_grant(&row, topic, now)?;
        let change = AuditChange::new("topic.grant", topic).before(&before).after(&grant);
        tx.record(client_no, about_grantee(change, &grant));
        tx.commit().await?;
        Ok(grant)
    }

    /// Takes a grant back.
    pub async fn revoke_grant(&self, client_no: ClientNo, topic: &str, id: Uuid) -> Result<()> {
        let mut tx = self.write().await?;
        let topic_no = topic_no(&mut tx, client_no, topic, true).await?;
        let row = query(select_grant!(" and g.id = $3"))
            .bind(client_no)
            .bind(topic_no)
            .bind(id)
            .fetch_optional(&mut tx)
            .await?
            .ok_or_else(|| Error::not_found("grant", id.to_string()))?;
        let grant = read_grant(&row, topic, self.clock.now())?;
        query("delete from topic_grant where client_no = $1 and topic_no = $2 and id = $3")
            .bind(client_no)
            .bind(topic_no)
            .bind(id)
            .execute(&mut tx)
            .await?;
        let change = AuditChange::new("topic.revoke", topic).before(&grant);
        tx.record(client_no, about_grantee(change, &grant));
        tx.commit().await
    }
}

/// Revokes all grants that name one of `numbers` (their `no`) in `column`, and records each in the audit.
pub(super) async fn take_back(
    tx: &mut Write,
    client_no: ClientNo,
    column: &'static str,
    numbers: &RowSet,
    now: i64,
) -> Result<()> {
    let rows = query(format!(
        "select g.*, t.slug as topic, r.slug as \"group\", e.personnel_no, c.timezone from topic_grant g
         join client c on c.no = g.client_no
         join topic t on t.client_no = g.client_no and t.no = g.topic_no
         left join \"group\" r on r.client_no = g.client_no and r.no = g.group_no
         left join employee e on e.client_no = g.client_no and e.no = g.employee_no
         where g.client_no = $1 and g.{column} in (select {{no}} from {{rows}}) order by t.slug, g.no"
    ))
    .bind(client_no)
    .over_set(numbers)
    .fetch_all(tx)
    .await?;
    for row in &rows {
        let topic: String = row.try_get("topic")?;
        let grant = read_grant(row, &topic, now)?;
        let change = AuditChange::new("topic.revoke", topic).before(&grant);
        tx.record(client_no, about_grantee(change, &grant));
    }
    query(format!(
        "delete from topic_grant where client_no = $1 and {column} in (select {{no}} from {{rows}})"
    ))
    .bind(client_no)
    .over_set(numbers)
    .execute(tx)
    .await?;
    Ok(())
}

/// The grant of a topic to an employee, a group, or (neither) everyone.
async fn held(
    tx: &mut Write,
    client_no: ClientNo,
    topic_no: TopicNo,
    (employee, group): (Option<EmployeeNo>, Option<GroupNo>),
) -> Result<Option<Row>> {
    Ok(query(select_grant!(
        " and g.employee_no is not distinct from $3 and g.group_no is not distinct from $4"
    ))
    .bind(client_no)
    .bind(topic_no)
    .bind(employee)
    .bind(group)
    .fetch_optional(tx)
    .await?)
}

/// Marks a personal grant as being about its employee, so that it is erased with them.
fn about_grantee(change: AuditChange, grant: &Grant) -> AuditChange {
    match &grant.grantee {
        Grantee::Employee(personnel_no) => change.about(personnel_no),
        Grantee::Everyone | Grantee::Group(_) => change,
    }
}

fn read_grant(row: &Row, topic: &str, now: i64) -> Result<Grant> {
    let group: Option<String> = row.try_get("group")?;
    let employee: Option<String> = row.try_get("personnel_no")?;
    let terms = GrantTerms::read(row)?;
    Ok(Grant {
        id: row.try_get("id")?,
        topic: topic.to_owned(),
        grantee: match (group, employee) {
            (Some(slug), _) => Grantee::Group(slug),
            (None, Some(personnel_no)) => Grantee::Employee(personnel_no),
            (None, None) => Grantee::Everyone,
        },
        created_at: time::from_us(row.try_get("created_at")?),
        times: terms.times(now, || zone(row))?,
    })
}
