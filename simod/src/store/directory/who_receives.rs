//! Finds a topic's receivers, and what an employee may receive, and why.

use std::collections::HashMap;

use simo_common::{
    api::access::{HeldGrant, Receiver},
    time,
};

use super::{
    employees::sort_key_of,
    grants::{GrantTerms, zone},
    groups::groups_around,
};
use crate::store::{
    ClientNo, EmployeeNo, Error, GroupNo, Listing, MessageNo, Result, Rows, Store, TopicNo,
    db::engine::{Conn, Kind::Whole, query, query_as},
    list::{WORD, has_words, page},
    posting::{
        accept::{Question, TopicName, audiences},
        audience::{LetIn, Part},
    },
};

/// Up to this many receivers are looked up one by one; for more, all employees are scanned by name.
const FEW: usize = 2_000;

impl Store {
    /// A page of the employees who would now receive a message to a topic that names no recipients, by name, each with
    /// their grant: decided by the same code that decides for messages.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such topic.
    pub async fn receivers(
        &self,
        client_no: ClientNo,
        topic: &str,
        listing: &Listing<String>,
    ) -> Result<Rows<Receiver, String>> {
        let mut snapshot = self.snapshot().await?;
        let question = Question { client_no, topic: Some(TopicName::Slug(topic)), recipients: None };
        let decided = audiences(&mut snapshot, &[question], self.clock.now()).await?.pop();
        let Some(Ok(decided)) = decided else {
            return Err(Error::not_found("topic", topic));
        };
        let groups = groups_granted(&mut snapshot, client_no, decided.topic_no).await?;
        let let_in: Vec<Part> =
            decided.audience.parts.into_iter().filter(|part| part.closed.is_none()).collect();
        // No one is in two parts. Looking each person up in a thousand of them would take longer than everything else.
        let grants: Vec<String> = let_in
            .iter()
            .map(|part| {
                let group = match part.let_in {
                    Some(LetIn::Group(group_no)) => groups.get(&group_no).cloned(),
                    _ => None,
                };
                grantee(part.let_in == Some(LetIn::Own), group)
            })
            .collect();
        let grant_of: HashMap<u32, &str> = let_in
            .iter()
            .zip(&grants)
            .flat_map(|(part, grant)| part.members.iter().map(move |place| (place, grant.as_str())))
            .collect();
        if grant_of.is_empty() {
            return Ok(Rows { items: Vec::new(), next: None });
        }
        let few = grant_of.len() <= FEW;
        let (from, which) = if few {
            let numbers: Vec<String> = grant_of.keys().map(|place| format!("({place})")).collect();
            (&*format!("(values {}) k cross join employee e", numbers.join(",")), "e.no = k.column1")
        } else {
            ("employee e indexed by employee_sort", "true")
        };
        let rows = query(format!(
            "select e.sort_key, e.personnel_no, e.full_name, e.devices, e.no from {from}
             where e.client_no = $1 and {which} and e.sort_key > $2 and e.archived_at is null and e.blocked_at is null
             and {} order by e.sort_key",
            has_words!()
        ))
        .bind(client_no)
        .bind(listing.after.as_deref().unwrap_or("").as_bytes())
        .over(WORD, listing.find.words());
        let rows = if few { rows.unprepared() } else { rows };
        page(rows.fetch(&mut snapshot), listing.limit, |row| {
            let employee_no: EmployeeNo = row.try_get("no")?;
            let Some(grant) = grant_of.get(&employee_no.place()) else {
                return Ok(None);
            };
            let receiver = Receiver {
                personnel_no: row.try_get("personnel_no")?,
                full_name: row.try_get("full_name")?,
                grant: (*grant).to_owned(),
                devices: row.try_get("devices")?,
            };
            Ok(Some((sort_key_of(row)?, receiver)))
        })
        .await
    }

    /// All grants by which an employee may receive topics, by topic, the widest first, including those not in effect
    /// now. None is in effect while they are blocked.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such employee.
    pub async fn access_of(&self, client_no: ClientNo, personnel_no: &str) -> Result<Vec<HeldGrant>> {
        let mut snapshot = self.snapshot().await?;
        let employee: Option<(EmployeeNo, bool)> = query_as(
            "select no, blocked_at is not null from employee
             where client_no = $1 and personnel_no = $2 and archived_at is null",
        )
        .bind(client_no)
        .bind(personnel_no)
        .fetch_optional(&mut snapshot)
        .await?;
        let (employee_no, blocked) = employee.ok_or_else(|| Error::not_found("employee", personnel_no))?;
        let mut held =
            held(&mut snapshot, client_no, employee_no, None, (MessageNo::NEXT, self.clock.now())).await?;
        for grant in &mut held {
            grant.blocked = blocked;
            grant.times.active &= !blocked;
        }
        Ok(held)
    }
}

/// The grants by which an employee could receive topics, or one topic, when a message was accepted, by topic, the
/// widest first. `at` is the moment for which they are shown as active or not.
pub(in crate::store) async fn held(
    conn: &mut Conn,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    topic_no: Option<TopicNo>,
    (then, at): (MessageNo, i64),
) -> Result<Vec<HeldGrant>> {
    let groups = groups_around(conn, client_no, employee_no, then).await?;
    let rows = query(
        "select g.*, t.slug as topic, t.name as topic_name, r.slug as \"group\", z.timezone from topic_grant_period g
         join client_zone_period z on z.client_no = g.client_no and z.since_no <= $4 and z.until_no > $4
         join topic t on t.client_no = g.client_no and t.no = g.topic_no
         left join \"group\" r on r.client_no = g.client_no and r.no = g.group_no
         where g.client_no = $1 and g.since_no <= $4 and g.until_no > $4
           and (g.topic_no = $2 or ($2 is null and t.archived_at is null))
           and (g.employee_no = $3 or (g.employee_no is null and g.group_no is null)
                or g.group_no in (select {group} from {rows}))
         order by t.slug, g.employee_no is not null, g.group_no is not null, r.slug",
    )
    .bind(client_no)
    .bind(topic_no)
    .bind(employee_no)
    .bind(then)
    .each(("group", Whole), groups.iter().map(|group| group.group_no))
    .fetch_all(conn)
    .await?;
    rows.iter()
        .map(|row| {
            let group_no: Option<GroupNo> = row.try_get("group_no")?;
            let around = groups.iter().find(|around| Some(around.group_no) == group_no);
            let is_his = row.try_get::<Option<EmployeeNo>, _>("employee_no")?.is_some();
            Ok(HeldGrant {
                topic: row.try_get("topic")?,
                topic_name: row.try_get("topic_name")?,
                grant: grantee(is_his, row.try_get("group")?),
                path: around.map(|around| around.path.clone()).unwrap_or_default(),
                created_at: time::from_us(row.try_get("created_at")?),
                times: GrantTerms::read(row)?.times(at, || zone(row))?,
                blocked: false,
            })
        })
        .collect()
}

/// `everyone`, `group:<slug>` or `employee`.
pub(in crate::store) fn grantee(is_employee: bool, group: Option<String>) -> String {
    match group {
        Some(slug) => format!("group:{slug}"),
        None if is_employee => "employee".to_owned(),
        None => "everyone".to_owned(),
    }
}

/// The slugs of the groups that a topic is granted to.
async fn groups_granted(
    conn: &mut Conn,
    client_no: ClientNo,
    topic_no: Option<TopicNo>,
) -> Result<HashMap<GroupNo, String>> {
    let rows: Vec<(GroupNo, String)> = query_as(
        "select r.no, r.slug from topic_grant g
         join \"group\" r on r.client_no = g.client_no and r.no = g.group_no
         where g.client_no = $1 and g.topic_no = $2",
    )
    .bind(client_no)
    .bind(topic_no)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().collect())
}
