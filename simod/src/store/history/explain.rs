//! What is known of one message and one person.

use jiff::tz::TimeZone;
use simo_common::{
    api::history::{Explanation, PhoneTimes, Push},
    lang::Lang,
};
use uuid::Uuid;

use super::{
    message,
    rows::{self, moment},
    scan::Key,
    story::{Known, Person},
};
use crate::store::{
    Error, Result, Store,
    clock_steps::clock_then,
    db::engine::{Conn, Row, query, query_scalar},
    directory::{
        groups::groups_around,
        who_receives::{grantee, held},
    },
};

impl Store {
    /// The way of a message to a person, or why there was none, in words of `lang`.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such message (or `acs_id` is given and did not post it) or no such person.
    pub async fn explain(
        &self,
        client_id: Uuid,
        acs_id: Option<Uuid>,
        message_id: Uuid,
        personnel_no: &str,
        lang: Lang,
    ) -> Result<Explanation> {
        let mut snapshot = self.snapshot().await?;
        let known = known(&mut snapshot, client_id, acs_id, message_id, personnel_no).await?;
        let story = known.story(lang);
        Ok(Explanation {
            delivery: known.delivery,
            title: known.message.title,
            personnel_no: known.person.personnel_no,
            employee: known.person.full_name,
            target: known.target,
            grant: known.grant,
            phone_times: known.phone_times,
            pushes: known.pushes,
            story,
        })
    }
}

async fn known(
    conn: &mut Conn,
    client_id: Uuid,
    acs_id: Option<Uuid>,
    message_id: Uuid,
    personnel_no: &str,
) -> Result<Known> {
    let message = message::read(conn, client_id, &[message_id]).await?.pop();
    let (_, message) = message
        .filter(|(by, _)| acs_id.is_none() || *by == acs_id)
        .ok_or_else(|| Error::not_found("message", message_id.to_string()))?;
    let zone: String = query_scalar("select timezone from client where id = $1")
        .bind(client_id)
        .fetch_one(&mut *conn)
        .await?;
    let (employee_id, person) = person(conn, client_id, personnel_no).await?;
    let still_expanding: i64 =
        query_scalar("select count(*) from audience where client_id = $1 and message_id = $2")
            .bind(client_id)
            .bind(message_id)
            .fetch_one(&mut *conn)
            .await?;
    let topic = query(
        "select m.seq, m.topic_id, t.archived_at from message m
         left join topic t on t.client_id = m.client_id and t.id = m.topic_id
         where m.client_id = $1 and m.id = $2",
    )
    .bind(client_id)
    .bind(message_id)
    .fetch_one(&mut *conn)
    .await?;
    let topic_id: Option<Uuid> = topic.try_get("topic_id")?;
    let held = match topic_id {
        Some(_) => held(conn, client_id, employee_id, topic_id, message.accepted_at.as_microsecond()).await?,
        None => Vec::new(),
    };
    let clock = match message.send_at {
        // Accepted anew when it came due, under its old number.
        Some(_) => None,
        None => clock_then(conn, topic.try_get("seq")?, message.accepted_at.as_microsecond()).await?,
    };
    let mut known = Known {
        clock,
        zone: TimeZone::get(&zone).unwrap_or(TimeZone::UTC),
        topic_archived_at: moment(&topic, "archived_at")?,
        person,
        delivery: None,
        target: None,
        grant: None,
        held,
        phone_times: PhoneTimes::default(),
        outcome: None,
        pushes: pushes(conn, client_id, message_id, employee_id).await?,
        still_expanding: still_expanding > 0,
        message,
    };
    add_delivery(conn, client_id, message_id, employee_id, &mut known).await?;
    Ok(known)
}

async fn person(conn: &mut Conn, client_id: Uuid, personnel_no: &str) -> Result<(Uuid, Person)> {
    let row = query(
        "select id, personnel_no, full_name, created_at, blocked_at, archived_at from employee
         where client_id = $1 and personnel_no = $2",
    )
    .bind(client_id)
    .bind(personnel_no)
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| Error::not_found("employee", personnel_no))?;
    let id: Uuid = row.try_get("id")?;
    let groups = groups_around(conn, client_id, id).await?;
    let person = Person {
        personnel_no: row.try_get("personnel_no")?,
        full_name: row.try_get("full_name")?,
        groups: groups.into_iter().map(|group| group.path).collect(),
        added_at: moment(&row, "created_at")?,
        blocked_at: moment(&row, "blocked_at")?,
        archived_at: moment(&row, "archived_at")?,
    };
    Ok((id, person))
}

async fn pushes(conn: &mut Conn, client_id: Uuid, message_id: Uuid, employee_id: Uuid) -> Result<Vec<Push>> {
    let rows = query(
        "select p.*, coalesce(dv.name, '') as device from push p
         left join device dv on dv.client_id = p.client_id and dv.id = p.device_id
         where p.client_id = $1 and p.message_id = $2 and p.employee_id = $3 order by p.device_id",
    )
    .bind(client_id)
    .bind(message_id)
    .bind(employee_id)
    .fetch_all(conn)
    .await?;
    rows.iter().map(push).collect()
}

fn push(row: &Row) -> Result<Push> {
    let done_at = moment(row, "done_at")?;
    Ok(Push {
        device_id: row.try_get("device_id")?,
        device: row.try_get("device")?,
        channel: row.try_get("channel")?,
        state: row.try_get::<Option<String>, _>("outcome")?.unwrap_or_else(|| "waiting".to_owned()),
        tries: row.try_get::<i64, _>("tries")? as u32,
        due_at: moment(row, "due_at")?.filter(|_| done_at.is_none()),
        last_tried_at: moment(row, "last_tried_at")?,
        last_answer: row.try_get("last_answer")?,
        reason: row.try_get("reason")?,
        sent_at: moment(row, "sent_at")?,
        done_at,
    })
}

async fn add_delivery(
    conn: &mut Conn,
    client_id: Uuid,
    message_id: Uuid,
    employee_id: Uuid,
    known: &mut Known,
) -> Result<()> {
    let row = query(
        "select d.*, tg.slug as target_group, gr.id as grant_row, gr.employee_id as grant_employee,
                gg.slug as grant_group
         from delivery d
         left join \"group\" tg on tg.client_id = $1 and tg.id = d.target_id
         left join topic_grant gr on gr.client_id = $1 and gr.id = d.grant_id
         left join \"group\" gg on gg.client_id = $1 and gg.id = gr.group_id
         where d.client_id = $1 and d.message_id = $2 and d.employee_id = $3",
    )
    .bind(client_id)
    .bind(message_id)
    .bind(employee_id)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let accepted_at = row.try_get("accepted_at")?;
    let key = Key { accepted_at, message_id, employee_id };
    known.delivery = rows::read(conn, client_id, &[key]).await?.pop();
    let target: String = row.try_get("target")?;
    let target_group: Option<String> = row.try_get("target_group")?;
    known.target = Some(target_group.map_or(target, |slug| format!("group:{slug}")));
    if row.try_get::<Option<Uuid>, _>("grant_id")?.is_some() {
        let is_there = row.try_get::<Option<Uuid>, _>("grant_row")?.is_some();
        let is_employee = row.try_get::<Option<Uuid>, _>("grant_employee")?.is_some();
        let group: Option<String> = row.try_get("grant_group")?;
        known.grant = Some(if is_there { grantee(is_employee, group) } else { "revoked".to_owned() });
    }
    known.phone_times = PhoneTimes {
        delivered_at: moment(&row, "phone_delivered_at")?,
        read_at: moment(&row, "phone_read_at")?,
        acknowledged_at: moment(&row, "phone_acknowledged_at")?,
    };
    let outcome: Option<String> = row.try_get("outcome")?;
    known.outcome = match outcome {
        Some(outcome) => Some((outcome, row.try_get("reason")?, moment(&row, "outcome_at")?)),
        None => None,
    };
    Ok(())
}
