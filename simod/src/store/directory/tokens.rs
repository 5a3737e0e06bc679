//! Tokens of ACS and operators: issued, rotated, revoked. The database knows only their SHA-256.

use std::collections::HashMap;

use simo_common::{
    api::access::{IssuedToken, Token},
    id, text,
    time::{self, DAY, SECOND},
    token::{self, TokenKind},
};
use uuid::Uuid;

use super::by_name::{acs_for_token, live_operator};
use crate::store::{
    ClientNo, Error, Listing, Result, Rows, SERVER, Store, Write,
    audit::AuditChange,
    callers::limits::{OnSight, TokenLimits, joined},
    db::engine::{Conn, Row, query, query_as},
    list::page,
};

/// A token that expires within this time is worth a warning.
const SOON: i64 = 14 * DAY;

/// The holder of a new token.
#[derive(Debug, Clone, Copy)]
pub enum TokenFor<'a> {
    /// An ACS of a client, created if it is new.
    Acs {
        /// The client.
        client_no: ClientNo,
        /// The ACS.
        name: &'a str,
    },
    /// An operator.
    Operator {
        /// The client they must belong to; absent: any or none.
        within: Option<ClientNo>,
        /// Their name.
        name: &'a str,
    },
}

/// Terms of a new token.
#[derive(Debug, Clone, Default)]
pub struct TokenTerms {
    /// Its purpose; the holder's name unless given.
    pub name: Option<String>,
    /// When it expires.
    pub expires_at: Option<i64>,
    /// Whether an ACS may send without a topic with it.
    pub personal: bool,
    /// Further limits for an ACS.
    pub limits: TokenLimits,
}

/// The sort key of a token in a list: newest first.
pub type TokenKey = (i64, Uuid);

macro_rules! select_token {
    ($rest:literal) => {
        concat!(
            "select t.*, coalesce(a.name, o.name, d.name) as holder from token t
             left join acs a on t.kind = 'acs' and a.client_no = t.client_no and a.no = t.holder_no
             left join operator o on t.kind = 'operator' and o.no = t.holder_no
             left join device d on t.kind = 'device' and d.client_no = t.client_no and d.no = t.holder_no
             where ($1 is null or t.client_no = $1) and ",
            $rest
        )
    };
}

impl Store {
    /// A page of tokens, newest first: of one client or of all; of one kind, or those of ACS and operators; revoked
    /// ones only if archived ones are asked for.
    pub async fn tokens(
        &self,
        within: Option<ClientNo>,
        kind: Option<TokenKind>,
        listing: &Listing<TokenKey>,
    ) -> Result<Rows<Token, TokenKey>> {
        let now = self.clock.now();
        let mut reader = self.read().await?;
        let rows = query(select_token!(
            "($2 or t.revoked_at is null)
             and case when $3 is null then t.kind <> 'device' else t.kind = $3 end
             and ($4 is null or (t.created_at, t.id) < ($4, $5))
             order by t.created_at desc, t.id desc limit $6"
        ))
        .bind(within)
        .bind(listing.archived)
        .bind(kind.map(TokenKind::as_str))
        .bind(listing.after.map(|(at, _)| at))
        .bind(listing.after.map(|(_, id)| id))
        .bind(listing.rows())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let token = read_token(row, now)?;
            let fits = listing.find.fits(&[&token.holder, &token.name]);
            Ok(fits.then(|| ((token.created_at.as_microsecond(), token.id), token)))
        })
        .await
    }

    /// The token with this id, of one client or of all.
    pub async fn token(&self, within: Option<ClientNo>, id: Uuid) -> Result<Token> {
        let row = token_row(&mut *self.read().await?, within, id).await?;
        read_token(&row, self.clock.now())
    }

    /// Limits that apply before tokens' rows are read; tokens without any are left out.
    pub async fn tokens_on_sight(&self) -> Result<HashMap<[u8; 32], OnSight>> {
        // One part per condition, because each has an index of its own; a token may be in several.
        let rows: Vec<(Vec<u8>, Option<i64>, bool, bool)> = query_as(
            "select hash, rate_limit, rate_limit_as_503, fit from token
             where rate_limit is not null and revoked_at is null
             union all
             select hash, rate_limit, rate_limit_as_503, fit from token
             where rate_limit_as_503 and revoked_at is null
             union all
             select hash, rate_limit, rate_limit_as_503, fit from token where fit and revoked_at is null",
        )
        .fetch_all(&mut *self.read().await?)
        .await?;
        let known = rows.into_iter().filter_map(|(hash, limit, rate_limit_as_503, fit)| {
            let rate_limit = limit.map(|limit| limit as u64);
            Some((hash.try_into().ok()?, OnSight { rate_limit, rate_limit_as_503, fit }))
        });
        Ok(known.collect())
    }

    /// ACS tokens that expire soon and have no successor, the first to expire first.
    pub async fn expiring_tokens(&self) -> Result<Vec<Token>> {
        let now = self.clock.now();
        let rows = query(select_token!(
            "t.kind = 'acs' and t.revoked_at is null and t.successor_id is null
             and t.expires_at > $2 and t.expires_at <= $3 order by t.expires_at, t.id"
        ))
        .bind(None::<ClientNo>)
        .bind(now)
        .bind(now + SOON)
        .fetch_all(&mut *self.read().await?)
        .await?;
        rows.iter().map(|row| read_token(row, now)).collect()
    }

    /// Issues a token. Its secret is only in the result.
    pub async fn issue_token(&self, holder: TokenFor<'_>, terms: &TokenTerms) -> Result<IssuedToken> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let new = match holder {
            TokenFor::Acs { client_no, name } => NewToken {
                client_no: Some(client_no),
                kind: TokenKind::Acs,
                holder_no: acs_for_token(&mut tx, client_no, name, now).await?.0,
                holder: name,
                terms,
            },
            TokenFor::Operator { within, name } => {
                let (operator_no, client_no) = live_operator(&mut tx, within, name).await?;
                let holder_no = operator_no.0;
                NewToken { client_no, kind: TokenKind::Operator, holder_no, holder: name, terms }
            }
        };
        let issued = insert_token(&mut tx, &new, now).await?;
        record_issued(&mut tx, issued.id, now).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// Issues a successor with the same holder, name and rights, and the same total validity. The token itself stays
    /// valid for at most `grace` more seconds; without any it is revoked.
    ///
    /// # Errors
    /// [`Error::Conflict`] when it is not valid any more, or has a successor already.
    pub async fn rotate_token(&self, within: Option<ClientNo>, id: Uuid, grace: i64) -> Result<IssuedToken> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        share_holder(&mut tx, id).await?;
        let row = token_row(&mut tx, within, id).await?;
        let old = read_token(&row, now)?;
        if old.kind == TokenKind::Device {
            return Err(Error::Conflict(text!(
                "a phone gets a new token by pairing again",
                "телефон получает новый токен при повторном подключении"
            )));
        }
        let successor_id = id::new(now);
        // First of all, so that of two concurrent rotations or revocations only one succeeds.
        if !hand_over(&mut tx, id, successor_id, now + grace * SECOND, now).await? {
            return Err(Error::Conflict(text!(
                "the token is revoked, has expired or was rotated already; issue a new one",
                "токен отозван, истёк или уже сменён; выпустите новый"
            )));
        }
        let works_for = old.expires_at.map(|end| end.as_microsecond() - old.created_at.as_microsecond());
        let terms = TokenTerms {
            name: Some(old.name.clone()),
            expires_at: works_for.map(|us| now + us),
            personal: old.personal,
            limits: TokenLimits::read(&row)?,
        };
        let successor = NewToken {
            client_no: row.try_get("client_no")?,
            kind: old.kind,
            holder_no: row.try_get("holder_no")?,
            holder: &old.holder,
            terms: &terms,
        };
        let issued = insert_token_as(&mut tx, successor_id, &successor, now).await?;
        let change = AuditChange::new("token.rotate", id.to_string()).before(&old);
        let left = token_row(&mut tx, None, id).await?;
        tx.record(chain_of(&row)?, change.after(&read_token(&left, now)?));
        record_issued(&mut tx, issued.id, now).await?;
        tx.commit().await?;
        Ok(issued)
    }

    /// Revokes a token; one that is revoked already stays so.
    pub async fn revoke_token(&self, within: Option<ClientNo>, id: Uuid) -> Result<()> {
        let mut tx = self.write().await?;
        let now = self.clock.now();
        let before = token_row(&mut tx, within, id).await?;
        revoke(&mut tx, within, id, now).await?;
        let after = token_row(&mut tx, within, id).await?;
        let change = AuditChange::new("token.revoke", id.to_string())
            .before(&read_token(&before, now)?)
            .after(&read_token(&after, now)?);
        tx.record(chain_of(&before)?, change);
        tx.commit().await
    }
}

async fn token_row(conn: &mut Conn, within: Option<ClientNo>, id: Uuid) -> Result<Row> {
    let row = query(select_token!("t.id = $2")).bind(within).bind(id).fetch_optional(conn).await?;
    row.ok_or_else(|| Error::not_found("token", id.to_string()))
}

/// Records a new token in the audit, without its secret.
async fn record_issued(tx: &mut Write, id: Uuid, now: i64) -> Result<()> {
    let row = token_row(tx, None, id).await?;
    let change = AuditChange::new("token.issue", id.to_string()).after(&read_token(&row, now)?);
    tx.record(chain_of(&row)?, change);
    Ok(())
}

/// The audit chain of a token.
fn chain_of(token: &Row) -> Result<ClientNo> {
    Ok(token.try_get::<Option<ClientNo>, _>("client_no")?.unwrap_or(SERVER))
}

/// Revokes all tokens of an ACS, an operator or a device.
pub(in crate::store) async fn revoke_tokens_of(
    tx: &mut Write,
    client_no: Option<ClientNo>,
    kind: TokenKind,
    holder_no: i64,
    now: i64,
) -> Result<()> {
    query(
        "update token set revoked_at = $4
         where client_no is not distinct from $1 and kind = $2 and holder_no = $3 and revoked_at is null",
    )
    .bind(client_no)
    .bind(kind.as_str())
    .bind(holder_no)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// A token to be stored.
pub(in crate::store) struct NewToken<'a> {
    pub(in crate::store) client_no: Option<ClientNo>,
    pub(in crate::store) kind: TokenKind,
    pub(in crate::store) holder_no: i64,
    pub(in crate::store) holder: &'a str,
    pub(in crate::store) terms: &'a TokenTerms,
}

pub(in crate::store) async fn insert_token(
    tx: &mut Write,
    new: &NewToken<'_>,
    now: i64,
) -> Result<IssuedToken> {
    insert_token_as(tx, id::new(now), new, now).await
}

async fn insert_token_as(tx: &mut Write, id: Uuid, new: &NewToken<'_>, now: i64) -> Result<IssuedToken> {
    let secret = token::generate(new.kind);
    let limits = &new.terms.limits;
    query(
        "insert into token (id, client_no, hash, kind, holder_no, name, shown, personal, created_at, expires_at,
                            scopes, topics, networks, rate_limit, rate_limit_as_503, fit)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16)",
    )
    .bind(id)
    .bind(new.client_no)
    .bind(token::hash(&secret).as_slice())
    .bind(new.kind.as_str())
    .bind(new.holder_no)
    .bind(new.terms.name.as_deref().unwrap_or(new.holder))
    .bind(token::shown(&secret))
    .bind(new.terms.personal)
    .bind(now)
    .bind(new.terms.expires_at)
    .bind(joined(&limits.scopes))
    .bind(joined(&limits.topics))
    .bind(joined(&limits.networks))
    .bind(limits.rate_limit.map(i64::from))
    .bind(limits.rate_limit_as_503)
    .bind(limits.fit)
    .execute(tx)
    .await?;
    Ok(IssuedToken {
        id,
        token: secret,
        kind: new.kind,
        holder: new.holder.to_owned(),
        expires_at: new.terms.expires_at.map(time::from_us),
    })
}

/// Locks the holder of a token for sharing. A concurrent archiving or move to another client must see the new token: to
/// revoke it, or take it along.
async fn share_holder(tx: &mut Write, id: Uuid) -> Result<()> {
    let acs = tx.shared("acs");
    query(format!(
        "select 1 from acs where (client_no, no) in (
             select client_no, holder_no from token where id = $1 and kind = 'acs'){acs}"
    ))
    .bind(id)
    .fetch_optional(tx)
    .await?;
    let operator = tx.shared("operator");
    query(format!(
        "select 1 from operator where no in (
             select holder_no from token where id = $1 and kind = 'operator'){operator}"
    ))
    .bind(id)
    .fetch_optional(tx)
    .await?;
    Ok(())
}

/// Limits a token's validity to `until`, because a successor takes over; returns whether it was valid and had no
/// successor. With no time left it is revoked.
async fn hand_over(tx: &mut Write, id: Uuid, successor_id: Uuid, until: i64, now: i64) -> Result<bool> {
    let changed = query(
        "update token set successor_id = $2,
             expires_at = case when $3 > $4 and (expires_at is null or expires_at > $3) then $3 else expires_at end,
             revoked_at = case when $3 > $4 then null else $4 end
         where id = $1 and revoked_at is null and successor_id is null and (expires_at is null or expires_at > $4)",
    )
    .bind(id)
    .bind(successor_id)
    .bind(until)
    .bind(now)
    .execute(tx)
    .await?
    .rows_affected();
    Ok(changed > 0)
}

async fn revoke(tx: &mut Write, within: Option<ClientNo>, id: Uuid, now: i64) -> Result<()> {
    query(
        "update token set revoked_at = coalesce(revoked_at, $3)
         where id = $2 and ($1 is null or client_no = $1)",
    )
    .bind(within)
    .bind(id)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

fn read_token(row: &Row, now: i64) -> Result<Token> {
    let limits = TokenLimits::read(row)?;
    let at = |column: &str| row.try_get::<Option<i64>, _>(column);
    let (expires_at, revoked_at) = (at("expires_at")?, at("revoked_at")?);
    let kind: String = row.try_get("kind")?;
    Ok(Token {
        id: row.try_get("id")?,
        kind: match kind.as_str() {
            "acs" => TokenKind::Acs,
            "operator" => TokenKind::Operator,
            _ => TokenKind::Device,
        },
        holder: row.try_get::<Option<String>, _>("holder")?.unwrap_or_default(),
        name: row.try_get("name")?,
        shown: row.try_get("shown")?,
        personal: row.try_get("personal")?,
        scopes: limits.scopes,
        topics: limits.topics,
        networks: limits.networks.iter().map(ToString::to_string).collect(),
        rate_limit: limits.rate_limit,
        rate_limit_as_503: limits.rate_limit_as_503,
        fit: limits.fit,
        successor: row.try_get("successor_id")?,
        expires_soon: revoked_at.is_none() && expires_at.is_some_and(|end| end > now && end - now <= SOON),
        used_at: at("used_at")?.map(time::from_us),
        used_from: row.try_get("used_from")?,
        created_at: time::from_us(row.try_get("created_at")?),
        expires_at: expires_at.map(time::from_us),
        revoked_at: revoked_at.map(time::from_us),
    })
}
