//! Consequences of a commit that take many steps. A duty is stored in the same transaction, and worked on until nothing
//! is left of it: the caller begins, and a periodic task continues where simod was stopped between two steps.

use super::cancel;
use crate::store::{
    ClientNo, EmployeeNo, MessageNo, Result, Store, Write,
    db::engine::{Kind::Whole, query, query_as, query_scalar},
    directory::blocking,
};

/// Duties taken up at a time.
const AT_ONCE: i64 = 100;

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(in crate::store) enum Duty {
    /// Ends the waiting deliveries of a canceled message.
    Cancel(MessageNo),
    /// Ends the waiting deliveries of a blocked or archived employee.
    Deny(EmployeeNo),
    /// Gives back the deliveries denied while an employee was blocked.
    GiveBack(EmployeeNo),
}

impl Duty {
    /// The stored numbers: of the kind, and of its object.
    fn numbers(self) -> (i64, i64) {
        match self {
            Self::Cancel(message_no) => (1, message_no.0),
            Self::Deny(employee_no) => (2, employee_no.0),
            Self::GiveBack(employee_no) => (3, employee_no.0),
        }
    }

    fn from_numbers(kind: i64, subject: i64) -> Option<Self> {
        match kind {
            1 => Some(Self::Cancel(MessageNo(subject))),
            2 => Some(Self::Deny(EmployeeNo(subject))),
            3 => Some(Self::GiveBack(EmployeeNo(subject))),
            _ => None,
        }
    }

    /// The duty that this one cancels.
    fn undone(self) -> Option<Self> {
        match self {
            Self::Cancel(_) => None,
            Self::Deny(employee_no) => Some(Self::GiveBack(employee_no)),
            Self::GiveBack(employee_no) => Some(Self::Deny(employee_no)),
        }
    }
}

/// Stores duties, in the transaction that causes them.
pub(in crate::store) async fn begin(
    tx: &mut Write,
    client_no: ClientNo,
    duties: impl Iterator<Item = Duty> + Clone,
    now: i64,
) -> Result<()> {
    let row = |duty: Duty| {
        let (kind, subject) = duty.numbers();
        [kind.into(), subject.into()]
    };
    query(
        "delete from duty where (client_no, kind, subject_no) in (select $1, {kind}, {subject} from {rows})",
    )
    .bind(client_no)
    .over([("kind", Whole), ("subject", Whole)], duties.clone().filter_map(Duty::undone).map(row))
    .execute(tx)
    .await?;
    query(
        "insert into duty (client_no, kind, subject_no, begun_at) select $1, {kind}, {subject}, $2 from {rows} where true
         on conflict (client_no, kind, subject_no) do update set begun_at = excluded.begun_at",
    )
    .bind(client_no)
    .bind(now)
    .over([("kind", Whole), ("subject", Whole)], duties.map(row))
    .execute(tx)
    .await?;
    Ok(())
}

impl Store {
    /// Does all remaining duties.
    pub async fn do_duties(&self) -> Result<()> {
        let left: Vec<(ClientNo, i64, i64)> =
            query_as("select client_no, kind, subject_no from duty order by begun_at limit $1")
                .bind(AT_ONCE)
                .fetch_all(&mut *self.read().await?)
                .await?;
        for (client_no, kind, subject) in left {
            if let Some(duty) = Duty::from_numbers(kind, subject) {
                self.do_duty(client_no, duty).await?;
            }
        }
        Ok(())
    }

    /// Does the rest of one, in steps short enough not to hold the writer for long.
    pub(in crate::store) async fn do_duty(&self, client_no: ClientNo, duty: Duty) -> Result<()> {
        let (kind, subject) = duty.numbers();
        loop {
            let now = self.clock.now();
            let mut tx = self.write().await?;
            // The opposite duty waits to begin until this step is done.
            let lock = tx.locked("duty");
            let begun: Option<i64> = query_scalar(format!(
                "select begun_at from duty where client_no = $1 and kind = $2 and subject_no = $3{lock}"
            ))
            .bind(client_no)
            .bind(kind)
            .bind(subject)
            .fetch_optional(&mut tx)
            .await?;
            let Some(begun_at) = begun else {
                return tx.rollback().await;
            };
            let done = match duty {
                Duty::Cancel(message_no) => cancel::step(&mut tx, client_no, message_no, now).await?,
                Duty::Deny(employee_no) => blocking::deny(&mut tx, client_no, employee_no, now).await?,
                Duty::GiveBack(employee_no) => {
                    blocking::give_back(&mut tx, client_no, employee_no, now).await?
                }
            };
            // A step may change fewer than it takes: deliveries sent meanwhile do not count.
            if done == 0 {
                query(
                    "delete from duty where client_no = $1 and kind = $2 and subject_no = $3 and begun_at = $4",
                )
                .bind(client_no)
                .bind(kind)
                .bind(subject)
                .bind(begun_at)
                .execute(&mut tx)
                .await?;
            }
            tx.commit().await?;
            if done == 0 {
                return Ok(());
            }
        }
    }
}
