//! What is live, by the name that the API gives it. What is given to something (a token, a grant, a place in a group) asks
//! here first, in its own transaction.

use simo_common::{api::access::Acs, id, text, time};
use uuid::Uuid;

use crate::store::{
    Error, Result, Write,
    audit::Change,
    db::engine::{Conn, query, query_as, query_scalar},
};

/// The id and client of an operator who is not archived.
pub(in crate::store) async fn live_operator(
    tx: &mut Write,
    within: Option<Uuid>,
    name: &str,
) -> Result<(Uuid, Option<Uuid>)> {
    // Whoever archives him now must see the token that follows, to revoke it.
    let share = tx.shared("operator");
    let found: Option<(Uuid, Option<Uuid>)> = query_as(format!(
        "select id, client_id from operator
         where name = $2 and archived_at is null and ($1 is null or client_id = $1){share}"
    ))
    .bind(within)
    .bind(name)
    .fetch_optional(tx)
    .await?;
    found.ok_or_else(|| Error::not_found("operator", name))
}

/// The id of a live ACS, which is made if there is none with this name.
pub(super) async fn acs_for_token(tx: &mut Write, client_id: Uuid, name: &str, now: i64) -> Result<Uuid> {
    let made = query(
        "insert into acs (client_id, id, name, created_at) values ($1, $2, $3, $4)
         on conflict (client_id, name) do nothing",
    )
    .bind(client_id)
    .bind(id::new(now))
    .bind(name)
    .bind(now)
    .execute(tx)
    .await?;
    if made.rows_affected() > 0 {
        let added =
            Acs { name: name.to_owned(), tokens: 0, created_at: time::from_us(now), archived_at: None };
        tx.record(client_id, Change::new("acs.add", name).after(&added));
    }
    // Whoever archives it now must see the token that follows, to revoke it.
    let share = tx.shared("acs");
    let live: Option<Uuid> = query_scalar(format!(
        "select id from acs where client_id = $1 and name = $2 and archived_at is null{share}"
    ))
    .bind(client_id)
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

/// The id of an employee who is not archived.
///
/// # Errors
/// A conflict when he is archived: only adding him again brings him back.
pub(in crate::store) async fn live_employee(
    tx: &mut Write,
    client_id: Uuid,
    personnel_no: &str,
) -> Result<Uuid> {
    let found: Option<(Uuid, bool)> = query_as(
        "select id, archived_at is not null from employee where client_id = $1 and personnel_no = $2",
    )
    .bind(client_id)
    .bind(personnel_no)
    .fetch_optional(tx)
    .await?;
    match found {
        Some((id, false)) => Ok(id),
        Some((_, true)) => Err(Error::Conflict(text!(
            "the employee `{personnel_no}` is archived; add him again first",
            "сотрудник «{personnel_no}» в архиве; сначала добавьте его снова"
        ))),
        None => Err(Error::not_found("employee", personnel_no)),
    }
}

/// The id of a group that is not archived.
pub(in crate::store) async fn group_id(connection: &mut Conn, client_id: Uuid, slug: &str) -> Result<Uuid> {
    let id: Option<Uuid> =
        query_scalar("select id from \"group\" where client_id = $1 and slug = $2 and archived_at is null")
            .bind(client_id)
            .bind(slug)
            .fetch_optional(connection)
            .await?;
    id.ok_or_else(|| Error::not_found("group", slug))
}

pub(in crate::store) async fn topic_id(
    connection: &mut Conn,
    client_id: Uuid,
    slug: &str,
    archived: bool,
) -> Result<Uuid> {
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
