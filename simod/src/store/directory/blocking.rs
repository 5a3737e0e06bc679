//! Blocking employees and taking them out: they get nothing further, not even of what was queued before.

use simo_common::{api::access::Grantee, delivery::reason, text};

use super::{
    by_name::live_employee,
    employees::{employee, employee_change},
    ends::end_people,
    topics::refuse_recipient,
};
use crate::store::{
    ClientNo, DeviceNo, EmployeeNo, Error, MessageNo, Result, Store, Write,
    db::{
        engine::{query, query_scalar},
        rows_as_json::json,
    },
    message_spans::first_since,
    phones::retire_device::{oldest_open, retire},
    queue::UnderWay,
};

/// Deliveries that are closed in one transaction, so that nobody waits long for the writer.
const AT_ONCE: usize = 1_000;

impl Store {
    /// Blocks an employee. What was queued for him is denied: before this returns, and none of it can be sent from the
    /// first transaction on, because claims and streams look at the block.
    pub async fn block_employee(&self, client_no: ClientNo, personnel_no: &str) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let employee_no = live_employee(&mut tx, client_no, personnel_no).await?;
        let before = employee(&mut tx, client_no, personnel_no).await?;
        query("update employee set blocked_at = coalesce(blocked_at, $3) where client_no = $1 and no = $2")
            .bind(client_no)
            .bind(employee_no)
            .bind(now)
            .execute(&mut tx)
            .await?;
        deny_queued(&mut tx, client_no, employee_no, now).await?;
        let after = employee(&mut tx, client_no, personnel_no).await?;
        tx.record(client_no, employee_change("employee.block", Some(&before), &after));
        tx.commit().await?;
        self.deny_rest(client_no, &[employee_no]).await
    }

    /// Lets an employee receive again; what was denied stays so, and what was to be.
    pub async fn unblock_employee(&self, client_no: ClientNo, personnel_no: &str) -> Result<()> {
        loop {
            let mut tx = self.write().await?;
            let employee_no = live_employee(&mut tx, client_no, personnel_no).await?;
            // The block may have been cut short.
            if deny_queued(&mut tx, client_no, employee_no, self.clock.now()).await? > 0 {
                tx.commit().await?;
                continue;
            }
            let before = employee(&mut tx, client_no, personnel_no).await?;
            query("update employee set blocked_at = null where client_no = $1 and no = $2")
                .bind(client_no)
                .bind(employee_no)
                .execute(&mut tx)
                .await?;
            let after = employee(&mut tx, client_no, personnel_no).await?;
            tx.record(client_no, employee_change("employee.unblock", Some(&before), &after));
            return tx.commit().await;
        }
    }

    /// Archives an employee: his devices are retired, his own grants and pairing codes end, what was queued for him is
    /// denied. One who is archived already stays so.
    ///
    /// # Errors
    /// [`Error::Conflict`] when a topic's messages are for him.
    pub async fn remove_employee(&self, client_no: ClientNo, personnel_no: &str) -> Result<()> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let before = employee(&mut tx, client_no, personnel_no).await?;
        let employee_no: EmployeeNo =
            query_scalar("select no from employee where client_no = $1 and personnel_no = $2")
                .bind(client_no)
                .bind(personnel_no)
                .fetch_one(&mut tx)
                .await?;
        // Whoever pairs takes his code's row before the employee's.
        end_people(&mut tx, client_no, &[employee_no], now).await?;
        query("update employee set archived_at = coalesce(archived_at, $3) where client_no = $1 and no = $2")
            .bind(client_no)
            .bind(employee_no)
            .bind(now)
            .execute(&mut tx)
            .await?;
        if before.archived_at.is_none() {
            refuse_recipient(&mut tx, client_no, &Grantee::Employee(personnel_no.to_owned())).await?;
        }
        let devices: Vec<DeviceNo> = query_scalar(
            "select no from device where client_no = $1 and employee_no = $2 and retired_at is null",
        )
        .bind(client_no)
        .bind(employee_no)
        .fetch_all(&mut tx)
        .await?;
        deny_queued(&mut tx, client_no, employee_no, now).await?;
        for device_no in devices {
            retire(&mut tx, client_no, device_no, reason::DEVICE_GONE, now).await?;
        }
        let after = employee(&mut tx, client_no, personnel_no).await?;
        tx.record(client_no, employee_change("employee.remove", Some(&before), &after));
        tx.commit().await?;
        self.deny_rest(client_no, &[employee_no]).await
    }

    /// Denies what is still queued for people who are blocked or archived, and waits for what is on its way to them. None of
    /// it can be sent any more, because claims and streams look at the block and the archive; so this may follow the
    /// transaction that blocked or archived them.
    pub(super) async fn deny_rest(&self, client_no: ClientNo, people: &[EmployeeNo]) -> Result<()> {
        for employee_no in people {
            loop {
                let mut tx = self.write().await?;
                let denied = deny_queued(&mut tx, client_no, *employee_no, self.clock.now()).await?;
                tx.commit().await?;
                // A step may find fewer than it takes: what was sent meanwhile does not count.
                if denied == 0 {
                    break;
                }
            }
            self.settled(client_no, UnderWay::Employee(*employee_no)).await?;
        }
        Ok(())
    }
}

/// Denies deliveries that no provider took, with their pushes, if the employee is blocked or archived; says how many,
/// [`AT_ONCE`] at most.
async fn deny_queued(
    tx: &mut Write,
    client_no: ClientNo,
    employee_no: EmployeeNo,
    now: i64,
) -> Result<usize> {
    // Between two steps he may have been let in again.
    let is_archived: Option<bool> = query_scalar(
        "select archived_at is not null from employee
         where client_no = $1 and no = $2 and (archived_at is not null or blocked_at is not null)",
    )
    .bind(client_no)
    .bind(employee_no)
    .fetch_optional(tx)
    .await?;
    let why = match is_archived {
        None => return Ok(0),
        Some(true) => reason::ARCHIVED,
        Some(false) => reason::BLOCKED,
    };
    let oldest = first_since(tx, oldest_open(now)).await?;
    let messages: Vec<MessageNo> = query_scalar(
        "update delivery set outcome = 'denied', reason = $4, outcome_at = $5
         where client_no = $1 and employee_no = $2 and message_no in (
             select message_no from delivery indexed by delivery_employee
             where client_no = $1 and employee_no = $2 and message_no >= $3 and state = 0 limit $6)
         and state = 0
         returning message_no",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(oldest)
    .bind(why)
    .bind(now)
    .bind(AT_ONCE as i64)
    .fetch_all(tx)
    .await?;
    let denied = json(&messages);
    query(
        "update push set done_at = $4, outcome = 'canceled', reason = $5
         where client_no = $1 and employee_no = $2 and done_at is null
         and message_no in (select cast(atom as integer) from jsonb_each($3))",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(&denied)
    .bind(now)
    .bind(why)
    .execute(tx)
    .await?;
    query(
        "insert into event (client_no, acs_no, at, kind, message_no, employee_no)
         select m.client_no, m.acs_no, $4, 'delivery', m.no, $2
         from jsonb_each($3) j cross join message m where m.client_no = $1 and m.no = cast(j.atom as integer)",
    )
    .bind(client_no)
    .bind(employee_no)
    .bind(&denied)
    .bind(now)
    .execute(tx)
    .await?;
    Ok(messages.len())
}

/// Refuses what only someone who receives messages may get.
pub(in crate::store) fn refuse_blocked(personnel_no: &str, blocked: bool) -> Result<()> {
    if blocked {
        return Err(Error::Conflict(text!(
            "the employee `{personnel_no}` is blocked; unblock him first",
            "сотрудник «{personnel_no}» заблокирован; сначала разблокируйте его"
        )));
    }
    Ok(())
}
