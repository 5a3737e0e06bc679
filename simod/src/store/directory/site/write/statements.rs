//! The statements: `cross join` tells SQLite to go through the rows that are given.

use simo_common::token::TokenKind;
use uuid::Uuid;

use super::rows::{Client, Rows};
use crate::store::{
    Error, Result, Write,
    db::{
        engine::{query, query_scalar},
        rows_as_json::json,
    },
    directory::ends::end_client,
};

pub(super) async fn put_operators(
    tx: &mut Write,
    client_id: Option<Uuid>,
    rows: &Rows,
    now: i64,
) -> Result<()> {
    let put = query(
        "insert into operator (id, client_id, name, role, created_at)
         select unhex(j.value->>0), $1, j.value->>1, j.value->>2, $3 from jsonb_each($2) j where true
         on conflict (name) do update set role = excluded.role, archived_at = null
         where operator.client_id is not distinct from excluded.client_id",
    )
    .bind(client_id)
    .bind(&rows.json)
    .bind(now)
    .execute(tx)
    .await?;
    all_of(rows, put.rows_affected())
}

pub(super) async fn archive_operators(
    tx: &mut Write,
    client_id: Option<Uuid>,
    rows: &Rows,
    now: i64,
) -> Result<()> {
    query(
        "update operator set archived_at = coalesce(archived_at, $2) where id in (select unhex(atom) from jsonb_each($1))",
    )
    .bind(&rows.json)
    .bind(now)
    .execute(tx)
    .await?;
    query("delete from login_code where operator_id in (select unhex(atom) from jsonb_each($1))")
        .bind(&rows.json)
        .execute(tx)
        .await?;
    revoke_held(tx, client_id, TokenKind::Operator, rows, now).await
}

async fn revoke_held(
    tx: &mut Write,
    client_id: Option<Uuid>,
    kind: TokenKind,
    holders: &Rows,
    now: i64,
) -> Result<()> {
    query(
        "update token set revoked_at = $4 where client_id is not distinct from $1 and kind = $2
         and holder_id in (select unhex(atom) from jsonb_each($3)) and revoked_at is null",
    )
    .bind(client_id)
    .bind(kind.as_str())
    .bind(&holders.json)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(())
}

/// What does not find its row has lost it to someone else.
fn all_of(rows: &Rows, written: u64) -> Result<()> {
    if written == rows.count { Ok(()) } else { Err(Error::ChangedMeanwhile) }
}

impl Client {
    pub(super) async fn put(&self, tx: &mut Write, now: i64) -> Result<()> {
        if self.plan.archive {
            query("update client set archived_at = coalesce(archived_at, $2) where id = $1")
                .bind(self.id)
                .bind(now)
                .execute(tx)
                .await?;
        }
        if self.plan.archive || self.plan.restore {
            end_client(tx, self.id, now).await?;
        }
        let Some(settings) = &self.plan.settings else {
            // Nobody else nests its groups meanwhile.
            let lock = tx.locked("client");
            query(format!("select 1 from client where id = $1{lock}"))
                .bind(self.id)
                .fetch_optional(tx)
                .await?;
            return Ok(());
        };
        let put = query(if self.is_new {
            "insert into client (id, name, timezone, payload, notification, default_ttl, retention_days, slug, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing"
        } else {
            "update client set name = $2, timezone = $3, payload = $4, notification = $5, default_ttl = $6,
                 retention_days = $7, archived_at = null
             where id = $1 and slug = $8 and created_at <= $9"
        })
        .bind(self.id)
        .bind(&settings.name)
        .bind(&settings.timezone)
        .bind(settings.payload.as_str())
        .bind(settings.notification)
        .bind(settings.default_ttl)
        .bind(settings.retention_days)
        .bind(&self.plan.slug)
        .bind(now)
        .execute(tx)
        .await?;
        if put.rows_affected() == 0 {
            return Err(Error::ChangedMeanwhile);
        }
        Ok(())
    }

    pub(super) async fn put_parties(&self, tx: &mut Write, now: i64) -> Result<()> {
        let client_id = Some(self.id);
        put_operators(tx, client_id, &self.operators, now).await?;
        archive_operators(tx, client_id, &Rows::ids(&self.plan.operators_gone), now).await?;
        query(
            "insert into acs (client_id, id, name, created_at)
             select $1, unhex(j.value->>0), j.value->>1, $3 from jsonb_each($2) j where true
             on conflict (client_id, name) do update set archived_at = null",
        )
        .bind(self.id)
        .bind(&self.acs.json)
        .bind(now)
        .execute(tx)
        .await?;
        let gone = Rows::ids(&self.plan.acs_gone);
        self.archive(tx, "acs", &gone, now).await?;
        revoke_held(tx, client_id, TokenKind::Acs, &gone, now).await?;
        let issued = query(
            "insert into token (id, client_id, hash, kind, holder_id, name, shown, created_at, personal, expires_at,
                                scopes, topics, networks, rate_limit, rate_limit_as_503, fit)
             select unhex(j.value->>0), $1, unhex(j.value->>1, ''), 'acs', a.id, j.value->>3, j.value->>4, $3,
                    j.value->>5 = 'yes', cast(j.value->>6 as integer), j.value->>7, j.value->>8, j.value->>9,
                    cast(j.value->>10 as integer), j.value->>11 = 'yes', j.value->>12 = 'yes'
             from jsonb_each($2) j cross join acs a
             where a.client_id = $1 and a.name = j.value->>2 and a.archived_at is null",
        )
        .bind(self.id)
        .bind(&self.tokens.json)
        .bind(now)
        .execute(tx)
        .await?;
        all_of(&self.tokens, issued.rows_affected())?;
        query(
            "update token set revoked_at = $3
             where client_id = $1 and id in (select unhex(atom) from jsonb_each($2)) and revoked_at is null",
        )
        .bind(self.id)
        .bind(Rows::ids(&self.plan.tokens_gone).json)
        .bind(now)
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) async fn put_groups(&self, tx: &mut Write, now: i64) -> Result<()> {
        query(
            "insert into \"group\" (client_id, id, slug, name, created_at)
             select $1, unhex(j.value->>0), j.value->>1, j.value->>2, $3 from jsonb_each($2) j where true
             on conflict (client_id, slug) do update set name = excluded.name, archived_at = null",
        )
        .bind(self.id)
        .bind(&self.groups.json)
        .bind(now)
        .execute(tx)
        .await?;
        self.archive(tx, "\"group\"", &Rows::ids(&self.plan.groups_gone), now).await?;
        query(
            "delete from group_inclusion where client_id = $1 and (group_id, included_id) in (
                 select o.id, i.id from jsonb_each($2) j cross join \"group\" o cross join \"group\" i
                 where o.client_id = $1 and o.slug = j.value->>0 and i.client_id = $1 and i.slug = j.value->>1)",
        )
        .bind(self.id)
        .bind(json(&self.plan.inclusions_gone))
        .execute(tx)
        .await?;
        query(
            "insert into group_inclusion (client_id, group_id, included_id)
             select $1, o.id, i.id from jsonb_each($2) j cross join \"group\" o cross join \"group\" i
             where o.client_id = $1 and o.slug = j.value->>0 and i.client_id = $1 and i.slug = j.value->>1
             on conflict do nothing",
        )
        .bind(self.id)
        .bind(json(&self.plan.inclusions))
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) async fn put_people(&self, tx: &mut Write, now: i64) -> Result<()> {
        let made = self.plan.people_made.len() as i64;
        let first: i64 = query_scalar(
            "update client set next_ordinal = next_ordinal + $2 where id = $1 returning next_ordinal - $2",
        )
        .bind(self.id)
        .bind(made)
        .fetch_one(tx)
        .await?;
        query(
            "insert into employee (client_id, id, ordinal, personnel_no, full_name, folded_name, sort_key, email, phone,
                                   locale, timezone, created_at, blocked_at)
             select $1, unhex(j.value->>0), $3 + j.key, j.value->>1, j.value->>2, j.value->>3, unhex(j.value->>4, ''),
                    j.value->>5, j.value->>6, j.value->>7, j.value->>8, $4, case when j.value->>9 = 'yes' then $4 end
             from jsonb_each($2) j where true
             on conflict (client_id, personnel_no) do update set
                 full_name = excluded.full_name, folded_name = excluded.folded_name, sort_key = excluded.sort_key,
                 email = excluded.email, phone = excluded.phone, locale = excluded.locale, timezone = excluded.timezone,
                 archived_at = null,
                 blocked_at = case when excluded.blocked_at is null then null
                                   else coalesce(employee.blocked_at, excluded.blocked_at) end",
        )
        .bind(self.id)
        .bind(&self.people.json)
        .bind(first)
        .bind(now)
        .execute(tx)
        .await?;
        self.archive(tx, "employee", &Rows::ids(&self.plan.people_gone), now).await?;
        query(
            "delete from group_member where client_id = $1 and (group_id, employee_id) in (
                 select g.id, e.id from jsonb_each($2) j cross join employee e cross join \"group\" g
                 where e.client_id = $1 and e.personnel_no = j.value->>0 and g.client_id = $1 and g.slug = j.value->>1)",
        )
        .bind(self.id)
        .bind(json(&self.plan.members_gone))
        .execute(tx)
        .await?;
        query(
            "insert into group_member (client_id, group_id, employee_id)
             select $1, g.id, e.id from jsonb_each($2) j cross join employee e cross join \"group\" g
             where e.client_id = $1 and e.personnel_no = j.value->>0 and g.client_id = $1 and g.slug = j.value->>1
             on conflict do nothing",
        )
        .bind(self.id)
        .bind(json(&self.plan.members))
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) async fn put_topics(&self, tx: &mut Write, now: i64) -> Result<()> {
        query(
            "insert into topic (client_id, id, slug, name, priority, recipients, created_at)
             select $1, unhex(j.value->>0), j.value->>1, j.value->>2, cast(j.value->>3 as integer), j.value->>4, $3
             from jsonb_each($2) j where true
             on conflict (client_id, slug) do update set name = excluded.name, priority = excluded.priority,
                 recipients = excluded.recipients, archived_at = null",
        )
        .bind(self.id)
        .bind(&self.topics.json)
        .bind(now)
        .execute(tx)
        .await?;
        self.archive(tx, "topic", &Rows::ids(&self.plan.topics_gone), now).await?;
        query(
            "delete from topic_grant where client_id = $1 and id in (select unhex(atom) from jsonb_each($2))",
        )
        .bind(self.id)
        .bind(Rows::ids(&self.plan.grants_gone).json)
        .execute(tx)
        .await?;
        let granted = query(
            "insert into topic_grant
                 (client_id, id, topic_id, employee_id, group_id, created_at, starts_at, ends_at, hours)
             select $1, unhex(j.value->>0), t.id, e.id, g.id, $3,
                    cast(j.value->>4 as integer), cast(j.value->>5 as integer), j.value->>6
             from jsonb_each($2) j cross join topic t
             left join employee e on e.client_id = $1 and e.personnel_no = j.value->>2
             left join \"group\" g on g.client_id = $1 and g.slug = j.value->>3
             where t.client_id = $1 and t.slug = j.value->>1
               and (j.value->>2 is null or e.id is not null) and (j.value->>3 is null or g.id is not null)
             on conflict (client_id, topic_id, coalesce(employee_id, x'00000000000000000000000000000000'),
                          coalesce(group_id, x'00000000000000000000000000000000'))
             do update set starts_at = excluded.starts_at, ends_at = excluded.ends_at, hours = excluded.hours",
        )
        .bind(self.id)
        .bind(&self.grants.json)
        .bind(now)
        .execute(tx)
        .await?;
        all_of(&self.grants, granted.rows_affected())
    }

    async fn archive(&self, tx: &mut Write, table: &str, rows: &Rows, now: i64) -> Result<()> {
        query(format!(
            "update {table} set archived_at = coalesce(archived_at, $3)
             where client_id = $1 and id in (select unhex(atom) from jsonb_each($2))"
        ))
        .bind(self.id)
        .bind(&rows.json)
        .bind(now)
        .execute(tx)
        .await?;
        Ok(())
    }
}
