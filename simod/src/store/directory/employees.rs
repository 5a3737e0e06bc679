//! Administration of employees.

use simo_common::{
    api::people::{EditEmployee, Employee, NewEmployee},
    people::{fold_name, sort_key},
    text, time,
};

use super::{
    by_name::{group_no, live_employee},
    ends::end_people,
    groups::{slugs, within},
};
use crate::store::{
    ClientNo, EmployeeNo, Error, GroupNo, Listing, Result, Rows, Store, Write,
    audit::AuditChange,
    db::engine::{
        Conn,
        Kind::{Bytes, Text, Truth, Whole},
        Named, Row, Value, query, query_as, query_scalar,
    },
    list::{WORD, has_words, page},
};

macro_rules! select_employee {
    ($($rest:expr),+) => {
        concat!(
            "select e.*,
                 (select string_agg(g.slug, ',' order by g.slug) from group_member m
                  join \"group\" g on g.client_no = m.client_no and g.no = m.group_no
                  where m.client_no = e.client_no and m.employee_no = e.no and g.archived_at is null) as groups
             from employee e where e.client_no = $1 and ",
            $($rest),+
        )
    };
}

impl Store {
    /// A page of a client's employees, by name: all, or those in a group or in groups within it.
    pub async fn employees(
        &self,
        client_no: ClientNo,
        group: Option<&str>,
        listing: &Listing<String>,
    ) -> Result<Rows<Employee, String>> {
        let mut reader = self.read().await?;
        let group_no = match group {
            Some(slug) => Some(group_no(&mut reader, client_no, slug).await?),
            None => None,
        };
        let rows = query(select_employee!(
            "e.sort_key > $2 and ($3 or e.archived_at is null)
             and ($4 is null or e.no in (",
            within!("$1", "select $4"),
            "select m.employee_no from within
                 cross join group_member m on m.client_no = $1 and m.group_no = within.no))
             and ",
            has_words!(),
            " order by e.sort_key limit $5"
        ))
        .bind(client_no)
        .bind(listing.after.as_deref().unwrap_or("").as_bytes())
        .bind(listing.archived)
        .bind(group_no)
        .bind(listing.limit as i64 + 1)
        .over(WORD, listing.find.words())
        .fetch(&mut reader);
        page(rows, listing.limit, |row| Ok(Some((sort_key_of(row)?, read_employee(row)?)))).await
    }

    /// The employee with this personnel number, archived or not.
    pub async fn employee(&self, client_no: ClientNo, personnel_no: &str) -> Result<Employee> {
        employee(&mut *self.read().await?, client_no, personnel_no).await
    }

    /// Creates an employee, or restores an archived one as now described, without own grants; a blocked one stays
    /// blocked.
    pub async fn add_employee(&self, client_no: ClientNo, new: &NewEmployee) -> Result<Employee> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let groups = group_nos(&mut tx, client_no, &new.groups).await?;
        let Some(employee_no) = insert_employee(&mut tx, client_no, new, now).await? else {
            return Err(taken(&mut tx, client_no, &new.personnel_no).await?);
        };
        end_people(&mut tx, client_no, &[employee_no], now).await?;
        set_groups(&mut tx, client_no, employee_no, &groups).await?;
        let added = employee(&mut tx, client_no, &new.personnel_no).await?;
        tx.record(client_no, employee_change("employee.add", None, &added));
        tx.commit().await?;
        Ok(added)
    }

    /// Changes the fields that `edit` names.
    pub async fn edit_employee(
        &self,
        client_no: ClientNo,
        personnel_no: &str,
        edit: &EditEmployee,
    ) -> Result<Employee> {
        let mut tx = self.write().await?;
        let employee_no = live_employee(&mut tx, client_no, personnel_no).await?;
        let before = employee(&mut tx, client_no, personnel_no).await?;
        let name = edit.full_name.as_deref();
        query(
            "update employee set
                 full_name = coalesce($3, full_name), folded_name = coalesce($4, folded_name),
                 sort_key = coalesce($5, sort_key), email = nullif(coalesce($6, email), ''),
                 phone = nullif(coalesce($7, phone), ''), locale = nullif(coalesce($8, locale), ''),
                 timezone = nullif(coalesce($9, timezone), '')
             where client_no = $1 and no = $2",
        )
        .bind(client_no)
        .bind(employee_no)
        .bind(name)
        .bind(name.map(fold_name))
        .bind(name.map(|name| sort_key(name, personnel_no)))
        .bind(&edit.email)
        .bind(&edit.phone)
        .bind(&edit.locale)
        .bind(&edit.timezone)
        .execute(&mut tx)
        .await?;
        if let Some(slugs) = &edit.groups {
            let groups = group_nos(&mut tx, client_no, slugs).await?;
            set_groups(&mut tx, client_no, employee_no, &groups).await?;
        }
        let after = employee(&mut tx, client_no, personnel_no).await?;
        tx.record(client_no, employee_change("employee.edit", Some(&before), &after));
        tx.commit().await?;
        Ok(after)
    }
}

/// The employee with this personnel number, archived or not.
pub(in crate::store) async fn employee(
    conn: &mut Conn,
    client_no: ClientNo,
    personnel_no: &str,
) -> Result<Employee> {
    let row = query(select_employee!("e.personnel_no = $2"))
        .bind(client_no)
        .bind(personnel_no)
        .fetch_optional(conn)
        .await?;
    row.as_ref().map(read_employee).transpose()?.ok_or_else(|| Error::not_found("employee", personnel_no))
}

/// Columns for writing many employees at once.
pub(super) const PERSON: [Named; 9] = [
    ("no", Text),
    ("full_name", Text),
    ("folded_name", Text),
    ("sort_key", Bytes),
    ("email", Text),
    ("phone", Text),
    ("locale", Text),
    ("timezone", Text),
    ("blocked", Truth),
];

/// A row of [`PERSON`], with the contacts in the order of the columns.
pub(super) fn person_row<'a>(
    no: &'a str,
    full_name: &'a str,
    [email, phone, locale, timezone]: [Option<&'a str>; 4],
    blocked: bool,
) -> [Value<'a>; 9] {
    [
        no.into(),
        full_name.into(),
        fold_name(full_name).into(),
        sort_key(full_name, no).into(),
        email.into(),
        phone.into(),
        locale.into(),
        timezone.into(),
        blocked.into(),
    ]
}

/// The audit entry of a change of an employee.
pub(super) fn employee_change(
    action: &'static str,
    before: Option<&Employee>,
    after: &Employee,
) -> AuditChange {
    AuditChange::new(action, &*after.personnel_no).about(&after.personnel_no).before(&before).after(after)
}

/// Creates an employee, or restores an archived one of the same name; `None` when the number belongs to another person.
pub(super) async fn insert_employee(
    tx: &mut Write,
    client_no: ClientNo,
    new: &NewEmployee,
    now: i64,
) -> Result<Option<EmployeeNo>> {
    let employee_no: EmployeeNo = query_scalar(
        "update client set next_employee_no = next_employee_no + 1 where no = $1 returning next_employee_no - 1",
    )
    .bind(client_no)
    .fetch_one(tx)
    .await?;
    Ok(query_scalar(
        "insert into employee (client_no, no, personnel_no, full_name, folded_name, sort_key, email,
                               phone, locale, timezone, created_at)
         values ($1, $2, $3, $4, $5, $6, nullif($7, ''), nullif($8, ''), nullif($9, ''), nullif($10, ''), $11)
         on conflict (client_no, personnel_no) do update set
             full_name = excluded.full_name, folded_name = excluded.folded_name, sort_key = excluded.sort_key,
             email = excluded.email, phone = excluded.phone, locale = excluded.locale,
             timezone = excluded.timezone, archived_at = null
         where employee.archived_at is not null and employee.folded_name = excluded.folded_name
         returning no",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(&new.personnel_no)
    .bind(&new.full_name)
    .bind(fold_name(&new.full_name))
    .bind(sort_key(&new.full_name, &new.personnel_no))
    .bind(&new.email)
    .bind(&new.phone)
    .bind(&new.locale)
    .bind(&new.timezone)
    .bind(now)
    .fetch_optional(tx)
    .await?)
}

/// Why a personnel number cannot be given to a new employee. An archived person is restored under their own name only:
/// a successor must not read their predecessor's history.
pub(in crate::store) async fn taken(tx: &mut Write, client_no: ClientNo, no: &str) -> Result<Error> {
    let (name, archived): (String, bool) = query_as(
        "select full_name, archived_at is not null from employee where client_no = $1 and personnel_no = $2",
    )
    .bind(client_no)
    .bind(no)
    .fetch_one(tx)
    .await?;
    Ok(Error::Conflict(if archived {
        text!(
            "`{no}` was {name}; if it is the same person, add them under that name, then rename them",
            "«{no}» — это {name}; если это тот же человек, добавьте его под прежним именем и затем переименуйте"
        )
    } else {
        text!("there is an employee `{no}` already: {name}", "сотрудник «{no}» уже есть: {name}")
    }))
}

/// The numbers of groups by slug, all of which must exist.
pub(in crate::store) async fn group_nos(
    tx: &mut Write,
    client_no: ClientNo,
    slugs: &[String],
) -> Result<Vec<GroupNo>> {
    let found: Vec<(i64, GroupNo)> = query_as(
        "select {#}, g.no from {rows} cross join \"group\" g
         where g.client_no = $1 and g.slug = {slug} and g.archived_at is null order by {#}",
    )
    .bind(client_no)
    .each(("slug", Text), slugs)
    .fetch_all(tx)
    .await?;
    let mut errors = Vec::new();
    for (place, slug) in slugs.iter().enumerate() {
        if !found.iter().any(|(key, _)| *key == place as i64) {
            errors.push((
                format!("groups[{place}]"),
                text!("there is no group `{slug}`", "нет группы «{slug}»"),
            ));
        }
    }
    if errors.is_empty() {
        Ok(found.into_iter().map(|(_, group_no)| group_no).collect())
    } else {
        Err(Error::Invalid(errors))
    }
}

/// Makes these the only groups of an employee.
pub(super) async fn set_groups(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    groups: &[GroupNo],
) -> Result<()> {
    query("delete from group_member where client_no = $1 and employee_no = $2")
        .bind(client_no)
        .bind(employee_no)
        .execute(tx)
        .await?;
    query(
        "insert into group_member (client_no, group_no, employee_no)
         select $1, {group}, $2 from {rows} where true on conflict do nothing",
    )
    .bind(client_no)
    .bind(employee_no)
    .each(("group", Whole), groups)
    .execute(tx)
    .await?;
    Ok(())
}

/// An employee's place in a list. Sort keys are texts compared bytewise.
pub(in crate::store) fn sort_key_of(row: &Row) -> Result<String> {
    Ok(String::from_utf8_lossy(&row.try_get::<Vec<u8>, _>("sort_key")?).into_owned())
}

fn read_employee(row: &Row) -> Result<Employee> {
    let at = |column: &str| row.try_get::<Option<i64>, _>(column).map(|at| at.map(time::from_us));
    Ok(Employee {
        personnel_no: row.try_get("personnel_no")?,
        former_no: row.try_get("former_no")?,
        full_name: row.try_get("full_name")?,
        email: row.try_get("email")?,
        phone: row.try_get("phone")?,
        groups: slugs(row.try_get("groups")?),
        locale: row.try_get("locale")?,
        timezone: row.try_get("timezone")?,
        devices: row.try_get("devices")?,
        blocked_at: at("blocked_at")?,
        archived_at: at("archived_at")?,
    })
}
