//! What ends for good when an object is archived: it may be restored, but its tokens, grants and members have to be
//! given anew.
//!
//! Restoring an object ends them all once more: something given by a transaction that ran while the object was being
//! archived, and did not see that yet, must not come back with it.

use simo_common::delivery::Reason;

use super::{grants::take_back, operators::archive_operator};
use crate::store::{
    ClientNo, EmployeeNo, GroupNo, Result, TopicNo, Write,
    audit::AuditChange,
    db::engine::{Kind::Whole, Named, RowSet, query, query_as, query_scalar},
};

/// Column with the numbers of the ended objects.
const NO: Named = ("no", Whole);

/// Ends all access to a client: its operators, the tokens of its ACS and phones, and pairing codes. Its phones are
/// retired; pushes waiting for them are closed when claimed.
pub(super) async fn end_client(tx: &mut Write, client_no: ClientNo, now: i64) -> Result<()> {
    let operators: Vec<String> =
        query_scalar("select name from operator where client_no = $1 and archived_at is null order by name")
            .bind(client_no)
            .fetch_all(tx)
            .await?;
    for name in &operators {
        archive_operator(tx, Some(client_no), name, now).await?;
    }
    query("update token set revoked_at = $2 where client_no = $1 and revoked_at is null")
        .bind(client_no)
        .bind(now)
        .execute(tx)
        .await?;
    query(
        "update invite set withdrawn_at = $2, expires_at = $2
         where client_no = $1 and used_at is null and expires_at > $2",
    )
    .bind(client_no)
    .bind(now)
    .execute(tx)
    .await?;
    query("update employee set devices = 0 where client_no = $1 and devices > 0")
        .bind(client_no)
        .execute(tx)
        .await?;
    query("update device set retired_at = $2, reason = $3 where client_no = $1 and retired_at is null")
        .bind(client_no)
        .bind(now)
        .bind(Reason::DeviceGone)
        .execute(tx)
        .await?;
    Ok(())
}

pub(super) async fn end_topics(
    tx: &mut Write,
    client_no: ClientNo,
    topics: &[TopicNo],
    now: i64,
) -> Result<()> {
    take_back(tx, client_no, "topic_no", &RowSet::of(NO, topics), now).await
}

/// Ends groups' memberships, their inclusions in both directions, and their grants.
pub(super) async fn end_groups(
    tx: &mut Write,
    client_no: ClientNo,
    groups: &[GroupNo],
    now: i64,
) -> Result<()> {
    let groups = RowSet::of(NO, groups);
    take_back(tx, client_no, "group_no", &groups, now).await?;
    let members: Vec<(String, String)> = query_as(
        "select g.slug, e.personnel_no from {rows} cross join \"group\" g
         cross join group_member m cross join employee e
         where g.client_no = $1 and g.no = {no} and m.client_no = $1 and m.group_no = g.no
           and e.client_no = $1 and e.no = m.employee_no
         order by g.slug, e.personnel_no",
    )
    .bind(client_no)
    .over_set(&groups)
    .fetch_all(tx)
    .await?;
    for (slug, personnel_no) in members {
        let employee = serde_json::json!({ "employee": personnel_no });
        let change = AuditChange::new("group.remove-member", slug).before(&employee);
        tx.record(client_no, change.about(&personnel_no));
    }
    query("delete from group_member where client_no = $1 and group_no in (select {no} from {rows})")
        .bind(client_no)
        .over_set(&groups)
        .execute(tx)
        .await?;
    let inclusions: Vec<(String, String)> = query_as(
        "select o.slug, r.slug from group_inclusion i
         join \"group\" o on o.client_no = i.client_no and o.no = i.group_no
         join \"group\" r on r.client_no = i.client_no and r.no = i.included_no
         where i.client_no = $1 and (i.group_no in (select {no} from {rows})
               or i.included_no in (select {no} from {rows}))
         order by o.slug, r.slug",
    )
    .bind(client_no)
    .over_set(&groups)
    .fetch_all(tx)
    .await?;
    for (outer, inner) in inclusions {
        let group = serde_json::json!({ "group": inner });
        tx.record(client_no, AuditChange::new("group.exclude", outer).before(&group));
    }
    query(
        "delete from group_inclusion where client_no = $1 and (group_no in (select {no} from {rows})
               or included_no in (select {no} from {rows}))",
    )
    .bind(client_no)
    .over_set(&groups)
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends people's own grants and pairing codes. Their memberships stay: they have no effect while the people are
/// archived, and lists keep showing them; restoring a person sets their groups anew.
pub(super) async fn end_people(
    tx: &mut Write,
    client_no: ClientNo,
    people: &[EmployeeNo],
    now: i64,
) -> Result<()> {
    let people = RowSet::of(NO, people);
    take_back(tx, client_no, "employee_no", &people, now).await?;
    query(
        "update invite set withdrawn_at = $2, expires_at = $2
         where client_no = $1 and employee_no in (select {no} from {rows}) and used_at is null and expires_at > $2",
    )
    .bind(client_no)
    .bind(now)
    .over_set(&people)
    .execute(tx)
    .await?;
    Ok(())
}

/// Ends leftovers of a client's archived objects. They have no effect, so no event is sent.
pub(in crate::store) async fn sweep(tx: &mut Write, client_no: ClientNo, now: i64) -> Result<()> {
    for statement in [
        "delete from topic_grant where client_no = $1 and (
             topic_no in (select no from topic where client_no = $1 and archived_at is not null)
             or group_no in (select no from \"group\" where client_no = $1 and archived_at is not null)
             or employee_no in (select no from employee where client_no = $1 and archived_at is not null))",
        "delete from group_member where client_no = $1 and group_no in (
             select no from \"group\" where client_no = $1 and archived_at is not null)",
        "delete from group_inclusion where client_no = $1 and (
             group_no in (select no from \"group\" where client_no = $1 and archived_at is not null)
             or included_no in (select no from \"group\" where client_no = $1 and archived_at is not null))",
    ] {
        query(statement).bind(client_no).execute(tx).await?;
    }
    query(
        "update invite set withdrawn_at = $2, expires_at = $2
         where client_no = $1 and used_at is null and expires_at > $2 and employee_no in (
             select no from employee where client_no = $1 and archived_at is not null)",
    )
    .bind(client_no)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}
