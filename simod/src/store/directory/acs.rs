//! ACS: the systems that post messages.

use simo_common::{api::access::Acs, text, time, token::TokenKind};

use super::tokens::revoke_tokens_of;
use crate::store::{
    AcsNo, ClientNo, Error, Listing, Result, Rows, Store,
    audit::AuditChange,
    db::engine::{Conn, Row, query, query_scalar},
    list::page,
};

macro_rules! select_acs {
    ($rest:literal) => {
        concat!(
            "select a.*, (select count(*) from token t
                          where t.client_no = a.client_no and t.kind = 'acs' and t.holder_no = a.no
                          and t.revoked_at is null and (t.expires_at is null or t.expires_at > $2)) as tokens
             from acs a where a.client_no = $1 and ",
            $rest
        )
    };
}

impl Store {
    /// A page of a client's ACS, by name.
    pub async fn acs_list(
        &self,
        client_no: ClientNo,
        listing: &Listing<String>,
    ) -> Result<Rows<Acs, String>> {
        let mut reader = self.read().await?;
        let rows =
            query(select_acs!("a.name > $3 and ($4 or a.archived_at is null) order by a.name limit $5"))
                .bind(client_no)
                .bind(self.clock.now())
                .bind(listing.after.as_deref().unwrap_or(""))
                .bind(listing.archived)
                .bind(listing.rows())
                .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let acs = read_acs(row)?;
            Ok(listing.find.fits(&[&acs.name]).then(|| (acs.name.clone(), acs)))
        })
        .await
    }

    /// The ACS with this name, archived or not.
    pub async fn acs(&self, client_no: ClientNo, name: &str) -> Result<Acs> {
        let now = self.clock.now();
        acs(&mut *self.read().await?, client_no, name, now).await
    }

    /// Creates an ACS, or restores it from the archive (without its former tokens).
    pub async fn add_acs(&self, client_no: ClientNo, name: &str) -> Result<Acs> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let added = query(
            "insert into acs (client_no, name, created_at) values ($1, $2, $3)
             on conflict (client_no, name) do update set archived_at = null where acs.archived_at is not null",
        )
        .bind(client_no)
        .bind(name)
        .bind(now)
        .execute(&mut tx)
        .await?
        .rows_affected();
        if added == 0 {
            return Err(name_taken(name));
        }
        let added = acs(&mut tx, client_no, name, now).await?;
        tx.record(client_no, AuditChange::new("acs.add", name).after(&added));
        tx.commit().await?;
        Ok(added)
    }

    /// Gives an ACS another short name. Its tokens stay valid, and history shows the new name.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such ACS or it is archived, [`Error::Conflict`] when the name is taken.
    pub async fn edit_acs(&self, client_no: ClientNo, name: &str, new: &str) -> Result<Acs> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let before = acs(&mut tx, client_no, name, now).await?;
        let taken: bool =
            query_scalar("select count(*) > 0 from acs where client_no = $1 and name = $2 and name <> $3")
                .bind(client_no)
                .bind(new)
                .bind(name)
                .fetch_one(&mut tx)
                .await?;
        if taken {
            return Err(name_taken(new));
        }
        let renamed =
            query("update acs set name = $3 where client_no = $1 and name = $2 and archived_at is null")
                .bind(client_no)
                .bind(name)
                .bind(new)
                .execute(&mut tx)
                .await?;
        if renamed.rows_affected() == 0 {
            return Err(Error::not_found("acs", name));
        }
        let after = acs(&mut tx, client_no, new, now).await?;
        tx.record(client_no, AuditChange::new("acs.edit", name).before(&before).after(&after));
        tx.commit().await?;
        Ok(after)
    }

    /// Archives an ACS and revokes its tokens.
    pub async fn remove_acs(&self, client_no: ClientNo, name: &str) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let before = acs(&mut tx, client_no, name, now).await?;
        let acs_no: AcsNo = query_scalar(
            "update acs set archived_at = coalesce(archived_at, $3) where client_no = $1 and name = $2 returning no",
        )
        .bind(client_no)
        .bind(name)
        .bind(now)
        .fetch_one(&mut tx)
        .await?;
        revoke_tokens_of(&mut tx, Some(client_no), TokenKind::Acs, acs_no.0, now).await?;
        let after = acs(&mut tx, client_no, name, now).await?;
        tx.record(client_no, AuditChange::new("acs.remove", name).before(&before).after(&after));
        tx.commit().await
    }
}

fn name_taken(name: &str) -> Error {
    Error::Conflict(text!("there is an ACS `{name}` already", "АСУ «{name}» уже есть"))
}

/// The ACS with this name, archived or not.
async fn acs(conn: &mut Conn, client_no: ClientNo, name: &str, now: i64) -> Result<Acs> {
    let row =
        query(select_acs!("a.name = $3")).bind(client_no).bind(now).bind(name).fetch_optional(conn).await?;
    row.as_ref().map(read_acs).transpose()?.ok_or_else(|| Error::not_found("acs", name))
}

fn read_acs(row: &Row) -> Result<Acs> {
    Ok(Acs {
        name: row.try_get("name")?,
        tokens: row.try_get::<i64, _>("tokens")? as u64,
        created_at: time::from_us(row.try_get("created_at")?),
        archived_at: row.try_get::<Option<i64>, _>("archived_at")?.map(time::from_us),
    })
}
