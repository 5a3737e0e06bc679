//! Canceling a message: at once for what is not yet on its way, step by step for its deliveries.

use simo_common::{api::message::Canceled, delivery::reason};
use uuid::Uuid;

use super::UnderWay;
use crate::store::{
    AcsNo, ClientNo, EmployeeNo, Error, MessageNo, Result, Store, Write,
    audit::Change,
    db::{
        engine::{query, query_as, query_scalar},
        rows_as_json::json,
    },
    feed::add_delivery_events,
};

/// Deliveries that one transaction closes.
const CLOSED_AT_ONCE: i64 = 500;

impl Store {
    /// Cancels a message of a client (and, if given, of one ACS). From the moment this begins no push of it is claimed, and
    /// what was claimed before is waited for; canceling twice changes nothing more.
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
        let found: Option<(MessageNo, Option<AcsNo>, bool)> = query_as(
            "select no, acs_no, canceled_at is not null from message
             where client_no = $1 and id = $2 and ($3 is null or acs_no = $3)",
        )
        .bind(client_no)
        .bind(id)
        .bind(acs_no)
        .fetch_optional(&mut tx)
        .await?;
        let Some((no, poster, was_canceled)) = found else {
            return Err(Error::not_found("message", id.to_string()));
        };
        let which = Which { client_no, no, id, acs_no: poster };
        if was_canceled {
            tx.confirm_what_was_read().await?;
        } else {
            end(&mut tx, &which, None, now).await?;
        }
        tx.commit().await?;
        // Also the second time: the first one may have been cut short. A step may find fewer than there are: what was sent
        // meanwhile does not count.
        while self.close_canceled(client_no, poster, no).await? > 0 {}
        self.settled(client_no, UnderWay::Message(no)).await?;
        self.canceled_counts(client_no, no).await
    }

    /// Closes some deliveries of a canceled message; returns how many.
    pub(super) async fn close_canceled(
        &self,
        client_no: ClientNo,
        acs_no: Option<AcsNo>,
        message_no: MessageNo,
    ) -> Result<u64> {
        let now = self.clock.now();
        let mut tx = self.write().await?;
        let closed: Vec<EmployeeNo> = query_scalar(
            "update delivery set outcome = 'canceled', reason = $3, outcome_at = $4
             where client_no = $1 and message_no = $2 and employee_no in (
                 select employee_no from delivery where client_no = $1 and message_no = $2 and state = 0 limit $5)
             and state = 0
             returning employee_no",
        )
        .bind(client_no)
        .bind(message_no)
        .bind(reason::CANCELED)
        .bind(now)
        .bind(CLOSED_AT_ONCE)
        .fetch_all(&mut tx)
        .await?;
        query(
            "update push set done_at = $4, outcome = 'canceled', reason = $5
             where client_no = $1 and message_no = $2 and done_at is null
             and employee_no in (select cast(atom as integer) from jsonb_each($3))",
        )
        .bind(client_no)
        .bind(message_no)
        .bind(json(&closed))
        .bind(now)
        .bind(reason::CANCELED)
        .execute(&mut tx)
        .await?;
        let changed: Vec<_> =
            closed.iter().map(|employee_no| (client_no, acs_no, message_no, *employee_no)).collect();
        add_delivery_events(&mut tx, &changed, now).await?;
        tx.commit().await?;
        Ok(closed.len() as u64)
    }

    async fn canceled_counts(&self, client_no: ClientNo, message_no: MessageNo) -> Result<Canceled> {
        let (canceled, all, scheduled): (i64, i64, bool) = query_as(
            "select (select count(*) from delivery where client_no = $1 and message_no = $2 and outcome = 'canceled'),
                    accepted, no < 0
             from message where client_no = $1 and no = $2",
        )
        .bind(client_no)
        .bind(message_no)
        .fetch_one(&mut *self.read().await?)
        .await?;
        // Deliveries of a large audience that are still to be made will be made canceled.
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

/// Which message is canceled.
pub(in crate::store) struct Which {
    pub(in crate::store) client_no: ClientNo,
    pub(in crate::store) no: MessageNo,
    pub(in crate::store) id: Uuid,
    pub(in crate::store) acs_no: Option<AcsNo>,
}

/// Writes down that a message is canceled, and why when nobody asked for it; nothing when another instance canceled it just
/// now.
pub(in crate::store) async fn end(
    tx: &mut Write,
    which: &Which,
    reason: Option<&str>,
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
    query("insert into event (client_no, acs_no, at, kind, message_no) values ($1, $2, $3, 'canceled', $4)")
        .bind(which.client_no)
        .bind(which.acs_no)
        .bind(now)
        .bind(which.no)
        .execute(tx)
        .await?;
    let change = Change::new("message.cancel", which.id.to_string());
    let change = match reason {
        Some(reason) => change.after(&serde_json::json!({ "reason": reason })),
        None => change,
    };
    tx.record(which.client_no, change);
    Ok(())
}
