//! The statements: `cross join` tells SQLite to go through the rows that are given.

use simo_common::token::TokenKind;

use super::rows::{Client, Rows};
use crate::store::{
    ClientNo, EmployeeNo, Error, Result, Write,
    db::{
        engine::{query, query_scalar},
        rows_as_json::json,
    },
    directory::ends::end_client,
};

pub(super) async fn put_operators(
    tx: &mut Write,
    client_no: Option<ClientNo>,
    rows: &Rows,
    now: i64,
) -> Result<()> {
    let put = query(
        "insert into operator (client_no, name, role, created_at)
         select $1, j.value->>0, j.value->>1, $3 from jsonb_each($2) j where true
         on conflict (name) do update set role = excluded.role, archived_at = null
         where operator.client_no is not distinct from excluded.client_no",
    )
    .bind(client_no)
    .bind(&rows.json)
    .bind(now)
    .execute(tx)
    .await?;
    all_of(rows, put.rows_affected())
}

pub(super) async fn archive_operators(
    tx: &mut Write,
    client_no: Option<ClientNo>,
    rows: &Rows,
    now: i64,
) -> Result<()> {
    query(
        "update operator set archived_at = coalesce(archived_at, $2)
         where no in (select cast(atom as integer) from jsonb_each($1))",
    )
    .bind(&rows.json)
    .bind(now)
    .execute(tx)
    .await?;
    query("delete from login_code where operator_no in (select cast(atom as integer) from jsonb_each($1))")
        .bind(&rows.json)
        .execute(tx)
        .await?;
    revoke_held(tx, client_no, TokenKind::Operator, rows, now).await
}

async fn revoke_held(
    tx: &mut Write,
    client_no: Option<ClientNo>,
    kind: TokenKind,
    holders: &Rows,
    now: i64,
) -> Result<()> {
    query(
        "update token set revoked_at = $4 where client_no is not distinct from $1 and kind = $2
         and holder_no in (select cast(atom as integer) from jsonb_each($3)) and revoked_at is null",
    )
    .bind(client_no)
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
    pub(super) async fn put(&mut self, tx: &mut Write, now: i64) -> Result<()> {
        if self.plan.archive {
            query("update client set archived_at = coalesce(archived_at, $2) where no = $1")
                .bind(self.no)
                .bind(now)
                .execute(tx)
                .await?;
        }
        if self.plan.archive || self.plan.restore {
            end_client(tx, self.no, now).await?;
        }
        let Some(settings) = &self.plan.settings else {
            // Nobody else nests its groups meanwhile.
            let lock = tx.locked("client");
            query(format!("select 1 from client where no = $1{lock}"))
                .bind(self.no)
                .fetch_optional(tx)
                .await?;
            return Ok(());
        };
        let put: Option<ClientNo> = query_scalar(if self.no == ClientNo::NONE {
            "insert into client (slug, name, timezone, payload, notification, default_ttl, retention_days, created_at)
             values ($1, $2, $3, $4, $5, $6, $7, $8) on conflict do nothing returning no"
        } else {
            "update client set name = $2, timezone = $3, payload = $4, notification = $5, default_ttl = $6,
                 retention_days = $7, archived_at = null
             where slug = $1 and created_at <= $8 returning no"
        })
        .bind(&self.plan.slug)
        .bind(&settings.name)
        .bind(&settings.timezone)
        .bind(settings.payload.as_str())
        .bind(settings.notification)
        .bind(settings.default_ttl)
        .bind(settings.retention_days)
        .bind(now)
        .fetch_optional(tx)
        .await?;
        self.no = put.ok_or(Error::ChangedMeanwhile)?;
        Ok(())
    }

    pub(super) async fn put_parties(&self, tx: &mut Write, now: i64) -> Result<()> {
        let client_no = Some(self.no);
        put_operators(tx, client_no, &self.operators, now).await?;
        archive_operators(tx, client_no, &Rows::of(&self.plan.operators_gone), now).await?;
        query(
            "insert into acs (client_no, name, created_at)
             select $1, j.atom, $3 from jsonb_each($2) j where true
             on conflict (client_no, name) do update set archived_at = null",
        )
        .bind(self.no)
        .bind(&self.acs.json)
        .bind(now)
        .execute(tx)
        .await?;
        let gone = Rows::of(&self.plan.acs_gone);
        self.archive(tx, "acs", &gone, now).await?;
        revoke_held(tx, client_no, TokenKind::Acs, &gone, now).await?;
        let issued = query(
            "insert into token (id, client_no, hash, kind, holder_no, name, shown, created_at, personal, expires_at,
                                scopes, topics, networks, rate_limit, rate_limit_as_503, fit)
             select unhex(j.value->>0), $1, unhex(j.value->>1, ''), 'acs', a.no, j.value->>3, j.value->>4, $3,
                    j.value->>5 = 'yes', cast(j.value->>6 as integer), j.value->>7, j.value->>8, j.value->>9,
                    cast(j.value->>10 as integer), j.value->>11 = 'yes', j.value->>12 = 'yes'
             from jsonb_each($2) j cross join acs a
             where a.client_no = $1 and a.name = j.value->>2 and a.archived_at is null",
        )
        .bind(self.no)
        .bind(&self.tokens.json)
        .bind(now)
        .execute(tx)
        .await?;
        all_of(&self.tokens, issued.rows_affected())?;
        query(
            "update token set revoked_at = $3
             where (client_no, no) in (select $1, cast(atom as integer) from jsonb_each($2)) and revoked_at is null",
        )
        .bind(self.no)
        .bind(Rows::of(&self.plan.tokens_gone).json)
        .bind(now)
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) async fn put_groups(&self, tx: &mut Write, now: i64) -> Result<()> {
        query(
            "insert into \"group\" (client_no, slug, name, created_at)
             select $1, j.value->>0, j.value->>1, $3 from jsonb_each($2) j where true
             on conflict (client_no, slug) do update set name = excluded.name, archived_at = null",
        )
        .bind(self.no)
        .bind(&self.groups.json)
        .bind(now)
        .execute(tx)
        .await?;
        self.archive(tx, "\"group\"", &Rows::of(&self.plan.groups_gone), now).await?;
        query(
            "delete from group_inclusion where client_no = $1 and (group_no, included_no) in (
                 select o.no, i.no from jsonb_each($2) j cross join \"group\" o cross join \"group\" i
                 where o.client_no = $1 and o.slug = j.value->>0 and i.client_no = $1 and i.slug = j.value->>1)",
        )
        .bind(self.no)
        .bind(json(&self.plan.inclusions_gone))
        .execute(tx)
        .await?;
        query(
            "insert into group_inclusion (client_no, group_no, included_no)
             select $1, o.no, i.no from jsonb_each($2) j cross join \"group\" o cross join \"group\" i
             where o.client_no = $1 and o.slug = j.value->>0 and i.client_no = $1 and i.slug = j.value->>1
             on conflict do nothing",
        )
        .bind(self.no)
        .bind(json(&self.plan.inclusions))
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) async fn put_people(&self, tx: &mut Write, now: i64) -> Result<()> {
        let made = self.plan.people_made.len() as i64;
        let first: EmployeeNo = query_scalar(
            "update client set next_employee_no = next_employee_no + $2 where no = $1 returning next_employee_no - $2",
        )
        .bind(self.no)
        .bind(made)
        .fetch_one(tx)
        .await?;
        query(
            "insert into employee (client_no, no, personnel_no, full_name, folded_name, sort_key, email, phone, locale,
                                   timezone, created_at, blocked_at)
             select $1, $3 + j.key, j.value->>0, j.value->>1, j.value->>2, unhex(j.value->>3, ''), j.value->>4, j.value->>5,
                    j.value->>6, j.value->>7, $4, case when j.value->>8 = 'yes' then $4 end
             from jsonb_each($2) j where true
             on conflict (client_no, personnel_no) do update set
                 full_name = excluded.full_name, folded_name = excluded.folded_name, sort_key = excluded.sort_key,
                 email = excluded.email, phone = excluded.phone, locale = excluded.locale, timezone = excluded.timezone,
                 archived_at = null,
                 blocked_at = case when excluded.blocked_at is null then null
                                   else coalesce(employee.blocked_at, excluded.blocked_at) end",
        )
        .bind(self.no)
        .bind(&self.people.json)
        .bind(first)
        .bind(now)
        .execute(tx)
        .await?;
        self.archive(tx, "employee", &Rows::of(&self.plan.people_gone), now).await?;
        query(
            "delete from group_member where client_no = $1 and (group_no, employee_no) in (
                 select g.no, e.no from jsonb_each($2) j cross join employee e cross join \"group\" g
                 where e.client_no = $1 and e.personnel_no = j.value->>0 and g.client_no = $1 and g.slug = j.value->>1)",
        )
        .bind(self.no)
        .bind(json(&self.plan.members_gone))
        .execute(tx)
        .await?;
        query(
            "insert into group_member (client_no, group_no, employee_no)
             select $1, g.no, e.no from jsonb_each($2) j cross join employee e cross join \"group\" g
             where e.client_no = $1 and e.personnel_no = j.value->>0 and g.client_no = $1 and g.slug = j.value->>1
             on conflict do nothing",
        )
        .bind(self.no)
        .bind(json(&self.plan.members))
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) async fn put_topics(&self, tx: &mut Write, now: i64) -> Result<()> {
        query(
            "insert into topic (client_no, slug, name, priority, recipients, created_at)
             select $1, j.value->>0, j.value->>1, cast(j.value->>2 as integer), j.value->>3, $3
             from jsonb_each($2) j where true
             on conflict (client_no, slug) do update set name = excluded.name, priority = excluded.priority,
                 recipients = excluded.recipients, archived_at = null",
        )
        .bind(self.no)
        .bind(&self.topics.json)
        .bind(now)
        .execute(tx)
        .await?;
        self.archive(tx, "topic", &Rows::of(&self.plan.topics_gone), now).await?;
        query(
            "delete from topic_grant where (client_no, no) in (select $1, cast(atom as integer) from jsonb_each($2))",
        )
        .bind(self.no)
        .bind(Rows::of(&self.plan.grants_gone).json)
        .execute(tx)
        .await?;
        let granted = query(
            "insert into topic_grant
                 (client_no, id, topic_no, employee_no, group_no, created_at, starts_at, ends_at, hours)
             select $1, unhex(j.value->>0), t.no, e.no, g.no, $3,
                    cast(j.value->>4 as integer), cast(j.value->>5 as integer), j.value->>6
             from jsonb_each($2) j cross join topic t
             left join employee e on e.client_no = $1 and e.personnel_no = j.value->>2
             left join \"group\" g on g.client_no = $1 and g.slug = j.value->>3
             where t.client_no = $1 and t.slug = j.value->>1
               and (j.value->>2 is null or e.no is not null) and (j.value->>3 is null or g.no is not null)
             on conflict (client_no, topic_no, coalesce(employee_no, 0), coalesce(group_no, 0))
             do update set starts_at = excluded.starts_at, ends_at = excluded.ends_at, hours = excluded.hours",
        )
        .bind(self.no)
        .bind(&self.grants.json)
        .bind(now)
        .execute(tx)
        .await?;
        all_of(&self.grants, granted.rows_affected())
    }

    async fn archive(&self, tx: &mut Write, table: &str, rows: &Rows, now: i64) -> Result<()> {
        query(format!(
            "update {table} set archived_at = coalesce(archived_at, $3)
             where (client_no, no) in (select $1, cast(atom as integer) from jsonb_each($2))"
        ))
        .bind(self.no)
        .bind(&rows.json)
        .bind(now)
        .execute(tx)
        .await?;
        Ok(())
    }
}
