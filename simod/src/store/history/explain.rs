//! What is known about one message and one person.

use std::collections::HashMap;

use jiff::{Timestamp, tz::TimeZone};
use simo_common::{
    api::history::{Attempt, Explanation, PhoneTimes, Push},
    delivery::Reason,
    lang::Lang,
    time::from_us,
};
use uuid::Uuid;

use super::{
    message::{Found, posted_by},
    rows::{self, moment},
    scan::DeliveryKey,
    story::{Ended, Hold, StoryFacts, StoryPerson},
};
use crate::{
    channel::ChannelKind,
    store::{
        AcsNo, ClientNo, DeviceNo, EmployeeNo, Error, MessageNo, Result, Store, TopicNo,
        clock_steps::clock_then,
        db::engine::{Conn, Row, query, query_as, query_scalar},
        directory::{
            groups::groups_around,
            who_receives::{grantee, held},
        },
        posting::audience::{LetIn, TargetKind},
        queue::PushOutcome,
    },
};

impl Store {
    /// The way of a message to a person, or why there was none, in the language `lang`.
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
) -> Result<StoryFacts> {
    let Found { no: message_no, message, .. } = posted_by(conn, client_no, acs_no, message_id)
        .await?
        .ok_or_else(|| Error::not_found("message", message_id.to_string()))?;
    // A scheduled message uses today's zone.
    let zone: String = query_scalar(
        "select coalesce((select timezone from client_zone_period where client_no = $1 and since_no <= $2 and until_no > $2),
             (select timezone from client where no = $1))",
    )
    .bind(client_no)
    .bind(message_no)
    .fetch_one(&mut *conn)
    .await?;
    let accepted_at = message.accepted_at.as_microsecond();
    let (employee_no, person) = person(conn, client_no, personnel_no, message_no).await?;
    let still_expanding: i64 =
        query_scalar("select count(*) from audience where client_no = $1 and message_no = $2")
            .bind(client_no)
            .bind(message_no)
            .fetch_one(&mut *conn)
            .await?;
    let topic_no: Option<TopicNo> =
        query_scalar("select topic_no from message where client_no = $1 and no = $2")
            .bind(client_no)
            .bind(message_no)
            .fetch_one(&mut *conn)
            .await?;
    let held = match topic_no {
        Some(_) => held(conn, client_no, employee_no, topic_no, (message_no, accepted_at)).await?,
        None => Vec::new(),
    };
    // A scheduled message is accepted when it comes due.
    let clock = if message_no.0 > 0 { clock_then(conn, message_no, accepted_at).await? } else { None };
    let (pushes, tried_as) = pushes(conn, client_no, message_no, employee_no).await?;
    let mut known = StoryFacts {
        clock,
        zone: TimeZone::get(&zone).unwrap_or(TimeZone::UTC),
        person,
        had_device: had_device(conn, client_no, employee_no, message_no).await?,
        delivery: None,
        target: None,
        grant: None,
        held,
        phone_times: PhoneTimes::default(),
        acknowledged_by: None,
        outcome: None,
        holds: holds(conn, client_no, message_no, employee_no).await?,
        pushes,
        device_names: device_names(conn, client_no, employee_no).await?,
        tried_as,
        still_expanding: still_expanding > 0,
        message,
    };
    add_delivery(conn, client_no, message_no, employee_no, &mut known).await?;
    Ok(known)
}

async fn person(
    conn: &mut Conn,
    client_no: ClientNo,
    personnel_no: &str,
    then: MessageNo,
) -> Result<(EmployeeNo, StoryPerson)> {
    let row = query(
        "select no, personnel_no, full_name, created_at from employee where client_no = $1 and personnel_no = $2",
    )
    .bind(client_no)
    .bind(personnel_no)
    .fetch_optional(&mut *conn)
    .await?
    .ok_or_else(|| Error::not_found("employee", personnel_no))?;
    let no: EmployeeNo = row.try_get("no")?;
    let groups = groups_around(conn, client_no, no, then).await?;
    let bars: Vec<bool> = query_scalar(
        "select is_archived from employee_bar
         where client_no = $1 and employee_no = $2 and since_no <= $3 and until_no > $3",
    )
    .bind(client_no)
    .bind(no)
    .bind(then)
    .fetch_all(conn)
    .await?;
    let person = StoryPerson {
        personnel_no: row.try_get("personnel_no")?,
        full_name: row.try_get("full_name")?,
        groups: groups.into_iter().map(|group| group.path).collect(),
        added_at: from_us(row.try_get("created_at")?),
        was_blocked: bars.contains(&false),
        was_archived: bars.contains(&true),
    };
    Ok((no, person))
}

async fn had_device(
    conn: &mut Conn,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    then: MessageNo,
) -> Result<bool> {
    Ok(query_scalar(
        "select exists (select 1 from device indexed by device_owner where client_no = $1 and employee_no = $2
             and since_no <= $3 and (until_no is null or until_no > $3))",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(then)
    .fetch_one(conn)
    .await?)
}

/// The names of a person's devices, and since when.
async fn device_names(
    conn: &mut Conn,
    client_no: ClientNo,
    employee_no: EmployeeNo,
) -> Result<Vec<(Uuid, Timestamp, String)>> {
    let names: Vec<(Uuid, i64, String)> = query_as(
        "select d.id, w.since, w.name from device d indexed by device_owner
         cross join way w on w.client_no = d.client_no and w.device_no = d.no
         where d.client_no = $1 and d.employee_no = $2 order by w.device_no, w.no",
    )
    .bind(client_no)
    .bind(employee_no)
    .fetch_all(conn)
    .await?;
    Ok(names.into_iter().map(|(id, since, name)| (id, from_us(since), name)).collect())
}

/// The pushes, and their devices' names at each attempt.
async fn pushes(
    conn: &mut Conn,
    client_no: ClientNo,
    message_no: MessageNo,
    employee_no: EmployeeNo,
) -> Result<(Vec<Push>, Vec<(Uuid, Timestamp, String)>)> {
    let rows = query(
        "select p.*, dv.id as device_id, dv.name as device from push p
         join device dv on dv.client_no = p.client_no and dv.no = p.device_no
         where p.client_no = $1 and p.message_no = $2 and p.employee_no = $3 order by p.device_no, p.step",
    )
    .bind(client_no)
    .bind(message_no)
    .bind(employee_no)
    .fetch_all(&mut *conn)
    .await?;
    let tries = query(
        "select t.device_no, t.step, t.at, t.answer, w.channel, w.name, d.id from try t
         cross join way w on w.client_no = t.client_no and w.device_no = t.device_no and w.no = t.way_no
         cross join device d on d.client_no = t.client_no and d.no = t.device_no
         where t.client_no = $1 and t.message_no = $2 and t.employee_no = $3 order by t.device_no, t.step, t.no",
    )
    .bind(client_no)
    .bind(message_no)
    .bind(employee_no)
    .fetch_all(conn)
    .await?;
    let mut attempts: HashMap<(DeviceNo, i64), Vec<Attempt>> = HashMap::new();
    let mut tried_as = Vec::new();
    for row in &tries {
        let attempt = Attempt {
            at: from_us(row.try_get("at")?),
            channel: row.try_get::<ChannelKind, _>("channel")?.to_string(),
            answer: row.try_get("answer")?,
        };
        tried_as.push((row.try_get("id")?, attempt.at, row.try_get("name")?));
        attempts.entry((row.try_get("device_no")?, row.try_get("step")?)).or_default().push(attempt);
    }
    let pushes = rows.iter().map(|row| {
        let key = (row.try_get("device_no")?, row.try_get("step")?);
        push(row, attempts.remove(&key).unwrap_or_default())
    });
    Ok((pushes.collect::<Result<_>>()?, tried_as))
}

async fn holds(
    conn: &mut Conn,
    client_no: ClientNo,
    message_no: MessageNo,
    employee_no: EmployeeNo,
) -> Result<Vec<Hold>> {
    let rows = query(
        "select since, until, ending from hold
         where client_no = $1 and message_no = $2 and employee_no = $3 order by since",
    )
    .bind(client_no)
    .bind(message_no)
    .bind(employee_no)
    .fetch_all(conn)
    .await?;
    let hold = |row: &Row| {
        Ok(Hold {
            since: from_us(row.try_get("since")?),
            until: moment(row, "until")?,
            ending: row.try_get("ending")?,
        })
    };
    rows.iter().map(hold).collect()
}

fn push(row: &Row, attempts: Vec<Attempt>) -> Result<Push> {
    let done_at = moment(row, "done_at")?;
    Ok(Push {
        device_id: row.try_get("device_id")?,
        device: row.try_get("device")?,
        channel: row.try_get::<ChannelKind, _>("channel")?.to_string(),
        state: row
            .try_get::<Option<PushOutcome>, _>("outcome")?
            .map_or("waiting", PushOutcome::as_str)
            .to_owned(),
        tries: row.try_get::<i64, _>("tries")? as u32,
        due_at: moment(row, "due_at")?.filter(|_| done_at.is_none()),
        last_tried_at: moment(row, "last_tried_at")?,
        last_answer: attempts.last().map(|attempt| attempt.answer.clone()),
        reason: row.try_get::<Option<Reason>, _>("reason")?.map(|reason| reason.as_str().to_owned()),
        sent_at: moment(row, "sent_at")?,
        done_at,
        attempts,
    })
}

async fn add_delivery(
    conn: &mut Conn,
    client_no: ClientNo,
    message_no: MessageNo,
    employee_no: EmployeeNo,
    known: &mut StoryFacts,
) -> Result<()> {
    let row = query(
        "select d.*, tg.slug as target_group, lg.slug as let_in_group, r.name as acknowledged_by
         from delivery d
         left join receipt_name r on r.client_no = $1 and r.message_no = d.message_no and r.employee_no = d.employee_no
         left join \"group\" tg on tg.client_no = $1 and tg.no = d.target_no
         left join \"group\" lg on lg.client_no = $1 and lg.no = d.let_in
         where d.client_no = $1 and d.message_no = $2 and d.employee_no = $3",
    )
    .bind(client_no)
    .bind(message_no)
    .bind(employee_no)
    .fetch_optional(&mut *conn)
    .await?;
    let Some(row) = row else { return Ok(()) };
    known.delivery = rows::read(conn, client_no, &[DeliveryKey { message_no, employee_no }]).await?.pop();
    let target: TargetKind = row.try_get("target")?;
    let target_group: Option<String> = row.try_get("target_group")?;
    known.target =
        Some(target_group.map_or_else(|| target.as_str().to_owned(), |slug| format!("group:{slug}")));
    if let Some(let_in) = row.try_get::<Option<LetIn>, _>("let_in")? {
        let group: Option<String> = row.try_get("let_in_group")?;
        known.grant = Some(grantee(let_in == LetIn::Own, group));
    }
    known.phone_times = PhoneTimes {
        delivered_at: moment(&row, "phone_delivered_at")?,
        read_at: moment(&row, "phone_read_at")?,
        acknowledged_at: moment(&row, "phone_acknowledged_at")?,
    };
    known.acknowledged_by = row.try_get("acknowledged_by")?;
    known.outcome = match row.try_get("outcome")? {
        Some(outcome) => {
            Some(Ended { outcome, reason: row.try_get("reason")?, at: moment(&row, "outcome_at")? })
        }
        None => None,
    };
    Ok(())
}
