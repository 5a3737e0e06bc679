//! Operators: administrators and owners. An owner belongs to no client, all others to one.

use std::collections::BTreeSet;

use simo_common::{
    api::access::{NewOperator, Operator},
    lang::Text,
    people::Role,
    text, time,
    token::TokenKind,
};

use super::{by_name::live_operator, tokens::revoke_tokens_of};
use crate::store::{
    ClientNo, Error, Listing, OperatorNo, Result, Rows, SERVER, Store, Write,
    audit::AuditChange,
    callers::login::withdraw_code,
    db::engine::{Conn, Row, query, query_as, query_scalar},
    list::page,
};

macro_rules! select_operator {
    ($rest:literal) => {
        concat!(
            "select o.*, c.slug as client from operator o left join client c on c.no = o.client_no
             where ($1 is null or o.client_no = $1) and ",
            $rest
        )
    };
}

impl Store {
    /// A page of operators, by name: of one client, or all.
    pub async fn operators(
        &self,
        within: Option<ClientNo>,
        listing: &Listing<String>,
    ) -> Result<Rows<Operator, String>> {
        let mut reader = self.read().await?;
        let rows =
            query(select_operator!("o.name > $2 and ($3 or o.archived_at is null) order by o.name limit $4"))
                .bind(within)
                .bind(listing.after.as_deref().unwrap_or(""))
                .bind(listing.archived)
                .bind(listing.rows())
                .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let operator = read_operator(row)?;
            let fits = listing.find.fits(&[&operator.name]);
            Ok(fits.then(|| (operator.name.clone(), operator)))
        })
        .await
    }

    /// The operator with this name, of one client or of all, archived or not.
    pub async fn operator(&self, within: Option<ClientNo>, name: &str) -> Result<Operator> {
        operator(&mut *self.read().await?, within, name).await
    }

    /// Creates an operator of a client (an owner: of none), or restores them from that client's archive.
    pub async fn add_operator(&self, client_no: Option<ClientNo>, new: &NewOperator) -> Result<Operator> {
        let mut tx = self.write().await?;
        let added = insert_operator(&mut tx, client_no, new, self.clock.now()).await?;
        tx.commit().await?;
        Ok(added)
    }

    /// Gives an operator a new name and role. A former owner becomes an operator of `client_no`.
    pub async fn edit_operator(
        &self,
        within: Option<ClientNo>,
        name: &str,
        new: &NewOperator,
        client_no: Option<ClientNo>,
    ) -> Result<Operator> {
        let mut tx = self.write().await?;
        alone_at(&mut tx, within).await?;
        let (operator_no, belongs_to) = live_operator(&mut tx, within, name).await?;
        let before = operator(&mut tx, within, name).await?;
        let client_no = match new.role {
            Role::Owner => None,
            Role::Admin | Role::Viewer => Some(belongs_to.or(client_no).ok_or_else(|| {
                Error::Invalid(vec![(
                    "client".to_owned(),
                    text!(
                        "say which client they are to belong to: ?client=<slug>",
                        "укажите, к какому клиенту он будет относиться: ?client=<slug>"
                    ),
                )])
            })?),
        };
        let taken: bool = query_scalar("select count(*) > 0 from operator where name = $1 and no <> $2")
            .bind(&new.name)
            .bind(operator_no)
            .fetch_one(&mut tx)
            .await?;
        if taken {
            return Err(name_taken(&new.name));
        }
        query("update operator set name = $2, role = $3, client_no = $4 where no = $1")
            .bind(operator_no)
            .bind(&new.name)
            .bind(new.role.as_str())
            .bind(client_no)
            .execute(&mut tx)
            .await?;
        query(
            "update token set client_no = $3
             where client_no is not distinct from $1 and kind = 'operator' and holder_no = $2",
        )
        .bind(belongs_to)
        .bind(operator_no)
        .bind(client_no)
        .execute(&mut tx)
        .await?;
        keep_an_admin(&mut tx, within).await?;
        let after = operator(&mut tx, None, &new.name).await?;
        // Recorded in the audit of both the old and the new client.
        for chain in BTreeSet::from([belongs_to, client_no]) {
            let change = AuditChange::new("operator.edit", name).before(&before).after(&after);
            tx.record(chain.unwrap_or(SERVER), change);
        }
        tx.commit().await?;
        Ok(after)
    }

    /// Archives an operator, revokes their tokens and withdraws their code.
    pub async fn remove_operator(&self, within: Option<ClientNo>, name: &str) -> Result<()> {
        let mut tx = self.write().await?;
        alone_at(&mut tx, within).await?;
        archive_operator(&mut tx, within, name, self.clock.now()).await?;
        keep_an_admin(&mut tx, within).await?;
        tx.commit().await
    }
}

/// Archives an operator with their tokens and code, and records it in the audit.
pub(super) async fn archive_operator(
    tx: &mut Write,
    within: Option<ClientNo>,
    name: &str,
    now: i64,
) -> Result<()> {
    let before = operator(tx, within, name).await?;
    let (operator_no, client_no): (OperatorNo, Option<ClientNo>) = query_as(
        "update operator set archived_at = coalesce(archived_at, $3)
         where name = $2 and ($1 is null or client_no = $1) returning no, client_no",
    )
    .bind(within)
    .bind(name)
    .bind(now)
    .fetch_one(tx)
    .await?;
    revoke_tokens_of(tx, client_no, TokenKind::Operator, operator_no.0, now).await?;
    withdraw_code(tx, operator_no).await?;
    let after = operator(tx, within, name).await?;
    let change = AuditChange::new("operator.remove", name).before(&before).after(&after);
    tx.record(client_no.unwrap_or(SERVER), change);
    Ok(())
}

/// Serialises removals of administrators' rights: of two that remove each other's, the second sees the first.
async fn alone_at(tx: &mut Write, within: Option<ClientNo>) -> Result<()> {
    let lock = tx.locked("client");
    query(format!("select 1 from client where no = $1{lock}")).bind(within).fetch_optional(tx).await?;
    Ok(())
}

/// An operator of a client must not leave it without an administrator: they could not create another one. An owner can.
async fn keep_an_admin(tx: &mut Write, within: Option<ClientNo>) -> Result<()> {
    let Some(client_no) = within else {
        return Ok(());
    };
    let has_admin: bool = query_scalar(
        "select count(*) > 0 from operator where client_no = $1 and role = 'admin' and archived_at is null",
    )
    .bind(client_no)
    .fetch_one(tx)
    .await?;
    if has_admin { Ok(()) } else { Err(Error::Conflict(last_admin())) }
}

/// Why the administrator cannot be removed.
pub(super) fn last_admin() -> Text {
    text!(
        "this is the last admin of the client: only an owner can take their rights away",
        "это последний администратор клиента: снять его может только владелец"
    )
}

/// Creates an operator, and records it in the audit.
pub(super) async fn insert_operator(
    tx: &mut Write,
    client_no: Option<ClientNo>,
    new: &NewOperator,
    now: i64,
) -> Result<Operator> {
    let added = query(
        "insert into operator (client_no, name, role, created_at) values ($1, $2, $3, $4)
         on conflict (name) do update set role = excluded.role, archived_at = null
         where operator.archived_at is not null and operator.client_no is not distinct from excluded.client_no",
    )
    .bind(client_no)
    .bind(&new.name)
    .bind(new.role.as_str())
    .bind(now)
    .execute(tx)
    .await?
    .rows_affected();
    if added == 0 {
        return Err(name_taken(&new.name));
    }
    let added = operator(tx, client_no, &new.name).await?;
    let change = AuditChange::new("operator.add", &*new.name).after(&added);
    tx.record(client_no.unwrap_or(SERVER), change);
    Ok(added)
}

/// The operator with this name, of one client or of all, archived or not.
async fn operator(conn: &mut Conn, within: Option<ClientNo>, name: &str) -> Result<Operator> {
    let row = query(select_operator!("o.name = $2")).bind(within).bind(name).fetch_optional(conn).await?;
    row.as_ref().map(read_operator).transpose()?.ok_or_else(|| Error::not_found("operator", name))
}

/// Names are unique over all clients; the other operator's client is not disclosed.
fn name_taken(name: &str) -> Error {
    Error::Conflict(text!("the operator name `{name}` is taken", "имя оператора «{name}» занято"))
}

fn read_operator(row: &Row) -> Result<Operator> {
    let role: String = row.try_get("role")?;
    Ok(Operator {
        name: row.try_get("name")?,
        client: row.try_get("client")?,
        role: role.parse().unwrap_or(Role::Viewer),
        created_at: time::from_us(row.try_get("created_at")?),
        archived_at: row.try_get::<Option<i64>, _>("archived_at")?.map(time::from_us),
    })
}
