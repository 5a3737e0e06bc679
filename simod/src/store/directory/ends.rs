//! What ends when something goes into the archive, for good: it may come back, but whom it let in, or who was in it, has to be
//! said anew.
//!
//! Whoever brings something back ends it all once more. What was given while it went into the archive, by someone who did not
//! see that yet, must not come back with it.

use simo_common::delivery::Reason;

use super::{grants::take_back, operators::archive_operator};
use crate::store::{
    ClientNo, EmployeeNo, GroupNo, Result, TopicNo, Write,
    audit::Change,
    db::engine::{Kind::Whole, Named, RowSet, query, query_as, query_scalar},
};

/// The number of what ends.
const NO: Named = ("no", Whole);

/// Ends all that lets in to a client: its operators, the tokens of its ACS and phones, and codes to pair with. Its phones are
/// retired; what waits for them is closed when it is claimed.
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

/// Ends the grants of topics.
pub(super) async fn end_topics(
    tx: &mut Write,
    client_no: ClientNo,
    topics: &[TopicNo],
    now: i64,
) -> Result<()> {
    take_back(tx, client_no, "topic_no", &RowSet::of(NO, topics), now).await
}

/// Ends who is in groups, what they include and are in, and what was granted to them.
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
        let change = Change::new("group.remove-member", slug).before(&employee);
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
        tx.record(client_no, Change::new("group.exclude", outer).before(&group));
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

/// Ends what was granted to people themselves, and the codes with which they could pair. Their memberships stay: they count for
/// nothing while their people are archived, and lists go on saying where those belonged; whoever brings somebody back says
/// anew where he belongs.
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

/// Ends all of it that is left of what is in a client's archive. Nothing of it counts, so nobody is told.
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
