//! Importing employees: a file's rows replace the data of the people they name, all or nothing.
//!
//! Differences are found on a reader's snapshot, so that the writer is held only for the rows that change, in a handful
//! of statements. Those are upserts: changes by others in between do no harm.

mod plan;

use simo_common::api::people::{ImportReport, ImportRow};

pub(in crate::store) use self::plan::doubt;
use self::plan::{ImportPlan, KnownPeople, PlannedPerson};
use super::{ends::sweep, succession::free_numbers};
use crate::store::{
    ClientNo, EmployeeNo, Error, Result, Store, Write,
    db::engine::{Conn, Kind::Text, query, query_scalar},
};

impl Store {
    /// Creates and changes employees as `rows` say, and creates missing groups; with `dry_run` only reports what it
    /// would do. Absent optional fields stay as they are, empty ones are cleared, and the groups replace a person's
    /// groups. Archived people are restored, unless the number passes to another person.
    ///
    /// The rows must be valid and name each person once.
    ///
    /// # Errors
    /// Lists all numbers that are known under quite another name, if their rows do not say which person is meant.
    pub async fn import_employees(
        &self,
        client_no: ClientNo,
        rows: Vec<ImportRow>,
        dry_run: bool,
    ) -> Result<ImportReport> {
        let rows = std::sync::Arc::new(rows);
        loop {
            let known = self.known(client_no, &rows).await?;
            let next = known.next_employee_no;
            let now = self.clock.now();
            let mut plan = tokio::task::spawn_blocking({
                let rows = rows.clone();
                move || ImportPlan::new(&rows, &known)
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
            let left = free_numbers(&mut tx, client_no, &numbers, now).await?;
            sweep(&mut tx, client_no, now).await?;
            // Employees were created meanwhile: the differences have to be found again. From now on none can be created
            // until we are done.
            if take_employee_nos(&mut tx, client_no, plan.report.created).await? != next {
                tx.rollback().await?;
                continue;
            }
            store(&mut tx, client_no, &plan, next, now).await?;
            for change in plan.audit.drain(..) {
                tx.record(client_no, change);
            }
            tx.commit().await?;
            self.deny_to(client_no, &left).await?;
            return Ok(plan.report);
        }
    }

    /// The people and groups of the rows as stored, in one snapshot.
    async fn known(&self, client_no: ClientNo, rows: &[ImportRow]) -> Result<KnownPeople> {
        let numbers: Vec<&str> = rows.iter().map(|row| &*row.employee.personnel_no).collect();
        let mut snapshot = self.snapshot().await?;
        let next_employee_no = next_employee_no(&mut snapshot, client_no).await?;
        let mut known = KnownPeople { next_employee_no, ..KnownPeople::default() };
        let groups =
            query_scalar::<String>("select slug from \"group\" where client_no = $1 and archived_at is null")
                .bind(client_no)
                .fetch_all(&mut snapshot)
                .await?;
        known.groups.extend(groups);
        let people = query(
            "select {#} as place, e.full_name, e.email, e.phone, e.locale, e.timezone, e.archived_at,
                 (select string_agg(g.slug, ',' order by g.slug) from group_member m
                  join \"group\" g on g.client_no = m.client_no and g.no = m.group_no
                  where m.client_no = e.client_no and m.employee_no = e.no and g.archived_at is null) as groups
             from {rows} cross join employee e where e.client_no = $1 and e.personnel_no = {no}",
        )
        .bind(client_no)
        .each(("no", Text), numbers)
        .fetch_all(&mut snapshot)
        .await?;
        for row in people {
            let groups: Option<String> = row.try_get("groups")?;
            known.people.insert(
                row.try_get::<i64, _>("place")? as usize,
                PlannedPerson {
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

async fn next_employee_no(connection: &mut Conn, client_no: ClientNo) -> Result<EmployeeNo> {
    Ok(query_scalar("select next_employee_no from client where no = $1")
        .bind(client_no)
        .fetch_one(connection)
        .await?)
}

/// Takes this many employee numbers; returns the first one.
async fn take_employee_nos(tx: &mut Write, client_no: ClientNo, count: u64) -> Result<EmployeeNo> {
    Ok(query_scalar(
        "update client set next_employee_no = next_employee_no + $2 where no = $1 returning next_employee_no - $2",
    )
    .bind(client_no)
    .bind(count as i64)
    .fetch_one(tx)
    .await?)
}

/// `cross join` makes SQLite iterate over the given rows, not over all employees for each of them.
async fn store(
    tx: &mut Write,
    client_no: ClientNo,
    plan: &ImportPlan,
    first: EmployeeNo,
    now: i64,
) -> Result<()> {
    query(
        "insert into \"group\" (client_no, slug, name, created_at)
         select $1, {slug}, {slug}, $2 from {rows} where true
         on conflict (client_no, slug) do update set archived_at = null",
    )
    .bind(client_no)
    .bind(now)
    .over_set(&plan.groups)
    .execute(tx)
    .await?;
    // New people come first in the list, so that exactly they take the numbers.
    query(
        "insert into employee (client_no, no, personnel_no, full_name, folded_name, sort_key, email, phone, locale,
                               timezone, created_at)
         select $1, $2 + {#}, {no}, {full_name}, {folded_name}, {sort_key}, {email}, {phone}, {locale}, {timezone}, $3
         from {rows} where true
         on conflict (client_no, personnel_no) do update set
             full_name = excluded.full_name, folded_name = excluded.folded_name, sort_key = excluded.sort_key,
             email = excluded.email, phone = excluded.phone, locale = excluded.locale, timezone = excluded.timezone,
             archived_at = null",
    )
    .bind(client_no)
    .bind(first)
    .bind(now)
    .over_set(&plan.people)
    .execute(tx)
    .await?;
    query(
        "delete from group_member where client_no = $1 and employee_no in (
             select e.no from {rows} cross join employee e where e.client_no = $1 and e.personnel_no = {no})",
    )
    .bind(client_no)
    .over_set(&plan.regrouped)
    .execute(tx)
    .await?;
    query(
        "insert into group_member (client_no, group_no, employee_no)
         select $1, g.no, e.no from {rows} cross join employee e cross join \"group\" g
         where e.client_no = $1 and e.personnel_no = {no} and g.client_no = $1 and g.slug = {group}
         on conflict do nothing",
    )
    .bind(client_no)
    .over_set(&plan.members)
    .execute(tx)
    .await?;
    Ok(())
}
