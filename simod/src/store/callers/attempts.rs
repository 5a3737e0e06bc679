//! Counts that instances share ([`crate::guard`]), and refused attempts. A periodic duty writes both, so that no
//! request waits for them.

use simo_common::{
    api::audit::RefusedAttempts,
    time::{self, HOUR, SECOND},
};

use super::refused_posts::read_newest;
use crate::store::{
    ClientNo, Listing, Result, Rows, SERVER, Store, TokenNo,
    db::engine::{
        Kind::{Text, Whole},
        Row, query, query_as,
    },
    list::page,
};

/// A count of something in one minute, under a key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The key that is counted.
    pub key: String,
    /// The minute, since 1970.
    pub minute: i64,
    /// How many.
    pub count: u64,
}

/// Refused attempts of one kind.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refused {
    /// The client of the token.
    pub client_no: Option<ClientNo>,
    /// Where they came from; empty: from too many places to list.
    pub address: String,
    /// Why they were refused.
    pub reason: String,
    /// How many.
    pub count: u64,
    /// Time of the first.
    pub first_at: i64,
    /// Time of the last, in the same hour or soon after.
    pub last_at: i64,
}

/// A token that was refused, as far as it is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RefusedToken {
    /// Its client.
    pub client_no: Option<ClientNo>,
    /// Why it was refused: `revoked`, `expired`; else `archived` with its holder, unless the token is valid and its
    /// holder lacks the right.
    pub fate: &'static str,
}

/// Sort key of refused attempts: hour, client, address, reason, token and field.
pub type RefusedKey = (i64, ClientNo, String, String, TokenNo, String);

impl Store {
    /// Adds this instance's counts, and returns those of all instances together.
    pub async fn share_counts(&self, counted: &[Counted]) -> Result<Vec<Counted>> {
        // Instances with the same keys lock them in the same order.
        let mut rows: Vec<_> = counted.iter().map(|one| (one.minute, one.key.as_str(), one.count)).collect();
        rows.sort_unstable();
        let mut tx = self.write().await?;
        let sums: Vec<(i64, String, i64)> = query_as(
            "insert into attempt (minute, key, count)
             select {minute}, {key}, {count} from {rows} where true
             on conflict (minute, key) do update set count = attempt.count + excluded.count
             returning minute, key, count",
        )
        .over(
            [("minute", Whole), ("key", Text), ("count", Whole)],
            rows.into_iter().map(|(minute, key, count)| [minute.into(), key.into(), count.into()]),
        )
        .fetch_all(&mut tx)
        .await?;
        tx.commit().await?;
        let sums = sums.into_iter().map(|(minute, key, count)| Counted { key, minute, count: count as u64 });
        Ok(sums.collect())
    }

    /// Stores refused attempts, grouped by hour.
    pub async fn keep_refused(&self, refused: &[Refused]) -> Result<()> {
        let mut rows: Vec<_> = refused
            .iter()
            .map(|one| {
                (
                    one.client_no.unwrap_or(SERVER),
                    one.last_at / HOUR,
                    one.address.as_str(),
                    one.reason.as_str(),
                    one.count,
                    one.first_at,
                    one.last_at,
                )
            })
            .collect();
        rows.sort_unstable();
        let rows = rows.into_iter().map(|(client_no, hour, address, reason, count, first_at, last_at)| {
            [
                client_no.into(),
                hour.into(),
                address.into(),
                reason.into(),
                count.into(),
                first_at.into(),
                last_at.into(),
            ]
        });
        let mut tx = self.write().await?;
        query(
            "insert into refusal (client_no, hour, address, reason, count, first_at, last_at)
             select {client}, {hour}, {address}, {reason}, {count}, {first_at}, {last_at} from {rows} where true
             on conflict (client_no, hour, address, reason) do update
             set count = refusal.count + excluded.count, last_at = excluded.last_at",
        )
        .over(
            [
                ("client", Whole),
                ("hour", Whole),
                ("address", Text),
                ("reason", Text),
                ("count", Whole),
                ("first_at", Whole),
                ("last_at", Whole),
            ],
            rows,
        )
        .execute(&mut tx)
        .await?;
        tx.commit().await
    }

    /// Refused attempts with tokens of one client, or all, and refused posts; newest hour first. For one ACS only its
    /// posts.
    pub async fn refused(
        &self,
        within: Option<ClientNo>,
        acs: Option<&str>,
        listing: &Listing<RefusedKey>,
    ) -> Result<Rows<RefusedAttempts, RefusedKey>> {
        let mut reader = self.read().await?;
        let after = listing.after.clone();
        let (hour, client, address, reason, token, field) = after
            .map(|(hour, client, address, reason, token, field)| {
                (Some(hour), Some(client), Some(address), Some(reason), Some(token), Some(field))
            })
            .unwrap_or_default();
        let rows = query(
            "select u.*, c.slug, a.name as acs, t.shown from (
                 select * from (
                     select hour, client_no, address, reason, 0 as token_no, '' as field,
                            count, first_at, last_at, '[]' as newest
                     from refusal
                     where $2 is null and ($1 is null or client_no = $1)
                       and ($3 is null or (hour, client_no, address, reason, 0, '') < ($3, $4, $5, $6, $7, $8))
                     order by hour desc, client_no desc, address desc, reason desc limit $9) attempts
                 union all select * from (
                     select hour, client_no, '' as address, code as reason, token_no, field, count, first_at, last_at, newest
                     from refused_post p
                     where ($1 is null or client_no = $1)
                       and ($2 is null or exists (
                           select 1 from token t
                           join acs a on a.client_no = t.client_no and a.no = t.holder_no and a.name = $2
                           where t.client_no = p.client_no and t.no = p.token_no))
                       and ($3 is null or (hour, client_no, '', code, token_no, field) < ($3, $4, $5, $6, $7, $8))
                     order by hour desc, client_no desc, code desc, token_no desc, field desc limit $9) posts
             ) u
             left join client c on c.no = u.client_no
             left join token t on t.client_no = u.client_no and t.no = u.token_no
             left join acs a on a.client_no = t.client_no and a.no = t.holder_no
             order by u.hour desc, u.client_no desc, u.address desc, u.reason desc, u.token_no desc, u.field desc limit $9",
        )
        .bind(within)
        .bind(acs)
        .bind(hour)
        .bind(client)
        .bind(address)
        .bind(reason)
        .bind(token)
        .bind(field)
        .bind(listing.rows())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| {
            let attempts = read_refused(row)?;
            let newest = attempts.newest.iter();
            let newest =
                newest.flat_map(|post| [post.title.as_str(), post.external_id.as_deref().unwrap_or("")]);
            let optional = [&attempts.client, &attempts.acs, &attempts.field];
            let optional = optional.into_iter().filter_map(Option::as_deref);
            let names: Vec<&str> =
                [&*attempts.address, &*attempts.reason].into_iter().chain(optional).chain(newest).collect();
            let fits = listing.find.fits(&names);
            let key = (
                row.try_get("hour")?,
                row.try_get("client_no")?,
                attempts.address.clone(),
                attempts.reason.clone(),
                row.try_get("token_no")?,
                row.try_get("field")?,
            );
            Ok(fits.then_some((key, attempts)))
        })
        .await
    }

    /// Describes a refused token for the log; `None` when it never existed.
    pub async fn refused_token(&self, hash: &[u8; 32]) -> Result<Option<RefusedToken>> {
        let found: Option<(Option<ClientNo>, Option<i64>, Option<i64>)> =
            query_as("select client_no, revoked_at, expires_at from token where hash = $1")
                .bind(hash.as_slice())
                .fetch_optional(&mut *self.read().await?)
                .await?;
        let now = self.clock.now();
        Ok(found.map(|(client_no, revoked_at, expires_at)| RefusedToken {
            client_no,
            fate: match (revoked_at, expires_at) {
                (Some(_), _) => "revoked",
                (None, Some(at)) if at <= now => "expired",
                _ => "archived",
            },
        }))
    }

    /// Deletes the counts of past minutes, and those made while the clock was ahead.
    pub async fn forget_counts(&self) -> Result<()> {
        let minute = self.clock.now() / (60 * SECOND);
        let mut tx = self.write().await?;
        query("delete from attempt where minute < $1 or minute > $2")
            .bind(minute - 1)
            .bind(minute + 1)
            .execute(&mut tx)
            .await?;
        tx.commit().await
    }
}

fn read_refused(row: &Row) -> Result<RefusedAttempts> {
    Ok(RefusedAttempts {
        client: row.try_get("slug")?,
        acs: row.try_get("acs")?,
        token: row.try_get("shown")?,
        address: row.try_get("address")?,
        reason: row.try_get("reason")?,
        field: Some(row.try_get("field")?).filter(|field: &String| !field.is_empty()),
        count: row.try_get::<i64, _>("count")? as u64,
        first_at: time::from_us(row.try_get("first_at")?),
        last_at: time::from_us(row.try_get("last_at")?),
        newest: read_newest(&row.try_get::<String, _>("newest")?),
    })
}
