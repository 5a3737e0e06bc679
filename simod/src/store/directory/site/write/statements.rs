//! The statements: `cross join` makes SQLite iterate over the given rows.

use simo_common::token::TokenKind;

use super::rows::{Client, NO};
use crate::store::{
    ClientNo, EmployeeNo, Error, Result, Write,
    db::engine::{Kind::Text, Named, RowSet, Value, query, query_scalar},
    directory::ends::end_client,
};

pub(super) async fn put_operators(
    tx: &mut Write,
    client_no: Option<ClientNo>,
    rows: &RowSet,
    now: i64,
) -> Result<()> {
    let put = query(
        "insert into operator (client_no, name, role, created_at)
         select $1, {name}, {role}, $2 from {rows} where true
         on conflict (name) do update set role = excluded.role, archived_at = null
         where operator.client_no is not distinct from excluded.client_no",
    )
    .bind(client_no)
    .bind(now)
    .over_set(rows)
    .execute(tx)
    .await?;
    all_of(rows, put.rows_affected())
}

pub(super) async fn archive_operators(
    tx: &mut Write,
    client_no: Option<ClientNo>,
    rows: &RowSet,
    now: i64,
) -> Result<()> {
    query(
        "update operator set archived_at = coalesce(archived_at, $1) where no in (select {no} from {rows})",
    )
    .bind(now)
    .over_set(rows)
    .execute(tx)
    .await?;
    query("delete from login_code where operator_no in (select {no} from {rows})")
        .over_set(rows)
        .execute(tx)
        .await?;
    revoke_held(tx, client_no, TokenKind::Operator, rows, now).await
}

async fn revoke_held(
    tx: &mut Write,
    client_no: Option<ClientNo>,
    kind: TokenKind,
    holders: &RowSet,
    now: i64,
) -> Result<()> {
    query(
        "update token set revoked_at = $3 where client_no is not distinct from $1 and kind = $2
         and holder_no in (select {no} from {rows}) and revoked_at is null",
    )
    .bind(client_no)
    .bind(kind.as_str())
    .bind(now)
    .over_set(holders)
    .execute(tx)
    .await?;
    Ok(())
}

/// A group and one in it.
const INCLUSION: [Named; 2] = [("outer", Text), ("inner", Text)];

/// An employee and their group.
const MEMBER: [Named; 2] = [("no", Text), ("group", Text)];

fn pairs(pairs: &[(String, String)]) -> impl Iterator<Item = [Value<'_>; 2]> {
    pairs.iter().map(|(one, other)| [one.into(), other.into()])
}

/// A missing row was changed by a concurrent transaction.
fn all_of(rows: &RowSet, written: u64) -> Result<()> {
    if written == rows.count() { Ok(()) } else { Err(Error::ChangedMeanwhile) }
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
            // The client's groups are nested by one transaction at a time.
            let lock = tx.locked("client");
            query(format!("select 1 from client where no = $1{lock}"))
                .bind(self.no)
                .fetch_optional(tx)
                .await?;
            return Ok(());
        };
        let put: Option<ClientNo> = query_scalar(if self.no == ClientNo::NONE {
            "insert into client (slug, name, timezone, payload, notification, default_ttl, retention_days, created_at, webpush)
             values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing returning no"
        } else {
            "update client set name = $2, timezone = $3, payload = $4, notification = $5, default_ttl = $6,
                 retention_days = $7, webpush = $9, archived_at = null
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
        .bind(settings.webpush.as_str())
        .fetch_optional(tx)
        .await?;
        self.no = put.ok_or(Error::ChangedMeanwhile)?;
        Ok(())
    }

    pub(super) async fn put_parties(&self, tx: &mut Write, now: i64) -> Result<()> {
        let client_no = Some(self.no);
        put_operators(tx, client_no, &self.operators, now).await?;
        archive_operators(tx, client_no, &RowSet::of(NO, &self.plan.operators_gone), now).await?;
        query(
            "insert into acs (client_no, name, created_at)
             select $1, {name}, $2 from {rows} where true
             on conflict (client_no, name) do update set archived_at = null",
        )
        .bind(self.no)
        .bind(now)
        .over_set(&self.acs)
        .execute(tx)
        .await?;
        let gone = RowSet::of(NO, &self.plan.acs_gone);
        self.archive(tx, "acs", &gone, now).await?;
        revoke_held(tx, client_no, TokenKind::Acs, &gone, now).await?;
        let issued = query(
            "insert into token (id, client_no, hash, kind, holder_no, name, shown, created_at, personal, expires_at,
                                scopes, topics, networks, rate_limit, rate_limit_as_503, fit)
             select {id}, $1, {hash}, 'acs', a.no, {name}, {shown}, $2, {personal}, {expires_at}, {scopes}, {topics},
                    {networks}, {rate_limit}, {rate_limit_as_503}, {fit}
             from {rows} cross join acs a
             where a.client_no = $1 and a.name = {acs} and a.archived_at is null",
        )
        .bind(self.no)
        .bind(now)
        .over_set(&self.tokens)
        .execute(tx)
        .await?;
        all_of(&self.tokens, issued.rows_affected())?;
        query(
            "update token set revoked_at = $2
             where (client_no, no) in (select $1, {no} from {rows}) and revoked_at is null",
        )
        .bind(self.no)
        .bind(now)
        .each(NO, &self.plan.tokens_gone)
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) async fn put_groups(&self, tx: &mut Write, now: i64) -> Result<()> {
        query(
            "insert into \"group\" (client_no, slug, name, created_at)
             select $1, {slug}, {name}, $2 from {rows} where true
             on conflict (client_no, slug) do update set name = excluded.name, archived_at = null",
        )
        .bind(self.no)
        .bind(now)
        .over_set(&self.groups)
        .execute(tx)
        .await?;
        self.archive(tx, "\"group\"", &RowSet::of(NO, &self.plan.groups_gone), now).await?;
        query(
            "delete from group_inclusion where client_no = $1 and (group_no, included_no) in (
                 select o.no, i.no from {rows} cross join \"group\" o cross join \"group\" i
                 where o.client_no = $1 and o.slug = {outer} and i.client_no = $1 and i.slug = {inner})",
        )
        .bind(self.no)
        .over(INCLUSION, pairs(&self.plan.inclusions_gone))
        .execute(tx)
        .await?;
        query(
            "insert into group_inclusion (client_no, group_no, included_no)
             select $1, o.no, i.no from {rows} cross join \"group\" o cross join \"group\" i
             where o.client_no = $1 and o.slug = {outer} and i.client_no = $1 and i.slug = {inner}
             on conflict do nothing",
        )
        .bind(self.no)
        .over(INCLUSION, pairs(&self.plan.inclusions))
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
             select $1, $2 + {#}, {no}, {full_name}, {folded_name}, {sort_key}, {email}, {phone}, {locale}, {timezone},
                    $3, case when {blocked} then $3 end
             from {rows} where true
             on conflict (client_no, personnel_no) do update set
                 full_name = excluded.full_name, folded_name = excluded.folded_name, sort_key = excluded.sort_key,
                 email = excluded.email, phone = excluded.phone, locale = excluded.locale, timezone = excluded.timezone,
                 archived_at = null,
                 blocked_at = case when excluded.blocked_at is null then null
                                   else coalesce(employee.blocked_at, excluded.blocked_at) end",
        )
        .bind(self.no)
        .bind(first)
        .bind(now)
        .over_set(&self.people)
        .execute(tx)
        .await?;
        self.archive(tx, "employee", &RowSet::of(NO, &self.plan.people_gone), now).await?;
        query(
            "delete from group_member where client_no = $1 and (group_no, employee_no) in (
                 select g.no, e.no from {rows} cross join employee e cross join \"group\" g
                 where e.client_no = $1 and e.personnel_no = {no} and g.client_no = $1 and g.slug = {group})",
        )
        .bind(self.no)
        .over(MEMBER, pairs(&self.plan.members_gone))
        .execute(tx)
        .await?;
        query(
            "insert into group_member (client_no, group_no, employee_no)
             select $1, g.no, e.no from {rows} cross join employee e cross join \"group\" g
             where e.client_no = $1 and e.personnel_no = {no} and g.client_no = $1 and g.slug = {group}
             on conflict do nothing",
        )
        .bind(self.no)
        .over(MEMBER, pairs(&self.plan.members))
        .execute(tx)
        .await?;
        Ok(())
    }

    pub(super) async fn put_topics(&self, tx: &mut Write, now: i64) -> Result<()> {
        query(
            "insert into topic (client_no, slug, name, priority, recipients, created_at)
             select $1, {slug}, {name}, {priority}, {recipients}, $2 from {rows} where true
             on conflict (client_no, slug) do update set name = excluded.name, priority = excluded.priority,
                 recipients = excluded.recipients, archived_at = null",
        )
        .bind(self.no)
        .bind(now)
        .over_set(&self.topics)
        .execute(tx)
        .await?;
        self.archive(tx, "topic", &RowSet::of(NO, &self.plan.topics_gone), now).await?;
        query("delete from topic_grant where (client_no, no) in (select $1, {no} from {rows})")
            .bind(self.no)
            .each(NO, &self.plan.grants_gone)
            .execute(tx)
            .await?;
        let granted = query(
            "insert into topic_grant
                 (client_no, id, topic_no, employee_no, group_no, created_at, starts_at, ends_at, hours)
             select $1, {id}, t.no, e.no, g.no, $2, {starts_at}, {ends_at}, {hours}
             from {rows} cross join topic t
             left join employee e on e.client_no = $1 and e.personnel_no = {employee}
             left join \"group\" g on g.client_no = $1 and g.slug = {group}
             where t.client_no = $1 and t.slug = {topic}
               and ({employee} is null or e.no is not null) and ({group} is null or g.no is not null)
             on conflict (client_no, topic_no, coalesce(employee_no, 0), coalesce(group_no, 0))
             do update set starts_at = excluded.starts_at, ends_at = excluded.ends_at, hours = excluded.hours",
        )
        .bind(self.no)
        .bind(now)
        .over_set(&self.grants)
        .execute(tx)
        .await?;
        all_of(&self.grants, granted.rows_affected())
    }

    async fn archive(&self, tx: &mut Write, table: &str, rows: &RowSet, now: i64) -> Result<()> {
        query(format!(
            "update {table} set archived_at = coalesce(archived_at, $2)
             where (client_no, no) in (select $1, {{no}} from {{rows}})"
        ))
        .bind(self.no)
        .bind(now)
        .over_set(rows)
        .execute(tx)
        .await?;
        Ok(())
    }
}
