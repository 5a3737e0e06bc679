//! Importing employees: a file's rows become the truth about the people that it names, all or nothing.
//!
//! What differs is found out on a reader's snapshot, so that the writer is held only for the rows that change, in a
//! handful of statements. Those are upserts: what others changed in between does no harm.

mod plan;

use simo_common::{
    api::people::{ImportReport, ImportRow},
    id,
};
use uuid::Uuid;

pub(in crate::store) use self::plan::doubt;
use self::plan::{Known, Person, Plan};
use super::{ends::sweep, succession::free_numbers};
use crate::store::{
    Error, Result, Store, Write,
    db::{
        engine::{Conn, query, query_scalar},
        rows_as_json::json,
    },
};

impl Store {
    /// Makes and changes employees as `rows` say, and makes missing groups; with `dry_run` only says what it would do.
    /// Absent optional fields stay as they are, empty ones are cleared, the groups are all that a person has. Who is
    /// archived comes back, unless the number passes to another person.
    ///
    /// The rows must be valid and name nobody twice.
    ///
    /// # Errors
    /// All numbers that are known under quite another name, when their rows do not say who is meant.
    pub async fn import_employees(
        &self,
        client_id: Uuid,
        rows: Vec<ImportRow>,
        dry_run: bool,
    ) -> Result<ImportReport> {
        let rows = std::sync::Arc::new(rows);
        loop {
            let known = self.known(client_id, &rows).await?;
            let ordinal = known.next_ordinal;
            let now = self.clock.now();
            let mut plan = tokio::task::spawn_blocking({
                let rows = rows.clone();
                move || Plan::new(&rows, &known, || id::new(now))
            })
            .await?;
            if !plan.doubts.is_empty() {
                return Err(Error::Invalid(plan.doubts));
            }
            if dry_run || plan.is_empty() {
                return Ok(ImportReport { dry_run, ..plan.report });
            }
            let mut tx = self.write().await?;
            let numbers: Vec<&str> = plan.succeeded.iter().map(String::as_str).collect();
            let left = free_numbers(&mut tx, client_id, &numbers, now).await?;
            sweep(&mut tx, client_id, now).await?;
            // Someone made employees meanwhile: what is new and what is not has to be found out again. Nobody makes any from now
            // on until we are done.
            if take_ordinals(&mut tx, client_id, plan.report.created).await? != ordinal {
                tx.rollback().await?;
                continue;
            }
            store(&mut tx, client_id, &plan, ordinal, now).await?;
            for change in plan.audit.drain(..) {
                tx.record(client_id, change);
            }
            tx.commit().await?;
            self.deny_rest(client_id, &left).await?;
            return Ok(plan.report);
        }
    }

    /// What the database knows of the people and groups that the rows name: one snapshot.
    async fn known(&self, client_id: Uuid, rows: &[ImportRow]) -> Result<Known> {
        let numbers: Vec<&str> = rows.iter().map(|row| &*row.employee.personnel_no).collect();
        let mut snapshot = self.snapshot().await?;
        let mut known =
            Known { next_ordinal: next_ordinal(&mut snapshot, client_id).await?, ..Known::default() };
        let groups =
            query_scalar::<String>("select slug from \"group\" where client_id = $1 and archived_at is null")
                .bind(client_id)
                .fetch_all(&mut snapshot)
                .await?;
        known.groups.extend(groups);
        let people = query(
            "select j.key as place, e.full_name, e.email, e.phone, e.locale, e.timezone, e.archived_at,
                 (select string_agg(g.slug, ',' order by g.slug) from group_member m
                  join \"group\" g on g.client_id = m.client_id and g.id = m.group_id
                  where m.client_id = e.client_id and m.employee_id = e.id and g.archived_at is null) as groups
             from jsonb_each($2) j cross join employee e where e.client_id = $1 and e.personnel_no = j.atom",
        )
        .bind(client_id)
        .bind(json(&numbers))
        .fetch_all(&mut snapshot)
        .await?;
        for row in people {
            let groups: Option<String> = row.try_get("groups")?;
            known.people.insert(
                row.try_get::<i64, _>("place")? as usize,
                Person {
                    full_name: row.try_get("full_name")?,
                    email: row.try_get("email")?,
                    phone: row.try_get("phone")?,
                    locale: row.try_get("locale")?,
                    timezone: row.try_get("timezone")?,
                    groups: groups.iter().flat_map(|slugs| slugs.split(',')).map(str::to_owned).collect(),
                    archived: row.try_get::<Option<i64>, _>("archived_at")?.is_some(),
                },
            );
        }
        Ok(known)
    }
}

async fn next_ordinal(connection: &mut Conn, client_id: Uuid) -> Result<i64> {
    Ok(query_scalar("select next_ordinal from client where id = $1")
        .bind(client_id)
        .fetch_one(connection)
        .await?)
}

/// Takes so many ordinals; returns the first one.
async fn take_ordinals(tx: &mut Write, client_id: Uuid, count: u64) -> Result<i64> {
    Ok(query_scalar(
        "update client set next_ordinal = next_ordinal + $2 where id = $1 returning next_ordinal - $2",
    )
    .bind(client_id)
    .bind(count as i64)
    .fetch_one(tx)
    .await?)
}

/// `cross join` tells SQLite to go through the rows that are given, not through all employees for each of them.
async fn store(tx: &mut Write, client_id: Uuid, plan: &Plan, first: i64, now: i64) -> Result<()> {
    query(
        "insert into \"group\" (client_id, id, slug, name, created_at)
         select $1, unhex(j.value->>0), j.value->>1, j.value->>1, $3 from jsonb_each($2) j where true
         on conflict (client_id, slug) do update set archived_at = null",
    )
    .bind(client_id)
    .bind(&plan.groups)
    .bind(now)
    .execute(tx)
    .await?;
    // New people come first in the list, so that exactly they take the ordinals.
    query(
        "insert into employee (client_id, id, ordinal, personnel_no, full_name, folded_name, sort_key, email, phone,
                               locale, timezone, created_at)
         select $1, unhex(j.value->>0), $3 + j.key, j.value->>1, j.value->>2, j.value->>3, unhex(j.value->>4, ''),
                j.value->>5, j.value->>6, j.value->>7, j.value->>8, $4
         from jsonb_each($2) j where true
         on conflict (client_id, personnel_no) do update set
             full_name = excluded.full_name, folded_name = excluded.folded_name, sort_key = excluded.sort_key,
             email = excluded.email, phone = excluded.phone, locale = excluded.locale, timezone = excluded.timezone,
             archived_at = null",
    )
    .bind(client_id)
    .bind(&plan.people)
    .bind(first)
    .bind(now)
    .execute(tx)
    .await?;
    query(
        "delete from group_member where client_id = $1 and employee_id in (
             select e.id from jsonb_each($2) j
             cross join employee e where e.client_id = $1 and e.personnel_no = j.value->>0)",
    )
    .bind(client_id)
    .bind(&plan.members)
    .execute(tx)
    .await?;
    query(
        "insert into group_member (client_id, group_id, employee_id)
         select $1, g.id, e.id from jsonb_each($2) j
         cross join employee e cross join jsonb_each(j.value, '$[1]') s cross join \"group\" g
         where e.client_id = $1 and e.personnel_no = j.value->>0 and g.client_id = $1 and g.slug = s.atom
         on conflict do nothing",
    )
    .bind(client_id)
    .bind(&plan.members)
    .execute(tx)
    .await?;
    Ok(())
}
