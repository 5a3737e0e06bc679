//! What is known of one message and one person.

use jiff::tz::TimeZone;
use simo_common::{
    api::history::{Explanation, PhoneTimes, Push},
    lang::Lang,
};
use uuid::Uuid;

use super::{
    message::{Found, posted_by},
    rows::{self, moment},
    scan::Key,
    story::{Known, Person},
};
use crate::store::{
    AcsNo, ClientNo, EmployeeNo, Error, GrantNo, MessageNo, Result, Store, TopicNo,
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
    /// [`Error::NotFound`] when there is no such message (or `acs_no` is given and did not post it) or no such person.
    pub async fn explain(
        &self,
        client_no: ClientNo,
        acs_no: Option<AcsNo>,
        message_id: Uuid,
        personnel_no: &str,
        lang: Lang,
    ) -> Result<Explanation> {
        let mut snapshot = self.snapshot().await?;
        let known = known(&mut snapshot, client_no, acs_no, message_id, personnel_no).await?;
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
    client_no: ClientNo,
    acs_no: Option<AcsNo>,
    message_id: Uuid,
    personnel_no: &str,
) -> Result<Known> {
    let Found { no: message_no, message, .. } = posted_by(conn, client_no, acs_no, message_id)
        .await?
        .ok_or_else(|| Error::not_found("message", message_id.to_string()))?;
    let zone: String = query_scalar("select timezone from client where no = $1")
        .bind(client_no)
        .fetch_one(&mut *conn)
        .await?;
    let (employee_no, person) = person(conn, client_no, personnel_no).await?;
    let still_expanding: i64 =
        query_scalar("select count(*) from audience where client_no = $1 and message_no = $2")
            .bind(client_no)
            .bind(message_no)
            .fetch_one(&mut *conn)
            .await?;
    let topic = query(
        "select m.topic_no, t.archived_at from message m
         left join topic t on t.client_no = m.client_no and t.no = m.topic_no
         where m.client_no = $1 and m.no = $2",
    )
    .bind(client_no)
    .bind(message_no)
    .fetch_one(&mut *conn)
    .await?;
    let topic_no: Option<TopicNo> = topic.try_get("topic_no")?;
    let held = match topic_no {
        Some(_) => held(conn, client_no, employee_no, topic_no, message.accepted_at.as_microsecond()).await?,
        None => Vec::new(),
    };
    // One that waits for its time is accepted when it comes due.
    let clock = if message_no.0 > 0 {
        clock_then(conn, message_no, message.accepted_at.as_microsecond()).await?
    } else {
        None
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
        pushes: pushes(conn, client_no, message_no, employee_no).await?,
        still_expanding: still_expanding > 0,
        message,
    };
    add_delivery(conn, client_no, message_no, employee_no, &mut known).await?;
    Ok(known)
}

async fn person(conn: &mut Conn, client_no: ClientNo, personnel_no: &str) -> Result<(EmployeeNo, Person)> {
    let row = query(
        "select no, personnel_no, full_name, created_at, blocked_at, archived_at from employee
         where client_no = $1 and personnel_no = $2",
    )
    .bind(client_no)
    .bind(personnel_no)
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| Error::not_found("employee", personnel_no))?;
    let no: EmployeeNo = row.try_get("no")?;
    let groups = groups_around(conn, client_no, no).await?;
    let person = Person {
        personnel_no: row.try_get("personnel_no")?,
        full_name: row.try_get("full_name")?,
        groups: groups.into_iter().map(|group| group.path).collect(),
        added_at: moment(&row, "created_at")?,
        blocked_at: moment(&row, "blocked_at")?,
        archived_at: moment(&row, "archived_at")?,
    };
    Ok((no, person))
}

async fn pushes(
    conn: &mut Conn,
    client_no: ClientNo,
    message_no: MessageNo,
    employee_no: EmployeeNo,
) -> Result<Vec<Push>> {
    let rows = query(
        "select p.*, dv.id as device_id, dv.name as device from push p
         join device dv on dv.client_no = p.client_no and dv.no = p.device_no
         where p.client_no = $1 and p.message_no = $2 and p.employee_no = $3 order by p.device_no",
    )
    .bind(client_no)
    .bind(message_no)
    .bind(employee_no)
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
    client_no: ClientNo,
    message_no: MessageNo,
    employee_no: EmployeeNo,
    known: &mut Known,
) -> Result<()> {
    let row = query(
        "select d.*, tg.slug as target_group, gr.no as grant_row, gr.employee_no as grant_employee,
                gg.slug as grant_group
         from delivery d
         left join \"group\" tg on tg.client_no = $1 and tg.no = d.target_no
         left join topic_grant gr on gr.client_no = $1 and gr.no = d.grant_no
         left join \"group\" gg on gg.client_no = $1 and gg.no = gr.group_no
         where d.client_no = $1 and d.message_no = $2 and d.employee_no = $3",
    )
    .bind(client_no)
    .bind(message_no)
    .bind(employee_no)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(()) };
    let key = Key { message_no, employee_no };
    known.delivery = rows::read(conn, client_no, &[key]).await?.pop();
    let target: String = row.try_get("target")?;
    let target_group: Option<String> = row.try_get("target_group")?;
    known.target = Some(target_group.map_or(target, |slug| format!("group:{slug}")));
    if row.try_get::<Option<GrantNo>, _>("grant_no")?.is_some() {
        let is_there = row.try_get::<Option<GrantNo>, _>("grant_row")?.is_some();
        let is_employee = row.try_get::<Option<EmployeeNo>, _>("grant_employee")?.is_some();
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
