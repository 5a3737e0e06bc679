//! Sessions: an operator's tokens, as they and their administrators see them.

use serde_json::{Value, json};
use simo_common::{api::login::Session, time};
use uuid::Uuid;

use crate::store::{
    ClientNo, Error, Listing, OperatorNo, Result, Rows, SERVER, Store, TokenKey, Write,
    audit::AuditChange,
    db::engine::{Conn, Row, query, query_as},
    list::page,
};

/// Selects the sessions of an operator to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended<'a> {
    /// The one with this id.
    One(Uuid),
    /// The one whose token has this hash.
    Current(&'a [u8; 32]),
    /// All but the one whose token has this hash.
    Others(&'a [u8; 32]),
    /// All.
    All,
}

macro_rules! select_session {
    ($rest:literal) => {
        concat!(
            "select t.*, o.name as operator from token t join operator o on o.no = t.holder_no
             where t.client_no is not distinct from $1 and t.kind = 'operator' and t.holder_no = $2 and ",
            $rest
        )
    };
}

impl Store {
    /// A page of an operator's sessions, newest first; ended ones only if archived ones are asked for. The session of
    /// the asking token is marked.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such operator.
    pub async fn sessions(
        &self,
        within: Option<ClientNo>,
        operator: &str,
        current: Option<&[u8; 32]>,
        listing: &Listing<TokenKey>,
    ) -> Result<Rows<Session, TokenKey>> {
        let mut reader = self.read().await?;
        let (operator_no, client_no) = operator_and_client(&mut reader, within, operator).await?;
        let rows = query(select_session!(
            "($3 or (t.revoked_at is null and (t.expires_at is null or t.expires_at > $4)))
             and ($5 is null or (t.created_at, t.id) < ($5, $6))
             order by t.created_at desc, t.id desc limit $7"
        ))
        .bind(client_no)
        .bind(operator_no)
        .bind(listing.archived)
        .bind(self.clock.now())
        .bind(listing.after.map(|(at, _)| at))
        .bind(listing.after.map(|(_, id)| id))
        .bind(listing.rows())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let session = read_session(row, current)?;
            let fits = listing.find.fits(&[&session.name]);
            Ok(fits.then(|| ((session.created_at.as_microsecond(), session.id), session)))
        })
        .await
    }

    /// Ends sessions of an operator of one client, or of all; returns how many were still open.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such operator, or the one session to end is not theirs.
    pub async fn end_sessions(
        &self,
        within: Option<ClientNo>,
        operator: &str,
        which: Ended<'_>,
    ) -> Result<u64> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let (operator_no, client_no) = operator_and_client(&mut tx, within, operator).await?;
        let (id, hash, except) = match which {
            Ended::One(id) => (Some(id), None, None),
            Ended::Current(hash) => (None, Some(hash.as_slice()), None),
            Ended::Others(hash) => (None, None, Some(hash.as_slice())),
            Ended::All => (None, None, None),
        };
        if let Ended::One(id) = which {
            // A session that has already ended is left as it is.
            session(&mut tx, client_no, operator_no, id).await?;
        }
        let ended: Vec<(Uuid,)> = query_as(
            "update token set revoked_at = $3
             where client_no is not distinct from $1 and kind = 'operator' and holder_no = $2 and revoked_at is null
             and ($4 is null or id = $4) and ($5 is null or hash = $5) and ($6 is null or hash <> $6)
             and (expires_at is null or expires_at > $3)
             returning id",
        )
        .bind(client_no)
        .bind(operator_no)
        .bind(now)
        .bind(id)
        .bind(hash)
        .bind(except)
        .fetch_all(&mut tx)
        .await?;
        for (id,) in &ended {
            let session = session(&mut tx, client_no, operator_no, *id).await?;
            let change = AuditChange::new("session.end", operator).before(&told(&session));
            tx.record(client_no.unwrap_or(SERVER), change);
        }
        tx.commit().await?;
        Ok(ended.len() as u64)
    }
}

/// A session as the audit records it.
pub(in crate::store) fn told(session: &Session) -> Value {
    json!({
        "id": session.id, "name": session.name, "shown": session.shown, "expires_at": session.expires_at
    })
}

/// The number and client of an operator, archived or not.
async fn operator_and_client(
    conn: &mut Conn,
    within: Option<ClientNo>,
    name: &str,
) -> Result<(OperatorNo, Option<ClientNo>)> {
    let found: Option<(OperatorNo, Option<ClientNo>)> =
        query_as("select no, client_no from operator where name = $2 and ($1 is null or client_no = $1)")
            .bind(within)
            .bind(name)
            .fetch_optional(conn)
            .await?;
    found.ok_or_else(|| Error::not_found("operator", name))
}

/// A session of an operator, ended or not.
pub(in crate::store) async fn session(
    tx: &mut Write,
    client_no: Option<ClientNo>,
    operator_no: OperatorNo,
    id: Uuid,
) -> Result<Session> {
    let row = query(select_session!("t.id = $3"))
        .bind(client_no)
        .bind(operator_no)
        .bind(id)
        .fetch_optional(tx)
        .await?
        .ok_or_else(|| Error::not_found("session", id.to_string()))?;
    read_session(&row, None)
}

fn read_session(row: &Row, current: Option<&[u8; 32]>) -> Result<Session> {
    let hash: Vec<u8> = row.try_get("hash")?;
    let at = |column: &str| row.try_get::<Option<i64>, _>(column);
    Ok(Session {
        id: row.try_get("id")?,
        operator: row.try_get("operator")?,
        name: row.try_get("name")?,
        shown: row.try_get("shown")?,
        current: current.is_some_and(|current| hash == current),
        created_at: time::from_us(row.try_get("created_at")?),
        expires_at: at("expires_at")?.map(time::from_us),
        used_at: at("used_at")?.map(time::from_us),
        used_from: row.try_get("used_from")?,
        revoked_at: at("revoked_at")?.map(time::from_us),
    })
}
