//! Canceling a message: at once for pushes not yet on their way, step by step for its deliveries.

use simo_common::{
    api::message::Canceled,
    delivery::{Outcome, Reason},
};
use uuid::Uuid;

use super::{
    UnderWay,
    close::{self, Ending},
    duty::{self, Duty},
};
use crate::store::{
    AcsNo, ClientNo, EmployeeNo, Error, MessageNo, Result, Store, Write,
    audit::AuditChange,
    db::engine::{query, query_as, query_scalar},
    feed::{Happened, add_message_events},
};

/// Deliveries that one transaction closes.
const CLOSED_AT_ONCE: i64 = 500;

impl Store {
    /// Cancels a message of a client (and, if given, of one ACS). From the start of this call none of its pushes is
    /// claimed, and those claimed before are waited for; canceling twice has no further effect.
    ///
    /// # Errors
    /// [`Error::NotFound`] when there is no such message.
    pub async fn cancel_message(
        &self,
        client_no: ClientNo,
        acs_no: Option<AcsNo>,
        id: Uuid,
    ) -> Result<Canceled> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        // A scheduled message that comes due now gets another number.
        let lock = tx.locked("message");
        let found: Option<(MessageNo, bool)> = query_as(format!(
            "select no, canceled_at is not null from message
             where client_no = $1 and id = $2 and ($3 is null or acs_no = $3){lock}"
        ))
        .bind(client_no)
        .bind(id)
        .bind(acs_no)
        .fetch_optional(&mut tx)
        .await?;
        let Some((no, was_canceled)) = found else {
            return Err(Error::not_found("message", id.to_string()));
        };
        if was_canceled {
            duty::begin(&mut tx, client_no, std::iter::once(Duty::Cancel(no)), now).await?;
        } else {
            end(&mut tx, &Which { client_no, no, id }, None, now).await?;
        }
        tx.commit().await?;
        self.do_duty(client_no, Duty::Cancel(no)).await?;
        self.settled(client_no, UnderWay::Message(no)).await?;
        self.canceled_counts(client_no, no).await
    }

    async fn canceled_counts(&self, client_no: ClientNo, message_no: MessageNo) -> Result<Canceled> {
        let (canceled, all, scheduled): (i64, i64, bool) = query_as(
            "select (select count(*) from delivery where client_no = $1 and message_no = $2 and state = $3),
                    accepted, no < 0
             from message where client_no = $1 and no = $2",
        )
        .bind(client_no)
        .bind(message_no)
        .bind(Outcome::Canceled)
        .fetch_one(&mut *self.read().await?)
        .await?;
        // Deliveries of a large audience that are not made yet will be made canceled.
        let waiting: i64 = query_scalar(
            "select count(*) from audience where client_no = $1 and message_no = $2 and reason is null",
        )
        .bind(client_no)
        .bind(message_no)
        .fetch_one(&mut *self.read().await?)
        .await?;
        let too_late: i64 = query_scalar(
            "select count(*) from delivery
             where client_no = $1 and message_no = $2 and state not in (0, 7, 8)",
        )
        .bind(client_no)
        .bind(message_no)
        .fetch_one(&mut *self.read().await?)
        .await?;
        let canceled = if waiting > 0 { all - too_late } else { canceled };
        Ok(Canceled { canceled: canceled as u64, too_late: too_late as u64, scheduled })
    }
}

pub(in crate::store) struct Which {
    pub(in crate::store) client_no: ClientNo,
    pub(in crate::store) no: MessageNo,
    pub(in crate::store) id: Uuid,
}

/// Records that a message is canceled, and why if it was not by request; does nothing when another instance has just
/// canceled it.
pub(in crate::store) async fn end(
    tx: &mut Write,
    which: &Which,
    reason: Option<Reason>,
    now: i64,
) -> Result<()> {
    let first = query(
        "update message set canceled_at = $3, cancel_reason = $4
         where client_no = $1 and no = $2 and canceled_at is null",
    )
    .bind(which.client_no)
    .bind(which.no)
    .bind(now)
    .bind(reason)
    .execute(tx)
    .await?;
    if first.rows_affected() == 0 {
        return Ok(());
    }
    let canceled = std::iter::once((which.client_no, which.no));
    add_message_events(tx, canceled, Happened::Canceled, now).await?;
    duty::begin(tx, which.client_no, std::iter::once(Duty::Cancel(which.no)), now).await?;
    let change = AuditChange::new("message.cancel", which.id.to_string());
    let change = match reason {
        Some(reason) => change.after(&serde_json::json!({ "reason": reason.as_str() })),
        None => change,
    };
    tx.record(which.client_no, change);
    Ok(())
}

/// Ends some deliveries of a canceled message; returns how many.
pub(super) async fn step(
    tx: &mut Write,
    client_no: ClientNo,
    message_no: MessageNo,
    now: i64,
) -> Result<usize> {
    let waiting: Vec<EmployeeNo> = query_scalar(
        "select employee_no from delivery where client_no = $1 and message_no = $2 and state = 0 limit $3",
    )
    .bind(client_no)
    .bind(message_no)
    .bind(CLOSED_AT_ONCE)
    .fetch_all(tx)
    .await?;
    let endings: Vec<Ending> = waiting
        .into_iter()
        .map(|employee_no| Ending {
            delivery: (client_no, message_no, employee_no),
            outcome: Outcome::Canceled,
            reason: Reason::Canceled,
        })
        .collect();
    Ok(close::end(tx, &endings, now).await?.len())
}
