//! A personnel number passes to another person. The predecessor is archived with their history, which keeps showing
//! their own name and the number with the day on which it passed on; the number is then free, and its new holder has no
//! part in earlier messages.

use jiff::tz::TimeZone;
use simo_common::{
    api::{
        message::Recipients,
        people::{Employee, NewEmployee},
    },
    delivery::Reason,
    people::sort_key,
    time::from_us,
};

use super::{
    employees::{employee, employee_change, group_nos, insert_employee, set_groups, taken},
    ends::end_people,
};
use crate::store::{
    ClientNo, DeviceNo, EmployeeNo, MessageNo, Result, Store, Write,
    audit::AuditChange,
    db::engine::{
        Kind::{Bytes, Text, Whole},
        query, query_as, query_scalar,
    },
    phones::retire_device::retire,
    queue::duty::{self, Duty},
};

/// The former holder of a number.
struct Predecessor {
    employee_no: EmployeeNo,
    number: String,
    full_name: String,
}

impl Store {
    /// Creates an employee under another person's number: that person is archived, their devices are retired, their
    /// waiting deliveries are denied. An unused number is simply given.
    pub async fn succeed_employee(&self, client_no: ClientNo, new: &NewEmployee) -> Result<Employee> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let groups = group_nos(&mut tx, client_no, &new.groups).await?;
        let left = free_numbers(&mut tx, client_no, &[&*new.personnel_no], now).await?;
        let Some(employee_no) = insert_employee(&mut tx, client_no, new, now).await? else {
            return Err(taken(&mut tx, client_no, &new.personnel_no).await?);
        };
        set_groups(&mut tx, client_no, employee_no, &groups).await?;
        let added = employee(&mut tx, client_no, &new.personnel_no).await?;
        tx.record(client_no, employee_change("employee.add", None, &added));
        tx.commit().await?;
        self.deny_to(client_no, &left).await?;
        Ok(added)
    }
}

/// Archives the holders of these numbers, so that they are free; returns the holders.
pub(super) async fn free_numbers(
    tx: &mut Write,
    client_no: ClientNo,
    numbers: &[&str],
    now: i64,
) -> Result<Vec<EmployeeNo>> {
    if numbers.is_empty() {
        return Ok(Vec::new());
    }
    let lock = tx.locked("e");
    let predecessors: Vec<Predecessor> = query_as::<(EmployeeNo, String, String)>(format!(
        "select e.no, e.personnel_no, e.full_name from {{rows}}
         cross join employee e where e.client_no = $1 and e.personnel_no = {{number}} order by e.no{lock}"
    ))
    .bind(client_no)
    .each(("number", Text), numbers.iter().copied())
    .fetch_all(tx)
    .await?
    .into_iter()
    .map(|(employee_no, number, full_name)| Predecessor { employee_no, number, full_name })
    .collect();
    if predecessors.is_empty() {
        return Ok(Vec::new());
    }
    let kept = kept_numbers(tx, client_no, &predecessors, now).await?;
    let rows = predecessors.iter().zip(&kept).map(|(person, number)| {
        [person.employee_no.into(), number.into(), sort_key(&person.full_name, number).into()]
    });
    query(
        "update employee set archived_at = coalesce(archived_at, $2), former_no = personnel_no,
                             personnel_no = {number}, sort_key = {sort_key}
         from {rows} where employee.client_no = $1 and employee.no = {no}",
    )
    .bind(client_no)
    .bind(now)
    .over([("no", Whole), ("number", Text), ("sort_key", Bytes)], rows)
    .execute(tx)
    .await?;
    let left: Vec<EmployeeNo> = predecessors.iter().map(|person| person.employee_no).collect();
    let devices: Vec<DeviceNo> = query_scalar(
        "select d.no from {rows} cross join device d
         where d.client_no = $1 and d.employee_no = {no} and d.retired_at is null",
    )
    .bind(client_no)
    .each(("no", Whole), &left)
    .fetch_all(tx)
    .await?;
    for device_no in devices {
        retire(tx, client_no, device_no, Reason::DeviceGone, now).await?;
    }
    duty::begin(tx, client_no, left.iter().map(|no| Duty::Deny(*no)), now).await?;
    end_people(tx, client_no, &left, now).await?;
    readdress(tx, client_no, &predecessors, &kept).await?;
    for (person, kept) in predecessors.iter().zip(&kept) {
        let after = employee(tx, client_no, kept).await?;
        let change = AuditChange::new("employee.succeeded", &*person.number).about(kept);
        tx.record(client_no, change.after(&after));
    }
    Ok(left)
}

/// The predecessors' new numbers: the number with the day on which it passed on by the client's calendar, and a count
/// when it passed on twice that day.
async fn kept_numbers(
    tx: &mut Write,
    client_no: ClientNo,
    predecessors: &[Predecessor],
    now: i64,
) -> Result<Vec<String>> {
    let zone: String =
        query_scalar("select timezone from client where no = $1").bind(client_no).fetch_one(tx).await?;
    let zone = TimeZone::get(&zone).unwrap_or(TimeZone::UTC);
    let day = from_us(now).to_zoned(zone).date();
    let mut kept: Vec<String> =
        predecessors.iter().map(|person| format!("{}~{day}", person.number)).collect();
    let mut count = 1;
    loop {
        let taken: Vec<i64> = query_scalar(
            "select {#} from {rows} cross join employee e where e.client_no = $1 and e.personnel_no = {number}",
        )
        .bind(client_no)
        .each(("number", Text), &kept)
        .fetch_all(tx)
        .await?;
        if taken.is_empty() {
            return Ok(kept);
        }
        count += 1;
        for place in taken {
            kept[place as usize] = format!("{}~{day}-{count}", predecessors[place as usize].number);
        }
    }
}

/// Readdresses scheduled messages: one that names a number was meant for the person who had it when it was posted.
async fn readdress(
    tx: &mut Write,
    client_no: ClientNo,
    predecessors: &[Predecessor],
    kept: &[String],
) -> Result<()> {
    let waiting: Vec<(MessageNo, String)> = query_as(
        "select no, recipients from message
         where client_no = $1 and no < 0 and canceled_at is null and recipients is not null",
    )
    .bind(client_no)
    .fetch_all(tx)
    .await?;
    for (message_no, recipients) in waiting {
        let Ok(mut recipients) = serde_json::from_str::<Recipients>(&recipients) else {
            continue;
        };
        let mut changed = false;
        for number in &mut recipients.employees {
            let place = predecessors.iter().position(|person| person.number == *number);
            if let Some(place) = place {
                number.clone_from(&kept[place]);
                changed = true;
            }
        }
        if changed {
            query("update message set recipients = $3 where client_no = $1 and no = $2")
                .bind(client_no)
                .bind(message_no)
                .bind(serde_json::to_string(&recipients).unwrap_or_default())
                .execute(tx)
                .await?;
        }
    }
    Ok(())
}
