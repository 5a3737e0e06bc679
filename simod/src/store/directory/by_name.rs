//! Looks up live objects by their API name. Anything given to an object (a token, a grant, membership) checks here
//! first, in its own transaction.

use simo_common::{api::access::Acs, text, time};

use crate::store::{
    AcsNo, ClientNo, EmployeeNo, Error, GroupNo, OperatorNo, Result, TopicNo, Write,
    audit::AuditChange,
    db::engine::{Conn, query, query_as, query_scalar},
};

/// The number and client of an operator who is not archived.
pub(in crate::store) async fn live_operator(
    tx: &mut Write,
    within: Option<ClientNo>,
    name: &str,
) -> Result<(OperatorNo, Option<ClientNo>)> {
    // A concurrent archiving of the operator must see the new token, to revoke it.
    let share = tx.shared("operator");
    let found: Option<(OperatorNo, Option<ClientNo>)> = query_as(format!(
        "select no, client_no from operator
         where name = $2 and archived_at is null and ($1 is null or client_no = $1){share}"
    ))
    .bind(within)
    .bind(name)
    .fetch_optional(tx)
    .await?;
    found.ok_or_else(|| Error::not_found("operator", name))
}

/// The number of a live ACS, which is created if there is none with this name.
pub(super) async fn acs_for_token(
    tx: &mut Write,
    client_no: ClientNo,
    name: &str,
    now: i64,
) -> Result<AcsNo> {
    let made = query(
        "insert into acs (client_no, name, created_at) values ($1, $2, $3)
         on conflict (client_no, name) do nothing",
    )
    .bind(client_no)
    .bind(name)
    .bind(now)
    .execute(tx)
    .await?;
    if made.rows_affected() > 0 {
        let added =
            Acs { name: name.to_owned(), tokens: 0, created_at: time::from_us(now), archived_at: None };
        tx.record(client_no, AuditChange::new("acs.add", name).after(&added));
    }
    // A concurrent archiving of the ACS must see the new token, to revoke it.
    let share = tx.shared("acs");
    let live: Option<AcsNo> = query_scalar(format!(
        "select no from acs where client_no = $1 and name = $2 and archived_at is null{share}"
    ))
    .bind(client_no)
    .bind(name)
    .fetch_optional(tx)
    .await?;
    live.ok_or_else(|| {
        Error::Conflict(text!(
            "the ACS `{name}` is archived; add it again first",
            "АСУ «{name}» в архиве; сначала добавьте её снова"
        ))
    })
}

/// The number of an employee who is not archived.
///
/// # Errors
/// A conflict when they are archived: only adding them again restores them.
pub(in crate::store) async fn live_employee(
    tx: &mut Write,
    client_no: ClientNo,
    personnel_no: &str,
) -> Result<EmployeeNo> {
    let found: Option<(EmployeeNo, bool)> = query_as(
        "select no, archived_at is not null from employee where client_no = $1 and personnel_no = $2",
    )
    .bind(client_no)
    .bind(personnel_no)
    .fetch_optional(tx)
    .await?;
    match found {
        Some((employee_no, false)) => Ok(employee_no),
        Some((_, true)) => Err(Error::Conflict(text!(
            "the employee `{personnel_no}` is archived; add them again first",
            "сотрудник «{personnel_no}» в архиве; сначала добавьте его снова"
        ))),
        None => Err(Error::not_found("employee", personnel_no)),
    }
}

/// The number of a group that is not archived.
pub(in crate::store) async fn group_no(
    connection: &mut Conn,
    client_no: ClientNo,
    slug: &str,
) -> Result<GroupNo> {
    let found: Option<GroupNo> =
        query_scalar("select no from \"group\" where client_no = $1 and slug = $2 and archived_at is null")
            .bind(client_no)
            .bind(slug)
            .fetch_optional(connection)
            .await?;
    found.ok_or_else(|| Error::not_found("group", slug))
}

/// The number of a topic, including archived ones if asked for.
pub(in crate::store) async fn topic_no(
    connection: &mut Conn,
    client_no: ClientNo,
    slug: &str,
    archived: bool,
) -> Result<TopicNo> {
    let found: Option<TopicNo> = query_scalar(
        "select no from topic where client_no = $1 and slug = $2 and ($3 or archived_at is null)",
    )
    .bind(client_no)
    .bind(slug)
    .bind(archived)
    .fetch_optional(connection)
    .await?;
    found.ok_or_else(|| Error::not_found("topic", slug))
}
